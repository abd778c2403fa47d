"""What is sent to a database."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Engine


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement with the rows that the driver has fetched or changed; SQLite's does not know."""

    text: str
    rows: int


@contextlib.contextmanager
def sent_to(engine: Engine) -> Iterator[list[Statement]]:
    """The statements of the block, in their order."""
    sent: list[Statement] = []

    def note(_connection: Any, cursor: Any, text: str, *_: Any) -> None:
        sent.append(Statement(text, cursor.rowcount))

    sa.event.listen(engine, "after_cursor_execute", note)
    try:
        yield sent
    finally:
        sa.event.remove(engine, "after_cursor_execute", note)
