"""Status shows the newest file versions, or those that are looked for, however many there are."""

from __future__ import annotations

import io

from rich.console import Console
from typer.testing import CliRunner

from ingestion.commands.status import Status, show_status
from ingestion.database.staging_table import FileRow
from run_pipeline import app
from tests.file_rows import file_row


def row(number: int, name: str, reason: str | None = None) -> FileRow:
    name = f"sales_data/{name}"
    return file_row(number, name, status="I", rows_read=number, reason=reason)


ROWS = (
    row(1, "north/A_[1].csv", "sent again"),
    row(2, "north/a_[1].csv"),
    *(row(number, f"{number}.csv") for number in range(3, 45)),
    row(45, "north/A_[1].csv", "corrected\nby hand"),
)


def shown(text: str | None = None, rows: tuple[FileRow, ...] = ROWS) -> list[str]:
    """The lines that are printed, of each but the reasons the blanks made one."""
    printed = io.StringIO()
    show_status(Status(rows, None), Console(file=printed, width=120), text)
    return [" ".join(line.split()) for line in printed.getvalue().splitlines()]


def test_the_newest_are_shown_and_how_to_see_the_others() -> None:
    """Risk: who looks for the key of an older file is sent to a list that has it not."""
    lines = shown()
    assert lines[0] == "Staging table: 45 file versions"
    assert [line.split()[0] for line in lines[2:42]] == [str(number) for number in range(6, 46)]
    assert lines[42:] == [
        "45: corrected",
        "The newest 40 are shown; status TEXT shows those whose key contains TEXT, --json lists "
        "all in full.",
        "Nothing is published yet.",
    ]
    assert "newest" not in " ".join(shown(rows=ROWS[-40:]))


def test_all_versions_are_shown_whose_keys_hold_the_text() -> None:
    """Risk: an older version of a file is not shown, or other files are shown in its place."""
    assert shown("h/A_[1].csv") == [
        "Staging table: 2 of 45 file versions",
        "id read valid quarantined amount valid file",
        "1 I 1 sales_data/north/A_[1].csv",
        "45 I 45 sales_data/north/A_[1].csv",
        "1: sent again",
        "45: corrected",
        "Nothing is published yet.",
    ]
    assert len(shown(".csv")) == 2 + 45 + 3, "all, also beyond the newest 40"
    assert shown("[2]") == [
        "None of 45 file versions has '[2]' in its key.",
        "Nothing is published yet.",
    ]
    assert (
        shown("CAFE\u0301", (row(1, "CAF\u00c9.csv"),))[0] == "Staging table: 1 of 1 file versions"
    )
    assert shown("a", rows=())[0] == "The staging table is empty: no file has been taken yet."


def test_a_key_does_not_steer_the_terminal() -> None:
    """Risk: a sender clears the screen of whoever looks, or adds a row of its own."""
    steering = row(1, "a\n2 I \x1b[2J.csv", "no header 'x\x1b[2J' among:\n'\x9b'")
    assert shown(rows=(steering,))[2:5] == [
        r"1 I 1 sales_data/a\n2 I \x1b[2J.csv",
        r"1: no header 'x\x1b[2J' among:",
        r"'\x9b'",
    ]


def test_what_json_lists_is_always_whole() -> None:
    """Risk: a program takes the versions of one file for all that there are."""
    result = CliRunner().invoke(app, ["status", "a.csv", "--json"])
    assert result.exit_code == 2
    assert "--json lists all file versions: leave TEXT out" in " ".join(result.output.split())
