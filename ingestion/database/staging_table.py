"""The staging table: one row per version of a file (key, ETag, SHA-256), and what became of it.

Whether a row counts has several meanings, and each has a function:

- ``is_accepted``: its content counts, or will with its batch ('A' or 'I'). ``counting_row`` is the
  newest such row of a key, ``counted_by_content`` the oldest of each content.
- ``replaces``: it takes, or is to take, the place of the row that its ``replaces_id`` names (any
  status but 'E'). ``replacing_rows`` gives such rows by that id.
- ``counted_rows``: accepted, and no other row replaces it: the models must count all its rows.
  ``counted_by_batch`` adds up how many these are.
- ``changes_what_counts``: accepted, or it replaces: marts have to be built for it.
- ``is_in_bronze``: its rows are needed to build marts again ('I', or 'E' by the models' verdict).
- ``published_totals`` adds up what readers see ('I' only).
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ingestion.database.engine import ExactDecimal, define_table

RETRACTION = "retracted"  # the ETag of a row that stands for the withdrawal of its file
_LOOKUP = 500  # keys or hashes named in one statement
_DIGITS_OF_A_SUM = 60  # as MySQL has them of a DECIMAL(38, 2)
metadata = sa.MetaData()
_BigId = sa.BigInteger().with_variant(sa.Integer, "sqlite")


class FileStatus(enum.StrEnum):
    """What became of a file version."""

    PLANNED = "A"  # accepted, not yet published
    PUBLISHED = "I"  # published, done
    ERROR = "E"  # set aside
    DUPLICATE = "D"  # content that already counts under another name
    SUPERSEDED = "S"  # replaced by a newer version of the same key


files = define_table(
    metadata,
    "product_staging_table",
    sa.Column("id", _BigId, primary_key=True, autoincrement=False),
    sa.Column("file_name", sa.String(1024), nullable=False),
    sa.Column("file_location", sa.Text, nullable=False),
    sa.Column("created_date", sa.DateTime, nullable=False),
    sa.Column("updated_date", sa.DateTime, nullable=False),
    sa.Column("status", sa.CHAR(1), nullable=False),
    sa.Column("etag", sa.String(255), nullable=False),
    sa.Column("sha256", sa.CHAR(64)),
    sa.Column("content_sha256", sa.CHAR(64)),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("batch_id", sa.Integer, nullable=False),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("rows_read", sa.BigInteger),
    sa.Column("rows_valid", sa.BigInteger),
    sa.Column("rows_quarantined", sa.BigInteger),
    sa.Column("amount_valid", ExactDecimal(38, 2)),
    sa.Column("reason", sa.Text),
    sa.Column("replaces_id", sa.BigInteger),
    sa.Column("duplicate_of_id", sa.BigInteger),
    sa.Column("is_read_again", sa.Boolean, nullable=False, default=False),
    sa.Index("ix_staging_file_name", "file_name", mysql_length=191, mariadb_length=191),
    sa.Index("ix_staging_content", "content_sha256"),
    sa.Index("ix_staging_batch", "batch_id"),
)
_ACCEPTED = (FileStatus.PLANNED.value, FileStatus.PUBLISHED.value)
# the rows that another replaces, or is to replace, as :func:`replacing_rows` has them
_REPLACED_IDS = sa.select(files.c.replaces_id).where(
    files.c.replaces_id.is_not(None), files.c.status != FileStatus.ERROR.value
)


@dataclasses.dataclass(frozen=True)
class FileRow:
    """One row of the staging table; ``file_name`` is the S3 key, dates are UTC.

    ``is_read_again``: the same bytes, sent again, are to be read anew and not taken for a repeat.
    """

    id: int
    file_name: str
    file_location: str
    created_date: dt.datetime
    updated_date: dt.datetime
    status: str
    etag: str
    sha256: str | None
    content_sha256: str | None
    size_bytes: int
    batch_id: int
    run_id: str
    rows_read: int | None = None
    rows_valid: int | None = None
    rows_quarantined: int | None = None
    amount_valid: decimal.Decimal | None = None
    reason: str | None = None
    replaces_id: int | None = None
    duplicate_of_id: int | None = None
    is_read_again: bool = False

    @property
    def is_withdrawal(self) -> bool:
        """Whether the row stands for the withdrawal of its file: it has no object and no rows."""
        return self.etag == RETRACTION


@dataclasses.dataclass(frozen=True)
class Delivery:
    """An object taken from the inbox, before it has a row."""

    key: str
    location: str
    etag: str
    sha256: str | None
    size_bytes: int


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the check of a file decided; written to its row in one step with the others'."""

    file_id: int
    status: FileStatus
    reason: str | None = None
    rows_read: int | None = None
    content_sha256: str | None = None
    replaces_id: int | None = None
    duplicate_of_id: int | None = None


@dataclasses.dataclass(frozen=True)
class FileCount:
    """What the models counted of one file: rows, and the exact ``total_cost`` of its valid rows."""

    file_id: int
    rows_read: int
    rows_valid: int
    rows_quarantined: int
    amount_valid: decimal.Decimal
    reason: str | None = None  # set where the models set the whole file aside


def utc_now() -> dt.datetime:
    """The present in UTC, to the second, as the database stores it."""
    return dt.datetime.now(dt.UTC).replace(tzinfo=None, microsecond=0)


def all_rows(connection: Connection) -> list[FileRow]:
    """Every row, oldest first."""
    return _rows(connection, sa.select(files))


def rows_of_batch(connection: Connection, batch_id: int) -> list[FileRow]:
    """The batch's rows in the order in which they were delivered."""
    return _rows(connection, sa.select(files).where(files.c.batch_id == batch_id))


def rows_of_batches(connection: Connection, batch_ids: Collection[int] | None) -> list[FileRow]:
    """The rows of these batches; None means of all."""
    if batch_ids is None:
        return all_rows(connection)
    return list(_lookup(connection, files.c.batch_id, batch_ids))


def rows_by_key(connection: Connection, keys: Iterable[str]) -> dict[str, list[FileRow]]:
    """The rows of each of these keys, oldest first; keys without a row are absent."""
    found: dict[str, list[FileRow]] = {}
    for row in _lookup(connection, files.c.file_name, keys):
        found.setdefault(row.file_name, []).append(row)
    return found


def rows_by_id(connection: Connection, ids: Iterable[int | None]) -> list[FileRow]:
    """The rows with these ids; None is skipped."""
    return list(_lookup(connection, files.c.id, (item for item in ids if item is not None)))


def counted_by_content(connection: Connection, hashes: Iterable[str]) -> dict[str, FileRow]:
    """The first row that counts ('A' or 'I') for each content hash."""
    found: dict[str, FileRow] = {}
    for row in _lookup(connection, files.c.content_sha256, hashes):
        if is_accepted(row) and row.content_sha256:
            found.setdefault(row.content_sha256, row)
    return found


def copies_by_content(connection: Connection, hashes: Iterable[str]) -> dict[str, list[FileRow]]:
    """The copies (status D) of each of these contents, oldest first; others are absent."""
    found: dict[str, list[FileRow]] = {}
    for row in _lookup(connection, files.c.content_sha256, hashes):
        if row.status == FileStatus.DUPLICATE and row.content_sha256:
            found.setdefault(row.content_sha256, []).append(row)
    return found


def is_accepted(row: FileRow) -> bool:
    """Whether the row's content counts, or will count with its batch."""
    return row.status in _ACCEPTED


def counting_row(rows: Sequence[FileRow]) -> FileRow | None:
    """Of the rows of one key, the one whose content counts."""
    counting = [row for row in rows if is_accepted(row)]
    return counting[-1] if counting else None


def changes_what_counts(row: FileRow) -> bool:
    """Whether marts have to be built for the row: it counts, or it takes the place of a version
    that did, as a copy of another file may."""
    return is_accepted(row) or replaces(row)


def is_in_bronze(row: FileRow) -> bool:
    """Whether the published marts are built from the file's rows: it counts, or the models have
    refused it."""
    was_read = row.rows_valid is not None and not row.is_withdrawal
    return was_read and row.status in (FileStatus.PUBLISHED, FileStatus.ERROR)


def replaces(row: FileRow) -> bool:
    """Whether the row takes the place of an older version, or is to; one set aside does not."""
    return row.replaces_id is not None and row.status != FileStatus.ERROR


def replacing_rows(rows: Iterable[FileRow]) -> dict[int, FileRow]:
    """Those of the rows that replace another, or are to, by the id of that one."""
    return {row.replaces_id: row for row in rows if row.replaces_id is not None and replaces(row)}


def counted_rows(connection: Connection, rows: Iterable[FileRow]) -> list[FileRow]:
    """Those of these rows that count: accepted, and not replaced by an accepted newer version."""
    replaced: set[int] = set(connection.execute(_REPLACED_IDS).scalars())
    return [row for row in rows if is_accepted(row) and row.id not in replaced]


def counted_by_batch(connection: Connection) -> dict[int, int]:
    """The rows read from the files that count, of each batch that has such files."""
    query = (
        sa.select(files.c.batch_id, sa.func.sum(files.c.rows_read).label("rows_read"))
        .where(files.c.status.in_(_ACCEPTED), files.c.id.not_in(_REPLACED_IDS))
        .group_by(files.c.batch_id)
    )
    return {row.batch_id: int(row.rows_read or 0) for row in connection.execute(query)}


def published_totals(connection: Connection) -> tuple[int, decimal.Decimal]:
    """The valid rows of all published files, and their exact ``total_cost``."""
    is_published = files.c.status == FileStatus.PUBLISHED.value
    counted = sa.select(sa.func.sum(files.c.rows_valid)).where(is_published)
    rows = connection.execute(counted).scalar()
    amount: sa.ColumnElement[Any] = files.c.amount_valid
    if connection.dialect.name != "sqlite":  # it has no decimals, and would add up floats
        amount = sa.func.sum(amount)
    query = sa.select(amount).where(is_published)
    amounts: Iterable[decimal.Decimal | None] = connection.execute(query).scalars()
    with decimal.localcontext(prec=_DIGITS_OF_A_SUM):
        total = sum((item for item in amounts if item is not None), decimal.Decimal(0))
    return int(rows or 0), total


def first_run(connection: Connection) -> str | None:
    """The run that took the very first file: it tells this database from any other."""
    query = sa.select(files.c.run_id).order_by(files.c.id).limit(1)
    return connection.execute(query).scalar()


def _lookup(
    connection: Connection, column: sa.Column[Any], values: Iterable[Any]
) -> Iterable[FileRow]:
    wanted = list(dict.fromkeys(values))
    for start in range(0, len(wanted), _LOOKUP):
        part = wanted[start : start + _LOOKUP]
        found = _rows(connection, sa.select(files).where(column.in_(part)))
        named = set(part)  # MySQL finds other keys too, see define_table
        yield from (row for row in found if getattr(row, column.name) in named)


def _rows(connection: Connection, query: sa.Select[Any]) -> list[FileRow]:
    found = connection.execute(query.order_by(files.c.id))
    return [FileRow(**row._mapping) for row in found]
