"""Opens a file as it was delivered: its text, and where its records stand."""

from __future__ import annotations

import dataclasses
import hashlib
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.profiles import CONTRACT_FORM, profile_for
from ingestion.errors import PipelineError
from ingestion.reader.csv_quotes import Dialect, record_end
from ingestion.reader.file_content import GZIP_MAGIC, decode_chunks, read_chunks
from ingestion.reader.header_line import LINE_BREAK, read_header_line
from ingestion.run.archive import find_archived

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.database.staging_table import FileRow
    from ingestion.run.services import Services


@dataclasses.dataclass(frozen=True)
class OriginalFile:
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


def open_original(services: Services, row: FileRow, lines: Collection[int]) -> OriginalFile:
    """The file as it was taken; ``PipelineError`` where its archived object is another by now."""
    settings, store = services.settings, services.store
    relative = row.file_name.removeprefix(settings.inbox_prefix)
    form = profile_for(relative, settings.profiles) or CONTRACT_FORM
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        path = Path(folder) / "original"
        find_archived(store, row, lambda info: store.download(info, path))
        return _read(path, form, lines)


def _read(path: Path, form: FileProfile, lines: Collection[int]) -> OriginalFile:
    dialect = Dialect(form.delimiter.encode(), form.quote.encode())
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MAGIC
    text = b"".join(decode_chunks(read_chunks(path, hashlib.sha256()), form.encoding))
    header = read_header_line(iter([text]), dialect, form.encoding, form.skip_lines)
    return OriginalFile(
        text, header.values, dialect, form.encoding, is_gzip, _line_starts(text, lines)
    )


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
            f"There is no line {missing[0]} to correct",
            expected="file_id and line_number as they were exported, and the encoding with which "
            "the file was loaded",
            found=f"a file of {len(LINE_BREAK.findall(text)) + 1} lines",
        )
    return found
