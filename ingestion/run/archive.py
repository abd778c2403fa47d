"""Moves the objects of checked files out of the inbox: to the processed or the error prefix."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database.staging_table import FileRow, FileStatus
from ingestion.errors import PipelineError
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

    Raises ``PipelineError`` where it is gone, or has other bytes than were taken from the inbox.
    Of a file that was set aside for its name, only their number is known.
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


def move_all(
    store: ObjectStore,
    rows: Sequence[FileRow],
    target: Callable[[FileRow], str],
    local: Callable[[FileRow], Path],
    replaced: Collection[int],
    threads: int,
    progress: Callable[[int], None],
) -> dict[int, str]:
    """Moves each row's object out of the inbox and returns the rows' new locations.

    An object that an interrupted run has moved already is found at its target. One that a sender
    replaced meanwhile stays: its new version is taken by the next run, and of the old one the
    ``local`` copy is archived, if it is there. So it is for rows whose ids are in ``replaced``: the
    same bytes in the inbox were sent after the newer version. ``progress`` is called with 1 after
    each object, from several threads.
    """

    def move(row: FileRow) -> str | None:
        location = _move(store, row, target(row), local(row), is_replaced=row.id in replaced)
        progress(1)
        return location

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        moved = pool.map(move, rows)
        return {row.id: location for row, location in zip(rows, moved, strict=True) if location}


def _move(
    store: ObjectStore, row: FileRow, target: str, local: Path, *, is_replaced: bool
) -> str | None:
    from ingestion.s3.keys import fitting_key, unique_key
    from ingestion.s3.object_store import ObjectChanged, ObjectGone, ObjectInfo

    info = ObjectInfo(row.file_name, row.etag, row.size_bytes)
    target = fitting_key(target)
    if not is_replaced:
        with contextlib.suppress(ObjectChanged, ObjectGone):
            return store.location(store.move(info, target, row.sha256))
    there = store.head(target)
    if there is not None and (there.etag, there.size) == (row.etag, row.size_bytes):
        return store.location(target)
    if row.sha256 is None or not local.exists():
        return None
    key = unique_key(target, row.sha256)
    store.put_file(key, local)
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
