"""Calls dbt in this process: parse, one build on the session that is there."""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ingestion.errors import PipelineError
from ingestion.warehouse.builder import RUN_VARIABLE
from ingestion.warehouse.dbt_manifest import read_manifest
from ingestion.warehouse.dbt_parse import forget, parse_options
from ingestion.warehouse.spark import PROFILE
from ingestion.warehouse.spark_errors import error_words, spark_errors

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest
    from pyspark.sql import SparkSession

    from ingestion.steps import Steps

BATCHES_VARIABLE = "RETAIL_BATCH_IDS"
_NO_BATCH = "0"  # their numbers begin at 1, and an empty variable means all of them
_FAILED = ("error", "fail", "runtime error", "partial success")
UNCHANGED_VARIABLE = "RETAIL_UNCHANGED_DIMENSIONS"
_SHOWN_ROWS = 5
# Up to ten lines for each model, of which none is news: the model is in the first line of what dbt
# says, and the macro at fault after "> in macro".
_CALLERS = re.compile(r"^[ \t]*> called by .*\n?", re.MULTILINE)
_OPTIONS_KEPT = frozenset(  # where the profile is, and how dbt's own log looks
    {"DBT_PROFILES_DIR", "DBT_TARGET", "DBT_LOG_FORMAT_FILE", "DBT_LOG_FILE_MAX_BYTES"}
)
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class DbtProject:
    """Where dbt finds the project and its profile, and where it may write."""

    project: Path
    profiles: Path
    target: Path
    logs: Path

    def arguments(self, command: str, *options: str) -> list[str]:
        """The command line for ``dbtRunner``: quiet, offline, writing outside the project only."""
        return [
            command,
            *("--project-dir", str(self.project)),
            *("--profiles-dir", str(self.profiles)),
            *("--profile", PROFILE),
            *("--target-path", str(self.target)),
            *("--log-path", str(self.logs)),
            *("--log-level", "none"),
            *("--log-level-file", "info"),
            "--no-send-anonymous-usage-stats",
            "--no-version-check",
            *options,
        ]


@dataclasses.dataclass(frozen=True)
class Failure:
    """A model or test that did not end well; ``rows`` are the first rows that a test found.

    ``found_rows`` is false for a model, and for a test that could not be asked.
    """

    name: str
    kind: str
    message: str
    found_rows: bool
    rows: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class BuildResult:
    """What one ``dbt build`` did; ``is_built`` where every model and seed was built."""

    is_built: bool
    failures: tuple[Failure, ...]
    warnings: tuple[str, ...]


def parse(dbt: DbtProject) -> Manifest:
    """What dbt makes of the project's files; needs no Spark.

    Raises ``PipelineError`` for a mistake in a model or its YAML.
    """
    manifest = _parse(dbt)
    if not manifest.nodes:  # of another profile, say; dbt then takes neither it nor the files
        forget(dbt.target)
        manifest = _parse(dbt)
    return manifest


def _parse(dbt: DbtProject) -> Manifest:
    with parse_options(dbt.project, dbt.target) as options:
        outcome = _invoke(dbt.arguments("parse", *options))
        if not outcome.success:
            raise _refused(dbt, outcome.exception)
    return cast("Manifest", outcome.result)


def _invoke(
    words: list[str],
    manifest: Manifest | None = None,
    callbacks: list[Callable[[Any], None]] | None = None,
) -> dbtRunnerResult:
    """What one command of dbt came to; an interruption that dbt has caught goes on."""
    from dbt.cli.main import dbtRunner

    _forget_options()
    outcome = dbtRunner(manifest, callbacks).invoke(words)
    if isinstance(outcome.exception, KeyboardInterrupt | SystemExit):
        raise outcome.exception
    return outcome


def _forget_options() -> None:
    """Takes dbt's own options out of the environment: one could leave the tests out, or build into
    other tables. Variables that a profile reads are none of them, and stay."""
    from dbt.cli.main import cli

    for option in (option for command in cli.commands.values() for option in command.params):
        names = option.envvar if isinstance(option.envvar, (list, tuple)) else [option.envvar]
        for name in names:
            if name and name not in _OPTIONS_KEPT and os.environ.pop(name, None) is not None:
                _LOG.warning("%s is set; a run ignores it", name)


def _refused(dbt: DbtProject, error: BaseException | None) -> PipelineError:
    return PipelineError(
        "dbt cannot build the models",
        found=_without_callers(error or "no result"),
        action=f"Fix the project; dbt's own log is {dbt.logs / 'dbt.log'}",
    )


def _without_callers(error: BaseException | str) -> str:
    """What dbt says of an error, without the macros through which it came there."""
    return _CALLERS.sub("", str(error)).strip()


def build(
    dbt: DbtProject,
    manifest: Manifest,
    *,
    run_id: str,
    batch_ids: Sequence[int] | None,
    unchanged: Collection[str],
    steps: Steps,
) -> BuildResult:
    """Builds and tests every model for these batches, which may be none; None means for all of
    them, and anew.

    The run is noted as the builder of the tables.
    ``unchanged`` are the dimension tables that are as they were at the last build that ended well.
    ``steps`` shows how many nodes are done, and the one at work. Raises ``PipelineError`` when dbt
    cannot start; failed models and tests are returned.
    """
    batches = None if batch_ids is None else ",".join(map(str, batch_ids)) or _NO_BATCH
    _set(BATCHES_VARIABLE, batches)
    _set(UNCHANGED_VARIABLE, ",".join(sorted(unchanged)) or None)
    options = ["--exclude-resource-type", "unit_test"]
    # an increment stands on tables of the same logic, and so of the same seeds
    options += ["--full-refresh"] if batch_ids is None else ["--exclude-resource-type", "seed"]
    _set(RUN_VARIABLE, run_id)
    try:
        outcome = _invoke(dbt.arguments("build", *options), manifest, [_follow(steps)])
    finally:
        _set(RUN_VARIABLE, None)
    if outcome.exception is not None or outcome.result is None:
        raise _refused(dbt, outcome.exception)
    return summed(list(cast("Any", outcome.result)))


def run_command(dbt: DbtProject, command: Sequence[str], *options: str) -> None:
    """Runs another dbt command; ``PipelineError`` when it fails."""
    outcome = _invoke([*command[:-1], *dbt.arguments(command[-1], *options)])
    if not outcome.success:
        raise PipelineError(
            f"dbt {' '.join(command)} failed",
            found=_without_callers(outcome.exception or "see its log"),
            action=f"dbt's own log is {dbt.logs / 'dbt.log'}",
        )


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def _follow(steps: Steps) -> Callable[[Any], None]:
    """Source of the events' fields: dbt-core's ``core_types.proto``."""
    advance: Callable[[int], None] | None = None

    def follow(event: Any) -> None:
        nonlocal advance
        if event.info.name == "ConcurrencyLine":
            advance = steps.progress(event.data.node_count, "nodes")
        elif event.info.name == "NodeStart":
            steps.show(event.data.node_info.node_name)
        elif event.info.name == "NodeFinished" and advance:
            advance(1)

    return follow


def summed(results: Sequence[Any]) -> BuildResult:
    """What the results of dbt's nodes come to."""
    failures, warnings, is_built = [], [], True
    for result in results:
        kind = str(result.node.resource_type).replace("_", " ")
        is_test = kind in ("test", "unit test")
        status = str(result.status)
        is_built &= is_test or status not in (*_FAILED, "skipped")
        if status in _FAILED:
            message = error_words(_without_callers(result.message or status))
            failures.append(Failure(result.node.name, kind, message, found_rows=status == "fail"))
        elif status == "warn":
            words = result.node.name.replace("_", " ")
            rows = "1 row" if result.failures == 1 else f"{result.failures} rows"
            warnings.append(f"the test '{words}' found {rows}")
    return BuildResult(is_built=is_built, failures=tuple(failures), warnings=tuple(warnings))


def with_rows(spark: SparkSession, dbt: DbtProject, result: BuildResult) -> BuildResult:
    """The result with the first rows that each failed test found, read again from its SQL."""
    nodes = {node["name"]: node for node in read_manifest(dbt.target)["nodes"].values()}
    failures = []
    for failure in result.failures:
        rows: tuple[str, ...] = ()
        sql = nodes.get(failure.name, {}).get("compiled_code")
        if failure.found_rows and sql:
            with spark_errors(f"The rows of {failure.name} cannot be read"):
                found = spark.sql(sql).limit(_SHOWN_ROWS).collect()
            rows = tuple(str(row.asDict()) for row in found)
        failures.append(dataclasses.replace(failure, rows=rows))
    return dataclasses.replace(result, failures=tuple(failures))
