"""An archive of the classes that Spark and the models load, recorded once for this JVM and Spark.

Source: the JVM's options ``ArchiveClassesAtExit`` and ``SharedArchiveFile`` (JEP 350). The JVM
checks an archive against itself and its jars, and goes on without one that does not fit.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.embedded_s3 import stop
from ingestion.errors import PipelineError
from ingestion.settings import Settings, load_settings
from ingestion.spark import find_java, find_profiles, read_target
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from ingestion.sample import SampleSpec

ARCHIVE_VARIABLE = "RETAIL_CLASS_ARCHIVE"  # the file, for the profile; set where there is one
_JAVA_OPTIONS_VARIABLE = "RETAIL_SPARK_JAVA_OPTIONS"
_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """A recorded archive, and the seconds that Spark took to start without it and with it."""

    archive: Path
    before: float
    after: float


def archive_file(workspace: Path, environ: Mapping[str, str]) -> Path:
    """Where the archive for this Java, this pyspark and this machine's architecture lies."""
    java = find_java(environ)
    spark = importlib.metadata.distribution("pyspark")
    marks = (
        str(java.resolve()),
        (java / "release").read_text(),
        spark.version,
        str(spark.locate_file("pyspark")),
        platform.machine(),
    )
    digest = hashlib.sha256("\0".join(marks).encode()).hexdigest()
    return Workspace(workspace).classes / f"{digest[:16]}.jsa"


def use_archive(workspace: Path) -> None:
    """Names the archive to the profile, where there is one."""
    path = archive_file(workspace, os.environ)
    if path.is_file():
        os.environ[ARCHIVE_VARIABLE] = str(path)
    else:
        os.environ.pop(ARCHIVE_VARIABLE, None)


def rehearsal_settings(project: Path, workspace: Path) -> Settings:
    """Embedded services in ``workspace``, whatever the project's own settings are."""
    return load_settings(workspace, {"RETAIL_WORKSPACE": str(workspace)}).model_copy(
        update={"project": project}
    )


def rehearsal_samples() -> tuple[SampleSpec, SampleSpec]:
    """Two small samples: for a first run, and for one that replaces rows and keeps the rest."""
    from ingestion.sample import SampleSpec

    return SampleSpec(rows=800, months=2), SampleSpec(rows=200, months=2)


def record(program: Path, settings: Settings) -> WarmUp:
    """Records the archive in runs on a sample, in a workspace that is gone afterwards.

    ``program`` is the command line, whose ``rehearse`` makes the runs in processes of their own.

    Nothing of the user's is read or written but the archive itself, which appears whole. Raises
    ``PipelineError`` when the runs fail, or when their JVM leaves no archive.
    """
    workspace = Workspace(settings.workspace)
    workspace.create()
    _check_profile(settings)
    workspace.logs.mkdir(exist_ok=True)
    log = workspace.logs / "warm-up.log"
    log.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=workspace.root, prefix="warm-up-") as name:
        folder = Path(name)
        fresh = folder / "fresh.jsa"
        trial = archive_file(folder, os.environ)
        trial.parent.mkdir()
        try:
            _LOG.info("recording the classes of two small runs")
            _rehearse(program, folder, log, "--runs", java=f'"-XX:ArchiveClassesAtExit={fresh}"')
            if not fresh.is_file():
                raise PipelineError(
                    "The JVM has recorded no classes",
                    action=f"Its own words are in {Workspace(folder).logs / 'spark.log'}",
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


def _check_profile(settings: Settings) -> None:
    """The profile has to pass both variables on, or the archive would be of no use."""
    profiles = find_profiles(settings.project, settings.workspace, os.environ)
    marks = {name: uuid.uuid4().hex for name in (ARCHIVE_VARIABLE, _JAVA_OPTIONS_VARIABLE)}
    target = str(read_target(profiles, {**os.environ, **marks}))
    unused = [name for name, mark in marks.items() if mark not in target]
    if unused:
        raise PipelineError(
            f"The dbt profile in {profiles / 'profiles.yml'} takes no archive of classes",
            expected=f"spark.driver.extraJavaOptions with {' and '.join(marks)}",
            found=f"no {' and no '.join(unused)}",
            action="Take that setting over from profiles.example.yml",
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
            "The JVM's classes cannot be recorded: a rehearsal failed",
            found=f"{shlex.join(command)} ended with {done.returncode}",
            action=f"Its log is {log}",
        )
    return float(json.loads(done.stdout))
