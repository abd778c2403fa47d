"""The dbt project keeps its own promises: layers, descriptions, unit tests, a plain build."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
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
from ingestion.warehouse.dbt_build import DbtProject, run_command
from ingestion.warehouse.dbt_manifest import read_manifest
from ingestion.warehouse.raw_tables import bronze_path
from ingestion.warehouse.spark import WORK_SIZE_VARIABLE, WorkSize
from tests.pipeline.conftest import HEADER, Pipeline, empty_warehouse

pytestmark = pytest.mark.slow

SALES = (
    f"{HEADER}2,122,besan,2024-03-05,4,52,2,104\n16,122,maida,2024-04-12,6,20,7,140\n"
    "2,122,besan,2024-04-06,4,52,1,52\n"
)
EARLIER_SALES = "".join(
    f"16,122,maida,2023-{month}-12,6,20,7,140\n" for month in ("09", "10", "11", "12")
)
NO_SALE = "2,122,besan,2024-02-30,4,52,2,104\n"
Case = tuple[int, dict[str, str]]
MAY_READ = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "core", "seed"},
    "core": {"staging", "intermediate", "core"},
    "customer": {"core", "intermediate", "customer"},
    "sales": {"core", "intermediate", "sales", "seed"},
    "reporting": {"customer", "sales", "intermediate", "reporting"},
}
# Marts that a model reads by name, as the last build left them: a ref() would make a circle.
READ_AS_BUILT_BEFORE = {
    "int_months_changed": {
        "customers_data_mart",
        "rpt_sales_by_product_and_month",
        "sales_team_data_mart",
        "sales_team_sales",
    },
    "int_months_touched": {
        "customer_sales",
        "customers_data_mart",
        "fct_sales",
        "rpt_sales_by_product_and_month",
        "sales_team_data_mart",
        "sales_team_sales",
    },
}
# Data tests that hold the money of all tables against each other, within a month or over all.
MONEY_TESTS = {
    "marts_hold_the_rows_and_money_of_the_sales",
    "reports_hold_the_money_of_the_marts",
}
# What an example has to show of a model: a branch, a window, rounding, or how tables come together.
LOGIC = re.compile(r"\b(case\s+when|if\(|coalesce\(|over\s*\(|round\(|join|union)")


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
    check_unit_tests(manifest)
    check_examples(manifest)
    check_layers(manifest)
    check_attributes(manifest)
    check_marts(manifest)
    check_names(dbt)
    page = write_docs(pipeline.settings)
    assert "sales_team_data_mart" in page.read_text(encoding="utf-8")
    catalog = json.loads((dbt.target / "catalog.json").read_text(encoding="utf-8"))
    check_descriptions(manifest, {**catalog["nodes"], **catalog["sources"]})
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


def each(table: str, *changes: str) -> tuple[Case, ...]:
    """A case for each of these rows of one table."""
    return tuple((1, {table: rows}) for rows in changes)


def in_a_month_each(tables: Iterable[str], rows: str) -> Case:
    """One case for tables of which each is wrong in a month of its own, so that each is found."""
    changes = {
        table: rows.replace("MONTH", MONTH_COLUMNS.get(table, "sales_month")).replace(
            "WRONG", month
        )
        for table, month in zip(tables, MONTHS, strict=False)
    }
    return len(changes), changes


KEYS_OF_FACT = "fct_sales_has_each_line_of_a_file_once_whole_and_within_its_ranges"
MONTHS = ("2024-04", "2024-03", "2023-12", "2023-11", "2023-10", "2023-09")
MONTH_COLUMNS = {"customers_data_mart": "sales_date_month"}
TWICE = "select * from {table} union all select * from {table}"
UNKNOWN_TWICE = "select * from {table} union all select * from {table} where not is_known"
LINES = ("fct_sales", "customer_sales", "sales_team_sales")
SUMS = ("customers_data_mart", "sales_team_data_mart", "rpt_sales_by_product_and_month")
FEWER = other("sales_count", "sales_count - 1")
MORE_MONEY = other("total_sales", "total_sales + 0.01bd")
OF_FILES = (
    other("rows_valid", "rows_valid - 1"),
    other("amount_valid", "amount_valid - 0.01bd"),
)
# By data test: tables with other rows than their own, and how many rows it has to find then; a run
# publishes none of them but those of the unknown, of which it warns.
WRONG_ROWS: dict[str, tuple[Case, ...]] = {
    KEYS_OF_FACT: each(
        "fct_sales",
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
    ),
    "fct_quarantined_sales_has_each_line_of_a_file_once_with_its_reasons": each(
        "fct_quarantined_sales",
        TWICE,
        none("file_id"),
        none("line_number", "bigint"),
        none("file_name", "string"),
        other("reasons", "''"),
        other("reason_codes", "''"),
    ),
    "fct_delivered_files_has_each_file_once_and_all_of_it": each(
        "fct_delivered_files", TWICE, none("file_id"), *OF_FILES
    ),
    "customers_data_mart_has_each_customer_and_month_once_within_its_ranges": each(
        "customers_data_mart",
        TWICE,
        none("customer_id"),
        none("full_name", "string"),
        none("total_sales"),
        other("sales_count", "0"),
        other("days_with_sales", "0"),
        other("last_sales_date", "first_sales_date - 1"),
        other("last_sales_date", "if(customer_id = 16, null, last_sales_date)"),
    ),
    "sales_team_data_mart_has_each_store_seller_and_month_once_within_its_ranges": each(
        "sales_team_data_mart",
        TWICE,
        none("store_id"),
        none("sales_person_id"),
        none("full_name", "string"),
        none("total_sales"),
        other("sales_count", "0"),
        other("rank_in_store", "0"),
        none("incentive"),
        other("incentive", "total_sales + 0.01bd"),
    ),
    "rpt_sales_by_store_and_month_has_each_store_and_month_once": each(
        "rpt_sales_by_store_and_month", TWICE, none("store_id"), none("sales_month", "string")
    ),
    "rpt_sales_by_product_and_month_has_each_store_product_and_month_once": each(
        "rpt_sales_by_product_and_month", TWICE, none("store_id"), none("product_name", "string")
    ),
    "rpt_sales_by_customer_has_each_customer_once": each(
        "rpt_sales_by_customer", TWICE, none("customer_id")
    ),
    "rpt_sales_by_seller_and_month_has_each_store_seller_and_month_once": each(
        "rpt_sales_by_seller_and_month",
        TWICE,
        none("store_id"),
        none("sales_person_id"),
        none("sales_month", "string"),
    ),
    "incentive_rates_has_each_rank_once_with_a_rate": each(
        "incentive_rates",
        TWICE,
        other("rank_in_store", "0"),
        none("rate"),
        other("rate", "-0.01bd"),
        other("rate", "1bd"),
        other("rate", "0.0250005bd"),
        other("rate", "0.99999999bd"),
    ),
    "sales_are_of_known_customers_sellers_stores_and_products": (
        (
            7,  # two customers, two sellers, one store, two products
            {
                "customers_data_mart": other("is_known_customer", "false"),
                "sales_team_data_mart": "select * except (is_known_sales_person, is_known_store),"
                " false as is_known_sales_person, false as is_known_store from {table}",
                "rpt_sales_by_product_and_month": other("product_key", "-1"),
            },
        ),
    ),
    "every_row_that_the_reader_read_is_there": (
        *each("stg_pos__files", other("rows_read", "rows_read + 1")),
        *each("fct_delivered_files", other("rows_read", "rows_read + 1")),
    ),
    "dimensions_have_each_key_once_and_those_of_the_marts": (
        (
            8,  # the unknown member of each dimension, and a member of each that nobody knows
            {
                **dict.fromkeys(
                    ("dim_customers", "dim_products", "dim_stores", "dim_sales_people"),
                    UNKNOWN_TWICE,
                ),
                "customers_data_mart": other("customer_id", "99"),
                "sales_team_data_mart": "select * except (store_id, sales_person_id),"
                " 99 as store_id, 99 as sales_person_id from {table}",
                "rpt_sales_by_product_and_month": other("product_key", "99"),
            },
        ),
        *each("dim_products", other("is_sold_under_name", "true")),
    ),
    "marts_hold_the_rows_and_money_of_the_sales": (
        in_a_month_each((*LINES, *SUMS), "select * from {table} where MONTH <> 'WRONG'"),
        # one line lost and another there twice, with as much money
        in_a_month_each(LINES, other("line_number", "if(MONTH = 'WRONG', 3L, line_number)")),
        # as much money, in more rows
        in_a_month_each(
            LINES,
            other(
                "total_cost",
                "explode(if(MONTH = 'WRONG', array(total_cost, 0), array(total_cost)))",
            ),
        ),
        in_a_month_each(SUMS, other("sales_count", "sales_count - if(MONTH = 'WRONG', 1, 0)")),
        in_a_month_each(LINES, other("total_cost", "total_cost + if(MONTH = 'WRONG', 0.01bd, 0)")),
        in_a_month_each(SUMS, other("total_sales", "total_sales + if(MONTH = 'WRONG', 0.01bd, 0)")),
    ),
    "reports_hold_the_money_of_the_marts": (
        *each("fct_delivered_files", *OF_FILES),
        *each("customers_data_mart", FEWER, MORE_MONEY),
        *each("sales_team_data_mart", FEWER, MORE_MONEY),
        *each("rpt_sales_by_customer", FEWER, MORE_MONEY),
        *each("rpt_sales_by_store_and_month", FEWER, MORE_MONEY),
        *each("rpt_sales_by_seller_and_month", FEWER, MORE_MONEY),
    ),
}


def check_data_tests(pipeline: Pipeline, manifest: dict[str, Any]) -> None:
    """Each data test finds nothing in what was built, and each kind of wrong row."""
    tests = {
        node["name"]: node["compiled_code"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
    }
    assert set(tests) == set(WRONG_ROWS)
    far_behind = {
        "fct_sales": other("line_number", "explode(array(line_number, line_number + 64))")
    }
    assert pipeline.sql(with_rows(tests[KEYS_OF_FACT], far_behind)) == []
    for name, cases in WRONG_ROWS.items():
        assert pipeline.sql(tests[name]) == [], name
        for expected, changes in cases:
            found = pipeline.sql(with_rows(tests[name], changes))
            assert len(found) >= expected, f"{name} finds {found} where these are wrong: {changes}"


def with_rows(test: str, changes: Mapping[str, str]) -> str:
    """The query of a data test where these tables have these rows instead of their own."""
    for table, rows in changes.items():
        relation = f"retail.{table}"
        parts = re.split(rf"{re.escape(relation)}\b", test)
        assert len(parts) > 1, f"it does not read {relation}"
        test = f"({rows.format(table=relation)})".join(parts)
    return test


def check_unit_tests(manifest: dict[str, Any]) -> None:
    """Every model that has more to it than names and types has an example."""
    with_logic = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and LOGIC.search(node["compiled_code"])
    }
    assert {"dim_products", "fct_sales", "int_sales_checked", "sales_team_sales"} <= with_logic
    assert with_logic - {test["model"] for test in manifest["unit_tests"].values()} == set()


def check_examples(manifest: dict[str, Any]) -> None:
    """Every row rule has an example, those of the contract for one column at least; and the example
    of an unknown member tells every column, for a union goes by their place."""
    examples = list(manifest["unit_tests"].values())
    columns = manifest["sources"]["source.retail_mart.pos.sales"]["columns"]
    of_a_column = re.compile(rf"^(empty|invalid|out_of_range)_(?:{'|'.join(columns)})$")
    checked = manifest["nodes"]["model.retail_mart.int_sales_checked"]["compiled_code"]
    codes = set(re.findall(r"then\s+concat\(\s*'(\w+)',", checked))
    assert {"empty_price", "invalid_price", "out_of_range_price", "total_cost_mismatch"} <= codes
    shown = {
        reason.split(":")[0]
        for test in examples
        if test["model"] == "int_sales_checked"
        for row in test["expect"]["rows"]
        for reasons in (row["reject_reasons"], row["warn_reasons"])
        for reason in reasons.split(" | ")
    }
    kinds, kinds_shown = ({of_a_column.sub(r"\1", code) for code in one} for one in (codes, shown))
    assert kinds - kinds_shown == set()
    for name in ("dim_customers", "dim_products", "dim_sales_people", "dim_stores"):
        [member] = [
            row
            for test in examples
            if test["model"] == name and test["name"].startswith("the_unknown_")
            for row in test["expect"]["rows"]
            if row["is_known"] is False
        ]
        assert set(member) == set(manifest["nodes"][f"model.retail_mart.{name}"]["columns"])


def check_layers(manifest: dict[str, Any]) -> None:
    """Layers point one way, but where a model reads what the last build has left."""
    nodes = {**manifest["nodes"], **manifest["sources"]}
    models = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    wrong = [
        f"{name} ({layer(node)}) reads {nodes[parent]['name']} ({layer(nodes[parent])})"
        for name, node in models.items()
        for parent in node["depends_on"]["nodes"]
        if layer(nodes[parent]) not in MAY_READ[layer(node)]
    ]
    assert wrong == []
    named = {
        name: set(re.findall(r"\w+", node["raw_code"]))
        & set(models) - {name, *(nodes[parent]["name"] for parent in node["depends_on"]["nodes"])}
        for name, node in models.items()
    }
    assert {name: found for name, found in named.items() if found} == READ_AS_BUILT_BEFORE


def attributes_read(nodes: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """The columns of dimensions that models name, by the dimension."""
    return {
        (dimension, column)
        for node in nodes
        for alias, dimension in re.findall(
            r"(\w+) as \(\s+select \* from \{\{ ref\('(dim_\w+)'\) \}\}", node["raw_code"]
        )
        for column in re.findall(rf"\b{alias}\.(\w+)", node["raw_code"])
    }


def check_attributes(manifest: dict[str, Any]) -> None:
    """What the marts show of a customer, product, seller or store is compared with what it is now;
    a month without new sales would go on showing the old value."""
    models = {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    compared = attributes_read([models.pop("int_months_changed")])
    shown = attributes_read(models.values())
    assert {("dim_customers", "phone_number"), ("dim_sales_people", "manager_id")} <= shown
    assert compared == shown


def check_marts(manifest: dict[str, Any]) -> None:
    """Published money is held against that of the files, and every table that is written by month
    is looked at for months that a killed build has left out."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    held = {
        parent
        for node in manifest["nodes"].values()
        if node["name"] in MONEY_TESTS
        for parent in node["depends_on"]["nodes"]
    }
    with_money = {
        node["unique_id"]
        for node in models
        if "publish" in node["config"]["meta"]
        and node["config"]["meta"]["publish"].get("s3") != "quarantine"
        and {"total_sales", "total_cost"} & set(node["columns"])
    }
    assert "model.retail_mart.rpt_sales_by_customer" in with_money
    assert with_money - held == set()
    by_month = {
        node["name"]
        for node in models
        if any(column.endswith("month") for column in node["config"].get("partition_by") or ())
    }
    assert by_month == READ_AS_BUILT_BEFORE["int_months_touched"]


def check_names(dbt: DbtProject) -> None:
    """A wrong name is an error: no month would be touched, or nothing dropped, in silence."""
    for call, told in {
        "mart_to_compare('customers_mart', 'customer')": (
            "'customers_mart' is no model; expected the name of a file in models/"
        ),
        "mart_to_compare('customers_data_mart', 'customers')": (
            "is_unchanged: 'customers' is no table of the source retail; expected customer,"
            " product, sales_team, store"
        ),
        "months_out_of_step('fct_sales', {'customers_data_mart': 'sales_month'})": (
            "customers_data_mart is not partitioned by 'sales_month'; expected sales_date_month"
        ),
        "partitions_of(api.Relation.create(identifier='fct_sales'), 'month')": (
            "fct_sales is not partitioned by 'month'; expected sales_month or batch_id"
        ),
        "partitions_of(api.Relation.create(identifier='dim_stores'), 'batch_id')": (
            "dim_stores is not partitioned by 'batch_id'; expected a model with partition_by"
        ),
    }.items():
        with pytest.raises(PipelineError, match=rf"\n +{re.escape(told)}\n"):
            run_command(dbt, ("compile",), "--inline", f"{{{{ {call} }}}}", "--full-refresh")


def check_descriptions(manifest: dict[str, Any], catalog: dict[str, Any]) -> None:
    """Every model, seed, source and column is described, as the tables have them; what is read
    outside of dbt has an enforced contract, what is published has exposures."""
    missing = []
    for key, node in {**manifest["nodes"], **manifest["sources"]}.items():
        if node["resource_type"] not in ("model", "seed", "source"):
            continue
        described = {name for name, column in node["columns"].items() if column["description"]}
        # an ephemeral model has no table
        columns = catalog[key]["columns"] if key in catalog else node["columns"]
        if not node["description"].strip():
            missing.append(node["name"])
        missing += [f"{node['name']}.{name}" for name in described ^ set(columns)]
        assert (key in catalog) == (node["config"].get("materialized") != "ephemeral"), key
    assert missing == []
    unbound = [
        node["name"]
        for node in manifest["nodes"].values()
        if {"publish", "pipeline_role"} & set(node["config"].get("meta", {}))
        and not node["config"]["contract"]["enforced"]
    ]
    assert unbound == []
    exposed = {
        parent
        for exposure in manifest["exposures"].values()
        for parent in exposure["depends_on"]["nodes"]
    }
    published = {
        key
        for key, node in manifest["nodes"].items()
        if "publish" in node["config"].get("meta", {})
    }
    assert published
    assert published <= exposed


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
    with pytest.raises(PipelineError, match=r"customers_data_mart\.full_name: no such column"):
        pipeline.run()
    assert "sales_team_data_mart" not in sa.inspect(pipeline.engine).get_table_names()
