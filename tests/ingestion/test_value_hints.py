"""A file whose values are plainly of another form brings a hint, and a profile that reads them."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.run.services import Services
from tests.reader_bench import BESAN, HEADER, Bench, dated, text
from tests.run_without_spark import run
from tests.services import Bucket


def test_all_hints_of_a_file_propose_one_profile(bench: Bench) -> None:
    """Risk: of two profiles for the same files only the first is taken, and the rows that it reads
    in part are set aside without another word."""
    row = '2,122,Käse,31.01.2024,4,"1.963,10",1,"1.963,10"'
    content = text(HEADER, *[row] * 3).encode("cp1252")
    content += text(*[row.replace("Käse", "rug")] * 3).encode()
    hints = bench.check(content).hints
    assert len(hints) == 3
    proposals = {hint[hint.index("[[profiles]]") :] for hint in hints}
    assert len(proposals) == 1
    [proposed] = tomllib.loads(proposals.pop())["profiles"]
    assert bench.check(content, FileProfile(**proposed)).rows_faulty == 0
    assert [row["sales_date"] for row in bench.rows()] == ["2024-01-31"] * 6
    assert [row["total_cost"] for row in bench.rows()] == ["1963.10"] * 6


def test_a_profile_that_reads_the_columns_brings_hints_for_their_values(bench: Bench) -> None:
    """Risk: the profile that was proposed for the semicolons of a spreadsheet reads no row of it,
    and nothing says what else it needs."""
    header = HEADER.replace(",", ";").replace("customer_id", 'Kunde "A"')
    row = "2;122;Käse;31.01.2024;4;1.963,10 €;1;1.963,10 €"
    content = text(header, *[row] * 3)
    profile = FileProfile(
        name="north",
        pattern=r"re:(?P<town>\w+)/.*",
        delimiter=";",
        quote="",
        aliases={'Kunde "A"': "customer_id"},
        constants={"store_id": "{town}"},
    )
    hints = bench.check(content, profile).hints
    assert len(hints) == 2
    assert hints[0].split("\n")[1:3] == [
        "# replaces the current file profile north",
        "[[profiles]]",
    ]
    [proposed] = tomllib.loads(hints[0][hints[0].index("# replaces") :])["profiles"]
    assert proposed.items() >= profile.model_dump(exclude_unset=True).items()
    report = bench.check(content, FileProfile(**proposed))
    assert (report.rows_faulty, report.hints) == (0, ())
    assert bench.values()[0] == ["2", "122", "Käse", "2024-01-31", "4", "1963.10", "1", "1963.10"]


def test_what_a_profile_says_of_values_brings_no_hint(bench: Bench) -> None:
    """Risk: a sender whose prices have three decimals is doubted in every file."""
    content = text(HEADER, *["2,122,fuel,2024-03-05,4,1.739,1,1.74"] * 3)
    profile = FileProfile(name="fuel", pattern="*")
    assert len(bench.check(content, profile).hints) == 1
    said: tuple[dict[str, Any], ...] = (
        {"decimal_mark": "."},
        {"thousands_mark": ","},
        {"currency_signs": ("$",)},
    )
    for marks in said:
        assert bench.check(content, FileProfile(name="fuel", pattern="*", **marks)).hints == ()
    profile = FileProfile(name="day", pattern="*", date_format="%Y%m%d")
    assert bench.check(dated("31/01/2024", "13/02/2024", "14/02/2024"), profile).hints == ()
    content = text(HEADER.replace("sales_date", "x"), *["2,122,rug,x,4,1,1,1"] * 3)
    profile = FileProfile(name="day", pattern="*", constants={"sales_date": "20240305"})
    assert bench.check(content, profile).hints == (), "a date format would not read a constant"


@pytest.mark.parametrize("quoted", [True, False])
def test_formulas_of_a_spreadsheet_bring_one_profile_with_all_else_that_shows(
    bench: Bench, quoted: bool
) -> None:
    """Risk: an export that guards its zeros is set aside whole, and nothing says what reads it."""
    sale = '="007",122,rug,="31/01/2024",4,="1963.10",1,="1963.10"'
    if quoted:  # as a formula is written by exports that know of CSV
        sale = re.sub(r'="(.*?)"', r'"=""\1"""', sale)
    content = text(HEADER, *[sale] * 3)
    hints = bench.check(content).hints
    assert [hint.split("\n")[0] for hint in hints] == [
        'customer_id: 3 of the first 3 values are a formula (="…"), as exports for spreadsheets'
        " write numbers that begin with zeros. Certain: such a formula is just its text. Paste this"
        " file profile:",
        "sales_date is not in the contract's format: 3 of the first 3 values are like '31/01/2024'."
        " Certain: 1 of 1 different values fit %d/%m/%Y and no other format. Paste this file "
        "profile:",
    ]
    [proposed] = tomllib.loads(hints[0][hints[0].index("[[profiles]]") :])["profiles"]
    report = bench.check(content, FileProfile(**proposed))
    assert (report.rows_faulty, report.hints) == (0, ())
    assert bench.values()[0] == ["007", "122", "rug", "2024-01-31", "4", "1963.10", "1", "1963.10"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Käse".encode().decode("cp1252"), "are UTF-8 that was read as cp1252, such as Ã¤ for ä"),
        ("K\ufffdse", "have the sign for a letter that was lost (U+FFFD)"),
    ],
)
def test_letters_that_were_lost_before_are_told(bench: Bench, name: str, words: str) -> None:
    """Risk: products that no dimension has are sold, without a word."""
    rows = [BESAN.replace("besan", product) for product in (name, "Öl", "CAFÉ®")]
    assert bench.check(text(HEADER, *rows)).hints == (
        f"product_name: 1 of the first 3 values {words} before the file was sent, and so are other"
        " texts than they were. They count as they stand; no file profile brings the letters back."
        " Have the file exported again, in UTF-8.",
    )


def test_blanks_around_values_bring_no_hint(bench: Bench) -> None:
    """Risk: a sender is asked to mend what the models read, or to paste a profile for it."""
    sale = "2\u00a0,122,besan,\u00a02024-03-05,4,\t52,2,\u3000104\u00a0"
    assert bench.check(text(HEADER, *[sale] * 3)).hints == ()


def test_quotes_behind_blanks_are_told(bench: Bench) -> None:
    """Risk: every product bears quotes that no dimension has, without a word."""
    row = '2, 122, "rug", 2024-03-05, 4, 52, 2, 104'
    assert bench.check(text(HEADER, *[row] * 3)).hints == (
        "product_name: 3 of the first 3 values begin with a blank before their quotes, which"
        " therefore count as part of the value. Have the file exported without blanks between"
        " delimiters and quotes.",
    )


def test_a_hint_is_the_reason_of_a_file_that_counts(services: Services, s3_bucket: Bucket) -> None:
    """Risk: rows are set aside, and nobody is told of the profile that reads them."""
    row = '2,122,rug,2024-03-05,4,"$1,963.10",1,5'
    s3_bucket.put("sales_data/north/day.csv", text(HEADER, *[row] * 3))
    run(services)
    [found] = in_transaction(services.engine, staging_table.all_rows)
    assert found.status == "I"
    assert found.reason == (
        "price is not in the contract's format: 3 of the first 3 values are like '$1,963.10'. "
        "Certain: 90% or more of them fit this file profile, and no other reading of the marks "
        "does:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\ndecimal_mark = "."\n'
        'thousands_mark = ","\ncurrency_signs = ["$"]'
    )
