"""Split CSV text into records, strictly: what opens a quote closes it, and nothing is swallowed.

The grammar is RFC 4180 with LF, CRLF or CR as line ends, and a quote that does not begin a value is
text. In most blocks every line is a record, and no more than that is found out; in the others
records are found with numpy, and only a block with a quote out of place is gone through record by
record.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from ingestion.reader.csv_lines import count_plain_records
from ingestion.reader.csv_quotes import (
    CR,
    LF,
    Dialect,
    Lines,
    Positions,
    quotes_are_structural,
    walk_quoted_lines,
)
from ingestion.reader.verdicts import FileSetAside, Reason

# What is no row is kept whole, and a database without local_infile takes it in one statement, in
# which escaping doubles quotes: the packets of servers end at 16 MiB (MariaDB), or are set to less.
MAX_RECORD_BYTES = 1024 * 1024
MAX_BLOCK_RECORDS = 200_000
BLOCK_BYTES = 4 * 1024 * 1024
NO_SPANS = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


@dataclass(frozen=True)
class RecordBlock:
    """Whole records of a file, in order.

    ``lines`` has, for each record, the line an editor shows for its start. ``faults`` maps an index
    into them to the reason why that record is no row. ``blanked`` are the starts and ends of lines
    of white space only, which are no records. ``ends_unfinished``: the last record has no line
    break after it. ``known_spans`` are the starts and ends of the records, left out where each line
    is one.
    """

    data: bytes | memoryview
    lines: Positions
    faults: dict[int, str] = field(default_factory=dict)
    blanked: tuple[Positions, Positions] = NO_SPANS
    ends_unfinished: bool = False
    known_spans: tuple[Positions, Positions] | None = None

    @property
    def count(self) -> int:
        """The number of records."""
        return len(self.lines)

    @property
    def starts(self) -> Positions:
        """The byte offsets into ``data`` where the text of each record starts."""
        return self._spans[0]

    @property
    def ends(self) -> Positions:
        """The byte offsets into ``data`` where the text of each record ends, without its break."""
        return self._spans[1]

    def text(self, index: int) -> bytes:
        """Return the text of one record, without its line break."""
        return bytes(self.data[self.starts[index] : self.ends[index]])

    @cached_property
    def _spans(self) -> tuple[Positions, Positions]:
        if self.known_spans is not None:
            return self.known_spans
        text = bytes(self.data)
        lines = _find_lines(text, np.frombuffer(text, dtype=np.uint8), final=True)
        return np.concatenate(([0], lines.break_ends[:-1])), lines.break_starts


def record_blocks(
    chunks: Iterable[bytes],
    dialect: Dialect,
    column_count: int,
    first_line: int,
    block_bytes: int = BLOCK_BYTES,
) -> Iterator[RecordBlock]:
    """Yield the records of a file whose UTF-8 text (bad bytes and all) comes in ``chunks``.

    ``first_line`` is the line number of the first byte; a block is made of ``block_bytes`` or a
    chunk more. Its data hold until the next block is asked for: they lie in memory that is filled
    again and again, for pages that are new each time cost more than the copy. Raises FileSetAside
    where an opening quote leaves it open which lines are rows of their own.
    """
    room, rest, line = bytearray(), b"", first_line
    filled = added = 0
    for chunk in chain(chunks, (None,)):
        if chunk is not None:
            if filled + len(chunk) > len(room):
                smaller, room = room, bytearray(max(2 * len(room), filled + len(chunk)))
                room[:filled] = smaller[:filled]
            room[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
            added += len(chunk)
            if added < block_bytes:
                continue
        block, rest, line = _next_block(room, filled, dialect, column_count, line)
        _check_lengths(block, dialect)
        if len(rest) > MAX_RECORD_BYTES:
            raise _too_long(rest, dialect, line, f"no end of it after {len(rest):,} bytes")
        yield from _portions(block)
        room[: len(rest)] = rest
        filled, added = len(rest), 0
    if rest:
        block, _, _ = _split(rest, dialect, column_count, line, final=True)
        yield from _portions(block)


def _next_block(
    room: bytearray, filled: int, dialect: Dialect, column_count: int, line: int
) -> tuple[RecordBlock | None, bytes, int]:
    """Return the records that end in the filled part of ``room``, what is left, and its line."""
    cut = room.rfind(b"\n", 0, filled) + 1
    if cut and room.find(b"\r", cut, filled - 1) < 0:
        count = count_plain_records(room, cut, dialect)
        if count is not None and not _may_have_long_line(room, cut):
            block = RecordBlock(memoryview(room)[:cut], np.arange(line, line + count))
            return block, bytes(room[cut:filled]), line + count
    buffer = bytes(room[:filled])
    found, used, line = _split(buffer, dialect, column_count, line, final=False)
    return found, buffer[used:] if used else buffer, line


def _may_have_long_line(text: bytearray, end: int) -> bool:
    """Whether a line may be too long: one that is has a piece of half the limit for itself."""
    half = MAX_RECORD_BYTES // 2
    begins = range(0, end - half + 1, half)
    return any(text.find(b"\n", begin, begin + half) < 0 for begin in begins)


def _check_lengths(block: RecordBlock | None, dialect: Dialect) -> None:
    """Raise FileSetAside at a record that is too long, wherever the blocks end; those of a block
    where each line is one were looked at before."""
    if block is None or block.known_spans is None:
        return
    for index in np.flatnonzero(block.ends - block.starts > MAX_RECORD_BYTES)[:1]:
        record = block.text(index)
        raise _too_long(record, dialect, int(block.lines[index]), f"{len(record):,} bytes")


def _portions(block: RecordBlock | None) -> Iterator[RecordBlock]:
    """Yield the block in parts, so that one of tiny records takes no more memory than others."""
    if block is None:
        return
    count = block.count
    if count <= MAX_BLOCK_RECORDS:
        yield block
        return
    starts, ends = block.starts, block.ends
    for first in range(0, count, MAX_BLOCK_RECORDS):
        last = min(first + MAX_BLOCK_RECORDS, count)
        begin = int(starts[first]) if first else 0
        end = int(starts[last]) if last < count else len(block.data)
        is_inside = (block.blanked[0] >= begin) & (block.blanked[0] < end)
        yield RecordBlock(
            data=bytes(block.data[begin:end]),
            lines=block.lines[first:last],
            faults={
                index - first: text for index, text in block.faults.items() if first <= index < last
            },
            blanked=(block.blanked[0][is_inside] - begin, block.blanked[1][is_inside] - begin),
            ends_unfinished=block.ends_unfinished and last == count,
            known_spans=(starts[first:last] - begin, ends[first:last] - begin),
        )


def _split(
    buffer: bytes, dialect: Dialect, column_count: int, first_line: int, *, final: bool
) -> tuple[RecordBlock | None, int, int]:
    """Return the whole records of ``buffer``, the bytes used, and the line after them."""
    array = np.frombuffer(buffer, dtype=np.uint8)
    lines = _find_lines(buffer, array, final=final)
    if dialect.quote and dialect.quote in buffer:
        quotes = np.flatnonzero(array == dialect.quote[0])
        if quotes_are_structural(array, quotes, dialect) and not (final and len(quotes) % 2):
            lines.ends_record = np.searchsorted(quotes, lines.break_starts) % 2 == 0
        else:
            walk_quoted_lines(buffer, lines, quotes, dialect, first_line, final=final)
    last_lines = np.flatnonzero(lines.ends_record)
    if not len(last_lines):
        return None, 0, first_line
    first_lines = np.concatenate(([0], last_lines[:-1] + 1))
    starts = np.concatenate(([0], lines.break_ends[last_lines[:-1]]))
    ends = lines.break_starts[last_lines]
    used = int(lines.break_ends[last_lines[-1]])
    next_line = first_line + int(last_lines[-1]) + 1
    is_record, blanked = _find_blank(array, starts, ends, dialect)
    if not is_record.any():
        return None, used, next_line
    if not is_record.all():
        starts, ends = starts[is_record], ends[is_record]
        first_lines, last_lines = first_lines[is_record], last_lines[is_record]
    faults = {int(np.searchsorted(first_lines, line)): text for line, text in lines.faults.items()}
    faults |= _find_swallowed_rows(
        array, lines, first_lines, last_lines, dialect, column_count, first_line
    )
    return (
        RecordBlock(
            data=buffer[:used] if used < len(buffer) else buffer,
            lines=first_lines + first_line,
            faults=faults,
            blanked=blanked,
            ends_unfinished=final and int(ends[-1]) == len(buffer),
            known_spans=(starts, ends),
        ),
        used,
        next_line,
    )


def _find_lines(buffer: bytes, array: NDArray[np.uint8], *, final: bool) -> Lines:
    """Find every line break; a CR at the very end waits for what follows it, unless ``final``."""
    feeds = np.flatnonzero(array == LF)
    starts, ends = feeds, feeds + 1
    if b"\r" in buffer:
        returns = np.flatnonzero(array == CR)
        if not final and buffer.endswith(b"\r"):
            returns = returns[:-1]
        if len(returns) == len(feeds) and bool((returns + 1 == feeds).all()):
            starts = returns
        else:
            lone_feeds = feeds[(feeds == 0) | (array[feeds - 1] != CR)]
            starts = np.sort(np.concatenate((returns, lone_feeds)))
            following = array[np.minimum(starts + 1, len(array) - 1)]
            is_pair = (array[starts] == CR) & (following == LF)
            ends = starts + 1 + is_pair
    if final and (not len(ends) or ends[-1] < len(buffer)):
        starts = np.append(starts, len(buffer))
        ends = np.append(ends, len(buffer))
    return Lines(starts, ends, np.ones(len(starts), dtype=bool))


def _find_blank(
    array: NDArray[np.uint8], starts: Positions, ends: Positions, dialect: Dialect
) -> tuple[NDArray[np.bool_], tuple[Positions, Positions]]:
    """Tell records from blank lines, and return the spans of those that hold white space."""
    is_record = ends > starts
    is_white = np.zeros(256, dtype=bool)
    is_white[list(dialect.blanks)] = True
    is_indented = is_record & is_white[array[np.minimum(starts, len(array) - 1)]]
    indented = np.flatnonzero(is_indented)
    if len(indented):
        spaces = np.flatnonzero(is_white[array])
        widths = ends[indented] - starts[indented]
        count = np.diff(np.searchsorted(spaces, (starts[indented], ends[indented])), axis=0)[0]
        indented = indented[count == widths]
        is_record[indented] = False
    return is_record, (starts[indented], ends[indented])


def _find_swallowed_rows(
    array: NDArray[np.uint8],
    lines: Lines,
    first_lines: Positions,
    last_lines: Positions,
    dialect: Dialect,
    column_count: int,
    first_line: int,
) -> dict[int, str]:
    """Find records of several lines of which two or more have as many delimiters as a row, or more.

    A quote that lacks its partner can find another one, lines later, that fits by chance.
    """
    several = np.flatnonzero(last_lines > first_lines)
    if not len(several) or column_count < 2:
        return {}
    delimiters = np.flatnonzero(array == dialect.delimiter[0])
    before = np.searchsorted(delimiters, lines.break_starts)
    is_like_row = np.diff(before, prepend=0) >= column_count - 1
    rows_before = np.concatenate(([0], np.cumsum(is_like_row)))
    found = rows_before[last_lines[several] + 1] - rows_before[first_lines[several]]
    return {
        int(index): (
            f"quote: one value runs from line {first_lines[index] + first_line} to line"
            f" {last_lines[index] + first_line}, and {count} of these look like separate rows"
        )
        for index, count in zip(several[found > 1], found[found > 1], strict=True)
    }


def _too_long(text: bytes, dialect: Dialect, line: int, found: str) -> FileSetAside:
    is_quoted = bool(dialect.quote) and b"\n" in text
    return FileSetAside(
        Reason(
            "quote" if is_quoted else "line_too_long",
            f"{'quote: the record' if is_quoted else 'the line'} starting in line {line} is too"
            f" long. Expected: at most {MAX_RECORD_BYTES:,} bytes. Found: {found}. "
            + (
                "Look for a quote in this line that is never closed, and send the file again."
                if is_quoted
                else "Check that the file is CSV with line breaks, and send it again."
            ),
        )
    )
