"""Real sales files give the marts that two independent programs computed, to the cent."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.run.run_state import DIMENSION_CONTRACT
from ingestion.warehouse.dimensions import load_dimensions
from tests.pipeline.conftest import PROJECT, Pipeline, read_csv

pytestmark = pytest.mark.slow

CUSTOMER_COLUMNS = (
    "customer_id",
    "full_name",
    "address",
    "phone_number",
    "sales_date_month",
    "total_sales",
)
SELLER_COLUMNS = (
    "store_id",
    "sales_person_id",
    "full_name",
    "sales_month",
    "total_sales",
    "incentive",
)
MONEY = ("total_sales", "incentive")


def comparable(rows: Iterable[dict[str, Any]], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """The columns as exact text, sorted; null and the truth files' empty are one."""
    return sorted(
        tuple(
            str(Decimal(row[name]).quantize(Decimal("0.01")))
            if name in MONEY
            else str("" if row[name] is None else row[name])
            for name in columns
        )
        for row in rows
    )


def assert_truth(pipeline: Pipeline, truth: Path, folder: Path) -> None:
    """Both marts, in the database and on S3, equal the truth files row for row."""
    for name, columns in (
        ("customers_data_mart", CUSTOMER_COLUMNS),
        ("sales_team_data_mart", SELLER_COLUMNS),
    ):
        expected = comparable(read_csv(truth / f"{name}.csv"), columns)
        assert comparable(pipeline.table(name), columns) == expected
        assert comparable(pipeline.s3_table(name, folder), columns) == expected
    total = sum(Decimal(row["total_sales"]) for row in read_csv(truth / "month_totals.csv"))
    for name in ("customer_sales", "sales_team_sales"):
        rows = pipeline.s3_table(name, folder)
        assert sum((row["total_cost"] for row in rows), Decimal(0)) == total


def load_shared_dimensions(pipeline: Pipeline, folder: Path) -> None:
    load_dimensions(pipeline.engine, folder, PROJECT / DIMENSION_CONTRACT)


def test_tutorial_first_file_then_both_and_the_bad_one(
    pipeline: Pipeline, shared: Path, tmp_path: Path
) -> None:
    """Risk: a cent differs from what a bookkeeper computes, or the second file disturbs it."""
    data = shared / "data" / "tutorial"
    load_shared_dimensions(pipeline, data)
    pipeline.put("first.csv", (data / "sales_2024-03_to_08.csv").read_bytes())
    assert pipeline.run().exit_code == 0
    assert_truth(pipeline, data / "truth_first_file", tmp_path)

    pipeline.put("second.csv", (data / "sales_2024-07-15_with_payment_mode.csv").read_bytes())
    pipeline.put("bad.csv", (data / "bad_2023-05-15_no_store_id.csv").read_bytes())
    summary = pipeline.run()
    assert summary.exit_code == 3
    assert list(summary.months) == ["2024-07"]
    assert_truth(pipeline, data / "truth_both_files", tmp_path)
    assert [row.status for row in pipeline.files()] == ["I", "E", "I"]
    assert "missing column: store_id" in (pipeline.file("bad.csv").reason or "")
    assert pipeline.keys("sales_data/") == []
    assert pipeline.keys("sales_data_error/") == [
        "sales_data_error/bad.csv",
        "sales_data_error/bad.csv.reasons.json",
    ]


def test_bike_store_by_month(pipeline: Pipeline, shared: Path, tmp_path: Path) -> None:
    """Risk: one product name for two products multiplies sales; equal lines are taken for one."""
    data = shared / "data" / "bike_store"
    load_shared_dimensions(pipeline, data)
    for path in sorted((data / "sales_by_month").iterdir()):
        pipeline.put(path.name, path.read_bytes())
    summary = pipeline.run()
    assert (summary.exit_code, summary.rows_read, summary.rows_valid) == (0, 4722, 4722)
    assert summary.money.valid == Decimal("8578988.88")
    assert summary.money.balance == 0
    assert len(summary.months) == 35
    assert_truth(pipeline, data / "truth", tmp_path)
