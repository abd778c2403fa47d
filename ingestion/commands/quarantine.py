"""Lists what is set aside, exports it for mending, and sends the mended rows in again.

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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.commands.status import shown_reason
from ingestion.commands.withdrawal import (
    check_inbox,
    file_versions,
    find_sendable,
    version_to_read,
)
from ingestion.config.profiles import profile_for
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, FileStatus
from ingestion.errors import PipelineError, UsageError
from ingestion.reader.csv_quotes import Dialect, plain_value, raw_values, record_end
from ingestion.reader.file_content import (
    GZIP_MAGIC,
    ContentHash,
    decode_chunks,
    encode_text,
    read_chunks,
    shown_text,
)
from ingestion.reader.header_line import LINE_BREAK, read_header_line
from ingestion.run.archive import find_archived
from ingestion.run.intake import counting_row
from ingestion.run.quarantined_rows import QuarantinedRow, read_rows

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.engine import Connection

    from ingestion.config.profiles import FileProfile
    from ingestion.run.services import Services

_SHOWN_FILES = 10
_FIXED = ("file_id", "file_name", "line_number", "reasons", "record")


@dataclasses.dataclass(frozen=True)
class Group:
    """Rows or files set aside for one reason; one example of rows, and one for each file."""

    code: str
    rows: int
    files: tuple[str, ...]
    examples: tuple[str, ...]


def group_by_reason(services: Services) -> list[Group]:
    """Every reason for which rows or whole files are set aside, the most frequent first."""
    rows: dict[str, list[QuarantinedRow]] = collections.defaultdict(list)
    for row in read_rows(services):
        for code in row.codes:
            rows[code].append(row)
    groups = [
        Group(
            code,
            len(found),
            tuple(dict.fromkeys(row.file_name for row in found)),
            (f"line {found[0].line_number} of {found[0].file_name}: {found[0].reasons}",),
        )
        for code, found in rows.items()
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


def _headline(reason: str) -> str:
    """What a file's reason begins with, one word for one column or many."""
    return re.split(r"[:.]", reason, maxsplit=1)[0].replace("missing columns", "missing column")


def show_groups(groups: Sequence[Group], console: Console) -> None:
    """Prints the reasons with their counts, one example of rows, and some of whole files."""
    from rich.markup import escape

    if not groups:
        console.print("Nothing is set aside.")
    for group in groups:
        rows = f"{_counted(group.rows, 'row')} in " if group.rows else ""
        files = _counted(len(group.files), "file")
        console.print(f"[bold]{escape(group.code)}[/bold]  {rows}{files}")
        for example in group.examples[:_SHOWN_FILES]:
            console.print(f"  [dim]{escape(example)}[/dim]")
        if len(group.examples) > _SHOWN_FILES:
            console.print(f"  [dim]… and {len(group.examples) - _SHOWN_FILES} more files[/dim]")


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rows_to_export(services: Services, reason: str | None, key: str | None) -> list[QuarantinedRow]:
    """The rows set aside for one reason code or of one file; ``UsageError`` for a wrong one."""
    if key is not None:
        key, _ = file_versions(services, key)
    rows = read_rows(services, key)
    codes = sorted({code for row in rows for code in row.codes})
    if reason is not None and reason not in codes:
        raise UsageError(
            f"No row is set aside for {reason}" + ("" if key is None else f" in {key}"),
            found=", ".join(codes) or "no row that is set aside",
            action="python run_pipeline.py quarantine list shows the reasons",
        )
    return [row for row in rows if reason is None or reason in row.codes]


def export_rows(services: Services, rows: Sequence[QuarantinedRow], folder: Path) -> list[Path]:
    """Writes one CSV for each file, with the rows' values as the sender wrote them.

    ``record`` holds the whole text of a record that does not split into the header's columns;
    where it is filled, it is what :func:`replay` takes. Returns the paths.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_file: dict[int, list[QuarantinedRow]] = collections.defaultdict(list)
    for row in rows:
        by_file[row.file_id].append(row)
    there = [
        path.name for path in (folder / f"{file_id}.csv" for file_id in by_file) if path.exists()
    ]
    if there:
        raise UsageError(
            f"The rows cannot be exported to {folder}",
            expected="a folder without exports, which may have been mended",
            found=", ".join(there),
            action="Name another folder, or remove them",
        )
    found_files = in_transaction(
        services.engine, lambda there: staging_table.rows_by_id(there, by_file)
    )
    files = {row.id: row for row in found_files}
    exports: dict[Path, list[list[str]]] = {}
    for file_id, found in by_file.items():
        lines = {row.line_number for row in found}
        original = _open_original(services, files[file_id], lines)
        exports[folder / f"{file_id}.csv"] = [
            [*_FIXED, *original.header],
            *(_exported(original, row) for row in found),
        ]
    for path, records in exports.items():  # once each original could be read
        with path.open("x", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(records)
    return [*exports]


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
                f"{again.file_name} cannot be replayed as it is and with mended rows at once",
                action="Leave --file out: the whole mended file is read under the rules of today",
            )
        check_inbox(services, mended)
        archived = None if again is None else find_sendable(services, again)
        for name, path in mended.items():
            store.put_bytes(name, path.read_bytes(), if_none_match="*")
    if again is None or archived is None:
        return [*mended]
    store.copy(archived, again.file_name)
    # Last: without its mark the object is a repeat to the next run, and counts once as before.
    in_transaction(services.engine, lambda found: staging_table.ask_to_read_again(found, again))
    return [*mended, again.file_name]


def _mended_files(services: Services, paths: Iterable[Path], folder: Path) -> dict[str, Path]:
    """A file in ``folder`` for each key of which the CSVs mend rows."""
    mended: dict[int, dict[int, _MendedRow]] = collections.defaultdict(dict)
    for path in paths:
        for row in _read_export(path):
            before = mended[row.file_id].setdefault(row.line_number, row)
            if (before.record, before.values) != (row.record, row.values):
                raise UsageError(
                    f"Line {row.line_number} of file {row.file_id} is mended in two ways",
                    found=" and ".join(dict.fromkeys([str(before.path), str(path)])),
                    action="Leave one of them out",
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
                expected="an export of the version that counts now, or was set aside last",
                found="no such file" if file is None else f"a newer version of {file.file_name}",
                action="Export again and mend that",
            )
        if file.file_name in written:
            raise UsageError(
                f"Two versions of {file.file_name} cannot be replayed at once",
                action="Name the exports of the one that is to count",
            )
        original = _open_original(services, file, rows.keys())
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


@dataclasses.dataclass(frozen=True)
class _Original:
    """A delivered file as UTF-8 text, how to read it, and where the lines begin that are asked
    for."""

    text: bytes
    header: tuple[str, ...]
    dialect: Dialect
    encoding: str
    is_gzip: bool
    line_starts: Mapping[int, int]

    def record(self, line: int) -> tuple[int, int]:
        """Where the record that starts at this line begins and ends.

        One with a quote out of place has one line.
        """
        start = self.line_starts[line]
        end = record_end(self.text, start, self.dialect)
        line_break = LINE_BREAK.search(self.text, end)
        return start, len(self.text) if line_break is None else line_break.start()


def _open_original(services: Services, row: FileRow, lines: Collection[int]) -> _Original:
    """The file as it was taken; ``PipelineError`` where its archived object is another by now."""
    settings, store = services.settings, services.store
    profile = profile_for(row.file_name.removeprefix(settings.inbox_prefix), settings.profiles)
    with tempfile.TemporaryDirectory(dir=services.workspace.root) as folder:
        path = Path(folder) / "original"
        find_archived(store, row, lambda info: store.download(info, path))
        return _read_original(path, profile, lines)


def _read_original(path: Path, profile: FileProfile | None, lines: Collection[int]) -> _Original:
    encoding = profile.encoding if profile else "utf-8"
    dialect = Dialect(profile.delimiter.encode(), profile.quote.encode()) if profile else Dialect()
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    text = b"".join(decode_chunks(read_chunks(path, ContentHash()), encoding))
    header = read_header_line(iter([text]), dialect, encoding, profile.skip_lines if profile else 0)
    return _Original(text, header.values, dialect, encoding, is_gzip, _line_starts(text, lines))


def _line_starts(text: bytes, lines: Collection[int]) -> dict[int, int]:
    """Where each of these lines begins; ``PipelineError`` where one is not there."""
    found, last = {1: 0}, max(lines)
    for line, line_break in enumerate(LINE_BREAK.finditer(text), start=2):
        if line > last:
            break
        if line in lines:
            found[line] = line_break.end()
    missing = sorted(lines - found.keys())
    if missing:
        raise PipelineError(
            f"There is no line {missing[0]} to mend",
            expected="file_id and line_number as they were exported, and the encoding with which "
            "the file was loaded",
            found=f"a file of {len(LINE_BREAK.findall(text)) + 1} lines",
        )
    return found


def _exported(original: _Original, row: QuarantinedRow) -> list[str]:
    start, end = original.record(row.line_number)
    record = original.text[start:end]
    values = [plain_value(raw, original.dialect) for raw in raw_values(record, original.dialect)]
    fixed = [str(row.file_id), row.file_name, str(row.line_number), row.reasons]
    has_values = len(values) == len(original.header)
    try:
        if has_values and record_end(original.text, start, original.dialect) == end:
            return [*fixed, "", *(value.decode("utf-8") for value in values)]
    except UnicodeDecodeError:
        pass
    return [*fixed, shown_text(record, original.encoding), *[""] * len(original.header)]


def _read_export(path: Path) -> Iterator[_MendedRow]:
    """The rows of an exported CSV."""
    csv.field_size_limit(sys.maxsize)  # by default 128 KiB, and an export has whole records
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            header = next(reader, [])
            if tuple(header[: len(_FIXED)]) != _FIXED:
                raise UsageError(
                    f"{path} is not an export of the quarantine",
                    expected=f"a header that begins with {','.join(_FIXED)}",
                    found=",".join(header[: len(_FIXED)]) or "an empty file",
                )
            for values in reader:
                if values:
                    if len(values) != len(header):
                        raise ValueError(f"{len(values)} values for {len(header)} columns")
                    row = dict(zip(_FIXED, values, strict=False))
                    yield _MendedRow(
                        path,
                        _whole(row["file_id"]),
                        _whole(row["line_number"]),
                        row["record"],
                        tuple(header[len(_FIXED) :]),
                        tuple(values[len(_FIXED) :]),
                    )
        except UsageError:
            raise
        except UnicodeDecodeError as error:
            raise UsageError(
                f"{path} cannot be replayed",
                expected="text in UTF-8, as it was exported",
                found=f"the byte {error.object[error.start]:#04x}, which stands for nothing there",
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
        raise ValueError(f"{text!r} in the place of a number")
    return int(text)


def _mended_content(original: _Original, rows: Mapping[int, _MendedRow]) -> bytes:
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
                f"The row of line {line} cannot be written as its sender writes",
                expected=f"characters that the encoding {original.encoding} has",
                found=repr(error.object[error.start : error.end]),
                action="Write them in another way, or change the encoding of the file profile",
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


def _record(original: _Original, row: _MendedRow) -> bytes:
    if row.record:
        return row.record.encode()
    quote, delimiter = original.dialect.quote, original.dialect.delimiter
    values = []
    for value in map(str.encode, row.values):
        if quote and re.search(rb"[\r\n" + re.escape(delimiter + quote) + rb"]", value):
            value = quote + value.replace(quote, quote * 2) + quote
        values.append(value)
    return delimiter.join(values)
