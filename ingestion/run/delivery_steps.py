"""The steps of a run that handle delivered files: take, check, set aside, archive.

What reads files is imported where it is used: a run that finds nothing does not pay for it.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.batches import BatchState
from ingestion.database.staging_table import Delivery, FileRow, FileStatus
from ingestion.local_paths import local_path
from ingestion.run import archive, bronze, intake
from ingestion.run.run_state import RunState
from ingestion.warehouse.java import find_java

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.database.batches import Batch
    from ingestion.reader.verdicts import FileReport
    from ingestion.s3.errors import ObjectRefused

_LOG = logging.getLogger(__name__)
_TOLD = 5  # files of which each has a warning of its own


def take_files(state: RunState) -> bool:
    """Lists and downloads what is new, and plans it; true when a batch is open afterwards."""
    store, settings = state.services.store, state.services.settings
    downloads = state.services.workspace.downloads
    with state.steps.step("list inbox"):
        objects = intake.list_inbox(store, settings.inbox_prefix)
        keys = [info.key for info in objects]
        unfinished, pending = state.in_transaction(_unfinished)
        history = state.in_transaction(lambda found: staging_table.rows_by_key(found, keys))
        inbox = intake.sort_inbox(objects, pending, store.location)
        kept = {(row.file_name, row.etag) for row in pending}
        removed = intake.clean_downloads(downloads, kept)
        if removed:
            _LOG.info("%d local leftovers of an earlier run removed", removed)
    if not inbox.new and unfinished is None:
        return False
    find_java(os.environ)  # that there is no Java is found out before any file is planned
    named = {
        info.key
        for info in inbox.new
        if intake.is_csv_name(info.key, settings.inbox_prefix, settings.profiles)
    }
    with state.steps.step("download"):
        downloaded = _download(state, inbox, named)
        new = [item for item in downloaded if item.key in named]
        repeats = intake.already_loaded(new, history)
        _absorb_repeats(state, repeats)
        if unfinished is not None:
            moved = state.in_transaction(
                lambda found: staging_table.rows_of_batch(found, unfinished.batch_id)
            )
            _fetch_moved(state, moved)
    repeated = {delivery.key for delivery, _ in repeats}
    planned = [item for item in new if item.key not in repeated]
    planned += [
        Delivery(info.key, store.location(info.key), info.etag, None, info.size)
        for info in inbox.new
        if info.key not in named
    ]
    if not planned and unfinished is None:
        return False
    planned.sort(key=lambda delivery: delivery.key)
    state.batch_id = state.in_transaction(lambda connection: _plan(connection, planned, state))
    return True


def _download(state: RunState, inbox: intake.Inbox, named: Collection[str]) -> Sequence[Delivery]:
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


def _fetch_moved(state: RunState, pending: Sequence[FileRow]) -> None:
    """Brings files of the unfinished batch to this machine whose objects have left the inbox.

    So have copies of other files: of what they repeat, another version may be in the batch by now.
    A run that was ended may have found so already, and then the copy counts where it lies.
    """
    store, downloads = state.services.store, state.services.workspace.downloads
    for row in pending:
        path = local_path(downloads, row.file_name, row.etag)
        has_moved = row.file_location != store.location(row.file_name)
        is_active = row.status == FileStatus.ACTIVE and row.etag != staging_table.RETRACTION
        is_wanted = row.status == FileStatus.DUPLICATE or (is_active and has_moved)
        if not is_wanted or path.exists():
            continue
        info = store.head(store.key_at(row.file_location))
        if info is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if store.download(info, path) != row.sha256:  # a newer version is at its key
                path.unlink()


def _unfinished(connection: Connection) -> tuple[Batch | None, list[FileRow]]:
    batch = batches.unfinished_batch(connection)
    rows = [] if batch is None else staging_table.rows_of_batch(connection, batch.batch_id)
    return batch, rows


def _plan(connection: Connection, planned: Sequence[Delivery], state: RunState) -> int:
    batch_id = batches.open_batch(connection, state.run_id)
    staging_changes.add_deliveries(connection, planned, batch_id=batch_id, run_id=state.run_id)
    return batch_id


def _absorb_repeats(state: RunState, repeats: Sequence[tuple[Delivery, FileRow]]) -> None:
    """Counts objects that repeat what is loaded, or is about to be, once.

    Where the batch is not published yet, the object is the row's own from now on. Others are moved
    to where the loaded one lies, which is noted on its row; one that is replaced or removed
    meanwhile is left to the next run.
    """
    from ingestion.s3.object_store import ObjectChanged, ObjectGone, ObjectInfo

    if not repeats:
        return
    store = state.services.store
    waiting = {row.id: item.etag for item, row in repeats if row.status == FileStatus.ACTIVE}
    loaded = [repeat for repeat in repeats if repeat[1].id not in waiting]

    def move(repeat: tuple[Delivery, FileRow]) -> str | None:
        delivery, row = repeat
        info = ObjectInfo(delivery.key, delivery.etag, delivery.size_bytes)
        try:
            return store.location(store.move(info, _target_key(state, row), delivery.sha256))
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


def check_files(state: RunState) -> None:
    """Gives every planned file its verdict; accepted files become bronze Parquet."""
    from ingestion.run import checking

    bronze.claim(state)
    rows = state.batch_rows()
    planned = [row for row in rows if _is_to_check(state, row)]
    withdrawn = {row.replaces_id for row in rows if row.etag == staging_table.RETRACTION}
    keys = [row.file_name for row in planned]
    history = state.in_transaction(lambda connection: staging_table.rows_by_key(connection, keys))

    def counted_elsewhere(hashes: Collection[str]) -> Mapping[str, FileRow]:
        found = state.in_transaction(
            lambda connection: staging_table.counted_by_content(connection, hashes)
        )
        return {content: row for content, row in found.items() if row.id not in withdrawn}

    checker = bronze.checker(state)
    if state.batch_id is not None:
        bronze.mark_unfinished(state, [state.batch_id])
        wanted = [row for row in rows if row.status in (FileStatus.ACTIVE, FileStatus.SUPERSEDED)]
        checking.remove_strays(checker.bronze, state.batch_id, wanted)
    state.checked = checking.check_batch(
        checker, planned, history, counted_elsewhere, state.steps.progress(len(planned), "files")
    )

    def record(connection: Connection) -> None:
        staging_changes.record_verdicts(connection, [item.verdict for item in state.checked])
        if state.batch_id is not None:
            batches.move_batch(connection, state.batch_id, BatchState.BRONZE, state.run_id)

    state.in_transaction(record)


def _is_to_check(state: RunState, row: FileRow) -> bool:
    """Whether the row's file waits for its verdict: planned, or a copy that an interrupted run
    found, of which the first may have been replaced since."""
    if row.etag == staging_table.RETRACTION:
        return False
    if row.status == FileStatus.DUPLICATE:
        downloads = state.services.workspace.downloads
        return local_path(downloads, row.file_name, row.etag).exists()
    return row.status == FileStatus.ACTIVE


def set_files_aside(state: RunState) -> None:
    """Moves what does not count: refused files to the error prefix, copies to processed."""
    _move_out(state, [row for row in state.batch_rows() if not staging_table.is_accepted(row)])


def archive_batch(state: RunState) -> None:
    """Moves the published files out of the inbox and deletes local copies; the batch is done."""
    if state.batch_id is None:
        return
    _move_out(state, state.batch_rows())
    state.archived += state.batch_rows()
    state.move_to(BatchState.ARCHIVED)
    intake.clean_downloads(state.services.workspace.downloads, keep=())


def archive_last_batch(state: RunState) -> None:
    """Archives a batch that an earlier run published but did not archive."""
    batch = state.in_transaction(batches.unfinished_batch)
    if batch is not None and batch.state == BatchState.PUBLISHED:
        bronze.unmark_published(state, batch)
        state.batch_id = batch.batch_id
        archive_batch(state)
        state.batch_id = None
        _LOG.warning(
            "batch %d was published by a run that did not finish; its files are archived now",
            batch.batch_id,
        )
        for row in state.archived:
            if row.status == FileStatus.ERROR:
                _LOG.warning("%s is set aside: %s", row.file_name, row.reason)


def _move_out(state: RunState, rows: Sequence[FileRow]) -> None:
    """Moves the rows' objects out of the inbox, with a JSON beside each one set aside."""
    settings, store = state.services.settings, state.services.store
    waiting = [row for row in rows if row.file_location == store.location(row.file_name)]
    # what came again after another version of its key is one object: that of its newest row
    newest = {(row.file_name, row.etag): row for row in state.batch_rows()}
    again = [row for row in waiting if row.id != newest[row.file_name, row.etag].id]
    waiting = [row for row in waiting if row not in again]
    if not waiting and not again:
        return
    reports = {item.row.id: item.report for item in state.checked if not item.report.accepted}
    locations = archive.move_all(
        store,
        waiting,
        lambda row: _target_key(state, row),
        lambda row: local_path(state.services.workspace.downloads, row.file_name, row.etag),
        settings.s3_threads,
        state.steps.progress(len(waiting), "objects"),
    )
    state.warnings += [
        f"{row.file_name} counts, but its sender has replaced or removed the object, and there is "
        "no copy left: it cannot be read again"
        for row in waiting
        if row.status == FileStatus.INACTIVE and row.id not in locations
    ]
    refused = [row for row in waiting if row.status == FileStatus.ERROR and row.id in locations]
    archive.put_reasons(
        store,
        [
            (
                row,
                reports.get(row.id) or _report_again(state, row),
                store.key_at(locations[row.id]),
            )
            for row in refused
        ],
        settings.s3_threads,
    )
    for row in again:
        moved = newest[row.file_name, row.etag]
        locations[row.id] = locations.get(moved.id, moved.file_location)
    state.in_transaction(lambda connection: staging_changes.record_locations(connection, locations))


def _report_again(state: RunState, row: FileRow) -> FileReport:
    """The report on a file that an earlier run, or the models, have set aside."""
    from ingestion.run.checking import recorded_report
    from ingestion.run.quarantined_rows import first_bad_rows

    report = _report_of_reader(state, row)
    if row.rows_quarantined is None:  # the check set it aside, the models have not seen it
        # a profile added since may take the file, and there may be no copy left
        is_refused_again = not report.accepted and report.reasons[0].code != "gone"
        return report if is_refused_again else recorded_report(row)
    lines = {bad.line_number: bad.text for bad in report.first_bad_rows}
    return recorded_report(row, first_bad_rows(state.services, state.contract, row.id, lines))


def _report_of_reader(state: RunState, row: FileRow) -> FileReport:
    """What the reader finds in a file; where an earlier run has checked it, the local copy is read
    once more, if it is there. Its rows are not kept: none of a file set aside may be in bronze."""
    from ingestion.run.checking import report_on

    known = next((item.report for item in state.checked if item.row.id == row.id), None)
    if known is not None:
        return known
    with tempfile.TemporaryDirectory(dir=state.services.workspace.make_scratch()) as folder:
        trial = dataclasses.replace(bronze.checker(state), bronze=Path(folder))
        return report_on(trial, row)


def _target_key(state: RunState, row: FileRow) -> str:
    settings = state.services.settings
    return archive.target_key(
        row, settings.inbox_prefix, settings.processed_prefix, settings.error_prefix
    )
