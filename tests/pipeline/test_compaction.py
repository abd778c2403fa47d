"""Batches of closed months are merged; every published number, and every later change, stays."""

from __future__ import annotations

import shutil
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from ingestion.commands import withdrawal
from ingestion.errors import PipelineError
from ingestion.run.compaction_report import Compaction
from ingestion.warehouse import fact_tables
from ingestion.warehouse.warehouse_state import read_state
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


def shown_dimensions(pipeline: Pipeline) -> dict[str, str]:
    """The versions of the dimension tables that the marts are known to show."""
    state = read_state(pipeline.settings.workspace)
    return {} if state is None else dict(state.dimensions)


def bronze_names(pipeline: Pipeline) -> dict[str, list[str]]:
    """The Parquet files of each batch in bronze."""
    folders = (pipeline.settings.workspace / "bronze" / "sales").glob("batch_id=*")
    return {
        folder.name: sorted(path.name for path in folder.glob("*.parquet")) for folder in folders
    }


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
    shown = shown_dimensions(pipeline)
    done = compact(pipeline, "2024-05")
    assert done is not None
    assert shown
    assert shown_dimensions(pipeline) == shown, "the next run would look at all months"
    assert picture(pipeline, tmp_path) == before
    assert set(pipeline.keys("")) == objects, "an object that is published was touched"
    # March; March to April; April; and May's two, one of an open month and one the newest
    assert [done.before[name].batches for name in done.before] == [8, 8, None]
    assert [done.after[name].batches for name in done.after] == [5, 5, None]
    assert bronze_names(pipeline) == {
        "batch_id=4": ["6.parquet"],
        "batch_id=7": ["9.parquet"],
        "batch_id=8": ["10.parquet"],
        "batch_id=9": ["2-5.parquet"],
        "batch_id=10": ["7-8.parquet"],
    }
    partitions = pipeline.sql(
        "select sales_month, batch_id, count(distinct _metadata.file_path) as files "
        "from retail.fct_sales group by sales_month, batch_id order by sales_month, batch_id"
    )
    assert [tuple(row.values()) for row in partitions] == [
        ("2024-03", 4, 1),
        ("2024-03", 9, 1),
        ("2024-04", 4, 1),
        ("2024-04", 10, 1),
        ("2024-05", 7, 1),
        ("2024-05", 8, 1),
    ]
    assert done.after["line marts"] == done.before["line marts"]
    assert sum(entry.count.amount_valid for entry in done.moved) == Decimal("448.00")
    assert compact(pipeline, "2024-05") is None

    pipeline.put("b.csv", HEADER + DELIVERIES[0]["b.csv"])
    pipeline.put("c.csv", HEADER + "16,122,besan,2024-03-08,4,52,2,104\n")
    pipeline.put("copy.csv", HEADER + DELIVERIES[4]["e.csv"])
    summary = pipeline.run()
    assert list(summary.months) == ["2024-03"]
    assert pipeline.file("b.csv").reason == "already loaded: sent again, counted once"
    assert pipeline.file("copy.csv").status == "D"
    summary = pipeline.run(
        change=lambda services, run_id: withdrawal.retract_file(services, "f.csv", run_id)
    )
    assert list(summary.months) == ["2024-04"]
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("156.00"),
        (16, "2024-03"): Decimal("264.00"),
        (2, "2024-04"): Decimal("52.00"),
        (16, "2024-04"): Decimal("40.00"),
        (2, "2024-05"): Decimal("156.00"),
    }

    assert pipeline.table("fct_quarantined_sales", "batch_id") == [{"batch_id": 9}]

    corrected = picture(pipeline, tmp_path)
    assert corrected["quarantine"] == before["quarantine"]
    shutil.rmtree(pipeline.settings.workspace / "bronze" / "sales" / "batch_id=9")
    pipeline.run(full_refresh=True)
    assert picture(pipeline, tmp_path) == corrected
    assert bronze_names(pipeline)["batch_id=9"] == ["2.parquet", "4.parquet", "5.parquet"]
    assert compact(pipeline) is not None
    pipeline.run(full_refresh=True)
    assert picture(pipeline, tmp_path) == corrected
    assert bronze_names(pipeline) == {
        "batch_id=4": ["6.parquet"],
        "batch_id=10": ["7-8.parquet"],
        "batch_id=12": [],
        "batch_id=13": ["2-11.parquet"],
        "batch_id=14": ["9-10.parquet"],
    }


def test_a_compaction_that_does_not_add_up_is_refused_and_undone(
    sqlite_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a row is doubled on the way, or a trial build is sealed, and nobody looks."""
    pipeline = sqlite_pipeline
    for key, day in (("a.csv", "2024-03-05"), ("b.csv", "2024-03-06"), ("c.csv", "2024-03-07")):
        pipeline.put(key, HEADER + f"2,122,besan,{day},4,52,2,104\n")
        pipeline.run()
    copy_batches = fact_tables.copy_batches

    def copy_twice(session: Any, table: Any, merges: Any) -> None:
        copy_batches(session, table, merges)
        session.sql(f"insert into {table.relation} select * from {table.relation} where batch_id=4")

    with monkeypatch.context() as patch:
        patch.setattr(fact_tables, "copy_batches", copy_twice)
        with pytest.raises(PipelineError, match=r"cannot be merged; what is published stays\."):
            compact(pipeline)
    assert [row.batch_id for row in pipeline.files()] == [1, 2, 3]
    done = compact(pipeline)
    assert done is not None
    assert (done.before["bronze"].files, done.after["bronze"].files) == (3, 2)
    assert [row.batch_id for row in pipeline.files()] == [4, 4, 3]
    [sums] = pipeline.sql(
        "select count(*) as sales, sum(total_cost) as amount from retail.fct_sales"
    )
    assert tuple(sums.values()) == (3, Decimal("312.00"))

    (pipeline.settings.workspace / "warehouse.json").unlink()
    with pytest.raises(PipelineError, match="The warehouse cannot be compacted as it is"):
        compact(pipeline)
