"""What is sent again, or mended, is the object that was taken; any other is refused."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from boto3.s3.transfer import TransferConfig

from ingestion.commands import quarantine, withdrawal
from ingestion.commands.replay import replay
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, all_rows
from ingestion.errors import PipelineError
from ingestion.run.quarantined_rows import QuarantinedRow
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectStore
from tests.run_without_spark import HEADER, new_run, run, sale, take_files
from tests.services import Bucket

CONTENT = (HEADER + sale(1, "2024-03-05", 5) + sale(2, "2024-03-06", 7)).encode()
ARCHIVED = "sales_data_processed/a.csv"


@pytest.fixture
def row(services: Services, s3_bucket: Bucket) -> FileRow:
    """A file that counts, with its object in the archive."""
    s3_bucket.put("sales_data/a.csv", CONTENT)
    run(services)
    [found] = in_transaction(services.engine, all_rows)
    assert s3_bucket.get(ARCHIVED) == CONTENT
    return found


def refused(row: FileRow, found: str) -> str:
    return (
        f"The object of sales_data/a.csv (id 1) is not the one that was taken. Expected: "
        f"{len(CONTENT):,} bytes with the SHA-256 {row.sha256} at {row.file_location}. "
        f"Found: {found}. Restore it, or send the file again."
    )


def test_a_file_is_brought_back_only_with_its_own_bytes(
    services: Services, s3_bucket: Bucket, row: FileRow, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: an archived object that somebody overwrote counts as the file that was withdrawn; or a
    large one does not fit into memory."""
    withdrawal.retract_file(services, "a.csv", "run")
    run(services)
    for content in (CONTENT.replace(b",7\n", b",8\n"), CONTENT[:-5]):
        s3_bucket.put(ARCHIVED, content)
        with pytest.raises(PipelineError) as raised:
            withdrawal.restore_file(services, "a.csv")
        assert str(raised.value) == refused(row, "other content")
    services.store.delete(ARCHIVED)
    with pytest.raises(PipelineError) as raised:
        withdrawal.restore_file(services, "a.csv")
    assert str(raised.value) == refused(row, "no object there")
    assert s3_bucket.keys("sales_data/") == []

    s3_bucket.client.upload_fileobj(
        io.BytesIO(CONTENT),
        s3_bucket.name,
        ARCHIVED,
        Config=TransferConfig(multipart_threshold=1),  # the same bytes with another ETag
    )
    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "get_bytes", None)
        withdrawal.restore_file(services, "a.csv")
    assert s3_bucket.get("sales_data/a.csv") == CONTENT
    s3_bucket.put("sales_data/a.csv", CONTENT.replace(b",7\n", b",8\n"))
    with pytest.raises(PipelineError, match=r"a\.csv is in the inbox already"):
        withdrawal.restore_file(services, "a.csv")


def deliver(services: Services, bucket: Bucket, cost: int, *, is_cut: bool) -> FileRow:
    """Another version of the file, published or only planned; its row."""
    bucket.put("sales_data/a.csv", (HEADER + sale(1, "2024-03-05", cost)).encode())
    if is_cut:
        state = new_run(services)
        assert take_files(state)
    else:
        run(services)
    return in_transaction(services.engine, all_rows)[-1]


@pytest.mark.parametrize("is_cut", [False, True], ids=["published", "not yet published"])
def test_no_older_version_comes_in_the_place_of_one_whose_object_is_gone(
    services: Services, s3_bucket: Bucket, is_cut: bool
) -> None:
    """Risk: what is restored has the sales of another version, and nobody is told."""
    deliver(services, s3_bucket, 1, is_cut=True)
    run(services, lambda _, run_id: withdrawal.retract_file(services, "a.csv", run_id))
    deliver(services, s3_bucket, 2, is_cut=False)
    if is_cut:
        deliver(services, s3_bucket, 3, is_cut=True)
    run(services, lambda _, run_id: withdrawal.retract_file(services, "a.csv", run_id))
    *_, withdrawn, _ = in_transaction(services.engine, all_rows)
    assert withdrawn.status == "S"
    archived = services.store.key_at(withdrawn.file_location)
    content = services.store.get_bytes(archived)
    services.store.delete(archived)
    with pytest.raises(PipelineError) as raised:
        withdrawal.restore_file(services, "a.csv")
    assert str(raised.value) == (
        f"The object of sales_data/a.csv (id {withdrawn.id}) is not the one that was taken. "
        f"Expected: {withdrawn.size_bytes} bytes with the SHA-256 {withdrawn.sha256} at "
        f"{withdrawn.file_location}. Found: no object there. Restore it, or send the file again."
    )
    assert s3_bucket.keys("sales_data/") == []
    s3_bucket.put(archived, content)
    withdrawal.restore_file(services, "a.csv")
    assert s3_bucket.get("sales_data/a.csv").endswith(f",{3 if is_cut else 2}\n".encode())


def test_no_key_is_longer_than_s3_takes_where_a_sender_has_removed_the_object(
    services: Services, s3_bucket: Bucket
) -> None:
    """Risk: S3 refuses to look for a key of more than 1024 bytes, and that ends every run."""
    key = "sales_data/" + "f" * 60 + "/f" * 470 + ".csv"
    s3_bucket.put(key, CONTENT)
    assert take_files(new_run(services))
    services.store.delete(key)
    asked: list[str] = []
    services.store.client.meta.events.register(
        "provide-client-params.s3", lambda params, **_: asked.append(params.get("Key", ""))
    )
    run(services)
    [row] = in_transaction(services.engine, all_rows)
    assert s3_bucket.get(services.store.key_at(row.file_location)) == CONTENT
    assert max(len(asked_key.encode()) for asked_key in asked) <= 1024


def test_a_file_that_was_never_read_is_known_by_its_size(
    services: Services, s3_bucket: Bucket
) -> None:
    """Risk: what was set aside for its name cannot be read again once a profile takes that name."""
    s3_bucket.put("sales_data/a.data", CONTENT)
    run(services)
    s3_bucket.put("sales_data_error/a.data", CONTENT + b"x")
    with pytest.raises(
        PipelineError, match=f"Expected: {len(CONTENT)} bytes at s3://.* Found: oth"
    ):
        replay(services, (), "a.data")
    s3_bucket.put("sales_data_error/a.data", CONTENT)
    replay(services, (), "a.data")
    assert s3_bucket.get("sales_data/a.data") == CONTENT


def test_rows_are_mended_only_in_the_bytes_that_they_were_read_from(
    services: Services, s3_bucket: Bucket, row: FileRow, tmp_path: Path
) -> None:
    """Risk: a mended row is written into another file; or a shorter one ends in a stack trace."""
    bad = [QuarantinedRow(row.id, row.file_name, 3, "why", ("why",))]
    [path] = quarantine.export_rows(services, bad, tmp_path / "whole")
    s3_bucket.put(ARCHIVED, CONTENT.splitlines(keepends=True)[0])
    with pytest.raises(PipelineError) as raised:
        quarantine.export_rows(services, bad, tmp_path / "short")
    assert str(raised.value) == refused(row, "other content")
    with pytest.raises(PipelineError) as raised:
        replay(services, [path])
    assert str(raised.value) == refused(row, "other content")
    assert s3_bucket.keys("sales_data/") == []

    s3_bucket.put(ARCHIVED, CONTENT)
    with path.open(encoding="utf-8", newline="") as file:
        [exported] = csv.DictReader(file)
    assert (exported["line_number"], exported["total_cost"]) == ("3", "7")
    path.write_text(path.read_text(encoding="utf-8").replace(",3,why,", ",9,why,"))
    with pytest.raises(PipelineError) as raised:
        replay(services, [path])
    assert str(raised.value) == (
        "There is no line 9 to correct. Expected: file_id and line_number as they were exported, "
        "and the encoding with which the file was loaded. Found: a file of 4 lines."
    )
