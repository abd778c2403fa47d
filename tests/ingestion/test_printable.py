"""What senders wrote is shown as signs, wherever it is shown."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
import typer
from rich.console import Console

from ingestion.commands.failures import told_failures
from ingestion.commands.quarantine import Group, show_groups
from ingestion.errors import PipelineError
from ingestion.printable import printable, printable_lines
from ingestion.run.summary import RunSummary, SetAside, show
from ingestion.warehouse.top_sellers import Seller

STEERING = "\x1b[2J\u202e.csv"
SHOWN = r"\x1b[2J\u202e.csv"
SELLER = Seller("2024-03", 1, f"e{STEERING}", Decimal(1), Decimal(1))


def test_signs_that_are_seen_stay_as_they_are() -> None:
    """Risk: a key cannot be copied from what is shown into a command."""
    for text in ("a b.csv", "cafe\u0301/\u00e9\u00a0\u3000売上.csv", "C:\\[x1b]", ""):
        assert printable(text) == printable_lines(text) == text
    assert printable("a\n\r\t\u2028\ud800\x9b") == r"a\n\r\t\u2028\ud800\x9b"
    assert printable_lines("a:\n- b\n\tc\r") == "a:\n  - b\n      c\\r"


def test_no_page_lets_a_sender_steer_the_terminal() -> None:
    """Risk: a key or a value clears the screen, or writes what the pipeline has not said."""
    printed = io.StringIO()
    console = Console(file=printed, width=200)
    show_groups([Group(STEERING, 1, ("a",), (f"line 2 of a: {STEERING}",))], console)
    summary = RunSummary(
        "run",
        "done",
        3,
        files={"accepted": 1},
        set_aside=[SetAside(f"a{STEERING}", f"b{STEERING}", f"c{STEERING}")],
        warnings=[f"d{STEERING}"],
        top_sellers=[SELLER],
    )
    show(summary, console)
    assert printed.getvalue().count(SHOWN) == 7
    assert set("\x1b\u202e").isdisjoint(printed.getvalue())


def test_a_failure_is_told_with_its_signs(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: the sentence that ends a run looks like two lines of it."""
    with pytest.raises(typer.Exit), told_failures():
        raise PipelineError(f"There is no file {STEERING}\nerror: nothing")
    assert capsys.readouterr().err == f"error: There is no file {SHOWN}\n  error: nothing.\n"
