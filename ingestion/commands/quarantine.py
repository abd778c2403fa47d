"""Lists what is set aside, and exports it for mending."""

from __future__ import annotations

import collections
import contextlib
import csv
import dataclasses
import itertools
import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.commands.original_file import OriginalFile, Record, open_original
from ingestion.commands.status import shown_reason
from ingestion.commands.withdrawal import file_versions
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, FileStatus
from ingestion.errors import UsageError
from ingestion.printable import printable, printable_lines
from ingestion.reader.csv_quotes import plain_value, raw_values
from ingestion.reader.file_content import shown_text
from ingestion.run.quarantined_rows import (
    QuarantinedRow,
    SavedRows,
    count_rows,
    read_rows,
)

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.run.services import Services

_SHOWN_FILES = 10
FIXED_COLUMNS = ("file_id", "file_name", "line_number", "reasons", "record")


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows or files set aside for one reason; one example of rows, and one for each file."""

    code: str
    rows: int
    files: tuple[str, ...]
    examples: tuple[str, ...]


def group_by_reason(services: Services) -> list[Group]:
    """Every reason for which rows or whole files are set aside, the most frequent first."""
    groups = [
        Group(count.code, count.rows, count.files, (_shown_row(count.first),))
        for count in count_rows(services)
    ]
    files = in_transaction(services.engine, staging_table.all_rows)
    newest = {row.file_name: row for row in files}
    by_code: dict[str, list[FileRow]] = collections.defaultdict(list)
    for file in newest.values():
        if file.status == FileStatus.ERROR and file.reason:
            by_code[_headline(file.reason)].append(file)
    groups += [
        Group(
            f"{code} (whole file)",
            0,
            tuple(dict.fromkeys(file.file_name for file in found)),
            tuple(f"{file.file_name}: {shown_reason(file.reason or '')}" for file in found),
        )
        for code, found in by_code.items()
    ]
    return sorted(groups, key=lambda group: (-group.rows, group.code))


def _shown_row(row: QuarantinedRow) -> str:
    return f"line {row.line_number} of {row.file_name}: {row.reasons}"


def _headline(reason: str) -> str:
    """What a file's reason begins with, one word for one column or many."""
    return re.split(r"[:.]", reason, maxsplit=1)[0].replace("missing columns", "missing column")


def show_groups(groups: Sequence[Group], console: Console) -> None:
    """Prints the reasons with their counts, one example of rows, and some of whole files."""
    from rich.markup import escape

    if not groups:
        console.print("Nothing is quarantined.")
    for group in groups:
        rows = f"{_counted(group.rows, 'row')} in " if group.rows else ""
        files = _counted(len(group.files), "file")
        console.print(f"[bold]{escape(printable(group.code))}[/bold]  {rows}{files}")
        for example in group.examples[:_SHOWN_FILES]:
            console.print(f"  [dim]{escape(printable_lines(example))}[/dim]")
        if len(group.examples) > _SHOWN_FILES:
            console.print(f"  [dim]… and {len(group.examples) - _SHOWN_FILES} more files[/dim]")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@contextlib.contextmanager
def rows_to_export(services: Services, reason: str | None, key: str | None) -> Iterator[SavedRows]:
    """The rows set aside for one reason code or of one file; ``UsageError`` for a wrong one."""
    if key is not None:
        key, _ = file_versions(services, key)
    with read_rows(services, key, reason) as rows:
        if reason is not None and not any(True for _ in rows):
            codes = sorted({count.code for count in count_rows(services, key)})
            raise UsageError(
                f"No row is quarantined for {reason}" + ("" if key is None else f" in {key}"),
                found=", ".join(codes) or "no quarantined row",
                action="python run_pipeline.py quarantine list shows the reasons",
            )
        yield rows


def export_rows(
    services: Services, rows: Iterable[QuarantinedRow], folder: Path
) -> dict[Path, int]:
    """Writes one CSV for each file, with the rows' values as the sender wrote them.

    ``rows`` come in the order of files and lines, each time they are asked for. ``record`` holds
    the whole text of a record that does not split into the header's columns; where it is filled, it
    is what ``replay`` takes. Returns the paths with their rows.
    """
    folder.mkdir(parents=True, exist_ok=True)
    counts = collections.Counter(row.file_id for row in rows)
    there = [
        path.name for path in (folder / f"{file_id}.csv" for file_id in counts) if path.exists()
    ]
    if there:
        raise UsageError(
            f"The rows cannot be exported to {folder}",
            expected="a folder without earlier exports, which may have been corrected",
            found=", ".join(there),
            action="Give another folder, or remove them",
        )
    found_files = in_transaction(
        services.engine, lambda connection: staging_table.rows_by_id(connection, counts)
    )
    files = {row.id: row for row in found_files}
    with tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as unfinished:
        for file_id, found in itertools.groupby(rows, lambda row: row.file_id):
            _export_file(services, files[file_id], found, Path(unfinished) / f"{file_id}.csv")
        exports = {folder / f"{file_id}.csv": count for file_id, count in counts.items()}
        for path in exports:  # once each original could be read
            path.touch(exist_ok=False)
            (Path(unfinished) / path.name).replace(path)
    return exports


def _export_file(
    services: Services, file: FileRow, rows: Iterable[QuarantinedRow], path: Path
) -> None:
    asked, given = itertools.tee(rows)
    with (
        open_original(services, file) as original,
        path.open("w", encoding="utf-8", newline="") as export,
    ):
        writer = csv.writer(export)
        writer.writerow([*FIXED_COLUMNS, *original.header])
        for piece in original.pieces(row.line_number for row in asked):
            if isinstance(piece, Record):
                writer.writerow(_exported(original, piece, next(given)))


def _exported(original: OriginalFile, record: Record, row: QuarantinedRow) -> list[str]:
    dialect = original.dialect
    values = [plain_value(raw, dialect) for raw in raw_values(record.text, dialect)]
    fixed = [str(row.file_id), row.file_name, str(row.line_number), row.reasons]
    try:
        if record.is_sound and len(values) == len(original.header):
            return [*fixed, "", *(value.decode("utf-8") for value in values)]
    except UnicodeDecodeError:
        pass
    return [*fixed, shown_text(record.text, original.encoding), *[""] * len(original.header)]
