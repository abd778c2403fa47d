"""A recorded archive of classes serves every later start of Spark; a damaged one stops none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.warehouse.class_archive import archive_file
from ingestion.warehouse.spark import WorkSize

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]
# A start of Spark as a run makes it, for work of this size; prints rows that Spark has read.
START = """
import os, sys
from pathlib import Path
from ingestion.run import mart_steps
from ingestion.config.settings import load_settings
from ingestion.warehouse.spark import WorkSize
settings = load_settings(Path.cwd())
dbt = mart_steps.dbt_project(settings)
session = mart_steps.start_spark(dbt, settings.workspace, WorkSize(sys.argv[1]))
print(session.sql("select 40 + 2 as answer").collect())
"""


def start_spark(workspace: Path, size: WorkSize, java_options: str) -> str:
    """What a process prints that starts Spark there; its JVM has ended, since it holds the pipe."""
    done = subprocess.run(
        [sys.executable, "-c", START, size],
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "RETAIL_WORKSPACE": str(workspace),
            "RETAIL_SPARK_JAVA_OPTIONS": java_options,
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace, with a blank in its name, in which the start of Spark has been recorded."""
    workspace = tmp_path_factory.mktemp("work space")
    archive = archive_file(workspace, os.environ)
    archive.parent.mkdir()
    start_spark(workspace, WorkSize.SMALL, f'"-XX:ArchiveClassesAtExit={archive}"')
    assert archive.is_file()
    yield workspace
    archive.unlink()  # it is large


@pytest.mark.parametrize("size", list(WorkSize))
def test_work_of_every_size_takes_its_classes_from_one_archive(
    recorded: Path, tmp_path: Path, size: WorkSize
) -> None:
    """Risk: the JVM silently refuses the archive, for its collector or compiler say."""
    log = tmp_path / "classes.log"
    assert "answer=42" in start_spark(recorded, size, f"-Xlog:class+load:file={log}")
    lines = [line for line in log.read_text().splitlines() if " org.apache.spark." in line]
    loaded = [line for line in lines if "$$Lambda" not in line]  # they are made, not loaded
    archived = [line for line in loaded if line.endswith("shared objects file (top)")]
    assert len(archived) > 0.9 * len(loaded) > 1000


def test_a_damaged_archive_stops_no_start(tmp_path: Path) -> None:
    """Risk: a disk that was full while the archive was written ends every later run."""
    archive = archive_file(tmp_path, os.environ)
    archive.parent.mkdir()
    archive.write_bytes(b"\0garbage" * 10_000)
    assert "answer=42" in start_spark(tmp_path, WorkSize.SMALL, "")
