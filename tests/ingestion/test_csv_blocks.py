"""Records must be found as an editor and RFC 4180 see them, or the file is not to be trusted."""

from __future__ import annotations

import pytest

from ingestion.reader.csv_blocks import MAX_BLOCK_RECORDS, MAX_RECORD_BYTES, record_blocks
from ingestion.reader.csv_quotes import Dialect, plain_value, raw_values
from ingestion.reader.verdicts import FileSetAside

COMMA = Dialect()
SWALLOWED = "quote: one value runs from line {} to line {}, and {} of these look like separate rows"
TEXT_AFTER = (
    "quote: text follows a closing quote; double a quote that is part of the text, or set"
    ' quote = "" in the file profile of a sender that puts no value in quotes'
)


def found(
    content: bytes, dialect: Dialect = COMMA, columns: int = 3
) -> list[tuple[int, bytes, str | None]]:
    """Return line number, text and fault of every record."""
    return [
        (int(block.lines[index]), block.data[start:end], block.faults.get(index))
        for block in record_blocks([content], dialect, columns, first_line=1)
        for index, (start, end) in enumerate(zip(block.starts, block.ends, strict=True))
    ]


def set_aside(content: bytes) -> str:
    """Return the message with which the whole file is set aside."""
    with pytest.raises(FileSetAside) as caught:
        found(content)
    assert caught.value.reasons[0].code == "quote"
    return str(caught.value)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_numbers_are_those_of_an_editor(end: bytes) -> None:
    """A wrong line number sends an analyst to the wrong sale."""
    content = end.join([b"1,2,3", b"", b"   ", b'4,"a', b'b",6', b"7,8,9"])

    assert found(content) == [
        (1, b"1,2,3", None),
        (4, b'4,"a' + end + b'b",6', None),
        (6, b"7,8,9", None),
    ]


def test_line_ends_may_differ_within_a_file() -> None:
    """Glued files mix them; CRLF is one line end, not two."""
    assert found(b"1,2,3\r\n4,5,6\r7,8,9\n\r1,1,1") == [
        (1, b"1,2,3", None),
        (2, b"4,5,6", None),
        (3, b"7,8,9", None),
        (5, b"1,1,1", None),
    ]


def test_the_second_line_of_a_value_is_not_judged_as_a_row() -> None:
    """Risk: once a quote is out of place in its block, a good sale gets the blame of another."""
    assert found(b'1,"24" screen,3\n1,"a\n""b""",3\n4,5,6\n') == [
        (1, b'1,"24" screen,3', TEXT_AFTER),
        (2, b'1,"a\n""b""",3', None),
        (4, b"4,5,6", None),
    ]


def test_a_quote_inside_a_value_without_quotes_is_text() -> None:
    """An inch mark is no reason to lose a sale, nor the ones after it."""
    assert found(b'1,5" pipe,2\n3,"a,b",4\n5,6",7\n') == [
        (1, b'1,5" pipe,2', None),
        (2, b'3,"a,b",4', None),
        (3, b'5,6",7', None),
    ]


def test_text_after_a_closing_quote_is_a_fault_of_its_row_alone() -> None:
    """A lenient reader glues the text to the value; a careless one loses the lines that follow."""
    assert found(b'1,"24" screen",2\n3,"a""b",4\n') == [
        (1, b'1,"24" screen",2', TEXT_AFTER),
        (2, b'3,"a""b",4', None),
    ]


def test_a_quote_never_closed_sets_the_file_aside() -> None:
    """All the sales behind it would sit inside one product name."""
    assert set_aside(b'1,2,3\n4,"soap,6\n7,8,9\n') == (
        "quote out of place. Expected: every value that begins with a quote ends with one, and a"
        " quote inside it is doubled. Found: a quote opened in line 2 that is never closed."
        ' Correct line 2 and send the whole file again, or set quote = "" in the file profile of a'
        " sender that puts no value in quotes."
    )


def test_a_quote_closed_lines_later_in_front_of_text_sets_the_file_aside() -> None:
    """The lines between may be good sales, and nobody can tell."""
    assert set_aside(b'1,2,3\n4,"soap,6\n7,"oil",9\n') == (
        "quote out of place. Expected: every value that begins with a quote ends with one, and a"
        " quote inside it is doubled. Found: a quote opened in line 2 and closed in line 3 before"
        " other text, so it is unclear which lines are rows. Correct line 2 and send the"
        ' whole file again, or set quote = "" in the file profile of a sender that puts no value in'
        " quotes."
    )


def test_a_faulty_row_that_leaves_a_quote_open_sets_the_file_aside() -> None:
    """Where such a row ends cannot be told."""
    assert "opened in line 1" in set_aside(b'"a"b,"c\nd",e\n1,2,3\n')


def test_rows_swallowed_by_a_quote_that_closes_by_chance_are_a_fault() -> None:
    """Two sales would become one with the first one's customer and the last one's money."""
    assert found(b'4,"soap,6\n7,8",9\n1,2,3\n') == [
        (1, b'4,"soap,6\n7,8",9', SWALLOWED.format(1, 2, 2)),
        (3, b"1,2,3", None),
    ]


def test_a_quoted_text_of_several_lines_is_a_value() -> None:
    """An address with line breaks and commas is no damage."""
    assert found(b'4,"Main St 1,\r\n\r\nDelhi",6\n') == [
        (1, b'4,"Main St 1,\r\n\r\nDelhi",6', None)
    ]


def test_without_a_quote_character_every_quote_is_text() -> None:
    """Some exports never quote, and print inch marks."""
    assert found(b'1|"a|3\n4|b"|6\n', Dialect(b"|", b"")) == [
        (1, b'1|"a|3', None),
        (2, b'4|b"|6', None),
    ]


def test_a_record_without_an_end_stops_the_reader_before_memory_does() -> None:
    """A file of any size is read in blocks; one endless line must not be gathered whole."""
    endless = [b"x" * (MAX_RECORD_BYTES // 2 + 1)] * 4
    with pytest.raises(FileSetAside) as caught:
        list(record_blocks(endless, COMMA, 3, first_line=2, block_bytes=MAX_RECORD_BYTES))

    assert str(caught.value) == (
        "the line starting in line 2 is too long. Expected: at most 1,048,576 bytes. Found: no"
        " end of it after 1,048,578 bytes. Check that the file is CSV with line breaks, and send it"
        " again."
    )


@pytest.mark.parametrize("before", [0, 1, 300_000, 524_288, 700_001])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_record_is_too_long_wherever_it_stands_in_a_block(before: int, quote: str) -> None:
    """Risk: a line that the database takes in no packet keeps every file from being published."""
    short = b"1,a,2\n" * (before // 6) + b"1," + b"b" * (before % 6) + b",2\n"
    line = short.count(b"\n") + 1

    def content(length: int) -> bytes:
        return short + f"3,{quote}{'x' * (length - 4 - 2 * len(quote))}{quote},4\n".encode() + short

    blocks = record_blocks([content(MAX_RECORD_BYTES)], COMMA, 3, first_line=1)
    assert sum(block.count for block in blocks) == 2 * line - 1
    with pytest.raises(FileSetAside) as caught:
        list(record_blocks([content(MAX_RECORD_BYTES + 1)], COMMA, 3, first_line=1))
    assert str(caught.value) == (
        f"the line starting in line {line} is too long. Expected: at most 1,048,576 bytes. Found:"
        " 1,048,577 bytes. Check that the file is CSV with line breaks, and send it again."
    )


def test_a_block_of_tiny_records_is_handed_on_in_parts() -> None:
    """Millions of one-letter lines in one block would take gigabytes as rows."""
    blocks = list(record_blocks([b"a\n" * (MAX_BLOCK_RECORDS + 3)], COMMA, 3, first_line=1))

    assert [len(block.starts) for block in blocks] == [MAX_BLOCK_RECORDS, 3]
    assert blocks[1].lines.tolist() == [MAX_BLOCK_RECORDS + number for number in (1, 2, 3)]
    assert blocks[1].data == b"a\na\na\n"


def test_each_part_of_a_block_has_its_own_faults_and_blank_lines() -> None:
    """Risk: a fault is looked for in a part that ends before it, or stands in another row."""
    content = b"  \n" + b"a\n" * MAX_BLOCK_RECORDS + b'"a"b\na\n'
    first, second = record_blocks([content], COMMA, 3, first_line=1)

    assert (first.faults, second.faults) == ({}, {0: TEXT_AFTER})
    assert [spans.tolist() for spans in first.blanked] == [[0], [2]]
    assert [spans.tolist() for spans in second.blanked] == [[], []]


def test_raw_values_and_plain_values() -> None:
    """Masking and the header rest on them."""
    raw = raw_values(b'"a,""b",, c"d ,"e"f,"g', COMMA)

    assert raw == [b'"a,""b"', b"", b' c"d ', b'"e"f', b'"g']
    assert [plain_value(value, COMMA) for value in raw] == [
        b'a,"b',
        b"",
        b' c"d ',
        b'"e"f',
        b'"g',
    ]
