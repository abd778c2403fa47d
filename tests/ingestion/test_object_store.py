"""The object store: exact keys, one version at a time, moves that lose nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from urllib3.response import HTTPResponse

from ingestion.errors import PipelineError
from ingestion.s3.keys import unique_key
from ingestion.s3.object_store import ObjectChanged, ObjectGone, ObjectInfo, ObjectStore
from tests.services import Bucket

KEYS = [
    "in/march sales.csv",
    "in/march+sales.csv",
    "in/march%20sales.csv",
    "in/2024-03-05T10:15:00.csv",
    "in/o'brien.csv",
    'in/say "hi".csv',
    "in/50%_off.csv",
    "in/&<>#?.csv",
    "in/caf\u00e9.csv",
    "in/cafe\u0301.csv",
    "in/चाय ☕.csv",
    "in/_hidden.csv",
    "in/.late.csv",
    "in/store 1/sales.csv",
    "in/store 2/sales.csv",
    "in/~a!$*(){}[]|^`,;=@.csv",
    "in/line\nbreak\x01.csv",
]


@pytest.fixture
def put(s3_bucket: Bucket, store: ObjectStore) -> Callable[[str, bytes], ObjectInfo]:
    """Writes an object as a sender does and returns what the store sees of it."""

    def write(key: str, content: bytes) -> ObjectInfo:
        s3_bucket.put(key, content)
        found = store.head(key)
        assert found is not None
        return found

    return write


Put = Callable[[str, bytes], ObjectInfo]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# -- listing and reading --------------------------------------------------------------------------


def test_keys_come_back_exactly(put: Put, store: ObjectStore, tmp_path: Path) -> None:
    """Risk: a key that is decoded once too often or too seldom names another object."""
    written = [put(key, key.encode()) for key in KEYS]
    assert sorted(store.list_objects("in/"), key=lambda info: KEYS.index(info.key)) == written
    for info in written:
        assert store.get_bytes(info.key) == info.key.encode()
        assert store.download(info, tmp_path / "file") == sha256(info.key.encode())


def test_keys_stay_exact_when_moved(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: the copy's source is encoded differently from its target."""
    for key in KEYS:
        info = put(key, key.encode())
        assert store.move(info, "done" + key.removeprefix("in")) == "done" + key.removeprefix("in")
    expected = {"done" + key.removeprefix("in"): key.encode() for key in KEYS}
    assert s3_bucket.objects() == expected


def test_all_pages_are_listed(store: ObjectStore) -> None:
    """Risk: objects beyond the first thousand are never seen."""
    keys = {f"in/{number:04d}.csv" for number in range(1005)}
    for key in keys:
        store.put_bytes(key, b"")
    store.put_bytes("in_other/a.csv", b"")
    listed = [info.key for info in store.list_objects("in/")]
    assert len(listed) == 1005
    assert set(listed) == keys


def test_a_download_starts_anew_where_tls_breaks_in_the_middle(
    put: Put, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: one damaged record of TLS ends a run in a stack trace."""
    content = bytes(range(256)) * 20_000
    info = put("in/a.csv", content)
    read: Any = HTTPResponse._fp_read  # type: ignore[attr-defined]
    pieces = itertools.count(1)
    damaged: Any = {3, 6}  # of the pieces that are read

    def receive(response: HTTPResponse, *arguments: Any, **options: Any) -> Any:
        if next(pieces) in damaged:
            raise ssl.SSLError("DECRYPTION_FAILED_OR_BAD_RECORD_MAC")
        return read(response, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(HTTPResponse, "_fp_read", receive)
        assert store.download(info, tmp_path / "a") == sha256(content)
        assert (tmp_path / "a").read_bytes() == content
        assert next(pieces) > max(damaged)
        damaged = range(1000)
        with pytest.raises(PipelineError) as raised:
            store.get_bytes("in/a.csv")
    assert str(raised.value) == (
        f"{store.location('in/a.csv')} could not be read completely in several attempts."
        " Run again; the run continues where it stopped."
    )


def test_a_download_is_whole_or_not_there(put: Put, store: ObjectStore, tmp_path: Path) -> None:
    """Risk: a broken download is taken for the file, or leaves parts behind."""
    content = bytes(range(256)) * 20_000
    info = put("in/a.csv", content)
    assert store.download(info, tmp_path / "a") == sha256(content)
    assert (tmp_path / "a").read_bytes() == content
    with pytest.raises(PipelineError) as raised:
        store.download(dataclasses.replace(info, size=info.size - 1), tmp_path / "b")
    assert str(raised.value) == (
        f"{store.location('in/a.csv')} could not be read completely in several attempts."
        " Run again; the run continues where it stopped."
    )
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["a"]


def test_a_replaced_object_is_not_read(put: Put, store: ObjectStore, tmp_path: Path) -> None:
    """Risk: bytes of a version that was never listed are taken for the listed one's."""
    old = put("in/a.csv", b"old")
    put("in/a.csv", b"new")
    with pytest.raises(ObjectChanged) as raised:
        store.download(old, tmp_path / "a")
    assert str(raised.value) == (
        f"{store.location('in/a.csv')} was replaced by another version meanwhile."
    )
    store.delete("in/a.csv")
    with pytest.raises(ObjectGone) as gone:
        store.download(old, tmp_path / "a")
    assert str(gone.value) == f"There is no object {store.location('in/a.csv')}."
    assert not (tmp_path / "a").exists()


def test_what_is_not_there(store: ObjectStore) -> None:
    """Risk: a missing object looks like an empty one, or deleting it twice fails a run."""
    assert store.head("none") is None
    with pytest.raises(ObjectGone):
        store.get_bytes("none")
    store.delete("none")
    assert list(store.list_objects("none/")) == []


def test_a_location_tells_its_key(store: ObjectStore) -> None:
    """Risk: a key with '//' or a scheme in it does not come back from the staging table."""
    for key in [*KEYS, "a//b", "s3://x/y"]:
        assert store.key_at(store.location(key)) == key


# -- writing --------------------------------------------------------------------------------------


def test_conditional_writes(store: ObjectStore) -> None:
    """Risk: two runs both believe that they moved the pointer."""
    store.put_bytes("pointer", b"1", if_none_match="*")
    first = store.head("pointer")
    assert first is not None
    store.put_bytes("pointer", b"2", if_match=first.etag)
    for condition in ({"if_none_match": "*"}, {"if_match": first.etag}):
        with pytest.raises(ObjectChanged) as raised:
            store.put_bytes("pointer", b"3", **condition)
        assert str(raised.value) == (
            f"{store.location('pointer')} was written by someone else meanwhile."
        )
        store.put_bytes("pointer", b"2", **condition)  # a write whose answer was lost
    assert store.get_bytes("pointer") == b"2"


@pytest.mark.parametrize("megabytes", [1, 70], ids=["at once", "in parts"])
def test_a_new_file_overwrites_none(store: ObjectStore, tmp_path: Path, megabytes: int) -> None:
    """Risk: what a till has sent in that very moment is replaced by an older file with a mended
    row."""
    file = tmp_path / "mended.csv"
    content = b"".join(bytes([number]) * (1 << 20) for number in range(megabytes))
    file.write_bytes(content)
    for _ in range(2):  # the answer to the first call may have been lost
        store.put_new_file("in/a.csv", file)
    assert store.get_bytes("in/a.csv") == content
    store.put_bytes("in/a.csv", b"newest")
    with pytest.raises(ObjectChanged) as raised:
        store.put_new_file("in/a.csv", file)
    assert str(raised.value) == (
        f"{store.location('in/a.csv')} was written by someone else meanwhile."
    )
    assert store.get_bytes("in/a.csv") == b"newest"
    listed = store.client.list_multipart_uploads(Bucket=store.bucket)
    assert listed.get("Uploads", []) == []


def test_a_big_file_goes_up_in_parts(store: ObjectStore, tmp_path: Path) -> None:
    """Risk: a part is lost or misplaced; threads pile up."""
    file = tmp_path / "big"
    with file.open("wb") as stream:
        for number in range(70):
            stream.write(bytes([number]) * (1 << 20))
    before = threading.active_count()
    store.put_file("big", file)
    assert threading.active_count() == before
    info = store.head("big")
    assert info is not None
    assert store.download(info, tmp_path / "copy") == sha256(file.read_bytes())
    assert store.move(info, "moved") == "moved"
    assert store.head("big") is None


# -- copying --------------------------------------------------------------------------------------


def test_a_copy_never_overwrites(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: what a sender has just sent is replaced by an old version from the archive."""
    info = put("done/a.csv", b"old")
    for _ in range(2):  # the answer to the first call may have been lost
        store.copy(info, "in/a.csv")
    assert s3_bucket.objects() == {"done/a.csv": b"old", "in/a.csv": b"old"}
    put("in/a.csv", b"new")
    with pytest.raises(ObjectChanged) as raised:
        store.copy(info, "in/a.csv")
    assert str(raised.value) == (
        f"{store.location('in/a.csv')} was written by someone else meanwhile."
    )
    assert s3_bucket.objects() == {"done/a.csv": b"old", "in/a.csv": b"new"}


def test_only_the_version_that_was_seen_is_copied(put: Put, store: ObjectStore) -> None:
    """Risk: the bytes that were compared are not those that are sent."""
    old = put("done/a.csv", b"old")
    assert store.sha256(old) == sha256(b"old")
    put("done/a.csv", b"new")
    with pytest.raises(ObjectChanged):
        store.sha256(old)
    with pytest.raises(ObjectChanged):
        store.copy(old, "in/a.csv")
    assert store.head("in/a.csv") is None


def test_a_sender_is_faster_than_a_copy(
    put: Put, store: ObjectStore, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: an object that arrives after the look at its key is overwritten."""
    info = put("done/a.csv", b"old")
    copy = store.client.copy_object

    def sent_first(**options: Any) -> Any:
        s3_bucket.put("in/a.csv", b"new")
        return copy(**options)

    monkeypatch.setattr(store.client, "copy_object", sent_first)
    with pytest.raises(ObjectChanged):
        store.copy(info, "in/a.csv")
    assert s3_bucket.get("in/a.csv") == b"new"


# -- moving ---------------------------------------------------------------------------------------


def test_a_move_never_overwrites(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: a second file of the same name destroys the first one's archive copy."""
    put("done/a.csv.gz", b"first")
    info = put("in/a.csv.gz", b"other")
    final = f"done/a~{sha256(b'other')[:12]}.csv.gz"
    assert store.move(info, "done/a.csv.gz") == final
    assert s3_bucket.objects() == {"done/a.csv.gz": b"first", final: b"other"}


def test_equal_content_is_not_kept_twice(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: a crash between copy and delete leaves the object in the inbox for ever."""
    put("done/a.csv", b"same")
    info = put("in/a.csv", b"same")
    assert store.move(info, "done/a.csv") == "done/a.csv"
    assert s3_bucket.objects() == {"done/a.csv": b"same"}


@pytest.mark.parametrize("target_holds", [None, b"first"])
@pytest.mark.parametrize("step", ["copy", "verify", "delete"])
def test_a_move_cut_short_ends_the_same(
    put: Put,
    store: ObjectStore,
    s3_bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    target_holds: bytes | None,
    step: str,
) -> None:
    """Risk: a crash inside a move loses the object or makes a second copy."""
    expected = {"done/a.csv": b"content"}
    if target_holds is not None:
        put("done/a.csv", target_holds)
        expected = {"done/a.csv": target_holds, unique_key("done/a.csv", sha256(b"content")): b""}
        expected[unique_key("done/a.csv", sha256(b"content"))] = b"content"
    info = put("in/a.csv", b"content")

    class CrashError(Exception):
        pass

    calls = {"copy": "copy_object", "verify": "head_object", "delete": "delete_object"}
    real = getattr(store.client, calls[step])
    copied = []
    monkeypatch.setattr(
        store.client,
        "copy_object",
        lambda real=store.client.copy_object, **options: copied.append(real(**options)),
    )

    def crash(**options: Any) -> Any:
        if step == "verify" and not copied:
            return real(**options)
        if step != "verify":
            real(**options)
        raise CrashError

    monkeypatch.setattr(store.client, calls[step], crash)
    with pytest.raises(CrashError):
        store.move(info, "done/a.csv", sha256(b"content"))
    monkeypatch.undo()

    final = store.move(info, "done/a.csv", sha256(b"content")) if step != "delete" else None
    assert s3_bucket.objects() == expected
    assert final in (None, list(expected)[-1])


def test_a_finished_move_is_found_again(put: Put, store: ObjectStore) -> None:
    """Risk: a run that dies before it notes the move cannot tell where the object went."""
    put("done/a.csv", b"first")
    info = put("in/a.csv", b"other")
    final = store.move(info, "done/a.csv", sha256(b"other"))
    assert store.move(info, "done/a.csv", sha256(b"other")) == final
    with pytest.raises(ObjectGone):
        store.move(info, "elsewhere/a.csv", sha256(b"other"))


def test_a_newer_version_stays(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: a correction that arrives during the move is deleted unread."""
    old = put("in/a.csv", b"old")
    put("in/a.csv", b"new")
    with pytest.raises(ObjectChanged):
        store.move(old, "done/a.csv")
    put("done/a.csv", b"old")  # the copy was made before the correction came
    assert store.move(old, "done/a.csv") == "done/a.csv"
    assert s3_bucket.objects() == {"in/a.csv": b"new", "done/a.csv": b"old"}


def test_a_version_that_comes_between_copy_and_delete_stays(
    put: Put, store: ObjectStore, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the delete removes what arrived after the last look."""
    info = put("in/a.csv", b"old")
    delete = store.client.delete_object

    def replaced_first(**options: Any) -> Any:
        s3_bucket.put("in/a.csv", b"new")
        return delete(**options)

    monkeypatch.setattr(store.client, "delete_object", replaced_first)
    assert store.move(info, "done/a.csv") == "done/a.csv"
    assert s3_bucket.objects() == {"in/a.csv": b"new", "done/a.csv": b"old"}


def test_a_copy_in_parts_has_another_etag(
    put: Put, store: ObjectStore, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: objects over 5 GiB cannot be copied at once, and a new ETag looks like damage."""
    from botocore.exceptions import ClientError

    def too_large(**_: Any) -> None:
        message = "The specified copy source is larger than the maximum allowable size: 5368709120"
        raise ClientError({"Error": {"Code": "InvalidRequest", "Message": message}}, "CopyObject")

    info = put("in/huge.csv", b"huge" * 1000)
    monkeypatch.setattr(store.client, "copy_object", too_large)
    assert store.move(info, "done/huge.csv") == "done/huge.csv"
    assert s3_bucket.objects() == {"done/huge.csv": b"huge" * 1000}
    moved = store.head("done/huge.csv")
    assert moved is not None
    assert moved.etag != info.etag


def test_long_keys_keep_room_to_move(put: Put, store: ObjectStore, s3_bucket: Bucket) -> None:
    """Risk: a key of nearly 1024 bytes cannot move to a longer prefix, and stops every run."""
    folders = "/".join("f" * 60 for _ in range(16))
    first, second = (put(f"in/{folders}/{name}é.csv", name.encode()) for name in "ab")
    moved = [store.move(info, "done" * 10 + info.key) for info in (first, second)]
    assert s3_bucket.objects() == {moved[0]: b"a", moved[1]: b"b"}
    for key in moved:
        assert len(key.encode()) <= 1024 - len(".reasons.json")
        assert key.endswith(".csv")
