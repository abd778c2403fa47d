"""The rows of accepted files in this workspace: whose they are, and how they come back."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import functools
import logging
import shutil
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.staging_table import FileRow
from ingestion.errors import PipelineError
from ingestion.local_paths import local_path
from ingestion.run.run_state import RunState
from ingestion.warehouse import warehouse_state
from ingestion.warehouse.raw_tables import batch_folder, bronze_path, merged_files, sales_folder

if TYPE_CHECKING:
    from ingestion.database.batches import Batch

_LOG = logging.getLogger(__name__)
_DATABASE = "database"  # a file with the very first run of the database that bronze belongs to
_AGAIN = "read_again"
_UNFINISHED = "unfinished"  # a file with the batches that are being written, and by which run
_TOLD = 5  # files that a warning names


def claim(state: RunState) -> None:
    """Removes the bronze that may not be what the database means: that of another database, which
    has other files under the same numbers, and that of a batch which this workspace began and
    another finished. What is missing then is read again from the archive.
    """
    bronze = state.services.workspace.bronze
    mark = bronze / _DATABASE
    first_run = state.in_transaction(staging_table.first_run)
    if first_run is None:
        return
    if mark.exists() and mark.read_text() != first_run:
        _LOG.warning("the workspace was filled from another database; bronze is read again")
        shutil.rmtree(sales_folder(bronze), ignore_errors=True)
    bronze.mkdir(parents=True, exist_ok=True)
    _write(mark, first_run)
    known = warehouse_state.read_published(state.services.workspace.root)
    recorded = recorded_merges(state, {} if known is None else known.merging)
    strange = [
        batch_id
        for batch_id in _marked(bronze)
        if batch_id != state.batch_id and batch_id not in recorded
    ]
    for batch_id in strange:
        shutil.rmtree(batch_folder(bronze, batch_id), ignore_errors=True)
    unmark(state, strange)


def recorded_merges(state: RunState, merging: Mapping[int, Sequence[int]]) -> set[int]:
    """The new batch ids of an interrupted compaction that were committed; ``merging`` has the old
    ones of each. The number of one that was not may be another workspace's batch by now."""
    if not merging:
        return set()
    marked = _marked(state.services.workspace.bronze)
    runs = state.in_transaction(lambda found: batches.runs_of(found, merging))
    there = set(state.in_transaction(batches.all_batch_ids))

    def is_recorded(batch_id: int) -> bool:
        if marked.get(batch_id):
            return runs.get(batch_id) == marked[batch_id]
        return there.isdisjoint(merging[batch_id])

    return set(filter(is_recorded, merging))


def mark_unfinished(state: RunState, batch_ids: Sequence[int]) -> None:
    """Notes that this run writes the bronze of these batches, until it has finished them."""
    _mark(state.services.workspace.bronze, dict.fromkeys(batch_ids, state.run_id))


def unmark(state: RunState, batch_ids: Collection[int | None]) -> None:
    """Notes that the bronze of these batches is what the database means, or is gone."""
    bronze = state.services.workspace.bronze
    marked = _marked(bronze)
    staying = {batch_id: run for batch_id, run in marked.items() if batch_id not in batch_ids}
    if staying != marked:
        _mark(bronze, staying)


def unmark_published(state: RunState, batch: Batch) -> None:
    """The same for a published batch, if it was published from the bronze of this workspace."""
    if _marked(state.services.workspace.bronze).get(batch.batch_id) == batch.run_id:
        unmark(state, [batch.batch_id])


def _mark(bronze: Path, runs: Mapping[int, str]) -> None:
    bronze.mkdir(parents=True, exist_ok=True)
    _write(bronze / _UNFINISHED, "\n".join(f"{batch} {run}" for batch, run in runs.items()))


def _write(mark: Path, text: str) -> None:
    """A reader never meets half of it, and what is right already stays untouched."""
    if not mark.exists() or mark.read_text() != text:
        fresh = mark.with_name(f".{mark.name}")
        fresh.write_text(text)
        fresh.replace(mark)


def _marked(bronze: Path) -> dict[int, str]:
    path = bronze / _UNFINISHED
    lines = path.read_text().splitlines() if path.exists() else []
    parts = [line.partition(" ") for line in lines]  # older versions noted no run
    return {int(batch_id): run_id for batch_id, _, run_id in parts}


def read_missing_files(state: RunState, batch_ids: Sequence[int] | None) -> None:
    """Reads the archived files of these batches (None: of all) again whose bronze is missing in
    this workspace, as on a new machine.

    Raises ``PipelineError`` for a file that counts if its archived object is gone, has other
    content, or would be read as other sales today. A file that was set aside has no sales that
    count: if it cannot be read, its rows are left out, with a warning. The rows of a file that is
    about to be withdrawn are left out if everything is built; an increment needs its months.
    """
    claim(state)
    bronze = state.services.workspace.bronze
    merged = functools.cache(lambda batch_id: merged_files(bronze, batch_id))

    def is_missing(row: FileRow) -> bool:
        if not staging_table.is_in_bronze(row):
            return False
        is_there = bronze_path(bronze, row.batch_id, row.id).exists()
        return not is_there and not any(row.id in ids for ids in merged(row.batch_id))

    withdrawn = {row.replaces_id for row in state.batch_rows() if row.is_withdrawal}
    needless = withdrawn if batch_ids is None else set()
    missing = [
        row
        for row in state.rows_of_batches(batch_ids)
        if row.id not in needless and is_missing(row)
    ]
    if not missing:
        return
    _LOG.info("bronze of %d files is missing; their archived objects are read again", len(missing))
    progress = state.steps.progress(len(missing), "files")

    def read(row: FileRow) -> str | None:
        fault = _read_archived(state, row, is_withdrawn=row.id in withdrawn)
        progress(1)
        return fault

    with concurrent.futures.ThreadPoolExecutor(state.services.settings.s3_threads) as pool:
        faults = list(filter(None, pool.map(read, missing)))
    if faults:
        more = f" and {len(faults) - _TOLD} more" if len(faults) > _TOLD else ""
        state.warnings.append(
            "rows of files that were set aside are no longer among the quarantined ones, since "
            f"they cannot be read again: {', '.join(faults[:_TOLD])}{more}"
        )


def _read_archived(state: RunState, row: FileRow, *, is_withdrawn: bool) -> str | None:
    """Reads the rows of one archived file; if it was set aside and cannot be read, returns why."""
    from ingestion.run import checking

    store = state.services.store
    # beside bronze, where a run that is killed leaves nothing that passes for its rows
    folder = state.services.workspace.downloads / _AGAIN / str(row.id)
    trial = dataclasses.replace(checking.checker(state), downloads=folder, bronze=folder)
    path = local_path(folder, row.file_name, row.etag)
    path.parent.mkdir(parents=True, exist_ok=True)
    info = store.head(store.key_at(row.file_location))
    sha256 = None if info is None else store.download(info, path)
    report = checking.check_one(trial, row) if sha256 == row.sha256 else None
    counts = staging_table.is_accepted(row)
    action = "Restore the object, or retract the file"
    found = ""
    if report is None:
        found = "no object there" if info is None else "different content"
    elif not report.accepted:
        found = f"a file that is refused today: {report.reasons[0].message}"
    # of a file that was set aside, no sale counts, whatever a profile makes of it by now
    elif counts and row.content_sha256 not in (None, report.content_sha256):
        found = "a file profile other than the one it was loaded with, or one where there was none:"
        found += " its constants, formulas, date format or decimal mark differ"
        action = "Restore the old profile, if there was one, and limit the pattern of the other one"
        action += " to the new files"
    if report is None or found:
        shutil.rmtree(folder)
        if not counts:
            return f"{row.file_name} (id {row.id}): {found}"
        raise PipelineError(
            f"The rows of {row.file_name} (id {row.id}) cannot be restored",
            expected=f"the archived object with its {row.rows_read} rows at {row.file_location}",
            found=found,
            action="Run again with --full-refresh" if is_withdrawn else action,
        )
    place = bronze_path(state.services.workspace.bronze, row.batch_id, row.id)
    place.parent.mkdir(parents=True, exist_ok=True)
    bronze_path(trial.bronze, row.batch_id, row.id).replace(place)
    shutil.rmtree(folder)
    if report.rows_read != row.rows_read:  # an older version of the reader counted them otherwise
        _LOG.info("%s has %d rows, not %s", row.file_name, report.rows_read, row.rows_read)
        state.in_transaction(
            lambda connection: staging_changes.record_rows_read(
                connection, row.id, report.rows_read
            )
        )
    return None
