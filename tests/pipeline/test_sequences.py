"""Whatever is sent, corrected, copied, withdrawn and cut short: the marts are those of a rebuild.

A plain program keeps the shop's files in a dictionary and adds them up; after every run the
published marts have to equal its sums, in the database and on S3.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections import defaultdict
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.commands import withdrawal
from tests.pipeline.conftest import HEADER, WHOLE_RUNS, Pipeline

pytestmark = pytest.mark.slow

CENT = Decimal("0.01")
KEYS = ("a.csv", "b.csv", "north/a.csv", "z.csv")
CUT_SHORT = (
    "ingestion.database.staging_table.add_deliveries",
    "ingestion.database.staging_table.record_verdicts",
    "ingestion.run.archive.move_all",
    "ingestion.run.mart_steps.register_raw_tables",
    "ingestion.run.mart_steps.audit",
    "ingestion.publication.mart_tables.swap_in",
    "ingestion.publication.publish.finish_pointer",
)


@dataclasses.dataclass(frozen=True)
class Sale:
    """One line of a file; ``day`` None is a day that cannot be read."""

    customer_id: int
    store_id: int
    seller_id: int
    day: str | None
    cents: int

    def line(self) -> str:
        amount = f"{self.cents // 100}.{self.cents % 100:02d}"
        day = self.day or "someday"
        return (
            f"{self.customer_id},{self.store_id},besan,{day},{self.seller_id},{amount},1,{amount}"
        )


Content = tuple[Sale, ...]
sales = st.builds(
    Sale,
    customer_id=st.sampled_from([2, 16, 999]),
    store_id=st.sampled_from([121, 122, 777]),
    seller_id=st.sampled_from([4, 6, 55]),
    day=st.sampled_from(["2024-01-31", "2024-02-01", "2024-02-29", "2024-03-05", None]),
    cents=st.one_of(st.sampled_from([50, 150]), st.integers(1, 99_999)),
)
contents = st.lists(sales, max_size=5).map(tuple)
# (what, key, content): a content is new, or that of another key if None
changes = st.tuples(
    st.sampled_from(["send", "send", "send", "copy", "retract", "restore"]),
    st.sampled_from(KEYS),
    st.sampled_from(KEYS),
    contents,
)
rounds = st.tuples(
    st.lists(changes, min_size=1, max_size=3), st.none() | st.sampled_from(CUT_SHORT)
)


class CutShort(BaseException):
    """Ends a run in the middle, past every handler."""


class Shop:
    """The files that count, by key, as a careful person would keep them by hand."""

    def __init__(self) -> None:
        self.counting: dict[str, Content] = {}
        self.retracted: dict[str, Content] = {}
        self.last_sent: dict[str, Content] = {}

    def retract(self, key: str) -> None:
        self.retracted[key] = self.counting.pop(key)

    def take(self, inbox: dict[str, Content]) -> None:
        """One run: every file replaces its own older version, and a copy of another counts not."""
        changed = {
            key: content for key, content in inbox.items() if self.counting.get(key) != content
        }
        for key in changed:
            self.counting.pop(key, None)
        for key, content in sorted(changed.items()):
            self.retracted.pop(key, None)
            if content not in self.counting.values():
                self.counting[key] = content

    def lines(self) -> list[Sale]:
        return [sale for content in self.counting.values() for sale in content if sale.day]

    def customers(self) -> dict[tuple[int, str], Decimal]:
        """Total of each customer and month."""
        totals: dict[tuple[int, str], Decimal] = defaultdict(Decimal)
        for sale in self.lines():
            totals[sale.customer_id, str(sale.day)[:7]] += sale.cents * CENT
        return dict(totals)

    def sellers(self) -> dict[tuple[int, int, str], tuple[Decimal, Decimal]]:
        """Total and incentive of each store, seller and month."""
        totals: dict[tuple[int, int, str], Decimal] = defaultdict(Decimal)
        for sale in self.lines():
            totals[sale.store_id, sale.seller_id, str(sale.day)[:7]] += sale.cents * CENT
        best = {
            (store, month): max(
                other for (at, _, then), other in totals.items() if (at, then) == (store, month)
            )
            for store, _, month in totals
        }
        return {
            (store, seller, month): (
                total,
                (total / 100).quantize(CENT, ROUND_HALF_UP)
                if total == best[store, month]
                else Decimal("0.00"),
            )
            for (store, seller, month), total in totals.items()
        }


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
    """Both marts in both places are the shop's sums, once there is a publication."""
    if not pipeline.keys("publications/"):
        assert shop.lines() == []
        return
    sizes = (
        len(pipeline.table("customers_data_mart")),
        len(pipeline.table("sales_team_data_mart")),
    )
    assert sizes == (len(shop.customers()), len(shop.sellers())), "no key is there twice"
    assert as_customers(pipeline.table("customers_data_mart")) == shop.customers()
    assert as_sellers(pipeline.table("sales_team_data_mart")) == shop.sellers()
    assert as_customers(pipeline.s3_table("customers_data_mart", folder)) == shop.customers()
    assert as_sellers(pipeline.s3_table("sales_team_data_mart", folder)) == shop.sellers()


def text(content: Content) -> str:
    return HEADER + "".join(f"{sale.line()}\n" for sale in content)


def run_cut_short(pipeline: Pipeline, place: str, **options: Any) -> bool:
    """A run that ends right after ``place`` has done its work; false if it never got there."""
    module_name, _, name = place.rpartition(".")
    module = importlib.import_module(module_name)
    original = getattr(module, name)

    def ends_after(*args: Any, **kwargs: Any) -> None:
        original(*args, **kwargs)
        raise CutShort

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, ends_after)
        try:
            pipeline.run(**options)
        except CutShort:
            return True
    return False


@settings(WHOLE_RUNS, max_examples=4)
@given(sequence=st.lists(rounds, min_size=2, max_size=4))
def test_the_marts_equal_those_of_the_files_that_count(
    pipeline: Pipeline, tmp_path: Path, sequence: list[tuple[list[Any], str | None]]
) -> None:
    """Risk: some order of corrections, copies, withdrawals and crashes leaves wrong totals."""
    pipeline.restart()
    shop = Shop()
    inbox: dict[str, Content] = {}  # sent since the last run that came to its end
    for step, (changes_of_round, place) in enumerate(sequence):
        was_cut_short = bool(inbox)
        withdrawn: str | None = None
        for what, key, other, content in changes_of_round:
            sent: Content | None = None
            if what == "send":
                sent = content
            elif was_cut_short:  # which of two equal files came first is not ours to say then
                continue
            elif what == "copy":
                sent = shop.last_sent.get(other)
            elif what == "restore":
                sent = shop.retracted.get(key)
            elif withdrawn is None and key in shop.counting and key not in inbox:
                withdrawn = key
            if sent is not None and key != withdrawn:
                pipeline.put(key, text(sent))
                inbox[key] = shop.last_sent[key] = sent
        options: dict[str, Any] = {}
        if withdrawn is not None:
            shop.retract(withdrawn)
            options["change"] = lambda services, run_id, key=withdrawn: withdrawal.retract_file(
                services, key, run_id
            )
        if place is not None and run_cut_short(pipeline, place, **options):
            continue
        if place is None:
            pipeline.run(**options)
        shop.take(inbox)
        inbox.clear()
        assert pipeline.keys("sales_data/") == [], step
        assert_marts(pipeline, shop, tmp_path)
    pipeline.run(full_refresh=True)
    shop.take(inbox)
    assert_marts(pipeline, shop, tmp_path)
