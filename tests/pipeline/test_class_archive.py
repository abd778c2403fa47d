"""A recorded archive of classes serves every later start of Spark; a damaged one stops none."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from ingestion.warehouse.class_archive import (
    ARCHIVE_VARIABLE,
    archive_file,
    takes_archive,
    use_archive,
)
from ingestion.warehouse.java import find_java
from ingestion.warehouse.spark import WORK_SIZE_VARIABLE, WorkSize, find_profiles, read_target
from tests.pipeline.conftest import PROJECT, start_spark

pytestmark = pytest.mark.slow
needs_archive = pytest.mark.skipif(
    not takes_archive(find_java(os.environ)), reason="This Java has no use for an archive"
)


def java_options(workspace: Path, size: WorkSize) -> list[str]:
    """The options of the JVM that a run starts for work of this size."""
    environ = {**os.environ, "RETAIL_WORKSPACE": str(workspace), WORK_SIZE_VARIABLE: size}
    target = read_target(find_profiles(PROJECT, workspace, environ), environ)
    return shlex.split(target["server_side_parameters"]["spark.driver.extraJavaOptions"])


@needs_archive
@pytest.mark.parametrize("size", [WorkSize.SMALL, WorkSize.LARGE])
def test_work_of_every_size_takes_its_classes_from_one_archive(
    recorded_classes: Path, tmp_path: Path, size: WorkSize
) -> None:
    """Risk: the JVM silently refuses the archive, for its collector or compiler say."""
    log = tmp_path / "classes.log"
    assert "answer=42" in start_spark(recorded_classes, size, f"-Xlog:class+load:file={log}")
    lines = [line for line in log.read_text().splitlines() if " org.apache.spark." in line]
    loaded = [line for line in lines if "$$Lambda" not in line]  # they are made, not loaded
    archived = [line for line in loaded if line.endswith("shared objects file (top)")]
    assert len(archived) > 0.9 * len(loaded) > 1000


def test_an_increment_has_the_options_of_small_work(tmp_path: Path) -> None:
    """Risk: it starts another kind of JVM, of which nobody has seen that it takes the archive."""
    small, increment, large = (java_options(tmp_path, size) for size in WorkSize)
    assert increment == small != large


@needs_archive
def test_a_damaged_archive_stops_no_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: a disk that was full while the archive was written ends every later run."""
    archive = archive_file(tmp_path, os.environ)
    archive.parent.mkdir()
    archive.write_bytes(b"\0garbage" * 10_000)
    monkeypatch.setenv(ARCHIVE_VARIABLE, "")  # and back afterwards
    use_archive(tmp_path)
    options = java_options(tmp_path, WorkSize.SMALL)
    assert f"-XX:SharedArchiveFile={archive}" in options
    java = find_java(os.environ) / "bin" / "java"
    done = subprocess.run(
        [str(java), *options, "-Xlog:cds:stderr", "-version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert str(archive) in done.stderr, "the JVM has looked at it"
