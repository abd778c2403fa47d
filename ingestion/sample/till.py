"""Clean sales of one store, line by line, as its till prints them."""

from __future__ import annotations

import dataclasses
import datetime as dt
import random

from ingestion.sample import star
from ingestion.sample.spec import SampleSpec
from ingestion.sample.star import GIFT_CARD, money

_QUANTITIES = (1, 1, 1, 1, 2, 2, 3, 5)
_PAYMENT_MODES = ("card", "cash", "voucher", "phone")


@dataclasses.dataclass(frozen=True)
class Basket:
    """One product in one quantity: quoted name, ``price,quantity,total``, total in cents."""

    name: str
    tail: str
    cents: int


class Till:
    """Prints a store's clean sales, and keeps the cents each seller has sold in the month."""

    def __init__(self, spec: SampleSpec, store: int, baskets: list[Basket]) -> None:
        self._store_id = star.store_id(store)
        self._sellers = star.sellers(spec, store)
        self._turns = [n for n in range(len(self._sellers)) for _ in range(9 - (n + store) % 4)]
        self._customers = spec.customers
        self._baskets = baskets
        self._day = dt.date.min
        self._month_cents = [0] * len(self._sellers)
        self.cents = 0

    def open(self, day: dt.date) -> None:
        """The day of the sales to come; a new month starts at nothing."""
        if (day.year, day.month) != (self._day.year, self._day.month):
            self._month_cents = [0] * len(self._sellers)
        self._day = day

    def ring_up(self, rows: int, chance: random.Random, has_extra: bool) -> list[str]:
        """``rows`` sales of the open day as CSV lines without line end."""
        store, day, sellers = self._store_id, self._day.isoformat(), self._sellers
        turns, baskets, customers = self._turns, self._baskets, self._customers
        sold = [0] * len(sellers)
        bits, lines, extra = chance.getrandbits, [], ""
        for _ in range(rows):
            draw = bits(64)
            customer = 1 + (draw & 0xFFFFFF) % customers
            basket = baskets[(draw >> 24 & 0xFFFFFF) % len(baskets)]
            seller = turns[(draw >> 48 & 0xFF) % len(turns)]
            sold[seller] += basket.cents
            if has_extra:
                extra = _extra_values(customer, draw >> 56)
            lines.append(
                f"{customer},{store},{basket.name},{day},{sellers[seller]},{basket.tail}{extra}"
            )
        self._month_cents = [a + b for a, b in zip(self._month_cents, sold, strict=True)]
        self.cents += sum(sold)
        return lines

    def take_back(self, seller: str, cents: int) -> None:
        """Undoes a sale of so many cents."""
        self._month_cents[self._sellers.index(seller)] -= cents
        self.cents -= cents

    def tie(self, has_extra: bool) -> list[str]:
        """Two gift cards bring the two best sellers of the month to one total above all others.

        One per cent of that total ends in half a cent.
        """
        ranked = sorted(range(len(self._sellers)), key=lambda seller: -self._month_cents[seller])
        goal = self._month_cents[ranked[0]] // 100 * 100 + 2050
        lines = []
        for seller in ranked[:2]:
            basket = _basket(GIFT_CARD, goal - self._month_cents[seller], 1)
            extra = _extra_values(customer=1, choice=0) if has_extra else ""
            lines.append(
                f"1,{self._store_id},{basket.name},{self._day},{self._sellers[seller]},"
                f"{basket.tail}{extra}"
            )
            self._month_cents[seller] = goal
            self.cents += basket.cents
        return lines


def all_baskets(spec: SampleSpec) -> list[Basket]:
    """What a till sells; a favourite product is in it several times."""
    baskets = []
    for product_id, name, price, *_ in star.products(spec):
        cents = int(price.replace(".", ""))
        for quantity in _QUANTITIES:
            basket = _basket(name, cents, quantity)
            baskets += [basket] * (1 + 12 // (2 + int(product_id) % 11))
    return baskets


def _basket(name: str, cents: int, quantity: int) -> Basket:
    tail = f"{money(cents)},{quantity},{money(cents * quantity)}"
    return Basket(quoted(name), tail, cents * quantity)


def quoted(value: str) -> str:
    """A CSV value, quoted where it must be."""
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"') else value


def _extra_values(customer: int, choice: int) -> str:
    card = f"L{customer:07d}" if customer % 3 else ""
    return f",{_PAYMENT_MODES[choice % len(_PAYMENT_MODES)]},{card}"
