"""Sends the log to stderr, as text or JSON lines, with every known secret masked."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, quote_plus

from ingestion.printable import printable_lines

MASK = "***"

# Libraries that report their own progress, or print requests and connection details, at INFO.
QUIET_LOGGERS = (
    "boto3",
    "botocore",
    "dbt",
    "dbt_common",
    "file_log",
    "s3transfer",
    "sqlalchemy",
    "stdout_log",
    "urllib3",
)

# What they log with its stack, they raise as well.
SILENT_LOGGERS = ("DataFrameQueryContextLogger", "SQLQueryContextLogger", "py4j")


def configure_logging(
    level: str, log_format: Literal["text", "json"], run_id: str, secrets: Sequence[str]
) -> None:
    """Log to stderr from ``level`` up; each line carries the UTC time, the level and ``run_id``.

    ``text`` writes ``time level run=… message``, ``json`` one object a line. Whatever spells one of
    ``secrets``, plain or quoted for a URL, in a message, an argument or a traceback, is written as
    ``***``. A second call replaces the first.

    A log that cannot be written, such as dbt's on a full disk, is passed over in silence: Python's
    logging would print a stack for every line of it to stderr, unmasked.
    """
    logging.raiseExceptions = False
    handler = _PipelineHandler()
    handler.setFormatter(_LineFormatter(log_format, run_id, masker(secrets)))
    root = logging.getLogger()
    for earlier in [h for h in root.handlers if isinstance(h, _PipelineHandler)]:
        root.removeHandler(earlier)
    handler.addFilter(_is_not_of_py4j)
    root.addHandler(handler)
    root.setLevel(level)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in SILENT_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _is_not_of_py4j(record: logging.LogRecord) -> bool:
    """False for a record of py4j. Once the JVM has ended, py4j writes a stack for each call under
    way, and to the root logger, not to one of its own."""
    return record.name != "root" or Path(record.pathname).parent.name != "py4j"


def masker(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return a function that writes ``***`` for every one of ``secrets`` in a text.

    It knows each secret as it is, quoted for a URL, and escaped as in a ``repr`` or JSON string.
    """
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    if not spellings:
        return lambda text: text
    # The longest first, so that a secret that begins like another leaves no tail behind.
    longest_first = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    pattern = re.compile("|".join(re.escape(spelling) for spelling in longest_first))
    return lambda text: pattern.sub(MASK, text)


def _spellings(secret: str) -> set[str]:
    in_url = {
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=" +"),  # as SQLAlchemy writes a password in a URL
        quote_plus(secret),
    }
    in_lower_case_url = {
        re.sub(r"%[0-9A-F]{2}", lambda code: code.group().lower(), spelling) for spelling in in_url
    }
    escaped = {
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
    }
    return {secret, *in_url, *in_lower_case_url, *escaped}


class _PipelineHandler(logging.StreamHandler[Any]):
    """The one handler that `configure_logging` owns, told from those of others by its type.

    It writes to what stderr is at the time, so that a live line is not torn.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        """The present stderr."""
        return sys.stderr


class _LineFormatter(logging.Formatter):
    """Writes a record as one line of text or JSON; in text, more lines of a message and a traceback
    follow it indented, and what would steer a terminal is escaped."""

    def __init__(
        self, log_format: Literal["text", "json"], run_id: str, mask: Callable[[str], str]
    ) -> None:
        super().__init__()
        self._write = _json_line if log_format == "json" else _text_line
        self._run_id = run_id
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line; the record itself is left as it is for other handlers."""
        moment = datetime.fromtimestamp(record.created, tz=UTC)
        line = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "run": self._run_id,
            "logger": record.name,
            "message": self._mask(_message(record)),
        }
        return self._write(line, self._mask(self._traceback(record)))

    def _traceback(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return "\n".join(parts)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        # Arguments that do not fit: logging itself would print both to stderr, unmasked.
        return f"{record.msg} {record.args}"


def _json_line(line: dict[str, str], traceback: str) -> str:
    fields = {**line, "exception": traceback} if traceback else line
    return json.dumps(fields, ensure_ascii=False)


def _text_line(line: dict[str, str], traceback: str) -> str:
    head = f"{line['time']} {line['level']:<7} run={line['run']} {line['message']}"
    return printable_lines(head + (f"\n{traceback}" if traceback else ""))
