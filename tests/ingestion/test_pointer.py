"""The pointer on S3 names the version that the database shows, whatever somebody did to either."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.database.engine import in_transaction
from ingestion.errors import PipelineError
from ingestion.publication import publications
from ingestion.publication.pointer import finish_pointer
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectChanged, ObjectStore
from tests.published_sales import POINTER, check_pointer, database_rows, put
from tests.run_without_spark import run


def test_a_pointer_that_was_deleted_is_written_again(services: Services) -> None:
    """Risk: readers of S3 find nothing until something new is sold."""
    put(services, "a.csv", 1, 1)
    run(services)
    services.store.delete(POINTER)
    run(services)
    check_pointer(services)


def test_a_database_that_was_brought_back_is_what_s3_shows(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a restore, readers of S3 see another version than the database, and the next one
    deletes or overwrites objects that they still see; or nobody learns that sales are missing."""
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    newest = services.store.get_bytes(POINTER)
    with services.engine.begin() as connection:
        connection.execute(sa.text("delete from publications where version = 2"))
        connection.execute(sa.text("delete from customers_data_mart where customer_id = 2"))
        with pytest.raises(PipelineError, match="cannot be published on top of version 2"):
            publications.is_recorded(connection, 3, "a run that began before", base=2)
    finish_pointer(services.store, services.engine, services.prefixes)
    check_pointer(services)
    assert services.store.get_bytes(POINTER) != newest
    [message] = caplog.messages
    assert message.startswith("S3 showed version 2, the database shows version 1")
    assert "send these files again" in message
    put(services, "3.csv", 3, 3)
    run(services)
    assert json.loads(services.store.get_bytes(POINTER))["version"] == 2
    check_pointer(services)
    assert database_rows(services) == [(1, 1), (2, 2), (3, 3)]
    stored = [info.key for info in services.store.list_objects(services.prefixes.manifests)]
    assert len(stored) == 2, "what the lost version wrote is gone"


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"version": "x"}', b"\xff"])
def test_a_pointer_that_somebody_wrote_is_written_again(
    services: Services, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """Risk: what was meant as a repair ends every run in a stack trace, or is told as a database
    that lacks sales."""
    put(services, "a.csv", 1, 1)
    run(services)
    services.store.put_bytes(POINTER, content)
    run(services)
    check_pointer(services)
    assert caplog.messages == ["the pointer on S3 named a version other than 1"]


@pytest.mark.parametrize("is_there", [True, False], ids=["another", "none"])
def test_a_pointer_that_another_run_has_moved_meanwhile_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Risk: a run that has lost its lock leads readers of S3 back to the version before."""
    put(services, "a.csv", 1, 1)
    run(services)
    if is_there:
        services.store.put_bytes(POINTER, b"older")
    else:
        services.store.delete(POINTER)
    real = ObjectStore.put_bytes

    def after_another(store: ObjectStore, key: str, content: bytes, **conditions: Any) -> None:
        real(store, key, b"newer")
        real(store, key, content, **conditions)

    monkeypatch.setattr(ObjectStore, "put_bytes", after_another)
    with pytest.raises(ObjectChanged):
        finish_pointer(services.store, services.engine, services.prefixes)
    assert services.store.get_bytes(POINTER) == b"newer"


def test_the_pointer_does_not_go_to_a_version_that_is_gone(services: Services) -> None:
    """Risk: a database of long ago is brought back, and readers of S3 find nothing at all."""
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    with services.engine.begin() as connection:
        connection.execute(sa.text("delete from publications where version = 2"))
    first, newest = (
        in_transaction(services.engine, publications.current_publication),
        services.store.get_bytes(POINTER),
    )
    assert first is not None
    services.store.delete(first.manifest_key)
    finish_pointer(services.store, services.engine, services.prefixes)
    assert services.store.get_bytes(POINTER) == newest


def test_a_missing_bucket_is_told_as_such_and_not_as_a_missing_manifest(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a typing error in the bucket's name the user looks for a lost publication."""
    put(services, "a.csv", 1, 1)
    run(services)
    store = dataclasses.replace(services.store, bucket="no-such-bucket")
    with pytest.raises(PipelineError, match="no-such-bucket"):
        finish_pointer(store, services.engine, services.prefixes)
    assert not caplog.messages
