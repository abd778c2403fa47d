"""What Spark is told of the files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow.parquet as pq

from ingestion.config.settings import load_settings
from ingestion.database.staging_table import FileRow
from ingestion.warehouse.raw_tables import write_files


def version(file_id: int, sha256: str, moment: str) -> FileRow:
    """A version of a.csv that was seen at this moment in UTC."""
    seen = dt.datetime.fromisoformat(moment)
    return FileRow(
        id=file_id,
        file_name="sales_data/a.csv",
        file_location="s3://bucket/sales_data/a.csv",
        created_date=seen,
        updated_date=seen,
        status="I",
        etag=str(file_id),
        sha256=sha256,
        content_sha256=sha256,
        size_bytes=1,
        batch_id=file_id,
        run_id="run",
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
