"""What the dbt project promises of itself: layers, names, examples, descriptions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ingestion.errors import PipelineError
from ingestion.warehouse.dbt_build import DbtProject, run_command
from tests.wrong_rows import WRONG_ROWS

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
KEY_TEST = "dimensions_have_each_key_once_and_those_of_the_marts"
# Data tests that hold the money of all tables against each other, within a month or over all.
MONEY_TESTS = {
    "marts_hold_the_rows_and_money_of_the_sales",
    "reports_hold_the_money_of_the_marts",
}
# What an example has to show of a model: a branch, a window, rounding, or how tables come together.
LOGIC = re.compile(
    r"\b(case\s+when|if\(|coalesce\(|over\s*\(|round\(|join|union|or_unknown\(|trimmed\()"
)


def layer(node: dict[str, Any]) -> str:
    """The folder that decides what a model may read."""
    if node["resource_type"] != "model":
        return str(node["resource_type"])
    return Path(node["path"]).parent.name


def listed(found: Iterable[str]) -> str:
    """All that was found, as a failure tells it."""
    return ", ".join(sorted(found))


def check_unit_tests(manifest: dict[str, Any]) -> None:
    """Every model that has more to it than names and types has an example."""
    with_logic = {
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and LOGIC.search(node["raw_code"])
    }
    assert {"dim_products", "fct_sales", "int_sales_checked", "sales_team_sales"} <= with_logic
    without = with_logic - {test["model"] for test in manifest["unit_tests"].values()}
    assert not without, f"no unit test: {listed(without)}"


def check_examples(manifest: dict[str, Any]) -> None:
    """Every row rule has an example, those of the contract for one column at least."""
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


def check_dimensions(manifest: dict[str, Any]) -> None:
    """Every dimension has a test of its key, and an example of its unknown member that tells every
    column, for a union goes by their place."""
    dimensions = {
        key: node for key, node in manifest["nodes"].items() if node["name"].startswith("dim_")
    }
    assert "model.retail_mart.dim_stores" in dimensions
    tested = manifest["nodes"][f"test.retail_mart.{KEY_TEST}"]["depends_on"]["nodes"]
    untested = {dimensions[key]["name"] for key in dimensions.keys() - set(tested)}
    assert not untested, f"not in tests/data/{KEY_TEST}.sql: {listed(untested)}"
    for node in dimensions.values():
        members = [
            row
            for test in manifest["unit_tests"].values()
            if test["model"] == node["name"] and test["name"].startswith("the_unknown_")
            for row in test["expect"]["rows"]
            if row["is_known"] is False
        ]
        assert len(members) == 1, f"{node['name']} needs a unit test the_unknown_…"
        lacking = set(node["columns"]) ^ set(members[0])
        assert not lacking, f"the unknown member of {node['name']}: {listed(lacking)}"


def check_wrong_rows(manifest: dict[str, Any]) -> None:
    """Every data test has wrong rows that it has to find."""
    tests = {node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test"}
    differing = tests ^ set(WRONG_ROWS)
    assert not differing, f"in tests/wrong_rows.py or a data test, not both: {listed(differing)}"


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
    assert not wrong, listed(wrong)
    named = {
        name: set(re.findall(r"\w+", node["raw_code"]))
        & set(models) - {name, *(nodes[parent]["name"] for parent in node["depends_on"]["nodes"])}
        for name, node in models.items()
    }
    found = {name: names for name, names in named.items() if names}
    assert found == READ_AS_BUILT_BEFORE, "models named without ref(); see READ_AS_BUILT_BEFORE"


def imported(node: dict[str, Any]) -> dict[str, str]:
    """The dimensions that a model imports, with the names of their CTEs."""
    code = r"(\w+) as \(\s+select \* from \{\{ ref\('(dim_\w+)'\) \}\}"
    return {dimension: alias for alias, dimension in re.findall(code, node["raw_code"])}


def sources_of(manifest: dict[str, Any], key: str) -> set[str]:
    """The source tables from which a model is made."""
    if key in manifest["sources"]:
        return {key}
    parents = manifest["nodes"][key]["depends_on"]["nodes"]
    return set().union(*(sources_of(manifest, parent) for parent in parents))


def attributes_read(nodes: Iterable[dict[str, Any]]) -> set[tuple[str, str]]:
    """The columns of dimensions that models name, by the dimension."""
    return {
        (dimension, column)
        for node in nodes
        for dimension, alias in imported(node).items()
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
    named = {(name, dimension) for name, node in models.items() for dimension in imported(node)}
    read = {
        (name, parent.rpartition(".")[2])
        for name, node in models.items()
        for parent in node["depends_on"]["nodes"]
        if ".dim_" in parent
    }
    assert named == read, "expected a CTE for each dimension: name as (select * from {{ ref() }})"
    changed = models.pop("int_months_changed")
    compared = attributes_read([changed])
    shown = attributes_read(models.values())
    assert {("dim_customers", "phone_number"), ("dim_sales_people", "manager_id")} <= shown
    differing = {f"{dimension}.{column}" for dimension, column in compared ^ shown}
    assert not differing, f"shown or compared, not both (int_months_changed): {listed(differing)}"
    tables = {
        source.rpartition(".")[2]
        for dimension in imported(changed)
        for source in sources_of(manifest, f"model.retail_mart.{dimension}")
    }
    for model, call in (
        (changed, r"mart_to_compare\('\w+',([^)]*)\)"),
        (models["int_months_touched"], r"is_unchanged\(([^)]*)\)"),
    ):
        given = set(re.findall(r"'(\w+)'", "".join(re.findall(call, model["raw_code"]))))
        assert given == tables, f"{model['name']} looks for changes of {listed(given)} only"


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
    lacking = {manifest["nodes"][key]["name"] for key in with_money - held}
    assert not lacking, f"none of the money tests in tests/data reads: {listed(lacking)}"
    by_month = {
        node["name"]
        for node in models
        if any(column.endswith("month") for column in node["config"].get("partition_by") or ())
    }
    lacking = by_month ^ READ_AS_BUILT_BEFORE["int_months_touched"]
    assert not lacking, f"not in READ_AS_BUILT_BEFORE, or not by month: {listed(lacking)}"


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
        with pytest.raises(PipelineError, match=rf"\n +{re.escape(told)}\n") as refused:
            run_command(dbt, ("compile",), "--inline", f"{{{{ {call} }}}}", "--full-refresh")
        assert "> called by" not in str(refused.value)  # what dbt names after "> in macro"


def described(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What has a table, or a view, with columns."""
    return {
        key: node
        for key, node in {**manifest["nodes"], **manifest["sources"]}.items()
        if node["resource_type"] in ("model", "seed", "source")
    }


def check_consumers(manifest: dict[str, Any]) -> None:
    """Every model, seed, source and listed column is described; what is read outside of dbt has an
    enforced contract, what is published has exposures."""
    missing = []
    for node in described(manifest).values():
        if not node["description"].strip():
            missing.append(node["name"])
        missing += [
            f"{node['name']}.{name}"
            for name, column in node["columns"].items()
            if not column["description"].strip()
        ]
    assert not missing, f"no description: {listed(missing)}"
    unbound = [
        node["name"]
        for node in manifest["nodes"].values()
        if {"publish", "pipeline_role"} & set(node["config"].get("meta", {}))
        and not node["config"]["contract"]["enforced"]
    ]
    assert not unbound, f"no enforced contract: {listed(unbound)}"
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
    unused = {manifest["nodes"][key]["name"] for key in published - exposed}
    assert not unused, f"in no exposure of models/marts/_exposures.yml: {listed(unused)}"


def check_columns(manifest: dict[str, Any], catalog: dict[str, Any]) -> None:
    """The columns that are listed are those of the tables."""
    wrong = []
    for key, node in described(manifest).items():
        # an ephemeral model has no table
        columns = catalog[key]["columns"] if key in catalog else node["columns"]
        wrong += [f"{node['name']}.{name}" for name in set(node["columns"]) ^ set(columns)]
        assert (key in catalog) == (node["config"].get("materialized") != "ephemeral"), key
    assert wrong == []


def check_links(manifest: dict[str, Any]) -> None:
    """The links of the documentation's first page lead to models, seeds and sources."""
    page = manifest["docs"]["doc.retail_mart.__overview__"]["block_contents"]
    links = dict(re.findall(r"\]\(#!/\w+/((?:\w+\.)+(\w+))\)", page))
    nodes = {**manifest["nodes"], **manifest["sources"]}
    assert links
    assert {key: nodes.get(key, {}).get("name") for key in links} == links
