"""A file whose dates are plainly of another form brings the profile for them, or a question."""

from __future__ import annotations

import tomllib

import pytest

from ingestion.config.profiles import FileProfile
from tests.reader_bench import Bench, dated


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


def test_days_that_begin_with_the_year_are_a_question(bench: Bench) -> None:
    """Risk: 24/03/05 is told to be surely the 24th of March 2005."""
    [hint] = bench.check(dated("24/03/05", "24/03/06", "24/03/28", "24/04/14")).hints
    assert "%d/%m/%y or %y/%m/%d: ask the sender which" in hint


def test_times_in_utc_are_no_days_of_a_store(bench: Bench) -> None:
    """Risk: the sales of a late evening change their day, and the month's incentive."""
    [hint] = bench.check(dated(*["2024-03-31T22:30:00Z"] * 3)).hints
    assert "ask the sender for the store's dates" in hint
    assert "Certain" not in hint
    days = ("2024-03-30T22:30:00+00:00", "2024-03-31T22:30:00+01:00", "2024-04-01T09:00:00+01:00")
    [hint] = bench.check(dated(*days)).hints
    assert "Certain" in hint, "London in March"
