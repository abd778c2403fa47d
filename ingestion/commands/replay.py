"""Sends the mended rows of an export in again, or a whole file as it is.

A mended row goes back where it came from: into a new version of its file, which is sent under the
same key. So it counts once, like every correction, and the staging table leads from the new
version to the first delivery.
"""

from __future__ import annotations

import collections
import csv
import dataclasses
import gzip
import io
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.commands.original_file import OriginalFile, open_original
from ingestion.commands.quarantine import FIXED_COLUMNS
from ingestion.commands.withdrawal import check_inbox, find_sendable, version_to_read
from ingestion.database import staging_changes, staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, FileStatus, counting_row
from ingestion.errors import PipelineError, UsageError
from ingestion.reader.file_content import encode_text, shown_text

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.run.services import Services


@dataclasses.dataclass(frozen=True)
class _MendedRow:
    """A row of an exported CSV: the ``header`` and ``values`` of the sender's columns, and the
    whole ``record`` where it did not split into them."""

    path: Path
    file_id: int
    line_number: int
    record: str
    header: tuple[str, ...]
    values: tuple[str, ...]


def replay(services: Services, paths: Iterable[Path], key: str | None = None) -> list[str]:
    """Puts a new version of each file, with the mended rows, into the inbox, and the newest version
    of the file ``key`` as it is, to be read under the rules of today; returns the keys.

    The rows that are not in the CSVs stay as they are. Nothing is sent unless every CSV is right
    and every object the one that was taken. Raises ``UsageError`` for a file or a CSV that cannot
    be replayed, ``PipelineError`` for what else is wrong.
    """
    store = services.store
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        mended = _mended_files(services, paths, Path(folder))
        again = None if key is None else version_to_read(services, key)
        if again is not None and again.file_name in mended:
            raise UsageError(
                f"{again.file_name} cannot be replayed both as it is and with corrected rows",
                action="Omit --file: the whole corrected file is read under today's rules",
            )
        check_inbox(services, mended)
        archived = None if again is None else find_sendable(services, again)
        for name, path in mended.items():
            store.put_bytes(name, path.read_bytes(), if_none_match="*")
    if again is None or archived is None:
        return [*mended]
    store.copy(archived, again.file_name)
    # Last: without its mark the object is a repeat to the next run, and counts once as before.
    in_transaction(services.engine, lambda found: staging_changes.ask_to_read_again(found, again))
    return [*mended, again.file_name]


def _mended_files(services: Services, paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """A file in ``folder`` for each key of which the CSVs mend rows."""
    mended: dict[int, dict[int, _MendedRow]] = collections.defaultdict(dict)
    for path in paths:
        for row in _read_export(path):
            before = mended[row.file_id].setdefault(row.line_number, row)
            if (before.record, before.values) != (row.record, row.values):
                raise UsageError(
                    f"Line {row.line_number} of file {row.file_id} is corrected in two different "
                    "ways",
                    found=" and ".join(dict.fromkeys([str(before.path), str(path)])),
                    action="Remove one of them",
                )

    def read(connection: Connection) -> tuple[dict[int, FileRow], dict[str, list[FileRow]]]:
        files = {row.id: row for row in staging_table.rows_by_id(connection, mended)}
        names = (row.file_name for row in files.values())
        return files, staging_table.rows_by_key(connection, names)

    files, history = in_transaction(services.engine, read)
    written = {}
    for file_id, rows in mended.items():
        file = files.get(file_id)
        if file is None or not _may_be_mended(file, history[file.file_name]):
            raise UsageError(
                f"The rows of file {file_id} cannot be replayed",
                expected="an export of the version that counts now, or of the one set aside last",
                found="no such file" if file is None else f"a newer version of {file.file_name}",
                action="Export again and correct that",
            )
        if file.file_name in written:
            raise UsageError(
                f"Two versions of {file.file_name} cannot be replayed at once",
                action="Give the exports of the one that should count",
            )
        original = open_original(services, file, rows.keys())
        for row in rows.values():
            _check_columns(row, original.header)
        written[file.file_name] = folder / str(file_id)
        written[file.file_name].write_bytes(_mended_content(original, rows))
    return written


def _check_columns(row: _MendedRow, header: Sequence[str]) -> None:
    """``UsageError`` where the CSV's columns are not the file's: values would go to others."""
    given, expected = ([" ".join(name.split()) for name in names] for names in (row.header, header))
    if given != expected:
        raise UsageError(
            f"{row.path} cannot be replayed",
            expected=f"the columns as they were exported, in their order: {','.join(expected)}",
            found=",".join(given) or "none",
        )


def _may_be_mended(file: FileRow, versions: Sequence[FileRow]) -> bool:
    """Whether the version counts, or is the newest one, set aside for too many bad rows."""
    current = counting_row(versions)
    if current is not None and current.id == file.id:
        return True
    return versions[-1].id == file.id and file.status == FileStatus.ERROR


def _read_export(path: Path) -> Iterator[_MendedRow]:
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
                    yield _MendedRow(
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
    if not re.fullmatch(r"\d{1,18}", text, re.ASCII):
        raise ValueError(f"{text!r} instead of a number")
    return int(text)


def _mended_content(original: OriginalFile, rows: Mapping[int, _MendedRow]) -> bytes:
    """The file's bytes with these records written anew, in the sender's dialect.

    One whose ``record`` is as it was exported keeps its bytes.
    """
    pieces, reached = [], 0
    for line in sorted(rows):
        start, end = original.record(line)
        given = rows[line].record
        if given and given == shown_text(original.text[start:end], original.encoding):
            continue
        record = _record(original, rows[line])
        try:
            encode_text(record, original.encoding)
        except UnicodeEncodeError as error:
            raise PipelineError(
                f"The row of line {line} cannot be written in its sender's format",
                expected=f"characters that the encoding {original.encoding} has",
                found=repr(error.object[error.start : error.end]),
                action="Write them differently, or change the encoding in the file profile",
            ) from error
        pieces += [original.text[reached:start], record]
        reached = end
    content = encode_text(b"".join([*pieces, original.text[reached:]]), original.encoding)
    if not original.is_gzip:
        return content
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", mtime=0) as file:
        file.write(content)
    return packed.getvalue()


def _record(original: OriginalFile, row: _MendedRow) -> bytes:
    if row.record:
        return row.record.encode()
    quote, delimiter = original.dialect.quote, original.dialect.delimiter
    values = []
    for value in map(str.encode, row.values):
        if quote and re.search(rb"[\r\n" + re.escape(delimiter + quote) + rb"]", value):
            value = quote + value.replace(quote, quote * 2) + quote
        values.append(value)
    return delimiter.join(values)
