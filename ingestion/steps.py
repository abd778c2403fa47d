"""Names, times and shows the steps of a run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.live_line import LiveLine

_LOG = logging.getLogger(__name__)


class Steps:
    """The steps of one run, timed in the order in which they were first entered.

    In a terminal the step at work is shown as one live line; elsewhere each step is a log line.
    """

    def __init__(self, console: Console | None) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console if console is not None and console.is_terminal else None
        self._line: LiveLine | None = None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times the block under ``name``; a name used again adds up."""
        start = time.perf_counter()
        with contextlib.ExitStack() as stack:
            if self._console is not None:
                from ingestion.live_line import LiveLine

                self._line = stack.enter_context(LiveLine(self._console, name))
            try:
                yield
            finally:
                self._line = None
                spent = time.perf_counter() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
        _LOG.log(
            logging.DEBUG if self._console is not None else logging.INFO,
            "%s: done in %.1f s",
            name,
            spent,
        )

    def show(self, text: str) -> None:
        """Replaces the live line's text; nothing where there is no line."""
        if self._line is not None:
            self._line.show(text)

    def progress(self, total: int, unit: str) -> Callable[[int], None]:
        """Makes the live line a bar up to ``total`` and returns what moves it on, from any thread.

        ``unit`` is ``bytes`` or the plural of what is counted. Nothing is shown where there is no
        line, or nothing to count.
        """
        if self._line is None or total == 0:
            return lambda _: None
        self._line.count(total, unit)
        return self._line.advance


def shown_seconds(seconds: Mapping[str, float]) -> str:
    """What each step took, and all of them together, in one line."""
    steps = "  ".join(f"{name} {spent:.1f}" for name, spent in seconds.items())
    return f"Seconds: {steps}  total {sum(seconds.values()):.1f}"
