"""A recorded archive of classes serves every later start of Spark; a damaged one stops none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingestion.warehouse.class_archive import archive_file
from ingestion.warehouse.spark import WorkSize
from tests.pipeline.conftest import start_spark

pytestmark = pytest.mark.slow
PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("size", list(WorkSize))
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


def test_a_damaged_archive_stops_no_start(tmp_path: Path) -> None:
    """Risk: a disk that was full while the archive was written ends every later run."""
    archive = archive_file(tmp_path, os.environ)
    archive.parent.mkdir()
    archive.write_bytes(b"\0garbage" * 10_000)
    assert "answer=42" in start_spark(tmp_path, WorkSize.SMALL, "")
