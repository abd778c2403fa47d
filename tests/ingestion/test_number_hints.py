"""A file whose amounts are plainly of another form brings the profile that reads them."""

from __future__ import annotations

import tomllib

import pytest

from ingestion.config.profiles import FileProfile
from tests.reader_bench import BESAN, HEADER, Bench, text


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


def test_a_mark_with_two_meanings_is_a_question(bench: Bench) -> None:
    """1,234 is a thousand, or a bit more than one."""
    row = '2,122,rug,2024-03-05,4,"1,234",1,"1,234"'
    hints = bench.check(text(HEADER, *[row] * 4)).hints

    assert len(hints) == 1
    assert "can be a decimal mark or a thousands mark: ask the sender which" in hints[0]


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
