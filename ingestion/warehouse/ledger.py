"""Reads back what the models counted per file, and holds it against the reader's count."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingestion.database.staging_table import FileCount, FileRow, FileStatus
from ingestion.errors import PipelineError
from ingestion.warehouse.dbt_manifest import model_with_role
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LEDGER_ROLE = "file_ledger"
_SHOWN_FILES = 5


@dataclasses.dataclass(frozen=True)
class LedgerEntry:
    """What the models counted of one file, with the money that was read and that is set aside."""

    count: FileCount
    amount_read: decimal.Decimal
    amount_quarantined: decimal.Decimal


@dataclasses.dataclass(frozen=True)
class ChangedVerdict:
    """A published file of which other rows count now: as it was published, and what is counted."""

    before: FileRow
    now: FileCount

    @property
    def sets_more_aside(self) -> bool:
        """Whether rows are set aside that counted before."""
        return self.now.rows_quarantined > (self.before.rows_quarantined or 0)


def read_ledger(
    spark: SparkSession, manifest: Mapping[str, Any], batch_ids: Collection[int] | None
) -> list[LedgerEntry]:
    """The entries of these batches (None: of all), in file order."""
    relation = model_with_role(manifest, LEDGER_ROLE)
    with spark_errors(f"The table {relation} cannot be read"):
        table = spark.table(relation)
        if batch_ids is not None:
            table = table.where(table["batch_id"].isin(*batch_ids))
        rows = table.orderBy("file_id").collect()
    return [
        LedgerEntry(
            FileCount(
                file_id=row["file_id"],
                rows_read=row["rows_read"],
                rows_valid=row["rows_valid"],
                rows_quarantined=row["rows_quarantined"],
                amount_valid=row["amount_valid"],
                reason=row["reason"],
            ),
            row["amount_read"],
            row["amount_quarantined"],
        )
        for row in rows
    ]


def check_ledger(entries: Sequence[LedgerEntry], accepted: Sequence[FileRow]) -> None:
    """Every accepted file is counted, and as many rows as its check read; else ``PipelineError``.

    This compares two independent counts: the reader's, and the models' over bronze.
    """
    counted = {entry.count.file_id: entry.count for entry in entries}
    for row in accepted:
        count = counted.get(row.id)
        found = "no entry" if count is None else f"{count.rows_read} rows"
        if count is None or count.rows_read != row.rows_read:
            raise PipelineError(
                f"The rows of {row.file_name} do not add up; nothing is published",
                expected=f"{row.rows_read} rows, as read from the file",
                found=f"{found} in the models",
                action="Run again with --full-refresh",
            )


def changed_verdicts(
    entries: Sequence[LedgerEntry], before: Sequence[FileRow]
) -> list[ChangedVerdict]:
    """The published files of which other rows or other money count than the last time, in file
    order.

    A changed rule does that, a changed dimension that a rule reads, or a file that had to be read
    again with another alias in its profile.
    """
    known = {row.id: row for row in before if row.status == FileStatus.PUBLISHED}
    pairs = [(known[e.count.file_id], e.count) for e in entries if e.count.file_id in known]
    return [
        ChangedVerdict(row, count)
        for row, count in pairs
        if row.rows_quarantined not in (None, count.rows_quarantined)
        or row.amount_valid not in (None, count.amount_valid)
    ]


def verdict_warnings(changed: Sequence[ChangedVerdict]) -> list[str]:
    """One sentence for each of the first files, and one for all others together."""
    told = [
        f"the rules have changed since {verdict.before.file_name} was published: "
        f"{_differences([verdict])}"
        for verdict in changed[:_SHOWN_FILES]
    ]
    others = changed[_SHOWN_FILES:]
    if others:
        files = "1 more file" if len(others) == 1 else f"{len(others)} more files"
        told.append(f"the same is true of {files}: {_differences(others)}")
    return told


def _differences(changed: Sequence[ChangedVerdict]) -> str:
    zero = decimal.Decimal(0)
    rows = [sum(verdict.before.rows_quarantined or 0 for verdict in changed)]
    rows.append(sum(verdict.now.rows_quarantined for verdict in changed))
    money = [sum((verdict.before.amount_valid or zero for verdict in changed), zero)]
    money.append(sum((verdict.now.amount_valid for verdict in changed), zero))
    return (
        f"rows quarantined {rows[0]:,} -> {rows[1]:,}, "
        f"sales that count {money[0]:,.2f} -> {money[1]:,.2f}"
    )
