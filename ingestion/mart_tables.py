"""The published tables in the database: loaded beside the live ones, then visible in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database import column_type, define_table
from ingestion.errors import PipelineError
from ingestion.publication_manifest import MartTable

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 1_000  # in memory; the driver cuts its statements to what the server takes
_LOAD_SUFFIX = "__load"


def live_table(mart: MartTable, metadata: sa.MetaData, suffix: str = "") -> sa.Table[Any]:
    """The mart as a table: columns in published order, primary key as its model says."""
    columns = [
        sa.Column(
            name,
            column_type(data_type, key=name in mart.key),
            primary_key=name in mart.key,
            autoincrement=False,
            nullable=name not in mart.key,
        )
        for name, data_type in mart.columns
    ]
    return define_table(metadata, mart.name + suffix, *columns)


def ensure_live_tables(engine: Engine, marts: Iterable[MartTable]) -> None:
    """Creates the tables that are missing; one that lacks a column of its model is an error."""
    metadata = sa.MetaData()
    tables = [live_table(mart, metadata) for mart in marts]
    metadata.create_all(engine)
    inspector = sa.inspect(engine)
    for table in tables:
        found = {column["name"] for column in inspector.get_columns(table.name)}
        missing = [column.name for column in table.columns if column.name not in found]
        if missing:
            raise PipelineError(
                f"The table {table.name} in the database does not fit its model",
                expected=f"the columns {', '.join(column.name for column in table.columns)}",
                found=f"no {', '.join(missing)}",
                action="Add the columns (alter table), or drop the table to have it made anew",
            )


def load_beside(
    engine: Engine, mart: MartTable, files: Iterable[tuple[str, Path]]
) -> sa.Table[Any]:
    """A table of its own with the rows of these files, given as (partition folder, path).

    Readers do not see it. What an interrupted run left in it is gone. Each file is committed once:
    a commit waits for the disk.
    """
    table = live_table(mart, sa.MetaData(), _LOAD_SUFFIX)
    table.drop(engine, checkfirst=True)
    table.create(engine)
    names = [name for name, _ in mart.columns]
    for partition, path in files:
        fixed = partition_values(partition, dict(mart.columns))
        with engine.begin() as connection:
            for rows in _read_rows(path, names, fixed):
                connection.execute(table.insert(), rows)
    return table


def swap_in(
    connection: Connection,
    mart: MartTable,
    loaded: sa.Table[Any],
    partitions: Iterable[str],
) -> None:
    """Replaces the given partitions of the live table by the loaded rows, in the caller's
    transaction: a reader sees all of it or nothing."""
    live = live_table(mart, sa.MetaData())
    types = dict(mart.columns)
    for partition in partitions:
        values = partition_values(partition, types)
        connection.execute(
            live.delete().where(*[live.c[name] == value for name, value in values.items()])
        )
    names = [name for name, _ in mart.columns]
    connection.execute(live.insert().from_select(names, sa.select(loaded)))


def drop_loaded(engine: Engine, tables: Iterable[sa.Table[Any]]) -> None:
    """Removes the tables that :func:`load_beside` made."""
    for table in tables:
        table.drop(engine, checkfirst=True)


def partition_values(partition: str, types: Mapping[str, str]) -> dict[str, Any]:
    """``sales_month=2024-03/store_id=121`` as values of the columns' types."""
    values: dict[str, Any] = {}
    for part in filter(None, partition.split("/")):
        name, _, text = part.partition("=")
        value = unquote(text)
        values[name] = int(value) if types[name] in ("int", "bigint") else value
    return values


def _read_rows(
    path: Path, columns: list[str], fixed: Mapping[str, Any]
) -> Iterator[list[dict[str, Any]]]:
    import pyarrow.parquet as pq

    stored = [name for name in columns if name not in fixed]
    with pq.ParquetFile(path) as file:
        batch: pa.RecordBatch
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=stored):
            yield [{**row, **fixed} for row in batch.to_pylist()]
