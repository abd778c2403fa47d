"""Ends a command that fails with one readable sentence and an exit code."""

from __future__ import annotations

import dataclasses
import logging
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from ingestion.errors import PipelineError, local_error

FAILED = 1
_LOG = logging.getLogger("retail_mart")
_OUT_OF_MEMORY = PipelineError(
    "There is not enough memory for the command",
    action="Free some and run the command again; it continues where it stopped",
)


@dataclasses.dataclass
class Failures:
    """How a failure is told: without these secrets, as a line of the log or as plain text."""

    secrets: Sequence[str] = ()
    are_logged: bool = False

    def tell(self, sentence: str, cause_level: int = logging.DEBUG) -> None:
        """Writes the sentence to stderr; the cause, with its stack, to the log at this level."""
        from ingestion.logs import masker
        from ingestion.printable import printable_lines

        if _LOG.hasHandlers():  # before the settings are read, no secret is known, and none masked
            _LOG.log(cause_level, "the cause of the failure", exc_info=True)
        if self.are_logged:
            _LOG.error("%s", sentence)
        else:
            told = printable_lines(masker(self.secrets)(sentence))
            typer.echo(f"error: {told}", err=True)


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
    except OSError as error:
        failures.tell(str(local_error(error)))
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        failures.tell("stopped; the next run continues from here")
        raise typer.Exit(FAILED) from None
    except (typer.Exit, typer.Abort, typer.BadParameter):
        raise
    except MemoryError:
        failures.tell(str(_OUT_OF_MEMORY), logging.ERROR)
        raise typer.Exit(FAILED) from None
    except Exception as error:
        failures.tell(str(_fault(error)), logging.ERROR)
        raise typer.Exit(FAILED) from None


def _fault(error: Exception) -> PipelineError:
    """What nobody foresaw. Its own words may hold values of persons, so only the log has them."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return PipelineError(
        "A fault of the program stopped the command",
        found=f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}",
        action="Run the command again; it continues where it stopped. If it stops here again, "
        "report it with its log (stderr), which shows the cause",
    )
