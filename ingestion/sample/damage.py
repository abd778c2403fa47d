"""Damage to a known share of a sample's rows."""

from __future__ import annotations

import csv
import datetime as dt
import random
import sys
from collections import Counter
from collections.abc import Iterator

from ingestion.sample.spec import EXTRA_HEADER, FAULT_KINDS, SALES_HEADER, SampleSpec
from ingestion.sample.till import Till, quoted


class Damage:
    """Damages rows at the settled shares, each kind spread evenly over the whole sample."""

    def __init__(self, spec: SampleSpec) -> None:
        self._shares = {kind: spec.shares.get(kind, 0.0) for kind in FAULT_KINDS}
        self._chance = random.Random(f"{spec.seed}/damage")
        self._customers = spec.customers
        self._turn = 0
        self._issued: Counter[str] = Counter()
        self._row, self._kind = self._next()

    def _next(self) -> tuple[int, str]:
        """The number of the next row to damage, and the kind that is furthest behind its share."""
        total = sum(self._shares.values())
        if not total:
            return sys.maxsize, ""
        row = int((self._turn + self._chance.random()) / total)
        self._turn += 1
        owed = {
            kind: share / total * self._turn - self._issued[kind]
            for kind, share in self._shares.items()
        }
        kind = max(owed, key=owed.__getitem__)
        self._issued[kind] += 1
        return row, kind

    def apply(self, lines: list[str], first_row: int, till: Till) -> Iterator[str]:
        """Replaces the lines whose turn has come, and yields the kind of each."""
        index = 0
        while (index := max(index, self._row - first_row)) < len(lines):
            fields = next(csv.reader([lines[index]]))
            if self._kind != "unknown_customer":
                till.take_back(fields[4], int(fields[7].replace(".", "")))
            damaged = _damaged(self._kind, self._issued[self._kind], fields, self._customers)
            lines[index] = ",".join(map(quoted, damaged))
            yield self._kind
            self._row, self._kind = self._next()
            index += 1


def _damaged(kind: str, turn: int, fields: list[str], customers: int) -> list[str]:
    """The fields of a row after damage; ``turn`` varies it. A lone surrogate is a bad byte."""
    if kind == "column_count":
        return fields[:-2] if turn % 2 else [*fields[:2], "Soap", *fields[2:]]
    if kind == "repeated_header":
        return SALES_HEADER + EXTRA_HEADER[: len(fields) - len(SALES_HEADER)]
    day = dt.date.fromisoformat(fields[3])
    column, value = {
        "bad_date": (3, (f"{day.year}-02-30", f"{day:%d/%m/%Y}", "yesterday")[turn % 3]),
        "bad_money": (7, (f"${fields[7]}", "1,204.50", "free")[turn % 3]),
        "empty_value": (turn % len(SALES_HEADER), ""),
        "unknown_customer": (0, str(customers + turn)),
        "encoding": (2, "Caf\udce9 blend"),
        "fractional_quantity": (6, "1.5"),
    }[kind]
    return [*fields[:column], value, *fields[column + 1 :]]
