"""The record of publications: which version is current in the database, and since when."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ingestion.database.engine import ExactDecimal, define_table
from ingestion.database.staging_table import metadata
from ingestion.errors import PipelineError

publications = define_table(
    metadata,
    "publications",
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("published_at", sa.DateTime, nullable=False),
    sa.Column("manifest_key", sa.String(1024), nullable=False),
    sa.Column("manifest_sha256", sa.CHAR(64), nullable=False),
    sa.Column("logic_hash", sa.CHAR(64), nullable=False),
    sa.Column("rows_total", sa.BigInteger, nullable=False),
    sa.Column("amount_total", ExactDecimal(38, 2), nullable=False),
    sa.Column("pointer_written", sa.Boolean, nullable=False),
    sa.Column("rolled_back_to", sa.Integer),
    sa.Column("is_kept", sa.Boolean, nullable=False),
)


@dataclasses.dataclass(frozen=True)
class Publication:
    """One published version: rows and exact ``total_cost`` of all sales that count in it.

    ``rolled_back_to`` is the older version that a rollback showed again under this number;
    ``is_kept`` is false once its objects were removed.
    """

    version: int
    run_id: str
    published_at: dt.datetime
    manifest_key: str
    manifest_sha256: str
    logic_hash: str
    rows_total: int
    amount_total: decimal.Decimal
    pointer_written: bool = False
    rolled_back_to: int | None = None
    is_kept: bool = True


def current_publication(connection: Connection) -> Publication | None:
    """The newest version, which is the one that the database's marts show."""
    return _newest(connection, sa.select(publications))


def built_publication(connection: Connection) -> Publication | None:
    """The newest version that a run has built; a rollback only shows one again."""
    return _newest(
        connection, sa.select(publications).where(publications.c.rolled_back_to.is_(None))
    )


def _newest(connection: Connection, query: sa.Select[Any]) -> Publication | None:
    newest = query.order_by(publications.c.version.desc()).limit(1)
    row = connection.execute(newest).mappings().first()
    return None if row is None else Publication(**row)


def kept_publications(connection: Connection) -> list[Publication]:
    """The versions whose objects are there, oldest first."""
    query = sa.select(publications).where(publications.c.is_kept)
    found = connection.execute(query.order_by(publications.c.version)).mappings()
    return [Publication(**row) for row in found]


def forget_publications(connection: Connection, versions: Sequence[int]) -> None:
    """Notes that the objects of these versions are gone."""
    connection.execute(
        publications.update().where(publications.c.version.in_(versions)).values(is_kept=False)
    )


def is_recorded(connection: Connection, version: int, run_id: str, base: int) -> bool:
    """Whether this run has published this version, which it made on top of ``base``, already.

    Raises ``PipelineError`` where another run has published: this one has lost the run lock.
    """
    newest = current_publication(connection)
    if (0 if newest is None else newest.version) == base:
        return False
    if newest is None or (newest.version, newest.run_id) != (version, run_id):
        raise PipelineError(
            f"Version {version} cannot be published on top of version {base}",
            found="no version"
            if newest is None
            else f"version {newest.version}, published by run {newest.run_id} meanwhile",
            action="Run again; the run continues where it stopped",
        )
    return True


def add_publication(connection: Connection, publication: Publication) -> None:
    """Records the version; the caller's transaction makes its rows visible at the same moment."""
    connection.execute(publications.insert().values(**dataclasses.asdict(publication)))


def record_pointer(connection: Connection, version: int) -> None:
    """Notes that the pointer object on S3 names this version."""
    connection.execute(
        publications.update().where(publications.c.version == version).values(pointer_written=True)
    )


def given_up_manifests(connection: Connection) -> dict[str, str]:
    """The manifests of versions that are not kept: the SHA-256 of each, by key."""
    columns = publications.c.manifest_key, publications.c.manifest_sha256
    found = connection.execute(sa.select(*columns).where(~publications.c.is_kept))
    return {row.manifest_key: row.manifest_sha256 for row in found}


def new_version(connection: Connection) -> int:
    """The number that the next publication gets."""
    return (connection.execute(sa.select(sa.func.max(publications.c.version))).scalar() or 0) + 1
