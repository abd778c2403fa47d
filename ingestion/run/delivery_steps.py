"""The steps of a run that handle the files of its batch: check, set aside, archive.

What reads files is imported where it is used: a run that finds nothing does not pay for it.
"""

from __future__ import annotations

import dataclasses
import logging
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.batches import BatchState
from ingestion.database.staging_table import FileRow, FileStatus
from ingestion.local_paths import local_path
from ingestion.run import archive, bronze_recovery, intake, lost_originals
from ingestion.run.run_state import RunState

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.reader.verdicts import FileReport

_LOG = logging.getLogger(__name__)


def check_files(state: RunState) -> None:
    """Gives every planned file its verdict; accepted files become bronze Parquet."""
    from ingestion.run import checking

    bronze_recovery.claim(state)
    rows = state.batch_rows()
    withdrawn = {row.replaces_id for row in rows if row.is_withdrawal}
    uncounted = withdrawn | {row.id for row in rows if not staging_table.is_accepted(row)}
    planned = [row for row in rows if _is_to_check(state, row, uncounted)]
    keys = [row.file_name for row in planned]
    history = state.in_transaction(lambda connection: staging_table.rows_by_key(connection, keys))

    def counted_elsewhere(hashes: Collection[str]) -> Mapping[str, FileRow]:
        found = state.in_transaction(
            lambda connection: staging_table.counted_by_content(connection, hashes)
        )
        return {content: row for content, row in found.items() if row.id not in withdrawn}

    checker = checking.checker(state)
    if state.batch_id is not None:
        bronze_recovery.mark_unfinished(state, [state.batch_id])
        wanted = [row for row in rows if row.status in (FileStatus.PLANNED, FileStatus.SUPERSEDED)]
        checking.remove_strays(checker.bronze, state.batch_id, wanted)
    state.checked = checking.check_batch(
        checker, planned, history, counted_elsewhere, state.steps.progress(len(planned), "files")
    )

    def record(connection: Connection) -> None:
        staging_changes.record_verdicts(connection, [item.verdict for item in state.checked])
        if state.batch_id is not None:
            batches.move_batch(connection, state.batch_id, BatchState.BRONZE, state.run_id)

    state.in_transaction(record)


def _is_to_check(state: RunState, row: FileRow, uncounted: Collection[int | None]) -> bool:
    """Whether the row's file waits for its verdict: it is planned, or it is a copy that an
    interrupted run found, whose original may have been replaced since.

    If the original is ``uncounted`` by now, the copy is checked even without local bytes; it
    becomes ``gone``.
    """
    if row.is_withdrawal:
        return False
    if row.status == FileStatus.DUPLICATE:
        downloads = state.services.workspace.downloads
        is_here = local_path(downloads, row.file_name, row.etag).exists()
        return is_here or row.duplicate_of_id in uncounted
    return row.status == FileStatus.PLANNED


def move_uncounted_files(state: RunState) -> None:
    """Moves what does not count: refused files to the error prefix, copies to processed.

    A copy of a file of this batch waits: the models may refuse both.
    """
    rows = state.batch_rows()
    accepted = {row.id for row in rows if staging_table.is_accepted(row)}
    aside = [row for row in rows if row.id not in accepted and row.duplicate_of_id not in accepted]
    _move_out(state, aside)


def archive_batch(state: RunState) -> None:
    """Moves the published files out of the inbox and deletes local copies; the batch is done."""
    if state.batch_id is None:
        return
    _move_out(state, state.batch_rows())
    rows = state.batch_rows()
    lost = state.in_transaction(lambda found: lost_originals.find_lost_originals(found, rows))
    state.lost_originals += len(lost)
    state.warnings += lost_originals.warn_of(lost)
    state.archived += rows
    state.move_to(BatchState.ARCHIVED)
    intake.clean_downloads(state.services.workspace.downloads, keep=())


def archive_last_batch(state: RunState) -> None:
    """Archives a batch that an earlier run published but did not archive."""
    batch = state.in_transaction(batches.unfinished_batch)
    if batch is not None and batch.state == BatchState.PUBLISHED:
        bronze_recovery.unmark_published(state, batch)
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
    if not waiting:
        return
    batch = [row for row in state.batch_rows() if not row.is_withdrawal]
    moves = archive.plan_moves(waiting, batch, settings, state.services.workspace.downloads)
    progress = state.steps.progress(len(moves), "objects")
    locations = archive.move_all(store, moves, settings.s3_threads, progress)
    state.warnings += [
        f"{move.row.file_name} counts, but its sender has replaced or removed the object, and "
        "there is no copy left: it cannot be read again"
        for move in moves
        if move.row.status == FileStatus.PUBLISHED and move.row.id not in locations
    ]
    reports = {item.row.id: item.report for item in state.checked}
    reasons = [
        (
            move.row,
            _make_report(state, move.row, reports.get(move.row.id)),
            store.key_at(locations[move.row.id]),
        )
        for move in moves
        if move.row.status == FileStatus.ERROR and move.row.id in locations
    ]
    archive.put_reasons(store, reasons, settings.s3_threads)
    newest = {(row.file_name, row.etag): row for row in batch}
    for row in waiting:  # where an object has several rows, it moved as that of the newest
        moved = newest[row.file_name, row.etag]
        if moved.id != row.id:
            locations[row.id] = locations.get(moved.id, moved.file_location)
    state.in_transaction(lambda connection: staging_changes.record_locations(connection, locations))


def _make_report(state: RunState, row: FileRow, report: FileReport | None) -> FileReport:
    """The report on a file that its check or the models have set aside; ``report`` is that of its
    check in this run, None where an earlier run has checked it."""
    from ingestion.run.checking import recall_report
    from ingestion.run.quarantined_rows import first_bad_rows

    report = report or _read_again(state, row)
    if row.rows_quarantined is None:  # the check set it aside, the models have not seen it
        # a profile added since may take the file, and there may be no copy left
        is_refused_again = not report.accepted and report.reasons[0].code != "gone"
        return report if is_refused_again else recall_report(row)
    lines = {bad.line_number: bad.text for bad in report.first_bad_rows}
    return recall_report(row, first_bad_rows(state.services, state.contract, row.id, lines))


def _read_again(state: RunState, row: FileRow) -> FileReport:
    """What the reader finds in the local copy of a file, if that is there. Its rows are not kept:
    none of a file set aside may be in bronze."""
    from ingestion.run.checking import check_one, checker

    with tempfile.TemporaryDirectory(dir=state.services.workspace.make_scratch()) as folder:
        trial = dataclasses.replace(checker(state), bronze=Path(folder))
        return check_one(trial, row)
