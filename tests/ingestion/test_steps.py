"""The steps of a run: their times, and what a terminal shows of them."""

from __future__ import annotations

import concurrent.futures
import io
import logging

import pytest
from rich.console import Console

from ingestion.steps import Steps


def terminal() -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=True, width=80, color_system=None), written


def test_a_step_entered_twice_adds_up() -> None:
    """Risk: the summary shows the time of the last part only."""
    steps = Steps(None)
    with steps.step("check"):
        pass
    first = steps.seconds["check"]
    with steps.step("check"):
        pass
    with steps.step("publish"):
        pass

    assert steps.seconds["check"] > first > 0
    assert list(steps.seconds) == ["check", "publish"]


def test_a_failed_step_is_timed_and_shown_no_longer() -> None:
    """Risk: the live line of a step that failed stays, and hides the message."""
    console, _ = terminal()
    steps = Steps(console)
    with pytest.raises(OSError, match="full"), steps.step("check"):
        raise OSError("full")

    assert "check" in steps.seconds
    steps.progress(3, "files")(1)
    steps.show("late")
    with steps.step("publish"):
        pass


def test_a_terminal_shows_the_step_and_its_text() -> None:
    """Risk: a step without a total shows nothing at all."""
    console, written = terminal()
    steps = Steps(console)
    with steps.step("dimensions"):
        steps.show("customer [1]")
        console.print("above")

    assert "dimensions customer [1]" in written.getvalue()


def test_a_terminal_shows_how_much_is_done_from_several_threads() -> None:
    """Risk: the bar loses what threads report at the same time."""
    console, written = terminal()
    steps = Steps(console)
    with steps.step("check files"):
        advance = steps.progress(41, "files")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(advance, [1] * 40))
        console.print("above")

    shown = written.getvalue()
    assert "40/41 files" in shown
    assert " files/s " in shown


def test_a_terminal_shows_bytes_with_their_rate() -> None:
    """Risk: bytes are counted like files, as a number nobody can read."""
    console, written = terminal()
    steps = Steps(console)
    with steps.step("download"):
        advance = steps.progress(3_000_000, "bytes")
        advance(1_000_000)
        advance(500_000)
        console.print("above")

    assert "1.5/3.0 MB" in written.getvalue()
    assert "/s" in written.getvalue()


@pytest.mark.parametrize("has_console", [True, False])
def test_without_a_terminal_a_step_is_one_log_line(
    has_console: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: bars in a log file, or words on stdout beside the JSON."""
    written = io.StringIO()
    steps = Steps(Console(file=written, force_terminal=False) if has_console else None)
    with caplog.at_level(logging.INFO), steps.step("download"):
        steps.show("a.csv")
        steps.progress(10, "bytes")(5)

    assert written.getvalue() == ""
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["download"]
