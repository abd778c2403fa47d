"""Copies whose original counts no more, so that their content counts under no name.

Nobody but a person can tell what was meant: either the copy was sent by mistake, and the correction
of its original holds for it too; or the original's name is used for each day anew.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from sqlalchemy.engine import Connection

from ingestion.database import staging_table
from ingestion.database.staging_table import FileRow

_TOLD = 5  # copies of which each has a warning of its own


def find_lost_originals(
    connection: Connection, archived: Sequence[FileRow]
) -> list[tuple[FileRow, FileRow]]:
    """Each copy of a version that one of the ``archived`` rows has replaced, with that version, by
    key; only where the copy has sales, is the newest of its key, and counts under no other name."""
    replaced = {
        row.content_sha256: row
        for row in staging_table.rows_by_id(
            connection, (row.replaces_id for row in archived if staging_table.replaces(row))
        )
        if row.content_sha256 is not None
    }
    counting = staging_table.counted_by_content(connection, replaced)
    uncounted = replaced.keys() - counting.keys()
    copies = [
        (copy, replaced[content])
        for content, found in staging_table.copies_by_content(connection, uncounted).items()
        for copy in found
        if copy.rows_read
    ]
    versions = staging_table.rows_by_key(connection, {copy.file_name for copy, _ in copies})
    lost = [pair for pair in copies if versions[pair[0].file_name][-1].id == pair[0].id]
    return sorted(lost, key=lambda pair: pair[0].file_name)


def warn_of(lost: Sequence[tuple[FileRow, FileRow]]) -> list[str]:
    """What a person has to decide of these copies."""
    warnings = [
        f"{copy.file_name} does not count: it is a copy of {first.file_name}, whose sales have "
        "been replaced or withdrawn. If its own are real, `python run_pipeline.py restore "
        f"{shlex.quote(copy.file_name)}` counts them"
        for copy, first in lost[:_TOLD]
    ]
    if len(lost) > _TOLD:
        warnings.append(f"{len(lost) - _TOLD} more copies do not count, like these")
    return warnings
