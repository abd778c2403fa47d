"""Where everything lies in the workspace folder."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import logging
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from ingestion.errors import PipelineError

_LOG = logging.getLogger(__name__)
_PROCESS = uuid.uuid4().hex  # a process in a container often has the number of the one before


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The paths of one workspace."""

    root: Path

    @property
    def downloads(self) -> Path:
        """Objects as they were taken from the inbox, until their batch is archived."""
        return self.root / "downloads"

    @property
    def bronze(self) -> Path:
        """Accepted rows, file versions and dimensions as Parquet, the base of schema ``raw``."""
        return self.root / "bronze"

    @property
    def warehouse(self) -> Path:
        """Spark's tables."""
        return self.root / "warehouse"

    @property
    def dbt_target(self) -> Path:
        """dbt's artefacts: manifest, results, partial parse."""
        return self.root / "dbt"

    @property
    def logs(self) -> Path:
        """The logs of dbt, of Spark, of ``warm-up`` and of the embedded server."""
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        """What this process needs until it ends: Spark's shuffles, copies of marts and files."""
        return self.root / "scratch" / _PROCESS

    @property
    def scratch_of_dbt(self) -> Path:
        """What Spark needs in a process of dbt alone; the profile names it."""
        return self.root / "scratch" / "dbt"

    def make_scratch(self) -> Path:
        """The folder ``scratch``, made; no other process clears it while this one lives."""
        self.root.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):  # a file system without locks, where nobody clears
            fcntl.flock(_scratch_lock(self.root), fcntl.LOCK_SH)
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch

    @property
    def classes(self) -> Path:
        """Archives of the classes that the JVM loads, one for each JVM and Spark."""
        return self.root / "classes"

    @property
    def sample_mark(self) -> Path:
        """There while the sample star is loaded into an empty set-up."""
        return self.root / "sample"

    def clear_scratch(self, end_services: Callable[[Path], object]) -> None:
        """Removes what killed processes have left there; nothing while another one needs its own.

        ``end_services`` ends a server that still works in a folder.
        """
        lock = _scratch_lock(self.root)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # what was shared before is given up by the try
            if self.scratch.is_dir():
                self.make_scratch()
            return
        for folder in self.scratch.parent.glob("*"):
            if folder not in (self.scratch, self.scratch_of_dbt):
                for place in (path for path in folder.glob("*") if path.is_dir()):
                    end_services(place)
                shutil.rmtree(folder, ignore_errors=True)
        fcntl.flock(lock, fcntl.LOCK_SH if self.scratch.is_dir() else fcntl.LOCK_UN)

    def clear_scratch_of_dbt(self) -> None:
        """Removes what killed processes of dbt have left; for who has the metastore to itself."""
        shutil.rmtree(self.scratch_of_dbt, ignore_errors=True)

    def create(self) -> None:
        """Makes the folder; ``PipelineError`` when it cannot be written.

        Where it has been moved or copied here, Spark's tables and their catalog are removed. The
        catalog names them by where they were: a run would write to the old place, or find nothing.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe = self.root / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise PipelineError(
                f"The workspace {self.root} cannot be written",
                found=error.strerror,
                action="Name another folder in RETAIL_WORKSPACE",
            ) from error
        self._forget_moved_tables()

    def _forget_moved_tables(self) -> None:
        mark, here = self.root / "location", os.fsencode(self.root.resolve())
        before = mark.read_bytes() if mark.is_file() else None
        if before == here:
            return
        if before is not None:
            _LOG.warning(
                "the workspace was moved or copied here from %s; its Spark tables are built anew",
                os.fsdecode(before),
            )
            for folder in (self.root / "metastore_db", self.warehouse, self.root / "trial"):
                _remove_moved(folder)
        fresh = mark.with_name(f"location.{_PROCESS}")
        fresh.write_bytes(here)
        fresh.replace(mark)  # in one step: half a mark would look like another place


def _remove_moved(folder: Path) -> None:
    """``PipelineError`` where it stays: it would be taken for a folder of this place."""
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:  # a link, say, to what the first workspace still uses
        raise PipelineError(
            "The workspace was moved or copied here, and its Spark tables cannot be removed",
            found=f"{folder}: {error.strerror or error}",
            action="Remove it, then run again: it is built anew",
        ) from error


@functools.cache  # the lock ends with the process that holds it
def _scratch_lock(root: Path) -> IO[bytes]:
    """The file of a lock that each process shares with all others that use the folder."""
    return (root / "scratch.lock").open("ab")
