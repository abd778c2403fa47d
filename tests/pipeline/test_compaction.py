"""Batches of closed months are merged; every published number, and every later change, stays."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from ingestion.commands import withdrawal
from ingestion.errors import PipelineError
from ingestion.run import compact_steps
from ingestion.run.compact_steps import record
from ingestion.run.compaction_report import Compaction
from ingestion.run.run_state import open_run
from ingestion.run.summary import RunSummary
from ingestion.warehouse import fact_tables
from ingestion.warehouse.fact_tables import copy_batches
from ingestion.warehouse.warehouse_state import list_hash, read_published
from tests.pipeline.conftest import HEADER, Pipeline, empty_warehouse

pytestmark = pytest.mark.slow

PUBLISHED = (
    "customers_data_mart",
    "sales_team_data_mart",
    "rpt_sales_by_customer",
    "rpt_sales_by_store_and_month",
)
# a key and its lines for each batch; May is open with --before 2024-05
DELIVERIES: tuple[dict[str, str], ...] = (
    {
        "a.csv": "2,122,besan,2024-03-05,4,52,2,104\n",
        "b.csv": "16,122,maida,2024-03-06,6,20,7,140\nx,1\n",
    },
    {
        "a.csv": "2,122,besan,2024-03-05,4,52,3,156\n",  # a correction
        "c.csv": "2,121,besan,2024-03-07,4,52,1,52\n",
        "empty.csv": "",
    },
    {
        "e.csv": "16,122,maida,2024-04-02,6,20,2,40\n",
        "f.csv": "16,122,maida,2024-04-03,6,20,3,60\n",
    },
    {"g.csv": "2,121,besan,2024-05-01,4,52,1,52\n"},
)


def compact(pipeline: Pipeline, before: str | None = None) -> Compaction | None:
    """One compaction, as the command line makes it."""
    with open_run(pipeline.settings, str(uuid.uuid4()), None) as state:
        return run_pipeline.merge_batches(state, before)


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
    state = read_published(pipeline.settings.workspace)
    return {} if state is None else dict(state.dimensions)


def bronze_names(pipeline: Pipeline) -> dict[str, list[str]]:
    """The Parquet files of each batch in bronze."""
    folders = (pipeline.settings.workspace / "bronze" / "sales").glob("batch_id=*")
    return {
        folder.name: sorted(path.name for path in folder.glob("*.parquet")) for folder in folders
    }


def deliver(pipeline: Pipeline, files: Mapping[str, str]) -> RunSummary:
    """A run with these files."""
    for key, lines in files.items():
        pipeline.put(key, HEADER + lines)
    return pipeline.run()


def copy_twice(session: Any, table: Any, merges: Any) -> None:
    """Copies the batches, and one of the new ones once more."""
    copy_batches(session, table, merges)
    new = next(iter(merges))
    session.sql(f"insert into {table.relation} select * from {table.relation} where batch_id={new}")


def recorded_and_cut_short(state: Any, merges: Any) -> None:
    """The database names the new batches, and there the process ends."""
    record(state, merges)
    raise KeyboardInterrupt


def test_merged_batches_change_no_number_and_take_every_later_change(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a merged row is lost or counted twice, now or at the next correction of its file; or
    a trial build is sealed, and nobody looks."""
    workspace = pipeline.settings.workspace
    assert compact(pipeline) is None
    *first, last = DELIVERIES
    for delivery in first:
        deliver(pipeline, delivery)
    files = pipeline.files()
    with monkeypatch.context() as patch:
        patch.setattr(fact_tables, "copy_batches", copy_twice)
        with pytest.raises(
            PipelineError, match=r"cannot be merged; the publication stays as it is\."
        ):
            compact(pipeline, "2024-05")
    assert pipeline.files() == files
    assert bronze_names(pipeline)["batch_id=4"] == ["2-5.parquet"]
    summary = deliver(pipeline, last)  # its batch gets the number of the one that never was
    assert list(summary.months) == ["2024-05"]

    before, objects = picture(pipeline, tmp_path), set(pipeline.keys(""))
    shown = shown_dimensions(pipeline)
    done = compact(pipeline, "2024-05")
    assert done is not None
    assert shown
    assert shown_dimensions(pipeline) == shown, "the next run would look at all months"
    assert picture(pipeline, tmp_path) == before
    assert set(pipeline.keys("")) == objects, "an object that is published was touched"
    # March of two batches, April of two files in one, and May, which is open and the newest
    assert [done.before[name].batches for name in done.before] == [4, 4, None]
    assert [done.after[name].batches for name in done.after] == [3, 3, None]
    assert bronze_names(pipeline) == {
        "batch_id=4": ["8.parquet"],
        "batch_id=5": ["2-5.parquet"],
        "batch_id=6": ["6-7.parquet"],
    }
    partitions = pipeline.sql(
        "select sales_month, batch_id, count(distinct _metadata.file_path) as files, "
        "count(*) as sales, sum(total_cost) as amount "
        "from retail.fct_sales group by sales_month, batch_id order by sales_month, batch_id"
    )
    assert [tuple(row.values()) for row in partitions] == [
        ("2024-03", 5, 1, 3, Decimal("348.00")),
        ("2024-04", 6, 1, 2, Decimal("100.00")),
        ("2024-05", 4, 1, 1, Decimal("52.00")),
    ]
    assert done.after["line marts"] == done.before["line marts"]
    assert sum(entry.count.amount_valid for entry in done.moved) == Decimal("448.00")
    assert compact(pipeline, "2024-05") is None

    pipeline.put("b.csv", HEADER + DELIVERIES[0]["b.csv"])
    pipeline.put("c.csv", HEADER + "16,122,besan,2024-03-08,4,52,2,104\n")
    pipeline.put("copy.csv", HEADER + DELIVERIES[2]["e.csv"])
    summary = pipeline.run(
        change=lambda services, run_id: withdrawal.retract_file(services, "f.csv", run_id)
    )
    assert list(summary.months) == ["2024-03", "2024-04"]
    assert pipeline.file("b.csv").reason == "already loaded: sent again, counted once"
    assert pipeline.file("copy.csv").status == "D"
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("156.00"),
        (16, "2024-03"): Decimal("244.00"),
        (16, "2024-04"): Decimal("40.00"),
        (2, "2024-05"): Decimal("52.00"),
    }
    assert pipeline.table("fct_quarantined_sales", "batch_id") == [{"batch_id": 5}]
    corrected = picture(pipeline, tmp_path)
    assert corrected["quarantine"] == before["quarantine"]

    pipeline.put("refused.csv", "no sales\n")  # the newest batch, which is left alone, has no sale
    assert pipeline.run().version is None
    with monkeypatch.context() as patch:
        patch.setattr(compact_steps, "record", recorded_and_cut_short)
        with pytest.raises(KeyboardInterrupt):
            compact(pipeline)
    assert compact(pipeline) is None
    assert bronze_names(pipeline) == {
        "batch_id=4": ["8.parquet"],
        "batch_id=6": ["6-7.parquet"],
        "batch_id=8": [],
        "batch_id=9": ["2-10.parquet"],
    }
    state = read_published(workspace)
    assert state is not None
    assert state.files == list_hash(workspace / "warehouse"), "the next run would build it all"
    assert state.merging == {}

    empty_warehouse(workspace)  # a new machine: S3 and the database are enough
    pipeline.run(full_refresh=True)
    assert picture(pipeline, tmp_path) == corrected
    assert bronze_names(pipeline) == {
        "batch_id=4": ["8.parquet"],
        "batch_id=6": ["6.parquet"],
        "batch_id=8": [],
        "batch_id=9": ["10.parquet", "2.parquet", "3.parquet", "5.parquet"],
    }

    (workspace / "warehouse.json").unlink()
    with pytest.raises(PipelineError, match="The warehouse cannot be compacted as it is"):
        compact(pipeline)
