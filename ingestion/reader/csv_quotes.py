"""Tell which quotes of a CSV give it structure, and where one is out of place.

A quote opens a value only as its first byte, is text inside one when doubled, and closes it in
front of a delimiter, a line break or the end. In a value without quotes it is text.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ingestion.reader.verdicts import FileSetAside, Reason

LF, CR = 10, 13

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class Dialect:
    """The characters that structure a CSV, one ASCII byte each; no quote where it has none."""

    delimiter: bytes = b","
    quote: bytes = b'"'

    @property
    def blanks(self) -> bytes:
        """The white space of which a blank line may be made."""
        return b" \t\v\f".replace(self.delimiter, b"")


@dataclass
class Lines:
    """The line breaks of a buffer, and for each whether a record ends there."""

    break_starts: Positions
    break_ends: Positions
    ends_record: NDArray[np.bool_]
    faults: dict[int, str] = field(default_factory=dict)


def raw_values(record: bytes, dialect: Dialect) -> list[bytes]:
    """Return the values of one record as they are written, quotes and all.

    Where a quote is out of place, what follows it up to the next delimiter belongs to its value.
    """
    loose = _patterns(dialect).loose_value
    values, position = [], 0
    while True:
        match = loose.match(record, position)
        end = match.end() if match else len(record)
        values.append(record[position:end])
        if record[end : end + 1] != dialect.delimiter:
            return values
        position = end + 1


def plain_value(raw: bytes, dialect: Dialect) -> bytes:
    """Return the value that ``raw`` writes: without its quotes, doubled ones made single."""
    quote = dialect.quote
    if quote and len(raw) > 1 and raw.startswith(quote) and raw.endswith(quote):
        return raw[1:-1].replace(quote + quote, quote)
    return raw


def record_end(text: bytes, start: int, dialect: Dialect) -> int:
    """Return where the record that begins at ``start`` ends.

    At that place are a line break or the end of ``text``, or else a quote is out of place there.
    """
    match = _patterns(dialect).record.match(text, start)
    return match.end() if match else start


def quotes_are_structural(array: NDArray[np.uint8], quotes: Positions, dialect: Dialect) -> bool:
    """Say whether every quote opens a value, closes one, or is doubled inside one.

    Then, and only then, a place is inside a value exactly if an odd number of quotes is before it.
    """
    opening, closing = quotes[0::2], quotes[1::2]
    if opening[0] == 0:
        opening = opening[1:]
    if len(closing) and closing[-1] == len(array) - 1:
        closing = closing[:-1]
    return all(
        bool(
            (
                (neighbours == dialect.delimiter[0])
                | (neighbours == LF)
                | (neighbours == dialect.quote[0])
                | (neighbours == CR)
            ).all()
        )
        for neighbours in (array[opening - 1], array[closing + 1])
    )


def walk_quoted_lines(
    buffer: bytes,
    lines: Lines,
    quotes: Positions,
    dialect: Dialect,
    first_line: int,
    *,
    final: bool,
) -> None:
    """Go through the records that hold a quote, one by one, and mark which lines end a record.

    A record with text after a closing quote is a fault of its own as long as its line alone decides
    that; where the quote ran over a line break first, nobody can say which lines are rows.
    """
    patterns = _patterns(dialect)
    break_starts: list[int] = lines.break_starts.tolist()
    quoted_lines = np.unique(np.searchsorted(lines.break_starts, quotes)).tolist()
    next_line = 0
    for line in quoted_lines:
        if line < next_line:
            continue
        start = int(lines.break_ends[line - 1]) if line else 0
        match = patterns.record.match(buffer, start)
        end = match.end() if match else start
        last = bisect_left(break_starts, end)
        if last < len(break_starts) and break_starts[last] == end:
            lines.ends_record[line:last] = False
            next_line = last + 1
            continue
        is_unclosed = buffer[end : end + 1] == dialect.quote
        if not final and (is_unclosed or last == len(break_starts)):
            lines.ends_record[line:] = False
            return
        loose = patterns.loose_record.match(buffer, start)
        loose_end = loose.end() if loose else start
        if is_unclosed or last != line or loose_end != break_starts[line]:
            raise _open_quote(buffer, start, end, lines, dialect, first_line, is_unclosed)
        lines.faults[line] = (
            "quote: text follows a closing quote; double a quote that is part of the text, or set"
            ' quote = "" in the file profile of a sender that puts no value in quotes'
        )
        next_line = line + 1


def _open_quote(
    buffer: bytes,
    start: int,
    end: int,
    lines: Lines,
    dialect: Dialect,
    first_line: int,
    is_unclosed: bool,
) -> FileSetAside:
    """Say where the quote opened that leaves the rest of the file in doubt."""
    opened = end
    if not is_unclosed:
        position = start
        value = _patterns(dialect).value
        while position < end:
            opened = position
            match = value.match(buffer, position)
            position = (match.end() if match else end) + 1
    opened_line = first_line + int(np.searchsorted(lines.break_starts, opened))
    closed_line = first_line + int(np.searchsorted(lines.break_starts, end))
    if is_unclosed:
        found = f"a quote opened in line {opened_line} that is never closed"
    else:
        found = (
            f"a quote opened in line {opened_line} and closed in line {closed_line} before other"
            " text, so it is unclear which lines are rows"
        )
    return FileSetAside(
        Reason(
            "quote",
            "quote out of place. Expected: every value that begins with a quote ends with one, and"
            f" a quote inside it is doubled. Found: {found}. Correct line {opened_line} and send"
            ' the whole file again, or set quote = "" in the file profile of a sender that puts no'
            " value in quotes.",
        )
    )


@dataclass(frozen=True)
class _Patterns:
    """Regular expressions over bytes: strict ones stop at a fault, loose ones go on behind it."""

    value: re.Pattern[bytes]
    record: re.Pattern[bytes]
    loose_value: re.Pattern[bytes]
    loose_record: re.Pattern[bytes]


@cache
def _patterns(dialect: Dialect) -> _Patterns:
    delimiter, quote = re.escape(dialect.delimiter), re.escape(dialect.quote)
    plain = rb"[^%b\r\n]*+" % delimiter
    if not quote:
        record = re.compile(rb"%b(?:%b%b)*+" % (plain, delimiter, plain))
        return _Patterns(re.compile(plain), record, re.compile(plain), record)
    quoted = rb"%b[^%b]*+(?:%b%b[^%b]*+)*+%b" % ((quote,) * 6)
    value = rb"(?:%b|(?!%b)%b|)" % (quoted, quote, plain)
    loose = rb"(?:%b%b|(?!%b)%b|)" % (quoted, plain, quote, plain)
    return _Patterns(
        value=re.compile(value),
        record=re.compile(rb"%b(?:%b%b)*+" % (value, delimiter, value)),
        loose_value=re.compile(rb"(?:%b%b|%b)" % (quoted, plain, plain)),
        loose_record=re.compile(rb"%b(?:%b%b)*+" % (loose, delimiter, loose)),
    )
