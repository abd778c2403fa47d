"""How a sample's rows are dealt out to files: by store, by days, and by the days' trade."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections.abc import Iterator

from ingestion.sample.spec import SALES_HEADER, SampleSpec
from ingestion.sample.star import sellers, store_id

_BAD_FILE_ROWS = 120


@dataclasses.dataclass(frozen=True)
class Part:
    """One sales file to be: its store, its days with their rows, and its first row's number.

    On ``tied_day``, the last of its month, the two best sellers of the store are made equal.
    """

    key: str
    store: int
    days: tuple[tuple[dt.date, int], ...]
    first_row: int
    has_extra: bool = False
    tied_day: dt.date | None = None
    missing_column: str | None = None


def good_parts(spec: SampleSpec) -> Iterator[Part]:
    """Store by store, and day by day; the rows of all parts are those of the spec."""
    days = _days(spec)
    edges = [n * len(days) // spec.files_per_store for n in range(spec.files_per_store + 1)]
    spans = [days[a:b] for a, b in itertools.pairwise(edges) if a < b]
    weights = [
        (5 - store % 3) * _day_weight(spec, day) for store in range(spec.stores) for day in days
    ]
    reached = [0, *itertools.accumulate(weights)]
    edges_of_rows = [spec.rows * weight // reached[-1] for weight in reached]
    rows_of_days = (b - a for a, b in itertools.pairwise(edges_of_rows))
    can_tie = len(sellers(spec, store=0)) > 1
    first_row = 0
    for number, (store, span) in enumerate(itertools.product(range(spec.stores), spans), start=1):
        counted = tuple((day, next(rows_of_days)) for day in span)
        last = f"_{span[-1]}" if len(span) > 1 else ""
        yield Part(
            key=f"store_{store_id(store)}/{span[0]}{last}.csv",
            store=store,
            days=counted,
            first_row=first_row,
            has_extra=number > spec.stores * len(spans) - spec.extra_column_files,
            tied_day=days[-1] if number == len(spans) and can_tie and counted[-1][1] > 1 else None,
        )
        first_row += sum(rows for _, rows in counted)


def bad_parts(spec: SampleSpec) -> Iterator[Part]:
    """Each lacks another mandatory column."""
    days = _days(spec)
    for number in range(spec.bad_files):
        day = days[(number + 1) * len(days) // (spec.bad_files + 1)]
        missing = SALES_HEADER[(number + 1) % len(SALES_HEADER)]
        yield Part(
            key=f"market_stall/{day}_export_{number + 1}.csv",
            store=number % spec.stores,
            days=((day, _BAD_FILE_ROWS),),
            first_row=0,
            missing_column=missing,
        )


def _days(spec: SampleSpec) -> list[dt.date]:
    months = spec.first_month.year * 12 + spec.first_month.month - 1 + spec.months
    end = dt.date(months // 12, months % 12 + 1, 1)
    return [spec.first_month + dt.timedelta(days=i) for i in range((end - spec.first_month).days)]


def _day_weight(spec: SampleSpec, day: dt.date) -> int:
    """Saturdays are busy, and trade grows a little from month to month."""
    month = (day.year - spec.first_month.year) * 12 + day.month - spec.first_month.month
    return (8, 8, 8, 9, 12, 16, 11)[day.weekday()] * (20 + month % 12)
