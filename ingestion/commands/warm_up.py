"""Records the classes of Spark and the models, in small runs on a sample of their own."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shlex
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.config.settings import Settings, load_settings
from ingestion.errors import PipelineError
from ingestion.s3.embedded_s3 import stop
from ingestion.warehouse.class_archive import ARCHIVE_VARIABLE, archive_file, takes_archive
from ingestion.warehouse.java import find_java
from ingestion.warehouse.spark import find_profiles, read_target
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from ingestion.run.services import Services

_JAVA_OPTIONS_VARIABLE = "RETAIL_SPARK_JAVA_OPTIONS"
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """A recorded archive, and the seconds that Spark took to start without it and with it."""

    archive: Path
    before: float
    after: float


def rehearsal_settings(project: Path, workspace: Path) -> Settings:
    """Embedded services in ``workspace``, whatever the project's own settings are."""
    return load_settings(workspace, {"RETAIL_WORKSPACE": str(workspace)}).model_copy(
        update={"project": project}
    )


def rehearsal_changes() -> list[Callable[[Services, str], None]]:
    """What two small runs begin with: a first sample, and one that replaces some of its rows."""
    from ingestion.commands.sample import load_sample
    from ingestion.sample.spec import SampleSpec

    def sending(spec: SampleSpec) -> Callable[[Services, str], None]:
        def change(services: Services, _: str) -> None:
            load_sample(services, spec)

        return change

    return [sending(SampleSpec(rows=rows, months=2)) for rows in (800, 200)]


def time_start(settings: Settings) -> float:
    """Starts Spark as a run does; the seconds it took."""
    from ingestion.run import mart_steps

    start = time.perf_counter()
    mart_steps.start_spark(mart_steps.dbt_project(settings), Workspace(settings.workspace))
    return time.perf_counter() - start


def record(program: Path, settings: Settings) -> WarmUp:
    """Records the archive in runs on a sample, in a workspace that is gone afterwards.

    ``program`` is the command line, whose ``rehearse`` makes the runs in processes of their own.

    Nothing of the user's is read or written but the archive itself, which appears whole. Raises
    ``PipelineError`` when the runs fail, or when their JVM leaves no archive or would not use it.
    """
    _check_java()
    workspace = Workspace(settings.workspace)
    workspace.create()
    _check_profile(settings)
    workspace.logs.mkdir(exist_ok=True)
    log = workspace.logs / "warm-up.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=workspace.make_scratch(), prefix="warm-up-") as name:
        folder = Path(name)
        fresh = folder / "fresh.jsa"
        trial = archive_file(folder, os.environ)
        trial.parent.mkdir()
        try:
            _LOG.info("recording the classes of two small runs")
            _rehearse(program, folder, log, "--runs", java=f'"-XX:ArchiveClassesAtExit={fresh}"')
            if not fresh.is_file():
                raise PipelineError(
                    "The JVM recorded no classes",
                    action=f"Its log is {Workspace(folder).logs / 'spark.log'}",
                )
            _LOG.info("measuring how long Spark takes to start")
            before = _rehearse(program, folder, log)
            fresh.replace(trial)
            after = _rehearse(program, folder, log)
        finally:
            stop(folder)
        archive = archive_file(workspace.root, os.environ)
        archive.parent.mkdir(exist_ok=True)
        for old in archive.parent.glob("*.jsa"):
            if old != archive:
                old.unlink()
        trial.replace(archive)
    return WarmUp(archive, before, after)


def _check_java() -> None:
    java = find_java(os.environ)
    if not takes_archive(java):
        raise PipelineError(
            "Java 21 does not use what it records of Spark's classes",
            expected="Java 17 or 25",
            found=f"Java 21 in {java}",
            action="Set JAVA_HOME to one of those, or go on without: runs start some 3 s later",
        )


def _check_profile(settings: Settings) -> None:
    """The profile has to pass both variables on, or the archive would be of no use."""
    profiles = find_profiles(settings.project, settings.workspace, os.environ)
    marks = {name: uuid.uuid4().hex for name in (ARCHIVE_VARIABLE, _JAVA_OPTIONS_VARIABLE)}
    target = str(read_target(profiles, {**os.environ, **marks}))
    unused = [name for name, mark in marks.items() if mark not in target]
    if unused:
        raise PipelineError(
            f"The dbt profile in {profiles / 'profiles.yml'} does not use the class archive",
            expected=f"spark.driver.extraJavaOptions with {' and '.join(marks)}",
            found=f"no {' and no '.join(unused)}",
            action="Copy that setting from profiles.example.yml",
        )


def _rehearse(program: Path, folder: Path, log: Path, *options: str, java: str = "") -> float:
    """A process that rehearses in ``folder``; the seconds that Spark took to start there.

    Its JVM ends, and writes the archive, after it; but both hold the pipe that is read here.
    """
    given = os.environ.get(_JAVA_OPTIONS_VARIABLE, "")
    command = [sys.executable, str(program), "rehearse", str(folder), *options]
    with log.open("ab") as errors:
        done = subprocess.run(
            command,
            env={**os.environ, _JAVA_OPTIONS_VARIABLE: f"{given} {java}"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            check=False,
        )
    if done.returncode != 0:
        raise PipelineError(
            "The JVM's classes cannot be recorded: a trial run failed",
            found=f"{shlex.join(command)} ended with {done.returncode}",
            action=f"Its log is {log}",
        )
    return _seconds(done.stdout, log)


def _seconds(output: bytes, log: Path) -> float:
    """The number that a rehearsal prints, on a line of its own; the JVM may print more around it.

    Raises ``PipelineError`` where there is none.
    """
    lines = output.decode(errors="replace").splitlines()
    for line in reversed(lines):
        with contextlib.suppress(ValueError):
            return float(line)
    raise PipelineError(
        "Spark's start-up time cannot be measured",
        expected="a line with the seconds it took",
        found=lines[-1] if lines else "nothing",
        action=f"The log of the trial run is {log}",
    )
