"""Spark is set up for what a run has to do, which is judged before it starts."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ingestion.run import build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run.run_state import RunState
from ingestion.run.services import Services
from ingestion.warehouse.spark import WorkSize
from tests.run_without_spark import HEADER, new_run, run, sale, take_files


def put(services: Services, name: str, rows: int) -> None:
    """Puts a file of so many sales into the inbox."""
    lines = "".join(sale(number, "2024-03-05", 1) for number in range(1, rows + 1))
    services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + lines).encode())


def begun(services: Services) -> RunState:
    """A run whose files are checked."""
    state = new_run(services)
    if take_files(state):
        deliveries.check_files(state)
    return state


def test_a_day_on_much_history_is_an_increment_and_a_backfill_is_large(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a small day waits for a compiler, or years of sales are counted by interpreted code."""
    monkeypatch.setattr(build_scope, "SMALL_WORK_ROWS", 100)
    put(services, "history", 90)
    run(services)
    config = {"partition_by": ["sales_month", "batch_id"]}
    fact = {"schema": "retail", "alias": "sales", "config": config}
    manifest = services.workspace.dbt_target / "manifest.json"
    manifest.write_text(json.dumps({"nodes": {"sales": fact}}))
    months = services.workspace.warehouse / "retail.db" / "sales"
    (months / "sales_month=2024-03" / "batch_id=1").mkdir(parents=True)

    put(services, "day", 3)
    state = begun(services)
    assert build_scope.work_size(state) == WorkSize.SMALL
    put(services, "more", 8)
    run(services)

    put(services, "day", 2)
    state = begun(services)
    assert build_scope.work_size(dataclasses.replace(state, logic="other")) == WorkSize.LARGE
    state.full_refresh = True
    assert build_scope.work_size(state) == WorkSize.LARGE
    run(services)

    put(services, "late", 2)
    state = begun(services)
    assert build_scope.work_size(state) == WorkSize.LARGE, "a hundred rows are in its month"
    (months / "sales_month=2024-04" / "batch_id=1").mkdir(parents=True)
    assert build_scope.work_size(state) == WorkSize.INCREMENT
    whole = manifest.read_text()
    manifest.write_text(whole[:-9])
    assert build_scope.work_size(state) == WorkSize.LARGE, "dbt's manifest was cut short by a kill"
    manifest.write_text(whole)
    run(services)
    put(services, "backfill", 4)
    assert build_scope.work_size(begun(services)) == WorkSize.LARGE
    run(services)
    put(services, "more", 7)
    size = build_scope.work_size(begun(services))
    assert size == WorkSize.LARGE, "the batch of the older version is built again"
