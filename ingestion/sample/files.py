"""Writes a sample: dimension CSVs, and sales files with a known share of damage."""

from __future__ import annotations

import csv
import itertools
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO

from ingestion.sample import star
from ingestion.sample.damage import Damage
from ingestion.sample.parts import Part, bad_parts, good_parts
from ingestion.sample.spec import (
    EXTRA_HEADER,
    SALES_HEADER,
    SampleFile,
    SampleSpec,
    SampleSummary,
)
from ingestion.sample.till import Till, all_baskets, quoted

_HEADERS = {
    "customer": "customer_id,first_name,last_name,address,pincode,phone_number,"
    "customer_joining_date",
    "product": "id,name,current_price,old_price,created_date,updated_date,expiry_date",
    "store": "id,address,store_pincode,store_manager_name,store_opening_date,reviews",
    "sales_team": "id,first_name,last_name,manager_id,is_manager,address,pincode,joining_date",
}
_NO_COLUMNS: Mapping[str, Sequence[str]] = MappingProxyType({})
_LINES_A_WRITE = 20_000


def write_sample(
    folder: Path, spec: SampleSpec, columns: Mapping[str, Sequence[str]] = _NO_COLUMNS
) -> SampleSummary:
    """Writes ``dimensions/*.csv`` and ``sales/**/*.csv`` below ``folder``, a few MB at a time.

    Files of the same names are overwritten. ``columns`` are those that each dimension table has by
    its contract; columns and tables that the sample does not know stay empty.
    """
    dimensions = {
        "customer": star.customers(spec),
        "product": star.products(spec),
        "store": star.stores(spec),
        "sales_team": star.sales_team(spec),
    }
    for name, rows in dimensions.items():
        header = _HEADERS[name].split(",")
        more = [column for column in columns.get(name, ()) if column not in header]
        _write_dimension(folder / "dimensions" / f"{name}.csv", header, more, rows)
    for name in columns.keys() - dimensions.keys():
        _write_dimension(folder / "dimensions" / f"{name}.csv", columns[name], (), ())
    return SampleSummary(tuple(_write_sales(folder / "sales", spec)))


def _write_dimension(
    path: Path, header: Sequence[str], more: Sequence[str], rows: Iterable[tuple[str, ...]]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, *more])
        writer.writerows((*row, *("" for _ in more)) for row in rows)


def _write_sales(folder: Path, spec: SampleSpec) -> Iterator[SampleFile]:
    baskets = all_baskets(spec)
    damage = Damage(spec)
    for store, parts in itertools.groupby(good_parts(spec), key=lambda part: part.store):
        till = Till(spec, store, baskets)
        for part in parts:
            yield _write_good_file(folder, spec, part, till, damage)
    for part in bad_parts(spec):
        yield _write_bad_file(folder, spec, part, Till(spec, part.store, baskets))


def _write_good_file(
    folder: Path, spec: SampleSpec, part: Part, till: Till, damage: Damage
) -> SampleFile:
    chance = random.Random(f"{spec.seed}/{part.key}")
    header = SALES_HEADER + EXTRA_HEADER if part.has_extra else SALES_HEADER
    faults: Counter[str] = Counter()
    rows, cents_before = 0, till.cents
    with _created(folder / part.key) as file:
        file.write(_encoded([",".join(header)]))
        for day, day_rows in part.days:
            till.open(day)
            left = day_rows - 2 if day == part.tied_day else day_rows
            while left:
                lines = till.ring_up(min(left, _LINES_A_WRITE), chance, part.has_extra)
                faults.update(damage.apply(lines, part.first_row + rows, till))
                file.write(_encoded(lines))
                rows += len(lines)
                left -= len(lines)
            if day == part.tied_day:
                file.write(_encoded(till.tie(part.has_extra)))
                rows += 2
    return SampleFile(
        key=part.key,
        rows=rows,
        valid_rows=rows - faults.total() + faults["unknown_customer"],
        amount=Decimal(till.cents - cents_before).scaleb(-2),
        faults=dict(faults),
    )


def _write_bad_file(folder: Path, spec: SampleSpec, part: Part, till: Till) -> SampleFile:
    missing = SALES_HEADER.index(str(part.missing_column))
    [(day, rows)] = part.days
    till.open(day)
    lines = till.ring_up(rows, random.Random(f"{spec.seed}/{part.key}"), has_extra=False)
    records = csv.reader([",".join(SALES_HEADER), *lines])
    with _created(folder / part.key) as file:
        file.write(
            _encoded(
                ",".join(map(quoted, record[:missing] + record[missing + 1 :]))
                for record in records
            )
        )
    return SampleFile(part.key, rows, 0, Decimal("0.00"), {}, part.missing_column)


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _created(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")
