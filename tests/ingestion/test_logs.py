"""Logs: every line can be read by a person or a machine, and no secret is in any."""

from __future__ import annotations

import contextlib
import json
import logging
import re
from urllib.parse import quote, quote_plus

import pytest
from pyspark.logger import PySparkLogger
from sqlalchemy.engine import URL

from ingestion.logs import MASK, configure_logging, masker

pytestmark = pytest.mark.usefixtures("logging_as_before")
SECRET = 'p@ss "wörd"/+%\\'
LOGGER = logging.getLogger("ingestion.example")


def test_a_text_line_carries_time_level_run_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a line cannot be placed in time, or told from another run's."""
    configure_logging("INFO", "text", "run-7", [])
    LOGGER.warning("moved %s", "a.csv")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING run=run-7 moved a\.csv\n",
        captured.err,
    )


def test_a_text_line_shows_what_a_sender_would_hide(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a key forges a line of the log or steers the terminal; or what we say in several lines
    can no longer be read."""
    configure_logging("INFO", "text", "run-7", [])
    key = "a\n2026-01-01T00:00:00.000Z ERROR   run=run-7 forged\x1b[2J\r\x9b\u202e\u00a0é.csv"
    LOGGER.info("moved %s", key)
    try:
        raise ValueError(key)
    except ValueError:
        LOGGER.exception("two faults:\n- one\n\tat a")
    first, second, third, fault, at, _, *stack = capsys.readouterr().err.splitlines()
    shown = "forged\\x1b[2J\\r\\x9b\\u202e\u00a0é.csv"
    assert first.endswith("Z INFO    run=run-7 moved a")
    assert second == f"  2026-01-01T00:00:00.000Z ERROR   run=run-7 {shown}"
    assert third.endswith("Z ERROR   run=run-7 two faults:")
    assert (fault, at) == ("  - one", "      at a")
    assert stack[-2:] == [
        "  ValueError: a",
        f"  2026-01-01T00:00:00.000Z ERROR   run=run-7 {shown}",
    ]


def test_a_json_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a traceback or a line break tears an object apart."""
    configure_logging("INFO", "json", "run-7", [])
    try:
        raise ValueError("two\nlines")
    except ValueError:
        LOGGER.exception("failed\nhere")
    (line,) = capsys.readouterr().err.splitlines()
    fields = json.loads(line)
    assert fields.pop("time").endswith("Z")
    assert fields.pop("exception").endswith("ValueError: two\nlines")
    assert fields == {
        "level": "ERROR",
        "run": "run-7",
        "logger": "ingestion.example",
        "message": "failed\nhere",
    }


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_spelling_of_a_secret_is_written(
    capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    """Risk: a password shows in a message, an argument, an error, or a quoted URL."""
    assert log_format in ("text", "json")
    configure_logging("INFO", log_format, "run-7", ["", SECRET])  # type: ignore[arg-type]
    url = URL.create("mysql+pymysql", "u", SECRET, "h").render_as_string(hide_password=False)
    spellings = [
        SECRET,
        url,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        quote(SECRET, safe="").lower(),
        repr(SECRET),
        json.dumps(SECRET),
    ]
    try:
        raise ValueError(SECRET) from RuntimeError(url)
    except ValueError:
        LOGGER.exception(
            "plain %s and %s, %r, %s",
            SECRET,
            url,
            [{"password": SECRET}],
            " ".join(spellings),
            stack_info=True,
        )
    text = capsys.readouterr().err
    if log_format == "json":
        text += str(list(json.loads(text).values()))
    for spelling in spellings[:1] + spellings[2:]:
        # What stands inside the quotes of a repr or JSON string is the secret.
        assert spelling.strip("'\"") not in text
    assert "wörd" not in text
    assert "w%C3%B6rd" not in text
    assert f"plain {MASK} and" in text


def test_a_secret_that_begins_like_another_leaves_no_tail() -> None:
    """Risk: masking the short secret first leaves the rest of the long one in the log."""
    assert masker(["abc", "abcdef"])("abcdef abc") == f"{MASK} {MASK}"


def test_a_number_that_is_a_secret_is_masked(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: a password of digits alone slips through as a number."""
    configure_logging("INFO", "json", "run-7", ["482915"])
    LOGGER.info("sent %d and %d", 482915, 3)
    assert json.loads(capsys.readouterr().err)["message"] == f"sent {MASK} and 3"


def test_arguments_that_do_not_fit_are_masked_too() -> None:
    """Risk: a wrong call makes logging print the arguments raw."""
    configure_logging("INFO", "text", "run-7", [SECRET])
    formatter = logging.getLogger().handlers[-1].formatter
    assert formatter is not None
    record = LOGGER.makeRecord("x", logging.INFO, "f", 1, "one %s", (SECRET, 2), None)
    assert formatter.format(record).endswith(f"run=run-7 one %s ('{MASK}', 2)")


def test_a_record_is_left_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: masking a record in place changes what other handlers and the caller see."""
    configure_logging("INFO", "text", "run-7", [SECRET])
    record = LOGGER.makeRecord("x", logging.INFO, "f", 1, "%s", (SECRET,), None)
    LOGGER.handle(record)
    assert record.args == (SECRET,)
    assert capsys.readouterr().err.endswith(f"run=run-7 {MASK}\n")


def test_levels_hold_and_libraries_are_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: the log drowns in what libraries say, or DEBUG prints their requests and headers."""
    configure_logging("DEBUG", "text", "run-7", [])
    LOGGER.debug("mine")
    for name in ("botocore.auth", "urllib3.connectionpool", "sqlalchemy"):
        logging.getLogger(name).info("theirs")
        logging.getLogger(name).warning("warned")
    logging.getLogger("py4j.clientserver").error("it raises this, too")
    PySparkLogger.getLogger("SQLQueryContextLogger").exception("this, too", errorClass="WRONG")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" run=run-7 ")[1] for line in lines] == ["mine", *["warned"] * 3]
    configure_logging("ERROR", "text", "run-7", [])
    LOGGER.warning("too low")
    logging.getLogger("botocore").warning("too low")
    assert capsys.readouterr().err == ""


def test_a_second_call_replaces_the_first(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: every line is written twice once the settings are known."""
    others = logging.getLogger().handlers[:]
    configure_logging("INFO", "text", "run-7", [])
    configure_logging("INFO", "text", "run-8", [])
    LOGGER.info("once")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("run=run-8 once")
    assert logging.getLogger().handlers[:-1] == others


def test_a_log_that_cannot_be_written_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """Risk: on a full disk, a stack for every line of dbt's log hides the one sentence."""
    configure_logging("INFO", "json", "run-7", [SECRET])
    theirs = logging.getLogger("file_log_of_dbt")
    theirs.propagate = False
    full = logging.FileHandler("/dev/full")
    theirs.addHandler(full)
    theirs.warning("a query with %s", SECRET)
    theirs.removeHandler(full)
    with contextlib.suppress(OSError):
        full.close()
    assert capsys.readouterr().err == ""
