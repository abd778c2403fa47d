"""Rows that cannot be read are set aside whole, told as what they are, and take no other along."""

from __future__ import annotations

import json

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader.file_check import HOPELESS_ROWS
from ingestion.reader.verdicts import BadRow
from tests.reader_bench import BESAN, HEADER, MAIDA, Bench, text


def test_only_a_column_without_a_name_may_be_missing_in_a_row(bench: Bench) -> None:
    """The object of a row without any of its values is null, not empty braces."""
    bench.check(text(HEADER + ",", BESAN + ",x", MAIDA + ","))

    assert [row["additional_column"] for row in bench.rows()] == ['{"column_9":"x"}', None]


def test_faulty_rows_keep_their_whole_text_and_their_place(bench: Bench) -> None:
    """A bad row goes to the quarantine with line and text; the good ones around it count."""
    report = bench.check(
        HEADER.encode()
        + b"\n2,122,caf\xe9,2024-03-05,4,52,2,104\n"
        + MAIDA.encode()
        + b"\n\n3,122,soap, large,2024-03-06,4,52,1,52\n"
        + b'5,122,"24" screen,2024-03-06,4,52,1,52\n'
        + HEADER.encode()
        + b"\n3,122,besan\n"
    )

    rows = bench.rows()
    assert (report.rows_read, report.rows_faulty) == (6, 5)
    assert [
        (r["line_number"], r["row_fault"], r["row_fault_detail"], r["raw_line"]) for r in rows
    ] == [
        (
            2,
            "encoding",
            "encoding: byte 10 of the row is not valid in the file's encoding",
            "2,122,caf\\xe9,2024-03-05,4,52,2,104",
        ),
        (3, None, None, None),
        (
            5,
            "column_count",
            "column count: expected 8 values, found 9",
            "3,122,soap, large,2024-03-06,4,52,1,52",
        ),
        (
            6,
            "quote",
            "quote: text follows a closing quote; double a quote that is part of the text, or set"
            ' quote = "" in the file profile of a sender that puts no value in quotes',
            '5,122,"24" screen,2024-03-06,4,52,1,52',
        ),
        (7, "header", "header: the file's header line is repeated here", HEADER),
        (8, "column_count", "column count: expected 8 values, found 3", "3,122,besan"),
    ]
    assert bench.values()[1] == MAIDA.split(",")
    assert [row for row in bench.values() if row[0] is None] == [[None] * 8] * 5


@pytest.mark.parametrize(
    "row", [b"2,122,besan \x80,2024-03-05,4,52,2,104", b"\xff" + BESAN.encode()]
)
def test_one_wrong_byte_is_enough_and_is_of_its_own_row(bench: Bench, row: bytes) -> None:
    """Risk: the euro sign of Windows, or a byte that begins a row, passes for text, and Spark
    shows another one; or the row before is blamed."""
    report = bench.check(text(HEADER, BESAN).encode() + row + text("", MAIDA).encode())
    assert report.accepted
    assert [row["row_fault"] for row in bench.rows()] == [None, "encoding", None]


def test_a_line_of_spaces_is_no_row_and_one_that_begins_with_a_space_is(bench: Bench) -> None:
    """Risk: a blank line is taken for a row with too few values, or an indented sale for blank."""
    report = bench.check(text(HEADER, BESAN, "   ", f" {MAIDA}"))
    assert (report.rows_read, report.rows_faulty) == (2, 0)
    assert [row["line_number"] for row in bench.rows()] == [2, 4]


@pytest.mark.parametrize("blank", ["\t", " \t ", "\t\t", "\f", "\v"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_line_of_any_white_space_is_blank(bench: Bench, blank: str, line_end: str) -> None:
    """Risk: what nobody sees below the last row is told as a bad one, each day anew."""
    lines = [blank, HEADER, BESAN, blank, f"\t{MAIDA}", blank]
    report = bench.check(line_end.join(lines))
    assert (report.rows_read, report.rows_faulty) == (2, 0)
    assert [row["line_number"] for row in bench.rows()] == [3, 5]


def test_a_line_of_the_delimiter_is_not_blank(bench: Bench) -> None:
    """Risk: a damaged row of a file parted by tabs vanishes without a word."""
    profile = FileProfile(name="p", pattern="*", delimiter="\t")
    report = bench.check(text(HEADER, BESAN, ",", " ").replace(",", "\t"), profile)
    assert (report.rows_read, report.rows_faulty) == (2, 1)


def test_an_empty_record_below_a_faulty_row_leaves_that_row(bench: Bench) -> None:
    """Risk: the fault is dropped in the place of the blank line, and nobody hears of the sale."""
    report = bench.check(text(HEADER, "3,122,besan", ",,,,,,,", MAIDA))
    assert (report.rows_read, report.rows_faulty) == (2, 1)
    assert [(row["line_number"], row["row_fault"]) for row in bench.rows()] == [
        (2, "column_count"),
        (4, None),
    ]


@pytest.mark.parametrize(
    ("ending", "detail"),
    [
        (",", "expected 8 values, found 9 (the row ends with a delimiter)"),
        (",\r", "expected 8 values, found 9 (the row ends with a delimiter)"),
        (",,", "expected 8 values, found 10 (the row ends with a delimiter)"),
        (',"a,"', "expected 8 values, found 9"),
    ],
)
def test_a_row_with_a_delimiter_at_its_end_is_told_as_one(
    bench: Bench, ending: str, detail: str
) -> None:
    """Risk: nobody sees why, for the value too many is empty."""
    bench.check(text(HEADER, MAIDA + ending, MAIDA, "3,122,"))
    assert [row["row_fault_detail"] for row in bench.rows()] == [
        f"column count: {detail}",
        None,
        "column count: expected 8 values, found 3",
    ]


def test_rows_that_all_end_with_a_delimiter_more_than_the_header_are_read(bench: Bench) -> None:
    """Risk: a till writes a delimiter behind every value, and none of its days counts."""
    report = bench.check(text(HEADER, f"{BESAN},", f"{MAIDA},", "x,", ",,,,,,,,", f"{BESAN},"))
    assert (report.rows_read, report.rows_faulty) == (4, 1)
    assert [row["line_number"] for row in bench.rows()] == [2, 3, 4, 6]
    assert bench.values()[1] == MAIDA.split(",")
    assert {row["additional_column"] for row in bench.rows()} == {None}


def test_the_end_of_the_first_rows_is_that_of_all(bench: Bench) -> None:
    """Risk: a value that stands behind it later is lost, or a row without it is shifted."""
    bench.check(text(HEADER, *[f"{BESAN},"] * 4, MAIDA, f"{MAIDA},5"), chunk_bytes=64)
    rows = bench.rows()
    assert [row["row_fault"] for row in rows] == [None] * 6
    assert bench.values()[4] == MAIDA.split(",")
    assert json.loads(rows[-1]["additional_column"]) == {"column_9": "5"}


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("chunk_bytes", [64, 4096])
def test_a_delimiter_too_many_in_the_header_alone_costs_no_row(
    bench: Bench, line_end: str, chunk_bytes: int
) -> None:
    """Risk: a till writes one behind the names only, and none of its days counts."""
    quoted = '2,122,"gift, box",2024-03-05,4,52,2,"104"'
    lines = [f"{HEADER},,", BESAN, f"{MAIDA},", f"{BESAN},,", quoted, f"{MAIDA},,5", ",,,,,,,"]
    lines += [HEADER, "3,122,soap, large,2024-03-06,4,52,1,,,52", "3,122,besan"]
    report = bench.check("".join(line + line_end for line in lines), chunk_bytes=chunk_bytes)
    assert (report.accepted, report.rows_read, report.rows_faulty) == (True, 8, 3)
    rows = bench.rows()
    assert bench.values()[:5] == [
        BESAN.split(","),
        MAIDA.split(","),
        BESAN.split(","),
        ["2", "122", "gift, box", "2024-03-05", "4", "52", "2", "104"],
        MAIDA.split(","),
    ]
    assert [row["line_number"] for row in rows] == [2, 3, 4, 5, 6, 8, 9, 10]
    assert [row["row_fault_detail"] for row in rows] == [
        *[None] * 5,
        "header: the file's header line is repeated here",
        "column count: expected 10 values, found 11",
        "column count: expected 10 values, found 3",
    ]
    extras = [row["additional_column"] for row in rows]
    assert extras == [*[None] * 4, '{"column_10":"5"}', *[None] * 3]


def test_a_quote_that_swallows_rows_is_seen_below_a_header_with_a_delimiter_too_many(
    bench: Bench,
) -> None:
    """Risk: two sales become one, with the values of a row."""
    swallowed = ['2,122,"Soap, large,2024-03-05,4,52,1,52', '3,122,TV 24",2024-03-06,4,52,1,52']
    report = bench.check(text(f"{HEADER},", *swallowed, BESAN))
    assert (report.rows_read, report.rows_faulty) == (2, 1)


def test_joined_files_in_another_order_are_seen_below_a_header_with_a_delimiter_too_many(
    bench: Bench,
) -> None:
    """Risk: prices count as totals from the second file on."""
    other = HEADER.replace("price,quantity,total_cost", "total_cost,quantity,price")
    for end in ("\n", ""):
        for behind in ("", ","):
            before = text(f"{HEADER},", MAIDA) + BESAN + end
            code, message = bench.reason(before + text(other + behind, MAIDA))
            assert code == "header"
            assert message.startswith("the columns change in line ")
        report = bench.check(before + text(f"{HEADER},", MAIDA))
        assert (report.rows_read, report.rows_faulty) == (4 if end else 3, 1)
        bench.destination.unlink()


@pytest.mark.parametrize(
    ("rows", "is_cut"),
    [
        ([f"{BESAN},", f"{MAIDA},", BESAN[:-1]], True),
        ([f"{BESAN},", f"{HEADER},", BESAN[:-1]], True),
        ([MAIDA, f"{BESAN},", BESAN[:-1]], True),
        ([f"{BESAN},", MAIDA, f"{BESAN},"], False),
        ([MAIDA, HEADER, ",,,,,,,", BESAN], False),
        ([BESAN], False),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [64, 4096])
def test_a_total_that_is_cut_off_is_seen_where_other_rows_go_on(
    bench: Bench, rows: list[str], is_cut: bool, chunk_bytes: int
) -> None:
    """Risk: of a file that was cut, a total of 104 counts as 10."""
    content = "\n".join([f"{HEADER},", *rows])
    report = bench.check(content, chunk_bytes=chunk_bytes)
    assert [reason.code for reason in report.reasons] == (["truncated"] if is_cut else [])


@pytest.mark.parametrize(
    ("header", "rows"),
    [
        (HEADER, [f"{BESAN},"]),  # it may be a delimiter within its text
        (HEADER, [f"{BESAN},", "x,", "y,", f"{BESAN},"]),
        (HEADER, [f"{BESAN},,"] * 2),
        # the name of the product, or a note: the end of a text before them may stand there
        (
            "customer_id,store_id,sales_date,sales_person_id,price,quantity,total_cost,product_name",
            ["2,122,2024-03-05,4,52,2,104,besan,"] * 2,
        ),
        (f"{HEADER},note", ["2,122,besan,2024-03-05,4,52,2,104,good, fresh,"] * 2),
    ],
)
def test_what_may_be_a_delimiter_within_a_text_is_no_end_of_a_row(
    bench: Bench, header: str, rows: list[str]
) -> None:
    """Risk: values move to the columns beside their own, and nobody is told."""
    report = bench.check(text(header, *rows))
    assert report.rows_faulty == report.rows_read


def test_the_first_bad_rows_are_shown_without_personal_values(bench: Bench) -> None:
    """The error folder is read by people who may not see a customer's phone number."""
    report = bench.check(
        text(
            HEADER + ",Customer Name,till",
            "2,122,besan,2024-03-05,4,52,2,104,Asha Rao,9",
            "3,122,soap, ask a.rao@example.org or +91 98765 43210,2024-03-06,4,52,1,52,Asha Rao,9",
            "4,122,Asha Rao",
        )
    )

    assert report.first_bad_rows == (
        BadRow(
            3,
            "column count: expected 10 values, found 11",
            "***,***,soap, ask *** or ***,2024-03-06,4,52,1,***,***,9",
        ),
        BadRow(4, "column count: expected 10 values, found 3", "***,***,***"),
    )


def test_a_file_of_which_no_row_fits_is_not_read_to_its_end(bench: Bench) -> None:
    """A gigabyte of faults would fill the quarantine and say one thing."""
    report = bench.check(text(HEADER) + "a,b\n" * (HOPELESS_ROWS + 5))

    assert [reason.code for reason in report.reasons] == ["no_row"]
    assert report.reasons[0].message.startswith(
        "no row can be read. Expected: rows that fit the header. Found: none among the first"
    )
    assert len(report.first_bad_rows) == 10


def test_bytes_that_the_profiles_encoding_lacks_are_faults_of_their_rows(bench: Bench) -> None:
    """Code page 1252 has five holes; what falls into one is no letter."""
    profile = FileProfile(name="p", pattern="*", encoding="cp1252")
    content = text(HEADER, BESAN.replace("besan", "café €"), MAIDA).encode("cp1252")
    report = bench.check(content.replace(b"maida", b"mai\x81da"), profile)

    assert report.rows_faulty == 1
    assert bench.rows()[0]["product_name"] == "café €"
    assert bench.rows()[1]["row_fault"] == "encoding"
    assert bench.rows()[1]["raw_line"] == MAIDA.replace("maida", "mai\\x81da")


def test_rows_that_are_not_utf8_bring_a_hint(bench: Bench) -> None:
    """The analyst needs the profile more than the thousandth faulty row."""
    report = bench.check(text(HEADER, BESAN).encode() + b"3,122,caf\xe9,2024-03-06,4,90,1,90\n")

    assert report.hints == (
        "1 of 2 rows have bytes that are not UTF-8. They may be 'café' in cp1252 (Windows, Western "
        "Europe). If that is right, paste this file profile:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\nencoding = "cp1252"',
    )
