"""What a run has to build, and how much that is: judged by what is there before Spark starts."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections.abc import Collection, Mapping
from typing import Any

from ingestion.config.profiles import profile_for
from ingestion.database import batches, staging_table
from ingestion.database.staging_table import FileStatus
from ingestion.publication.publications import built_publication, current_publication
from ingestion.run.run_state import DIMENSION_CONTRACT, ParsedModels, RunState
from ingestion.warehouse import dimension_exports, fact_tables, warehouse_state
from ingestion.warehouse.dbt_manifest import last_manifest, lasting_models
from ingestion.warehouse.raw_tables import bronze_path, dimensions_folder
from ingestion.warehouse.spark import WorkSize
from ingestion.warehouse.warehouse_state import BegunBuild, NotedFile, PublishedTables

_LOG = logging.getLogger(__name__)
# Below, compiling code for the work takes longer than the compiled code saves.
SMALL_WORK_ROWS = 400_000
_DAYS_A_MONTH = 31  # a day's file makes its whole month be counted anew


def must_build(state: RunState) -> bool:
    """Whether marts have to be built: files that count or no longer do, other logic than that
    published, or on request."""
    if any(staging_table.changes_what_counts(row) for row in state.batch_rows()):
        return True
    current = state.in_transaction(current_publication)
    if current is None:
        return False
    if current.logic_hash != state.logic:
        _LOG.info("the models have changed since the last publication: the marts are built")
        return True
    return state.full_refresh


def kept_logic(state: RunState, manifest: Mapping[str, Any]) -> str:
    """The hash of what makes those rows that outlast a build. What only reads them, as most reports
    do, is not in it: each build makes that anew. The ``manifest`` says which models are which.
    """
    models = map(glob.escape, lasting_models(manifest))
    return warehouse_state.logic_hash(state.services.settings.project, state.contract, models)


def work_size(state: RunState) -> WorkSize:
    """How much the run has to do, judged by the rows of files before it is known exactly.

    An increment writes whole months: it is small if a month of days like its own has few rows, and
    so has an average month of the tables.
    """
    counted = sum(state.in_transaction(staging_table.counted_by_batch).values())
    if counted < SMALL_WORK_ROWS:
        return WorkSize.SMALL
    manifest = last_manifest(state.services.workspace.dbt_target)
    current = state.in_transaction(current_publication)
    if manifest is None or current is None or current.logic_hash != state.logic:
        return WorkSize.LARGE
    if not _may_increment(state, builder=None):
        return WorkSize.LARGE
    rows = state.rows_of_batches(_batches_to_write(state))
    written = sum(row.rows_read or 0 for row in rows)
    warehouse = state.services.workspace.warehouse
    tables = fact_tables.fact_tables(manifest, warehouse)
    months = set().union(*fact_tables.months_of_batches(tables).values())
    most = max(written * _DAYS_A_MONTH, counted / max(len(months), 1))
    return WorkSize.INCREMENT if most < SMALL_WORK_ROWS else WorkSize.LARGE


def batches_to_build(state: RunState, models: ParsedModels, builder: str) -> list[int] | None:
    """This batch, where the run has one, and those that hold a file it replaces; None where all
    have to be built.

    All are built, too, where another workspace has published or merged batches meanwhile.
    ``builder`` is who built the tables last.
    """
    known = warehouse_state.read_state(state.services.workspace.root)
    if known is not None and known.logic_hash != models.kept_logic:
        _LOG.info("the rows of earlier runs are of other models: everything is rebuilt")
        return None
    if not _may_increment(state, builder):
        return None
    batch_ids = _batches_to_write(state)
    if not holds_batches(state, models.manifest, besides=batch_ids):
        _LOG.info(
            "the batches of this workspace are not those of the database: everything is rebuilt"
        )
        return None
    return batch_ids


def _may_increment(state: RunState, builder: str | None) -> bool:
    """True if the tables equal the last publication, or if an interrupted run left them so that
    this run overwrites all it wrote. ``builder`` is None before Spark has started."""
    if state.full_refresh:
        return False
    known = warehouse_state.read_state(state.services.workspace.root)
    if known is None or known.judged_by != _judged_by(state):
        return False
    if isinstance(known, BegunBuild):
        return _may_go_on(state, known, builder)
    return is_as_published(state)


def _may_go_on(state: RunState, begun: BegunBuild, builder: str | None) -> bool:
    """Whether this run may add to the tables that an interrupted one has begun to change."""
    published = state.in_transaction(built_publication)
    if published is None or _somebody_else_built(begun, builder):
        return False
    if begun.run_id == published.run_id:  # it was ended after it had published
        return True
    if begun.dimensions != dimension_versions(state):  # lines may show what was loaded by mistake
        return False
    is_on_top = begun.is_increment and begun.base == published.manifest_sha256
    return is_on_top and _overwrites(state, begun.files)


def _somebody_else_built(begun: BegunBuild, builder: str | None) -> bool:
    """Whether others have built the tables since, an analyst on a trial, say; false where it is not
    known yet who built them last."""
    return builder not in (begun.run_id, begun.built_before, None)


def _overwrites(state: RunState, before: Mapping[int, NotedFile]) -> bool:
    """Whether this run overwrites all that an interrupted one wrote from the files ``before``.

    It does if each file is read as it was and has the same verdict, or if a newer version in the
    same batch supersedes it and its own months are still known from bronze. A copy that was refused
    since had no rows, and the batch of what it replaced is written again.
    """
    now, bronze = _noted_files(state), state.services.workspace.bronze
    rows = {row.id: row for row in state.batch_rows()}
    refused = _copies_refused_since(state)
    for file_id, noted in before.items():
        if now.get(file_id) == noted or file_id in refused:
            continue
        row = rows.get(file_id)
        if row is None or row.status != FileStatus.SUPERSEDED:
            return False
        is_read_alike = now[file_id].reading == noted.reading
        if not is_read_alike or not bronze_path(bronze, row.batch_id, row.id).exists():
            return False
    return True


def is_as_published(state: RunState) -> bool:
    """Whether the tables are as the last publication of this database was made from them."""
    workspace = state.services.workspace
    known = warehouse_state.read_published(workspace.root)
    published = state.in_transaction(built_publication)
    return (
        known is not None
        and published is not None
        and known.publication == published.manifest_sha256
        and warehouse_state.is_as_built(known, workspace.warehouse)
    )


def _noted_files(state: RunState) -> dict[int, NotedFile]:
    """The batch's files, as a run notes them."""
    settings, columns = state.services.settings, repr(state.contract.columns)
    found = {}
    for row in state.batch_rows():
        relative = row.file_name.removeprefix(settings.inbox_prefix)
        profile = profile_for(relative, settings.profiles)
        reading = f"{row.content_sha256} {profile!r} {columns}"
        digest = hashlib.sha256(reading.encode()).hexdigest()
        found[row.id] = NotedFile(digest, row.status, row.replaces_id)
    return found


def _copies_refused_since(state: RunState) -> dict[int, NotedFile]:
    """The copies that an interrupted run found in the batch and that have been set aside since, as
    that run noted them."""
    known = warehouse_state.read_state(state.services.workspace.root)
    before = known.files if isinstance(known, BegunBuild) else {}
    refused = {row.id for row in state.batch_rows() if row.status == FileStatus.ERROR}
    return {
        file_id: noted
        for file_id, noted in before.items()
        if file_id in refused and noted.status == FileStatus.DUPLICATE
    }


def note_begun(state: RunState, models: ParsedModels, builder: str, *, is_increment: bool) -> None:
    """Notes in the workspace that the run is about to change the tables. The note stays until their
    publication, also if the run is interrupted.

    ``is_increment`` is true if it adds to them; ``builder`` is who built them last.
    """
    published = state.in_transaction(built_publication)
    begun = BegunBuild(
        logic_hash=models.kept_logic,
        judged_by=_judged_by(state),
        run_id=state.run_id,
        base="" if published is None else published.manifest_sha256,
        is_increment=is_increment,
        # what a refused copy has replaced is not in the tables until a run comes to its end
        files=_noted_files(state) | _copies_refused_since(state),
        dimensions=dimension_versions(state),
        built_before=builder,
    )
    warehouse_state.write_state(state.services.workspace.root, begun)


def note_published(state: RunState, models: ParsedModels) -> None:
    """Notes in the workspace that the tables are those of the publication that was just made."""
    workspace = state.services.workspace
    published = state.in_transaction(built_publication)
    built = PublishedTables(
        logic_hash=models.kept_logic,
        judged_by=_judged_by(state),
        publication="" if published is None else published.manifest_sha256,
        files=warehouse_state.list_hash(workspace.warehouse),
        dimensions=dimension_versions(state),
    )
    warehouse_state.write_state(workspace.root, built)


def _batches_to_write(state: RunState) -> list[int]:
    replaced_ids = [row.replaces_id for row in state.batch_rows()]
    replaced_ids += [noted.replaces_id for noted in _copies_refused_since(state).values()]
    replaced = state.in_transaction(
        lambda connection: staging_table.rows_by_id(connection, replaced_ids)
    )
    found = {state.batch_id, *(row.batch_id for row in replaced)}
    return sorted(batch_id for batch_id in found if batch_id is not None)


def dimension_versions(state: RunState) -> dict[str, str]:
    """Each dimension table's content as it was exported, by the name of its file."""
    folder = dimensions_folder(state.services.workspace.bronze)
    return {path.parent.name: path.stem for path in folder.glob("*/*.parquet")}


def _judged_by(state: RunState) -> str:
    """What decides, beside the models, which sales count: values of dimensions, and the settings by
    which a file has its day. All batches are to be judged by the same ones."""
    settings, workspace = state.services.settings, state.services.workspace
    values = dimension_exports.hash_judging_values(
        settings.project / DIMENSION_CONTRACT, dimensions_folder(workspace.bronze)
    )
    return f"{values} {settings.time_zone} {settings.business_date}"


def unchanged_dimensions(state: RunState) -> list[str]:
    """The dimension tables that are as the marts of the last run show them."""
    known = warehouse_state.read_published(state.services.workspace.root)
    shown = {} if known is None else known.dimensions
    return [name for name, found in dimension_versions(state).items() if shown.get(name) == found]


def holds_batches(
    state: RunState, manifest: Mapping[str, Any], besides: Collection[int] = ()
) -> bool:
    """Whether the warehouse has the batches that the database has, looking past ``besides``."""
    tables = fact_tables.fact_tables(manifest, state.services.workspace.warehouse)
    needed = state.in_transaction(staging_table.counted_by_batch).keys() - set(besides)
    known = state.in_transaction(batches.all_batch_ids)
    return fact_tables.hold_batches(tables, needed, known)
