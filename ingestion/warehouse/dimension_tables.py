"""The dimension tables of the database: their contracts, and how they are made and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.database.engine import column_type, define_table
from ingestion.errors import PipelineError, UsageError
from ingestion.reader.contract import Contract, read_contracts


def read_dimension_contracts(contract_file: Path) -> dict[str, Contract]:
    """The contracts of the tables that the file declares, by name; ``UsageError`` where one is not
    valid, or has not one key."""
    contracts = read_contracts(contract_file)
    for table, contract in contracts.items():
        keys = [column.name for column in contract.columns if column.key]
        if len(keys) != 1:
            raise UsageError(
                f"The table {table} in {contract_file} needs a key",
                expected="one column with key: true under config.meta",
                found=", ".join(keys) or "none",
            )
    return contracts


def prepare_tables(engine: Engine, contracts: Mapping[str, Contract]) -> None:
    """Makes the tables that are missing; refuses tables that lack a column, naming all."""
    inspector = sa.inspect(engine)
    existing = [table for table in contracts if inspector.has_table(table)]
    lacking = []
    for table in existing:
        present = {column["name"].casefold() for column in inspector.get_columns(table)}
        lacking += [
            f"{table}.{column.name} ({column.data_type})"
            for column in contracts[table].columns
            if column.name.casefold() not in present
        ]
    if lacking:
        raise PipelineError(
            "The database's dimension tables lack columns",
            found="no " + ", ".join(lacking),
            action="Add them with ALTER TABLE, or drop the table and load it again",
        )
    for table in contracts.keys() - set(existing):
        define_dimension(table, contracts[table]).create(engine)


def define_dimension(name: str, contract: Contract) -> sa.Table[Any]:
    """The table as the contract has it."""
    columns = [
        sa.Column(
            column.name,
            column_type(column.data_type, key=column.key),
            primary_key=column.key,
            autoincrement=False,
        )
        for column in contract.columns
    ]
    return define_table(sa.MetaData(), name, *columns)


def raw_select(name: str, contract: Contract) -> sa.Select[Any]:
    """The columns as the driver gives them: a user's table may have types of its own."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in contract.columns]
    return sa.select(*columns).select_from(sa.table(name))
