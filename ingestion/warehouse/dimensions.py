"""Loads the dimension tables from CSV into the database, and copies them to typed Parquet."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import column_type, define_table, in_transaction, repeated
from ingestion.errors import PipelineError, UsageError
from ingestion.reader.contract import Contract, ContractColumn, read_contract
from ingestion.reader.headers import normalised, shown

if TYPE_CHECKING:
    import pyarrow as pa

DIMENSION_TABLES = ("customer", "product", "store", "sales_team")
_MISTAKES_A_FILE = 10
_ROWS_A_STATEMENT = 1000
_ROWS_A_ROW_GROUP = 20_000
_TEXT_BYTES = 65_535
_BITS = {"int": 32, "bigint": 64}
_WHOLE = re.compile(r"-?[0-9]+")
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ZERO_DAYS = ("0000-00-00", "0000-00-00 00:00:00")
_UNFIT = (ValueError, TypeError, ArithmeticError)

_Row: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class DimensionLoad:
    """What one file did to its table; rows that were there already, unchanged, are neither."""

    table: str
    rows: int
    inserted: int
    updated: int


@dataclass(frozen=True)
class _Type:
    """Turns text or a stored value into the type of a column, or raises one of ``_UNFIT``.

    ``bound`` reads a minimum or maximum of the contract.
    """

    expected: str
    convert: Callable[[Any], Any]
    bound: Callable[[str], Any] = Decimal


def load_dimensions(engine: Engine, folder: Path, contract_file: Path) -> tuple[DimensionLoad, ...]:
    """Brings the rows of ``folder``'s four CSV files into the tables of the same names, by key.

    A file has each column of the contract once, in any order, and nothing else; an empty value is
    null. New keys are inserted, changed rows updated, other rows and other columns of the table
    left alone, all in one transaction; missing tables are made first, and stay, empty, when a
    later statement fails. The files are read twice, row by row: first to find every mistake.

    Raises ``UsageError`` for a folder or contract that is not there, and ``PipelineError`` that
    lists the mistakes with file, line, column and value; then nothing has changed.
    """
    if not folder.is_dir():
        raise UsageError(
            "The dimensions cannot be loaded",
            expected="a folder with " + ", ".join(f"{table}.csv" for table in DIMENSION_TABLES),
            found=f"no folder {folder}",
        )
    contracts = _read_contracts(contract_file)
    mistakes: list[str] = []
    for table, contract in contracts.items():
        of_file = (row for row in _checked_rows(folder, table, contract) if isinstance(row, str))
        mistakes += itertools.islice(of_file, _MISTAKES_A_FILE)
    if mistakes:
        raise _refused(folder, mistakes)

    def load(connection: Connection) -> tuple[DimensionLoad, ...]:
        return tuple(
            _upsert(connection, table, contract, _sound_rows(folder, table, contract))
            for table, contract in contracts.items()
        )

    repeated(engine, lambda: _prepare_tables(engine, contracts))
    return in_transaction(engine, load)


def export_dimensions(engine: Engine, contract_file: Path, destination: Path) -> dict[str, Path]:
    """Copies each table to ``destination/<table>/<sha256 of the file>.parquet``; gives the paths.

    Rows stand in the order of the key and are streamed, so memory does not grow with the table;
    the same content gives the same path, which is not written again. It is the folder's only
    Parquet file, so that the folder can be read as the table. A table that is missing is
    made, empty. MySQL's zero date is no day and becomes null; any other value that does not fit
    the contract's type raises ``PipelineError`` naming table, key and column.
    """
    contracts = _read_contracts(contract_file)

    def export(connection: Connection) -> dict[str, Path]:
        return {
            table: _export(connection, table, contract, destination / table)
            for table, contract in contracts.items()
        }

    repeated(engine, lambda: _prepare_tables(engine, contracts))
    return in_transaction(engine, export)


def _read_contracts(contract_file: Path) -> dict[str, Contract]:
    contracts = {table: read_contract(contract_file, table) for table in DIMENSION_TABLES}
    for table, contract in contracts.items():
        keys = [column.name for column in contract.columns if column.key]
        if len(keys) != 1:
            raise UsageError(
                f"The table {table} in {contract_file} needs a key",
                expected="one column with key: true under config.meta",
                found=", ".join(keys) or "none",
            )
    return contracts


def _key(contract: Contract) -> ContractColumn:
    return next(column for column in contract.columns if column.key)


def _refused(folder: Path, mistakes: list[str]) -> PipelineError:
    return PipelineError(
        f"The dimension files in {folder} have mistakes, and nothing was changed",
        found="".join(f"\n- {mistake}" for mistake in mistakes),
        action=f"Mend them and load again (at most {_MISTAKES_A_FILE} are shown of each file)",
    )


def _sound_rows(folder: Path, table: str, contract: Contract) -> Iterator[_Row]:
    for row in _checked_rows(folder, table, contract):
        if isinstance(row, str):  # the file has changed since it was checked
            raise _refused(folder, [row])
        yield row


def _checked_rows(folder: Path, table: str, contract: Contract) -> Iterator[_Row | str]:
    """Each row by column name, or a sentence for each mistake in its place."""
    path = folder / f"{table}.csv"
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _checked_records(csv.reader(file, strict=True), path.name, contract)
    except FileNotFoundError:
        yield f"{path.name}: the file is missing"
    except OSError as error:
        yield f"{path.name}: the file cannot be read ({error.strerror})"


def _checked_records(
    reader: Iterator[list[str]], file_name: str, contract: Contract
) -> Iterator[_Row | str]:
    records = _numbered(reader)
    line, header = next(records, (1, "the file is empty"))
    if isinstance(header, str):
        yield f"{file_name} line {line}: {header}"
        return
    positions = _positions(header, contract)
    if mistakes := _header_mistakes(header, positions, contract):
        yield from (f"{file_name} line {line}: {mistake}" for mistake in mistakes)
        return
    types = {column.name: _type_of(column.data_type) for column in contract.columns}
    key = _key(contract).name
    lines_of_keys: dict[Any, int] = {}
    for line, record in records:
        address = f"{file_name} line {line}"
        if isinstance(record, str):
            yield f"{address}: {record}"
            continue
        if len(record) != len(header):
            yield f"{address}: expected {len(header)} values, found {len(record)}"
            continue
        row: _Row = {}
        for column in contract.columns:
            value = record[positions[column.name]]
            try:
                row[column.name] = _value(value, column, types[column.name])
            except ValueError as mistake:
                yield f"{address}, column {column.name}: {mistake}"
        if key in row and lines_of_keys.setdefault(row[key], line) != line:
            first = lines_of_keys[row[key]]
            yield f"{address}, column {key}: {row[key]} stands already on line {first}"
        elif len(row) == len(types):
            yield row


def _numbered(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Each record that is not blank with the line it begins on; a damaged one as a sentence."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"the record that begins here is no CSV ({error})"
            return
        if record:
            yield line, record


def _positions(header: Sequence[str], contract: Contract) -> dict[str, int]:
    known = {
        normalised(name): column.name
        for column in contract.columns
        for name in (*column.aliases, column.name)
    }
    names = [known.get(normalised(text), "") for text in header]
    return {name: names.index(name) for name in names if name}


def _header_mistakes(
    header: Sequence[str], positions: Mapping[str, int], contract: Contract
) -> list[str]:
    missing = [column.name for column in contract.columns if column.name not in positions]
    used = set(positions.values())
    surplus = [shown(text) for place, text in enumerate(header) if place not in used]
    mistakes = []
    if missing:
        mistakes.append("missing in the header: " + ", ".join(missing))
    if surplus:
        listed = ", ".join(repr(text) for text in surplus)
        mistakes.append(f"unknown or repeated in the header: {listed}")
    return mistakes


def _value(text: str, column: ContractColumn, type_: _Type) -> Any:
    """The typed value, null for an empty one. Raises ``ValueError`` with what was expected."""
    if not text:
        if column.key or column.required:
            raise ValueError("expected a value, found nothing")
        return None
    found = _shown(text, column)
    if "\0" in text or not _is_utf8(text) or len(text.encode()) > _TEXT_BYTES:
        raise ValueError(
            f"expected UTF-8 text of at most {_TEXT_BYTES} bytes, without NUL; found {found}"
        )
    try:
        value = type_.convert(text)
    except _UNFIT:
        raise ValueError(f"expected {type_.expected}, found {found}") from None
    if column.minimum is not None and value < type_.bound(column.minimum):
        raise ValueError(f"expected at least {column.minimum}, found {found}")
    if column.maximum is not None and value > type_.bound(column.maximum):
        raise ValueError(f"expected at most {column.maximum}, found {found}")
    return value


def _shown(value: Any, column: ContractColumn) -> str:
    return "a personal value" if column.personal else repr(shown(str(value)))


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _type_of(data_type: str) -> _Type:
    if data_type in _BITS:
        limit = 2 ** (_BITS[data_type] - 1)
        return _Type(
            f"a whole number from {-limit} to {limit - 1}",
            lambda value: _to_whole(value, limit),
        )
    if data_type.startswith("decimal"):
        precision, scale = map(int, re.findall(r"[0-9]+", data_type))
        exact = Context(prec=precision, traps=[Inexact, InvalidOperation])
        return _Type(
            f"a plain decimal of at most {precision - scale} digits and {scale} decimals",
            lambda value: _to_decimal(value, Decimal(1).scaleb(-scale), exact),
        )
    return {
        "date": _Type("a real day as yyyy-MM-dd", _to_day, dt.date.fromisoformat),
        "string": _Type("UTF-8 text", _to_text),
        "boolean": _Type("true or false", _to_boolean),
    }[data_type]


def _to_whole(value: Any, limit: int) -> int:
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError(value)
    number = int(value)
    if not -limit <= number < limit or not (isinstance(value, str) or number == value):
        raise ValueError(value)
    return number


def _to_decimal(value: Any, step: Decimal, exact: Context) -> Decimal:
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError(value)
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError(value)
    return number.quantize(step, context=exact)


def _to_day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        if value.time() != dt.time():
            raise ValueError(value)
        return value.date()
    if isinstance(value, dt.date):
        return value
    if not _DAY.fullmatch(value):
        raise ValueError(value)
    return dt.date.fromisoformat(value)


def _to_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _to_boolean(value: Any) -> bool:
    word = str(value).casefold()
    if word not in ("true", "1", "false", "0"):
        raise ValueError(value)
    return word in ("true", "1")


def _prepare_tables(engine: Engine, contracts: Mapping[str, Contract]) -> None:
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
        _table(table, contracts[table]).create(engine)


def _table(name: str, contract: Contract) -> sa.Table:
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


def _upsert(
    connection: Connection, name: str, contract: Contract, rows: Iterator[_Row]
) -> DimensionLoad:
    table, key = _table(name, contract), _key(contract).name
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


def _without_key(row: _Row, key: str) -> _Row:
    rest = {name: value for name, value in row.items() if name != key}
    return rest | {"key_of_the_row": row[key]}


def _stored_rows(
    connection: Connection, name: str, contract: Contract, keys: list[Any]
) -> dict[Any, _Row]:
    """The rows of these keys; a value that does not fit its type stands as it is, so differs."""
    types = [(column.name, _type_of(column.data_type)) for column in contract.columns]
    key = _key(contract)
    typed_key: sa.ColumnClause[Any] = sa.column(key.name, column_type(key.data_type, key=True))
    found = {}
    for values in connection.execute(_raw_select(name, contract).where(typed_key.in_(keys))):
        row: _Row = {}
        for (column, type_), value in zip(types, values, strict=True):
            try:
                row[column] = None if value is None else type_.convert(value)
            except _UNFIT:
                row[column] = value
        found[row[key.name]] = row
    return found


def _raw_select(name: str, contract: Contract) -> sa.Select[Any]:
    """The columns as the driver gives them: a user's table may have types of its own."""
    columns: list[sa.ColumnClause[Any]] = [sa.column(column.name) for column in contract.columns]
    return sa.select(*columns).select_from(sa.table(name))


def _export(connection: Connection, name: str, contract: Contract, folder: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema(
        [(column.name, _arrow_type(column.data_type)) for column in contract.columns]
    )
    query = _raw_select(name, contract).order_by(sa.column(_key(contract).name))
    options = {"stream_results": True, "yield_per": _ROWS_A_ROW_GROUP}
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{name}.part"
    with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
        last_key: Any = None
        for rows in connection.execute(query, execution_options=options).partitions():
            columns = _typed_columns(name, contract, rows)
            last_key = _check_keys(name, columns[_key(contract).name], last_key)
            writer.write_table(pa.table(columns, schema=schema))
    with partial.open("rb") as file:
        path = folder / f"{hashlib.file_digest(file, 'sha256').hexdigest()}.parquet"
    if path.exists():
        partial.unlink()
    else:
        partial.replace(path)
    for older in folder.glob("*.parquet"):
        if older != path:
            older.unlink()
    return path


def _typed_columns(
    name: str, contract: Contract, rows: Sequence[sa.Row[Any]]
) -> dict[str, list[Any]]:
    key_place = contract.columns.index(_key(contract))
    columns: dict[str, list[Any]] = {}
    for place, column in enumerate(contract.columns):
        convert = _type_of(column.data_type).convert
        nulls = (None, *_ZERO_DAYS) if column.data_type == "date" else (None,)
        typed = columns[column.name] = []
        for row in rows:
            value = row[place]
            try:
                typed.append(None if value in nulls else convert(value))
            except _UNFIT as error:
                raise _misfit(name, column, value, row[key_place]) from error
    return columns


def _misfit(name: str, column: ContractColumn, value: Any, key: Any) -> PipelineError:
    return PipelineError(
        f"The table {name} holds a value that does not fit: key {key}, column {column.name}",
        expected=_type_of(column.data_type).expected,
        found=_shown(value, column),
        action="Mend it in the database, or the column's data_type in the source YAML",
    )


def _check_keys(name: str, keys: list[Any], last_key: Any) -> Any:
    """Returns the last of the sorted ``keys``; each row must have one that no other row has."""
    for before, key in itertools.pairwise([last_key, *keys]):
        if key is None or key == before:
            raise PipelineError(
                f"The table {name} has no clean key",
                expected="a value of its own in every row",
                found="a row without key" if key is None else f"key {key} in two rows",
                action="Mend it in the database, and give the column a primary key",
            )
    return keys[-1]


def _arrow_type(data_type: str) -> pa.DataType:
    import pyarrow as pa

    if data_type.startswith("decimal"):
        precision, scale = map(int, re.findall(r"[0-9]+", data_type))
        return pa.decimal128(precision, scale)
    types: dict[str, pa.DataType] = {
        "int": pa.int32(),
        "bigint": pa.int64(),
        "string": pa.string(),
        "date": pa.date32(),
        "boolean": pa.bool_(),
    }
    return types[data_type]
