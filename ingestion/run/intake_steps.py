"""The steps of a run that take files: list the inbox, download, plan the batch.

What talks to S3 is imported where it is used: a run that finds nothing does not pay for it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.staging_table import Delivery, FileRow, FileStatus
from ingestion.local_paths import local_path
from ingestion.run import archive, intake
from ingestion.run.run_state import RunState
from ingestion.warehouse.java import find_java

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.database.batches import Batch
    from ingestion.s3.errors import ObjectRefused

_LOG = logging.getLogger(__name__)
_TOLD = 5  # files of which each has a warning of its own


@dataclasses.dataclass(frozen=True)
class Listing:
    """What there is to take: the ``inbox``, the batch that an earlier run has left ``unfinished``,
    and the rows of each key in the inbox."""

    inbox: intake.Inbox
    unfinished: Batch | None
    history: Mapping[str, Sequence[FileRow]]


def list_inbox(state: RunState) -> Listing | None:
    """What there is to take, or to take up again; None where there is nothing.

    Local leftovers that nothing explains are removed. Raises ``PipelineError`` where there is no
    Java: that is found out before any file is planned.
    """
    store, settings = state.services.store, state.services.settings
    objects = intake.list_inbox(store, settings.inbox_prefix)
    keys = [info.key for info in objects]
    unfinished, pending = state.in_transaction(_unfinished)
    history = state.in_transaction(lambda found: staging_table.rows_by_key(found, keys))
    inbox = intake.sort_inbox(objects, pending, store.location)
    kept = {(row.file_name, row.etag) for row in pending}
    removed = intake.clean_downloads(state.services.workspace.downloads, kept)
    if removed:
        _LOG.info("%d local leftovers of an earlier run removed", removed)
    if not inbox.new and unfinished is None:
        return None
    find_java(os.environ)
    return Listing(inbox, unfinished, history)


def download(state: RunState, listing: Listing) -> list[Delivery]:
    """Brings the objects that are to be read to this machine, and returns the files to plan, in key
    order.

    A file that repeats what is loaded is counted once and not planned again. A file whose name is
    no sales file's is planned without being read.
    """
    store, settings = state.services.store, state.services.settings
    new, unfinished = listing.inbox.new, listing.unfinished
    named = {
        info.key
        for info in new
        if intake.is_csv_name(info.key, settings.inbox_prefix, settings.profiles)
    }
    downloaded = _fetch_listed(state, listing.inbox, named)
    read = [item for item in downloaded if item.key in named]
    repeats = intake.already_loaded(read, listing.history)
    _absorb_repeats(state, repeats)
    if unfinished is not None:
        moved = state.in_transaction(
            lambda found: staging_table.rows_of_batch(found, unfinished.batch_id)
        )
        _fetch_moved(state, moved)
    repeated = {delivery.key for delivery, _ in repeats}
    planned = [item for item in read if item.key not in repeated]
    planned += [
        Delivery(info.key, store.location(info.key), info.etag, None, info.size)
        for info in new
        if info.key not in named
    ]
    return sorted(planned, key=lambda delivery: delivery.key)


def plan_batch(state: RunState, listing: Listing, planned: Sequence[Delivery]) -> None:
    """Opens a batch with these files, or adds them to the unfinished one; where there is neither,
    the run has none."""
    if planned or listing.unfinished is not None:
        state.batch_id = state.in_transaction(lambda connection: _plan(connection, planned, state))


def _unfinished(connection: Connection) -> tuple[Batch | None, list[FileRow]]:
    batch = batches.unfinished_batch(connection)
    rows = [] if batch is None else staging_table.rows_of_batch(connection, batch.batch_id)
    return batch, rows


def _fetch_listed(
    state: RunState, inbox: intake.Inbox, named: Collection[str]
) -> Sequence[Delivery]:
    """Brings the ``named`` new objects to this machine, and planned ones that are not on it; notes
    those that S3 did not give out, or that changed meanwhile."""
    store, settings = state.services.store, state.services.settings
    downloads = state.services.workspace.downloads
    wanted = [info for info in inbox.new if info.key in named]
    lost = [
        info for info in inbox.planned if not local_path(downloads, info.key, info.etag).exists()
    ]
    downloaded = intake.download_all(
        store,
        [*wanted, *lost],
        downloads,
        settings.s3_threads,
        state.steps.progress(sum(info.size for info in (*wanted, *lost)), "bytes"),
    )
    _note_refused(state, downloaded.refused, {info.key for info in lost})
    state.changed_while_read = list(downloaded.changed)
    return downloaded.deliveries


def _note_refused(
    state: RunState, refused: Mapping[str, ObjectRefused], planned: Collection[str]
) -> None:
    """Warns of the files that S3 does not give out; they stay in the inbox.

    Raises the error of one that an earlier run has ``planned``: it had been read.
    """
    for key, error in refused.items():
        if key in planned:
            raise error
    told = list(refused.items())[:_TOLD]
    state.warnings += [f"{key} stays in the inbox: {error}" for key, error in told]
    if len(refused) > len(told):
        state.warnings.append(f"{len(refused) - len(told)} more files stay in the inbox like these")
    state.unreadable = len(refused)


def _absorb_repeats(state: RunState, repeats: Sequence[tuple[Delivery, FileRow]]) -> None:
    """Counts an object only once if it repeats what is loaded or is about to be.

    While the batch is not published, its row takes over the new object. An object that repeats a
    published file is moved to where that file's own lies, and its row notes it; one that is
    replaced or removed meanwhile is left to the next run.
    """
    from ingestion.s3.object_store import ObjectChanged, ObjectGone, ObjectInfo

    if not repeats:
        return
    store = state.services.store
    waiting = {row.id: item.etag for item, row in repeats if row.status == FileStatus.PLANNED}
    loaded = [repeat for repeat in repeats if repeat[1].id not in waiting]

    def move(repeat: tuple[Delivery, FileRow]) -> str | None:
        delivery, row = repeat
        info = ObjectInfo(delivery.key, delivery.etag, delivery.size_bytes)
        target = archive.target_key(row, state.services.settings)
        try:
            return store.location(store.move(info, target, delivery.sha256))
        except (ObjectChanged, ObjectGone):
            return None

    with concurrent.futures.ThreadPoolExecutor(state.services.settings.s3_threads) as pool:
        moved = list(zip(loaded, pool.map(move, loaded), strict=True))
    state.changed_while_read += [item.key for (item, _), location in moved if location is None]
    rows = [row for (_, row), location in moved if location is not None]
    locations = {row.id: location for (_, row), location in moved if location is not None}

    def record(connection: Connection) -> None:
        staging_changes.record_etags(connection, waiting)
        staging_changes.record_locations(connection, locations)
        staging_changes.add_note(connection, rows, "already loaded: sent again, counted once")

    state.in_transaction(record)
    state.repeated = len(rows)


def _fetch_moved(state: RunState, pending: Sequence[FileRow]) -> None:
    """Brings files of the unfinished batch to this machine whose objects have left the inbox.

    Copies are fetched too: their original may have been superseded in this batch. An interrupted
    run may have found that already; such a copy is planned, and its object has been moved.
    """
    store, downloads = state.services.store, state.services.workspace.downloads
    for row in pending:
        path = local_path(downloads, row.file_name, row.etag)
        has_moved = row.file_location != store.location(row.file_name)
        is_planned = row.status == FileStatus.PLANNED and not row.is_withdrawal
        is_wanted = row.status == FileStatus.DUPLICATE or (is_planned and has_moved)
        if not is_wanted or path.exists():
            continue
        info = store.head(store.key_at(row.file_location))
        if info is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if store.download(info, path) != row.sha256:  # a newer version is at its key
                path.unlink()


def _plan(connection: Connection, planned: Sequence[Delivery], state: RunState) -> int:
    batch_id = batches.open_batch(connection, state.run_id)
    staging_changes.add_deliveries(connection, planned, batch_id=batch_id, run_id=state.run_id)
    return batch_id
