"""The rows of a sample's dimensions: customers, products, stores and their staff."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator

from ingestion.sample.spec import SampleSpec

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
_SIZES = ("small", "large")
_PRODUCTS = 60  # each item in each size
_CENT_ENDINGS = (0, 25, 45, 49, 50, 75, 95, 99)
GIFT_CARD = "Gift card"
_DAYS_A_YEAR = 365


def customers(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """Some without a phone number or an address."""
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


def products(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """Every fifteenth product bears the name of the one before; the last is the gift card."""
    chance = random.Random(f"{spec.seed}/product")
    items, name = _ITEMS.split("|"), ""
    for product_id in range(1, _PRODUCTS + 1):
        if product_id == _PRODUCTS:
            name = GIFT_CARD
        elif product_id % 15:
            size, item = divmod(product_id - 1, len(items))
            name = f"{items[item]} {_SIZES[size]}"
        cents = 100 * chance.randrange(1, 40) + chance.choice(_CENT_ENDINGS)
        is_dearer = product_id % 3 == 0
        last_year = spec.first_month - dt.timedelta(days=_DAYS_A_YEAR)
        next_decade = spec.first_month + dt.timedelta(days=10 * _DAYS_A_YEAR)
        yield (
            str(product_id),
            name,
            money(cents),
            money(cents * 9 // 10 if is_dearer else cents),
            _day_before(chance, last_year, years=4),
            _day_before(chance, spec.first_month, years=1) if is_dearer else "",
            "" if product_id % 4 else next_decade.isoformat(),
        )


def stores(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """Each has one of the sales team as its manager."""
    chance = random.Random(f"{spec.seed}/store")
    managers = [row for row in sales_team(spec) if row[4] == "Y"]
    for index, manager in enumerate(managers):
        yield (
            store_id(index),
            _address(chance),
            manager[6],
            f"{manager[1]} {manager[2]}",
            _day_before(chance, spec.first_month, years=8),
            _REVIEWS[index % len(_REVIEWS)],
        )


def sales_team(spec: SampleSpec) -> Iterator[tuple[str, ...]]:
    """All sellers, store by store, then each store's manager, who sells nothing."""
    chance = random.Random(f"{spec.seed}/sales_team")
    first_names, last_names = _FIRST_NAMES.split(), _LAST_NAMES.split()
    groups = [sellers(spec, index) for index in range(spec.stores)]
    last_seller = int(groups[-1][-1])
    places = [f"{chance.randrange(100_000):05d}" for _ in groups]
    people = [
        (seller, str(last_seller + 1 + index), "N", places[index])
        for index, group in enumerate(groups)
        for seller in group
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


def store_id(index: int) -> str:
    """The id of a store, counted from 0."""
    return str(101 + index)


def sellers(spec: SampleSpec, store: int) -> list[str]:
    """The ids of a store's sellers; every second store has one seller fewer."""
    counts = [max(1, spec.sellers_per_store - index % 2) for index in range(store + 1)]
    return [str(sum(counts[:-1]) + number) for number in range(1, counts[-1] + 1)]


def _address(chance: random.Random) -> str:
    return f"{chance.randrange(1, 200)} {chance.choice(_STREETS)}, {chance.choice(_TOWNS)}"


def _day_before(chance: random.Random, end: dt.date, years: int) -> str:
    return (end - dt.timedelta(days=chance.randrange(1, _DAYS_A_YEAR * years))).isoformat()


def money(cents: int) -> str:
    """The amount with two digits after the point."""
    return f"{cents // 100}.{cents % 100:02d}"
