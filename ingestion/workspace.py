"""Where everything lies in the workspace folder."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from pathlib import Path

from ingestion.errors import PipelineError

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
        """What this process needs until it ends: Spark's shuffles, copies of marts."""
        return self.root / "scratch" / _PROCESS

    def make_scratch(self) -> Path:
        """The same, which is there afterwards."""
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

    def clear_scratch(self) -> None:
        """Removes what other processes have left there; for who holds the run lock."""
        for folder in self.scratch.parent.glob("*"):
            if folder != self.scratch:
                shutil.rmtree(folder, ignore_errors=True)

    def create(self) -> None:
        """Makes the folder; ``PipelineError`` when it cannot be written."""
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
