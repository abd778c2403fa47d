"""Opens a file as it was delivered: its text piece by piece, and the records asked for in it."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.profiles import CONTRACT_FORM, profile_for
from ingestion.errors import PipelineError
from ingestion.reader.csv_blocks import MAX_RECORD_BYTES
from ingestion.reader.csv_quotes import Dialect, record_end
from ingestion.reader.file_content import GZIP_MAGIC, decode_chunks, read_chunks
from ingestion.reader.header_line import LINE_BREAK, read_header_line
from ingestion.run.archive import find_archived

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.database.staging_table import FileRow
    from ingestion.run.services import Services


@dataclasses.dataclass(frozen=True)
class Record:
    """A record of a file: the line on which it begins, and its UTF-8 text without the line break.

    One with a quote out of place, where ``is_sound`` is false, has one line.
    """

    line: int
    text: bytes
    is_sound: bool


@dataclasses.dataclass(frozen=True)
class OriginalFile:
    """A delivered file on this machine, and how to read it."""

    path: Path
    header: tuple[str, ...]
    dialect: Dialect
    encoding: str
    is_gzip: bool

    def pieces(self, lines: Iterable[int]) -> Iterator[bytes | Record]:
        """The whole UTF-8 text, in order: the records that begin on these ascending lines, and in
        blocks what stands between them. A block and a record are in memory at a time.

        Raises ``PipelineError`` where no record can begin on one of the lines.
        """
        chunks = _text(self.path, self.encoding)
        text, begin, line, is_last = b"", 0, 1, False
        reached = 0  # the last line of the record before
        for wanted in lines:
            if wanted <= reached:
                raise _no_such_line(wanted, "a line on which no record begins")
            while (start := _line_start(text, begin, wanted - line, is_last=is_last)) is None:
                end = len(text) - (text.endswith(b"\r") and not is_last)  # LF may follow it
                yield text[begin:end]
                line += _count_breaks(text, begin, end)
                if is_last:
                    raise _no_such_line(wanted, f"a file of {line} lines")
                chunk = next(chunks, None)
                text, begin, is_last = text[end:] + (chunk or b""), 0, chunk is None
            yield text[begin:start]
            while (found := _record_end(text, start, self.dialect, is_last=is_last)) is None:
                chunk = next(chunks, None)
                text, start, is_last = text[start:] + (chunk or b""), 0, chunk is None
            begin, is_sound = found
            yield Record(wanted, text[start:begin], is_sound)
            line = reached = wanted + _count_breaks(text, start, begin)
        yield text[begin:]
        yield from chunks


@contextlib.contextmanager
def open_original(services: Services, row: FileRow) -> Iterator[OriginalFile]:
    """The file as it was taken, on this machine while the block lasts; ``PipelineError`` where its
    archived object is another by now."""
    settings, store = services.settings, services.store
    relative = row.file_name.removeprefix(settings.inbox_prefix)
    form = profile_for(relative, settings.profiles) or CONTRACT_FORM
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        path = Path(folder) / "original"
        find_archived(store, row, lambda info: store.download(info, path))
        yield _opened(path, form)


def _opened(path: Path, form: FileProfile) -> OriginalFile:
    dialect = Dialect(form.delimiter.encode(), form.quote.encode())
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    header = read_header_line(_text(path, form.encoding), dialect, form.encoding, form.skip_lines)
    return OriginalFile(path, header.values, dialect, form.encoding, is_gzip)


def _text(path: Path, encoding: str) -> Iterator[bytes]:
    return decode_chunks(read_chunks(path, hashlib.sha256()), encoding)


def _line_start(text: bytes, begin: int, count: int, *, is_last: bool) -> int | None:
    """Where the line begins that comes ``count`` lines after the one at ``begin``; None where the
    text has no such line, as far as it goes."""
    if not count:
        return begin
    breaks = LINE_BREAK.finditer(text, begin)
    found = next(itertools.islice(breaks, count - 1, None), None)
    if found is None or (found[0] == b"\r" and found.end() == len(text) and not is_last):
        return None
    return found.end()


def _count_breaks(text: bytes, begin: int, end: int) -> int:
    return sum(1 for _ in LINE_BREAK.finditer(text, begin, end))


def _record_end(
    text: bytes, start: int, dialect: Dialect, *, is_last: bool
) -> tuple[int, bool] | None:
    """Where the record that begins at ``start`` ends, and whether its quotes are in place.

    None where the text ends before that can be told: no record of an accepted file is longer than
    `MAX_RECORD_BYTES`.
    """
    end = record_end(text, start, dialect)
    may_go_on = end == len(text) or text[end : end + 1] == dialect.quote
    if may_go_on and not is_last and len(text) - start <= MAX_RECORD_BYTES:
        return None
    line_break = LINE_BREAK.search(text, end)
    if line_break is not None:
        return line_break.start(), line_break.start() == end
    return (len(text), end == len(text)) if is_last else None


def _no_such_line(line: int, found: str) -> PipelineError:
    return PipelineError(
        f"There is no line {line} to correct",
        expected="file_id and line_number as they were exported, and the encoding with which the "
        "file was loaded",
        found=found,
    )
