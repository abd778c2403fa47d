"""Versions that are no longer kept go with all their objects, and none that another one needs."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.commands import rollback
from ingestion.database.engine import in_transaction
from ingestion.errors import PipelineError
from ingestion.publication import publications, publish
from ingestion.publication.publications import Publication
from ingestion.run import old_versions
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectStore
from tests.published_sales import check_pointer, cut_short, database_rows, put
from tests.run_without_spark import run


def of_newer_format(services: Services, version: int) -> tuple[str, bytes]:
    """Makes the manifest of a version one of a newer pipeline; its key and what it was."""
    with services.engine.begin() as connection:
        query = sa.text("select manifest_key from publications where version = :version")
        key = connection.execute(query, {"version": version}).scalar_one()
    before = services.store.get_bytes(key)
    services.store.put_bytes(key, before.replace(b'"format": 1', b'"format": 2'))
    return key, before


def mart_objects(services: Services) -> set[str]:
    """The keys of all objects of the marts."""
    marts = services.prefixes.marts.values()
    return {info.key for mart in marts for info in services.store.list_objects(mart)}


def test_what_another_version_of_the_pipeline_has_published_is_left_alone(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a step back to an older release, it removes objects that it cannot know, or ends
    in a stack trace."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    there = mart_objects(services)

    def refusal(key: str) -> str:
        return (
            f"The manifest {key} cannot be read. Expected: the format 1, which this version of the "
            "pipeline writes. Found: the format 2. Use the version of the pipeline that has "
            "published it."
        )

    first, before_first = of_newer_format(services, 1)
    with pytest.raises(PipelineError) as refused:
        rollback.roll_back(services, 1, "a-run", lambda: None)
    assert str(refused.value) == refusal(first)
    assert old_versions.remove_old(services, keep=1) == 0

    newest, before = of_newer_format(services, 2)
    services.store.put_bytes(first, before_first)
    assert old_versions.remove_old(services, keep=1) == 0
    assert caplog.messages == [
        f"no object is removed that this version may need: {refusal(key)}"
        for key in (first, newest)
    ]
    put(services, "b.csv", 2, 2)
    with pytest.raises(PipelineError) as refused:
        run(services)
    assert str(refused.value) == refusal(newest)
    assert mart_objects(services) == there
    assert database_rows(services) == [(1, 2)]

    services.store.put_bytes(newest, before)
    assert old_versions.remove_old(services, keep=1) == 2
    check_pointer(services)


def test_a_damaged_manifest_stops_what_would_trust_it(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: objects that a version needs are removed, for its manifest names them no longer; or an
    edited number is shown again by a rollback."""
    for number in (1, 2, 3):
        put(services, "a.csv", 1, number)
        run(services)
    there = mart_objects(services)
    second, third = rollback.list_publications(services)
    before = {item: services.store.get_bytes(item.manifest_key) for item in (second, third)}

    def refusal(item: Publication) -> str:
        services.store.put_bytes(
            item.manifest_key, before[item].replace(b'"rows": 1', b'"rows": 7')
        )
        return (
            f"The manifest {item.manifest_key} cannot be read. Expected: the bytes that were "
            f"published, with the SHA-256 {item.manifest_sha256}. Found: other content. Bring the "
            "object back as it was, or delete it."
        )

    told = refusal(second)
    with pytest.raises(PipelineError) as refused:
        rollback.roll_back(services, second.version, "a-run", lambda: None)
    assert str(refused.value) == told
    assert old_versions.remove_old(services, keep=1) == 0  # what it names, nobody knows
    told_third = refusal(third)
    put(services, "b.csv", 2, 2)
    with pytest.raises(PipelineError) as refused:
        run(services)
    assert str(refused.value) == told_third
    assert mart_objects(services) == there
    assert f"no object is removed that this version may need: {told}" in caplog.messages
    services.store.put_bytes(third.manifest_key, before[third])
    run(services)
    check_pointer(services)
    assert database_rows(services) == [(1, 3), (2, 2)]


def test_a_removal_that_was_cut_short_is_finished_and_its_versions_are_not_shown_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a rollback shows a version of which half the objects are gone."""
    for number in (1, 2, 3):
        put(services, "a.csv", 1, number)
        run(services)
    deleted: list[str] = []
    real = type(services.store).delete

    def delete(store: Any, key: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(key)
        real(store, key)

    monkeypatch.setattr(type(services.store), "delete", delete)
    with pytest.raises(KeyboardInterrupt):
        old_versions.remove_old(services, keep=1)
    monkeypatch.setattr(type(services.store), "delete", real)
    with pytest.raises(PipelineError, match="There is no earlier version"):
        rollback.roll_back(services, None, "run", lambda: None)
    assert old_versions.remove_old(services, keep=1) > 0
    [last] = rollback.list_publications(services)
    needed = {
        file.key
        for table in rollback.manifest_of(services, last).tables.values()
        for file in table.files
    }
    marts = [*services.prefixes.marts.values(), services.prefixes.manifests]
    stored = {info.key for prefix in marts for info in services.store.list_objects(prefix)}
    assert stored == needed | {last.manifest_key}
    check_pointer(services)


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of deleted objects, in order. One of a mart is deleted only with another."""
    deleted: list[str] = []
    pair = threading.Barrier(2, timeout=10)
    real = ObjectStore.delete

    def delete(store: ObjectStore, key: str) -> None:
        if "_data_mart/" in key:
            pair.wait()
        real(store, key)
        deleted.append(key)

    monkeypatch.setattr(ObjectStore, "delete", delete)
    return deleted


def test_objects_are_removed_side_by_side_and_their_manifest_last(
    services: Services, in_pairs: list[str]
) -> None:
    """Risk: a year of versions takes hours to go; or a removal cut short is never finished."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    assert old_versions.remove_old(services, keep=1) == 2
    assert len(in_pairs) == 3
    assert in_pairs[-1] == first.manifest_key
    put(services, "a.csv", 1, 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(publish, "show_version", cut_short)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    run(services)
    assert len(in_pairs) == 5, "what the run cut short had uploaded"
    check_pointer(services)


def test_an_object_that_cannot_be_removed_is_told_once_and_removed_later(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the manifest goes before the object, which then stays on S3 for ever."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    real = ObjectStore.delete

    def delete(store: ObjectStore, key: str) -> None:
        if "_data_mart/" in key:
            raise PipelineError(f"no permission to delete {key}")
        real(store, key)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "delete", delete)
        with pytest.raises(PipelineError, match=r"^no permission to delete \S+_data_mart/\S+$"):
            old_versions.remove_old(services, keep=1)
    assert services.store.head(first.manifest_key) is not None
    assert old_versions.remove_old(services, keep=1) == 2
    assert services.store.head(first.manifest_key) is None
