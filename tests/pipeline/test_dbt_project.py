"""The dbt project keeps its own promises: layers, descriptions, unit tests, a plain build."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from rich.console import Console

from ingestion.commands.docs import write_docs
from ingestion.commands.doctor import examine
from ingestion.errors import PipelineError
from ingestion.run import mart_steps
from ingestion.run.mart_steps import dbt_project
from ingestion.run.run_state import RunState
from ingestion.warehouse.dbt_build import DbtProject, read_manifest, run_command
from ingestion.warehouse.raw_tables import bronze_path
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
    try:
        run_command(dbt, ("build",))
        [generated] = pipeline.sql("set spark.sql.codegen.factoryMode")
        assert generated["value"] == "FALLBACK"
        assert [pipeline.sql(query) for query in queries] == before
    finally:
        pipeline.sql("set spark.sql.codegen.factoryMode = NO_CODEGEN")  # as other tests expect it
    manifest = read_manifest(dbt)
    check_data_tests(pipeline, manifest)
    assert len(manifest["unit_tests"]) >= 10
    check_layers(manifest)
    check_descriptions(manifest)
    page = write_docs(pipeline.settings)
    assert "sales_team_data_mart" in page.read_text(encoding="utf-8")
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


def other(column: str, value: str) -> str:
    """The rows of a table with another value in this column."""
    return f"select * except ({column}), {value} as {column} from {{table}}"


def none(column: str, data_type: str = "int") -> str:
    """The rows of a table without a value in this column."""
    return other(column, f"cast(null as {data_type})")


KEYS_OF_FACT = "fct_sales_has_each_line_of_a_file_once_whole_and_within_its_ranges"
TWICE = "select * from {table} union all select * from {table}"
FEWER = other("sales_count", "sales_count - 1")
MORE_MONEY = other("total_sales", "total_sales + 0.01bd")
OF_LINES = (
    "select * from {table} where sales_month <> '2024-04'",
    other("total_cost", "explode(array(total_cost, 0))"),  # as much money, in more rows
    other("total_cost", "total_cost + 0.01bd"),
)
OF_FILES = (
    other("rows_valid", "rows_valid - 1"),
    other("amount_valid", "amount_valid - 0.01bd"),
)
# By the data test that has to find it, a table and its rows; a run publishes none of them but those
# of the unknown, of which it warns.
WRONG_ROWS: dict[str, dict[str, tuple[str, ...]]] = {
    KEYS_OF_FACT: {
        "fct_sales": (
            other("line_number", "explode(array(line_number, 2L))"),
            other("line_number", "explode(array(line_number, cast(null as bigint)))"),
            *(none(f"{name}_id") for name in ("file", "customer", "store", "sales_person")),
            none("product_name", "string"),
            none("sales_date", "date"),
            *(none(name) for name in ("price", "quantity", "total_cost")),
            other("sales_month", "'2023-04'"),
            other("price", "-0.0001bd"),
            other("quantity", "0"),
            other("total_cost", "-0.01bd"),
        )
    },
    "fct_delivered_files_has_each_file_once_and_all_of_it": {
        "fct_delivered_files": (TWICE, none("file_id"), *OF_FILES)
    },
    "customers_data_mart_has_each_customer_and_month_once_within_its_ranges": {
        "customers_data_mart": (
            TWICE,
            none("customer_id"),
            none("full_name", "string"),
            none("total_sales"),
            other("sales_count", "0"),
            other("days_with_sales", "0"),
            other("last_sales_date", "first_sales_date - 1"),
            other("last_sales_date", "if(customer_id = 16, null, last_sales_date)"),
        )
    },
    "sales_team_data_mart_has_each_store_seller_and_month_once_within_its_ranges": {
        "sales_team_data_mart": (
            TWICE,
            none("store_id"),
            none("sales_person_id"),
            none("full_name", "string"),
            none("total_sales"),
            other("sales_count", "0"),
            other("rank_in_store", "0"),
            none("incentive"),
            other("incentive", "total_sales + 0.01bd"),
        )
    },
    "incentive_rates_has_each_rank_once_with_a_rate": {
        "incentive_rates": (
            TWICE,
            other("rank_in_store", "0"),
            none("rate"),
            other("rate", "-0.01bd"),
            other("rate", "1bd"),
        )
    },
    "sales_are_of_known_customers_sellers_stores_and_products": {
        "customers_data_mart": (other("is_known_customer", "false"),),
        "sales_team_data_mart": (
            other("is_known_sales_person", "false"),
            other("is_known_store", "false"),
        ),
        "rpt_sales_by_product_and_month": (other("product_key", "-1"),),
    },
    "every_row_that_the_reader_read_is_there": dict.fromkeys(
        ("stg_pos__files", "fct_delivered_files"), (other("rows_read", "rows_read + 1"),)
    ),
    "dimensions_have_each_key_once": {
        **dict.fromkeys(("dim_customers", "dim_stores", "dim_sales_people"), (TWICE,)),
        "dim_products": (TWICE, other("is_sold_under_name", "true")),
    },
    "marts_hold_the_rows_and_money_of_the_sales": {
        **dict.fromkeys(("fct_sales", "customer_sales", "sales_team_sales"), OF_LINES),
        **dict.fromkeys(
            ("customers_data_mart", "sales_team_data_mart", "rpt_sales_by_product_and_month"),
            (FEWER, MORE_MONEY),
        ),
    },
    "reports_hold_the_money_of_the_marts": {
        "fct_delivered_files": OF_FILES,
        **dict.fromkeys(
            (
                "customers_data_mart",
                "sales_team_data_mart",
                "rpt_sales_by_customer",
                "rpt_sales_by_store_and_month",
                "rpt_sales_by_seller_and_month",
            ),
            (FEWER, MORE_MONEY),
        ),
    },
}


def check_data_tests(pipeline: Pipeline, manifest: dict[str, Any]) -> None:
    """Each data test finds nothing in what was built, and each kind of wrong row."""
    tests = {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }
    far_behind = other("line_number", "explode(array(line_number, line_number + 64))")
    assert found_by(pipeline, tests[KEYS_OF_FACT], "fct_sales", far_behind) == []
    for name, tables in WRONG_ROWS.items():
        assert pipeline.sql(tests[name]) == [], name
        for table, changes in tables.items():
            for rows in changes:
                found = found_by(pipeline, tests[name], table, rows)
                assert found != [], f"{name} finds nothing wrong in {table}: {rows}"


def found_by(pipeline: Pipeline, test: str, table: str, rows: str) -> list[dict[str, Any]]:
    """What a data test finds where the table has these rows instead of its own."""
    relation = f"retail.{table}"
    parts = re.split(rf"{re.escape(relation)}\b", test)
    assert len(parts) > 1, f"it does not read {relation}"
    return pipeline.sql(f"({rows.format(table=relation)})".join(parts))


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


def test_a_row_that_is_lost_or_changed_blocks_the_publication_and_is_named(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: wrong numbers are published, or the last good ones are lost."""
    pipeline.put("a.csv", SALES)
    pipeline.run()
    before, totals = pipeline.keys("publications/"), pipeline.totals()
    register = mart_steps.register_raw_tables

    def run_where_bronze(change: Callable[[Path], None]) -> str:
        def register_changed(state: RunState, *arguments: Any) -> None:
            file = pipeline.file("b.csv")
            change(bronze_path(state.services.workspace.bronze, file.batch_id or 0, file.id))
            register(state, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(mart_steps, "register_raw_tables", register_changed)
            with pytest.raises(PipelineError) as blocked:
                pipeline.run()
        told = str(blocked.value)
        assert "nothing is published, and the last publication stays in place" in told
        assert (pipeline.keys("publications/"), pipeline.totals()) == (before, totals)
        assert pipeline.file("b.csv").status == "A"
        assert pipeline.keys("sales_data/") == ["sales_data/b.csv"]
        return told

    pipeline.put("b.csv", SALES.replace("2024-03", "2024-05").replace("104", "104.25"))
    told = run_where_bronze(lambda path: pq.write_table(pq.read_table(path).slice(1), path))
    assert "test every_row_that_the_reader_read_is_there: Got 1 result" in told
    assert "'rows_read_by_reader': 3, 'rows_read': 2" in told

    def flip_a_bit(path: Path) -> None:
        content = path.read_bytes()
        assert content.count(b"104.25") == 1
        path.write_bytes(content.replace(b"104.25", b"104.24"))

    told = run_where_bronze(flip_a_bit)
    assert re.search(r"reading file file:///\S+\.parquet", told)
    assert "CRC checksum verification failed" in told
    assert "remove the file and run again" in told
    assert not re.search(r"^\s+at ", told, re.MULTILINE)

    pipeline.run()
    assert pipeline.file("b.csv").status == "I"
    assert len(pipeline.totals()) == 4


def test_a_table_that_lacks_a_column_is_told_before_the_build(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a model's new column fails the run only when everything is built anew, hours later."""
    with pipeline.engine.begin() as connection:
        connection.execute(sa.text("create table customers_data_mart (customer_id int)"))
    pipeline.put("a.csv", SALES)
    monkeypatch.setattr(mart_steps, "build", lambda *_: pytest.fail("it was built"))
    with pytest.raises(PipelineError, match=r"customers_data_mart: no full_name \(.*alter table"):
        pipeline.run()
    assert "sales_team_data_mart" not in sa.inspect(pipeline.engine).get_table_names()
