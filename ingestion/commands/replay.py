"""Sends the mended rows of an export in again, or a whole file as it is.

A mended row goes back where it came from: into a new version of its file, which is sent under the
same key. So it counts once, like every correction, and the staging table leads from the new
version to the first delivery.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.commands.mended_rows import MendedRow, gather_rows, rows_of
from ingestion.commands.original_file import OriginalFile, Record, open_original
from ingestion.commands.withdrawal import (
    check_inbox,
    find_sendable,
    split_planned,
    version_to_read,
)
from ingestion.database import staging_changes, staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, FileStatus, counting_row
from ingestion.errors import PipelineError, UsageError
from ingestion.reader.file_content import encode_chunks, shown_text

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from ingestion.run.services import Services


def replay(services: Services, paths: Iterable[Path], key: str | None = None) -> list[str]:
    """Puts a new version of each file, with the mended rows, into the inbox, and the newest version
    of the file ``key`` as it is, to be read under the rules of today; returns the keys.

    The rows that are not in the CSVs stay as they are. Nothing is sent unless every CSV is right
    and every object the one that was taken; nor is what a run that was cut short has planned, which
    stays as it is. Raises ``UsageError`` for a file or a CSV that cannot
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
        check_inbox(services, {name: _sha256(path) for name, path in mended.items()})
        archived = None if again is None else find_sendable(services, again)
        for name, path in mended.items():
            store.put_new_file(name, path)
    if again is None or archived is None:
        return [*mended]
    store.copy(archived, again.file_name)
    # Last: without its mark the object is a repeat to the next run, and counts once as before.
    in_transaction(services.engine, lambda found: staging_changes.ask_to_read_again(found, again))
    return [*mended, again.file_name]


def _mended_files(services: Services, paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """A file in ``folder`` for each key of which the CSVs mend rows, unless it is planned and no
    other is in the inbox."""
    with contextlib.closing(sqlite3.connect(folder / "rows")) as mended:
        gather_rows(mended, paths)
        ids = [file_id for (file_id,) in mended.execute("select distinct file_id from rows")]

        def read(connection: Connection) -> tuple[dict[int, FileRow], dict[str, list[FileRow]]]:
            files = {row.id: row for row in staging_table.rows_by_id(connection, ids)}
            names = (row.file_name for row in files.values())
            return files, staging_table.rows_by_key(connection, names)

        files, history = in_transaction(services.engine, read)
        written: dict[str, Path] = {}
        planned: set[str] = set()
        for file_id in ids:
            file = files.get(file_id)
            if file is None:
                raise _cannot_be_replayed(file_id, "no such file")
            name, path = file.file_name, folder / str(file_id)
            known, earlier = split_planned(history[name])
            if not _may_be_mended(file, earlier):
                raise _cannot_be_replayed(file_id, f"a newer version of {name}")
            if name in written:
                raise UsageError(
                    f"Two versions of {name} cannot be replayed at once",
                    action="Give the exports of the one that should count",
                )
            with open_original(services, file) as original:
                _write_mended(original, rows_of(mended, file_id), path)
            written[name] = path
            if known is not None:
                if known.sha256 != _sha256(path):
                    raise _cannot_be_replayed(file_id, f"a newer version of {name}")
                check_inbox(services, {name: known.sha256})  # what came since would count
                planned.add(name)
    return {name: path for name, path in written.items() if name not in planned}


def _cannot_be_replayed(file_id: int, found: str) -> UsageError:
    return UsageError(
        f"The rows of file {file_id} cannot be replayed",
        expected="an export of the version that counts now, or of the one set aside last",
        found=found,
        action="Export again and correct that",
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_columns(row: MendedRow, header: Sequence[str]) -> None:
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
    return bool(versions) and versions[-1].id == file.id and file.status == FileStatus.ERROR


def _write_mended(original: OriginalFile, rows: Iterator[MendedRow], path: Path) -> None:
    """Writes the file with these records written anew, in the sender's dialect.

    One whose ``record`` is as it was exported keeps its bytes.
    """
    asked, given = itertools.tee(rows)

    def text() -> Iterator[bytes]:
        for piece in original.pieces(row.line_number for row in asked):
            yield _mended(original, piece, next(given)) if isinstance(piece, Record) else piece

    with path.open("wb") as file:
        content = encode_chunks(text(), original.encoding)
        if original.is_gzip:
            with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                packed.writelines(content)
        else:
            file.writelines(content)


def _mended(original: OriginalFile, record: Record, row: MendedRow) -> bytes:
    _check_columns(row, original.header)
    if row.record and row.record == shown_text(record.text, original.encoding):
        return record.text
    mended = _record(original, row)
    try:
        b"".join(encode_chunks([mended], original.encoding))
    except UnicodeEncodeError as error:
        raise PipelineError(
            f"The row of line {record.line} cannot be written in its sender's format",
            expected=f"characters that the encoding {original.encoding} has",
            found=repr(error.object[error.start : error.end]),
            action="Write them differently, or change the encoding in the file profile",
        ) from error
    return mended


def _record(original: OriginalFile, row: MendedRow) -> bytes:
    if row.record:
        return row.record.encode()
    quote, delimiter = original.dialect.quote, original.dialect.delimiter
    values = []
    for value in map(str.encode, row.values):
        if quote and re.search(rb"[\r\n" + re.escape(delimiter + quote) + rb"]", value):
            value = quote + value.replace(quote, quote * 2) + quote
        values.append(value)
    return delimiter.join(values)
