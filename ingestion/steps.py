"""Names, times and shows the steps of a run."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_LOG = logging.getLogger(__name__)


class Steps:
    """The steps of one run, timed in the order in which they were first entered.

    In a terminal the step at work is shown as one live line; elsewhere each step is a log line.
    """

    def __init__(self, console: Console | None) -> None:
        self.seconds: dict[str, float] = {}
        self._console = console if console is not None and console.is_terminal else None

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Times the block under ``name``; a name used again adds up."""
        start = time.perf_counter()
        with contextlib.ExitStack() as stack:
            if self._console is not None:
                self._status = stack.enter_context(self._console.status(f"{name} …"))
            try:
                yield
            finally:
                spent = time.perf_counter() - start
                self.seconds[name] = self.seconds.get(name, 0.0) + spent
        _LOG.log(
            logging.DEBUG if self._console is not None else logging.INFO,
            "%s: done in %.1f s",
            name,
            spent,
        )

    def show(self, text: str) -> None:
        """Replaces the live line's text; nothing where there is no terminal."""
        if self._console is not None:
            self._status.update(text)
