"""The dbt project keeps its own promises: layers, descriptions, unit tests, a plain build."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import PipelineError
from ingestion.run.mart_steps import dbt_project
from ingestion.warehouse.dbt_build import DbtProject, read_manifest, run_command
from ingestion.warehouse.spark import WORK_SIZE_VARIABLE, WorkSize
from tests.pipeline.conftest import HEADER, Pipeline, empty_warehouse

pytestmark = pytest.mark.slow

SALES = (
    f"{HEADER}2,122,besan,2024-03-05,4,52,2,104\n16,122,maida,2024-04-12,6,20,7,140\n"
    "2,122,besan,2024-04-06,4,52,1,52\n"
)
MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "core", "seed"},
    "core": {"staging", "intermediate", "core"},
    "customer": {"core", "intermediate", "customer"},
    "sales": {"core", "intermediate", "sales", "seed"},
    "reporting": {"customer", "sales", "intermediate", "reporting"},
}


def layer(node: dict[str, Any]) -> str:
    """The folder that decides what a model may read."""
    if node["resource_type"] != "model":
        return str(node["resource_type"])
    return Path(node["path"]).parent.name


def test_an_analysts_plain_build_gives_the_same_marts_and_passes_all_unit_tests(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: dbt alone works on other tables, a rule's example no longer holds, or code that Spark
    generates, as it does for much data, comes to another result."""
    pipeline.put("a.csv", SALES)
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
    run_command(dbt, ("build",))
    [generated] = pipeline.sql("set spark.sql.codegen.factoryMode")
    assert generated["value"] == "FALLBACK"
    assert [pipeline.sql(query) for query in queries] == before
    check_keys(pipeline, dbt)
    pipeline.sql("set spark.sql.codegen.factoryMode = NO_CODEGEN")  # as other tests expect it
    manifest = read_manifest(dbt)
    assert len(manifest["unit_tests"]) >= 10
    check_layers(manifest)
    check_descriptions(manifest)

    pipeline.put("b.csv", SALES.replace("2024-03", "2024-05"))
    summary = pipeline.run()
    assert set(summary.months) == {"2024-04", "2024-05"}, (
        "what somebody else built is built anew from bronze; March came out as it was"
    )
    totals = pipeline.totals()
    empty_warehouse(pipeline.settings.workspace)  # a new machine: S3 and the database are enough
    pipeline.run(full_refresh=True)
    assert pipeline.totals() == totals


def check_keys(pipeline: Pipeline, dbt: DbtProject) -> None:
    """A line that is twice in the fact, or has no number, is found; one far behind is none."""
    name = "fct_sales_has_each_line_of_a_file_once_whole_and_within_its_ranges"
    columns = [row["col_name"] for row in pipeline.sql("describe table retail.fct_sales")]
    listed = columns[: columns.index("# Partition Information")]
    for number, is_wrong in (("66L", False), ("2L", True), ("cast(null as bigint)", True)):
        chosen = (f"{number} as line_number" if one == "line_number" else one for one in listed)
        pipeline.sql(
            f"insert into retail.fct_sales select {', '.join(chosen)} from retail.fct_sales "
            "where line_number = 2"
        )
        with pytest.raises(PipelineError) if is_wrong else contextlib.nullcontext():
            run_command(dbt, ("test",), "--select", name)
        if is_wrong:
            run_command(dbt, ("run",), "--full-refresh", "--select", "fct_sales")


def check_layers(manifest: dict[str, Any]) -> None:
    """Layers point one way."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    wrong = [
        f"{node['name']} ({layer(node)}) reads {nodes[parent]['name']} ({layer(nodes[parent])})"
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for parent in node["depends_on"]["nodes"]
        if layer(nodes[parent]) not in MAY_READ[layer(node)]
    ]
    assert wrong == []


def check_descriptions(manifest: dict[str, Any]) -> None:
    """Every model, seed, source and column is described; published marts have exposures."""
    missing = []
    for node in [*manifest["nodes"].values(), *manifest["sources"].values()]:
        if node["resource_type"] not in ("model", "seed", "source"):
            continue
        if not node["description"].strip():
            missing.append(node["name"])
        missing += [
            f"{node['name']}.{name}"
            for name, column in node["columns"].items()
            if not column["description"].strip()
        ]
    assert missing == []
    exposed = {
        parent
        for exposure in manifest["exposures"].values()
        for parent in exposure["depends_on"]["nodes"]
    }
    marts = {
        key
        for key, node in manifest["nodes"].items()
        if node["config"].get("meta", {}).get("publish", {}).get("s3") in ("customer", "sales")
    }
    assert marts
    assert marts <= exposed


def test_a_failed_test_blocks_the_publication_and_names_its_rows(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: wrong numbers are published, or the last good ones are lost."""
    pipeline.put("a.csv", SALES)
    pipeline.run()
    before, totals = pipeline.keys("publications/"), pipeline.totals()
    project = tmp_path / "project"
    project.mkdir()
    for name in ("models", "macros", "seeds", "dbt_project.yml", "profiles.example.yml"):
        (project / name).symlink_to(pipeline.settings.project / name)
    (project / "tests" / "data").mkdir(parents=True)
    for path in (pipeline.settings.project / "tests" / "data").iterdir():
        (project / "tests" / "data" / path.name).symlink_to(path)
    (project / "tests" / "data" / "no_sale_is_above_one_hundred.sql").write_text(
        "select customer_id, total_cost from {{ ref('fct_sales') }} where total_cost > 100\n"
    )
    good = pipeline.settings
    pipeline.settings = good.model_copy(update={"project": project})
    pipeline.put("b.csv", SALES.replace("2024-03", "2024-05"))
    with pytest.raises(Exception, match="no_sale_is_above_one_hundred") as blocked:
        pipeline.run()
    assert "nothing is published and the last publication stays" in str(blocked.value)
    assert "'total_cost': Decimal('104.00')" in str(blocked.value)
    assert (pipeline.keys("publications/"), pipeline.totals()) == (before, totals)
    assert pipeline.file("b.csv").status == "A"
    assert pipeline.keys("sales_data/") == ["sales_data/b.csv"]

    pipeline.settings = good
    pipeline.run()
    assert pipeline.file("b.csv").status == "I"
    assert len(pipeline.totals()) == 4
