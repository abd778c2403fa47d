"""One engine to SQLite or MySQL/MariaDB: exact types, pooling, clear errors, and the run lock."""

from __future__ import annotations

import contextlib
import decimal
import re
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
    StatementError,
)

from ingestion.errors import BusyError, PipelineError

_CONNECT_SECONDS = 10
_BUSY_SECONDS = 30
_KEY_TEXT_LENGTH = 191
_TYPE = re.compile(r"^(?P<name>[a-z]+)(\((?P<precision>\d+),\s*(?P<scale>\d+)\))?$")
_MYSQL_TABLE: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_bin",
    "mariadb_engine": "InnoDB",
}


class ExactDecimal(sa.types.TypeDecorator[decimal.Decimal]):
    """A decimal that keeps every digit: DECIMAL on MySQL, text on SQLite (which has no decimals).

    A value with more digits than the type holds is an error, never rounded.
    """

    impl = sa.Numeric
    cache_ok = True

    def __init__(self, precision: int, scale: int) -> None:
        self.precision = precision
        self.scale = scale
        super().__init__(precision=precision, scale=scale)

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(sa.Text())
        return dialect.type_descriptor(sa.Numeric(self.precision, self.scale))

    def process_bind_param(self, value: decimal.Decimal | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        with decimal.localcontext(prec=self.precision) as context:
            context.traps[decimal.Inexact] = True
            try:
                exact = value.quantize(decimal.Decimal(1).scaleb(-self.scale), context=context)
            except (decimal.Inexact, decimal.InvalidOperation) as error:
                raise PipelineError(
                    "A decimal does not fit its column",
                    expected=f"at most decimal({self.precision},{self.scale})",
                    found=str(value),
                    action="Widen the column's type in the model's contract",
                ) from error
        return str(exact) if dialect.name == "sqlite" else exact

    def process_result_value(self, value: Any, dialect: Dialect) -> decimal.Decimal | None:  # noqa: ARG002
        return None if value is None else decimal.Decimal(value)


def column_type(data_type: str, key: bool = False) -> sa.types.TypeEngine[Any]:
    """The database type for a contract's ``data_type``; text in a key is bounded to be indexed."""
    match = _TYPE.match(data_type.strip().lower())
    name = match["name"] if match else ""
    if match and name == "decimal" and match["precision"]:
        return ExactDecimal(int(match["precision"]), int(match["scale"]))
    simple: dict[str, sa.types.TypeEngine[Any]] = {
        "int": sa.Integer(),
        "bigint": sa.BigInteger(),
        "string": sa.String(_KEY_TEXT_LENGTH) if key else sa.Text(),
        "date": sa.Date(),
        "timestamp": sa.DateTime(),
        "boolean": sa.Boolean(),
    }
    if name not in simple:
        raise PipelineError(
            f"The type {data_type!r} has no counterpart in the database",
            expected="one of " + ", ".join([*simple, "decimal(p,s)"]),
            action="Mend the data_type in the model's YAML",
        )
    return simple[name]


def define_table(metadata: sa.MetaData, name: str, *items: sa.schema.SchemaItem) -> sa.Table[Any]:
    """A table whose text is compared byte for byte (utf8mb4_bin) on MySQL and MariaDB."""
    return sa.Table(name, metadata, *items, **_MYSQL_TABLE)


def connect(url: URL, pool_size: int = 5) -> Engine:
    """A pooled engine that has answered once.

    MySQL sessions run READ COMMITTED, so that a status written by another process is seen at the
    next statement. Raises ``PipelineError`` with one sentence when the database refuses.
    """
    if url.get_backend_name() == "sqlite":
        engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    else:
        engine = sa.create_engine(
            url,
            pool_size=pool_size,
            pool_pre_ping=True,
            pool_recycle=1800,
            isolation_level="READ COMMITTED",
            connect_args={"connect_timeout": _CONNECT_SECONDS},
        )
    with translated_errors(engine), engine.connect() as connection:
        connection.execute(sa.text("select 1"))
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event starts transactions
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma foreign_keys = on")


@contextlib.contextmanager
def translated_errors(engine: Engine) -> Iterator[None]:
    """Turns a driver's error into one sentence that names the database but no secret."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _refused(engine.url, error) from error
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, StatementError) else error
        if isinstance(cause, PipelineError):  # raised by one of our own types
            raise cause from error
        raise PipelineError(
            f"The database {describe(engine.url)} failed", found=_driver_text(cause)
        ) from error


@contextlib.contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction, committed at the end of the block; errors come out as one sentence."""
    with translated_errors(engine), engine.begin() as connection:
        yield connection


def describe(url: URL) -> str:
    """The URL without password or query, fit for messages."""
    return url.set(query={}).render_as_string(hide_password=True)


def _driver_text(error: object) -> str:
    arguments: Sequence[object] = getattr(error, "args", ())
    if len(arguments) == 2:
        return f"{arguments[1]} (error {arguments[0]})"
    return str(error)


def _refused(url: URL, error: DBAPIError) -> PipelineError:
    arguments: Sequence[object] = getattr(error.orig, "args", ())
    code = arguments[0] if arguments else None
    advice = {
        1044: "Check the grants of the account on this schema",
        1045: "Check user and password (RETAIL_DATABASE_URL, RETAIL_DATABASE_PASSWORD)",
        1049: "Create the schema, or name another one in RETAIL_DATABASE_URL",
        1142: "Check the grants of the account on this schema",
        1698: "Check user and password (RETAIL_DATABASE_URL, RETAIL_DATABASE_PASSWORD)",
        2003: "Check host and port in RETAIL_DATABASE_URL, and that the server runs",
    }
    action = advice.get(code if isinstance(code, int) else 0, "Check RETAIL_DATABASE_URL")
    return PipelineError(
        f"The database {describe(url)} cannot be used",
        found=_driver_text(error.orig),
        action=action,
    )


@contextlib.contextmanager
def run_lock(engine: Engine) -> Iterator[None]:
    """Holds the one lock of this database; ``BusyError`` at once when another run has it.

    MySQL: ``GET_LOCK`` on a connection of its own. SQLite: an exclusive transaction on a file
    beside the database. Both free themselves when the process dies.
    """
    busy = BusyError(
        "Another run is at work on this database",
        action="Wait until it has ended; nothing was changed",
    )
    if engine.dialect.name == "sqlite":
        yield from _sqlite_lock(engine, busy)
    else:
        yield from _mysql_lock(engine, busy)


def _sqlite_lock(engine: Engine, busy: BusyError) -> Iterator[None]:
    holder = sqlite3.connect(f"{engine.url.database}.lock", timeout=0, isolation_level=None)
    try:
        try:
            holder.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            raise busy from error
        yield
    finally:
        holder.close()


def _mysql_lock(engine: Engine, busy: BusyError) -> Iterator[None]:
    with translated_errors(engine):
        holder: Connection = engine.connect()
    try:
        name = sa.func.concat("retail_mart:", sa.func.left(sa.func.sha1(sa.func.database()), 32))
        if holder.execute(sa.select(sa.func.get_lock(name, 0))).scalar() != 1:
            raise busy
        yield
    finally:
        holder.invalidate()
        holder.close()
