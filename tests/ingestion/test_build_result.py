"""What dbt's results come to: every failure is told, with the rows that a test found."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from ingestion.warehouse import dbt_build
from ingestion.warehouse.dbt_build import Failure


def result(
    kind: str, status: str, message: str | None = None, failures: int = 2
) -> SimpleNamespace:
    """One of dbt's results."""
    node = SimpleNamespace(name=f"a_{kind}_{status}", resource_type=kind)
    return SimpleNamespace(node=node, status=status, message=message, failures=failures)


def test_a_test_that_cannot_be_asked_hides_no_other_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Risk: its own error is all that is told of a build in which a model failed."""
    results: list[Any] = [
        result("model", "error", "no such column\n"),
        result("test", "error", "syntax error"),
        result("test", "fail", "Got 2 results"),
        result("test", "warn"),
        result("test", "warn", failures=1),
        result("model", "skipped"),
    ]
    manifest = {
        "nodes": {
            name: {"name": name, "compiled_code": name} for name in ("a_test_fail", "a_test_error")
        }
    }
    monkeypatch.setattr(dbt_build, "read_manifest", lambda _: manifest)
    spark = MagicMock()
    spark.sql.side_effect = lambda sql: {"a_test_fail": spark.found}[sql]
    spark.found.limit().collect.return_value = [MagicMock(asDict=lambda: {"n": 1})]

    built = dbt_build.summed(results)
    assert not built.is_built
    assert built.warnings == (
        "the test 'a test warn' found 2 rows",
        "the test 'a test warn' found 1 row",
    )
    assert dbt_build.with_rows(spark, MagicMock(), built).failures == (
        Failure("a_model_error", "model", "no such column", found_rows=False),
        Failure("a_test_error", "test", "syntax error", found_rows=False),
        Failure("a_test_fail", "test", "Got 2 results", found_rows=True, rows=("{'n': 1}",)),
    )


def test_a_wrong_column_is_told_without_the_plan_of_the_query() -> None:
    """Risk: a page of Spark's plan hides the one line that says what is wrong, and where."""
    words = "[UNRESOLVED_COLUMN] `price` cannot be resolved. Did you mean `prize`? SQLSTATE: 42703"
    plan = "'Project ['price]\n+- Relation retail.sales[prize#1] parquet\n"
    told = [f"{words}; line 7 pos 4;\n{plan}", f"{words};\n{plan}", f"{words}\nmore", "other"]
    built = dbt_build.summed([result("model", "error", message) for message in told])
    assert [failure.message for failure in built.failures] == [
        f"{words}; line 7 pos 4",
        words,
        f"{words}\nmore",
        "other",
    ]


def test_a_broken_contract_is_told_without_the_macros_that_compare_it() -> None:
    """Risk: what says which column is wrong drowns in dbt's own macros, for each model."""
    told = (
        "Compilation Error in model rpt_sales_by_month (models/reporting/rpt_sales_by_month.sql)\n"
        "  This model has an enforced contract that failed.\n"
        "  | column_name | definition_type | contract_type | mismatch_reason    |\n"
        "  | visits      | BIGINT          |               | missing in contract |\n"
        "  \n"
        "  > in macro assert_columns_equivalent (macros/relations/column/columns_spec_ddl.sql)\n"
    )
    called = "".join(f"  > called by macro {name} (macros/{name}.sql)\n" for name in ("a", "b"))
    built = dbt_build.summed([result("model", "error", f"{told}{called}  > called by <Unknown>")])
    assert [failure.message for failure in built.failures] == [told.strip()]
