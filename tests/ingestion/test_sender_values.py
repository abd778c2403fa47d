"""Values in a sender's form are read as its profile says, or bring a hint that is right."""

from __future__ import annotations

import json
import re
import tomllib
from typing import Any

import pytest

from ingestion.config.profiles import FileProfile, profile_for
from tests.reader_bench import BESAN, COLUMNS, HEADER, Bench, text


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
        "# in place of the present file profile north",
        "[[profiles]]",
    ]
    [proposed] = tomllib.loads(hints[0][hints[0].index("# in place") :])["profiles"]
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


def test_a_clock_of_twelve_hours_brings_a_hint(bench: Bench) -> None:
    """Risk: what American spreadsheets write is set aside without a word on how to read it."""
    [hint] = bench.check(dated("3/5/2024 1:05 AM", "3/13/2024 11:05 PM", "3/9/2024 9:00 AM")).hints
    assert hint.endswith('date_format = "%m/%d/%Y %I:%M %p"')


@pytest.mark.parametrize(
    ("written", "date_format", "words"),
    [
        ("03/{:02}/2024 11:00", "%m/%d/%Y %H:%M", "Sure: 3 of 3 "),
        ("2024-03-{:02} 05:00", "%Y-%m-%d %H:%M", "Sure: 3 of 3 "),
        ("2024-03-{:02}T10:11", "%Y-%m-%dT%H:%M", "Sure: 3 of 3 "),
        ("2024-03-{:02} 10:11:12.5", "%Y-%m-%d %H:%M:%S.%f", "Sure: 3 of 3 "),
        ("2024-03-{:02} 10:11:12.1234567", "%Y-%m-%d %H:%M:%S.%f", "Sure: 3 of 3 "),
        ("2024-03-{:02} 23:30:00 -0500", "%Y-%m-%d %H:%M:%S %z", "as it is written, whatever its"),
        ("2024-03-{:02}T00:10:00+05:30", "%Y-%m-%dT%H:%M:%S%z", "as it is written, whatever its"),
        ("2024-03-{:02} 23:30:00.25-05", "%Y-%m-%d %H:%M:%S.%f%z", "as it is written, whatever"),
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
    assert "Sure: 3 of 3 different values fit %d-%m-%y and no other form. Paste" in hint


def test_offsets_of_summer_and_winter_are_one_form(bench: Bench) -> None:
    """Risk: a shop's file needs two profiles in the month in which the clocks change."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%m-%d %H:%M:%S %z")
    bench.check(dated("2024-03-10 00:30:00 -0500", "2024-03-10 23:30:00 -0400"), profile)
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-10"] * 2


def test_the_day_numbers_of_a_spreadsheet_are_told_as_such(bench: Bench) -> None:
    """Risk: all rows are set aside, and 45356 is no mistake that the sender can see."""
    report = bench.check(dated("45356", "45357.25", "45358"))
    assert report.hints == (
        "sales_date is not in the contract's form: 3 of the first 3 values are like '45356'. They"
        " look like the day numbers of a spreadsheet (45356 is then 2024-03-05), which no file"
        " profile reads. Have the column shown as dates, yyyy-mm-dd, and export the file again.",
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


def test_quotes_of_a_sender_that_never_quotes_are_text(bench: Bench) -> None:
    """Risk: an inch mark opens a value and swallows the sales behind it, or names lose letters."""
    profile = FileProfile(name="p", pattern="*", delimiter="\t", quote="")
    rows = ['2\t122\t"24\t2024-03-05\t4\t52\t2\t104', '2\t122\t32"\t2024-03-05\t4\t52\t2\t104']
    report = bench.check(text(HEADER.replace(",", "\t"), *rows), profile)
    assert (report.rows_read, report.rows_faulty) == (2, 0)
    assert bench.values() == [row.split("\t") for row in rows]


def test_a_thousand_does_not_begin_with_zero(bench: Bench) -> None:
    """Risk: half a kilo's price, 0.500, among amounts like 1.500,00 counts as five hundred."""
    profile = FileProfile(
        name="p",
        pattern="*",
        delimiter=";",
        decimal_mark=",",
        thousands_mark=".",
        currency_signs=("€",),
    )
    amounts = ("0.500", "€ 0.500", "012.500", "0,50", "1.500", "10.500,25")
    header = HEADER.replace(",", ";")
    rows = [f"2;122;rug;2024-03-05;4;1;1;{amount}" for amount in amounts]
    bench.check(text(header, *rows), profile)
    assert [row["row_fault"] for row in bench.rows()] == ["dialect", None, "dialect", *[None] * 3]
    assert [row["total_cost"] for row in bench.rows()] == [
        *(None, "€ 0.500", None),
        *("0.50", "1500", "10500.25"),
    ]


@pytest.mark.parametrize(
    ("marks", "pieces", "expected"),
    [
        ({"decimal_mark": ","}, "2,0", "2"),
        ({"decimal_mark": ",", "thousands_mark": "."}, "1.002,000", "1002"),
        ({"thousands_mark": ","}, "2.000", "2"),
        ({"decimal_mark": "."}, "-2.00", "-2"),
        ({"decimal_mark": ","}, "2,000", "2"),
        ({"currency_signs": ("$",)}, "2.0", "2"),
        ({"currency_signs": ("$",)}, "2.000", "2.000"),  # may be two thousand
        ({"decimal_mark": "."}, "2.50", "2.50"),
        ({}, "2.0", "2.0"),
    ],
)
def test_a_fraction_of_zeros_is_none_where_the_profile_tells_its_mark(
    bench: Bench, marks: dict[str, Any], pieces: str, expected: str
) -> None:
    """Risk: no row of a till that writes 2.0 pieces can be read; or 2.5 are cut to 2."""
    profile = FileProfile(name="p", pattern="*", delimiter=";", **marks)
    content = text(HEADER.replace(",", ";"), f"2,0;122;rug;2024-03-05;4;1;{pieces};1")
    report = bench.check(content, profile)
    assert bench.rows()[0]["quantity"] == expected
    other = bench.check(content, FileProfile(name="p", pattern="*", delimiter=";"))
    assert (report.content_sha256 != other.content_sha256) == (expected != pieces)


@pytest.mark.parametrize(
    ("amount", "expected"),
    [("$-52.00", "-52.00"), ("$ -52", "-52"), ("-52 $", "-52"), ("-$-52", "-$-52")],
)
def test_a_minus_behind_the_sign_of_a_currency_is_one(
    bench: Bench, amount: str, expected: str
) -> None:
    """Risk: refunds count as sales."""
    profile = FileProfile(name="p", pattern="*", currency_signs=("$",))
    bench.check(text(HEADER, BESAN.removesuffix("104") + amount), profile)
    assert bench.rows()[0]["total_cost"] == expected


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


def test_a_value_of_another_form_is_told_of_its_own_row(bench: Bench) -> None:
    """Risk: below a row that is none, the good row before it is set aside in its place."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%d-%m")
    bench.check(dated("2024-31-05,", "2024-31-05", "2024-05-31"), profile)
    assert [row["row_fault"] for row in bench.rows()] == ["column_count", None, "dialect"]


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


def test_a_file_of_which_all_is_constant_but_the_number_of_its_lines(bench: Bench) -> None:
    """Risk: it ends every run."""
    values = dict(
        zip(COLUMNS, ["2", "122", "besan", "2024-03-05", "4", "52", "1", "52"], strict=True)
    )
    profile = FileProfile(name="p", pattern="*", constants=values)
    assert bench.check(text("till", "7", "8"), profile).accepted
    assert bench.values() == [list(values.values())] * 2


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


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        (("1.0", "2.0", "3"), "2 of the first 3 values are whole numbers that end with '.0'. Sure"),
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
    assert hint.startswith("customer_id is not in the contract's form: ")
    assert words in hint
    assert hint.endswith('\ndecimal_mark = "."')
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    assert bench.check(content, FileProfile(**proposed)).hints == ()
    assert [row["quantity"] for row in bench.rows()] == ["1", "2", "3"]


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
    assert "ask the sender for the store's days" in hint
    assert "Sure" not in hint
    days = ("2024-03-30T22:30:00+00:00", "2024-03-31T22:30:00+01:00", "2024-04-01T09:00:00+01:00")
    [hint] = bench.check(dated(*days)).hints
    assert "Sure" in hint, "London in March"


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

    for key in ("what?.csv", "*.csv", "[a].csv", "till (new/day_1.csv"):
        report = bench.check(content, None, key)
        message = report.reasons[0].message
        [proposed] = tomllib.loads(message[message.index("[[profiles]]") :])["profiles"]
        profiles = [FileProfile(**proposed)]
        assert profile_for(key, profiles) is not None
        for other in ("whats.csv", "b.csv", "a.csv"):
            assert profile_for(other, profiles) is None


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


@pytest.mark.parametrize(
    ("plain", "other"),
    [
        ("104.00", "(52.00)"),
        ("$104.00", "($52.00)"),
        ("104.00 Cr", "52.00 Dr"),
        ("104.00 Cr₹", "52.00 Dr₹"),
        ("104.00", "neg 52.00"),
    ],
)
def test_what_may_be_a_minus_is_no_currency(bench: Bench, plain: str, other: str) -> None:
    """Risk: the proposed profile turns refunds into sales."""
    row = BESAN.removesuffix("104")
    lines = [row + plain] * 17 + [row + other] * 3
    report = bench.check(text(HEADER, *lines))
    assert report.accepted
    assert report.hints == ()


@pytest.mark.parametrize("sign", ["(", ")", "($", " "])
def test_a_bracket_is_no_currency_sign(sign: str) -> None:
    """Risk: a profile makes sales of what is written as negative."""
    with pytest.raises(ValueError, match="no digit, plus, minus or bracket"):
        FileProfile(name="p", pattern="*", currency_signs=(sign,))


@pytest.mark.parametrize(
    ("marks", "price", "total"),
    [
        ({}, "15.000", "15.000 * 2"),
        ({"thousands_mark": ","}, "15.000", "30.00"),
        ({"decimal_mark": ","}, '"15,000"', "30.00"),
        ({}, "0.125", "0.25"),
        ({}, " 15.000 ", " 15.000  * 2"),
        ({}, "9" * 80, ""),
        ({"constants": {"price": "1.250"}}, None, "2.50"),
    ],
)
def test_an_amount_is_not_derived_from_what_may_be_thousands(
    bench: Bench, marks: dict[str, Any], price: str | None, total: str
) -> None:
    """Risk: fifteen thousand count as fifteen, and no rule sees it; or a number that is too long
    to reckon with ends every run."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"}, **marks)
    header = "customer_id,store_id,product_name,sales_date,sales_person_id,quantity"
    row = "2,122,rug,2024-03-05,4,2"
    if price is not None:
        header, row = f"{header},price", f"{row},{price}"
    bench.check(text(header, row), profile)
    assert bench.rows()[0]["total_cost"] == total
