"""Makes a small retail star: dimension CSVs, and sales files with a known share of damage."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import itertools
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO

from ingestion.errors import UsageError

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
_EXTRA_HEADER = ["payment_mode", "loyalty_card"]
_HEADERS = {
    "customer": "customer_id,first_name,last_name,address,pincode,phone_number,"
    "customer_joining_date",
    "product": "id,name,current_price,old_price,created_date,updated_date,expiry_date",
    "store": "id,address,store_pincode,store_manager_name,store_opening_date,reviews",
    "sales_team": "id,first_name,last_name,manager_id,is_manager,address,pincode,joining_date",
}
_FIRST_NAMES = (
    "Ada Bruno Chloé Dmitri Elif Farah Goran Hana Ines José Jose Kofi Łucja Mateus Nadia Ömer "
    "Priya Quentin Rosa Søren Tariq Uma Viktor Wanda Ximena Yusuf Zoë आशा 美咲"
)
_LAST_NAMES = (
    "Abara Bergström Castillo D'Amico Eriksen Ferreira Grzyb Haddad Ivanova Jørgensen Kumar "
    "Lindqvist Müller Nakamura O'Shea Petrov Quispe Rossi Sato Núñez Tran Usman Vega Weiß Öztürk"
)
_TOWNS = ("Alderbrook", "Brightwater", "Coldharbour", "Dunmere", "Eastlea", "Fernhollow")
_STREETS = ("Mill Lane", "Station Road", "Orchard Way", "Quay Street", "Church Hill")
_REVIEWS = ("Friendly staff, short queues.", 'Locals call it "the corner".', "", "Always tidy.")
_ITEMS = (
    "Oat flakes|Basmati rice|Olive oil|Black tea|Ground coffee|Dark chocolate|Crème fraîche|"
    "Jalapeño salsa|Rye crackers|मसाला चाय|Rock salt|Honey|Tomato passata|Red lentils|"
    "Peanut butter|Washing-up liquid|Shampoo|Soap, lavender|Paper towels|Candle|"
    'Baking tray 12"|Frying pan|Tea towel|Lunch box|Umbrella|Notebook|Pencils|Sticky tape|'
    "Light bulb|Batteries"
)
_SIZES = ("small", "large", "family pack", "trial size")
_CENT_ENDINGS = (0, 25, 45, 49, 50, 75, 95, 99)
_QUANTITIES = (1, 1, 1, 1, 2, 2, 3, 5)
_GIFT_CARD = "Gift card"
_PAYMENT_MODES = ("card", "cash", "voucher", "phone")
_BAD_FILE_ROWS = 120
_LINES_A_WRITE = 20_000
_DAYS_A_YEAR = 365


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
    products: int = 60
    files_per_store: int = 2
    extra_column_files: int = 1
    bad_files: int = 1
    shares: Mapping[str, float] = dataclasses.field(default_factory=lambda: dict(DEFAULT_SHARES))

    def __post_init__(self) -> None:
        least = dict.fromkeys(("rows", "extra_column_files", "bad_files"), 0)
        least |= dict.fromkeys(("months", "stores", "customers", "products"), 1)
        least |= dict.fromkeys(("sellers_per_store", "files_per_store"), 1)
        mistakes = [
            f"{name} is {getattr(self, name)}, but must be at least {bound}"
            for name, bound in least.items()
            if getattr(self, name) < bound
        ]
        if self.first_month.day != 1:
            mistakes.append(f"first_month is {self.first_month}, but must be the first of a month")
        for kind, share in self.shares.items():
            if kind not in FAULT_KINDS:
                mistakes.append(f"{kind!r} is no kind of damage ({', '.join(FAULT_KINDS)})")
            elif not 0 <= share <= 1:
                mistakes.append(f"the share of {kind} is {share}, but must be from 0 to 1")
        if sum(self.shares.values()) > 1:
            mistakes.append("the shares add up to more than 1")
        if mistakes:
            raise UsageError("The sample cannot be made", found="; ".join(mistakes))


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
    """What was written: rows by dimension, and every sales file."""

    dimension_rows: Mapping[str, int]
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


def write_sample(folder: Path, spec: SampleSpec) -> SampleSummary:
    """Writes ``dimensions/*.csv`` and ``sales/**/*.csv`` below ``folder``, a few MB at a time.

    Files of the same names are overwritten.
    """
    dimensions = {
        "customer": _customers(spec),
        "product": _products(spec),
        "store": _stores(spec),
        "sales_team": _sales_team(spec),
    }
    counts = {
        name: _write_dimension(folder / "dimensions" / f"{name}.csv", _HEADERS[name], rows)
        for name, rows in dimensions.items()
    }
    return SampleSummary(counts, tuple(_write_sales(folder / "sales", spec)))


def _write_dimension(path: Path, header: str, rows: Iterable[tuple[str, ...]]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        for count, row in enumerate(rows, start=1):  # noqa: B007
            writer.writerow(row)
    return count


def _customers(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    chance = random.Random(f"{spec.seed}/customer")
    first_names, last_names = _FIRST_NAMES.split(), _LAST_NAMES.split()
    for customer_id in range(1, spec.customers + 1):
        phone = "" if customer_id % 19 == 0 else f"555-{chance.randrange(10_000):04d}"
        yield (
            str(customer_id),
            chance.choice(first_names),
            chance.choice(last_names),
            "" if customer_id % 23 == 0 else _address(chance),
            f"{chance.randrange(100_000):05d}",
            phone,
            _day_before(chance, spec.first_month, years=5),
        )


def _products(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """Every fifteenth product bears the name of the one before; the last is the gift card."""
    chance = random.Random(f"{spec.seed}/product")
    items, name = _ITEMS.split("|"), ""
    for product_id in range(1, spec.products + 1):
        if product_id == spec.products:
            name = _GIFT_CARD
        elif product_id % 15:
            series, item = divmod(product_id - 1, len(items))
            number, size = divmod(series, len(_SIZES))
            name = f"{items[item]} {_SIZES[size]}" + (f" no. {number + 1}" if number else "")
        cents = 100 * chance.randrange(1, 40) + chance.choice(_CENT_ENDINGS)
        is_dearer = product_id % 3 == 0
        last_year = spec.first_month - dt.timedelta(days=_DAYS_A_YEAR)
        next_decade = spec.first_month + dt.timedelta(days=10 * _DAYS_A_YEAR)
        yield (
            str(product_id),
            name,
            _money(cents),
            _money(cents * 9 // 10 if is_dearer else cents),
            _day_before(chance, last_year, years=4),
            _day_before(chance, spec.first_month, years=1) if is_dearer else "",
            "" if product_id % 4 else next_decade.isoformat(),
        )


def _stores(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    chance = random.Random(f"{spec.seed}/store")
    managers = [row for row in _sales_team(spec) if row[4] == "Y"]
    for index, manager in enumerate(managers):
        yield (
            _store_id(index),
            _address(chance),
            manager[6],
            f"{manager[1]} {manager[2]}",
            _day_before(chance, spec.first_month, years=8),
            _REVIEWS[index % len(_REVIEWS)],
        )


def _sales_team(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """All sellers, store by store, then each store's manager, who sells nothing."""
    chance = random.Random(f"{spec.seed}/sales_team")
    first_names, last_names = _FIRST_NAMES.split(), _LAST_NAMES.split()
    groups = [_sellers(spec, index) for index in range(spec.stores)]
    last_seller = int(groups[-1][-1])
    places = [f"{chance.randrange(100_000):05d}" for _ in groups]
    people = [
        (seller, str(last_seller + 1 + index), "N", places[index])
        for index, sellers in enumerate(groups)
        for seller in sellers
    ]
    people += [(str(last_seller + 1 + i), "", "Y", place) for i, place in enumerate(places)]
    for person_id, manager_id, is_manager, pincode in people:
        yield (
            person_id,
            chance.choice(first_names),
            chance.choice(last_names),
            manager_id,
            is_manager,
            _address(chance),
            pincode,
            _day_before(chance, spec.first_month, years=3),
        )


def _store_id(index: int) -> str:
    return str(101 + index)


def _sellers(spec: SampleSpec, store: int) -> list[str]:
    """The ids of a store's sellers; every second store has one seller fewer."""
    counts = [max(1, spec.sellers_per_store - index % 2) for index in range(store + 1)]
    return [str(sum(counts[:-1]) + number) for number in range(1, counts[-1] + 1)]


def _address(chance: random.Random) -> str:
    return f"{chance.randrange(1, 200)} {chance.choice(_STREETS)}, {chance.choice(_TOWNS)}"


def _day_before(chance: random.Random, end: dt.date, years: int) -> str:
    return (end - dt.timedelta(days=chance.randrange(1, _DAYS_A_YEAR * years))).isoformat()


def _money(cents: int) -> str:
    return f"{cents // 100}.{cents % 100:02d}"


@dataclasses.dataclass(frozen=True)
class _Part:
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


@dataclasses.dataclass(frozen=True)
class _Basket:
    """One product in one quantity: quoted name, ``price,quantity,total``, total in cents."""

    name: str
    tail: str
    cents: int


class _Till:
    """Prints a store's clean sales, and keeps the cents each seller has sold in the month."""

    def __init__(self, spec: SampleSpec, store: int, baskets: list[_Basket]) -> None:
        self._store_id = _store_id(store)
        self._sellers = _sellers(spec, store)
        self._turns = [n for n in range(len(self._sellers)) for _ in range(9 - (n + store) % 4)]
        self._customers = spec.customers
        self._baskets = baskets
        self._day = dt.date.min
        self._month_cents = [0] * len(self._sellers)
        self.cents = 0

    def open(self, day: dt.date) -> None:
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
            basket = _basket(_GIFT_CARD, goal - self._month_cents[seller], 1)
            extra = _extra_values(customer=1, choice=0) if has_extra else ""
            lines.append(
                f"1,{self._store_id},{basket.name},{self._day},{self._sellers[seller]},"
                f"{basket.tail}{extra}"
            )
            self._month_cents[seller] = goal
            self.cents += basket.cents
        return lines


class _Damage:
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

    def apply(self, lines: list[str], first_row: int, till: _Till) -> Iterator[str]:
        """Replaces the lines whose turn has come, and yields the kind of each."""
        index = 0
        while (index := max(index, self._row - first_row)) < len(lines):
            fields = next(csv.reader([lines[index]]))
            if self._kind != "unknown_customer":
                till.take_back(fields[4], int(fields[7].replace(".", "")))
            damaged = _damaged(self._kind, self._issued[self._kind], fields, self._customers)
            lines[index] = ",".join(map(_quoted, damaged))
            yield self._kind
            self._row, self._kind = self._next()
            index += 1


def _damaged(kind: str, turn: int, fields: list[str], customers: int) -> list[str]:
    """The fields of a row after damage; ``turn`` varies it. A lone surrogate is a bad byte."""
    if kind == "column_count":
        return fields[:-2] if turn % 2 else [*fields[:2], "Soap", *fields[2:]]
    if kind == "repeated_header":
        return SALES_HEADER + _EXTRA_HEADER[: len(fields) - len(SALES_HEADER)]
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


def _write_sales(folder: Path, spec: SampleSpec) -> Iterator[SampleFile]:
    baskets = _baskets(spec)
    damage = _Damage(spec)
    for store, parts in itertools.groupby(_good_parts(spec), key=lambda part: part.store):
        till = _Till(spec, store, baskets)
        for part in parts:
            yield _write_good_file(folder, spec, part, till, damage)
    for part in _bad_parts(spec):
        yield _write_bad_file(folder, spec, part, _Till(spec, part.store, baskets))


def _write_good_file(
    folder: Path, spec: SampleSpec, part: _Part, till: _Till, damage: _Damage
) -> SampleFile:
    chance = random.Random(f"{spec.seed}/{part.key}")
    header = SALES_HEADER + _EXTRA_HEADER if part.has_extra else SALES_HEADER
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


def _write_bad_file(folder: Path, spec: SampleSpec, part: _Part, till: _Till) -> SampleFile:
    missing = SALES_HEADER.index(str(part.missing_column))
    [(day, rows)] = part.days
    till.open(day)
    lines = till.ring_up(rows, random.Random(f"{spec.seed}/{part.key}"), has_extra=False)
    records = csv.reader([",".join(SALES_HEADER), *lines])
    with _created(folder / part.key) as file:
        file.write(
            _encoded(
                ",".join(map(_quoted, record[:missing] + record[missing + 1 :]))
                for record in records
            )
        )
    return SampleFile(part.key, rows, 0, Decimal("0.00"), {}, part.missing_column)


def _good_parts(spec: SampleSpec) -> Iterator[_Part]:
    days = _days(spec)
    edges = [n * len(days) // spec.files_per_store for n in range(spec.files_per_store + 1)]
    spans = [days[a:b] for a, b in itertools.pairwise(edges) if a < b]
    weights = [
        (5 - store % 3) * _day_weight(spec, day) for store in range(spec.stores) for day in days
    ]
    reached = [0, *itertools.accumulate(weights)]
    edges_of_rows = [spec.rows * weight // reached[-1] for weight in reached]
    rows_of_days = (b - a for a, b in itertools.pairwise(edges_of_rows))
    can_tie = len(_sellers(spec, store=0)) > 1
    first_row = 0
    for number, (store, span) in enumerate(itertools.product(range(spec.stores), spans), start=1):
        counted = tuple((day, next(rows_of_days)) for day in span)
        last = f"_{span[-1]}" if len(span) > 1 else ""
        yield _Part(
            key=f"store_{_store_id(store)}/{span[0]}{last}.csv",
            store=store,
            days=counted,
            first_row=first_row,
            has_extra=number > spec.stores * len(spans) - spec.extra_column_files,
            tied_day=days[-1] if number == len(spans) and can_tie and counted[-1][1] > 1 else None,
        )
        first_row += sum(rows for _, rows in counted)


def _bad_parts(spec: SampleSpec) -> Iterator[_Part]:
    days = _days(spec)
    for number in range(spec.bad_files):
        day = days[(number + 1) * len(days) // (spec.bad_files + 1)]
        missing = SALES_HEADER[(number + 1) % len(SALES_HEADER)]
        yield _Part(
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


def _baskets(spec: SampleSpec) -> list[_Basket]:
    """What a till sells; a favourite product is in it several times."""
    baskets = []
    for product_id, name, price, *_ in _products(spec):
        cents = int(price.replace(".", ""))
        for quantity in _QUANTITIES:
            basket = _basket(name, cents, quantity)
            baskets += [basket] * (1 + 12 // (2 + int(product_id) % 11))
    return baskets


def _basket(name: str, cents: int, quantity: int) -> _Basket:
    tail = f"{_money(cents)},{quantity},{_money(cents * quantity)}"
    return _Basket(_quoted(name), tail, cents * quantity)


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"') else value


def _extra_values(customer: int, choice: int) -> str:
    card = f"L{customer:07d}" if customer % 3 else ""
    return f",{_PAYMENT_MODES[choice % len(_PAYMENT_MODES)]},{card}"


def _encoded(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def _created(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")
