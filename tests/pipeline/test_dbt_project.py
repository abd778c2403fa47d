"""The dbt project keeps its own promises, and an analyst's plain build gives the same marts."""

from __future__ import annotations

import io
import json
from decimal import Decimal

import pytest
from rich.console import Console

from ingestion.commands.docs import write_docs
from ingestion.commands.doctor import examine
from ingestion.run.mart_steps import dbt_project
from ingestion.warehouse.dbt_build import DbtProject, run_command
from ingestion.warehouse.dbt_manifest import read_manifest
from ingestion.warehouse.spark import WORK_SIZE_VARIABLE, WorkSize
from tests.pipeline.conftest import SALES, Pipeline, empty_warehouse
from tests.project_rules import check_columns, check_examples, check_names
from tests.wrong_rows import check_data_tests

pytestmark = pytest.mark.slow

EARLIER_SALES = "".join(
    f"16,122,maida,2023-{month}-12,6,20,7,140\n" for month in ("09", "10", "11", "12")
)
NO_SALE = "2,122,besan,2024-02-30,4,52,2,104\n"


def test_an_analysts_plain_build_gives_the_same_marts_and_passes_all_unit_tests(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: dbt alone works on other tables, a rule's example no longer holds, or code that Spark
    generates, as it does for much data, comes to another result."""
    pipeline.put("a.csv", SALES + EARLIER_SALES + NO_SALE)
    pipeline.run()
    queries = (
        "select * from retail.sales_team_data_mart order by sales_month, sales_person_id",
        "select * from retail.rpt_sales_by_customer order by customer_id",
    )
    before = [pipeline.sql(query) for query in queries]
    assert before[1][0]["change_to_previous_month"] == Decimal("-52.00")
    dbt: DbtProject = dbt_project(pipeline.settings)
    monkeypatch.setenv(WORK_SIZE_VARIABLE, WorkSize.INCREMENT)
    [generated] = pipeline.sql("set spark.sql.codegen.factoryMode")
    assert generated["value"] == "NO_CODEGEN"
    try:
        run_command(dbt, ("build",))
        [generated] = pipeline.sql("set spark.sql.codegen.factoryMode")
        assert generated["value"] == "FALLBACK"
        assert [pipeline.sql(query) for query in queries] == before
    finally:
        pipeline.sql("set spark.sql.codegen.factoryMode = NO_CODEGEN")  # as other tests expect it
    manifest = read_manifest(dbt.target)
    check_data_tests(pipeline, manifest)
    check_examples(manifest)
    check_names(dbt)
    page = write_docs(pipeline.settings)
    assert "sales_team_data_mart" in page.read_text(encoding="utf-8")
    catalog = json.loads((dbt.target / "catalog.json").read_text(encoding="utf-8"))
    check_columns(manifest, {**catalog["nodes"], **catalog["sources"]})
    told = Console(file=io.StringIO(), width=200)
    assert examine(pipeline.settings, told), told.file.getvalue()

    pipeline.put("b.csv", SALES.replace("2024-03", "2024-05"))
    summary = pipeline.run()
    assert set(summary.months) == {"2024-04", "2024-05"}, (
        "what somebody else built is built anew from bronze; March came out as it was"
    )
    totals = pipeline.totals()
    empty_warehouse(pipeline.settings.workspace)  # a new machine: S3 and the database are enough
    pipeline.run(full_refresh=True)
    assert pipeline.totals() == totals
