"""Reads the rows that are set aside from the current publication in the database."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ingestion.database import staging_table
from ingestion.database.engine import in_transaction, transaction
from ingestion.database.staging_table import FileStatus
from ingestion.reader.file_check import SHOWN_BAD_ROWS
from ingestion.reader.masking import masked
from ingestion.reader.verdicts import BadRow
from ingestion.run.intake import counting_row

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ingestion.database.staging_table import FileRow
    from ingestion.reader.contract import Contract
    from ingestion.run.services import Services

TABLE = "fct_quarantined_sales"  # as the model of that name publishes it
FILE_REASON = "file_too_bad"  # the code of rows that only their file's verdict sets aside


@dataclasses.dataclass(frozen=True)
class QuarantinedRow:
    """The address of a row set aside, and its reasons."""

    file_id: int
    file_name: str
    line_number: int
    reasons: str
    codes: tuple[str, ...]


def read_rows(services: Services, key: str | None = None) -> list[QuarantinedRow]:
    """The rows set aside in the current publication, of all files or of one.

    Without those of a file set aside whole of which a newer version counts.
    """
    if not sa.inspect(services.engine).has_table(TABLE):
        return []
    table = sa.table(
        TABLE,
        *(
            sa.column(name)
            for name in ("file_id", "file_name", "line_number", "reasons", "reason_codes")
        ),
    )
    query = sa.select(table).order_by(table.c.file_id, table.c.line_number)
    if key is not None:
        query = query.where(table.c.file_name == key)
    with transaction(services.engine) as connection:
        found = [
            QuarantinedRow(
                row.file_id,
                row.file_name,
                row.line_number,
                row.reasons,
                tuple(row.reason_codes.split(", ")),
            )
            for row in connection.execute(query)
        ]
        versions = staging_table.rows_by_key(connection, (row.file_name for row in found))
    corrected = {row.id for rows in versions.values() for row in _corrected(rows)}
    return [row for row in found if row.file_id not in corrected]


def _corrected(versions: Sequence[FileRow]) -> list[FileRow]:
    """Of the rows of one key, those that were set aside before a version that counts came."""
    current = counting_row(versions)
    if current is None:
        return []
    return [row for row in versions if row.status == FileStatus.ERROR and row.id < current.id]


def first_bad_rows(engine: Engine, contract: Contract, file_id: int) -> list[BadRow]:
    """The first rows of a file that a rule rejects, personal values masked.

    Rows that are set aside only because their file is too bad to trust are not among them.
    """
    names = [column.name for column in contract.columns]
    personal = [place for place, column in enumerate(contract.columns) if column.personal]
    fixed = ("file_id", "line_number", "reasons", "reason_codes", "raw_line")
    raw: list[sa.ColumnClause[Any]] = [sa.column(f"raw_{name}") for name in names]
    table = sa.table(TABLE, *(sa.column(name) for name in fixed), *raw)
    query = (
        sa.select(table)
        .where(table.c.file_id == file_id, table.c.reason_codes != FILE_REASON)
        .order_by(table.c.line_number)
    )
    found = in_transaction(
        engine, lambda connection: connection.execute(query.limit(SHOWN_BAD_ROWS)).mappings().all()
    )
    return [
        BadRow(
            row["line_number"],
            row["reasons"],
            masked(
                [row["raw_line"]]
                if row["raw_line"]
                else [row[f"raw_{name}"] or "" for name in names],
                len(names),
                personal,
                ",",
            ),
        )
        for row in found
    ]
