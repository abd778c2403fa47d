"""The steps of a run that make marts: Spark, raw tables, one dbt build, audit, publication."""

from __future__ import annotations

import logging
import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from ingestion.config.settings import Settings
from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.batches import BatchState
from ingestion.database.engine import repeated
from ingestion.errors import PipelineError
from ingestion.publication import mart_tables, publish
from ingestion.publication.manifest import touched_months
from ingestion.publication.mart_files import PublishedModel, published_models, scan_table
from ingestion.reader.contract import Contract
from ingestion.run import build_scope, refusals
from ingestion.run.run_state import DIMENSION_CONTRACT, ParsedModels, RunState
from ingestion.warehouse import (
    builder,
    class_archive,
    dbt_build,
    dimension_exports,
    dimension_tables,
    ledger,
    raw_tables,
    spark,
)
from ingestion.warehouse.dbt_build import BuildResult, DbtProject
from ingestion.warehouse.dbt_manifest import read_manifest
from ingestion.warehouse.raw_tables import dimensions_folder
from ingestion.warehouse.spark import WorkSize, has_ended
from ingestion.warehouse.spark_errors import damage_action
from ingestion.warehouse.top_sellers import Seller, read_sellers
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from sqlalchemy.engine import Connection

    from ingestion.publication.publish import Published
    from ingestion.warehouse.ledger import LedgerEntry

_LOG = logging.getLogger(__name__)


def export_dimensions(state: RunState) -> dict[str, Contract]:
    """Copies the database's dimension tables to bronze, and warns of rows that the models leave
    out; returns their contracts by name."""
    settings = state.services.settings
    folder = dimensions_folder(state.services.workspace.bronze)
    contracts = dimension_contracts(settings)
    dimension_exports.export_dimensions(state.services.engine, contracts, folder)
    hidden = dimension_exports.hidden_rows(contracts, folder)
    for warning in hidden:
        _LOG.warning("%s", warning)
    state.warnings += hidden
    return contracts


def dimension_contracts(settings: Settings) -> dict[str, Contract]:
    """The contracts of the dimension tables, by name."""
    return dimension_tables.read_dimension_contracts(settings.project / DIMENSION_CONTRACT)


def dbt_project(settings: Settings) -> DbtProject:
    """Where dbt finds the project and its profile, and where it writes."""
    workspace = Workspace(settings.workspace)
    return DbtProject(
        project=settings.project,
        profiles=spark.find_profiles(settings.project, workspace.root, os.environ),
        target=workspace.dbt_target,
        logs=workspace.logs,
    )


def start_spark(
    dbt: DbtProject, workspace: Workspace, size: WorkSize = WorkSize.SMALL
) -> SparkSession:
    """The session that the dbt profile describes, set up for work of this size.

    The JVM takes its classes from the workspace's archive, where ``warm-up`` has recorded one.
    """
    class_archive.use_archive(workspace.root)
    os.environ[spark.WORK_SIZE_VARIABLE] = size
    os.environ[spark.SCRATCH_VARIABLE] = str(workspace.make_scratch())
    os.environ.setdefault(spark.DRIVER_MEMORY_VARIABLE, spark.driver_memory())
    target = spark.read_target(dbt.profiles, os.environ)
    spark.check_warehouse(target, workspace.warehouse)
    session = spark.start_session(target, os.environ, dbt.logs / "spark.log")
    workspace.clear_scratch_of_dbt()  # one process at a time has the metastore
    return session


def read_builder(models: ParsedModels, session: SparkSession) -> str:
    """Who built the warehouse's tables last: a run, by its id, or dbt by hand."""
    nodes = models.project.nodes
    schema = next(node.schema for node in nodes.values())  # all are in the target's
    return builder.noted_builder(session, schema)


def parse_models(state: RunState, dbt: DbtProject) -> Future[ParsedModels]:
    """Has dbt read the project in a thread of its own, while the JVM starts."""

    def parse() -> ParsedModels:
        project = dbt_build.parse(dbt)
        manifest = read_manifest(dbt.target)
        return ParsedModels(project, manifest, build_scope.kept_logic(state, manifest))

    pool = ThreadPoolExecutor(1)
    parsing = pool.submit(parse)
    pool.shutdown(wait=False)
    return parsing


def check_live_tables(state: RunState, models: ParsedModels) -> None:
    """Compares the database's tables with the models, so that a missing column is reported before
    the build and not after it."""
    engine = state.services.engine
    marts = [model.table() for model in _models_to_publish(state, models) if model.database]
    repeated(engine, lambda: mart_tables.check_live_tables(engine, marts))


def _models_to_publish(state: RunState, models: ParsedModels) -> list[PublishedModel]:
    return published_models(models.manifest, state.services.settings.publish_reports)


def register_raw_tables(
    state: RunState, session: SparkSession, dimension_contracts: Mapping[str, Contract]
) -> None:
    """Shows Spark the staging table's rows, the dimensions and the rows of every batch."""
    bronze = state.services.workspace.bronze
    rows = state.in_transaction(staging_table.all_rows)
    known = set(state.in_transaction(batches.finished_batch_ids))
    raw_tables.write_files(bronze, rows, state.services.settings.day_of)
    if state.batch_id is not None:
        known.add(state.batch_id)
    raw_tables.register(
        session, bronze, sales=state.contract, dimensions=dimension_contracts, batch_ids=known
    )


def build(
    state: RunState,
    dbt: DbtProject,
    models: ParsedModels,
    session: SparkSession,
    batch_ids: Sequence[int] | None,
    unchanged: Collection[str],
) -> None:
    """The one dbt build. A failed model or test ends the run; the last publication stays."""
    result = dbt_build.build(
        dbt,
        models.project,
        run_id=state.run_id,
        batch_ids=batch_ids,
        unchanged=unchanged,
        steps=state.steps,
    )
    for warning in result.warnings:
        _LOG.warning("%s", warning)
    state.warnings += result.warnings
    if result.is_built:
        state.move_to(BatchState.BUILT)
    if result.failures and has_ended(session):
        raise PipelineError(
            "Spark's JVM ended during the build; nothing is published, and the last publication "
            "stays in place",
            action="Run again; if it ends so each time, the system may have killed it for want of "
            "memory (see its kernel log): lower RETAIL_SPARK_DRIVER_MEMORY or give it more",
        )
    if result.failures:
        raise _failed(dbt_build.with_rows(session, dbt, result), dbt)


def _failed(result: BuildResult, dbt: DbtProject) -> PipelineError:
    lines = []
    for failure in result.failures:
        lines.append(f"{failure.kind} {failure.name}: {failure.message}")
        lines += [f"    {row}" for row in failure.rows]
    found = "\n  ".join(["", *lines, ""])
    mend = damage_action(found) or "Fix the data, the model or the test, and run again"
    return PipelineError(
        "The marts did not pass; nothing is published, and the last publication stays in place",
        found=found,
        action=f"{mend}; dbt's own log is {dbt.logs / 'dbt.log'}",
    )


def audit(
    state: RunState, models: ParsedModels, session: SparkSession, batch_ids: Sequence[int] | None
) -> list[LedgerEntry]:
    """Compares the models' counts with the reader's: the last gate before publishing."""
    entries = ledger.read_ledger(session, models.manifest, batch_ids)
    rows = state.rows_of_batches(batch_ids)
    counted = state.in_transaction(lambda found: staging_table.counted_rows(found, rows))
    ledger.check_ledger(entries, counted)
    refused = {entry.count.file_id for entry in entries if entry.count.reason is not None}
    if refused:
        known = state.rows_of_batches(None)
        copies = refusals.copies_that_lose_sales(known, refused)
        if copies:
            state.in_transaction(lambda found: staging_changes.record_verdicts(found, copies))
            raise refusals.would_be_lost(known, copies)
        refusals.check_none_counts_twice(known, refused)
    changed = ledger.changed_verdicts(entries, rows)
    state.warnings += ledger.verdict_warnings(changed)
    state.sets_published_rows_aside = any(verdict.sets_more_aside for verdict in changed)
    state.move_to(BatchState.AUDITED)
    return entries


def publish_marts(
    state: RunState, models: ParsedModels, session: SparkSession, entries: Sequence[LedgerEntry]
) -> Published:
    """Both sinks as one version; the staging table and the batch change with them."""
    services = state.services
    sinks = services.sinks(state.still_alone)
    draft = publish.begin(sinks, state.run_id)
    scanned = {}
    for model in _models_to_publish(state, models):
        prefix, last = services.prefixes.marts[model.s3], draft.before.get(model.name)
        scanned[model.name] = scan_table(session, model, prefix, draft.name, last)

    def finish(connection: Connection) -> None:
        counts = [entry.count for entry in entries]
        if state.batch_id is not None:
            rows = staging_table.rows_of_batch(connection, state.batch_id)
            refused = {count.file_id for count in counts if count.reason is not None}
            copies = refusals.refused_copies(rows, refused)
            staging_changes.record_verdicts(connection, copies)
        staging_changes.record_counts(connection, counts, state.batch_id)
        if state.batch_id is not None:
            batches.move_batch(connection, state.batch_id, BatchState.PUBLISHED, state.run_id)

    published = publish.publish(
        sinks, draft, scanned, logic_hash=state.logic, finish=finish, steps=state.steps
    )
    state.warnings += [
        f"{name} is no longer published: its table in the database keeps the rows of the version "
        "before. Drop it, or readers take them for current"
        for name, table in draft.before.items()
        if table.in_database and name not in published.database_tables
    ]
    return published


def read_top_sellers(
    state: RunState, models: ParsedModels, session: SparkSession, published: Published
) -> list[Seller]:
    """The best seller of each store in the newest month that the publication touched.

    They only decorate the summary of a run that has published: if they cannot be read, it warns.
    """
    try:
        return read_sellers(session, models.manifest, touched_months(published.changed))
    except PipelineError as error:
        state.warnings.append(f"the summary names no top sellers: {error}")
        return []
