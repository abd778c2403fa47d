"""Spark is set up for what a run has to do, which is judged before it starts."""

from __future__ import annotations

import json
import uuid

import pytest

from ingestion.run import build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run.run_state import RunState
from ingestion.run.services import Services
from ingestion.steps import Steps
from ingestion.warehouse.dbt_build import DbtProject
from ingestion.warehouse.spark import WorkSize
from tests.conftest import PROJECT
from tests.run_without_spark import CONTRACT, HEADER, run, sale


def put(services: Services, name: str, rows: int) -> None:
    """Puts a file of so many sales into the inbox."""
    lines = "".join(sale(number, "2024-03-05", 1) for number in range(1, rows + 1))
    services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + lines).encode())


def note(services: Services) -> None:
    """The tables are those of the last publication."""
    state = RunState("run", services, CONTRACT, Steps(None), lambda: None)
    build_scope.note_published(state, "logic")


def begun(services: Services) -> RunState:
    """A run whose files are checked."""
    state = RunState(str(uuid.uuid4()), services, CONTRACT, Steps(None), lambda: None)
    if deliveries.take_files(state):
        deliveries.check_files(state)
    return state


def size_of(state: RunState, logic: str) -> WorkSize:
    """The size of the run's work."""
    workspace = state.services.workspace
    dbt = DbtProject(PROJECT, PROJECT, workspace.dbt_target, workspace.logs)
    return build_scope.work_size(state, dbt, logic)


def test_a_day_on_much_history_is_an_increment_and_a_backfill_is_large(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a small day waits for a compiler, or years of sales are counted by interpreted code."""
    monkeypatch.setattr(build_scope, "SMALL_WORK_ROWS", 100)
    put(services, "history", 90)
    run(services)
    note(services)
    config = {"partition_by": ["sales_month", "batch_id"]}
    fact = {"schema": "retail", "alias": "sales", "config": config}
    services.workspace.dbt_target.mkdir()
    manifest = services.workspace.dbt_target / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"sales": fact}}))
    months = services.workspace.warehouse / "retail.db" / "sales"
    (months / "sales_month=2024-03" / "batch_id=1").mkdir(parents=True)

    put(services, "day", 3)
    state = begun(services)
    assert size_of(state, "logic") == WorkSize.SMALL
    put(services, "more", 8)
    run(services)
    note(services)
    assert size_of(begun(services), "logic") == WorkSize.LARGE, "nothing to add"

    put(services, "day", 2)
    state = begun(services)
    assert size_of(state, "other logic") == WorkSize.LARGE
    state.full_refresh = True
    assert size_of(state, "logic") == WorkSize.LARGE
    run(services)
    note(services)

    put(services, "late", 2)
    state = begun(services)
    assert size_of(state, "logic") == WorkSize.LARGE, "a hundred rows are in its month"
    (months / "sales_month=2024-04" / "batch_id=1").mkdir(parents=True)
    assert size_of(state, "logic") == WorkSize.INCREMENT
    whole = manifest.read_text()
    manifest.write_text(whole[:-9])
    assert size_of(state, "logic") == WorkSize.LARGE, "a kill has cut dbt's manifest short"
    manifest.write_text(whole)
    run(services)
    note(services)
    put(services, "backfill", 4)
    assert size_of(begun(services), "logic") == WorkSize.LARGE
    run(services)
    note(services)
    put(services, "more", 7)
    size = size_of(begun(services), "logic")
    assert size == WorkSize.LARGE, "the batch of the older version is built again"
