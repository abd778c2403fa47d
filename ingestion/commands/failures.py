"""Ends a command that fails with one readable sentence and an exit code."""

from __future__ import annotations

import dataclasses
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import typer

from ingestion.errors import PipelineError, of_this_machine

FAILED = 1
_LOG = logging.getLogger("retail_mart")


@dataclasses.dataclass
class Failures:
    """How a failure is told: without these secrets, as a line of the log or as plain text."""

    secrets: Sequence[str] = ()
    are_logged: bool = False

    def tell(self, sentence: str) -> None:
        """Writes the sentence to stderr."""
        from ingestion.logs import masker

        _LOG.debug("the cause of the failure", exc_info=True)
        if self.are_logged:
            _LOG.error("%s", sentence)
        else:
            typer.echo(f"error: {masker(self.secrets)(sentence)}", err=True)


@contextmanager
def told_failures() -> Iterator[Failures]:
    """Ends the process with an exit code and one sentence where the block fails."""
    failures = Failures()
    try:
        yield failures
        sys.stdout.flush()
    except PipelineError as error:
        failures.tell(str(error))
        raise typer.Exit(error.exit_code) from None
    except BrokenPipeError:  # whoever reads the output has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(FAILED) from None
    except OSError as error:
        failures.tell(str(of_this_machine(error)))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        failures.tell("stopped; the next run continues from here")
        raise typer.Exit(FAILED) from None
