"""Negative numbers are read in the ways that the profile names, and in no other."""

from __future__ import annotations

import pytest

from ingestion.config.profiles import FileProfile
from tests.reader_bench import BESAN, HEADER, Bench, text


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


WINDOWS_NEGATIVES = {  # what Windows offers for amounts and numbers, and the minus of Unicode
    "(5)": ("($1.1)", "(1.1$)", "($ 1.1)", "(1.1 $)", "(1.1)", "$(1.1)", " $ (1.1) "),
    "5-": ("$1.1-", "1.1-$", "1.1$-", "1.1 $-", "$ 1.1-", "1.1- $", "1.1-", "1.1 -"),
    "\u22125": (
        "\u2212$1.1",
        "$\u22121.1",
        "\u22121.1 $",
        "$ \u22121.1",
        "\u22121.1",
        "\u2212 1.1",
    ),
}


@pytest.mark.parametrize("way", WINDOWS_NEGATIVES)
def test_negative_numbers_are_read_as_the_profile_says(bench: Bench, way: str) -> None:
    """Risk: refunds of accounting programs and SAP cannot be read by any profile; or they count as
    sales, or in a sender's files where brackets mean something else."""
    amounts = [amount for ways in WINDOWS_NEGATIVES.values() for amount in ways]
    expected = ["-1.1" if amount in WINDOWS_NEGATIVES[way] else amount for amount in amounts]
    profile = FileProfile(name="p", pattern="*", currency_signs=("$",), negatives=(way,))
    bench.check(text(HEADER, *(BESAN.removesuffix("104") + amount for amount in amounts)), profile)
    assert [row["total_cost"] for row in bench.rows()] == expected


@pytest.mark.parametrize(
    "amount",
    [
        *("-(1.1)", "(-1.1)", "(1.1-)", "-1.1-", "1.1--", "+1.1-", "(+1.1)", "((1.1))", "--1.1"),
        *("(1.1", "1.1)", "()", "-", "$-", "$ -", "1.1-2", "1.1\u2212", "\u20131.1", "(1.1)-"),
        *("5.-", "5,-", "$ 5.-"),  # the cents of five even
    ],
)
def test_what_is_not_surely_negative_stays(bench: Bench, amount: str) -> None:
    """Risk: an amount of which nobody can say whether it was paid or paid back is guessed."""
    ways = ("(5)", "5-", "\u22125")
    profile = FileProfile(name="p", pattern="*", currency_signs=("$",), negatives=ways)
    bench.check(text(HEADER, f'{BESAN.removesuffix("104")}"{amount}"'), profile)
    assert bench.rows()[0]["total_cost"] == amount


def test_negatives_are_read_with_the_marks_of_amounts_and_in_quantities_but_no_ids(
    bench: Bench,
) -> None:
    """Risk: a customer's number with a hyphen behind it becomes that of another one, or pieces
    that were brought back count as sold."""
    profile = FileProfile(
        name="p",
        pattern="*",
        delimiter=";",
        decimal_mark=",",
        thousands_mark=".",
        negatives=("5-", "(5)"),
    )
    content = text(
        HEADER.replace(",", ";"),
        "2-;(122);rug;2024-03-05;4;1.052,50;2,000-;2.105,00-",
        "2,0;122;rug;2024-03-05;4;1.052,50;(2);(2.105,00)",
    )
    report = bench.check(content, profile)
    assert bench.values() == [
        ["2-", "(122)", "rug", "2024-03-05", "4", "1052.50", "-2", "-2105.00"],
        ["2", "122", "rug", "2024-03-05", "4", "1052.50", "-2", "-2105.00"],
    ]
    before = profile.model_copy(update={"negatives": ()})
    assert bench.check(content, before).content_sha256 == report.content_sha256, "sent again"
