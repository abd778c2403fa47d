"""Loads the dimension tables from CSV into the database, by key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import column_type, in_transaction, repeated
from ingestion.errors import UsageError
from ingestion.reader.column_types import UNFIT, type_of
from ingestion.reader.contract import Contract
from ingestion.warehouse.dimension_csv import (
    MISTAKES_A_FILE,
    Row,
    checked_rows,
    refused,
    sound_rows,
)
from ingestion.warehouse.dimension_tables import (
    define_dimension,
    prepare_tables,
    raw_select,
    read_dimension_contracts,
)
from ingestion.warehouse.dimension_types import key_column

_ROWS_A_STATEMENT = 1000


@dataclass(frozen=True)
class DimensionLoad:
    """What one file did to its table; unchanged rows are neither ``inserted`` nor ``updated``."""

    table: str
    rows: int
    inserted: int
    updated: int


def load_dimensions(engine: Engine, folder: Path, contract_file: Path) -> tuple[DimensionLoad, ...]:
    """Brings the rows of ``folder``'s CSV files into the tables of the same names, by key.

    Each table that ``contract_file`` declares has a file, with each of its columns once, in any
    order, and nothing else; an empty value and MySQL's ``\\N`` are null. New keys are inserted,
    changed rows updated, other rows and other columns of the table left alone, all in one
    transaction; missing tables are made first, and stay, empty, when a later statement fails. The
    files are read twice, row by row: first to find every mistake.

    Raises ``UsageError`` for a folder or contract that is not there, and ``PipelineError`` that
    lists the mistakes with file, line, column and value; then nothing has changed.
    """
    contracts = read_dimension_contracts(contract_file)
    if not folder.is_dir():
        raise UsageError(
            "The dimensions cannot be loaded",
            expected="a folder with " + ", ".join(f"{table}.csv" for table in contracts),
            found=f"no folder {folder}",
        )
    mistakes: list[str] = []
    for table, contract in contracts.items():
        of_file = (row for row in checked_rows(folder, table, contract) if isinstance(row, str))
        mistakes += itertools.islice(of_file, MISTAKES_A_FILE)
    if mistakes:
        raise refused(folder, mistakes)

    def load(connection: Connection) -> tuple[DimensionLoad, ...]:
        return tuple(
            _upsert(connection, table, contract, sound_rows(folder, table, contract))
            for table, contract in contracts.items()
        )

    repeated(engine, lambda: prepare_tables(engine, contracts))
    return in_transaction(engine, load)


def _upsert(
    connection: Connection, name: str, contract: Contract, rows: Iterator[Row]
) -> DimensionLoad:
    table, key = define_dimension(name, contract), key_column(contract).name
    update = sa.update(table).where(table.c[key] == sa.bindparam("key_of_the_row"))
    count = inserted = updated = 0
    while batch := list(itertools.islice(rows, _ROWS_A_STATEMENT)):
        stored = _stored_rows(connection, name, contract, [row[key] for row in batch])
        new = [row for row in batch if row[key] not in stored]
        changed = [row for row in batch if row[key] in stored and row != stored[row[key]]]
        if new:
            connection.execute(sa.insert(table), new)
        if changed:
            connection.execute(update, [_without_key(row, key) for row in changed])
        count += len(batch)
        inserted += len(new)
        updated += len(changed)
    return DimensionLoad(name, count, inserted, updated)


def _without_key(row: Row, key: str) -> Row:
    rest = {name: value for name, value in row.items() if name != key}
    return rest | {"key_of_the_row": row[key]}


def _stored_rows(
    connection: Connection, name: str, contract: Contract, keys: list[Any]
) -> dict[Any, Row]:
    """The rows of these keys. A value that does not fit its type is kept as it is, so that its row
    counts as changed."""
    types = [(column.name, type_of(column.data_type)) for column in contract.columns]
    key = key_column(contract)
    typed_key: sa.ColumnClause[Any] = sa.column(key.name, column_type(key.data_type, key=True))
    found = {}
    for values in connection.execute(raw_select(name, contract).where(typed_key.in_(keys))):
        row: Row = {}
        for (column, type_), value in zip(types, values, strict=True):
            try:
                row[column] = None if value is None else type_.convert(value)
            except UNFIT:
                row[column] = value
        found[row[key.name]] = row
    return found
