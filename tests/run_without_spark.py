"""A run of the pipeline with its real steps, but for Spark and dbt: a few lines build its marts.

Thus a whole run, from the inbox to the archive, takes a moment, and can be made hundreds of times.
"""

from __future__ import annotations

import collections
import decimal
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.engine import Connection

import run_pipeline
from ingestion.database import batches, staging_table
from ingestion.database.batches import BatchState
from ingestion.database.run_lock import run_lock
from ingestion.database.staging_table import FileCount, FileRow
from ingestion.publication import publish
from ingestion.publication.manifest import MartTable
from ingestion.publication.mart_files import PublishedModel, ScannedTable, scan_files
from ingestion.reader.contract import read_contract
from ingestion.run import bronze, history
from ingestion.run import delivery_steps as deliveries
from ingestion.run.run_state import SALES_CONTRACT, RunState
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectStore
from ingestion.steps import Steps
from ingestion.warehouse.raw_tables import bronze_path
from tests.services import Bucket

HEADER = "customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n"
CONTRACT = read_contract(Path(run_pipeline.__file__).parent / SALES_CONTRACT)
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


def sale(customer: int, day: str, cost: int) -> str:
    """One line of a sales file."""
    return f"{customer},121,besan,{day},4,{cost},1,{cost}\n"


def run(services: Services, change: Callable[[Services, str], object] | None = None) -> RunState:
    """One run, from the lock to the archive; ``change`` is made first, as a command makes it."""
    with run_lock(services.engine) as still_alone:
        state = RunState(str(uuid.uuid4()), services, CONTRACT, Steps(None), still_alone)
        publish.finish_pointer(services.store, services.engine, services.prefixes)
        deliveries.archive_last_batch(state)
        if change is not None:
            change(services, state.run_id)
        if deliveries.take_files(state):
            deliveries.check_files(state)
            deliveries.set_files_aside(state)
            if any(staging_table.changes_what_counts(row) for row in state.batch_rows()):
                build_and_publish(state)
            bronze.unmark(state, [state.batch_id])
        deliveries.archive_batch(state)
        history.remove_old(services, keep=2)
    return state


def build_and_publish(state: RunState) -> None:
    """The marts of all files that count."""
    services = state.services
    bronze.restore(state, None)
    rows = state.in_transaction(staging_table.all_rows)
    counted = state.in_transaction(lambda found: staging_table.counted_ids(found, rows))
    sales = {row.id: read_sales(services, row) for row in rows if row.id in counted}
    state.move_to(BatchState.BUILT)
    state.move_to(BatchState.AUDITED)

    def finish(connection: Connection) -> None:
        counts = [
            FileCount(file_id, len(found), len(found), 0, sum((cost for *_, cost in found), ZERO))
            for file_id, found in sales.items()
        ]
        staging_table.record_counts(connection, counts, state.batch_id)
        assert state.batch_id is not None
        batches.move_batch(connection, state.batch_id, BatchState.PUBLISHED, state.run_id)

    def scan(version: str, before: Mapping[str, MartTable]) -> dict[str, ScannedTable]:
        lines = [line for found in sales.values() for line in found]
        return build(services, lines, version, before)

    publish.publish(
        services.sinks(state.still_alone),
        scan,
        run_id=state.run_id,
        logic_hash="0" * 64,
        finish=finish,
        progress=lambda files: state.steps.progress(files, "objects"),
    )


ZERO = decimal.Decimal(0)
Line = tuple[int, str, int, decimal.Decimal]


def read_sales(services: Services, row: FileRow) -> list[Line]:
    """Customer, month, line number and cost of each row of a file."""
    if row.etag == staging_table.RETRACTION:
        return []
    table = pq.read_table(bronze_path(services.workspace.bronze, row.batch_id, row.id))
    return [
        (
            int(item["customer_id"]),
            item["sales_date"][:7],
            item["line_number"],
            decimal.Decimal(item["total_cost"]),
        )
        for item in table.to_pylist()
    ]


def build(
    services: Services, lines: list[Line], version: str, before: Mapping[str, MartTable]
) -> dict[str, ScannedTable]:
    """Both marts as Parquet; a month that has not changed keeps its file, as with Spark."""
    totals: dict[tuple[str, int], decimal.Decimal] = collections.defaultdict(decimal.Decimal)
    for customer, month, _, cost in lines:
        totals[month, customer] += cost
    tables: dict[str, dict[str, list[tuple[int, decimal.Decimal]]]] = {
        model.name: collections.defaultdict(list) for model in (TOTALS, LINES)
    }
    for (month, customer), total in sorted(totals.items()):
        tables[TOTALS.name][month].append((customer, total))
    for _, month, number, cost in lines:
        tables[LINES.name][month].append((number, cost))
    scanned = {}
    for model in (TOTALS, LINES):
        folder = services.workspace.warehouse / model.name
        partitions = write(folder, model, tables[model.name])
        prefix = f"{services.prefixes.marts[model.s3]}{model.name}/{version}/"
        scanned[model.name] = scan_files(
            model, folder, ("sales_month",), partitions, prefix, before.get(model.name)
        )
    return scanned


def write(
    folder: Path, model: PublishedModel, months: Mapping[str, list[tuple[int, decimal.Decimal]]]
) -> list[str]:
    """One file for each month, named for its content; returns the partitions."""
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
    return [f"sales_month={month}" for month in sorted(months)]


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
