"""A command that fails ends with one sentence, whatever has failed, and without a secret in it."""

from __future__ import annotations

import json
import logging
from typing import Literal

import pytest
import typer

from ingestion.commands.failures import FAILED, told_failures
from ingestion.logs import configure_logging

SECRET = "p@ss/w\u00f6rd"


@pytest.fixture(autouse=True)
def no_handler(logging_as_before: None) -> None:  # noqa: ARG001
    """No handler but the one that a test configures."""
    logging.getLogger().handlers[:] = []


def command(error: Exception, log_format: Literal["text", "json"] | None) -> None:
    """A command that fails, with a log or before it has one."""
    with told_failures() as failures:
        if log_format is not None:
            failures.secrets = [SECRET]
            configure_logging("INFO", log_format, "run-7", failures.secrets)
            failures.are_logged = log_format == "json"
        raise error


def fail(error: Exception, log_format: Literal["text", "json"] | None) -> int:
    """The exit code with which the command ends."""
    with pytest.raises(typer.Exit) as ended:
        command(error, log_format)
    return ended.value.exit_code


def fault(line: int) -> str:
    return (
        f"A fault of the program stopped the command. Found: KeyError in test_failures.py, line"
        f" {line}. Run the command again; it continues where it stopped. If it stops here again,"
        " report it with its log (stderr), which shows the cause."
    )


RAISED_IN = command.__code__.co_firstlineno + 7


def test_what_nobody_foresaw_ends_with_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a scheduler's mail shows a bare stack trace with a password, and not what to do."""
    assert fail(KeyError(f"user:{SECRET}"), "text") == FAILED
    *log, told = capsys.readouterr().err.splitlines()
    assert told == f"error: {fault(RAISED_IN)}"
    assert log[0].endswith(" ERROR   run=run-7 the cause of the failure")
    assert log[1] == "  Traceback (most recent call last):"
    assert log[-1] == "  KeyError: 'user:***'"


def test_it_is_two_objects_of_a_json_log(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: the one failure that an alarm has to show is no JSON."""
    assert fail(KeyError(SECRET), "json") == FAILED
    cause, told = map(json.loads, capsys.readouterr().err.splitlines())
    assert cause["exception"].endswith("KeyError: '***'")
    assert (told["level"], told["message"]) == ("ERROR", fault(RAISED_IN))


def test_before_the_settings_are_read_no_value_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Risk: a stack trace shows a secret that no mask knows yet."""
    assert fail(KeyError(SECRET), None) == FAILED
    assert capsys.readouterr().err == f"error: {fault(RAISED_IN)}\n"


def test_too_little_memory_is_no_fault_of_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a small machine is reported as a fault."""
    assert fail(MemoryError(), "text") == FAILED
    assert capsys.readouterr().err.splitlines()[-1] == (
        "error: There is not enough memory for the command. Free some and run the command again;"
        " it continues where it stopped."
    )


def test_wrong_usage_keeps_its_exit_code() -> None:
    """Risk: an option that does not fit is told as a fault of the program."""
    with pytest.raises(typer.BadParameter):
        command(typer.BadParameter("expected a month"), None)
