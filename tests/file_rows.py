"""Rows of the staging table, as files get them that are delivered."""

from __future__ import annotations

import dataclasses

from ingestion.database.staging_table import FileRow, utc_now


def location(key: str) -> str:
    """Where an object of the tests' bucket lies."""
    return f"s3://bucket/{key}"


def file_row(number: int, key: str, **changes: object) -> FileRow:
    """The row that a file gets when it is delivered, but for these changes."""
    plain = FileRow(
        id=number,
        file_name=key,
        file_location=location(key),
        created_date=utc_now(),
        updated_date=utc_now(),
        status="A",
        etag="e1",
        sha256="1" * 64,
        content_sha256=None,
        size_bytes=10,
        batch_id=2,
        run_id="run",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]
