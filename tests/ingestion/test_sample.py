"""The generator: its bytes are settled by its seed, and its summary is true."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import hashlib
from collections import defaultdict
from decimal import Decimal, InvalidOperation
from pathlib import Path

import pytest

from ingestion.errors import UsageError
from ingestion.sample.files import write_sample
from ingestion.sample.spec import (
    DEFAULT_SHARES,
    FAULT_KINDS,
    SALES_HEADER,
    SampleSpec,
)

SMALL = SampleSpec(rows=3_000, shares=dict.fromkeys(FAULT_KINDS, 0.01))


def _digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*.csv")
    }


def _records(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file, strict=True))


def _sound(header: list[str], record: list[str]) -> bool:
    """An independent reading of the contract: is this record a sale that counts?"""
    if len(record) != len(header):
        return False
    row = dict(zip(header, record, strict=True))
    try:
        ids = [int(row[name]) for name in ("customer_id", "store_id", "sales_person_id")]
        whole = [*ids, int(row["quantity"])]
        day = dt.datetime.strptime(row["sales_date"], "%Y-%m-%d")
        exact = Decimal(row["price"]) * whole[-1] == Decimal(row["total_cost"])
        name = row["product_name"].encode()
    except (KeyError, ValueError, InvalidOperation):
        return False
    return exact and bool(name) and f"{day:%Y-%m-%d}" == row["sales_date"]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    """Risk: a bench or a bug report that cannot be repeated."""
    for name, spec in {"a": SMALL, "b": SMALL, "c": dataclasses.replace(SMALL, seed=7)}.items():
        write_sample(tmp_path / name, spec)

    assert _digests(tmp_path / "a") == _digests(tmp_path / "b")
    same_names = _digests(tmp_path / "a").keys() == _digests(tmp_path / "c").keys()
    assert same_names
    assert not set(_digests(tmp_path / "a").values()) & set(_digests(tmp_path / "c").values())


def test_the_summary_says_what_a_strict_reader_finds(tmp_path: Path) -> None:
    """Risk: the pipeline is compared with expected figures that are wrong themselves."""
    summary = write_sample(tmp_path, SMALL)

    for file in summary.files:
        header, *records = _records(tmp_path / "sales" / file.key)
        sound = [record for record in records if _sound(header, record)]
        place = header.index("total_cost") if "total_cost" in header else 0
        assert len(records) == file.rows
        assert len(sound) == file.valid_rows
        assert sum((Decimal(row[place]) for row in sound), Decimal("0.00")) == file.amount
    assert summary.rows == SMALL.rows + sum(f.rows for f in summary.files if f.missing_column)
    assert summary.amount == sum(file.amount for file in summary.files)


def test_the_default_sample_shows_every_kind_of_damage(tmp_path: Path) -> None:
    """Risk: the demo's summary has nothing to show, or drowns in bad rows."""
    summary = write_sample(tmp_path, SampleSpec())

    kinds = [kind for file in summary.files for kind in file.faults]
    assert set(kinds) == set(FAULT_KINDS)
    assert [file.missing_column for file in summary.files if file.missing_column] == ["store_id"]
    assert len(summary.files) == 9
    assert 10 < SampleSpec().rows - summary.valid_rows < 60
    extra = [f.key for f in summary.files if len(_records(tmp_path / "sales" / f.key)[0]) > 8]
    assert extra == ["store_104/2024-04-01_2024-06-30.csv"]


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_each_share_is_met_by_its_own_kind(kind: str, tmp_path: Path) -> None:
    """Risk: a share that is set does something else, or nothing."""
    spec = dataclasses.replace(SMALL, shares={kind: 0.02}, bad_files=0)

    summary = write_sample(tmp_path, spec)

    faults = sum(file.faults.get(kind, 0) for file in summary.files)
    assert {name for file in summary.files for name in file.faults} == {kind}
    assert abs(faults - 60) <= 1
    assert summary.rows - summary.valid_rows == (0 if kind == "unknown_customer" else faults)


def test_every_row_may_be_damaged(tmp_path: Path) -> None:
    """Risk: damage skips rows, or hits one twice, when bad rows stand side by side."""
    spec = SampleSpec(rows=400, bad_files=0, sellers_per_store=1, shares={"bad_money": 1.0})

    summary = write_sample(tmp_path, spec)

    assert (summary.rows, summary.valid_rows, summary.amount) == (400, 0, Decimal("0.00"))


def test_a_store_has_a_tie_at_rank_one_that_ends_in_half_a_cent(tmp_path: Path) -> None:
    """Risk: the demo never shows shared first ranks, nor an incentive that must be rounded."""
    write_sample(tmp_path, SampleSpec())

    totals: dict[str, Decimal] = defaultdict(Decimal)
    header, *records = _records(tmp_path / "sales/store_101/2024-04-01_2024-06-30.csv")
    for record in records:
        if _sound(header, record) and record[3].startswith("2024-06"):
            totals[record[4]] += Decimal(record[7])
    first, second, third, _ = sorted(totals.values(), reverse=True)
    assert first == second > third
    assert first % 1 == Decimal("0.50")


def test_dimensions_hold_every_id_that_sales_name(tmp_path: Path) -> None:
    """Risk: sales fall under unknown members although nobody asked for damage."""
    spec = dataclasses.replace(SMALL, shares={}, bad_files=0)
    write_sample(tmp_path, spec)

    def ids(table: str, column: int = 0) -> set[str]:
        return {row[column] for row in _records(tmp_path / "dimensions" / f"{table}.csv")[1:]}

    sales = [row for path in tmp_path.glob("sales/*/*.csv") for row in _records(path)[1:]]
    assert {row[0] for row in sales} <= ids("customer")
    assert {row[1] for row in sales} == ids("store")
    assert {row[2] for row in sales} <= ids("product", 1)
    assert {row[4] for row in sales} < ids("sales_team")


def test_one_product_name_stands_for_two_products(tmp_path: Path) -> None:
    """Risk: a join on the product's name multiplies rows and no sample shows it."""
    write_sample(tmp_path, SampleSpec(rows=0))

    names = [row[1] for row in _records(tmp_path / "dimensions/product.csv")[1:]]

    assert len(names) == 60
    assert len(set(names)) == 57


def test_daily_files_of_one_store_cover_the_month(tmp_path: Path) -> None:
    """Risk: days are lost, or doubled, when a period is cut into many files."""
    spec = SampleSpec(
        rows=310, stores=1, months=1, files_per_store=31, bad_files=0, extra_column_files=0
    )

    summary = write_sample(tmp_path, spec)

    assert [file.key for file in summary.files] == [
        f"store_101/2024-01-{day:02d}.csv" for day in range(1, 32)
    ]
    assert summary.rows == 310
    for file in summary.files:
        header, *records = _records(tmp_path / "sales" / file.key)
        assert header == SALES_HEADER
        assert {row[3] for row in records} <= {Path(file.key).stem}


def test_all_mistakes_in_a_spec_are_told_together() -> None:
    """Risk: a user mends one option after the other."""
    shares = {**DEFAULT_SHARES, "bad_date": 2, "typo": 0.1}

    with pytest.raises(UsageError) as raised:
        SampleSpec(rows=-1, stores=0, first_month=dt.date(2024, 1, 2), shares=shares)

    assert str(raised.value) == (
        "The sample cannot be generated. Found: rows is -1, but must be at least 0; stores is 0, "
        "but must be at least 1; first_month is 2024-01-02, but must be the first of a month; the "
        "share of bad_date is 2, but must be from 0 to 1; 'typo' is not a kind of damage "
        f"({', '.join(FAULT_KINDS)}); the shares add up to more than 1."
    )
