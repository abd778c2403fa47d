"""Rows that are wrong in each way that a data test has to find."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tests.pipeline.conftest import Pipeline

Case = tuple[int, dict[str, str]]


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
    "incentive_rates_has_each_month_and_rank_once_with_a_rate": each(
        "incentive_rates",
        TWICE,
        none("from_month", "string"),
        *(other("from_month", f"'{month}'") for month in ("2024-5", "2024-13", "2024-05-01")),
        none("rank_in_store"),
        other("rank_in_store", "0"),
        other("rank_in_store", "1.5bd"),
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
