"""Every file gets a verdict, every record a row, and no value changes on the way to bronze."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader.contract import Contract, read_contract
from ingestion.reader.file_check import HOPELESS_ROWS, check_file
from ingestion.reader.verdicts import BadRow, FileReport

PROJECT = Path(__file__).resolve().parents[2]
COLUMNS = (
    "customer_id",
    "store_id",
    "product_name",
    "sales_date",
    "sales_person_id",
    "price",
    "quantity",
    "total_cost",
)
HEADER = ",".join(COLUMNS)
BESAN = "2,122,besan,2024-03-05,4,52,2,104"
MAIDA = "16,122,maida,2024-03-12,6,20,7,140"


@pytest.fixture(scope="module")
def contract() -> Contract:
    return read_contract(PROJECT / "models" / "staging" / "_pos__sources.yml")


class Bench:
    """Checks one file in a folder of its own."""

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.destination = folder / "bronze" / "batch_id=1" / "7.parquet"
        self._path = folder / "download"
        self._contract = contract

    def check(
        self, content: bytes | str, profile: FileProfile | None = None, key: str = "north/day.csv"
    ) -> FileReport:
        self._path.write_bytes(content.encode() if isinstance(content, str) else content)
        report = check_file(
            self._path,
            key=key,
            file_id=7,
            contract=self._contract,
            profile=profile,
            destination=self.destination,
        )
        folder = self.destination.parent
        left = [path.name for path in folder.iterdir()] if folder.exists() else []
        assert left == (["7.parquet"] if report.accepted else [])
        return report

    def rows(self) -> list[dict[str, Any]]:
        return pq.ParquetFile(self.destination).read().to_pylist()

    def values(self) -> list[list[str | None]]:
        return [[row[name] for name in COLUMNS] for row in self.rows()]

    def reason(self, content: bytes | str, profile: FileProfile | None = None) -> tuple[str, str]:
        report = self.check(content, profile)
        assert not report.accepted
        assert len(report.reasons) == 1
        return report.reasons[0].code, report.reasons[0].message


@pytest.fixture
def bench(tmp_path: Path, contract: Contract) -> Bench:
    return Bench(tmp_path, contract)


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_a_clean_file_becomes_rows_of_the_agreed_shape(bench: Bench) -> None:
    """The staging model reads these columns by name and type."""
    content = text(HEADER, BESAN, MAIDA)
    report = bench.check(content)

    schema = pq.read_schema(bench.destination)
    assert [(field.name, str(field.type)) for field in schema] == [
        ("file_id", "int64"),
        ("line_number", "int64"),
        *((name, "string") for name in COLUMNS),
        ("additional_column", "string"),
        ("row_fault", "string"),
        ("row_fault_detail", "string"),
        ("raw_line", "string"),
    ]
    assert [(row["file_id"], row["line_number"]) for row in bench.rows()] == [(7, 2), (7, 3)]
    assert bench.values() == [BESAN.split(","), MAIDA.split(",")]
    assert report == FileReport(
        accepted=True,
        reasons=(),
        rows_read=2,
        rows_faulty=0,
        extra_columns=(),
        content_sha256=hashlib.sha256(content.encode()).hexdigest(),
        first_bad_rows=(),
        hints=(),
    )


def test_columns_are_matched_by_name_and_values_stay_text(bench: Bench) -> None:
    """By position a price would become a total; by type '007' would become 7."""
    bench.check(
        "\ufeffTotal-Cost,Customer ID,StoreID,Qty,product_name,Order Date,SALES_PERSON_ID,"
        "Unit Price\r\n"
        "140,16,122,7,007,2024-03-12,6,1E5"
    )

    assert bench.values() == [["16", "122", "007", "2024-03-12", "6", "1E5", "7", "140"]]


def test_extra_columns_become_one_json_object_per_row(bench: Bench) -> None:
    """An extra column that is dropped, or whose text changes, cannot be had again."""
    report = bench.check(
        HEADER
        + ",Note,barcode,,Note,\n"
        + BESAN
        + ',"say ""hi"" \\ \t☕\nnext",00012,,second,\n'
        + MAIDA
        + ",,,x,,\n"
    )

    assert report.extra_columns == ("Note", "Note_2", "barcode", "column_11")
    assert [row["additional_column"] for row in bench.rows()] == [
        '{"Note":"say \\"hi\\" \\\\ \\t☕\\nnext","Note_2":"second","barcode":"00012"}',
        '{"Note":"","Note_2":"","barcode":"","column_11":"x"}',
    ]
    assert json.loads(bench.rows()[0]["additional_column"])["Note"] == 'say "hi" \\ \t☕\nnext'


def test_empty_columns_without_a_name_carry_nothing(bench: Bench) -> None:
    """Spreadsheets leave trailing commas behind."""
    report = bench.check(text(HEADER + ",,", BESAN + ",,", MAIDA + ",,"))

    assert report.extra_columns == ()
    assert [row["additional_column"] for row in bench.rows()] == [None, None]


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
            "encoding: byte 10 of the row is no character in the file's encoding",
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
            "quote: text follows a closing quote; double a quote that is text",
            '5,122,"24" screen,2024-03-06,4,52,1,52',
        ),
        (7, "header", "header: the file's header line stands here again", HEADER),
        (8, "column_count", "column count: expected 8 values, found 3", "3,122,besan"),
    ]
    assert bench.values()[1] == MAIDA.split(",")
    assert [row for row in bench.values() if row[0] is None] == [[None] * 8] * 5


def test_a_second_header_with_a_byte_order_mark_is_one_too(bench: Bench) -> None:
    """Files glued with 'copy a+b' carry the mark along."""
    bench.check(text(HEADER, BESAN, "\ufeff" + HEADER, MAIDA))

    assert [row["row_fault"] for row in bench.rows()] == [None, "header", None]


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


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\r\n  \n"])
def test_a_file_without_text_is_empty(bench: Bench, content: bytes) -> None:
    """Zero rows and success would hide that a day is missing."""
    assert bench.reason(content) == (
        "empty",
        "the file is empty. Expected: a header line and one line for each sale. Found: no text."
        " Send the file again.",
    )


def test_a_header_alone_is_a_day_without_sales(bench: Bench) -> None:
    """A closed shop sends one; it is no error, and has a file of no rows."""
    report = bench.check(HEADER)

    assert (report.accepted, report.rows_read, bench.rows()) == (True, 0, [])


def test_blank_lines_before_the_header_count_as_lines(bench: Bench) -> None:
    """The line number must still be the editor's."""
    bench.check(text("", "  ", HEADER, BESAN))

    assert [row["line_number"] for row in bench.rows()] == [4]


def test_a_missing_column_sets_the_file_aside(bench: Bench) -> None:
    """A file without its totals must not count as sales of nothing."""
    code, message = bench.reason(text(HEADER.replace(",total_cost", ",amount"), BESAN))

    assert code == "missing_column"
    assert message.startswith("missing column: total_cost. Expected: customer_id, store_id,")


def test_two_headers_for_one_column_set_the_file_aside(bench: Bench) -> None:
    """Nobody can tell which of the two is the customer."""
    code, message = bench.reason(text(HEADER + ",CustomerID", BESAN + ",3"))

    assert code == "duplicate_column"
    assert message == (
        "duplicate column: 2 headers stand for customer_id. Expected: one. Found: 'customer_id'"
        " (column 1), 'CustomerID' (column 9). Send the file with one of them, or rename the other."
    )


MISSING_ALL = (
    f"missing columns: {', '.join(COLUMNS)}. Expected: a comma-separated header with them in the"
    " first line. Found: {}. Send the file in the contract's form, or paste this file profile into"
    ' pipeline.toml:\n[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\n{}'
)


@pytest.mark.parametrize(
    ("content", "found", "option"),
    [
        (
            text(HEADER, BESAN).replace(",", ";"),
            "columns parted by a semicolon (certain: all the columns are there)",
            'delimiter = ";"',
        ),
        (
            text(HEADER, BESAN).replace(",", "\t"),
            "columns parted by a tab (certain: all the columns are there)",
            'delimiter = "\\t"',
        ),
        (
            text("sep=,", HEADER, BESAN),
            "the header in line 2, below 'sep=,' (certain: all the columns are there)",
            "skip_lines = 1",
        ),
        (
            text("", "Sales report", "", HEADER.replace(",", "|")),
            "the header in line 4, below 'Sales report' and columns parted by a pipe (certain: all"
            " the columns are there)",
            'skip_lines = 3\ndelimiter = "|"',
        ),
    ],
)
def test_a_header_of_another_dialect_is_named_with_its_profile(
    bench: Bench, content: str, found: str, option: str
) -> None:
    """The reason must say what the sender or the analyst has to do, not only that it failed."""
    assert bench.reason(content) == ("dialect", MISSING_ALL.format(found, option))


def test_a_proposed_profile_reads_the_file(bench: Bench) -> None:
    """A proposal that does not work is worse than none."""
    profile = FileProfile(name="n", pattern="north/day.csv", skip_lines=3, delimiter="|")
    report = bench.check(
        text("", "Sales report", "", HEADER.replace(",", "|"), BESAN.replace(",", "|")), profile
    )

    assert report.accepted
    assert [row["line_number"] for row in bench.rows()] == [5]
    assert bench.values() == [BESAN.split(",")]


def test_a_file_without_a_header_line_is_told_so(bench: Bench) -> None:
    """The first sale would be taken for the names of the columns."""
    code, message = bench.reason(text(BESAN, MAIDA))

    assert code == "missing_column"
    assert message == (
        f"missing columns: {', '.join(COLUMNS)}. Expected: a header line with them above the rows."
        " Found: a row, as 7 of the 8 values in line 1 are numbers or dates. Send the file with its"
        " header line."
    )


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04 and so on", "a zip archive or an Excel workbook (.xlsx)"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook (.xls)"),
        (b"PAR1 and so on", "a Parquet file"),
        (gzip.compress(gzip.compress(b"a,b\n")), "gzip inside gzip"),
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'[\n {"customer_id": 2}\n]', "a JSON document"),
    ],
)
def test_other_content_named_csv_is_told_what_it_is(
    bench: Bench, content: bytes, kind: str
) -> None:
    """An error page saved as sales.csv must not become a sale."""
    assert bench.reason(content) == (
        "not_csv",
        f"not a CSV file. Expected: text with one line for each sale. Found: {kind}. Export the"
        " sales as CSV and send that.",
    )


def test_nul_bytes_set_the_file_aside(bench: Bench) -> None:
    """A disk error leaves them in the middle of a file."""
    content = text(HEADER, BESAN).encode() + b"16,122,mai\0\0,2024-03-12,6,20,7,140\n"

    code, message = bench.reason(content)
    assert code == "nul_bytes"
    assert message == (
        f"the file has NUL bytes. Expected: text. Found: the first at byte {content.find(0) + 1}."
        " The file is damaged or no CSV; export it again and send that."
    )


def test_a_last_line_that_stops_in_the_middle_sets_the_file_aside(bench: Bench) -> None:
    """An upload that broke off would count as a whole day."""
    code, message = bench.reason(text(HEADER, BESAN) + "16,122,mai")

    assert code == "truncated"
    assert message == (
        "the file is truncated: its last line, 3, stops in the middle. Expected: 8 values and a"
        " line break. Found: 3 values and the end of the file. Send the whole file again."
    )


def test_a_whole_last_line_needs_no_line_break(bench: Bench) -> None:
    """Many exports leave it out."""
    assert bench.check(f"{HEADER}\n{BESAN}").rows_read == 1


def test_an_open_quote_sets_the_file_aside_and_leaves_nothing(bench: Bench) -> None:
    """The sales behind it would sit inside one product name."""
    content = text(HEADER, BESAN, '3,122,"soap,2024-03-06,4,52,1,52', MAIDA)
    report = bench.check(content)

    assert [reason.code for reason in report.reasons] == ["quote"]
    assert "opened in line 3" in report.reasons[0].message
    assert report.content_sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_a_file_set_aside_does_not_touch_what_an_earlier_try_wrote(
    tmp_path: Path, contract: Contract
) -> None:
    """Rows appear at their place in one step or not at all."""
    path, destination = tmp_path / "bad", tmp_path / "7.parquet"
    path.write_text(text(HEADER, BESAN) + "16,122")
    destination.write_bytes(b"older")

    report = check_file(
        path, key="bad.csv", file_id=7, contract=contract, profile=None, destination=destination
    )

    assert not report.accepted
    assert destination.read_bytes() == b"older"


def test_a_file_of_which_no_row_fits_is_not_read_to_its_end(bench: Bench) -> None:
    """A gigabyte of faults would fill the quarantine and say one thing."""
    report = bench.check(text(HEADER) + "a,b\n" * (HOPELESS_ROWS + 5))

    assert [reason.code for reason in report.reasons] == ["no_row"]
    assert report.reasons[0].message.startswith(
        "no row can be read. Expected: rows that fit the header. Found: none among the first"
    )
    assert len(report.first_bad_rows) == 10


def test_gzip_is_seen_by_content_and_hashed_by_what_it_holds(bench: Bench) -> None:
    """The same sales, compressed, are the same sales; several members make one file."""
    content = text(HEADER, BESAN, MAIDA).encode()
    report = bench.check(gzip.compress(content[:50]) + gzip.compress(content[50:]))

    assert report.content_sha256 == hashlib.sha256(content).hexdigest()
    assert bench.values() == [BESAN.split(","), MAIDA.split(",")]


def test_damaged_gzip_sets_the_file_aside(bench: Bench) -> None:
    """Half a file that decompresses is still half a file."""
    packed = gzip.compress(text(HEADER, BESAN, *[MAIDA] * 500).encode())

    assert bench.reason(packed[:-30]) == (
        "not_csv",
        "the file is damaged gzip, not a CSV file. Expected: a whole gzip file. Found: the"
        " compressed data ends too early. Send it again.",
    )
    broken = packed[:40] + bytes([packed[40] ^ 255]) + packed[41:]
    code, message = bench.reason(broken)
    assert code == "not_csv"
    assert message.startswith("the file is damaged gzip, not a CSV file.")


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("utf-16", "utf-16 (certain: it begins with that byte order mark)"),
        ("utf-16-le", "utf-16-le (almost certain: 100% of every second byte is zero)"),
        ("utf-16-be", "utf-16-be (almost certain: 100% of every second byte is zero)"),
        ("utf-32", "utf-32 (certain: it begins with that byte order mark)"),
    ],
)
def test_wide_encodings_are_named_and_their_profile_reads_them(
    bench: Bench, encoding: str, found: str
) -> None:
    """'Unicode text' from a spreadsheet must not load as text full of NULs."""
    content = text(HEADER, BESAN, MAIDA).replace(",", "\t").encode(encoding)
    name = found.split(" ")[0]

    assert bench.reason(content) == (
        "encoding",
        "encoding: the file is not in the encoding expected. Expected: UTF-8. Found:"
        f" {found}. Send it as UTF-8, or paste this file profile:\n[[profiles]]\n"
        f'name = "north-day"\npattern = "north/day.csv"\nencoding = "{name}"\ndelimiter = "\\t"',
    )
    profile = FileProfile(name="p", pattern="*", encoding=name, delimiter="\t")
    assert bench.check(content, profile).rows_read == 2
    assert bench.values() == [BESAN.split(","), MAIDA.split(",")]


def test_a_profile_of_another_encoding_than_the_file_is_told(bench: Bench) -> None:
    """A sender who changes the export must not get his names garbled."""
    profile = FileProfile(name="p", pattern="*", encoding="utf-16")
    code, message = bench.reason(text(HEADER, BESAN), profile)

    assert code == "encoding"
    assert message == (
        "encoding: the file is not in the encoding expected. Expected: utf-16, as the file profile"
        " says. Found: an encoding of one byte for each letter (there are no zero bytes). Correct"
        " the profile's encoding."
    )


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
        "1 of 2 rows have bytes that are not UTF-8. The likeliest encoding of such files is cp1252"
        " (Windows, Western Europe); ask the sender, and if so paste this file profile:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\nencoding = "cp1252"',
    )


def dated(*days: str) -> str:
    return text(HEADER, *(BESAN.replace("2024-03-05", day) for day in days))


def test_day_first_dates_stay_and_bring_the_profile_that_reads_them(bench: Bench) -> None:
    """Values are never guessed; the hint says what would read them and how sure that is."""
    report = bench.check(dated("31/01/2024", "02/02/2024", "13/02/2024"))

    assert [row["sales_date"] for row in bench.rows()] == ["31/01/2024", "02/02/2024", "13/02/2024"]
    assert report.hints == (
        "sales_date is not in the contract's form: 3 of the first 3 values are like '31/01/2024'."
        " Sure: 3 of 3 different values fit %d/%m/%Y and no other form. Paste this file profile:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\ndate_format = "%d/%m/%Y"',
    )


def test_dates_that_can_be_read_two_ways_are_a_question(bench: Bench) -> None:
    """A guess between day and month would move sales to another month."""
    report = bench.check(dated("01/02/2024", "03/02/2024", "05/06/2024"))

    assert len(report.hints) == 1
    assert report.hints[0].startswith(
        "sales_date is not in the contract's form: 3 of the first 3 values are like '01/02/2024'."
        " They can be read as %d/%m/%Y or %m/%d/%Y: which one is it? Ask the sender;"
    )


def test_dates_of_several_forms_bring_no_hint(bench: Bench) -> None:
    """There is no one profile for them."""
    assert bench.check(dated("31/01/2024", "20240305", "2024-03-05")).hints == ()


def test_money_of_another_dialect_brings_a_hint(bench: Bench) -> None:
    """Thousands marks make every large sale vanish from the totals, and only those."""
    row = '2,122,rug,2024-03-05,4,"$1,963.10",1,"$1,963.10"'
    report = bench.check(text(HEADER, *[row] * 3, BESAN))

    assert report.hints == (
        "price is not in the contract's form: 3 of the first 4 values are like '$1,963.10'. Sure:"
        " 90% or more of them fit this file profile, and no other meaning of the marks does:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\ndecimal_mark = "."\n'
        'thousands_mark = ","\ncurrency_signs = ["$"]',
    )


def test_a_mark_with_two_meanings_is_a_question(bench: Bench) -> None:
    """1,234 is a thousand, or a bit more than one."""
    row = '2,122,rug,2024-03-05,4,"1,234",1,"1,234"'
    hints = bench.check(text(HEADER, *[row] * 4)).hints

    assert len(hints) == 1
    assert "can be a decimal mark or a thousands mark: which one is it?" in hints[0]


def test_public_shape_with_capitals_mark_and_money(bench: Bench) -> None:
    """CustomerID headers, byte order mark, CRLF and quoted money, as public exports have them."""
    profile = FileProfile(
        name="p",
        pattern="*",
        thousands_mark=",",
        currency_signs=("$", "USD"),
        date_format="%m/%d/%Y %H:%M",
        aliases={"InvoiceDate": "sales_date", "Seller": "sales_person_id", "Amount": "total_cost"},
    )
    bench.check(
        "\ufeffCustomerID,StoreID,Product Name,InvoiceDate,Seller,UnitPrice,Quantity,Amount\r\n"
        '5,122,"Rug, red",12/1/2023 8:26,4,"$ 1,963.10",2,"3,926.20 USD"\r\n'
        '6,122,Rug,2/30/2023 8:26,4,"19,63.10",1,-$1963.10\r\n',
        profile,
    )

    assert bench.values() == [
        ["5", "122", "Rug, red", "2023-12-01", "4", "1963.10", "2", "3926.20"],
        ["6", "122", "Rug", "2/30/2023 8:26", "4", "19,63.10", "1", "-1963.10"],
    ]


def test_semicolons_with_decimal_commas(bench: Bench) -> None:
    """What most of Europe exports; a plain decimal point there has another meaning."""
    profile = FileProfile(
        name="p",
        pattern="*",
        delimiter=";",
        encoding="cp1252",
        decimal_mark=",",
        thousands_mark=".",
        currency_signs=("€",),
        date_format="%d.%m.%Y",
    )
    lines = (
        HEADER.replace(",", ";"),
        "2;122;Käse;05.03.2024;4;1.234,50 €;2;€ 2.469",
        "3;122;Brot;29.02.2023;4;1.5;1;1,5",
    )
    bench.check("\r\n".join(lines).encode("cp1252"), profile)

    assert bench.values()[0] == ["2", "122", "Käse", "2024-03-05", "4", "1234.50", "2", "2469"]
    assert (bench.rows()[1]["row_fault"], bench.rows()[1]["row_fault_detail"]) == (
        "dialect",
        "dialect: price '1.5' is not in the form of the file profile",
    )


def test_thousands_by_lakh(bench: Bench) -> None:
    """India groups 12,34,567."""
    profile = FileProfile(name="p", pattern="*", thousands_mark=",", currency_signs=("₹",))
    bench.check(text(HEADER, '2,122,gold,2024-03-05,4,"₹12,34,567.50",1,"1,23,456"'), profile)

    assert bench.values()[0][5:] == ["1234567.50", "1", "123456"]


def test_year_day_month_never_passes_for_a_plain_date(bench: Bench) -> None:
    """2024-05-31 is no day of a sender who writes the day before the month."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%d-%m")
    bench.check(dated("2024-31-05", "2024-05-31"), profile)

    rows = bench.rows()
    assert rows[0]["sales_date"] == "2024-05-31"
    assert (rows[1]["row_fault"], rows[1]["row_fault_detail"]) == (
        "dialect",
        "dialect: sales_date '2024-05-31' is not in the form of the file profile",
    )


def test_constants_and_derived_columns_stand_in_for_missing_ones(bench: Bench) -> None:
    """A till that knows neither its store nor the total still sends sales."""
    profile = FileProfile(
        name="p",
        pattern=r"re:store_(?P<store>\d+)/.*",
        constants={"store_id": "{store}", "sales_person_id": "4"},
        derived={"total_cost": "price*quantity"},
    )
    report = bench.check(
        text(
            "customer_id,product_name,sales_date,price,quantity",
            "2,besan,2024-03-05,0.1,3",
            "3,besan,2024-03-05,1.0005,1",
            "4,besan,2024-03-05,free,1",
        ),
        profile,
        key="store_122/day.csv",
    )

    assert report.accepted
    assert [row[1:2] + row[4:5] + row[7:] for row in bench.values()] == [
        ["122", "4", "0.30"],
        ["122", "4", "1.00"],
        ["122", "4", ""],
    ]


def test_a_price_derived_from_the_total_is_rounded_half_up(bench: Bench) -> None:
    """Binary fractions would give another last digit; a quantity of zero gives no price."""
    profile = FileProfile(name="p", pattern="*", derived={"price": "total_cost/quantity"})
    header = HEADER.replace(",price", "")
    rows = ["1.00005,1", "1,8", "2,3", "5,0"]
    bench.check(
        text(header, *("2,122,x,2024-03-05,4,{1},{0}".format(*row.split(",")) for row in rows)),
        profile,
    )

    assert [row[5] for row in bench.values()] == ["1.0001", "0.1250", "0.6667", ""]


def test_a_derived_column_needs_its_operands(bench: Bench) -> None:
    """Without a quantity there is nothing to multiply."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"})
    code, message = bench.reason(text(HEADER.replace(",quantity,total_cost", ""), "x"), profile)

    assert code == "missing_column"
    assert message.startswith("missing column: quantity. ")


def test_a_column_in_the_file_is_not_replaced(bench: Bench) -> None:
    """A total that the sender sends is the sender's; the row rules compare it."""
    profile = FileProfile(
        name="p", pattern="*", constants={"store_id": "9"}, derived={"total_cost": "price*quantity"}
    )
    bench.check(text(HEADER, "2,122,besan,2024-03-05,4,52,2,100"), profile)

    assert bench.values() == [["2", "122", "besan", "2024-03-05", "4", "52", "2", "100"]]


def test_a_change_of_the_contract_changes_what_is_accepted(tmp_path: Path) -> None:
    """The dbt source YAML is the only place where the contract stands."""
    path = tmp_path / "sources.yml"
    original = PROJECT / "models" / "staging" / "_pos__sources.yml"
    source = original.read_text(encoding="utf-8")
    content = text(HEADER.replace("total_cost", "Betrag"), BESAN)

    path.write_text(source, encoding="utf-8")
    before = Bench(tmp_path, read_contract(path)).reason(content)
    path.write_text(source.replace('"Line Total"', '"Line Total", "betrag"'), encoding="utf-8")
    after = Bench(tmp_path, read_contract(path)).check(content)

    assert before[0] == "missing_column"
    assert after.accepted


def test_the_same_bytes_are_other_sales_where_the_key_says_which_store(bench: Bench) -> None:
    """Risk: two stores that sell the same to walk-in customers are one file and its copy."""
    profile = FileProfile(
        name="north",
        pattern=r"re:store_(?P<store>\d+)/.*\.csv",
        constants={"store_id": "{store}"},
    )
    content = text(HEADER.replace("store_id,", ""), BESAN.replace("122,", ""))
    hashes = {
        bench.check(content, profile, key).content_sha256
        for key in ("store_121/a.csv", "store_122/a.csv", "store_122/b.csv")
    }
    assert len(hashes) == 2
    whole = {
        bench.check(text(HEADER, BESAN), profile, f"store_{number}/a.csv").content_sha256
        for number in (121, 122)
    }
    assert len(whole) == 1, "these bytes name their store themselves"
    fixed = FileProfile(name="five", pattern="*", constants={"store_id": "5"})
    assert (
        bench.check(content, fixed, "a.csv").content_sha256
        == hashlib.sha256(content.encode()).hexdigest()
    )


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
def test_columns_that_change_their_order_in_the_middle_set_the_file_aside(
    bench: Bench, again: str
) -> None:
    """Risk: two exports were joined, and prices count as totals."""
    code, message = bench.reason(text(HEADER, BESAN, again, "2,122,besan,2024-03-05,4,104,2,52"))
    assert code == "header"
    assert message.startswith("the columns change their order in line 3. Expected: customer_id,")


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
        "quote: one value runs from line 2 to line 3, and 2 of these look like rows of their own"
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
        (f"{HEADER}\n{BESAN}\n3,1", True),
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


def test_letters_of_utf8_are_not_read_in_a_one_byte_encoding(bench: Bench) -> None:
    """Risk: a profile that takes too many files makes café cafÃ©, and nobody is told."""
    profile = FileProfile(name="eu", pattern="*", encoding="cp1252")
    code, message = bench.reason(text(HEADER, BESAN.replace("besan", "café")), profile)
    assert code == "encoding"
    assert "Found: utf-8 (almost certain: its letters beyond ASCII are UTF-8" in message
    report = bench.check(text(HEADER, BESAN.replace("besan", "café")).encode("cp1252"), profile)
    assert (report.accepted, bench.rows()[0]["product_name"]) == (True, "café")


def test_dates_without_signs_need_all_their_digits(bench: Bench) -> None:
    """Risk: a spreadsheet drops the zero of 01112024, and November's sale counts in January."""
    profile = FileProfile(name="p", pattern="*", date_format="%d%m%Y")
    days = ("01112024", "1112024")
    bench.check(text(HEADER, *(BESAN.replace("2024-03-05", day) for day in days)), profile)
    assert [row["sales_date"] for row in bench.rows()] == ["2024-11-01", "1112024"]


@pytest.mark.parametrize(
    ("date_format", "day"),
    [
        ("%d%b%Y", "05MAR2024"),
        ("%m/%d/%Y %I:%M%p", "3/5/2024 2:30PM"),
        ("%Y%m%d%H%M%S%f", "20240305143000123"),
        ("%Y%m%d", "20240305"),
        ("%d.%m.%Y %H%M", "5.3.2024 0930"),
        ("%mY%d-%Y", "3Y5-2024"),
    ],
)
def test_only_numbers_without_signs_need_all_their_digits(
    bench: Bench, date_format: str, day: str
) -> None:
    """Risk: every row of a sender who writes 05MAR2024 is set aside."""
    profile = FileProfile(name="p", pattern="*", date_format=date_format)
    bench.check(text(HEADER, BESAN.replace("2024-03-05", day)), profile)
    assert bench.rows()[0]["sales_date"] == "2024-03-05"


def test_days_that_begin_with_the_year_are_a_question(bench: Bench) -> None:
    """Risk: 24/03/05 is told to be surely the 24th of March 2005."""
    [hint] = bench.check(dated("24/03/05", "24/03/06", "24/03/28", "24/04/14")).hints
    assert "%d/%m/%y or %y/%m/%d: which one is it?" in hint


def test_times_in_utc_are_no_days_of_a_store(bench: Bench) -> None:
    """Risk: the sales of a late evening change their day, and the month's incentive."""
    [hint] = bench.check(dated(*["2024-03-31T22:30:00Z"] * 3)).hints
    assert "ask the sender for the store's days" in hint
    assert "Sure" not in hint


def test_three_decimals_may_be_thousands(bench: Bench) -> None:
    """Risk: 15.000 rupiah count as 15."""
    rows = [
        BESAN.replace("52", amount).replace("104", amount)
        for amount in ("15.000", "7.500", "125.000")
    ]
    [hint] = bench.check(text(HEADER, *rows)).hints
    assert "3 of the first 3 values have three decimals, like '15.000'" in hint
    assert 'thousands_mark = "."' in hint


def test_a_proposed_profile_takes_the_files_of_its_sender_alone(bench: Bench) -> None:
    """Risk: a profile that is pasted for one store reads the files of all others."""
    content = text(HEADER, BESAN).encode("utf-16")
    report = bench.check(content, None, "north/day_2024-03-05.csv")
    [pattern] = re.findall(r'pattern = "(.*)"', report.reasons[0].message)
    assert pattern == r"re:north/day_[0-9_.T:-]+\\.csv"
    assert re.fullmatch(json.loads(f'"{pattern}"').removeprefix("re:"), "north/day_2024-04-01.csv")


def test_operands_may_stand_between_blanks(bench: Bench) -> None:
    """Risk: every row of a file is told to have no total."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"})
    bench.check(text(HEADER.replace(",total_cost", ""), "2,122,besan,2024-03-05,4, 52 ,2"), profile)
    assert bench.rows()[0]["total_cost"] == "104.00"


def test_a_personal_value_of_another_form_is_not_told(bench: Bench) -> None:
    """Risk: the report beside a file shows what the rows beside it mask."""
    profile = FileProfile(name="p", pattern="*", delimiter=";", decimal_mark=",")
    report = bench.check(
        text(HEADER, BESAN.replace("2,122", "99887.0,122")).replace(",", ";"), profile
    )
    assert report.first_bad_rows[0].reason == (
        "dialect: customer_id '***' is not in the form of the file profile"
    )
