"""Spark is set up for what a run has to do, which is judged before it starts."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.config.settings import load_settings
from ingestion.run import delivery_steps as deliveries
from ingestion.run import mart_steps
from ingestion.run.run_state import RunState
from ingestion.run.services import Services, open_services
from ingestion.steps import Steps
from ingestion.warehouse.spark import WorkSize
from ingestion.warehouse.warehouse_state import WarehouseState, write_state
from tests.run_without_spark import CONTRACT, HEADER, run, sale
from tests.services import Bucket


@pytest.fixture
def services(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """A bucket and a database in a file."""
    environ = s3_bucket.environment | {"RETAIL_WORKSPACE": str(tmp_path / "workspace")}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with open_services(load_settings(tmp_path, environ), os.environ) as opened:
        yield opened


def put(services: Services, name: str, rows: int) -> None:
    """Puts a file of so many sales into the inbox."""
    lines = "".join(sale(number, "2024-03-05", 1) for number in range(1, rows + 1))
    services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + lines).encode())


def begun(services: Services) -> RunState:
    """A run whose files are checked."""
    state = RunState(str(uuid.uuid4()), services, CONTRACT, Steps(None))
    if deliveries.take_files(state):
        deliveries.check_files(state)
    return state


def test_a_day_on_much_history_is_an_increment_and_a_backfill_is_large(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a small day waits for a compiler, or years of sales are counted by interpreted code."""
    monkeypatch.setattr(mart_steps, "SMALL_WORK_ROWS", 100)
    put(services, "history", 90)
    run(services)
    root = services.workspace.root
    write_state(root, WarehouseState("logic", "", True))

    put(services, "day", 3)
    state = begun(services)
    assert mart_steps.work_size(state, "logic") == WorkSize.SMALL
    put(services, "more", 8)
    run(services)
    assert mart_steps.work_size(begun(services), "logic") == WorkSize.LARGE, "nothing to add"

    put(services, "day", 2)
    state = begun(services)
    assert mart_steps.work_size(state, "other logic") == WorkSize.LARGE
    state.full_refresh = True
    assert mart_steps.work_size(state, "logic") == WorkSize.LARGE
    run(services)

    put(services, "late", 2)
    assert mart_steps.work_size(begun(services), "logic") == WorkSize.INCREMENT
    run(services)
    put(services, "backfill", 4)
    assert mart_steps.work_size(begun(services), "logic") == WorkSize.LARGE
    run(services)
    put(services, "more", 7)
    size = mart_steps.work_size(begun(services), "logic")
    assert size == WorkSize.LARGE, "the batch of the older version is built again"
