"""What Spark is told of the files."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq

from ingestion.config.settings import load_settings
from ingestion.database.staging_table import RETRACTION, FileRow
from ingestion.warehouse.raw_tables import write_files
from tests.file_rows import file_row


def version(file_id: int, sha256: str, moment: str) -> FileRow:
    """A version of a.csv that was seen at this moment in UTC."""
    seen = dt.datetime.fromisoformat(moment)
    return file_row(
        file_id,
        "sales_data/a.csv",
        created_date=seen,
        updated_date=seen,
        status="I",
        etag=str(file_id),
        sha256=sha256,
        content_sha256=sha256,
        batch_id=file_id,
    )


def test_a_file_has_the_stores_day_on_which_it_was_first_seen(tmp_path: Path) -> None:
    """Risk: a rebuild, or the same file once more, lets sales of the future count twice."""
    settings = load_settings(tmp_path, {"RETAIL_TIME_ZONE": "Asia/Kolkata"})
    rows = [
        version(1, "first", "2024-03-31 18:29:59"),
        version(2, "corrected", "2024-03-31 18:30:00"),
        version(3, "first", "2024-04-20 12:00:00"),
    ]
    write_files(tmp_path, rows, settings.day_of)
    table = pq.read_table(tmp_path / "files" / "files.parquet")
    assert table["delivered_on"].to_pylist() == [
        dt.date(2024, 3, 31),
        dt.date(2024, 4, 1),
        dt.date(2024, 3, 31),
    ]
    trial = load_settings(tmp_path, {"RETAIL_BUSINESS_DATE": "2024-02-29"})
    write_files(tmp_path, rows, trial.day_of)
    table = pq.read_table(tmp_path / "files" / "files.parquet")
    assert set(table["delivered_on"].to_pylist()) == {dt.date(2024, 2, 29)}


def test_a_withdrawn_version_does_not_count_whatever_follows_the_withdrawal(tmp_path: Path) -> None:
    """Risk: a file is withdrawn while its key brings a copy of another file, and the withdrawn
    sales stay in the marts, though the staging table has them as superseded.
    """
    settings = load_settings(tmp_path, {})
    moment = "2024-03-31 12:00:00"
    withdrawal = dataclasses.replace(
        version(2, "", moment), status="A", etag=RETRACTION, replaces_id=1
    )
    follower = dataclasses.replace(version(3, "next", moment), replaces_id=2)
    for status, counted, replaced_by in (
        ("D", [False, False, False], [None, None, None]),
        ("A", [False, True, True], [None, 3, None]),
        ("E", [False, True, False], [None, None, None]),
    ):
        rows = [version(1, "old", moment), withdrawal, dataclasses.replace(follower, status=status)]
        write_files(tmp_path, rows, settings.day_of)
        table = pq.read_table(tmp_path / "files" / "files.parquet")
        assert table["is_counted"].to_pylist() == counted, status
        assert table["replaced_by_file_id"].to_pylist() == replaced_by, status
