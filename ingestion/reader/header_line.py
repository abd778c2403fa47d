"""Read the header line of a file, with what stands above it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ingestion.reader.csv_blocks import MAX_RECORD_BYTES
from ingestion.reader.csv_quotes import Dialect, plain_value, raw_values, record_end
from ingestion.reader.dialects import HEAD_BYTES, text_kind
from ingestion.reader.file_content import shown_text
from ingestion.reader.masking import without_personal
from ingestion.reader.verdicts import FileSetAside, Reason

LINE_BREAK = re.compile(rb"\r\n|\r|\n")


@dataclass(frozen=True)
class HeaderLine:
    """The texts of the header and its line number, and what follows it with that line number.

    ``head`` is the beginning of the file from the header on, for a person to look at.
    """

    values: tuple[str, ...]
    line: int
    rest: bytes
    next_line: int
    head: str


@dataclass(frozen=True)
class _Place:
    line: int
    start: int
    end: int
    next_line: int
    next_start: int


def _no_proposal(_: bytes) -> str:
    return "Send the file as UTF-8, or give the sender a file profile with its encoding."


def read_header_line(
    chunks: Iterator[bytes],
    dialect: Dialect,
    encoding: str,
    skip_lines: int,
    propose: Callable[[bytes], str] = _no_proposal,
) -> HeaderLine:
    """Take the header from the front of ``chunks``: the first line after ``skip_lines`` with text.

    ``propose`` ends the message about a header that is not in ``encoding``, from its bytes.
    Raises FileSetAside where there is none, or where it cannot be read.
    """
    text, place = b"", None
    for chunk in chunks:
        text += chunk
        place = _find_header(text, dialect, skip_lines, final=False)
        if place is not None:
            break
        if len(text) > MAX_RECORD_BYTES:
            raise FileSetAside(_no_end(len(text)))
    else:
        place = _find_header(text, dialect, skip_lines, final=True)
    if place is None:
        raise FileSetAside(_empty(skip_lines))
    record = text[place.start : place.end]
    try:
        values = [plain_value(raw, dialect).decode("utf-8") for raw in raw_values(record, dialect)]
    except UnicodeDecodeError as error:
        reason = _wrong_bytes(record, place.line, encoding, propose(record))
        raise FileSetAside(reason) from error
    return HeaderLine(
        values=tuple(values),
        line=place.line,
        rest=text[place.next_start :],
        next_line=place.next_line,
        head=text[place.start : place.start + HEAD_BYTES].decode("utf-8", "replace"),
    )


def _find_header(text: bytes, dialect: Dialect, skip_lines: int, *, final: bool) -> _Place | None:
    """Return where the header stands; None where ``text`` does not hold it as a whole."""
    start, line = 0, 1
    while True:
        found = _line_break(text, start, final=final)
        if found is None and not final:
            return None
        line_end = found.start() if found else len(text)
        if line > skip_lines and text[start:line_end].strip(dialect.blanks):
            break
        if found is None:
            return None
        start, line = found.end(), line + 1
    end = record_end(text, start, dialect)
    found = _line_break(text, end, final=final)
    if text[end : end + 1] not in (b"", b"\r", b"\n"):
        if not final and text[end : end + 1] == dialect.quote:
            return None
        raise FileSetAside(text_kind(text[start : start + HEAD_BYTES]) or _open_quote(line))
    if found is None:
        return _Place(line, start, end, line + 1, len(text)) if final else None
    inner = len(LINE_BREAK.findall(text, start, end))
    return _Place(line, start, end, line + inner + 1, found.end())


def _line_break(text: bytes, start: int, *, final: bool) -> re.Match[bytes] | None:
    """Find the next line break; a CR at the end of ``text`` waits for what follows it."""
    found = LINE_BREAK.search(text, start)
    if found and not final and found[0] == b"\r" and found.end() == len(text):
        return None
    return found


def _empty(skip_lines: int) -> Reason:
    below = f" below the {skip_lines} lines that the file profile skips" if skip_lines else ""
    return Reason(
        "empty",
        f"the file is empty. Expected: a header line and one line for each sale{below}."
        " Found: no text. Send the file again.",
    )


def _no_end(length: int) -> Reason:
    return Reason(
        "line_too_long",
        f"the first line is too long. Expected: a header of at most {MAX_RECORD_BYTES:,} bytes."
        f" Found: no end of it after {length:,} bytes. Check that the file is CSV.",
    )


def _open_quote(line: int) -> Reason:
    return Reason(
        "quote",
        "quote out of place in the header. Expected: every name that begins with a quote ends with"
        f" one. Found: line {line} does not. Correct it and send the file again.",
    )


def _wrong_bytes(record: bytes, line: int, encoding: str, proposed: str) -> Reason:
    found = without_personal(shown_text(record, encoding)[:200])
    return Reason(
        "encoding",
        f"encoding: the header in line {line} has a byte that is not a character. Expected:"
        f" {encoding}. Found: '{found}'. {proposed}",
    )
