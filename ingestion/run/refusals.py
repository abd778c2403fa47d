"""What a file that the models refuse would do to the sales of others: lose them, or double them.

The intake has decided which files are copies and corrections before the models have seen a row.
"""

from __future__ import annotations

from collections.abc import Sequence

from ingestion.database.staging_table import FileRow, FileStatus, Verdict
from ingestion.errors import PipelineError


def refused_copies(rows: Sequence[FileRow], refused: set[int]) -> list[Verdict]:
    """What becomes of the copies of ``refused`` files (their ids) among these rows: their content
    counts nowhere, so they are refused, too, and their senders are told."""
    names = {row.id: row.file_name for row in rows}
    return [
        Verdict(
            row.id,
            FileStatus.ERROR,
            reason=f"file_too_bad: a copy of {names[row.duplicate_of_id]} (id "
            f"{row.duplicate_of_id}), which has too many bad rows",
            rows_read=row.rows_read,
            content_sha256=row.content_sha256,
        )
        for row in rows
        if row.status == FileStatus.DUPLICATE
        and row.duplicate_of_id in names
        and row.duplicate_of_id in refused
    ]


def copies_that_lose_sales(rows: Sequence[FileRow], refused: set[int]) -> list[Verdict]:
    """Those of the refused copies that are corrections: the sales that they replace would be taken
    out, and their own count nowhere."""
    published = {row.id for row in rows if row.status == FileStatus.PUBLISHED}
    losing = {row.id for row in rows if row.replaces_id in published}
    return [copy for copy in refused_copies(rows, refused) if copy.file_id in losing]


def would_be_lost(rows: Sequence[FileRow], copies: Sequence[Verdict]) -> PipelineError:
    """The error of a run that has found such copies."""
    names = {row.id: row.file_name for row in rows}
    return PipelineError(
        "Sales would be lost; nothing is published",
        expected="corrections that can be trusted",
        found=", ".join(f"{names[copy.file_id]}: {copy.reason}" for copy in copies),
        action="Run again: these corrections are set aside now, and the versions before them still "
        "count. Send better ones at any time",
    )


def check_none_counts_twice(rows: Sequence[FileRow], refused: set[int]) -> None:
    """``PipelineError`` where a version stays, since its correction is one of the ``refused`` files
    (their ids), and a file under another name counts that has the same content.
    """
    corrections = {
        row.replaces_id: row for row in rows if row.id in refused and row.replaces_id is not None
    }
    trusted = [row for row in rows if row.status != FileStatus.ERROR and row.id not in refused]
    replaced = {row.replaces_id for row in trusted}  # what was refused before that is history
    staying = {
        row.content_sha256: corrections[row.id]
        for row in rows
        if row.status == FileStatus.PUBLISHED
        and row.id in corrections
        and row.id not in replaced
        and row.content_sha256 is not None  # a withdrawal has none
    }
    for row in trusted:
        if row.status != FileStatus.PLANNED or row.content_sha256 is None:
            continue
        correction = staying.get(row.content_sha256)
        if correction is not None and row.file_name != correction.file_name:
            raise PipelineError(
                f"The sales of {row.file_name} would count twice; nothing is published",
                expected=f"a correction of {correction.file_name} that can be trusted",
                found="one with too many bad rows, so its old version stays, which has the same "
                f"content as {row.file_name}",
                action=f"Correct and resend {correction.file_name}, then run again",
            )
