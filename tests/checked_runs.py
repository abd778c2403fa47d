"""Runs that a test leads up to the build: files taken, checked, and what there is to build."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, all_rows, counted_rows
from ingestion.run import build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run.run_state import RunState
from ingestion.run.services import Services
from ingestion.workspace import Workspace
from tests.run_without_spark import HEADER, new_run, parsed_models, sale, take_files


def put(services: Services, key: str, *days: str) -> None:
    """Puts a file with a sale on each of these days into the inbox."""
    lines = "".join(sale(number, day, 1) for number, day in enumerate(days, start=1))
    services.store.put_bytes(f"sales_data/{key}", (HEADER + lines).encode())


def started(services: Services) -> RunState:
    """A run whose files are checked."""
    state = new_run(services)
    if take_files(state):
        deliveries.check_files(state)
        deliveries.move_uncounted_files(state)
    return state


def scope(state: RunState, builder: str = "") -> list[int] | None:
    """The batches that the run builds; None for all."""
    return build_scope.batches_to_build(state, parsed_models(state), builder)


def cut_short(services: Services) -> RunState:
    """A run that is ended while dbt builds."""
    state = started(services)
    begin(state, "", is_increment=scope(state) is not None)
    return state


def begin(state: RunState, builder: str, *, is_increment: bool) -> None:
    """The run is about to have dbt build."""
    build_scope.note_begun(state, parsed_models(state), builder, is_increment=is_increment)


def elsewhere(services: Services, folder: Path) -> Services:
    """Another machine's workspace for the same bucket and database."""
    workspace = Workspace(folder)
    workspace.create()
    settings = services.settings.model_copy(update={"workspace": folder})
    return dataclasses.replace(services, settings=settings, workspace=workspace)


def file_rows(services: Services) -> list[FileRow]:
    return in_transaction(services.engine, all_rows)


def counted(services: Services) -> list[str]:
    """What counts: each file with its days in bronze."""
    rows = file_rows(services)
    found = in_transaction(services.engine, lambda connection: counted_rows(connection, rows))
    return [f"{row.id} {row.file_name}" for row in found]
