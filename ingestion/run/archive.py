"""Moves the objects of checked files out of the inbox: to the processed or the error prefix."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database.staging_table import FileRow, FileStatus, is_accepted
from ingestion.errors import PipelineError
from ingestion.local_paths import local_path
from ingestion.reader.verdicts import FileReport

if TYPE_CHECKING:
    from ingestion.config.settings import Settings
    from ingestion.s3.object_store import ObjectInfo, ObjectStore

REASONS_SUFFIX = ".reasons.json"


def target_key(row: FileRow, settings: Settings) -> str:
    """Where the row's object belongs: the error prefix for 'E', else the processed prefix.

    A sender's object that is named like the reasons of another keeps out of their way by its id.
    """
    relative = row.file_name.removeprefix(settings.inbox_prefix)
    if row.status != FileStatus.ERROR:
        return settings.processed_prefix + relative
    its_own = f"~{row.id}" if relative.endswith(REASONS_SUFFIX) else ""
    return settings.error_prefix + relative + its_own


def find_archived(
    store: ObjectStore, row: FileRow, read: Callable[[ObjectInfo], str]
) -> ObjectInfo:
    """The row's object where it lies now; ``read`` gives the SHA-256 of its bytes, in hex.

    Raises ``PipelineError`` if it is gone, or has other bytes than were taken from the inbox. Of a
    file that was set aside for its name, only the number of bytes is known.
    """
    info = store.head(store.key_at(row.file_location))
    if info is not None and info.size == row.size_bytes and row.sha256 in (None, read(info)):
        return info
    known = f"{row.size_bytes:,} bytes" + (f" with the SHA-256 {row.sha256}" if row.sha256 else "")
    raise PipelineError(
        f"The object of {row.file_name} (id {row.id}) is not the one that was taken",
        expected=f"{known} at {row.file_location}",
        found="no object there" if info is None else "other content",
        action="Restore it, or send the file again",
    )


def reasons_json(row: FileRow, report: FileReport) -> bytes:
    """The small JSON beside an object that was set aside."""
    content = {
        "file_name": row.file_name,
        "file_id": row.id,
        "etag": row.etag,
        "sha256": row.sha256,
        "size_bytes": row.size_bytes,
        "reasons": [{"code": item.code, "message": item.message} for item in report.reasons],
        "rows_read": report.rows_read,
        "rows_faulty": report.rows_faulty,
        "first_bad_rows": [
            {"line_number": bad.line_number, "reason": bad.reason, "text": bad.text}
            for bad in report.first_bad_rows
        ],
        "what_to_do": "Correct the file and send it again under the same name; none of it counts",
    }
    return json.dumps(content, indent=1, ensure_ascii=False).encode()


@dataclasses.dataclass(frozen=True)
class ObjectMove:
    """The way of a row's object out of the inbox, to the key ``target``; ``local`` is where its
    copy on this machine is, if there is one.

    ``keeps_inbox`` where what lies in the inbox is a later delivery: only the local copy is
    archived then.
    """

    row: FileRow
    target: str
    local: Path
    keeps_inbox: bool


def plan_moves(
    waiting: Iterable[FileRow], batch: Iterable[FileRow], settings: Settings, downloads: Path
) -> list[ObjectMove]:
    """How the objects of the ``waiting`` rows leave the inbox; ``batch`` has all rows with an
    object of their batch, oldest first.

    Bytes that came again after another version of their key are one object: that of the newest row.
    """
    newest, last = {}, {}
    for row in batch:
        newest[row.file_name, row.etag] = last[row.file_name] = row.id
    return [
        ObjectMove(
            row,
            target_key(row, settings),
            local_path(downloads, row.file_name, row.etag),
            # one that counts may have been sent again after a version that was refused
            keeps_inbox=row.id != last[row.file_name] and not is_accepted(row),
        )
        for row in waiting
        if row.id == newest[row.file_name, row.etag]
    ]


def move_all(
    store: ObjectStore, moves: Sequence[ObjectMove], threads: int, progress: Callable[[int], None]
) -> dict[int, str]:
    """Moves the objects out of the inbox and returns the new locations by the rows' ids.

    An object that an interrupted run has moved already is found at its target. One that a sender
    replaced meanwhile stays: its new version is taken by the next run, and of the old one the local
    copy is archived, if it is there. ``progress`` is called with 1 after each object, from several
    threads.
    """

    def move(planned: ObjectMove) -> str | None:
        location = _move(store, planned)
        progress(1)
        return location

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        moved = list(zip(moves, pool.map(move, moves), strict=True))
    return {planned.row.id: location for planned, location in moved if location}


def _move(store: ObjectStore, planned: ObjectMove) -> str | None:
    from ingestion.s3.keys import fitting_key, unique_key
    from ingestion.s3.object_store import ObjectChanged, ObjectGone, ObjectInfo

    row, target = planned.row, fitting_key(planned.target)
    if not planned.keeps_inbox:
        info = ObjectInfo(row.file_name, row.etag, row.size_bytes)
        with contextlib.suppress(ObjectChanged, ObjectGone):
            return store.location(store.move(info, target, row.sha256))
    there = store.head(target)
    if there is not None and (there.etag, there.size) == (row.etag, row.size_bytes):
        return store.location(target)
    if row.sha256 is None or not planned.local.exists():
        return None
    key = unique_key(target, row.sha256)
    store.put_file(key, planned.local)
    return store.location(key)


def put_reasons(
    store: ObjectStore, refused: Sequence[tuple[FileRow, FileReport, str]], threads: int
) -> None:
    """Writes the JSON beside each object that was set aside; the text is the object's key."""

    def put(item: tuple[FileRow, FileReport, str]) -> None:
        row, report, key = item
        store.put_bytes(f"{key}{REASONS_SUFFIX}", reasons_json(row, report))

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, refused))
