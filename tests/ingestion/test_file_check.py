"""Every file gets a verdict, every record a row, and no value changes on the way to bronze."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader.contract import Contract, read_contract
from ingestion.reader.file_check import check_file
from ingestion.reader.file_content import read_chunks
from ingestion.reader.verdicts import FileReport
from tests.reader_bench import BESAN, COLUMNS, HEADER, MAIDA, PROJECT, Bench, text


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
    bench.check(
        HEADER
        + ",Note,barcode,,Note,\n"
        + BESAN
        + ',"say ""hi"" \\ \t☕\nnext",00012,,second,\n'
        + MAIDA
        + ",,,x,,\n"
    )

    assert [row["additional_column"] for row in bench.rows()] == [
        '{"Note":"say \\"hi\\" \\\\ \\t☕\\nnext","Note_2":"second","barcode":"00012"}',
        '{"Note":"","Note_2":"","barcode":"","column_11":"x"}',
    ]
    assert json.loads(bench.rows()[0]["additional_column"])["Note"] == 'say "hi" \\ \t☕\nnext'


@pytest.mark.parametrize("note", ["a\tb", "a\\b", 'a"b'])
def test_an_odd_character_is_escaped_where_no_other_is(bench: Bench, note: str) -> None:
    """Risk: the object of a row is no JSON, and none of its extra columns can be had again."""
    quoted = note.replace('"', '""')
    bench.check(text(f"{HEADER},note", f'{BESAN},"{quoted}"'))
    assert json.loads(bench.rows()[0]["additional_column"]) == {"note": note}


def test_empty_columns_without_a_name_carry_nothing(bench: Bench) -> None:
    """Spreadsheets leave trailing commas behind."""
    bench.check(text(HEADER + ",,", BESAN + ",,", MAIDA + ",,"))

    assert [row["additional_column"] for row in bench.rows()] == [None, None]


def test_a_file_is_told_alike_in_whatever_blocks_it_is_read(bench: Bench) -> None:
    """Risk: a large file shows hundreds of bad rows, or other values than a small one."""
    content = text(f"{HEADER},", *[f"{BESAN},x"] * 20, *["3,122"] * 20, MAIDA + ",")
    reports = [bench.check(content, chunk_bytes=size) for size in (64, 64_000)]
    assert reports[0] == reports[1]
    assert len(reports[0].first_bad_rows) == 10


def test_a_block_of_more_than_a_megabyte_comes_whole(bench: Bench) -> None:
    """Risk: the parser hands it on in pieces of its own, and only the first one is taken."""
    report = bench.check(text(HEADER, *[BESAN] * 40_000))
    assert (report.rows_read, report.rows_faulty) == (40_000, 0)


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


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"PK\x03\x04" + b"a\0" * 50, "a zip archive or an Excel workbook (.xlsx)"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an old Excel workbook (.xls)"),
        (b"PAR1 and so on", "a Parquet file"),
        (gzip.compress(gzip.compress(b"a,b\n", mtime=0), mtime=0), "gzip inside gzip"),
        (b"\n<!DOCTYPE html>\n<title>Sign in</title>", "an HTML page"),
        (b'<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', "an XML document"),
        (b'[\n {"customer_id": 2}\n]', "a JSON document"),
        (b'{"customer_id":2,"store_id":122}\n{"customer_id":3}\n', "a JSON document"),
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


@pytest.mark.parametrize("rows", [1, 10_000])
def test_nul_bytes_set_the_file_aside(bench: Bench, rows: int) -> None:
    """A disk error leaves them in the middle of a file."""
    content = text(HEADER, *[BESAN] * rows).encode() + b"16,122,mai\0\0,2024-03-12,6,20,7,140\n"

    code, message = bench.reason(content)
    assert code == "nul_bytes"
    assert message == (
        f"the file has NUL bytes. Expected: text. Found: the first at byte"
        f" {content.find(0) + 1:,}."
        " The file is damaged or not CSV; export it again and send that."
    )


def test_an_open_quote_sets_the_file_aside_and_leaves_nothing(bench: Bench) -> None:
    """The sales behind it would sit inside one product name."""
    content = text(HEADER, BESAN, '3,122,"soap,2024-03-06,4,52,1,52', MAIDA)
    report = bench.check(content)

    assert [reason.code for reason in report.reasons] == ["quote"]
    assert "opened in line 3" in report.reasons[0].message
    assert report.content_sha256 == hashlib.sha256(content.encode()).hexdigest()


def test_a_file_refused_for_its_header_is_hashed_to_its_end(bench: Bench) -> None:
    """Risk: the staging table names a hash that no file has, and nobody finds the one it means."""
    content = text(HEADER.replace(",total_cost", ",amount"), *[BESAN] * 20_000)
    report = bench.check(content)
    assert not report.accepted
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
        "the file is damaged gzip, not a CSV file. Expected: a complete gzip file. Found: the"
        " compressed data ends too early. Send it again.",
    )
    broken = packed[:40] + bytes([packed[40] ^ 255]) + packed[41:]
    code, message = bench.reason(broken)
    assert code == "not_csv"
    assert message.startswith("the file is damaged gzip, not a CSV file.")


@pytest.mark.parametrize("chunk_bytes", [1, 7, 64, 64_000])
def test_gzip_comes_whole_in_whatever_pieces_it_is_read(tmp_path: Path, chunk_bytes: int) -> None:
    """Risk: a large delivery, or one that a tape has filled up with zeros, is told to be damaged;
    or it lacks rows."""
    content = text(HEADER, BESAN, *[MAIDA] * 100).encode()
    path = tmp_path / "day.csv.gz"
    path.write_bytes(gzip.compress(content) + gzip.compress(content) + bytes(100))
    read = hashlib.sha256()
    assert b"".join(read_chunks(path, read, chunk_bytes)) == content * 2
    assert read.hexdigest() == hashlib.sha256(content * 2).hexdigest()


def test_a_header_chosen_among_several_is_part_of_what_the_file_says(bench: Bench) -> None:
    """Risk: after a lost workspace, an archived file is read with the other one of its two days,
    and months that were paid change without a word."""
    content = text(HEADER.replace("sales_date", "Order Date") + ",Sale Date", BESAN + ",2024-04-01")
    reports = [
        bench.check(content, FileProfile(name="p", pattern="*", aliases={header: "sales_date"}))
        for header in ("Order Date", "order_date", "Sale Date")
    ]
    assert bench.rows()[0]["sales_date"] == "2024-04-01"
    assert bench.rows()[0]["additional_column"] == '{"Order Date":"2024-03-05"}'
    first, second, third = (report.content_sha256 for report in reports)
    assert first == second != third


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
        "encoding: the file is not in the expected encoding. Expected: UTF-8. Found:"
        f" {found}. Send it as UTF-8, or paste this file profile into pipeline.toml:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\n'
        f'encoding = "{name}"\ndelimiter = "\\t"',
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
        "encoding: the file is not in the expected encoding. Expected: utf-16, as the file profile"
        " says. Found: a single-byte encoding (there are no zero bytes). Correct"
        " the profile's encoding."
    )


def test_half_a_letter_at_the_end_is_a_fault_of_its_row(bench: Bench) -> None:
    """Risk: the last amount of a file that was cut off counts without its last digit."""
    profile = FileProfile(name="p", pattern="*", encoding="utf-16")
    bench.check(text(HEADER, MAIDA, BESAN).encode("utf-16")[:-3], profile)
    assert [row["row_fault"] for row in bench.rows()] == [None, "encoding"]


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
    south = profile.model_copy(update={"constants": {"store_id": "121"}})
    assert bench.check(content, south, "store_122/a.csv").content_sha256 in hashes
    third = south.model_copy(update={"constants": {"store_id": "7"}})
    assert bench.check(content, third, "store_122/a.csv").content_sha256 not in hashes


def test_the_same_bytes_are_other_sales_where_profiles_read_other_days(bench: Bench) -> None:
    """Risk: a copy that nobody could read hides the one that can be; 03/04 of two senders are one
    day; a file sent again counts twice, for its sender has a profile by now."""
    plain = FileProfile(name="plain", pattern="*")

    def content_hash(content: str, **options: object) -> str:
        profile = FileProfile.model_validate({**plain.model_dump(), **options})
        return bench.check(content, profile).content_sha256

    row = BESAN.replace("2024-03-05", "03/04/2024").removesuffix("104")
    content = text(HEADER, f'{row}"1,50"')
    as_it_is = hashlib.sha256(content.encode()).hexdigest()
    assert content_hash(content) == as_it_is
    other = {
        content_hash(content, date_format="%d/%m/%Y"),
        content_hash(content, date_format="%m/%d/%Y"),
        content_hash(content, decimal_mark=","),
    }
    assert len(other | {as_it_is}) == 4
    assert content_hash(content, currency_signs=["€"], aliases={"x": "price"}) == as_it_is
    money = text(HEADER, BESAN.replace("104", "€104"))
    assert content_hash(money, currency_signs=["€"]) == hashlib.sha256(money.encode()).hexdigest()
    content = text(HEADER, BESAN)
    as_it_is = hashlib.sha256(content.encode()).hexdigest()
    assert content_hash(content, date_format="%d/%m/%Y", decimal_mark=",") == as_it_is


def test_letters_of_utf8_are_not_read_in_a_one_byte_encoding(bench: Bench) -> None:
    """Risk: a profile that takes too many files makes café cafÃ©, and nobody is told."""
    profile = FileProfile(name="eu", pattern="*", encoding="cp1252")
    code, message = bench.reason(text(HEADER, BESAN.replace("besan", "café")), profile)
    assert code == "encoding"
    assert "Found: utf-8 (almost certain: its non-ASCII characters are UTF-8" in message
    report = bench.check(text(HEADER, BESAN.replace("besan", "café")).encode("cp1252"), profile)
    assert (report.accepted, bench.rows()[0]["product_name"]) == (True, "café")
