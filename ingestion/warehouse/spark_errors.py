"""Says what an error of Spark and its JVM means: one sentence with the cause, and what to do."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from ingestion.errors import PipelineError

_READ_FAILED = "[FAILED_READ_FILE"  # Spark's words, which name the file
_NO_METASTORE = "Failed to create database"
_DAMAGE = re.compile("could not verify page integrity|footer is too large|is not a Parquet file")
_CAUSE = re.compile(  # of Java, or of the metastore's database, as ERROR XBM0H: no such folder
    r"^(?:Caused by: |: )?((?:[\w.$]+(?:Exception|Error)|ERROR [0-9A-Z]{5}): .*)$", re.MULTILINE
)
_MOST_CAUSES = 20


@contextlib.contextmanager
def spark_errors(what: str) -> Iterator[None]:
    """Turns an error of Spark or its JVM into one sentence with the innermost cause, and with the
    file that could not be read."""
    from py4j.protocol import Py4JError  # type: ignore[import-untyped]
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JError) as error:
        text = "\n".join([str(error), *_hidden_causes(error)])
        if "Another instance of Derby" in text:
            raise PipelineError(
                f"{what}: another Spark process uses this workspace's metastore",
                action="Stop it (perhaps a dbt command or a Spark shell) and run again",
            ) from error
        causes = _CAUSE.findall(text)
        told = [cause for cause in causes if _READ_FAILED in cause or _NO_METASTORE in cause]
        found = "; caused by ".join(dict.fromkeys([*told[-1:], *causes[-1:]]))
        action = damage_action(text)
        if _NO_METASTORE in text:
            action = "Check that the disk has space and the folder is writable"
        found = found or text.splitlines()[0]
        raise PipelineError(what, found=found.rstrip("."), action=action) from error
    except RuntimeError as error:
        raise PipelineError(what, found=str(error).rstrip(".")) from error


def _hidden_causes(error: Exception) -> list[str]:
    """The causes of an error that Spark hands on by its first words alone, outermost first."""
    from py4j.protocol import Py4JError

    causes: list[str] = []
    cause = getattr(error, "_origin", None)  # the JVM's own
    with contextlib.suppress(Py4JError, OSError):  # the JVM may have ended
        while cause is not None and len(causes) < _MOST_CAUSES:
            cause = cause.getCause()
            if cause is not None:
                causes.append(f"Caused by: {cause.toString()}")
    return causes


def error_words(text: str) -> str:
    """An error as Spark's JVM hands it on, without its stack and the plan of the query."""
    text = re.sub(r"(SQLSTATE: \w{5}(?:; line \d+ pos \d+)?);\n.*", r"\1", text, flags=re.DOTALL)
    noise = re.compile(r"\s*(at \S+\(|\.\.\. \d+ more|An error occurred while calling )")
    lines = [line for line in text.strip().splitlines() if not noise.match(line)]
    return "\n".join(re.sub(r"^(\s*): ", r"\1", line) for line in lines)


def damage_action(text: str) -> str | None:
    """What to do where an error of Spark tells of a file whose bytes are not those that were
    written; None where it does not."""
    if not _DAMAGE.search(text):
        return None
    return "Its bytes have changed (a disk error?): remove the file and run again to recreate it"
