"""A shop's files as a careful person keeps them by hand, and what they add up to."""

from __future__ import annotations

import dataclasses
import importlib
from collections import defaultdict
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from tests.run_without_spark import HEADER

CENT = Decimal("0.01")


@dataclasses.dataclass(frozen=True)
class Sale:
    """One line of a file; ``day`` None is a day that cannot be read."""

    customer_id: int
    store_id: int
    seller_id: int
    day: str | None
    cents: int

    def line(self) -> str:
        """The sale as its till writes it."""
        amount = f"{self.cents // 100}.{self.cents % 100:02d}"
        day = self.day or "someday"
        return (
            f"{self.customer_id},{self.store_id},besan,{day},{self.seller_id},{amount},1,{amount}"
        )


Content = tuple[Sale, ...]


def text(content: Content) -> str:
    """A file of these sales."""
    return HEADER + "".join(f"{sale.line()}\n" for sale in content)


class Shop:
    """The files that count, by key; those that were withdrawn; and what each key sent last."""

    def __init__(self) -> None:
        self.counting: dict[str, Content] = {}
        self.retracted: dict[str, Content] = {}
        self.last_sent: dict[str, Content] = {}

    def retract(self, key: str) -> None:
        """The file counts no longer."""
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
        """The sales that count."""
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


@dataclasses.dataclass(frozen=True)
class Cut:
    """Where a run ends: at this call of a function, before or after its work."""

    function: str
    is_before: bool = False
    call: int = 1


class CutShort(BaseException):
    """Ends a run in the middle, past every handler."""


def is_cut_short(cut: Cut, run: Callable[[], object]) -> bool:
    """Makes a run that ends there; false if it never got there, and so came to its end."""
    place, _, name = cut.function.rpartition(".")
    module = importlib.import_module(place)
    original = getattr(module, name)
    calls = 0

    def ends(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == cut.call and cut.is_before:
            raise CutShort
        result = original(*args, **kwargs)
        if calls == cut.call:
            raise CutShort
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, name, ends)
        try:
            run()
        except CutShort:
            return True
    return False
