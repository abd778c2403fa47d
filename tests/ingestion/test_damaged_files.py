"""Files that were cut, joined, padded or lost their line ends are told from whole ones."""

from __future__ import annotations

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader import masking
from ingestion.reader.masking import without_personal
from tests.reader_bench import BESAN, COLUMNS, HEADER, MAIDA, Bench, text


def test_a_second_header_with_a_byte_order_mark_is_one_too(bench: Bench) -> None:
    """Files glued with 'copy a+b' carry the mark along."""
    bench.check(text(HEADER, BESAN, "\ufeff" + HEADER, MAIDA))

    assert [row["row_fault"] for row in bench.rows()] == [None, "header", None]


@pytest.mark.parametrize("mark", ["\ufeff", "\x1a", "\x1a\ufeff"])
@pytest.mark.parametrize("quote", ["", '"'])
def test_marks_between_joined_files_hide_no_other_order(
    bench: Bench, mark: str, quote: str
) -> None:
    """Risk: behind a mark quotes are text, the header is no header, and prices count as totals."""

    def quoted(line: str) -> str:
        return ",".join(f"{quote}{value}{quote}" for value in line.split(","))

    before = "\ufeff" + text(quoted(HEADER), quoted(BESAN)) + mark
    other = HEADER.replace("price,quantity,total_cost", "total_cost,quantity,price")
    code, message = bench.reason(before + text(quoted(other), "16,122,maida,2024-03-12,6,140,7,20"))
    assert code == "header"
    assert message.startswith("the columns change in line 3.")

    bench.check(before + text(quoted(HEADER), quoted(MAIDA)))
    assert [row["row_fault"] for row in bench.rows()] == [None, "header", None]


@pytest.mark.parametrize("end", ["104", '"104"'])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_glued_to_the_last_row_hides_no_other_order(
    bench: Bench, end: str, mark: str
) -> None:
    """Risk: the first of two joined files has no line break at its end, and prices count as
    totals from the second one on."""
    before = text(HEADER, MAIDA) + BESAN.removesuffix("104") + end + mark
    other = HEADER.replace("price,quantity,total_cost", "total_cost,quantity,price")
    first = "total_cost,quantity,price,customer_id,store_id,product_name,sales_date,sales_person_id"
    for again in (other, first, other.upper(), '"' + other.replace(",", '","') + '"'):
        code, message = bench.reason(before + text(again, "16,122,maida,2024-03-12,6,140,7,20"))
        assert code == "header"
        assert message.startswith("the columns change in line 3. Expected: customer_id, ")
        assert "104" not in message

    report = bench.check(before + text(HEADER, MAIDA))
    assert (report.rows_read, report.rows_faulty) == (3, 1)
    bench.destination.unlink()
    note = text(f"{HEADER},note", f"{MAIDA},x") + f"{BESAN},x"
    assert bench.reason(note + text(f"{HEADER},barcode", f"{MAIDA},0001"))[0] == "header"


def test_a_long_row_among_few_columns_is_no_header(bench: Bench) -> None:
    """Risk: a sender of whom the profile knows nearly all loses a file for one row."""
    constants = dict.fromkeys(COLUMNS, "1")
    profile = FileProfile(name="p", pattern="*", constants=constants)
    report = bench.check(text("x,y", "1,2", "1,2,3", "3,4"), profile)
    assert (report.accepted, report.rows_read, report.rows_faulty) == (True, 3, 1)


def test_a_last_line_that_stops_in_the_middle_sets_the_file_aside(bench: Bench) -> None:
    """An upload that broke off would count as a whole day."""
    code, message = bench.reason(text(HEADER, BESAN) + "16,122,mai")

    assert code == "truncated"
    assert message == (
        "the file is truncated: its last line, 3, stops in the middle. Expected: 8 values and a"
        " line break. Found: 3 values and the end of the file. Send the whole file again. If it was"
        " whole, and that line is a trailer below the rows, end it with a line break."
    )
    assert bench.reason(text(HEADER) + BESAN.rpartition(",")[0])[0] == "truncated", "the only row"
    assert bench.reason(text(HEADER, BESAN) + HEADER[:30])[0] == "truncated", "a file joined to it"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_a_short_last_line_with_a_line_break_is_one_bad_row(bench: Bench, end: str) -> None:
    """Risk: where lines end with CR alone, a day is refused for its last row as cut off."""
    report = bench.check("".join(line + end for line in (HEADER, BESAN, "16,122,mai")))
    assert (report.accepted, report.rows_read, report.rows_faulty) == (True, 2, 1)


@pytest.mark.parametrize("last", [BESAN, '2,122,besan,2024-03-05,4,52,2,"104"'])
def test_a_whole_last_line_needs_no_line_break(bench: Bench, last: str) -> None:
    """Many exports leave it out."""
    report = bench.check(f"{HEADER}\n{last}")
    assert (report.accepted, report.rows_read, report.rows_faulty) == (True, 1, 0)


@pytest.mark.parametrize(
    "again",
    [HEADER.upper(), HEADER.replace("price", "Price "), HEADER.replace("store_id", "Shop ID")],
)
def test_a_second_header_in_another_spelling_is_one_too(bench: Bench, again: str) -> None:
    """Risk: it is told as a row with eight mistakes."""
    report = bench.check(text(HEADER, BESAN, again, MAIDA))
    assert (report.rows_read, report.rows_faulty) == (3, 1)
    assert [row["row_fault"] for row in bench.rows()] == [None, "header", None]


@pytest.mark.parametrize(
    "again",
    [
        HEADER.replace("price,quantity,total_cost", "total_cost,quantity,price"),
        HEADER.replace("customer_id,store_id", "Branch ID,Cust ID"),
    ],
)
def test_columns_that_change_in_the_middle_set_the_file_aside(bench: Bench, again: str) -> None:
    """Risk: two exports were joined, and prices count as totals."""
    code, message = bench.reason(text(HEADER, BESAN, again, "2,122,besan,2024-03-05,4,104,2,52"))
    assert code == "header"
    assert message.startswith("the columns change in line 3. Expected: customer_id,")


def test_a_second_header_is_found_behind_a_column_without_a_name(bench: Bench) -> None:
    """Risk: files that pandas has written with its index are joined, and nobody sees it."""
    report = bench.check(text(f",{HEADER}", f"0,{BESAN}", f",{HEADER}", f"1,{MAIDA}"))
    assert (report.rows_read, report.rows_faulty) == (3, 1)
    assert [row["row_fault"] for row in bench.rows()] == [None, "header", None]


def test_another_order_is_found_behind_a_column_without_a_name(bench: Bench) -> None:
    """Risk: prices count as totals from the second file on."""
    again = HEADER.replace("price,quantity,total_cost", "total_cost,quantity,price")
    code, _ = bench.reason(text(f",{HEADER}", f"0,{BESAN}", f",{again}", f"1,{MAIDA}"))
    assert code == "header"


def test_a_product_column_in_front_hides_no_second_header(bench: Bench) -> None:
    """Risk: a first column of texts is looked through letter by letter, and a header is missed."""
    header = (
        "product_name,customer_id,store_id,sales_date,sales_person_id,price,quantity,total_cost"
    )
    row = "price tag,2,122,2024-03-05,4,52,2,104"
    report = bench.check(text(header, *[row] * 3000, header, row))
    assert (report.rows_read, report.rows_faulty) == (3002, 1)


def test_the_empty_rows_of_a_spreadsheet_are_none(bench: Bench) -> None:
    """Risk: forty of them make a good day look like damage, and all of it is set aside."""
    empty = "," * (len(COLUMNS) - 1)
    report = bench.check(text(HEADER, BESAN, empty, MAIDA, empty, '"",,,,,,,""'))
    assert (report.rows_read, report.rows_faulty) == (2, 0)
    assert [row["line_number"] for row in bench.rows()] == [2, 4]
    report = bench.check(text(HEADER, empty, empty))
    assert (report.accepted, report.rows_read) == (True, 0)


def test_a_quote_that_finds_a_partner_rows_later_is_a_fault(bench: Bench) -> None:
    """Risk: a name with a comma and an open quote swallows the next sale."""
    report = bench.check(
        text(
            HEADER,
            '2,122,"Soap, large,2024-03-05,4,52,1,52',
            '3,122,TV 24",2024-03-06,4,52,1,52',
            '2,122,"Soap, large',
            'and nice",2024-03-05,4,52,1,52',
        )
    )
    assert (report.rows_read, report.rows_faulty) == (2, 1)
    assert report.first_bad_rows[0].reason == (
        "quote: one value runs from line 2 to line 3, and 2 of these look like separate rows"
    )


@pytest.mark.parametrize("end", ["\x1a", "Total: 104.00", "\n\x1a"])
def test_what_stands_below_the_last_row_does_not_cut_the_file(bench: Bench, end: str) -> None:
    """Risk: a good day is refused as truncated, each time that it is sent again."""
    report = bench.check(text(HEADER, BESAN) + end)
    assert (report.accepted, report.rows_read - report.rows_faulty) == (True, 1)


@pytest.mark.parametrize(
    ("content", "is_cut"),
    [
        (f"{HEADER}\n3,122,besan,2024", True),
        (f"{HEADER},note\n{BESAN}", False),
        (f"{HEADER},note\n{BESAN},x\n{BESAN}", True),
        (f"{HEADER}\n{BESAN}\n3,12", True),
    ],
)
def test_a_last_row_that_lacks_values(bench: Bench, content: str, is_cut: bool) -> None:
    """Risk: a file that was cut in its first row is published as it is; or a whole one refused."""
    report = bench.check(content)
    assert [reason.code for reason in report.reasons] == (["truncated"] if is_cut else [])


def test_a_file_is_cut_in_a_number_of_its_senders_form(bench: Bench) -> None:
    """Risk: half a file counts, since its ids are written with thousands marks."""
    profile = FileProfile(
        name="p", pattern="*", delimiter=";", decimal_mark=",", thousands_mark="."
    )
    rows = text(HEADER, BESAN).replace(",", ";")
    assert bench.reason(rows + "1.234;122;besan;2024-03", profile)[0] == "truncated"


def test_a_long_note_is_no_row(bench: Bench) -> None:
    """Risk: a good sale is set aside because its note has many commas."""
    note = '"{a:1, b:2, c:3, d:4, e:5, f:6, g:7, h:8, i:9,\nj:10}"'
    report = bench.check(text(f"{HEADER},note", f"{BESAN},{note}"))
    assert (report.rows_read, report.rows_faulty) == (1, 0)


def test_other_extra_columns_in_the_middle_set_the_file_aside(bench: Bench) -> None:
    """Risk: values are kept under the name of another column."""
    content = text(f"{HEADER},note", f"{BESAN},x", f"{HEADER},barcode", f"{MAIDA},0001")
    code, message = bench.reason(content)
    assert code == "header"
    assert message.startswith("the columns change in line 3. Expected: customer_id,")


@pytest.mark.parametrize("end", [",", "\\n", ";", "\x0b", "\x1e", "\x85", "\u2028"])
def test_rows_in_the_header_line_are_no_day_without_sales(bench: Bench, end: str) -> None:
    """Risk: the line ends were lost on the way or are another system's, and the day counts as one
    without sales."""
    code, message = bench.reason(end.join([f"{HEADER},note", f"{BESAN},x", f"{MAIDA},y"]))
    assert code == "no_row"
    assert message.startswith(
        "the header line, 1, contains rows. Expected: names, and a line break"
    )
    assert "122" not in message, "a customer's number may be in it"
    assert bench.reason(end.join([f"{HEADER},note", f"{BESAN},x"]))[0] == "no_row", "one sale"


@pytest.mark.parametrize(
    "names",
    [
        ["2024", "2025"],
        [str(size) for size in range(30, 60)],
        [f"2024-01-{day:02}" for day in range(1, 32)],
        ["Remark\x0b(till)"],
        ['"till\u2028note"', "\x0c"],
    ],
)
def test_a_day_without_sales_may_have_odd_columns(bench: Bench, names: list[str]) -> None:
    """Risk: an empty day is refused for its header's sake."""
    assert bench.check(text(",".join([HEADER, *names]))).accepted


@pytest.mark.parametrize("end", [",,,,,,244", ",,,,,,,244"])
def test_a_line_of_totals_does_not_cut_the_file(bench: Bench, end: str) -> None:
    """Risk: a whole day is refused each time, for its sender writes a total below it."""
    report = bench.check(text(HEADER, BESAN, MAIDA) + end)
    assert (report.accepted, report.rows_read) == (True, 3)


@pytest.mark.parametrize(
    ("end", "is_cut"),
    [
        *((end, False) for end in ("3", "99,3", '"000003"', "T,3", "EOF", "3\n", "99,4\n")),
        *((end, True) for end in ("4", "99,4", "3,4", "3,", "3,122,3", "244.00")),
    ],
)
@pytest.mark.parametrize("chunk_bytes", [64, 4096])
def test_a_trailer_that_counts_the_rows_does_not_cut_the_file(
    bench: Bench, end: str, is_cut: bool, chunk_bytes: int
) -> None:
    """Risk: a whole day is refused each time, for its sender writes the number of rows below it
    without a line break; or a file that was cut in an id counts."""
    report = bench.check(text(HEADER, BESAN, "3,122", MAIDA) + end, chunk_bytes=chunk_bytes)
    assert [reason.code for reason in report.reasons] == (["truncated"] if is_cut else [])
    if not is_cut:
        assert (report.rows_read, report.rows_faulty) == (4, 2)


def test_a_cut_in_a_column_that_counts_the_rows_is_no_trailer(bench: Bench) -> None:
    """Risk: an export with a running number in front loses its end, and the rest counts."""
    rows = [f"{number},{line}" for number, line in enumerate((BESAN, MAIDA, BESAN))]
    assert bench.reason(text(f",{HEADER}", *rows) + "3")[0] == "truncated"


@pytest.mark.parametrize("end", ["2,122,besan,2024-03-05,,5", ",122,besan,2024-03-05,4,5"])
def test_a_cut_row_may_lack_a_number(bench: Bench, end: str) -> None:
    """Risk: the rest of the day is lost behind a sale without its seller."""
    assert bench.reason(text(HEADER, BESAN) + end)[0] == "truncated"


def test_a_long_word_in_a_faulty_row_costs_no_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a run holds its lock for hours, for a receipt in one row is a long text."""
    searched: list[int] = []

    def counted(content: str) -> str:
        searched.append(len(content))
        return without_personal(content[:1000])

    monkeypatch.setattr(masking, "without_personal", counted)
    row = f"2,122,{'a' * 1_000_000},someone@example.com"
    report = bench.check(text(HEADER, BESAN, row, f"3,a@b.{'c' * 250},{'d' * 400}"))
    assert max(searched) < 1000
    assert [len(row.text) for row in report.first_bad_rows] == [300, 300]
    assert report.first_bad_rows[1].text.startswith("***,***,ddd")
