"""A run of the pipeline with its real steps, but for Spark and dbt: a few lines build its marts.

Thus a whole run, from the inbox to the archive, takes a moment, and can be made hundreds of times.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import decimal
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import run_pipeline
from ingestion.config.settings import Settings
from ingestion.database import staging_table
from ingestion.database.batches import BatchState
from ingestion.database.run_lock import StillAlone, run_lock
from ingestion.database.staging_table import FileCount, FileRow
from ingestion.publication.manifest import MartTable
from ingestion.publication.mart_files import PublishedModel, ScannedTable, scan_files
from ingestion.reader.contract import read_contract
from ingestion.run import bronze_recovery, build_scope, intake_steps, mart_steps
from ingestion.run.run_state import SALES_CONTRACT, ParsedModels, RunState
from ingestion.run.services import Services
from ingestion.run.summary import RunSummary
from ingestion.s3.object_store import ObjectStore
from ingestion.steps import Steps
from ingestion.warehouse import ledger
from ingestion.warehouse.dbt_build import DbtProject
from ingestion.warehouse.ledger import LedgerEntry
from ingestion.warehouse.raw_tables import bronze_path
from ingestion.warehouse.warehouse_state import logic_hash
from ingestion.workspace import Workspace
from tests.services import Bucket

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest

HEADER = "customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n"
CONTRACT = read_contract(Path(run_pipeline.__file__).parent / SALES_CONTRACT)
KEPT_VERSIONS = 2
TOTALS = PublishedModel(
    name="customers_data_mart",
    relation="",
    columns=(("customer_id", "int"), ("sales_month", "string"), ("total_sales", "decimal(28,2)")),
    key=("customer_id", "sales_month"),
    s3="customer",
    database=True,
)
LINES = PublishedModel(
    name="sales_lines",
    relation="",
    columns=(("line_number", "bigint"), ("sales_month", "string"), ("total_cost", "decimal(28,2)")),
    key=(),
    s3="sales",
    database=False,
)

MODELS = (TOTALS, LINES)


def sale(customer: int, day: str, cost: int) -> str:
    """One line of a sales file."""
    return f"{customer},121,besan,{day},4,{cost},1,{cost}\n"


class Tables:
    """Stands for the Spark session: the tables of a warehouse, and what was counted in building."""

    def __init__(self, warehouse: Path) -> None:
        self.warehouse = warehouse
        self.built_by = warehouse.parent / "built_by"
        self.ledger: list[LedgerEntry] = []


def new_run(services: Services, still_alone: StillAlone = lambda: None) -> RunState:
    """A run that a test leads itself, step by step."""
    logic = logic_hash(services.settings.project, CONTRACT)
    return RunState(str(uuid.uuid4()), services, CONTRACT, logic, Steps(None), still_alone)


def take_files(state: RunState) -> bool:
    """Plans what is in the inbox, as a run does; true when a batch is open afterwards."""
    listing = intake_steps.list_inbox(state)
    if listing is not None:
        intake_steps.plan_batch(state, listing, intake_steps.download(state, listing))
    return state.batch_id is not None


def run(
    services: Services, change: Callable[[Services, str], object] = lambda *_: None
) -> RunSummary:
    """One run, as the command line makes it; it begins with ``change``."""
    settings = services.settings.model_copy(update={"keep_publications": KEPT_VERSIONS})
    services = dataclasses.replace(services, settings=settings)
    with run_lock(services.engine) as still_alone, without_spark():
        return run_pipeline.execute(new_run(services, still_alone), change)


def build_and_publish(state: RunState) -> None:
    """The marts of all files that count, in a run that a test leads itself."""
    services = state.services
    with without_spark():
        dbt = mart_steps.dbt_project(services.settings)
        session = mart_steps.start_spark(dbt, services.workspace)
        models = parsed_models(state)
        mart_steps.build(state, dbt, models, session, None, ())
        entries = mart_steps.audit(state, models, session, None)
        mart_steps.publish_marts(state, models, session, entries)


@contextlib.contextmanager
def without_spark() -> Iterator[None]:
    """In the block, those steps of a run that need Spark or dbt are the functions below."""
    steps: dict[str, Callable[..., object]] = {
        "export_dimensions": lambda _: {},
        "dbt_project": dbt_project,
        "parse_models": parse_models,
        "start_spark": lambda _, workspace, *__: Tables(workspace.warehouse),
        "read_builder": read_builder,
        "register_raw_tables": lambda *_: None,
        "build": build,
        "published_models": lambda *_: list(MODELS),
        "scan_table": lambda *arguments: scan(*arguments),  # as a test has patched it
        "read_top_sellers": lambda *_: [],
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, function in steps.items():
            patch.setattr(mart_steps, name, function)
        patch.setattr(ledger, "read_ledger", lambda tables, *_: tables.ledger)
        yield


def dbt_project(settings: Settings) -> DbtProject:
    """A project that needs no profile."""
    workspace = Workspace(settings.workspace)
    project = settings.project
    return DbtProject(project, project, workspace.dbt_target, workspace.logs)


def read_builder(_: ParsedModels, tables: Tables) -> str:
    """The run that built last."""
    return tables.built_by.read_text() if tables.built_by.exists() else ""


def parsed_models(state: RunState) -> ParsedModels:
    """There are none, unless a test has noted some."""
    target = state.services.workspace.dbt_target
    target.mkdir(exist_ok=True)
    path = target / "manifest.json"
    if not path.exists():
        path.write_text('{"nodes": {}}')
    manifest, no_project = json.loads(path.read_text()), cast("Manifest", None)
    return ParsedModels(no_project, manifest, build_scope.kept_logic(state, manifest))


def parse_models(state: RunState, _: DbtProject) -> Future[ParsedModels]:
    """The same, as the step gives them."""
    parsed: Future[ParsedModels] = Future()
    parsed.set_result(parsed_models(state))
    return parsed


def build(
    state: RunState, _dbt: DbtProject, _models: ParsedModels, tables: Tables, *_: object
) -> None:
    """Both marts of all files that count, as Parquet; a month that has not changed keeps its file,
    as with Spark."""
    services = state.services
    tables.built_by.write_text(state.run_id)
    bronze_recovery.read_missing_files(state, None)
    rows = state.in_transaction(staging_table.all_rows)
    lines: list[Line] = []
    for row in state.in_transaction(lambda found: staging_table.counted_rows(found, rows)):
        row_count, sales = read_sales(services, row)
        lines += sales
        amount = sum((cost for *_, cost in sales), ZERO)
        count = FileCount(row.id, row_count, len(sales), row_count - len(sales), amount)
        tables.ledger.append(LedgerEntry(count, amount, ZERO))
    totals: dict[tuple[str, int], decimal.Decimal] = collections.defaultdict(decimal.Decimal)
    for customer, month, _, cost in lines:
        totals[month, customer] += cost
    marts: dict[str, dict[str, list[tuple[int, decimal.Decimal]]]] = {
        model.name: collections.defaultdict(list) for model in (TOTALS, LINES)
    }
    for (month, customer), total in sorted(totals.items()):
        marts[TOTALS.name][month].append((customer, total))
    for _, month, number, cost in lines:
        marts[LINES.name][month].append((number, cost))
    for model in (TOTALS, LINES):
        write(tables.warehouse / model.name, model, marts[model.name])
    state.move_to(BatchState.BUILT)


def scan(
    tables: Tables, model: PublishedModel, prefix: str, version: str, last: MartTable | None
) -> ScannedTable:
    """The mart's files as they stand in the warehouse."""
    folder = tables.warehouse / model.name
    partitions = sorted(path.name for path in folder.glob("*"))
    key_prefix = f"{prefix}{model.name}/{version}/"
    return scan_files(model, folder, ("sales_month",), partitions, key_prefix, last)


ZERO = decimal.Decimal(0)
Line = tuple[int, str, int, decimal.Decimal]


def read_sales(services: Services, row: FileRow) -> tuple[int, list[Line]]:
    """How many rows a file has, and customer, month, line number and cost of each valid one."""
    if row.is_withdrawal:
        return 0, []
    table = pq.read_table(bronze_path(services.workspace.bronze, row.batch_id, row.id))
    sales = [
        (
            int(item["customer_id"]),
            item["sales_date"][:7],
            item["line_number"],
            decimal.Decimal(item["total_cost"]),
        )
        for item in table.to_pylist()
        if item["customer_id"] is not None
    ]
    return table.num_rows, sales


def write(
    folder: Path, model: PublishedModel, months: Mapping[str, list[tuple[int, decimal.Decimal]]]
) -> None:
    """One file for each month, named for its content."""
    shutil.rmtree(folder, ignore_errors=True)
    (first, _), _, (last, _) = model.columns
    for month, rows in months.items():
        name = hashlib.sha256(repr(rows).encode()).hexdigest()[:16]
        path = folder / f"sales_month={month}" / f"part-{name}.parquet"
        path.parent.mkdir(parents=True)
        numbers, amounts = zip(*rows, strict=True)
        columns = {
            first: pa.array(numbers, pa.int32() if first == "customer_id" else pa.int64()),
            last: pa.array(amounts, pa.decimal128(28, 2)),
        }
        pq.write_table(pa.table(columns), path)


def s3_rows(store: ObjectStore, name: str) -> list[dict[str, Any]]:
    """The rows of a published table as a reader finds them: pointer, manifest, objects."""
    pointer = json.loads(store.get_bytes("publications/current.json"))
    manifest = json.loads(store.get_bytes(pointer["manifest"]))
    [table] = [table for table in manifest["tables"] if table["name"] == name]
    rows = []
    for file in table["files"]:
        month = unquote(file["path"].partition("/")[0].partition("=")[2])
        content = store.get_bytes(file["key"])
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        rows += [
            {**row, "sales_month": month, "version": manifest["version"]}
            for row in pq.read_table(pa.BufferReader(content)).to_pylist()
        ]
    return rows


def objects_of_marts(bucket: Bucket) -> tuple[list[str], set[str]]:
    """The keys that are stored below the marts' prefixes, and those that the manifests name."""
    stored = [*bucket.keys("customer_data_mart/"), *bucket.keys("sales_data_mart/")]
    manifests = bucket.objects("publications/manifests/").values()
    tables = [table for content in manifests for table in json.loads(content)["tables"]]
    return stored, {file["key"] for table in tables for file in table["files"]}
