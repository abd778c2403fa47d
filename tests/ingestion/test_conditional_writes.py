"""A server without conditional writes is told as such; no object is written without one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ingestion.commands.doctor import keeps_a_newer_object, write_an_object
from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS
from ingestion.config.settings import Settings
from ingestion.errors import PipelineError
from ingestion.s3.connection import connect
from ingestion.s3.object_store import ObjectStore
from tests.failing_proxies import Fault, Proxy, s3_proxy
from tests.services import Bucket

ACTION = "Upgrade the server, or name another in RETAIL_S3_ENDPOINT_URL"


@pytest.fixture
def proxied(s3_settings: Settings, s3_bucket: Bucket) -> Iterator[tuple[ObjectStore, Proxy]]:
    """The bucket through a proxy."""
    with s3_proxy(s3_bucket.endpoint) as (url, proxy):
        settings = s3_settings.model_copy(update={"s3_endpoint_url": url})
        yield connect(settings, EMBEDDED_CREDENTIALS), proxy


@pytest.mark.parametrize("condition", [{"if_none_match": "*"}, {"if_match": "0"}])
def test_a_server_without_conditions_is_named(
    proxied: tuple[ObjectStore, Proxy], s3_bucket: Bucket, condition: dict[str, str]
) -> None:
    """Risk: each run ends with a code of S3's; or it writes over what another one has written."""
    store, proxy = proxied
    proxy.plan(Fault("NotImplemented", lambda *_: True))
    with pytest.raises(PipelineError) as raised:
        store.put_bytes("current.json", b"new", **condition)
    assert str(raised.value) == (
        f"The S3 server at {store.client.meta.endpoint_url} does not support conditional writes. "
        "Expected: a server that supports If-Match and If-None-Match for PutObject: they keep two "
        "writers from overwriting each other's object. Found: NotImplemented while writing "
        f"s3://{s3_bucket.name}/current.json. {ACTION}; python run_pipeline.py doctor tests it."
    )
    assert len(proxy.calls) == 1, "it is not tried again, nor without its condition"


def test_the_doctor_finds_a_server_that_refuses_conditions(
    proxied: tuple[ObjectStore, Proxy], s3_bucket: Bucket
) -> None:
    """Risk: the doctor calls a server well with which each run fails."""
    store, proxy = proxied
    write_an_object(store, "doctor")
    proxy.plan(Fault("NotImplemented", lambda number, *_: number == 4))
    with pytest.raises(PipelineError, match="does not support conditional writes"):
        write_an_object(store, "doctor")
    assert [call.partition(" ")[0] for call in proxy.calls] == [
        "PUT",
        "GET",
        "HEAD",
        "PUT",
        "DELETE",
    ]
    assert s3_bucket.keys() == []


@pytest.mark.parametrize("passed_over", ["IfNoneMatch", "IfMatch"])
def test_the_doctor_finds_a_server_that_passes_conditions_over(
    store: ObjectStore, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch, passed_over: str
) -> None:
    """Risk: a server that writes all the same is called well, and a pointer is lost one day."""
    put = store.client.put_object

    def put_anyway(**options: Any) -> Any:
        options.pop(passed_over, None)
        return put(**options)

    monkeypatch.setattr(store.client, "put_object", put_anyway)
    with pytest.raises(PipelineError) as raised:
        write_an_object(store, "doctor")
    assert str(raised.value) == (
        f"The S3 server at {s3_bucket.endpoint} ignores conditions on writes. Expected: a write "
        "with If-Match or If-None-Match that is refused if the object has changed, so that two "
        "writers cannot overwrite each other's object. Found: a write that was carried out anyway. "
        f"{ACTION}."
    )
    assert s3_bucket.keys() == []


def test_the_doctor_tells_a_server_that_deletes_without_conditions(
    proxied: tuple[ObjectStore, Proxy], s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: nobody knows that a correction may be deleted with the file that it corrects."""
    store, proxy = proxied
    assert keeps_a_newer_object(store, "doctor")
    delete = store.client.delete_object

    def passing_over(**options: Any) -> Any:
        options.pop("IfMatch", None)
        return delete(**options)

    with monkeypatch.context() as changed:
        changed.setattr(store.client, "delete_object", passing_over)
        assert not keeps_a_newer_object(store, "doctor")
    proxy.plan(Fault("NotImplemented", lambda number, *_: number == 2))
    assert not keeps_a_newer_object(store, "doctor")
    assert s3_bucket.keys() == []
