"""Tells passing failures of the database from lasting ones, and puts each into one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, StatementError

from ingestion.errors import PipelineError

CANNOT_CONNECT = 2003
_LOST = frozenset(
    {
        1053,  # the server is shutting down
        1158,  # to 1161: the network failed while a packet was read or written
        1159,
        1160,
        1161,
        1927,  # the connection was killed
        2006,
        2013,
        2055,
        4031,  # closed by the server for its idleness
    }
)
_IN_THE_WAY = frozenset({1040, 1205, 1213})  # too many connections, lock wait, deadlock
_SQLITE_IN_THE_WAY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_GRANTS = "Check the grants of the account on this schema"
_PASSWORD = "Check user and password (RETAIL_DATABASE_URL, RETAIL_DATABASE_PASSWORD)"
_ADVICE = {
    1044: _GRANTS,
    1045: _PASSWORD,
    1049: "Create the schema, or name another one in RETAIL_DATABASE_URL",
    1142: _GRANTS,
    1698: _PASSWORD,
    CANNOT_CONNECT: "Check host and port in RETAIL_DATABASE_URL, and that the server runs",
}
_UNFIT_VALUES = frozenset(
    {
        1048,  # null in a column that wants a value
        1264,  # out of range
        1265,  # cut
        1292,  # no date, say
        1366,  # not in the column's character set, or no number
        1406,  # too long
    }
)
_RUN_AGAIN = "Run again; the run continues where it stopped"


def is_transient(error: BaseException) -> bool:
    """Whether the same work may succeed when it is begun anew.

    So it is for a lost connection, a server that is just starting, a deadlock or a lock in the way;
    not for a server that does not answer at all, since each try would take as long again.
    """
    if not isinstance(error, DBAPIError):
        return False
    if error_number(error) == CANNOT_CONNECT:
        return "timed out" not in str(error.orig)
    return _is_lost(error) or _is_in_the_way(error)


def error_number(error: DBAPIError) -> int | None:
    """The number that MySQL and MariaDB give to each kind of error."""
    first = next(iter(_arguments(error.orig)), None)
    return first if isinstance(first, int) else None


def database_error(url: URL, error: Exception) -> PipelineError:
    """The sentence for what SQLAlchemy raised; it names the database, but no secret."""
    cause = error.orig if isinstance(error, StatementError) else error
    if isinstance(cause, PipelineError):  # raised by one of our own types
        return cause
    name, found = f"The database {describe(url)}", _driver_text(cause)
    if not isinstance(error, DBAPIError):
        return PipelineError(f"{name} failed", found=found)
    if _is_lost(error):
        return PipelineError(
            f"The connection to the database {describe(url)} was lost",
            found=found,
            action=_RUN_AGAIN,
        )
    if _is_in_the_way(error):
        return PipelineError(f"{name} was busy for too long", found=found, action=_RUN_AGAIN)
    if error_number(error) in _UNFIT_VALUES:
        return PipelineError(
            f"{name} refused a value",
            found=found,
            action="Change the column that is named (alter table … modify …)",
        )
    if isinstance(error, OperationalError | InterfaceError):
        advice = _ADVICE.get(error_number(error) or 0, "Check RETAIL_DATABASE_URL")
        return PipelineError(f"{name} cannot be used", found=found, action=advice)
    return PipelineError(f"{name} failed", found=found)


def describe(url: URL) -> str:
    """The URL without password or query, fit for messages."""
    return url.set(query={}).render_as_string(hide_password=True)


def is_in_the_way(error: sqlite3.Error) -> bool:
    """Whether another connection to the SQLite file holds what this one wants."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # some errors have none
    return (code & 0xFF) in _SQLITE_IN_THE_WAY


def _is_lost(error: DBAPIError) -> bool:
    return error.connection_invalidated or error_number(error) in _LOST


def _is_in_the_way(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return is_in_the_way(error.orig)
    return error_number(error) in _IN_THE_WAY


def _arguments(error: object) -> Sequence[object]:
    return getattr(error, "args", ())


def _driver_text(error: object) -> str:
    arguments = _arguments(error)
    if len(arguments) == 2:
        return f"{arguments[1]} (error {arguments[0]})"
    return str(error)
