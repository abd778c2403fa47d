"""The steps of a compaction: plan, merge bronze, merge facts, note it in the database, settle.

No mart is built and nothing is published: rows move as they are, from many small files into few.
Until the database names the new batches, everything old is there; afterwards, everything new.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion.database import batches, staging_table
from ingestion.errors import PipelineError
from ingestion.publication.mart_files import published_models
from ingestion.run import bronze_recovery, build_scope, compaction, intake
from ingestion.run.compaction import Merge
from ingestion.run.compaction_report import Layer, measured
from ingestion.run.run_state import RunState
from ingestion.warehouse import fact_tables, ledger, warehouse_state
from ingestion.warehouse.dbt_manifest import last_manifest, read_manifest
from ingestion.warehouse.raw_tables import batch_folders

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from ingestion.warehouse.ledger import LedgerEntry

_LOG = logging.getLogger(__name__)


def refuse_unfinished(state: RunState) -> None:
    """``PipelineError`` while a batch is unfinished: its run comes first."""
    batch = state.in_transaction(batches.unfinished_batch)
    if batch is not None:
        raise PipelineError(
            f"Batch {batch.batch_id} is not finished; nothing was compacted",
            expected="only batches that are published and archived",
            found=f"a batch that is {batch.state.value}",
            action="Finish it with python run_pipeline.py, then compact",
        )


def is_cut_short(state: RunState) -> bool:
    """Whether an earlier compaction was ended before its last step."""
    known = warehouse_state.read_published(state.services.workspace.root)
    return known is not None and bool(known.merging)


def last_kept_logic(state: RunState) -> str:
    """``build_scope.kept_logic`` of the models as dbt has read them in its last command in the
    workspace, since a compaction parses none; '' where it has not read them yet."""
    manifest = last_manifest(state.services.workspace.dbt_target)
    return "" if manifest is None else build_scope.kept_logic(state, manifest)


def plan(state: RunState, logic: str, before: str) -> list[Merge]:
    """The merges that are worth making; none where there is nothing to compact. ``logic`` is what
    ``last_kept_logic`` gave.

    Raises ``PipelineError`` where the warehouse has to be built anew before.
    """
    workspace = state.services.workspace
    archived = state.in_transaction(batches.finished_batch_ids)
    if len(archived) < 2:  # the newest one stays
        return []
    known = warehouse_state.read_state(workspace.root)
    manifest = last_manifest(workspace.dbt_target)
    is_current = known is not None and known.logic_hash == logic
    as_published = is_current and build_scope.is_as_published(state)
    if manifest is None or not as_published or not build_scope.holds_batches(state, manifest):
        raise PipelineError(
            "The warehouse cannot be compacted as it is",
            expected="the tables that the last run built, with the current models",
            found="others, of other models or batches" if known else "none in this workspace",
            action="Build them with python run_pipeline.py run --full-refresh, then compact",
        )
    tables = fact_tables.fact_tables(manifest, workspace.warehouse)
    fact_tables.check_folders(tables)
    months = fact_tables.months_of_batches(tables)
    rows = state.in_transaction(staging_table.all_rows)
    return compaction.plan_merges(rows, archived, months, workspace.bronze, before)


def measure(state: RunState) -> dict[str, Layer]:
    """The files, bytes and batches of each layer, as they are now."""
    workspace = state.services.workspace
    manifest = read_manifest(workspace.dbt_target)
    known = state.in_transaction(batches.all_batch_ids)
    folders = batch_folders(workspace.bronze)
    tables = fact_tables.fact_tables(manifest, workspace.warehouse)
    lines = [
        fact_tables.table_folder(workspace.warehouse, model.relation)
        for model in published_models(manifest, with_reports=False)
        if not model.database
    ]
    return {
        "bronze": measured([folders[item] for item in known if item in folders], len(known)),
        "facts": measured(
            [table.folder for table in tables],
            len(fact_tables.months_of_batches(tables)),
        ),
        "line marts": measured(lines, None),
    }


def merge_bronze(state: RunState, merges: Sequence[Merge]) -> None:
    """Writes the new batches' bronze beside the old; what is missing is read again before."""
    workspace = state.services.workspace
    old_ids = [old_id for merge in merges for old_id in merge.old_ids]
    bronze_recovery.read_missing_files(state, old_ids)
    intake.clean_downloads(workspace.downloads, keep=())
    bronze_recovery.mark_unfinished(state, [merge.batch_id for merge in merges])
    advance = state.steps.progress(
        sum(len(part) for merge in merges for part in merge.parts), "files"
    )
    for merge in merges:
        compaction.write_bronze(workspace.bronze, merge, advance)


def merge_facts(
    state: RunState, session: SparkSession, merges: Sequence[Merge]
) -> list[LedgerEntry]:
    """Copies the facts into the new batches' partitions, and holds them against the old ones.

    Returns what the models have counted of the files that move. Raises ``PipelineError`` where
    rows differ, or the count of a file.
    """
    workspace = state.services.workspace
    manifest = read_manifest(workspace.dbt_target)
    tables = fact_tables.fact_tables(manifest, workspace.warehouse)
    merging = _merging(merges)
    others = warehouse_state.list_hash(workspace.warehouse, [table.folder for table in tables])
    known = warehouse_state.read_published(workspace.root)
    assert known is not None, "plan() has seen it"
    begun = dataclasses.replace(known, files=others, merging=merging)
    warehouse_state.write_state(workspace.root, begun)
    for table in tables:
        fact_tables.copy_batches(session, table, merging)
        fact_tables.check_copies(session, table, merging)
    rows = state.rows_of_batches([old_id for merge in merges for old_id in merge.old_ids])
    counted = state.in_transaction(lambda found: staging_table.counted_rows(found, rows))
    entries = ledger.read_ledger(session, manifest, list(merging))
    ledger.check_ledger(entries, counted)
    return entries


def record(state: RunState, merges: Sequence[Merge]) -> None:
    """Makes the new batches those of the files, in one transaction: from here on they count."""
    merging = _merging(merges)
    state.in_transaction(
        lambda connection: batches.merge_batches(connection, merging, state.run_id)
    )


def _merging(merges: Sequence[Merge]) -> dict[int, list[int]]:
    return {merge.batch_id: list(merge.old_ids) for merge in merges}


def settle(state: RunState, session: SparkSession, logic: str) -> None:
    """Removes what the database does not name: the old batches, or new ones never recorded.

    For the end of a compaction, and for the next command after one that was interrupted. If the
    models or other tables have changed since, it does nothing, and the next run builds everything.
    ``logic`` is the hash of the models that make the rows which outlast a build.
    """
    workspace = state.services.workspace
    known = warehouse_state.read_published(workspace.root)
    if known is None or not known.merging:
        return
    manifest = last_manifest(workspace.dbt_target)
    if known.logic_hash != logic or manifest is None:
        return
    tables = fact_tables.fact_tables(manifest, workspace.warehouse)
    others = warehouse_state.list_hash(workspace.warehouse, [table.folder for table in tables])
    if known.files != others:
        _LOG.warning("other tables were changed meanwhile: the next run rebuilds all of them")
        return
    batch_ids = state.in_transaction(batches.all_batch_ids)
    recorded = bronze_recovery.recorded_merges(state, known.merging)
    unnamed: list[int] = []
    for new_id, old_ids in known.merging.items():
        unnamed += old_ids if new_id in recorded else [new_id]
    for table in tables:
        fact_tables.drop_batches(session, table, unnamed)
    compaction.remove_unknown_bronze(workspace.bronze, batch_ids)
    bronze_recovery.unmark(state, known.merging.keys() - {state.batch_id})
    files = warehouse_state.list_hash(workspace.warehouse)
    settled = dataclasses.replace(known, files=files, merging={})
    warehouse_state.write_state(workspace.root, settled)
    _LOG.info("removed batches %s", ", ".join(map(str, sorted(unnamed))))
