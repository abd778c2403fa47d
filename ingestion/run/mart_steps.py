"""The steps of a run that make marts: Spark, raw tables, one dbt build, audit, publication."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.settings import Settings
from ingestion.database import batches, staging_table
from ingestion.database.batches import BatchState
from ingestion.errors import PipelineError
from ingestion.publication import publish
from ingestion.publication.manifest import MartTable, touched_months
from ingestion.publication.mart_files import ScannedTable, published_models, scan_table
from ingestion.publication.publications import current_publication
from ingestion.reader.contract import Contract, read_contract
from ingestion.run.run_state import DIMENSION_CONTRACT, RunState
from ingestion.warehouse import (
    class_archive,
    dbt_build,
    dimensions,
    fact_tables,
    ledger,
    raw_tables,
    spark,
    warehouse_state,
)
from ingestion.warehouse.dbt_build import BuildResult, DbtProject
from ingestion.warehouse.spark import WorkSize
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from pyspark.sql import SparkSession
    from sqlalchemy.engine import Connection

    from ingestion.publication.publish import Published
    from ingestion.warehouse.ledger import LedgerEntry

_LOG = logging.getLogger(__name__)
# Below, compiling code for the work takes longer than the compiled code saves.
SMALL_WORK_ROWS = 400_000
_DAYS_A_MONTH = 31  # a day's file makes its whole month be counted anew


def must_build(state: RunState, logic: str) -> bool:
    """Whether marts have to be built: accepted files, other logic than published, or on request."""
    if any(staging_table.is_accepted(row) for row in state.batch_rows()):
        return True
    current = state.in_transaction(current_publication)
    if current is None:
        return False
    if current.logic_hash != logic:
        _LOG.info("the models have changed since the last publication: all is built anew")
        return True
    return state.full_refresh


def export_dimensions(state: RunState) -> dict[str, Contract]:
    """Copies the database's dimension tables to bronze; returns their contracts by name."""
    settings = state.services.settings
    folder = state.services.workspace.bronze / "dimensions"
    dimensions.export_dimensions(
        state.services.engine, settings.project / DIMENSION_CONTRACT, folder
    )
    return dimension_contracts(settings)


def dimension_contracts(settings: Settings) -> dict[str, Contract]:
    """The contracts of the dimension tables, by name."""
    contract_file = settings.project / DIMENSION_CONTRACT
    return {name: read_contract(contract_file, name) for name in dimensions.DIMENSION_TABLES}


def dbt_project(settings: Settings) -> DbtProject:
    """Where dbt finds the project and its profile, and where it writes."""
    workspace = Workspace(settings.workspace)
    return DbtProject(
        project=settings.project,
        profiles=spark.find_profiles(settings.project, workspace.root, os.environ),
        target=workspace.dbt_target,
        logs=workspace.logs,
    )


def work_size(state: RunState, dbt: DbtProject, logic: str) -> WorkSize:
    """How much the run has to do, judged by the rows of files before it is known exactly.

    An increment is small where neither its own days, were they a month, nor the months that are
    there, on average, have many rows: it writes whole months.
    """
    rows = state.in_transaction(staging_table.all_rows)
    counted_ids = staging_table.counted_ids(rows)
    counted = sum(row.rows_read or 0 for row in rows if row.id in counted_ids)
    if counted < SMALL_WORK_ROWS:
        return WorkSize.SMALL
    if not _may_increment(state, logic) or not dbt_build.has_manifest(dbt):
        return WorkSize.LARGE
    batch_ids = _batches_to_write(state)
    written = sum(row.rows_read or 0 for row in rows if row.batch_id in batch_ids)
    warehouse = state.services.workspace.warehouse
    tables = fact_tables.fact_tables(dbt_build.read_manifest(dbt), warehouse)
    months = set().union(*fact_tables.months_of_batches(tables).values())
    most = max(written * _DAYS_A_MONTH, counted / max(len(months), 1))
    return WorkSize.INCREMENT if most < SMALL_WORK_ROWS else WorkSize.LARGE


def start_spark(dbt: DbtProject, workspace: Path, size: WorkSize = WorkSize.SMALL) -> SparkSession:
    """The session that the dbt profile describes, set up for work of this size.

    The JVM takes its classes from the workspace's archive, where ``warm-up`` has recorded one.
    """
    class_archive.use_archive(workspace)
    os.environ[spark.WORK_SIZE_VARIABLE] = size
    os.environ.setdefault(spark.DRIVER_MEMORY_VARIABLE, spark.driver_memory())
    target = spark.read_target(dbt.profiles, os.environ)
    return spark.start_session(target, os.environ, dbt.logs / "spark.log")


def parse_models(dbt: DbtProject) -> Future[Manifest]:
    """Has dbt read the project in a thread of its own, while the JVM starts."""
    pool = ThreadPoolExecutor(1)
    parsing = pool.submit(dbt_build.parse, dbt)
    pool.shutdown(wait=False)
    return parsing


def batches_to_build(state: RunState, dbt: DbtProject, logic: str) -> list[int] | None:
    """This batch and those that hold a file it replaces; None where all have to be built.

    All are built, too, where another workspace has published or merged batches meanwhile.
    """
    if not _may_increment(state, logic):
        return None
    batch_ids = _batches_to_write(state)
    if not holds_batches(state, dbt, batch_ids):
        _LOG.info("the batches of this workspace are not those of the database: all is built anew")
        return None
    return batch_ids


def _may_increment(state: RunState, logic: str) -> bool:
    workspace = state.services.workspace
    known = warehouse_state.read_state(workspace.root)
    if state.full_refresh or state.batch_id is None:
        return False
    return warehouse_state.can_increment(known, logic, workspace.warehouse)


def _batches_to_write(state: RunState) -> list[int]:
    replaced_ids = [row.replaces_id for row in state.batch_rows()]
    replaced = state.in_transaction(
        lambda connection: staging_table.rows_by_id(connection, replaced_ids)
    )
    found = {state.batch_id, *(row.batch_id for row in replaced)}
    return sorted(batch_id for batch_id in found if batch_id is not None)


def dimension_versions(state: RunState) -> dict[str, str]:
    """Each dimension table's content as it was exported, by the name of its file."""
    folder = state.services.workspace.bronze / "dimensions"
    return {path.parent.name: path.stem for path in folder.glob("*/*.parquet")}


def unchanged_dimensions(state: RunState) -> list[str]:
    """The dimension tables that are as the marts of the last run show them."""
    known = warehouse_state.read_state(state.services.workspace.root)
    shown = {} if known is None else known.dimensions
    return [name for name, found in dimension_versions(state).items() if shown.get(name) == found]


def holds_batches(state: RunState, dbt: DbtProject, besides: Collection[int] = ()) -> bool:
    """Whether the warehouse has the batches that the database has, looking past ``besides``."""
    if not dbt_build.has_manifest(dbt):
        return False
    manifest = dbt_build.read_manifest(dbt)
    tables = fact_tables.fact_tables(manifest, state.services.workspace.warehouse)
    rows = state.in_transaction(staging_table.all_rows)
    counted = staging_table.counted_ids(rows)
    needed = {row.batch_id for row in rows if row.id in counted} - set(besides)
    known = state.in_transaction(batches.all_batch_ids)
    return fact_tables.hold_batches(tables, needed, known)


def register_raw_tables(
    state: RunState, session: SparkSession, dimension_contracts: Mapping[str, Contract]
) -> None:
    """Shows Spark the staging table's rows, the dimensions and the rows of every batch."""
    bronze = state.services.workspace.bronze
    rows = state.in_transaction(staging_table.all_rows)
    known = set(state.in_transaction(batches.finished_batch_ids))
    raw_tables.write_files(bronze, rows)
    if state.batch_id is not None:
        known.add(state.batch_id)
    raw_tables.register(
        session, bronze, sales=state.contract, dimensions=dimension_contracts, batch_ids=known
    )


def build(
    state: RunState,
    dbt: DbtProject,
    manifest: Manifest,
    session: SparkSession,
    batch_ids: Sequence[int] | None,
    unchanged: Collection[str],
) -> None:
    """The one dbt build. A failed model or test ends the run; the last publication stays."""
    day = state.services.settings.business_date
    result = dbt_build.build(
        dbt,
        manifest,
        batch_ids=batch_ids,
        unchanged=unchanged,
        business_date=None if day is None else day.isoformat(),
        full_refresh=batch_ids is None,
        steps=state.steps,
    )
    for warning in result.warnings:
        _LOG.warning("%s", warning)
    state.warnings += result.warnings
    if result.is_built:
        state.move_to(BatchState.BUILT)
    if result.failures:
        raise _failed(dbt_build.with_rows(session, dbt, result), dbt)


def _failed(result: BuildResult, dbt: DbtProject) -> PipelineError:
    lines = []
    for failure in result.failures:
        lines.append(f"{failure.kind} {failure.name}: {failure.message}")
        lines += [f"    {row}" for row in failure.rows]
    return PipelineError(
        "The marts did not pass; nothing is published and the last publication stays",
        found="\n  " + "\n  ".join(lines) + "\n",
        action=f"Mend the data or the model and run again; dbt's own log is {dbt.logs / 'dbt.log'}",
    )


def audit(
    state: RunState, dbt: DbtProject, session: SparkSession, batch_ids: Sequence[int] | None
) -> list[LedgerEntry]:
    """Holds the models' counts against the reader's: the last gate before publishing."""
    entries = ledger.read_ledger(session, dbt_build.read_manifest(dbt), batch_ids)
    rows = state.in_transaction(staging_table.all_rows)
    counted = staging_table.counted_ids(rows)
    in_scope = [
        row
        for row in rows
        if row.id in counted and (batch_ids is None or row.batch_id in batch_ids)
    ]
    ledger.check_ledger(entries, in_scope)
    ledger.check_contents_once(entries, rows)
    state.warnings += ledger.changed_verdicts(entries, rows)
    state.move_to(BatchState.AUDITED)
    return entries


def publish_marts(
    state: RunState,
    dbt: DbtProject,
    session: SparkSession,
    logic: str,
    entries: Sequence[LedgerEntry],
) -> Published:
    """Both sinks as one version; the staging table and the batch change with them."""
    services = state.services
    models = published_models(dbt_build.read_manifest(dbt), services.settings.publish_reports)

    def scan(version: int, before: Mapping[str, MartTable]) -> dict[str, ScannedTable]:
        return {
            model.name: scan_table(
                session,
                model,
                services.prefixes.marts[model.s3],
                version,
                before.get(model.name),
            )
            for model in models
        }

    def finish(connection: Connection) -> None:
        counts = [entry.count for entry in entries]
        staging_table.record_counts(connection, counts, state.batch_id)
        if state.batch_id is not None:
            batches.move_batch(connection, state.batch_id, BatchState.PUBLISHED, state.run_id)

    return publish.publish(
        services.store,
        services.engine,
        scan,
        services.prefixes,
        run_id=state.run_id,
        logic_hash=logic,
        finish=finish,
        threads=services.settings.download_threads,
        progress=lambda files: state.steps.progress(files, "objects"),
    )


def read_top_sellers(
    dbt: DbtProject, session: SparkSession, published: Published
) -> list[ledger.Seller]:
    """The best seller of each store in the newest month that the publication touched."""
    months = touched_months(published.changed)
    return ledger.read_sellers(session, dbt_build.read_manifest(dbt), months)
