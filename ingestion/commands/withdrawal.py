"""Withdraws a file, brings it back, reads it again: all by the way that every correction takes.

A withdrawal is a version of the file without rows: it replaces the version that counts, in every
table and month. To bring a file back, its archived object is sent again.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ingestion.config.profiles import composed
from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import (
    RETRACTION,
    Delivery,
    FileRow,
    FileStatus,
    Verdict,
    counting_row,
)
from ingestion.errors import PipelineError, UsageError
from ingestion.run.archive import find_archived

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.run.services import Services
    from ingestion.s3.object_store import ObjectInfo


_SHOWN = 5
_KEYS_AT_ONCE = 1_000
_NEVER_PUBLISHED = "retracted before it was published"


def retract_file(services: Services, key: str, run_id: str) -> None:
    """Plans the withdrawal of the version that counts under ``key``; the run does the rest.

    A newer version that an unfinished batch holds never comes to count. A withdrawal that a run has
    planned which was cut short stays the one. Raises ``UsageError`` where no version counts.
    """
    key, rows = file_versions(services, key)
    current = counting_row(rows)
    if current is None or current.is_withdrawal:
        if current is not None and current.status == FileStatus.PLANNED:
            return
        raise UsageError(
            f"{key} cannot be retracted",
            expected="a file that counts",
            found=_state(rows),
            action=_versions_of(key),
        )

    def plan(connection: Connection) -> None:
        batch_id = batches.open_batch(connection, run_id)
        delivery = Delivery(key, f"{RETRACTION}:{key}", RETRACTION, None, 0)
        waiting = [row for row in rows if row.batch_id == batch_id]
        published = counting_row([row for row in rows if row.batch_id != batch_id])
        staging_changes.supersede(connection, waiting, _NEVER_PUBLISHED)
        staging_changes.add_deliveries(connection, [delivery], batch_id=batch_id, run_id=run_id)
        newest = staging_table.rows_of_batch(connection, batch_id)[-1]
        verdict = Verdict(
            newest.id,
            FileStatus.PLANNED,
            reason="retracted by hand",
            rows_read=0,
            replaces_id=None if published is None else published.id,
        )
        staging_changes.record_verdicts(connection, [verdict])

    in_transaction(services.engine, plan)


def restore_file(services: Services, key: str) -> None:
    """Sends the version that was retracted last again: its archived object goes to the inbox. So
    does a copy whose original counts no more.

    Where a run that was cut short has planned that, the plan stays as it is. Raises ``UsageError``
    for any other file, ``PipelineError`` where the object of that version is not the one that was
    taken: no older one comes in its place; and where another one is in the inbox.
    """
    key, rows = file_versions(services, key)
    planned, earlier = split_planned(rows)
    current = counting_row(earlier)
    if current is None:
        chosen = _lone_copy(services, earlier, planned)
    else:
        chosen = _retracted_by(current, earlier)
    if chosen is None or (planned is not None and planned.sha256 != chosen.sha256):
        raise UsageError(
            f"{key} cannot be restored",
            expected="a file that was retracted, or a copy whose original no longer counts",
            found=_state(rows),
            action=_versions_of(key),
        )
    if planned is None:
        services.store.copy(find_sendable(services, chosen), chosen.file_name)
    else:  # what came since would count in its place
        check_inbox(services, {key: planned.sha256})


def _lone_copy(
    services: Services, rows: Sequence[FileRow], planned: FileRow | None
) -> FileRow | None:
    """The newest of these rows, if it is a copy of which the content counts under no name, unless
    as the version ``planned`` of the same key."""
    if not rows or rows[-1].status != FileStatus.DUPLICATE or rows[-1].content_sha256 is None:
        return None
    hashes = [rows[-1].content_sha256]
    counting = in_transaction(
        services.engine, lambda there: staging_table.counted_by_content(there, hashes)
    )
    others = [row for row in counting.values() if planned is None or row.id != planned.id]
    return None if others else rows[-1]


def _retracted_by(retraction: FileRow, rows: Sequence[FileRow]) -> FileRow | None:
    """The version that this row took out; None where it is no retraction."""
    if not retraction.is_withdrawal:
        return None
    versions = [row for row in rows if row.id < retraction.id and not row.is_withdrawal]
    # each retraction takes a version out, so the newest of these is of this one, and no earlier one
    return [
        row
        for row in versions
        if row.id == retraction.replaces_id or row.reason == _NEVER_PUBLISHED
    ][-1]


def split_planned(rows: Sequence[FileRow]) -> tuple[FileRow | None, Sequence[FileRow]]:
    """Of the rows of one key, the version that a run which was cut short has planned, if there is
    one, and those before it. A withdrawal is no such version."""
    newest = rows[-1]
    if newest.status != FileStatus.PLANNED or newest.is_withdrawal:
        return None, rows
    return newest, rows[:-1]


def version_to_read(services: Services, key: str) -> FileRow | None:
    """The newest version of a file, to be sent again and read under the rules of today; None where
    the run will do so, since it is planned.

    For a file that was set aside, or whose profile or contract has changed since. Raises
    ``UsageError`` for one that is neither set aside nor counts.
    """
    key, rows = file_versions(services, key)
    planned, _ = split_planned(rows)
    if planned is not None:
        return None
    newest = rows[-1]
    if newest.status not in (FileStatus.PUBLISHED, FileStatus.ERROR) or newest.is_withdrawal:
        raise UsageError(
            f"{key} cannot be read again",
            expected="a file that counts or was set aside",
            found=_state(rows),
            action=_versions_of(key),
        )
    return newest


def find_sendable(services: Services, row: FileRow) -> ObjectInfo:
    """The row's archived object, fit to be copied into the inbox, under the key that it had.

    Raises ``PipelineError`` where another object is there already, or the row's own, which waits to
    be archived; and where the archived one is not the one that was taken.
    """
    store = services.store
    is_archived = row.file_location != store.location(row.file_name)
    check_inbox(services, {row.file_name: row.sha256 if is_archived else None})
    return find_archived(store, row, store.sha256)


def check_inbox(services: Services, contents: Mapping[str, str | None]) -> None:
    """Raises ``PipelineError`` where an object is at one of these keys already, other than one with
    this SHA-256: a command that was cut short has sent it."""
    for key, sha256 in contents.items():
        there = services.store.head(key)
        if there is not None and services.store.sha256(there) != sha256:
            raise PipelineError(
                f"{key} is in the inbox already",
                action="Run the pipeline first, then try again",
            )


def file_versions(services: Services, key: str) -> tuple[str, list[FileRow]]:
    """The key as the staging table has it, and its rows; ``UsageError`` for an unknown one.

    Where it has no such key, it is the one that only differs in how accents are written.
    """
    inbox = services.settings.inbox_prefix
    names = (key, inbox + key)
    found = in_transaction(services.engine, lambda there: staging_table.rows_by_key(there, names))
    for name in names:
        if found.get(name):
            return name, found[name]
    near = _keys_like(services, key)
    wanted = {composed(name) for name in names}
    same = [name for name in near if composed(name) in wanted]
    if len(same) == 1:
        return file_versions(services, same[0])
    shown = ", ".join((same or near)[:_SHOWN])
    raise UsageError(
        f"There is no file {key}",
        found=f"files whose names contain it: {shown}" if shown else None,
        action="python run_pipeline.py status TEXT lists the files whose key contains TEXT",
    )


def _keys_like(services: Services, text: str) -> list[str]:
    """The keys that contain the text, however its accents are written, sorted."""
    query = sa.select(staging_table.files.c.file_name)
    part = composed(text)

    def read(connection: Connection) -> list[str]:
        found = connection.execute(query.execution_options(yield_per=_KEYS_AT_ONCE))
        keys: Iterable[str] = found.scalars()
        return sorted({key for key in keys if part in composed(key)})

    return in_transaction(services.engine, read)


def _versions_of(key: str) -> str:
    return f"python run_pipeline.py status {shlex.quote(key)} shows its versions"


def _state(rows: list[FileRow]) -> str:
    newest = rows[-1]
    return f"status {newest.status}" + (f", {newest.reason}" if newest.reason else "")
