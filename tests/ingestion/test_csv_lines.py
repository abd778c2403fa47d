"""What is told of a text at little cost must be what the grammar tells, or rows get lost unseen."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingestion.reader import csv_blocks, csv_lines
from ingestion.reader.csv_blocks import MAX_BLOCK_RECORDS, MAX_RECORD_BYTES, record_blocks
from ingestion.reader.csv_lines import PIECE_BYTES, count_plain_records
from ingestion.reader.csv_quotes import Dialect
from ingestion.reader.header_line import read_header_line
from ingestion.reader.verdicts import FileSetAside

COMMA = Dialect()
PLAIN_LINE = re.compile(rb'[^"\r\n ][^"\r\n]*')
LINE_END = re.compile(rb"\r\n|\r|\n")
QUOTED_LINE = re.compile(rb'"[^",\r\n]*"(?:,"[^",\r\n]*")*')


def texts() -> st.SearchStrategy[bytes]:
    """Return small texts of what matters to lines and quotes, some of them good for the most."""
    pieces = st.sampled_from([b"\n", b"\r\n", b"\r", b'"', b",", b" ", b"a", b"\t", b"\xff"])
    any_text = st.lists(pieces, max_size=30).map(b"".join)
    line = st.sampled_from([b"a,b", b'"a","b"', b'"",""', b'"a"', b"a", b" a,b", b"", b'a,"b\nc"'])
    line_end = st.sampled_from([b"\n", b"\r\n"])
    lines = st.tuples(st.lists(line, max_size=12), line_end).map(lambda t: t[1].join((*t[0], b"")))
    same = st.tuples(line, st.integers(1, 40), line_end).map(lambda t: (t[0] + t[2]) * t[1])
    return st.lists(st.one_of(any_text, lines, same), min_size=1, max_size=3).map(b"".join)


def dialects() -> st.SearchStrategy[Dialect]:
    """Return dialects: the usual one, one without quotes, and one delimited by blanks."""
    return st.sampled_from([COMMA, Dialect(b",", b""), Dialect(b"\t", b'"'), Dialect(b" ", b'"')])


def chunks(content: bytes, size: int) -> list[bytes]:
    """Return ``content`` in chunks."""
    return [content[place : place + size] for place in range(0, len(content), size)]


def found(content: bytes, dialect: Dialect, size: int) -> list[object] | str:
    """Return all that the blocks of ``content`` say, block by block, or the verdict on the file."""
    blocks: list[object] = []
    try:
        for block in record_blocks(chunks(content, size), dialect, 2, 1, block_bytes=size):
            assert block.count == len(block.starts) == len(block.ends) == len(block.lines)
            blanked = [list(places) for places in block.blanked]
            records = [
                (int(line), int(start), int(end), block.text(index))
                for index, (line, start, end) in enumerate(
                    zip(block.lines, block.starts, block.ends, strict=True)
                )
            ]
            blocks.append(
                (bytes(block.data), records, block.faults, blanked, block.ends_unfinished)
            )
    except FileSetAside as verdict:
        return str(verdict)
    return blocks


@settings(max_examples=1000, deadline=None)
@given(
    content=texts(),
    dialect=dialects(),
    size=st.sampled_from([1, 3, 16, 64, 4096]),
    piece=st.sampled_from([1, 8, 30, PIECE_BYTES]),
)
@example(content=b"a,b\n" * 40 + b"a,b\r" + b"a,b\n" * 5, dialect=COMMA, size=64, piece=8)
@example(content=b"a,b\r\n" * 40 + b"a,b\n" * 40, dialect=COMMA, size=64, piece=30)
@example(content=b"a,b\n" * 9 + b'"a","\n","b"\n' * 9, dialect=COMMA, size=64, piece=8)
def test_records_counted_are_those_found_one_by_one(
    content: bytes, dialect: Dialect, size: int, piece: int
) -> None:
    """A line number, a fault or a row must not depend on which way a block was read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_blocks, "count_plain_records", lambda *_: None)
        one_by_one = found(content, dialect, size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_lines, "PIECE_BYTES", piece)
        assert found(content, dialect, size) == one_by_one


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("letters", [b'",a', b" ,a", b'" \r'])
def test_every_short_text_is_judged_as_the_grammar_judges_its_lines(
    letters: bytes, line_end: bytes
) -> None:
    """A quote out of place, a blank line or a break inside a value would pass for structure."""
    good = 0
    for length in range(8):
        for chosen in product((*(bytes([letter]) for letter in letters), line_end), repeat=length):
            content = b"".join(chosen) + line_end
            lines = LINE_END.split(content)[:-1]
            grammar = QUOTED_LINE if b'"' in content else PLAIN_LINE
            has_one_end = len(set(LINE_END.findall(content))) == 1
            is_plain = has_one_end and all(grammar.fullmatch(line) for line in lines)
            expected = len(lines) if is_plain else None
            assert count_plain_records(content, len(content), COMMA) == expected, content
            good += is_plain
    assert good > 10


@pytest.mark.parametrize("good", [b'"a","b"\n', b"a,b\n", b'"a","b"\r\n', b"a,b\r\n"])
@pytest.mark.parametrize(
    "line",
    [b'"a"b,"c"', b'"a,"b"', b'"a","b', b'"a""b","c"', b'a,"b"', b"", b" a", b"a\r,b", b"\ra"],
)
def test_one_other_line_among_many_is_seen(line: bytes, good: bytes) -> None:
    """A text is looked at a piece at a time; a line in a later one must count as in the first."""
    line_end = good.lstrip(b'",ab')
    many = good * (PIECE_BYTES // len(good) + 10)
    for content in (many + line + line_end + many, many + many + line + line_end, line + line_end):
        assert count_plain_records(content, len(content), COMMA) is None
    assert count_plain_records(many, len(many), COMMA) == many.count(b"\n")


def test_a_line_longer_than_a_piece_is_one_record() -> None:
    """A text of some length in one value is no reason to lose count."""
    content = b"a,b\n" + b"a" * (3 * PIECE_BYTES) + b"\na,b\n"
    assert count_plain_records(content, len(content), COMMA) == 3


def test_what_follows_the_last_line_break_is_not_looked_at() -> None:
    """A block ends at a line break, and the memory behind it has the text of an earlier one."""
    content = b'a,b\na,b\n"\r\r \n\n'
    assert count_plain_records(content, 8, COMMA) == 2


def test_a_block_has_its_memory_until_the_next_one_is_asked_for() -> None:
    """Faults are written from a block's text while the next one already waits to be read."""
    lines = [b"%d,%d\n" % (number, number * 7) for number in range(2 * MAX_BLOCK_RECORDS // 1000)]
    seen = [
        block.text(index)
        for block in record_blocks(chunks(b"".join(lines), 7), COMMA, 2, 1, block_bytes=64)
        for index in range(block.count)
    ]
    assert seen == [line.rstrip(b"\n") for line in lines]


def test_line_numbers_go_on_from_block_to_block() -> None:
    """The number of a line is that of the file, whichever blocks came before."""
    content = b"a,b\n" * 50 + b'a,"b\nc"\n' + b"a,b\r\n" * 50
    lines = np.concatenate(
        [block.lines for block in record_blocks(chunks(content, 64), COMMA, 2, 2, block_bytes=64)]
    )
    assert lines.tolist() == [*range(2, 53), *range(54, 104)]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_a_header_is_read_alike_in_whatever_pieces_it_comes(size: int) -> None:
    """Risk: a header that a quote or a line break of two signs parts is refused, or every fault
    below it bears the number of another line."""
    content = b'\r\n"a ""b""","c\r\nd"\r\n1,2\r\n'
    pieces = (content[start : start + size] for start in range(0, len(content), size))
    header = read_header_line(pieces, COMMA, "utf-8", 0)
    assert (header.values, header.line, header.next_line) == (('a "b"', "c\r\nd"), 2, 4)
    assert header.rest + b"".join(pieces) == b"1,2\r\n"


def test_a_header_without_an_end_is_not_read_to_its_end() -> None:
    """Risk: a file of gigabytes without a line break takes all memory."""
    pieces = iter([b"x" * (MAX_RECORD_BYTES + 1), b"y"])
    with pytest.raises(FileSetAside, match="the first line is too long"):
        read_header_line(pieces, COMMA, "utf-8", 0)
    assert next(pieces) == b"y"
