"""Writes to the staging table: new rows, what was decided and counted of them, where they lie."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ingestion.database import staging_table
from ingestion.database.staging_table import (
    Delivery,
    FileCount,
    FileRow,
    FileStatus,
    Verdict,
    files,
    replacing_rows,
)

_LONGEST_REASON = 8_000  # characters; MySQL's TEXT has room for 65,535 bytes
_ROWS_AT_ONCE = 100  # set by one statement; reasons may be long
_BATCHES_AT_ONCE = 500  # named in one statement


def add_deliveries(
    connection: Connection, deliveries: Sequence[Delivery], *, batch_id: int, run_id: str
) -> None:
    """Gives each delivery a row with status 'A', except those that this run has added already.

    The caller holds the run lock, so ids are ours.
    """
    added = {
        (row.file_name, row.etag)
        for row in staging_table.rows_of_batch(connection, batch_id)
        if row.run_id == run_id
    }
    deliveries = [item for item in deliveries if (item.key, item.etag) not in added]
    if not deliveries:
        return
    first = (connection.execute(sa.select(sa.func.max(files.c.id))).scalar() or 0) + 1
    now = staging_table.utc_now()
    connection.execute(
        files.insert(),
        [
            {
                "id": first + position,
                "file_name": delivery.key,
                "file_location": delivery.location,
                "created_date": now,
                "updated_date": now,
                "status": FileStatus.PLANNED.value,
                "etag": delivery.etag,
                "sha256": delivery.sha256,
                "size_bytes": delivery.size_bytes,
                "batch_id": batch_id,
                "run_id": run_id,
            }
            for position, delivery in enumerate(deliveries)
        ],
    )


def record_verdicts(connection: Connection, verdicts: Sequence[Verdict]) -> None:
    """Writes what the checks decided."""
    _update(
        connection,
        {
            verdict.file_id: {
                "status": verdict.status.value,
                "reason": _fitting(verdict.reason),
                "rows_read": verdict.rows_read,
                "content_sha256": verdict.content_sha256,
                "replaces_id": verdict.replaces_id,
                "duplicate_of_id": verdict.duplicate_of_id,
            }
            for verdict in verdicts
        },
    )


def _fitting(reason: str | None) -> str | None:
    """The reason as the table has room for it; the report beside the file has all of it."""
    if reason is None or len(reason) <= _LONGEST_REASON:
        return reason
    return reason[: _LONGEST_REASON - 1] + "…"


def record_counts(
    connection: Connection, counts: Sequence[FileCount], batch_id: int | None
) -> None:
    """Writes what the models counted.

    The batch's accepted files become 'I' and the versions they replace 'S'; a file that the models
    set aside whole becomes 'E', with their reason and what the check has said of it. Files of other
    batches that were counted again keep their status.
    """
    rows = [] if batch_id is None else staging_table.rows_of_batch(connection, batch_id)
    planned = {row.id for row in rows if row.status == FileStatus.PLANNED}
    _update(
        connection,
        {
            count.file_id: {
                "rows_valid": count.rows_valid,
                "rows_quarantined": count.rows_quarantined,
                "amount_valid": count.amount_valid,
            }
            for count in counts
        },
    )
    _set_status(connection, planned, FileStatus.PUBLISHED, {})
    hints = {row.id: row.reason for row in rows if row.reason}  # the check's, on the cause
    refused = {
        count.file_id: _fitting(" | ".join(filter(None, (count.reason, hints.get(count.file_id)))))
        for count in counts
        if count.reason
    }
    _set_status(connection, planned & refused.keys(), FileStatus.ERROR, refused)
    superseding = replacing_rows(row for row in rows if row.id not in refused)
    _set_status(
        connection,
        superseding.keys(),
        FileStatus.SUPERSEDED,
        {
            old: f"superseded by the version of {row.created_date:%Y-%m-%d %H:%M:%S} UTC "
            f"(id {row.id})"
            for old, row in superseding.items()
        },
    )


def _set_status(
    connection: Connection,
    ids: Collection[int],
    status: FileStatus,
    reasons: Mapping[int, str | None],
) -> None:
    _update(
        connection,
        {
            row_id: {"status": status.value} | ({"reason": reasons[row_id]} if reasons else {})
            for row_id in ids
        },
    )


def supersede(connection: Connection, rows: Iterable[FileRow], reason: str) -> None:
    """Makes planned versions and copies of an unfinished batch 'S': they neither count nor replace
    another any more."""
    _update(
        connection,
        {
            row.id: {
                "status": FileStatus.SUPERSEDED.value,
                "reason": reason,
                "replaces_id": None,
                "duplicate_of_id": None,
            }
            for row in rows
            if row.status in (FileStatus.PLANNED, FileStatus.DUPLICATE)
        },
    )


def record_locations(connection: Connection, locations: Mapping[int, str]) -> None:
    """Writes where each row's object lies now."""
    _update(connection, {key: {"file_location": value} for key, value in locations.items()})


def record_etags(connection: Connection, etags: Mapping[int, str]) -> None:
    """Writes the new ETag of each row's object, after the same bytes were sent again."""
    _update(connection, {key: {"etag": value} for key, value in etags.items()})


def record_rows_read(connection: Connection, file_id: int, rows_read: int) -> None:
    """Writes how many rows the reader finds in the file now."""
    _update(connection, {file_id: {"rows_read": rows_read}})


def ask_to_read_again(connection: Connection, row: FileRow) -> None:
    """Has the next delivery of the row's bytes under its key read anew; it replaces the row."""
    connection.execute(files.update().where(files.c.id == row.id).values(is_read_again=True))


def move_to_batch(connection: Connection, old_ids: Sequence[int], batch_id: int) -> None:
    """Makes every file version of the old batches one of this batch."""
    for start in range(0, len(old_ids), _BATCHES_AT_ONCE):
        connection.execute(
            files.update()
            .where(files.c.batch_id.in_(old_ids[start : start + _BATCHES_AT_ONCE]))
            .values(batch_id=batch_id, updated_date=staging_table.utc_now())
        )


def add_note(connection: Connection, rows: Iterable[FileRow], note: str) -> None:
    """Adds a remark to each row's reason; the same remark is not added twice."""
    _update(
        connection,
        {
            row.id: {"reason": f"{row.reason}; {note}" if row.reason else note}
            for row in rows
            if note not in (row.reason or "")
        },
    )


def _update(connection: Connection, values: Mapping[int, Mapping[str, Any]]) -> None:
    """Sets columns of rows, by id; many rows go in one statement. All rows name the same columns.

    A driver's ``executemany`` would send one statement for each row.
    """
    ids = list(values)
    for start in range(0, len(ids), _ROWS_AT_ONCE):
        part = ids[start : start + _ROWS_AT_ONCE]
        changes = {
            name: _by_id(files.c[name], {row_id: values[row_id][name] for row_id in part})
            for name in values[part[0]]
        }
        changes["updated_date"] = staging_table.utc_now()
        connection.execute(files.update().where(files.c.id.in_(part)).values(changes))


def _by_id(column: sa.Column[Any], values: Mapping[int, Any]) -> Any:
    """The one value of all these rows, or a ``case`` that gives each its own."""
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    given = {row_id: sa.literal(value, column.type) for row_id, value in values.items()}
    return sa.case(given, value=files.c.id)
