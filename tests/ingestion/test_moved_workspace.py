"""A workspace that was moved or copied builds its own tables."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from ingestion.errors import PipelineError
from ingestion.workspace import Workspace

TABLES = ("metastore_db", "warehouse", "trial")


def filled(root: Path) -> Workspace:
    """A workspace with tables, their catalog, and files that stay what they are anywhere."""
    for name in (*TABLES, "bronze", "s3"):
        (root / name).mkdir(parents=True)
        (root / name / "data").touch()
    return Workspace(root)


def test_a_copied_workspace_lets_go_of_the_tables_of_the_first(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: the copy's catalog names the first one's tables, and a run of the copy rewrites them;
    after a move, every run fails."""
    first = filled(tmp_path / "first")
    first.create()
    first.create()
    (tmp_path / "link").symlink_to(first.root)
    Workspace(tmp_path / "link").create()
    assert all((first.root / name / "data").exists() for name in TABLES)
    assert caplog.messages == []

    copy = Workspace(Path(os.fsdecode(bytes(tmp_path) + b"/copy \xff")))
    shutil.copytree(first.root, copy.root)
    with caplog.at_level(logging.WARNING):
        copy.create()
        copy.create()
    assert caplog.messages == [
        f"the workspace was moved or copied here from {first.root}; its Spark tables are built anew"
    ]
    assert sorted(path.name for path in copy.root.iterdir()) == ["bronze", "location", "s3"]
    assert all((first.root / name / "data").exists() for name in TABLES)


def test_tables_that_cannot_be_removed_are_told(tmp_path: Path) -> None:
    """Risk: a copy has a link to the first one's tables, and writes there."""
    first = filled(tmp_path / "first")
    first.create()
    shutil.move(first.warehouse, tmp_path / "disk")
    first.warehouse.symlink_to(tmp_path / "disk")
    copy = Workspace(tmp_path / "copy")
    shutil.copytree(first.root, copy.root, symlinks=True)
    for _ in range(2):
        with pytest.raises(PipelineError) as refused:
            copy.create()
        assert str(refused.value) == (
            "The workspace was moved or copied here, and its Spark tables cannot be removed. "
            f"Found: {copy.warehouse}: Cannot call rmtree on a symbolic link. Remove it, then run "
            "again: it is built anew."
        )
    copy.warehouse.unlink()
    copy.create()
    copy.create()
    assert (tmp_path / "disk" / "data").exists()
