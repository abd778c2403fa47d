"""One engine to SQLite or MySQL/MariaDB: exact types, pooling, clear errors."""

from __future__ import annotations

import contextlib
import decimal
import logging
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import URL, Connection, Dialect, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ingestion.config.database_url import CHARSET
from ingestion.data_types import decimal_digits
from ingestion.database.errors import database_error, is_transient
from ingestion.errors import PipelineError

_LOG = logging.getLogger(__name__)
_CONNECT_SECONDS = 10
_BUSY_SECONDS = 30
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4)  # seconds; each is stretched up to twofold
_MYSQL_MODE = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION"  # whatever the server's own mode is
T = TypeVar("T")
KEY_TEXT_LENGTH = 191
_LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
COLLATION = f"{CHARSET}_bin"
_MYSQL_TABLE: dict[str, Any] = {
    "mysql_charset": CHARSET,
    "mysql_collate": COLLATION,
    "mysql_engine": "InnoDB",
    "mariadb_charset": CHARSET,
    "mariadb_collate": COLLATION,
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
    name = data_type.strip().lower()
    precision, scale = decimal_digits(name)
    if precision:
        return ExactDecimal(precision, scale)
    simple: dict[str, sa.types.TypeEngine[Any]] = {
        "int": sa.Integer(),
        "bigint": sa.BigInteger(),
        "string": sa.String(KEY_TEXT_LENGTH) if key else _LONG_TEXT,
        "date": sa.Date(),
        "timestamp": sa.DateTime(),
        "boolean": sa.Boolean(),
    }
    if name not in simple:
        raise PipelineError(
            f"The type {data_type!r} has no counterpart in the database",
            expected="one of " + ", ".join([*simple, "decimal(p,s)"]),
            action="Correct the data_type in the model's YAML",
        )
    return simple[name]


def define_table(metadata: sa.MetaData, name: str, *items: sa.schema.SchemaItem) -> sa.Table[Any]:
    """A table whose text is compared letter by letter (utf8mb4_bin) on MySQL and MariaDB.

    Exception: MySQL and MariaDB ignore blanks at the end. ``=`` and keys take ``'a'`` and ``'a '``
    for the same there, not on SQLite. Whoever looks up text that others wrote has to compare the
    result once more.
    """
    return sa.Table(name, metadata, *items, **_MYSQL_TABLE)


def table_names(engine: Engine) -> set[str]:
    """The names of the tables in the database; work for :func:`repeated`."""
    return set(sa.inspect(engine).get_table_names())


def connect(url: URL) -> Engine:
    """A pooled engine that has answered once.

    MySQL sessions run READ COMMITTED, so that a status written by another process is seen at the
    next statement, and in strict mode, so that a value that does not fit is an error. A pooled
    connection that broke while it was idle is replaced. Raises ``PipelineError`` with one sentence
    when the database refuses.
    """
    if url.get_backend_name() == "sqlite":
        busy = {} if "timeout" in url.query else {"timeout": _BUSY_SECONDS}
        engine = sa.create_engine(url, connect_args=busy)
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    else:
        engine = sa.create_engine(
            url,
            pool_pre_ping=True,
            pool_recycle=1800,
            pool_reset_on_return=None,  # each transaction has ended by then
            isolation_level="READ COMMITTED",
            connect_args=_mysql_arguments(url),
        )

    def ask() -> None:
        with engine.connect() as connection:
            connection.execute(sa.text("select 1"))

    repeated(engine, ask, _PAUSES[:3])  # a wrong address is told within seconds
    return engine


def local_file_engine(engine: Engine) -> Engine:
    """The same MySQL database by connections that may send the server a local file, and are closed
    after use: the server names the file it wants, so no other work should run on them."""
    return sa.create_engine(
        engine.url,
        poolclass=sa.NullPool,
        connect_args={**_mysql_arguments(engine.url), "local_infile": True},
    )


def _mysql_arguments(url: URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {"sql_mode": _MYSQL_MODE}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = _CONNECT_SECONDS
    if url.password:  # as text, the driver would send it in Latin-1
        arguments["password"] = url.password.encode()
    return arguments


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event starts transactions
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma foreign_keys = on")


@contextlib.contextmanager
def translated_errors(engine: Engine) -> Iterator[None]:
    """Turns a driver's error into one sentence that names the database but no secret."""
    try:
        yield
    except SQLAlchemyError as error:
        raise database_error(engine.url, error) from error


def in_transaction(engine: Engine, work: Callable[[Connection], T]) -> T:
    """What ``work`` returns, in one transaction, committed and repeated like :func:`repeated`."""

    def once() -> T:
        with engine.begin() as connection:
            return work(connection)

    return repeated(engine, once)


def repeated(engine: Engine, work: Callable[[], T], pauses: Sequence[float] = _PAUSES) -> T:
    """What ``work`` returns; after a passing failure it is begun anew, with a growing, random
    pause.

    A commit may have been done although its answer was lost, so ``work`` done twice must be the
    same as done once. An error that remains is raised as one sentence.
    """
    from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
    from tenacity.wait import wait_chain, wait_random

    def tell(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, DBAPIError):
            _LOG.warning("%s", database_error(engine.url, error).what + "; retrying")

    tries = Retrying(
        stop=stop_after_attempt(len(pauses) + 1),
        wait=wait_chain(*(wait_random(pause, 2 * pause) for pause in pauses)),
        retry=retry_if_exception(is_transient),
        before_sleep=tell,
        reraise=True,
    )
    with translated_errors(engine):
        return tries(work)
