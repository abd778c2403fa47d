"""Shows the step at work as one live line of a terminal."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

BYTES = "bytes"


class LiveLine:
    """A spinner and the step's name; a bar with rate and time left once there is a total.

    Methods may be called from several threads. The line is gone when the block ends.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._progress = Progress(
            *_columns(None),
            console=console,
            transient=True,
            expand=True,
            refresh_per_second=4,
            redirect_stderr=sys.stderr.isatty(),  # a log in a file of its own goes on there
        )
        self._task = self._progress.add_task(name, total=None, text="…")

    def __enter__(self) -> LiveLine:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, text: str) -> None:
        """Replaces the text at the line's end."""
        self._progress.update(self._task, text=text)

    def count(self, total: int, unit: str) -> None:
        """Makes the line a bar that starts at 0 of ``total`` ``unit`` (``bytes`` or any plural)."""
        self._progress.columns = _columns(unit)
        self._progress.reset(self._task, total=total, text="")

    def advance(self, amount: int) -> None:
        """Moves the bar on."""
        self._progress.advance(self._task, amount)


class _Rate(ProgressColumn):
    """How many units a second: ``3.1 files/s``."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f} {self._unit}/s")


def _columns(unit: str | None) -> tuple[ProgressColumn, ...]:
    amount: tuple[ProgressColumn, ...]
    if unit is None:
        amount = ()
    elif unit == BYTES:
        amount = (BarColumn(12), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    else:
        amount = (
            BarColumn(12),
            MofNCompleteColumn(),
            TextColumn(unit),
            _Rate(unit),
            TimeRemainingColumn(),
        )
    rest = Column(ratio=1, no_wrap=True, overflow="ellipsis")
    text = TextColumn("{task.fields[text]}", markup=False, table_column=rest)
    return (SpinnerColumn(), TextColumn("{task.description}"), *amount, text)
