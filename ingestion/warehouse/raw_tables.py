"""The schema ``raw``: bronze Parquet, registered where Spark SQL can read it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database.staging_table import FileRow, is_accepted, replacing_rows
from ingestion.reader.contract import Contract
from ingestion.warehouse.dimension_types import arrow_type
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCHEMA = "raw"
_SALES_HEAD = (("file_id", "bigint"), ("line_number", "bigint"))
_SALES_TAIL = (
    ("additional_column", "string"),
    ("row_fault", "string"),
    ("row_fault_detail", "string"),
    ("raw_line", "string"),
)
_FILES = (
    ("file_id", "bigint"),
    ("file_name", "string"),
    ("status", "string"),
    ("delivered_on", "date"),
    ("batch_id", "int"),
    ("rows_read", "bigint"),
    ("is_counted", "boolean"),
    ("replaced_by_file_id", "bigint"),
)


def sales_folder(bronze: Path) -> Path:
    """Where the rows of all batches lie, each batch in a folder of its own."""
    return bronze / "sales"


def dimensions_folder(bronze: Path) -> Path:
    """Where the copies of the dimension tables lie, each in a folder of its name."""
    return bronze / "dimensions"


def batch_folder(bronze: Path, batch_id: int) -> Path:
    """Where the batch's accepted files lie: a Parquet file each, or of many in a merged batch."""
    return sales_folder(bronze) / f"batch_id={batch_id}"


def bronze_path(bronze: Path, batch_id: int, file_id: int) -> Path:
    """The Parquet file of one accepted sales file, as its check writes it."""
    return batch_folder(bronze, batch_id) / f"{file_id}.parquet"


def merged_path(bronze: Path, batch_id: int, first_id: int, last_id: int) -> Path:
    """The Parquet file with the rows of all files of a merged batch from the first id to the last,
    both included."""
    return batch_folder(bronze, batch_id) / f"{first_id}-{last_id}.parquet"


def merged_files(bronze: Path, batch_id: int) -> dict[range, Path]:
    """The batch's Parquet files that hold the rows of many files, by the range of their ids."""
    found = {}
    for path in batch_folder(bronze, batch_id).glob("*-*.parquet"):
        first, _, last = path.stem.partition("-")
        found[range(int(first), int(last) + 1)] = path
    return found


def batch_folders(bronze: Path) -> dict[int, Path]:
    """The folders of all batches that are in this workspace, by batch."""
    return {
        int(path.name.partition("=")[2]): path for path in sales_folder(bronze).glob("batch_id=*")
    }


def write_files(
    bronze: Path, rows: Iterable[FileRow], day_of: Callable[[dt.datetime], dt.date]
) -> None:
    """Writes the staging table's rows as the content of ``raw.files``, replacing it whole.

    ``day_of`` gives the stores' day of a moment in UTC. The same bytes, sent again under their key,
    have the day on which they were first seen.
    """
    rows = list(rows)
    first_seen: dict[tuple[str, str | None], dt.datetime] = {}
    for row in rows:
        first_seen.setdefault((row.file_name, row.sha256), row.created_date)
    import pyarrow as pa
    import pyarrow.parquet as pq

    replaced_by = replacing_rows(rows)
    versions = [
        _version(row, replaced_by.get(row.id), day_of(first_seen[row.file_name, row.sha256]))
        for row in rows
    ]
    columns = {name: [version[name] for version in versions] for name, _ in _FILES}
    table = pa.table(columns, schema=pa.schema([(n, arrow_type(t)) for n, t in _FILES]))
    folder = bronze / "files"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, folder / "_new.parquet", compression="snappy")
    (folder / "_new.parquet").replace(folder / "files.parquet")


def _version(row: FileRow, replaced_by: FileRow | None, delivered_on: dt.date) -> dict[str, object]:
    """A row of ``raw.files``.

    A version replaced by a copy or a withdrawal is not counted, also if another version follows the
    withdrawal at once. One replaced by a new version is counted until the models accept that.
    """
    may_be_refused = (
        replaced_by is not None and is_accepted(replaced_by) and not replaced_by.is_withdrawal
    )
    return {
        "file_id": row.id,
        "file_name": row.file_name,
        "status": row.status,
        "delivered_on": delivered_on,
        "batch_id": row.batch_id,
        "rows_read": row.rows_read,
        "is_counted": is_accepted(row) and (replaced_by is None or may_be_refused),
        "replaced_by_file_id": replaced_by.id if replaced_by and may_be_refused else None,
    }


def register(
    spark: SparkSession,
    bronze: Path,
    *,
    sales: Contract,
    dimensions: Mapping[str, Contract],
    batch_ids: Collection[int],
) -> None:
    """Creates the raw tables that are missing or have other columns; ``raw.sales`` has these
    batches, and no other.

    All are external tables: dropping one, or a batch of it, touches no file.
    """
    with spark_errors("The raw tables cannot be registered"):
        spark.sql(f"create database if not exists {SCHEMA}")
        present = {row["tableName"] for row in spark.sql(f"show tables in {SCHEMA}").collect()}
        text = tuple((column.name, "string") for column in sales.columns)
        sales_columns = (*_SALES_HEAD, *text, *_SALES_TAIL, ("batch_id", "int"))
        _ensure(spark, "sales", sales_columns, sales_folder(bronze), present, by="batch_id")
        _ensure(spark, "files", _FILES, bronze / "files", present)
        for name, dimension in dimensions.items():
            columns = tuple((column.name, column.data_type) for column in dimension.columns)
            _ensure(spark, name, columns, dimensions_folder(bronze) / name, present)
        _set_batches(spark, bronze, batch_ids)


def _ensure(
    spark: SparkSession,
    name: str,
    columns: tuple[tuple[str, str], ...],
    folder: Path,
    present: Collection[str],
    by: str | None = None,
) -> None:
    table = f"{SCHEMA}.{name}"
    if name in present:
        found = tuple(
            (field.name, field.dataType.simpleString()) for field in spark.table(table).schema
        )
        if found == columns:
            spark.sql(f"refresh table {table}")  # a session of several runs has listed its files
            return
        spark.sql(f"drop table {table}")
    folder.mkdir(parents=True, exist_ok=True)
    listed = ", ".join(f"{quote(column)} {data_type}" for column, data_type in columns)
    partitioned = f"partitioned by ({by})" if by else ""
    spark.sql(
        f"create table {table} ({listed}) using parquet {partitioned} "
        f"location {text_literal(str(folder))}"
    )


def _set_batches(spark: SparkSession, bronze: Path, batch_ids: Collection[int]) -> None:
    table = f"{SCHEMA}.sales"
    for batch_id in batch_ids:
        batch_folder(bronze, batch_id).mkdir(parents=True, exist_ok=True)
    listed = spark.sql(f"show partitions {table}").collect()
    registered = {int(row["partition"].partition("=")[2]) for row in listed}
    gone = ", ".join(_partition(batch_id) for batch_id in sorted(registered - set(batch_ids)))
    if gone:
        spark.sql(f"alter table {table} drop if exists {gone}")
    new = " ".join(_partition(batch_id) for batch_id in sorted(set(batch_ids) - registered))
    if new:
        spark.sql(f"alter table {table} add if not exists {new}")


def _partition(batch_id: int) -> str:
    return f"partition (batch_id = {batch_id})"


def quote(identifier: str) -> str:
    """The identifier as Spark SQL reads it, whatever it holds."""
    return "`" + identifier.replace("`", "``") + "`"


def text_literal(text: str) -> str:
    """The text as a Spark SQL literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
