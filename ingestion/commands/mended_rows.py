"""Reads the rows that were corrected in exports of the quarantine."""

from __future__ import annotations

import csv
import dataclasses
import itertools
import json
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ingestion.commands.quarantine import FIXED_COLUMNS
from ingestion.errors import PipelineError, UsageError

_DIGITS = 18  # of a number that a database's integer holds
_LAST_LINE = 10**_DIGITS - 1


@dataclasses.dataclass(frozen=True)
class MendedRow:
    """A row of an exported CSV: the ``header`` and ``values`` of the sender's columns, and the
    whole ``record`` where it did not split into them."""

    path: Path
    file_id: int
    line_number: int
    record: str
    header: tuple[str, ...]
    values: tuple[str, ...]


def gather_rows(mended: sqlite3.Connection, paths: Iterable[Path]) -> None:
    """Puts the rows of the CSVs into a table, by file and line: there may be millions, in any
    order. Raises ``UsageError`` where two of them are of one line and differ, ``PipelineError``
    where the disk is full."""
    try:
        _gather(mended, paths)
    except sqlite3.OperationalError as error:
        raise PipelineError(
            "The corrected rows cannot be written to the workspace",
            found=str(error),
            action="Free some disk space there and run the command again",
        ) from error


def _gather(mended: sqlite3.Connection, paths: Iterable[Path]) -> None:
    mended.execute("pragma journal_mode = off")
    mended.execute(
        "create table rows (file_id integer, line_number integer, path text, record text,"
        " header text, fields text, primary key (file_id, line_number)) without rowid"
    )
    for row in itertools.chain.from_iterable(map(_read_export, paths)):
        values = (str(row.path), row.record, json.dumps(row.header), json.dumps(row.values))
        done = mended.execute(
            "insert or ignore into rows values (?, ?, ?, ?, ?, ?)",
            (row.file_id, row.line_number, *values),
        )
        if done.rowcount == 1:
            continue
        [before] = rows_of(mended, row.file_id, row.line_number, row.line_number)
        if (before.record, before.values) != (row.record, row.values):
            raise UsageError(
                f"Line {row.line_number} of file {row.file_id} is corrected in two different ways",
                found=" and ".join(dict.fromkeys([str(before.path), str(row.path)])),
                action="Remove one of them",
            )


def rows_of(
    mended: sqlite3.Connection, file_id: int, first: int = 0, last: int = _LAST_LINE
) -> Iterator[MendedRow]:
    """The rows of a file from one line to another, in their order."""
    found = mended.execute(
        "select path, line_number, record, header, fields from rows"
        " where file_id = ? and line_number between ? and ? order by line_number",
        (file_id, first, last),
    )
    for path, line, record, *texts in found:
        header, values = (tuple(json.loads(text)) for text in texts)
        yield MendedRow(Path(path), file_id, line, record, header, values)


def _read_export(path: Path) -> Iterator[MendedRow]:
    """The rows of an exported CSV."""
    csv.field_size_limit(sys.maxsize)  # by default 128 KiB, and an export has whole records
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if tuple(header[: len(FIXED_COLUMNS)]) != FIXED_COLUMNS:
                raise UsageError(
                    f"{path} is not an export of the quarantine",
                    expected=f"a header that begins with {','.join(FIXED_COLUMNS)}",
                    found=",".join(header[: len(FIXED_COLUMNS)]) or "an empty file",
                )
            for values in reader:
                if values:
                    if len(values) != len(header):
                        raise ValueError(f"{len(values)} values for {len(header)} columns")
                    row = dict(zip(FIXED_COLUMNS, values, strict=False))
                    yield MendedRow(
                        path,
                        _whole(row["file_id"]),
                        _whole(row["line_number"]),
                        row["record"],
                        tuple(header[len(FIXED_COLUMNS) :]),
                        tuple(values[len(FIXED_COLUMNS) :]),
                    )
        except UsageError:
            raise
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{path} cannot be replayed",
                expected="text in UTF-8, as it was exported",
                found=f"the byte {error.object[error.start]:#04x}, which is not valid UTF-8",
                action="Save it as CSV in UTF-8",
            ) from error
        except (ValueError, csv.Error) as error:
            raise UsageError(
                f"{path} cannot be replayed",
                expected="the exported columns in every row, with file_id and line_number as "
                "they were",
                found=f"line {reader.line_num}: {error}",
            ) from error


def _whole(text: str) -> int:
    if not re.fullmatch(rf"\d{{1,{_DIGITS}}}", text, re.ASCII):
        raise ValueError(f"{text!r} instead of a number")
    return int(text)
