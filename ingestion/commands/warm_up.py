"""Records the classes of Spark and the models, in small runs on a sample of their own."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
import tempfile
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


def record(program: Path, settings: Settings) -> Path:
    """Records the archive in runs on a sample, in a workspace that is gone afterwards.

    ``program`` is the command line, whose ``rehearse`` makes the runs in a process of their own.
    Nothing of the user's is read or written but the archive itself, which appears whole; returns
    its path. Raises ``PipelineError`` when the runs fail, or when their JVM leaves no archive or
    would not use it.
    """
    _check_java()
    workspace = Workspace(settings.workspace)
    workspace.create()
    _check_profile(settings)
    workspace.logs.mkdir(exist_ok=True)
    log = workspace.logs / "warm-up.log"
    archive = archive_file(workspace.root, os.environ)
    with tempfile.TemporaryDirectory(dir=workspace.make_scratch(), prefix="warm-up-") as name:
        folder = Path(name)
        fresh = folder / "fresh.jsa"
        _LOG.info("recording the classes of two small runs")
        try:
            _rehearse(program, folder, log, fresh)
        finally:
            stop(folder)
        if not fresh.is_file():
            raise PipelineError("The JVM recorded no classes", action=f"The log is {log}")
        archive.parent.mkdir(exist_ok=True)
        for old in archive.parent.glob("*.jsa"):
            old.unlink()
        fresh.replace(archive)
    return archive


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


def _rehearse(program: Path, folder: Path, log: Path, archive: Path) -> None:
    """Rehearses in ``folder``, in a process whose JVM writes ``archive`` when it ends."""
    given = os.environ.get(_JAVA_OPTIONS_VARIABLE, "")
    options = f'{given} "-XX:ArchiveClassesAtExit={archive}"'
    command = [sys.executable, str(program), "rehearse", str(folder)]
    with log.open("wb") as errors:
        done = subprocess.run(
            command,
            env={**os.environ, _JAVA_OPTIONS_VARIABLE: options},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,  # which the JVM holds until it ends, after the process
            stderr=errors,
            check=False,
        )
    if done.returncode != 0:
        raise PipelineError(
            "The JVM's classes cannot be recorded: a trial run failed",
            found=f"{shlex.join(command)} ended with {done.returncode}",
            action=f"Its log is {log}",
        )
