"""Batches of closed months are merged; every published number, and every later change, stays."""

from __future__ import annotations

import gzip
import shutil
import uuid
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import run_pipeline
from ingestion import batches, withdrawal
from ingestion.compaction_report import Compaction
from ingestion.database import transaction
from tests.pipeline.conftest import HEADER, Pipeline

pytestmark = pytest.mark.slow

PUBLISHED = (
    "customers_data_mart",
    "sales_team_data_mart",
    "rpt_sales_by_customer",
    "rpt_sales_by_store_and_month",
)
# a key and its lines for each batch; two months are open with --before 2024-05
DELIVERIES: tuple[dict[str, str], ...] = (
    {
        "a.csv": "2,122,besan,2024-03-05,4,52,2,104\n",
        "b.csv": "16,122,maida,2024-03-06,6,20,7,140\nx,1\n",
    },
    {"c.csv": "2,121,besan,2024-03-07,4,52,1,52\n", "empty.csv": ""},
    {"a.csv": "2,122,besan,2024-03-05,4,52,3,156\n"},  # a correction
    {"d.csv": "16,122,maida,2024-03-31,6,20,1,20\n2,121,besan,2024-04-01,4,52,1,52\n"},
    {"e.csv": "16,122,maida,2024-04-02,6,20,2,40\n"},
    {"f.csv": "16,122,maida,2024-04-03,6,20,3,60\n"},
    {"g.csv": "2,121,besan,2024-05-01,4,52,1,52\n"},
    {"h.csv": "2,121,besan,2024-05-02,4,52,2,104\n"},
)


def compact(pipeline: Pipeline, before: str | None = None) -> Compaction | None:
    """One compaction, as the command line starts it."""
    return run_pipeline.compact_once(pipeline.settings, str(uuid.uuid4()), before, None)


def picture(pipeline: Pipeline, folder: Path) -> dict[str, Any]:
    """Everything that readers see, in the database and on S3; which batch brought it left out."""
    seen: dict[str, Any] = {
        name: sorted(str(sorted(row.items())) for row in pipeline.table(name)) for name in PUBLISHED
    }
    quarantined = pipeline.table("fct_quarantined_sales", "file_id", "line_number", "reasons")
    seen["quarantine"] = sorted(tuple(row.values()) for row in quarantined)
    for name in ("customer_sales", "sales_team_sales"):
        lines = pipeline.s3_table(name, folder)
        seen[name] = sorted(str(sorted(row.items())) for row in lines)
    return seen


def facts(pipeline: Pipeline) -> list[dict[str, Any]]:
    """Files, rows and money of each partition of the facts, as Spark reads them."""
    return pipeline.sql(
        "select sales_month, batch_id, count(distinct _metadata.file_path) as files, "
        "count(*) as sales, sum(total_cost) as amount from retail.fct_sales "
        "group by sales_month, batch_id order by sales_month, batch_id"
    )


def test_merged_batches_change_no_number_and_take_every_later_change(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: a merged row is lost or counted twice, now or at the next correction of its file."""
    assert compact(pipeline) is None
    for delivery in DELIVERIES:
        for key, lines in delivery.items():
            pipeline.put(key, HEADER + lines)
        pipeline.run()
    before, objects = picture(pipeline, tmp_path), set(pipeline.keys(""))
    old_facts = facts(pipeline)
    bronze = pipeline.settings.workspace / "bronze" / "sales"
    assert (len(list(bronze.rglob("*.parquet"))), len(old_facts)) == (10, 9)

    done = compact(pipeline, "2024-05")
    assert done is not None
    assert picture(pipeline, tmp_path) == before
    assert set(pipeline.keys("")) == objects
    assert {name: layer.batches for name, layer in done.before.items()} == {
        "bronze": 8,
        "facts": 8,
        "line marts": None,
    }
    # March; March to April; April; and the two batches of May as they were
    assert {name: layer.batches for name, layer in done.after.items()} == {
        "bronze": 5,
        "facts": 5,
        "line marts": None,
    }
    assert done.after["line marts"] == done.before["line marts"]
    assert done.after["facts"].files < done.before["facts"].files
    assert sum(entry.count.amount_valid for entry in done.moved) == Decimal("448.00")
