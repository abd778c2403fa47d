"""What a sample is to be, and what a right reader finds in it."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping
from decimal import Decimal

from ingestion.errors import UsageError

MOST_MONTHS = 1200
FAULT_KINDS = (
    "column_count",
    "bad_date",
    "bad_money",
    "empty_value",
    "unknown_customer",
    "encoding",
    "fractional_quantity",
    "repeated_header",
)
DEFAULT_SHARES: Mapping[str, float] = dict.fromkeys(FAULT_KINDS, 0.0004)
SALES_HEADER = [
    "customer_id",
    "store_id",
    "product_name",
    "sales_date",
    "sales_person_id",
    "price",
    "quantity",
    "total_cost",
]
EXTRA_HEADER = ["payment_mode", "loyalty_card"]


@dataclasses.dataclass(frozen=True)
class SampleSpec:
    """The size, seed and damage of a sample; the same spec gives the same bytes.

    ``rows`` counts the rows of all good files, damaged rows included; ``bad_files`` more files
    lack a mandatory column. Each store sends ``files_per_store`` files of about equally many
    days, from ``first_month`` on for ``months`` months; the last ``extra_column_files`` of all
    files have two columns more. ``shares`` gives each kind of damage its share of the rows, from
    0 to 1; a kind that is not named gets none. Raises ``UsageError`` that lists every mistake.
    """

    rows: int = 12_000
    seed: int = 42
    first_month: dt.date = dt.date(2024, 1, 1)
    months: int = 6
    stores: int = 4
    sellers_per_store: int = 4
    customers: int = 200
    files_per_store: int = 2
    extra_column_files: int = 1
    bad_files: int = 1
    shares: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_SHARES))

    def __post_init__(self) -> None:
        least = dict.fromkeys(("rows", "extra_column_files", "bad_files"), 0)
        least |= dict.fromkeys(("months", "stores", "customers"), 1)
        least |= dict.fromkeys(("sellers_per_store", "files_per_store"), 1)
        mistakes = [
            f"{name} is {getattr(self, name)}, but must be at least {bound}"
            for name, bound in least.items()
            if getattr(self, name) < bound
        ]
        if not 1900 <= self.first_month.year < 2200 or self.months > MOST_MONTHS:
            mistakes.append(
                f"{self.months} months from {self.first_month} on, but must be at most "
                f"{MOST_MONTHS}, from a year from 1900 to 2199 on"
            )
        if self.first_month.day != 1:
            mistakes.append(f"first_month is {self.first_month}, but must be the first of a month")
        for kind, share in self.shares.items():
            if kind not in FAULT_KINDS:
                mistakes.append(f"{kind!r} is not a kind of damage ({', '.join(FAULT_KINDS)})")
            elif not 0 <= share <= 1:
                mistakes.append(f"the share of {kind} is {share}, but must be from 0 to 1")
        if sum(self.shares.values()) > 1:
            mistakes.append("the shares add up to more than 1")
        if mistakes:
            raise UsageError("The sample cannot be generated", found="; ".join(mistakes))


@dataclasses.dataclass(frozen=True)
class SampleFile:
    """One sales file and what a right reader finds in it.

    ``key`` is the path below ``sales/``; ``amount`` is the sum of total_cost over the valid rows;
    ``faults`` counts the damaged rows by kind. A sale of an unknown customer is damaged but valid.
    """

    key: str
    rows: int
    valid_rows: int
    amount: Decimal
    faults: Mapping[str, int]
    missing_column: str | None = None


@dataclasses.dataclass(frozen=True)
class SampleSummary:
    """What was written of every sales file."""

    files: tuple[SampleFile, ...]

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def valid_rows(self) -> int:
        return sum(file.valid_rows for file in self.files)

    @property
    def amount(self) -> Decimal:
        return sum((file.amount for file in self.files), Decimal("0.00"))
