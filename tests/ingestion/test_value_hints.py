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


def test_day_first_dates_stay_and_bring_the_profile_that_reads_them(bench: Bench) -> None:
    """Values are never guessed; the hint says what would read them and how sure that is."""
    report = bench.check(dated("31/01/2024", "02/02/2024", "13/02/2024"))

    assert [row["sales_date"] for row in bench.rows()] == ["31/01/2024", "02/02/2024", "13/02/2024"]
    assert report.hints == (
        "sales_date is not in the contract's format: 3 of the first 3 values are like '31/01/2024'."
        " Certain: 3 of 3 different values fit %d/%m/%Y and no other format. Paste this file "
        "profile:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\ndate_format = "%d/%m/%Y"',
    )


def test_dates_that_can_be_read_two_ways_are_a_question(bench: Bench) -> None:
    """A guess between day and month would move sales to another month."""
    report = bench.check(dated("01/02/2024", "03/02/2024", "05/06/2024"))

    assert len(report.hints) == 1
    assert report.hints[0].startswith(
        "sales_date is not in the contract's format: 3 of the first 3 values are like '01/02/2024'."
        " They can be read as %d/%m/%Y or %m/%d/%Y: ask the sender which,"
    )


def test_dates_of_several_forms_bring_no_hint(bench: Bench) -> None:
    """There is no one profile for them."""
    assert bench.check(dated("31/01/2024", "20240305", "2024-03-05")).hints == ()


def test_money_of_another_dialect_brings_a_hint(bench: Bench) -> None:
    """Thousands marks make every large sale vanish from the totals, and only those."""
    row = '2,122,rug,2024-03-05,4,"$1,963.10",1,"$1,963.10"'
    report = bench.check(text(HEADER, *[row] * 3, BESAN))

    assert report.hints == (
        "price is not in the contract's format: 3 of the first 4 values are like '$1,963.10'. "
        "Certain: 90% or more of them fit this file profile, and no other reading of the marks "
        "does:\n"
        '[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\ndecimal_mark = "."\n'
        'thousands_mark = ","\ncurrency_signs = ["$"]',
    )


@pytest.mark.parametrize(
    ("amount", "options"),
    [
        ("1\u202f052,50", 'decimal_mark = ","\nthousands_mark = "\\U0000202F"'),
        ("1\u00a0052,50", 'decimal_mark = ","\nthousands_mark = "\\U000000A0"'),
        ("1\u2019052.50", 'decimal_mark = "."\nthousands_mark = "\u2019"'),
    ],
)
def test_the_marks_of_newer_spreadsheets_bring_a_hint(
    bench: Bench, amount: str, options: str
) -> None:
    """Risk: French or Swiss amounts are set aside without a word on how to read them, or with a
    profile in which their blank looks like any other."""
    content = text(HEADER, *[f'2,122,rug,2024-03-05,4,"{amount}",1,"{amount}"'] * 3)
    [hint] = bench.check(content).hints
    assert hint.endswith(options)
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    bench.check(content, FileProfile(**proposed))
    assert [row["total_cost"] for row in bench.rows()] == ["1052.50"] * 3


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


def test_a_clock_of_twelve_hours_brings_a_hint(bench: Bench) -> None:
    """Risk: what American spreadsheets write is set aside without a word on how to read it."""
    [hint] = bench.check(dated("3/5/2024 1:05 AM", "3/13/2024 11:05 PM", "3/9/2024 9:00 AM")).hints
    assert hint.endswith('date_format = "%m/%d/%Y %I:%M %p"')


@pytest.mark.parametrize(
    ("written", "date_format", "words"),
    [
        ("03/{:02}/2024 11:00", "%m/%d/%Y %H:%M", "Certain: 3 of 3 "),
        ("2024-03-{:02} 05:00", "%Y-%m-%d %H:%M", "Certain: 3 of 3 "),
        ("2024-03-{:02}T10:11", "%Y-%m-%dT%H:%M", "Certain: 3 of 3 "),
        ("2024-03-{:02} 10:11:12.5", "%Y-%m-%d %H:%M:%S.%f", "Certain: 3 of 3 "),
        ("2024-03-{:02} 10:11:12.1234567", "%Y-%m-%d %H:%M:%S.%f", "Certain: 3 of 3 "),
        ("2024-03-{:02} 23:30:00 -0500", "%Y-%m-%d %H:%M:%S %z", "counts as written, whatever its"),
        ("2024-03-{:02}T00:10:00+05:30", "%Y-%m-%dT%H:%M:%S%z", "counts as written, whatever its"),
        ("2024-03-{:02} 23:30:00.25-05", "%Y-%m-%d %H:%M:%S.%f%z", "counts as written, whatever"),
        ("2024-03-{:02} 23:30:00 UTC", "%Y-%m-%d %H:%M:%S UTC", "They are times in UTC, and late"),
        ("2024-03-{:02}T23:30:00.123Z", "%Y-%m-%dT%H:%M:%S.%fZ", "They are times in UTC, and late"),
        ("2024-03-{:02} 23:30:00+00", "%Y-%m-%d %H:%M:%S%z", "They are times in UTC, and late"),
        ("2024-03-{:02} 23:30:00+00:00", "%Y-%m-%d %H:%M:%S%z", "They are times in UTC, and late"),
    ],
)
def test_times_of_shop_systems_bring_a_hint_and_give_the_day_that_is_written(
    bench: Bench, written: str, date_format: str, words: str
) -> None:
    """Risk: the day moves with an offset, or nothing says how such a file is read."""
    content = dated(*(written.format(day) for day in (5, 13, 31)))
    [hint] = bench.check(content).hints
    assert hint.endswith(f'date_format = "{date_format}"')
    assert words in hint
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    bench.check(content, FileProfile(**proposed))
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-05", "2024-03-13", "2024-03-31"]


def test_days_of_the_year_2000_are_no_times(bench: Bench) -> None:
    """Risk: -00 at the end is taken for an offset, and the sender is asked for days of UTC."""
    [hint] = bench.check(dated("31-12-00", "13-11-00", "25-10-00")).hints
    assert "Certain: 3 of 3 different values fit %d-%m-%y and no other format. Paste" in hint


@pytest.mark.parametrize(
    ("written", "date_format"),
    [
        ("2024年3月{}日", "%Y年%m月%d日"),
        ("202403{:02}101112", "%Y%m%d%H%M%S"),
        ("Mar {:2} 2024  1:05PM", "%b %d %Y %I:%M%p"),
        ("3/{}/2024 1:05PM", "%m/%d/%Y %I:%M%p"),
        ('"3/{}/2024, 1:05:00\u202fPM"', "%m/%d/%Y, %I:%M:%S %p"),
        ('"{:02}/03/2024, 13:05:00"', "%d/%m/%Y, %H:%M:%S"),
        ('"Mar {}, 2024, 1:05 PM"', "%b %d, %Y, %I:%M %p"),
        ("2024. 3. {}.", "%Y. %m. %d."),
        ("{}.3.2024.", "%d.%m.%Y."),
    ],
)
def test_dates_of_databases_and_countries_bring_a_hint(
    bench: Bench, written: str, date_format: str
) -> None:
    """Risk: nothing says how such a file is read."""
    content = dated(*(written.format(day) for day in (5, 13, 31)))
    [hint] = bench.check(content).hints
    assert hint.endswith(f'date_format = "{date_format}"')
    assert "Certain: 3 of 3 " in hint
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    bench.check(content, FileProfile(**proposed))
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-05", "2024-03-13", "2024-03-31"]


def test_long_dates_with_the_day_of_the_week_bring_a_hint(bench: Bench) -> None:
    """Risk: what a spreadsheet calls a long date cannot be read by any profile."""
    days = ("Tuesday, March 5, 2024", "Wednesday, March 13, 2024", "Sunday, March 31, 2024")
    content = dated(*(f'"{day}"' for day in days))
    [hint] = bench.check(content).hints
    assert hint.endswith('date_format = "%A, %B %d, %Y"')
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    bench.check(content, FileProfile(**proposed))
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-05", "2024-03-13", "2024-03-31"]


@pytest.mark.parametrize("thousandths", ["", "000"])
def test_unix_times_are_told_as_such(bench: Bench, thousandths: str) -> None:
    """Risk: all rows are set aside, and 1709596800 is no mistake that the sender can see."""
    report = bench.check(dated(*[f"1709596800{thousandths}"] * 3))
    assert report.hints == (
        "sales_date is not in the contract's format: 3 of the first 3 values are like"
        f" '1709596800{thousandths}'. They look like Unix times in UTC (1709596800 would be"
        " 2024-03-05), which no file profile reads. Ask the sender for the store's dates, as"
        " yyyy-mm-dd.",
    )


def test_the_day_numbers_of_a_spreadsheet_are_told_as_such(bench: Bench) -> None:
    """Risk: all rows are set aside, and 45356 is no mistake that the sender can see."""
    report = bench.check(dated("45356", "45357.25", "45358"))
    assert report.hints == (
        "sales_date is not in the contract's format: 3 of the first 3 values are like '45356'. They"
        " look like a spreadsheet's serial dates (45356 would be 2024-03-05), which no file"
        " profile reads. Format the column as a date, yyyy-mm-dd, and export the file again.",
    )
    assert bench.check(dated("45356", "2024031", "12")).hints == ()


def test_days_without_their_zeros_bring_a_profile_that_reads_them(bench: Bench) -> None:
    """Risk: the hint proposes the contract's own form, which changes nothing, and each row of such
    a sender stays set aside."""
    content = dated("2024-3-5", "2024-11-7", "2024-02-9", "2024-2-30", "2024-02-30")
    [hint] = bench.check(dated("2024-3-5", "2024-11-7", "2024-02-9")).hints
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert bench.check(content, FileProfile(**proposed)).rows_faulty == 0
    assert [row["sales_date"] for row in bench.rows()] == [
        *("2024-03-05", "2024-11-07", "2024-02-09"),
        *("2024-2-30", "2024-02-30"),
    ]


def test_a_mark_with_two_meanings_is_a_question(bench: Bench) -> None:
    """1,234 is a thousand, or a bit more than one."""
    row = '2,122,rug,2024-03-05,4,"1,234",1,"1,234"'
    hints = bench.check(text(HEADER, *[row] * 4)).hints

    assert len(hints) == 1
    assert "can be a decimal mark or a thousands mark: ask the sender which" in hints[0]


def test_days_that_begin_with_the_year_are_a_question(bench: Bench) -> None:
    """Risk: 24/03/05 is told to be surely the 24th of March 2005."""
    [hint] = bench.check(dated("24/03/05", "24/03/06", "24/03/28", "24/04/14")).hints
    assert "%d/%m/%y or %y/%m/%d: ask the sender which" in hint


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (
            ("1.0", "2.0", "3"),
            "2 of the first 3 values are whole numbers that end with '.0'. Certain",
        ),
        (("1.000", "2.000", "3.000"), "end with '.000'. Is their point a decimal mark? Ask the"),
    ],
)
def test_whole_numbers_with_a_fraction_of_zeros_bring_a_hint(
    bench: Bench, pieces: tuple[str, ...], words: str
) -> None:
    """Risk: data tools write every id of a column with one gap as 2.0, and no row counts."""
    rows = [f"{piece},122,besan,2024-03-05,4,52,{piece},52" for piece in pieces]
    content = text(HEADER, *rows)
    [hint] = bench.check(content).hints
    assert hint.startswith("customer_id is not in the contract's format: ")
    assert words in hint
    assert hint.endswith('\ndecimal_mark = "."')
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert bench.check(content, FileProfile(**proposed)).hints == ()
    assert [row["quantity"] for row in bench.rows()] == ["1", "2", "3"]


def test_whole_numbers_with_commas_are_a_question(bench: Bench) -> None:
    """Risk: a spreadsheet writes customer 1,234, and nothing says how to read it."""
    sale = '"{}",122,besan,2024-03-05,4,52,2,104'
    content = text(HEADER, *map(sale.format, ("1,234", "999", "12,345,678")))
    [hint] = bench.check(content).hints
    words, _, proposal = hint.partition("\n")
    assert words == (
        "customer_id is not in the contract's format: 2 of the first 3 values are whole numbers"
        " with commas before three digits. Are these thousands marks? Ask the sender, as the file"
        " does not show it. If so, paste this file profile:"
    )
    [proposed] = tomllib.loads(proposal)["profiles"]
    assert bench.check(content, FileProfile(**proposed)).hints == ()
    assert [row["customer_id"] for row in bench.rows()] == ["1234", "999", "12345678"]


@pytest.mark.parametrize("pieces", [("1.5", "2.0", "0.5"), ("1", "2", "3")])
def test_weights_and_plain_whole_numbers_bring_no_hint(
    bench: Bench, pieces: tuple[str, ...]
) -> None:
    """Risk: a profile is proposed that reads no row."""
    rows = [f"2,122,besan,2024-03-05,4,52,{piece},52" for piece in pieces]
    assert bench.check(text(HEADER, *rows)).hints == ()


def test_one_decimal_mark_is_proposed(bench: Bench) -> None:
    """Risk: of two marks in one profile the wrong one is taken, and amounts are read by it."""
    rows = ['2,122,rug,2024-03-05,4,"1.963,10",1.0,"1.963,10"'] * 3
    [hint] = bench.check(text(HEADER, *rows)).hints
    assert 'decimal_mark = ","' in hint


def test_times_in_utc_are_no_days_of_a_store(bench: Bench) -> None:
    """Risk: the sales of a late evening change their day, and the month's incentive."""
    [hint] = bench.check(dated(*["2024-03-31T22:30:00Z"] * 3)).hints
    assert "ask the sender for the store's dates" in hint
    assert "Certain" not in hint
    days = ("2024-03-30T22:30:00+00:00", "2024-03-31T22:30:00+01:00", "2024-04-01T09:00:00+01:00")
    [hint] = bench.check(dated(*days)).hints
    assert "Certain" in hint, "London in March"


def test_three_decimals_may_be_thousands(bench: Bench) -> None:
    """Risk: 15.000 rupiah count as 15."""
    rows = [
        BESAN.replace("52", amount).replace("104", amount)
        for amount in ("15.000", "7.500", "125.000")
    ]
    [hint] = bench.check(text(HEADER, *rows)).hints
    assert "3 of the first 3 values have three decimals, like '15.000'" in hint
    assert 'thousands_mark = "."' in hint


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        ("104.00 Cr", "52.00 Dr"),
        ("104.00 Cr₹", "52.00 Dr₹"),
        ("104.00", "neg 52.00"),
        ("104.00", "52.00 R"),
    ],
)
def test_what_may_be_a_minus_is_no_currency(bench: Bench, plain: str, other: str) -> None:
    """Risk: the proposed profile turns refunds into sales."""
    row = BESAN.removesuffix("104")
    lines = [row + plain] * 17 + [row + other] * 3
    report = bench.check(text(HEADER, *lines))
    assert report.accepted
    assert report.hints == ()


@pytest.mark.parametrize(
    ("plain", "negative", "options"),
    [
        ("104.00", "(52.00)", ['negatives = ["(5)"]']),
        ("104.00", "52.00-", ['negatives = ["5-"]']),
        ("104.00", "\u221252.00", ['negatives = ["\u22125"]']),
        (
            '"$1,104.00"',
            '"$(1,052.00)"',
            [
                *('decimal_mark = "."', 'thousands_mark = ","'),
                *('currency_signs = ["$"]', 'negatives = ["(5)"]'),
            ],
        ),
        (
            '"1.104,00"',
            '"1.052,00-"',
            ['decimal_mark = ","', 'thousands_mark = "."', 'negatives = ["5-"]'],
        ),
    ],
)
def test_a_single_negative_amount_brings_the_profile_that_reads_it(
    bench: Bench, plain: str, negative: str, options: list[str]
) -> None:
    """Risk: the few refunds of a day are rejected as no numbers, and nothing says how to read
    them."""
    row = BESAN.removesuffix("104")
    content = text(HEADER, *[row + plain] * 30, row + negative)
    hint = bench.check(content).hints[-1]
    words, _, _, _, *proposed_options = hint.split("\n")
    amount = negative.strip('"')
    assert words == (
        f"total_cost: 1 of the first 31 values are like '{amount}', as accounting programs and SAP"
        " write negative numbers. The contract wants at least 0 there, so even when read, such rows"
        " are quarantined, as out of range. To have them read so, paste this file profile:"
    )
    assert proposed_options == options
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert bench.check(content, FileProfile(**proposed)).hints == ()
    assert bench.rows()[-1]["total_cost"] in ("-52.00", "-1052.00")


def test_negatives_are_told_of_quantities_but_not_of_ids(bench: Bench) -> None:
    """Risk: a profile is proposed that makes another customer of 2-."""
    sale = "{},122,rug,2024-03-05,4,52,{},52"
    rows = [sale.format("2-", "1")] * 3
    assert bench.check(text(HEADER, *rows)).hints == ()
    [hint] = bench.check(text(HEADER, *rows, sale.format("2-", "(1)"))).hints
    assert hint.startswith("quantity: 1 of the first 4 values are like '(1)', as accounting")
    assert "The contract wants at least 1 there" in hint


def test_one_odd_amount_does_not_hide_how_the_others_are_read(bench: Bench) -> None:
    """Risk: thousands of amounts with a currency sign bring no profile, as one says '5 EA'."""
    row = BESAN.removesuffix("104")
    [hint] = bench.check(text(HEADER, *[row + "kr. 104.50"] * 19, row + "5 EA")).hints
    assert hint.startswith(
        "total_cost is not in the contract's format: 19 of the first 20 values are like 'kr."
    )
    assert hint.endswith('currency_signs = ["kr."]')


def test_amounts_that_are_none_in_any_form_bring_no_hint(bench: Bench) -> None:
    """Risk: 'unknown' is told to fit a profile that reads only what was plain before."""
    row = BESAN.removesuffix("104")
    assert bench.check(text(HEADER, *[row + "104"] * 9, row + "unknown")).hints == ()


def test_the_marks_that_fit_most_are_proposed_first(bench: Bench) -> None:
    """Risk: of two readings, the proposed profile has the one that a value speaks against."""
    row = BESAN.removesuffix("104")
    content = text(HEADER, *[row + '"1,104"'] * 19, row + '"12,50"')
    [hint] = bench.check(content).hints
    assert "can be a decimal mark or a thousands mark: ask the sender which" in hint
    assert hint.endswith('decimal_mark = ","\nthousands_mark = ""')


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


def test_the_proposed_marks_are_those_of_all_numbers(bench: Bench) -> None:
    """Risk: the profile that a first column of small prices brings reads no larger total, no
    thousand pieces and no sign of another column, and then nothing says so any more."""
    rows = ["2;122;besan;2024-03-05;4;5,00;1.000;5.000,00 €"] * 3
    content = text(HEADER.replace(",", ";"), *rows)
    [hint] = bench.check(content, FileProfile(name="p", pattern="*", delimiter=";")).hints
    assert hint.startswith("price is not in the contract's format: 3 of the first 3 values")
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert bench.check(content, FileProfile(**proposed)).rows_faulty == 0
    assert bench.values()[0][5:] == ["5.00", "1000", "5000.00"]


@pytest.mark.parametrize(
    ("sale", "expected"),
    [
        (
            "2,122,besan,2024-03-05,4,\u00a052,2,104\u00a0",
            "price is not in the contract's format: ",
        ),
        (
            "2\u00a0,122,besan,2024-03-05,4,52,2,104",
            "customer_id is not in the contract's format: ",
        ),
        ("2,122,besan,\u00a02024-03-05,4,52,2,104", "sales_date is not in the contract's format: "),
    ],
)
def test_blanks_of_web_pages_bring_a_profile_that_drops_them(
    bench: Bench, sale: str, expected: str
) -> None:
    """Risk: all rows are set aside for a blank that looks like any other, without a word."""
    content = text(HEADER, *[sale] * 3)
    [hint] = bench.check(content).hints
    assert hint.startswith(expected)
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    bench.check(content, FileProfile(**proposed))
    assert bench.values() == [BESAN.split(",")] * 3


def test_several_currency_signs_are_a_question(bench: Bench) -> None:
    """Risk: dollars and pounds are added up, as a message was certain of the profile that does."""
    row = BESAN.removesuffix("104")
    [hint] = bench.check(text(HEADER, *[row + "$104.00", row + "£104.00"] * 3)).hints
    assert hint.split("\n")[0] == (
        "total_cost is not in the contract's format: 6 of the first 6 values are like '$104.00'."
        " They have several currency signs, $ and £: ask the sender whether all stand for the"
        " store's currency, as a file profile converts nothing. If so, paste this file profile:"
    )


@pytest.mark.parametrize(
    ("amount", "sign"),
    [("R1,104.00", "R"), ("Rs. 1,104.00", "Rs."), ("1,104.00 лв.", "лв."), ("S/ 1,104.00", "S/")],
)
def test_currencies_with_a_point_or_of_one_letter_bring_a_hint(
    bench: Bench, amount: str, sign: str
) -> None:
    """Risk: nothing says how the amounts of a whole country are read."""
    content = text(HEADER, *[f'{BESAN.removesuffix("104")}"{amount}"'] * 3)
    [hint] = bench.check(content).hints
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert proposed["currency_signs"] == [sign]
    bench.check(content, FileProfile(**proposed))
    assert [row["total_cost"] for row in bench.rows()] == ["1104.00"] * 3


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
