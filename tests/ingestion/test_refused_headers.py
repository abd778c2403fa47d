"""A header that does not fit is told as what it is, with the profile that would read the file."""

from __future__ import annotations

import tomllib

import pytest

from ingestion.config.profiles import FileProfile, profile_for
from tests.reader_bench import BESAN, COLUMNS, HEADER, MAIDA, Bench, text

MISSING_ALL = (
    f"missing columns: {', '.join(COLUMNS)}. Expected: a comma-separated header with them in the"
    " first line. Found: {}. Send the file in the contract's format, or paste this file profile "
    "into"
    ' pipeline.toml:\n[[profiles]]\nname = "north-day"\npattern = "north/day.csv"\n{}'
)


def quoted(quote: str, *lines: str) -> str:
    """These lines, each value in quotes of this kind."""
    return text(*(f"{quote}{line.replace(',', f'{quote},{quote}')}{quote}" for line in lines))


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
        "duplicate column: 2 headers map to customer_id. Expected: one. Found: 'customer_id'"
        " (column 1), 'CustomerID' (column 9). Send the file with one of them, or rename the other."
    )


def test_quotes_behind_blanks_in_the_header_are_told(bench: Bench) -> None:
    """Risk: a file that has all the columns is told to miss seven of them."""
    names = ", ".join(f'"{name}"' for name in HEADER.split(","))
    assert bench.reason(text(names, BESAN)) == (
        "dialect",
        "missing columns: customer_id, store_id, product_name, sales_date, sales_person_id, price,"
        " quantity, total_cost. Expected: a quote as the first character of a value in quotes."
        " Found: blanks before the quotes (certain: all the columns are there). Export the file"
        " without blanks between delimiters and quotes, and send that.",
    )


@pytest.mark.parametrize(
    ("content", "found", "option"),
    [
        (
            text(HEADER, BESAN).replace(",", ";"),
            "columns separated by a semicolon (certain: all the columns are there)",
            'delimiter = ";"',
        ),
        (
            text(HEADER, BESAN).replace(",", "\t"),
            "columns separated by a tab (certain: all the columns are there)",
            'delimiter = "\\t"',
        ),
        (
            text("sep=,", HEADER, BESAN),
            "the header in line 2, below 'sep=,' (certain: all the columns are there)",
            "skip_lines = 1",
        ),
        (
            text("", "Sales report", "", HEADER.replace(",", "|")),
            "the header in line 4, below 'Sales report' and columns separated by a pipe (certain: "
            "all the columns are there)",
            'skip_lines = 3\ndelimiter = "|"',
        ),
        (
            text("Kunde;Laden;Betrag", "2;122;104"),
            "a header that seems to be separated by a semicolon (probable: 2 of them), with other"
            " names than the contract's",
            'delimiter = ";"',
        ),
        (
            quoted("'", HEADER, BESAN),
            "names in single quotes (certain: all the columns are there)",
            'quote = "\'"',
        ),
        (
            text("Report") + quoted("'", HEADER, BESAN).replace(",", ";"),
            "the header in line 2, below 'Report' and columns separated by a semicolon and names in"
            " single quotes (certain: all the columns are there)",
            'skip_lines = 1\ndelimiter = ";"\nquote = "\'"',
        ),
    ],
)
def test_a_header_of_another_dialect_is_named_with_its_profile(
    bench: Bench, content: str, found: str, option: str
) -> None:
    """The reason must say what the sender or the analyst has to do, not only that it failed."""
    assert bench.reason(content) == ("dialect", MISSING_ALL.format(found, option))


@pytest.mark.parametrize("mark", [",", ";"])
def test_lines_in_quotes_are_told_as_such(bench: Bench, mark: str) -> None:
    """Risk: a spreadsheet has saved its own CSV again, and the reason names as missing what it
    then finds."""
    named = '2,122,""gift, box"",2024-03-05,4,52,2,104'
    content = text(*(f'"{line}"' for line in (HEADER, BESAN, named))).replace(",", mark)
    found = (
        "dialect",
        f"missing columns: {', '.join(COLUMNS)}. Expected: quotes around single values, if any."
        " Found: a header line that is one quoted value with all the columns in it. Export the file"
        " without quotes around whole lines, and send that.",
    )
    assert bench.reason(content) == found
    assert bench.reason(content, FileProfile(name="n", pattern="*", delimiter="|")) == found
    profile = FileProfile(name="n", pattern="*", quote="'")
    assert bench.reason(content.replace('"', "'"), profile) == found


def test_quotes_unlike_those_of_the_profile_are_told(bench: Bench) -> None:
    """Risk: names with their quotes are proposed as aliases for the contract of all senders."""
    content = quoted('"', HEADER, BESAN).replace(",", ";")
    profile = FileProfile(name="n", pattern="*", delimiter=";", quote="'")
    code, message = bench.reason(content, profile)
    assert code == "dialect"
    assert "Found: names in double quotes (certain: all the columns are there)." in message
    assert message.endswith('a pattern for such files:\nquote = "\\""')
    changed = profile.model_copy(update={"quote": '"'})
    assert bench.check(content, changed).rows_read == 1
    bench.destination.unlink()
    _, message = bench.reason(quoted("'", HEADER.replace("price", "cost")))
    assert message.endswith("Send the file with these columns, or give the sender a file profile.")


def test_a_proposed_profile_reads_the_file(bench: Bench) -> None:
    """A proposal that does not work is worse than none."""
    profile = FileProfile(name="n", pattern="north/day.csv", skip_lines=3, delimiter="|")
    report = bench.check(
        text("", "Sales report", "", HEADER.replace(",", "|"), BESAN.replace(",", "|")), profile
    )

    assert report.accepted
    assert [row["line_number"] for row in bench.rows()] == [5]
    assert bench.values() == [BESAN.split(",")]


@pytest.mark.parametrize("mark", ["\x0c", "\x0b", "\x85", "\u2028"])
def test_lines_above_the_header_are_counted_as_they_are_skipped(bench: Bench, mark: str) -> None:
    """Risk: a form feed of a printed report makes the proposed profile skip the header too."""
    content = text(f"{mark}Sales{mark}report", "", HEADER, BESAN)
    code, message = bench.reason(content)
    assert code == "dialect"
    assert "the header in line 3, below '�Sales�report' (certain" in message
    assert message.endswith("skip_lines = 2")
    assert bench.check(content, FileProfile(name="n", pattern="*", skip_lines=2)).rows_read == 1


def test_a_proposed_profile_can_be_read_whatever_the_key_is(bench: Bench) -> None:
    """Risk: with a mark in it that TOML forbids, the pasted profile ends every run."""
    key = 'north\x7f/\u2028"\\\t🫖.csv'
    [reason] = bench.check(text(HEADER).replace(",", ";"), key=key).reasons
    proposal = reason.message[reason.message.index("[[profiles]]") :]
    [proposed] = tomllib.loads(proposal)["profiles"]
    assert profile_for(key, [FileProfile(**proposed)]) is not None


def test_a_file_unlike_its_profile_is_told_what_to_change_there(bench: Bench) -> None:
    """Risk: the profile to paste comes behind the one that is taken, and lacks all that it says."""
    constants = {"store_id": "122"}
    profile = FileProfile(
        name="eu",
        pattern="*",
        encoding="cp1252",
        delimiter=";",
        aliases={"Kunde": "customer_id"},
        constants=constants,
    )
    header = HEADER.replace("store_id,", "")
    sent = header.replace("customer_id", "Kunde").replace(",", "\t")
    assert bench.reason(text("Report", sent), profile) == (
        "dialect",
        f"missing columns: {', '.join(header.split(','))}. Expected: a header with them in line 1,"
        " separated by a semicolon, as the file profile eu says. Found: the header in line 2, below"
        " 'Report' and columns separated by a tab (certain: all the columns are there). Send the "
        "file in this format, or set in the file profile eu, or in a copy placed above it with a"
        ' pattern for such files:\nskip_lines = 1\ndelimiter = "\\t"',
    )
    changed = profile.model_copy(update={"skip_lines": 1, "delimiter": "\t"})
    assert bench.check(text("Report", sent), changed).accepted
    bench.destination.unlink()

    assert bench.reason("\ufeff" + header.replace(",", ";"), profile) == (
        "encoding",
        "encoding: the file is not in the expected encoding. Expected: cp1252, as the file profile"
        " says. Found: utf-8 (certain: it begins with that byte order mark). Send it in cp1252, or"
        " set in the file profile eu, or in a copy placed above it with a pattern for such files:\n"
        'encoding = "utf-8"',
    )


def test_a_title_is_told_without_personal_values(bench: Bench) -> None:
    """Risk: the report beside a file shows what the rows beside it mask; so it does for a file
    without names and line ends."""
    title = "Sales of jane.doe@example.com, +49 171 1234567"
    _, message = bench.reason(text(title, HEADER, BESAN))
    assert "the header in line 2, below 'Sales of ***, ***' (certain" in message
    _, message = bench.reason("jane.doe@example.com,1," * 6000)
    assert "Found: ***, 1, ***, …." in message
    _, message = bench.reason("jane.doe@example.com,note\n")
    assert "Found: ***, note." in message
    _, message = bench.reason(f"{HEADER},jane.doe@example.com,caf".encode() + b"\xe9\n")
    assert "total_cost,***,caf" in message


def test_a_file_without_a_header_line_is_told_so(bench: Bench) -> None:
    """The first sale would be taken for the names of the columns."""
    code, message = bench.reason(text(BESAN, MAIDA))

    assert code == "missing_column"
    assert message == (
        f"missing columns: {', '.join(COLUMNS)}. Expected: a header line with them above the rows."
        " Found: a row, as 7 of the 8 values in line 1 are numbers or dates. Send the file with its"
        " header line."
    )
