"""A correction, a withdrawal and two runs that are cut short, in the one order in which they are in
each other's way: every step's marts are the sums of the files that count.

Many other orders are run without Spark, in ``tests/ingestion/test_sequences.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.commands import withdrawal
from ingestion.run.services import Services
from tests.pipeline.conftest import Pipeline
from tests.plain_shop import Content, Cut, Sale, Shop, is_cut_short, text

pytestmark = pytest.mark.slow

MARCH = Sale(2, 122, 4, "2024-03-05", 10_450)
APRIL = Sale(2, 122, 4, "2024-04-01", 50)
FIRST: dict[str, Content] = {
    # half a cent of incentive each; two best sellers; a store and a customer that nobody knows
    "a.csv": (MARCH, Sale(16, 122, 6, "2024-03-06", 10_450), Sale(999, 777, 55, "2024-02-29", 1)),
    "b.csv": (Sale(16, 121, 6, "2024-03-05", 150), Sale(2, 121, 4, None, 99)),
}
CORRECTION: Content = (MARCH, APRIL)
NEW: Content = (Sale(16, 122, 6, "2024-04-12", 14_000),)


def as_customers(rows: Sequence[dict[str, Any]]) -> dict[tuple[int, str], Decimal]:
    return {
        (row["customer_id"], row["sales_date_month"]): Decimal(row["total_sales"]) for row in rows
    }


def as_sellers(
    rows: Sequence[dict[str, Any]],
) -> dict[tuple[int, int, str], tuple[Decimal, Decimal]]:
    return {
        (row["store_id"], row["sales_person_id"], row["sales_month"]): (
            Decimal(row["total_sales"]),
            Decimal(row["incentive"]),
        )
        for row in rows
    }


def assert_marts(pipeline: Pipeline, shop: Shop, folder: Path) -> None:
    """Both marts in both places are the shop's sums."""
    for name, read, expected in (
        ("customers_data_mart", as_customers, shop.customers()),
        ("sales_team_data_mart", as_sellers, shop.sellers()),
    ):
        for rows in (pipeline.table(name), pipeline.s3_table(name, folder)):
            assert len(rows) == len(expected), "no key is there twice"
            assert read(rows) == expected


def test_the_marts_equal_those_of_the_files_that_count(pipeline: Pipeline, tmp_path: Path) -> None:
    """Risk: sales that never got published, or those that they replace, stay in their months."""
    shop = Shop()

    def send(files: dict[str, Content]) -> None:
        for key, content in files.items():
            pipeline.put(key, text(content))
        shop.take(files)

    def cut_short(cut: Cut, change: Callable[[Services, str], object] = lambda *_: None) -> bool:
        return is_cut_short(cut, lambda: pipeline.run(change=change))

    send(FIRST)
    pipeline.run()
    assert_marts(pipeline, shop, tmp_path)

    before = Shop()
    before.take(FIRST)
    send({"a.csv": CORRECTION, "c.csv": NEW})
    assert cut_short(Cut("ingestion.run.mart_steps.audit"))
    waiting = {row.file_name: row.status for row in pipeline.files() if row.batch_id == 2}
    assert waiting == {"sales_data/a.csv": "A", "sales_data/c.csv": "A"}
    assert_marts(pipeline, before, tmp_path)

    pipeline.run(change=lambda services, run_id: withdrawal.retract_file(services, "a.csv", run_id))
    shop.retract("a.csv")
    assert_marts(pipeline, shop, tmp_path)
    assert [(row.file_name[11:], row.status) for row in pipeline.files()[1:]] == [
        ("b.csv", "I"),
        ("a.csv", "S"),  # it never counted
        ("c.csv", "I"),
        ("a.csv", "I"),  # the withdrawal
    ]
    batches = pipeline.sql("select distinct batch_id from retail.fct_sales order by batch_id")
    assert [row["batch_id"] for row in batches] == [1, 2]

    shop.take({"a.csv": CORRECTION})
    assert cut_short(
        Cut("ingestion.publication.publications.record_pointer", is_before=True),
        lambda services, _: withdrawal.restore_file(services, "a.csv"),
    )
    assert pipeline.keys("sales_data/") == ["sales_data/a.csv"], "it is not archived yet"
    assert_marts(pipeline, shop, tmp_path)

    send({"d.csv": CORRECTION})
    assert pipeline.run().version is None
    assert pipeline.file("d.csv").status == "D"
    assert pipeline.keys("sales_data/") == []
    assert_marts(pipeline, shop, tmp_path)
