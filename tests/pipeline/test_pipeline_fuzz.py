"""Damaged files through the whole pipeline: rows and money against plain rules."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.ingestion.test_reader_fuzz import Record, WholeFileInDoubt, plain_read, simple_name
from tests.pipeline.conftest import Pipeline

pytestmark = pytest.mark.slow

FILES_A_DRAW = 100
COLUMNS = (
    "customer_id",
    "store_id",
    "sales_date",
    "sales_person_id",
    "price",
    "quantity",
    "total_cost",
    "product_name",
)
OPENINGS = {"121": dt.date(2022, 1, 15), "122": dt.date(2021, 8, 10)}
POOLS = {
    "customer_id": (["2", "16", "999"], ["", "x", "1.55", "99999999999", "NULL"]),
    "store_id": (["121", "122"], ["", "shop"]),
    "sales_date": (
        ["2024-03-05", "2024-02-29", "2023-12-31"],
        ["05/03/2024", "2024-02-30", "", "2024-3-5", "2999-01-01", "2020-01-01"],
    ),
    "sales_person_id": (["4", "6", "77"], ["", "four", "n/a"]),
    "price": (["52", "10.55", "12.3456"], ["-52", "1e3", "$55", '"5,25"', "12.34567", ""]),
    "quantity": (["1", "7", "12"], ["0", "-1", "1.55", "two", ""]),
    "total_cost": (["104", "12.55", "0"], ["", "10.055", "free", "-55"]),
    "product_name": (
        ["besan", '5" pipe', "café", "🫖", '"a, ""b"""', '"two\nlines"', "007"],
        ["", '""', "null"],
    ),
}
# the contract's aliases that one lost letter makes, and a line that ends within a name
ALIASES = {"saledate": "salesdate", "product": "productname"}
EMPTY_WORDS = {"", "null", "none", "n/a", "\\n"}


def a_value(name: str) -> st.SearchStrategy[str]:
    """Mostly a good value of the column."""
    good, bad = POOLS[name]
    return st.sampled_from([*good * 8, *bad])


rows = st.tuples(*(a_value(name) for name in COLUMNS)).map(",".join)
lines = st.one_of(rows, rows, rows, rows, st.sampled_from(["", "2,121", ",".join(COLUMNS)]))
damages = st.lists(
    st.tuples(
        st.sampled_from(["insert", "drop", "cut"]),
        st.integers(0, 10_000),
        st.sampled_from([b'"', b",", b"\n", b"\xe9", b'"\n', b"\r"]),
    ),
    max_size=1,
)


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    """A sales file with at most one place of damage."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join([",".join(COLUMNS), *draw(st.lists(lines, max_size=8)), ""])
    content = bytearray(text.encode())
    for kind, place, piece in draw(damages):
        place %= len(content) + 1
        if kind == "insert":
            content[place:place] = piece
        elif kind == "drop":
            del content[place : place + 1]
        else:
            del content[place:]
    return bytes(content)


def is_valid(values: dict[str, str]) -> bool:
    """The contract and the row rules, written down a second time and plainly."""
    if any(value.strip().lower() in EMPTY_WORDS for value in values.values()):
        return False
    whole = {name: values[name].strip() for name in COLUMNS if name.endswith("_id")}
    whole["quantity"] = values["quantity"].strip()
    if not all(re.fullmatch(r"-?\d{1,10}", text) for text in whole.values()):
        return False
    if not all(-(2**31) <= int(text) < 2**31 for text in whole.values()):
        return False
    price, total = values["price"].strip(), values["total_cost"].strip()
    if not re.fullmatch(r"\d+(\.\d{1,4})?", price) or not re.fullmatch(r"\d+(\.\d{1,2})?", total):
        return False
    written = values["sales_date"].strip()
    if int(whole["quantity"]) < 1 or not re.fullmatch(r"\d{4}-\d\d-\d\d", written):
        return False
    try:
        day = dt.date.fromisoformat(written)
    except ValueError:
        return False
    return OPENINGS.get(whole["store_id"], day) <= day <= dt.datetime.now(dt.UTC).date()


def expected(content: bytes) -> tuple[int, int, Decimal] | None:
    """Rows read, rows valid and their money; None where the file cannot be trusted as a whole."""
    try:
        records = plain_read(content, ord(","), ord('"'))
        found = [simple_name(value) for value in records[0].values]
        header = [ALIASES.get(name, name) for name in found]
    except (WholeFileInDoubt, UnicodeDecodeError, IndexError):
        return None
    names = [simple_name(name.encode()) for name in COLUMNS]
    fewest = max((place for place, name in enumerate(header, 1) if name), default=1)
    is_readable = [is_row(record, fewest, len(header)) for record in records]
    is_whole = [
        is_good and len(record.values) == len(header)
        for record, is_good in zip(records, is_readable, strict=True)
    ]
    last = records[-1].values
    has_all = all(name in header[: len(last)] for name in names)  # but for a column of its own
    is_cut = (
        not content.endswith((b"\n", b"\r"))
        and len(last) < len(header)
        and (any(is_whole[1:-1]) or not has_all)
        and begins_well(last, header)
        and not (len(last) < 3 and last[-1].strip() == str(len(records) - 2).encode())
    )
    if any(header.count(name) != 1 for name in names) or records[0].has_fault or is_cut:
        return None
    valid, money = 0, Decimal(0)
    for record, readable in zip(records[1:], is_readable[1:], strict=True):
        if not readable:
            continue
        values = [value.decode() for value in record.values]
        row = dict(zip(COLUMNS, (values[header.index(name)] for name in names), strict=True))
        if is_valid(row):
            valid += 1
            money += Decimal(row["total_cost"].strip())
    return len(records) - 1, valid, money


def begins_well(values: list[bytes], header: list[str]) -> bool:
    """Whether these are the beginning of a row, or of the header once more."""
    names = [simple_name(value) for value in values[:-1]]
    whole = {simple_name(name.encode()) for name in COLUMNS if name.endswith("_id")} | {"quantity"}
    before = [value for name, value in zip(header, values[:-1], strict=False) if name in whole]
    if before and not any(before):
        return False  # a line of totals
    return (names != [] and names == header[: len(names)]) or all(
        re.fullmatch(rb"[+-]?[0-9., ']*", value.strip(b'" '))
        for name, value in zip(header, values, strict=False)
        if name in whole
    )


def is_row(record: Record, fewest: int, width: int) -> bool:
    """Whether the reader takes the record for a row; columns without a name may be missing."""
    like_rows = sum(line.count(b",") >= fewest - 1 for line in record.line_texts)
    try:
        names = {simple_name(value) for value in record.values}
        record.text.decode()
    except UnicodeDecodeError:
        return False
    return (
        not record.has_fault
        and fewest <= len(record.values) <= width
        and like_rows <= 1
        and not names >= {simple_name(name.encode()) for name in COLUMNS}
    )


def draw_files() -> list[bytes]:
    """Damaged files, no two alike; the same each time."""
    drawn: dict[bytes, None] = {}

    @settings(
        deadline=None,
        derandomize=True,
        max_examples=2,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(damaged_files(), min_size=FILES_A_DRAW, max_size=FILES_A_DRAW, unique=True))
    def draw(contents: list[bytes]) -> None:
        drawn.update(dict.fromkeys(contents))

    draw()
    return list(drawn)


def test_two_hundred_damaged_files(pipeline: Pipeline) -> None:
    """Risk: damage nobody thought of loses a row, counts a wrong one, or ends in a traceback."""
    contents = draw_files()
    assert len(contents) > 1.5 * FILES_A_DRAW
    for number, content in enumerate(contents):
        pipeline.put(f"{number:03d}.csv", content)
    summary = pipeline.run()
    assert summary.money.balance == 0
    found = pipeline.files()
    assert len(found) == len(contents)
    for row, content in zip(found, contents, strict=True):
        right = expected(content)
        if right is None:
            assert row.status == "E", content
            continue
        assert row.status == "I", (row.reason, content)
        assert (row.rows_read, row.rows_valid, row.amount_valid) == right, content
        assert row.rows_quarantined == right[0] - right[1], content
    assert sum(pipeline.totals().values()) == sum(row.amount_valid or 0 for row in found)
