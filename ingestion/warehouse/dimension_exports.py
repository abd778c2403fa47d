"""Copies the dimension tables to typed Parquet, and tells what of it the models judge sales by."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import in_transaction, repeated
from ingestion.errors import PipelineError
from ingestion.reader.column_types import UNFIT, type_of
from ingestion.reader.contract import Contract, ContractColumn
from ingestion.warehouse.dimension_tables import (
    prepare_tables,
    raw_select,
    read_dimension_contracts,
)
from ingestion.warehouse.dimension_types import UNKNOWN_KEY, arrow_type, key_column, shown_value

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_A_ROW_GROUP = 20_000
_ZERO_DAYS = ("0000-00-00", "0000-00-00 00:00:00")


def export_dimensions(
    engine: Engine, contracts: Mapping[str, Contract], destination: Path
) -> dict[str, Path]:
    """Copies each table to ``destination/<table>/<sha256 of the file>.parquet``; gives the paths.

    Rows stand in the order of the key and are streamed, so memory does not grow with the table;
    the same content gives the same path, whose file is not written again if it is whole. It is the
    folder's only Parquet file, so that the folder can be read as the table. A table that is missing
    is made, empty. MySQL's zero date is no day and becomes null; any other value that does not fit
    the contract's type raises ``PipelineError`` naming table, key and column.
    """

    def export(connection: Connection) -> dict[str, Path]:
        return {
            table: _export(connection, table, contract, destination / table)
            for table, contract in contracts.items()
        }

    repeated(engine, lambda: prepare_tables(engine, contracts))
    return in_transaction(engine, export)


def hidden_rows(contracts: Mapping[str, Contract], destination: Path) -> list[str]:
    """A warning for each table that was exported to ``destination`` with a row that the models
    leave out, since its key is that of what is unknown."""
    import pyarrow.parquet as pq

    warnings = []
    for table, contract in contracts.items():
        key, left_out = key_column(contract), _key_left_out(contract)
        if left_out is None:
            continue
        for path in (destination / table).glob("*.parquet"):
            hidden = [(key.name, "=", left_out)]
            if pq.read_table(path, columns=[key.name], filters=hidden).num_rows:
                warnings.append(
                    f"the table {table} has a row with {key.name} {left_out}, which stands for "
                    "what is unknown: the row is left out; give it another key"
                )
    return warnings


def hash_judging_values(contract_file: Path, destination: Path) -> str:
    """A hash of the columns that the contract marks with ``judges_sales``, of every table that was
    exported to ``destination``, with their keys; rows without such a value judge nothing, nor does
    the row that the models leave out, see :func:`hidden_rows`."""
    import pyarrow.parquet as pq

    digest = hashlib.sha256()
    is_exported = any(destination.glob("*/*.parquet"))
    contracts = read_dimension_contracts(contract_file) if is_exported else {}
    for table, contract in contracts.items():
        key, left_out = key_column(contract), _key_left_out(contract)
        judging = [column.name for column in contract.columns if column.judges_sales]
        for path in (destination / table).glob("*.parquet"):
            if judging:
                rows = pq.read_table(path, columns=[key.name, *judging])
                told = [
                    row
                    for row in rows.to_pylist()
                    if row[key.name] != left_out and any(row[name] is not None for name in judging)
                ]
                digest.update(f"{table} {told}".encode())
    return digest.hexdigest()


def _key_left_out(contract: Contract) -> int | None:
    """The key of the row that the models leave out; None for a table whose key is a text."""
    return UNKNOWN_KEY if type_of(key_column(contract).data_type).made is int else None


def _export(connection: Connection, name: str, contract: Contract, folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(column.name, arrow_type(column.data_type)) for column in contract.columns])
    query = raw_select(name, contract).order_by(sa.column(key_column(contract).name))
    options = {"stream_results": True, "yield_per": _ROWS_A_ROW_GROUP}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
        last_key: Any = None
        for rows in connection.execute(query, execution_options=options).partitions():
            columns = _typed_columns(name, contract, rows)
            keys = columns[key_column(contract).name].to_pylist()
            last_key = _check_keys(name, keys, last_key)
            writer.write_table(pa.table(columns, schema=schema))
    with partial.open("rb") as file:
        path = folder / f"{hashlib.file_digest(file, 'sha256').hexdigest()}.parquet"
    # a power cut may have left an empty file under the name
    if path.exists() and path.stat().st_size == partial.stat().st_size:
        partial.unlink()
    else:
        partial.replace(path)
    for older in folder.glob("*.parquet"):
        if older != path:
            older.unlink()
    return path


def _typed_columns(
    name: str, contract: Contract, rows: Sequence[sa.Row[Any]]
) -> dict[str, pa.Array]:
    columns = list(zip(*rows, strict=True))
    keys = columns[contract.columns.index(key_column(contract))]
    return {
        column.name: _typed(name, column, values, keys)
        for column, values in zip(contract.columns, columns, strict=True)
    }


def _typed(
    name: str, column: ContractColumn, values: Sequence[Any], keys: Sequence[Any]
) -> pa.Array:
    """The values in their Parquet type: converted together if the driver gave all of them in that
    type; otherwise, or if one does not fit, one by one."""
    import pyarrow as pa

    type_, target = type_of(column.data_type), arrow_type(column.data_type)
    if set(map(type, values)) <= {type_.made, type(None)}:
        with contextlib.suppress(*UNFIT):
            return pa.array(values, target)
    nulls = (None, *_ZERO_DAYS) if column.data_type == "date" else (None,)
    typed = []
    for value, key in zip(values, keys, strict=True):
        try:
            typed.append(None if value in nulls else type_.convert(value))
        except UNFIT as error:
            raise _misfit(name, column, value, key) from error
    return pa.array(typed, target)


def _misfit(name: str, column: ContractColumn, value: Any, key: Any) -> PipelineError:
    return PipelineError(
        f"The table {name} holds a value that does not fit: key {key}, column {column.name}",
        expected=type_of(column.data_type).expected,
        found=shown_value(value, column),
        action="Correct it in the database, or change the column's data_type in the source YAML",
    )


def _check_keys(name: str, keys: list[Any], last_key: Any) -> Any:
    """Returns the last of the sorted ``keys``; each row must have one that no other row has."""
    for before, key in itertools.pairwise([last_key, *keys]):
        if key is None or key == before:
            raise PipelineError(
                f"The table {name} has no unique key",
                expected="a unique value in every row",
                found="a row without key" if key is None else f"key {key} in two rows",
                action="Correct it in the database, and make the column the primary key",
            )
    return keys[-1]
