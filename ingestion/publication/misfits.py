"""Finds what a table that is there already would refuse of a model's rows, or would change."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Dialect, Engine

from ingestion.config.database_url import CHARSET
from ingestion.database.engine import COLLATION, ExactDecimal

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import ReflectedColumn

_COLLATED = f"character set {CHARSET} collate {COLLATION}"
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
_DIGITS = {32: 10, 64: 19}  # of the largest whole number with so many bits
# A length is nothing that a model says: a text that is too long is an error, and never cut. The
# marts' texts have no blanks around them, of which CHAR would lose those at the end.
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_COLUMNS = sa.text(
    "select table_name as of_table, column_name as name, data_type as kind,"
    " column_type as declared, numeric_precision as digits, numeric_scale as decimals,"
    " character_set_name as charset"
    " from information_schema.columns where table_schema = database() and table_name in :tables"
).bindparams(sa.bindparam("tables", expanding=True))
_WITHOUT_TRANSACTIONS = sa.text(
    "select tables.table_name as of_table, tables.engine as engine"
    " from information_schema.tables as tables"
    " join information_schema.engines as engines on engines.engine = tables.engine"
    " where tables.table_schema = database() and engines.transactions <> 'YES'"
)


@dataclasses.dataclass(frozen=True)
class _StoredColumn:
    """A column as MySQL describes it: ``kind`` is the type's name, ``declared`` all of it."""

    kind: str
    declared: str
    digits: int | None
    decimals: int | None
    charset: str | None


_Stored: TypeAlias = Mapping[tuple[str, str], _StoredColumn]


def find_misfits(engine: Engine, tables: Iterable[sa.Table[Any]]) -> list[str]:
    """What is to be mended in the live tables, each with the statement that does it.

    ``tables`` are as the models want them; one that is not in the database has no misfit. SQLite
    keeps a text as it is, and a decimal where its column is one for text; MySQL would convert some
    values without an error, and refuse others only when all is built.
    """
    inspector = sa.inspect(engine)
    names = set(inspector.get_table_names())
    there = [table for table in tables if table.name in names]
    stored: _Stored = {}
    engines: Mapping[str, str] = {}
    if inspector.dialect.name != "sqlite":
        with engine.connect() as connection:
            stored = _stored_columns(connection, there)
            found = connection.execute(_WITHOUT_TRANSACTIONS)
            engines = {row.of_table: row.engine for row in found}
    misfits: list[str] = []
    for table in there:
        misfits += _engine_misfits(table, engines, inspector.dialect)
        misfits += _column_misfits(table, inspector, stored)
        misfits += _charset_misfits(table, stored, inspector.dialect)
        misfits += _key_misfits(table, inspector)
    return misfits


def _stored_columns(connection: Connection, tables: Sequence[sa.Table[Any]]) -> _Stored:
    rows = connection.execute(_COLUMNS, {"tables": [table.name for table in tables]})
    return {
        (row.of_table, row.name.casefold()): _StoredColumn(
            row.kind, row.declared, row.digits, row.decimals, row.charset
        )
        for row in rows
    }


def _altered(table: sa.Table[Any], change: str, dialect: Dialect) -> str:
    return f"alter table {dialect.identifier_preparer.quote(table.name)} {change}"


def _engine_misfits(
    table: sa.Table[Any], engines: Mapping[str, str], dialect: Dialect
) -> Iterator[str]:
    """Misfits of an engine without transactions: readers would see half a publication."""
    if table.name in engines:
        mended = _altered(table, "engine = InnoDB", dialect)
        yield f"{table.name}: {engines[table.name]} has no transactions ({mended})"


def _column_misfits(
    table: sa.Table[Any], inspector: sa.Inspector, stored: _Stored
) -> Iterator[str]:
    dialect = inspector.dialect
    columns = {column["name"].casefold(): column for column in inspector.get_columns(table.name)}
    names = {column.name.casefold() for column in table.columns}
    left_over = [column["name"] for name, column in columns.items() if name not in names]
    for column in table.columns:
        wanted = column.type.compile(dialect)
        name = dialect.identifier_preparer.quote(column.name)
        definition = f"{name} {wanted}"
        if dialect.name != "sqlite" and isinstance(column.type, sa.String):
            definition += f" {_COLLATED}"
        if not column.nullable:
            definition += " not null"
        address = f"{table.name}.{column.name}"
        if column.name.casefold() not in columns:
            mended = _altered(table, f"add column {definition}", dialect)
            if left_over:
                old = "…" if left_over[1:] else dialect.identifier_preparer.quote(left_over[0])
                renamed = _altered(table, f"rename column {old} to {name}", dialect)
                mended += f"; or, if it was called {' or '.join(left_over)} before: {renamed}"
            yield f"{address}: no such column ({mended})"
        elif dialect.name == "sqlite":
            found = columns[column.name.casefold()]["type"]
            if isinstance(column.type, ExactDecimal) and not isinstance(found, sa.String):
                yield f"{address}: {found} where the model has {wanted}"
        else:
            there = stored[table.name, column.name.casefold()]
            if not _holds(there, column.type):
                mended = _altered(table, f"modify {definition}", dialect)
                yield f"{address}: {there.declared} where the model has {wanted} ({mended})"
    for name, column_there in columns.items():
        if name not in names and _must_be_given(column_there):
            yield f"{table.name}.{column_there['name']}: required, and the model has none"


def _holds(found: _StoredColumn, wanted: sa.types.TypeEngine[Any]) -> bool:
    """Whether a column of MySQL keeps each value of the model's type as it is."""
    if isinstance(wanted, sa.String):
        return found.kind in _TEXTS
    if isinstance(wanted, sa.Date):
        return found.kind == "date"
    if isinstance(wanted, sa.DateTime):
        return found.kind == "datetime"
    if isinstance(wanted, sa.Boolean):
        return found.kind in _BITS or found.kind == "bit"
    if "unsigned" in found.declared:
        return False
    whole, decimals = (found.digits or 0) - (found.decimals or 0), found.decimals or 0
    if isinstance(wanted, ExactDecimal):
        fits = decimals >= wanted.scale and whole >= wanted.precision - wanted.scale
        return found.kind == "decimal" and fits
    bits = 64 if isinstance(wanted, sa.BigInteger) else 32
    if found.kind == "decimal":
        return whole >= _DIGITS[bits]
    return _BITS.get(found.kind, 0) >= bits


def _charset_misfits(table: sa.Table[Any], stored: _Stored, dialect: Dialect) -> Iterator[str]:
    """Misfits of a character set. Any collation will do: a key that it takes for another is
    refused, never lost."""
    names: dict[str, list[str]] = {}
    for column in table.columns:
        there = stored.get((table.name, column.name.casefold()))
        charset = there.charset if there and isinstance(column.type, sa.String) else None
        if charset and charset != CHARSET:
            names.setdefault(charset, []).append(column.name)
    mended = _altered(table, f"convert to {_COLLATED}", dialect)
    for charset, of_charset in names.items():
        listed = ", ".join(of_charset)
        yield f"{table.name}.{listed}: {charset} where the model has {CHARSET} ({mended})"


def _key_misfits(table: sa.Table[Any], inspector: sa.Inspector) -> Iterator[str]:
    key = inspector.get_pk_constraint(table.name)["constrained_columns"]
    of_model = [column.name for column in table.primary_key.columns]
    if key and {name.casefold() for name in key} < {name.casefold() for name in of_model}:
        yield f"{table.name}: the key {', '.join(key)} where the model has {', '.join(of_model)}"


def _must_be_given(column: ReflectedColumn) -> bool:
    """Whether a row without the column is refused."""
    is_filled = column.get("autoincrement") is True or "computed" in column
    return not (column["nullable"] or column["default"] is not None or is_filled)
