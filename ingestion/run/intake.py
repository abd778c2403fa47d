"""Takes objects from the inbox: which are new, which are known, and their bytes on local disk."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.profiles import FileProfile, profile_for
from ingestion.database.staging_table import (
    Delivery,
    FileRow,
    FileStatus,
    counting_row,
    replacing_rows,
)
from ingestion.local_paths import local_path

if TYPE_CHECKING:
    from ingestion.s3.errors import ObjectRefused
    from ingestion.s3.object_store import ObjectInfo, ObjectStore

_LOG = logging.getLogger(__name__)
CSV_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz")


@dataclasses.dataclass(frozen=True)
class Inbox:
    """What a listing of the inbox holds: ``new`` objects are to be taken, ``planned`` ones belong
    to the batch that an earlier run left unfinished. Objects of that batch that only wait to be
    moved are neither."""

    new: tuple[ObjectInfo, ...]
    planned: tuple[ObjectInfo, ...]


@dataclasses.dataclass(frozen=True)
class Downloaded:
    """What came of a download: ``deliveries`` in key order; the keys that were replaced or removed
    meanwhile, which are left for the next run; and the keys that S3 does not give out."""

    deliveries: tuple[Delivery, ...]
    changed: tuple[str, ...]
    refused: Mapping[str, ObjectRefused]


def list_inbox(store: ObjectStore, prefix: str) -> list[ObjectInfo]:
    """Every object of the inbox; zero-byte folder markers are none."""
    return [
        info
        for info in store.list_objects(prefix)
        if not (info.key.endswith("/") and info.size == 0)
    ]


def sort_inbox(
    objects: Iterable[ObjectInfo],
    unfinished: Iterable[FileRow],
    location_of: Callable[[str], str],
) -> Inbox:
    """Sorts by key and ETag alone, never by a time.

    ``unfinished`` are the rows of the batch that is not archived yet, ``location_of`` gives the
    location of a key. An object that comes again after its move, or after another version of its
    key, is new: its content decides.
    """
    unfinished = [row for row in unfinished if not row.is_withdrawal]
    newest = {row.file_name: row.id for row in unfinished}
    waiting = {
        (row.file_name, row.etag): row
        for row in unfinished
        if row.file_location == location_of(row.file_name)
    }
    new, planned = [], []
    for info in objects:
        row = waiting.get((info.key, info.etag))
        if row is None or row.id != newest[info.key]:
            new.append(info)
        elif row.status == FileStatus.PLANNED:
            planned.append(info)
    return Inbox(tuple(new), tuple(planned))


def is_csv_name(key: str, inbox_prefix: str, profiles: Sequence[FileProfile]) -> bool:
    """Whether the name promises a sales file: a CSV ending in any case, or a profile's pattern."""
    relative = key.removeprefix(inbox_prefix)
    if relative.endswith("/"):
        return False
    return relative.lower().endswith(CSV_SUFFIXES) or profile_for(relative, profiles) is not None


def not_csv_reason(key: str) -> str:
    """The reason of a file whose name is no CSV name."""
    return (
        f"name: not the name of a CSV file. Expected: a name ending in {', '.join(CSV_SUFFIXES)}. "
        f"Found: {key.rpartition('/')[2] or key!r}. Send the sales as a CSV file under such a "
        "name; if this is one, rename it or add a file profile whose pattern matches its key"
    )


def clean_downloads(root: Path, keep: Collection[tuple[str, str]]) -> int:
    """Deletes local leftovers that no planned file explains; ``keep`` holds (key, ETag).

    Returns how many were deleted. A leftover never becomes rows by itself.
    """
    if not root.is_dir():
        return 0
    kept = {local_path(root, key, etag) for key, etag in keep}
    removed = 0
    for path in list(root.iterdir()):
        if path.is_dir():  # of files that were read again; empty, unless their run was killed
            shutil.rmtree(path)
        elif path not in kept:
            path.unlink()
            removed += 1
    return removed


def download_all(
    store: ObjectStore,
    objects: Sequence[ObjectInfo],
    root: Path,
    threads: int,
    progress: Callable[[int], None] | None = None,
) -> Downloaded:
    """Downloads each object once, at the ETag that was listed.

    ``progress`` gets the bytes that have arrived since its last call, from several threads.
    """
    from ingestion.s3.errors import ObjectRefused
    from ingestion.s3.object_store import ObjectChanged, ObjectGone

    def take(info: ObjectInfo) -> Delivery | ObjectRefused | None:
        path = local_path(root, info.key, info.etag)
        try:
            sha256 = store.download(info, path, progress)
        except (ObjectChanged, ObjectGone):
            _LOG.info("%s changed while it was read; the next run takes it", info.key)
            return None
        except ObjectRefused as error:
            return error
        return Delivery(info.key, store.location(info.key), info.etag, sha256, info.size)

    root.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        taken = list(zip(objects, pool.map(take, objects), strict=True))
    return Downloaded(
        tuple(item for _, item in taken if isinstance(item, Delivery)),
        tuple(info.key for info, item in taken if item is None),
        {info.key: item for info, item in taken if isinstance(item, ObjectRefused)},
    )


def already_loaded(
    deliveries: Iterable[Delivery], rows: Mapping[str, Sequence[FileRow]]
) -> list[tuple[Delivery, FileRow]]:
    """The deliveries that repeat what counts under their own key, with the row that counts.

    What an unfinished batch is about to replace, by a copy of another file or by a withdrawal,
    counts no longer: sent again, it is the newest version.
    """
    found = []
    for delivery in deliveries:
        known = rows.get(delivery.key, ())
        counted = counting_row(known)
        if counted is None or counted.is_read_again:
            continue
        if counted.id in replacing_rows(known):
            continue
        if delivery.sha256 == counted.sha256:
            found.append((delivery, counted))
    return found
