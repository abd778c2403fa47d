"""Writes dbt's documentation, lineage included, as one HTML file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.errors import PipelineError
from ingestion.run.mart_steps import dbt_project, start_spark
from ingestion.warehouse.dbt_build import run_command
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from pathlib import Path

    from ingestion.config.settings import Settings

_NAME = "documentation.html"


def write_docs(settings: Settings) -> Path:
    """The path of the file. Columns come from the warehouse, so a run has to come first."""
    dbt, workspace = dbt_project(settings), Workspace(settings.workspace)
    workspace.create()
    if not workspace.warehouse.is_dir():
        raise PipelineError(
            "There is nothing to document yet",
            expected=f"a warehouse in {workspace.root}",
            action="Run the pipeline once, then try again",
        )
    start_spark(dbt, workspace)
    run_command(dbt, ("docs", "generate"), "--static")
    target = workspace.root / _NAME
    (dbt.target / "static_index.html").replace(target)
    return target
