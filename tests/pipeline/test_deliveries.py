"""Files come again, come late, come corrected and come broken; each sale counts once."""

from __future__ import annotations

import json
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.errors import PipelineError
from ingestion.run import mart_steps
from ingestion.warehouse.dbt_build import UNCHANGED_VARIABLE
from tests.pipeline.conftest import DIMENSIONS, HEADER, Pipeline

pytestmark = pytest.mark.slow

MARCH = "2,122,besan,2024-03-05,4,52,2,104\n"
MAIDA = "16,122,maida,2024-03-12,6,20,7,140\n"
JUNE = "2,122,besan,2024-06-05,4,52,1,52\n"


def test_one_day_of_good_and_bad_files(pipeline: Pipeline) -> None:
    """Risk: one broken file or row stops the others, or vanishes without an address."""
    pipeline.put("a.csv", HEADER + MARCH)
    pipeline.put("b.csv", HEADER + MAIDA)
    pipeline.put("c.csv", HEADER.replace(",total_cost", "") + "2,122,besan,2024-03-05,4,52,2\n")
    pipeline.put("empty_day.csv", HEADER)
    odd_name = "rows of {{ 1/0 }} '; drop table customer; -- 🫖.csv"
    pipeline.put(odd_name, HEADER + JUNE + "\n3,122,besan,2024-02-30,4,fifty,1,52\n4,5\n" + JUNE)
    long_name = "very long thing " * 100
    unknown = f"999,777,{long_name},2024-03-05,55,500,1,500\n"
    no_date = unknown.replace("2024-03-05", "1970-01-01")  # and no store that had to be open
    pipeline.put("unknown.csv", HEADER + unknown + no_date)
    summary = pipeline.run()
    assert summary.exit_code == 3
    assert (summary.rows_read, summary.rows_valid, summary.rows_quarantined) == (8, 5, 3)
    assert [row.status for row in pipeline.files()] == ["I", "I", "E", "I", "I", "I"]

    assert "total_cost" in (pipeline.file("c.csv").reason or "")
    assert pipeline.file("empty_day.csv").rows_read == 0
    assert pipeline.keys("sales_data/") == []
    assert len(pipeline.keys("sales_data_processed/")) == 5
    assert pipeline.keys("sales_data_error/") == [
        "sales_data_error/c.csv",
        "sales_data_error/c.csv.reasons.json",
    ]

    rows = pipeline.table("fct_quarantined_sales")
    assert [(row["file_name"], row["line_number"]) for row in rows] == [
        (f"sales_data/{odd_name}", 4),
        (f"sales_data/{odd_name}", 5),
        ("sales_data/unknown.csv", 3),
    ]
    assert rows[0]["reason_codes"] == "invalid_sales_date, invalid_price"
    assert rows[0]["raw_sales_date"] == "2024-02-30"
    assert "column count" in rows[1]["reasons"]
    assert rows[1]["raw_line"] == "4,5"
    assert rows[2]["reasons"] == (
        "out_of_range_sales_date: sales_date: expected at least 1990-01-01, found '1970-01-01'"
    )
    counted = pipeline.file(odd_name)
    assert (counted.rows_valid, counted.rows_quarantined) == (2, 2)
    assert counted.amount_valid == Decimal("104.00")

    assert sum(pipeline.totals().values()) == Decimal("848.00")
    customers = {row["customer_id"]: row for row in pipeline.table("customers_data_mart")}
    assert Decimal(customers[999]["total_sales"]) == Decimal("500.00")
    assert customers[999]["full_name"] == "Unknown"
    assert customers[16]["full_name"] == "Asha 🫖 Rossi"
    sellers = {row["store_id"]: row for row in pipeline.table("sales_team_data_mart")}
    assert sellers[777]["full_name"] == "Unknown"
    products = {row["store_id"]: row for row in pipeline.table("rpt_sales_by_product_and_month")}
    assert products[777]["product_name"] == long_name.strip()


def test_late_and_corrected_files_count_in_their_months_and_touch_no_other(
    pipeline: Pipeline,
) -> None:
    """Risk: a late sale replaces its month, or a run rewrites months it has no business with; or
    old and new version are added up, or a month that became empty stays."""
    other = HEADER + MAIDA + MAIDA.replace("2024-03", "2024-05")
    pipeline.put("a.csv", HEADER + MARCH + JUNE)
    pipeline.put("b.csv", other)
    pipeline.run()
    may, before = published_objects(pipeline, "2024-05"), set(pipeline.keys(""))
    rows = published_rows(pipeline)
    pipeline.put("a.csv", HEADER + MARCH.replace(",104", ",140"))
    pipeline.put("late.csv", HEADER + "16,122,maida,2024-03-31,6,20,7,140\n")
    summary = pipeline.run()
    assert list(summary.months) == ["2024-03", "2024-06"]
    assert len(may) >= 4, "of each mart"
    assert published_objects(pipeline, "2024-05") == may
    new = [key for key in set(pipeline.keys("")) - before if "/v000002-" in key]
    assert summary.rows_loaded == len(published_rows(pipeline) - rows) < len(rows)
    assert summary.objects_uploaded == len([key for key in new if key.endswith(".parquet")])
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("140.00"),
        (16, "2024-03"): Decimal("280.00"),
        (16, "2024-05"): Decimal("140.00"),
    }
    sellers = {
        (row["sales_person_id"], row["sales_month"]): Decimal(row["incentive"])
        for row in pipeline.table("sales_team_data_mart")
    }
    assert sellers == {
        (4, "2024-03"): Decimal("0.00"),
        (6, "2024-03"): Decimal("2.80"),
        (6, "2024-05"): Decimal("1.40"),
    }
    assert [row.status for row in pipeline.files()] == ["S", "I", "I", "I"]
    kept = pipeline.keys("sales_data_processed/")
    assert len(kept) == 4, "both versions and the other files are archived, none over another"
    assert {row.file_location for row in pipeline.files()} == {
        pipeline.store.location(key) for key in kept
    }

    pipeline.put("a.csv", other)  # what b.csv says already
    summary = pipeline.run()
    assert (list(summary.months), summary.files["duplicate"]) == (["2024-03"], 1)
    assert published_objects(pipeline, "2024-05") == may
    assert pipeline.totals() == {
        (16, "2024-03"): Decimal("280.00"),
        (16, "2024-05"): Decimal("140.00"),
    }
    assert [row.status for row in pipeline.files()] == ["S", "I", "S", "I", "D"]


REPORT = """
select
    sales_date_month as sales_month,
    cast(sum(total_sales) as decimal(28, 2)) as total_sales

from {{ ref('customers_data_mart') }}

group by sales_date_month
"""
REPORT_YAML = """
models:
  - name: rpt_sales_by_month
    config:
      meta:
        publish:
          s3: customer
          database: true
          key: [sales_month]
    columns:
      - name: sales_month
        data_type: string
      - name: total_sales
        data_type: decimal(28,2)
"""


def test_a_new_report_reads_the_marts_and_no_sale(pipeline: Pipeline, tmp_path: Path) -> None:
    """Risk: each report that an analyst adds makes the next run build years of sales again."""
    project = pipeline.copy_project(tmp_path / "project")
    pipeline.put("a.csv", HEADER + MARCH + JUNE)
    pipeline.run()
    rows, fact = published_rows(pipeline), pipeline.settings.workspace / "warehouse/retail.db"
    files = sorted(fact.glob("*_sales/**/*.parquet"))

    reports = project / "models" / "reporting"
    (reports / "rpt_sales_by_month.sql").write_text(REPORT)
    (reports / "_more__models.yml").write_text(REPORT_YAML)
    shutil.rmtree(pipeline.settings.workspace / "bronze" / "sales")
    summary = pipeline.run()

    assert summary.exit_code == 0
    assert sorted(fact.glob("*_sales/**/*.parquet")) == files
    new = [{"sales_month": "2024-03", "total_sales": Decimal("104.00")}]
    new += [{"sales_month": "2024-06", "total_sales": Decimal("52.00")}]
    assert pipeline.table("rpt_sales_by_month") == new
    assert published_rows(pipeline) - rows == {("rpt_sales_by_month", str(row)) for row in new}
    assert rows <= published_rows(pipeline)
    assert summary.rows_loaded == 2


def test_a_new_rate_holds_from_its_month_on_and_leaves_paid_months(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: whoever enters a new rate changes months that are paid already, or pays nobody for them
    where the new line has taken the place of the old one."""
    rates = pipeline.copy_project(tmp_path / "project") / "seeds" / "incentive_rates.csv"
    scheme_before = rates.read_text()
    pipeline.put("a.csv", HEADER + MARCH + JUNE)
    pipeline.run()
    rows, march = published_rows(pipeline), published_objects(pipeline, "2024-03")

    rates.write_text("from_month,rank_in_store,rate\n2024-06,1,0.02\n")
    with pytest.raises(PipelineError) as caught:
        pipeline.run()
    assert (
        "{'store_id': 122, 'sales_person_id': 4, 'sales_month': '2024-03', 'keys_found': 1,"
        " 'rows_found': 1, 'broken_promises': 'incentive is not null; "
    ) in str(caught.value)
    assert " Fix the data, the model or the test, and run again;" in str(caught.value)
    assert published_rows(pipeline) == rows

    rates.write_text(scheme_before + "2024-06,1,0.02\n")
    summary = pipeline.run()
    assert summary.exit_code == 0
    paid = pipeline.table("sales_team_data_mart", "sales_month", "incentive")
    assert sorted((row["sales_month"], row["incentive"]) for row in paid) == [
        ("2024-03", Decimal("1.04")),
        ("2024-06", Decimal("1.04")),
    ]
    assert published_objects(pipeline, "2024-03") == march
    assert {table for table, _ in rows - published_rows(pipeline)} == {
        "sales_team_data_mart",
        "rpt_sales_by_seller_and_month",
        "rpt_sales_by_store_and_month",
    }


def published_rows(pipeline: Pipeline) -> set[tuple[str, str]]:
    """The rows of every published table in the database, each with its table's name."""
    own = {"product_staging_table", "pipeline_batches", "publications", *DIMENSIONS}
    names = set(sa.inspect(pipeline.engine).get_table_names()) - own
    return {(name, str(row)) for name in names for row in pipeline.table(name)}


def published_objects(pipeline: Pipeline, month: str) -> set[str]:
    """The keys on S3 of the month's part of the marts, by the pointer."""
    pointer = json.loads(pipeline.store.get_bytes("publications/current.json"))
    manifest = json.loads(pipeline.store.get_bytes(pointer["manifest"]))
    return {
        file["key"]
        for table in manifest["tables"]
        for file in table["files"]
        if file["path"].partition("/")[0].endswith(f"={month}")
    }


def test_a_changed_customer_takes_its_months_along_even_past_a_run_that_failed(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Risk: a run takes a dimension for unchanged, and old months show a name that is gone; or a
    month that a run has dropped, and not written again, is looked for by the name alone."""

    def names() -> set[tuple[str, str]]:
        rows = pipeline.table("customers_data_mart", "sales_date_month", "full_name")
        return {(row["sales_date_month"], row["full_name"]) for row in rows}

    def unchanged() -> set[str]:
        return set(filter(None, os.environ.get(UNCHANGED_VARIABLE, "").split(",")))

    def cut_short(*_: Any) -> None:
        pipeline.sql(
            "alter table retail.customers_data_mart drop partition (sales_date_month = '2024-05')"
        )
        refuse()

    may = MARCH.replace("2024-03", "2024-05")
    pipeline.put("a.csv", HEADER + MARCH + MAIDA.replace("2024-03", "2024-04") + may)
    pipeline.run()
    with pipeline.engine.begin() as connection:
        connection.execute(sa.text("update customer set last_name = 'Roy' where customer_id = 2"))
    pipeline.put("june.csv", HEADER + JUNE.replace("2,122", "16,122", 1))
    with monkeypatch.context() as patched:
        patched.setattr(mart_steps, "build", cut_short)
        with pytest.raises(PipelineError, match="not today"):
            pipeline.run()
    assert list(pipeline.run().months) == ["2024-03", "2024-05", "2024-06"]
    assert unchanged() == set(), "the run that failed had seen the new name"
    shown = {("2024-03", "Dhanu Roy"), ("2024-05", "Dhanu Roy")}
    shown |= {("2024-04", "Asha 🫖 Rossi"), ("2024-06", "Asha 🫖 Rossi")}
    assert names() == shown

    with pipeline.engine.begin() as connection:
        connection.execute(sa.text("update store set reviews = 'Busy' where id = 122"))
        connection.execute(sa.text("update sales_team set manager_id = 9 where id = 6"))
    pipeline.put("july.csv", HEADER + JUNE.replace("2024-06", "2024-07"))
    assert list(pipeline.run().months) == ["2024-04", "2024-07"], "no mart shows the reviews"
    assert unchanged() == {"customer", "product"}
    assert names() == shown | {("2024-07", "Dhanu Roy")}
    lines = pipeline.s3_table("sales_team_sales", tmp_path)
    managers = {(row["sales_person_id"], row["manager_id"]) for row in lines}
    assert managers == {(4, 10), (6, 9)}


def refuse(*_: Any) -> None:
    """Stands for a step that fails."""
    raise PipelineError("not today")
