"""Objects may have any name that S3 allows."""

from __future__ import annotations

import unicodedata
from decimal import Decimal
from urllib.parse import quote

import pytest

from tests.pipeline.conftest import HEADER, Pipeline

pytestmark = pytest.mark.slow


def long_key(length: int) -> str:
    """A key that is ``length`` bytes long together with the inbox prefix, in folders."""
    whole = ("deep" * 50 + "/") * 6
    return whole[: length - len("sales_data/.csv")] + ".csv"


GOOD = [
    "plain.csv",
    "two words.CSV",
    'it\'s "quoted".csv',
    "100%.csv",
    "100%25.csv",
    "#1?x=y&z.csv",
    "[1].csv",
    "{a}.csv",
    "a*b.csv",
    "$(touch x);`id`.csv",
    "'; drop table product_staging_table; -- .csv",
    "{{ 1/0 }}.csv",
    unicodedata.normalize("NFC", "café.csv"),
    unicodedata.normalize("NFD", "café.csv"),
    "_hidden.csv",
    ".hidden.csv",
    "batch_id=7/date=2024-01-01/a.csv",
    "north/day.csv",
    "south/day.csv",
    "..outside..csv",
    "dir.csv/inner.csv",
    "line\u2028break.csv",
    "🫖.csv",
    long_key(1000),
    long_key(1024),
]
BAD = ["notes.pdf", "no_ending", "zero.csv"]


def test_every_name_gets_a_row_and_a_verdict_and_counts_once(pipeline: Pipeline) -> None:
    """Risk: a name is skipped in silence, mixed up with another, or run as code."""
    for number, key in enumerate(GOOD):
        pipeline.put(key, HEADER + f"2,122,besan,2024-03-05,4,{number},1,{2**number}\n")
    for number, key in enumerate(BAD):
        row = f"2,122,besan,2024-03-05,4,{number},1,999999999\n"
        pipeline.put(key, "" if key == "zero.csv" else HEADER + row)
    summary = pipeline.run()
    files = {row.file_name.removeprefix("sales_data/"): row for row in pipeline.files()}
    assert set(files) == {*GOOD, *BAD}
    assert {key: row.status for key, row in files.items() if row.status != "I"} == dict.fromkeys(
        BAD, "E"
    )
    assert summary.rows_valid == len(GOOD)
    assert pipeline.totals() == {(2, "2024-03"): Decimal(2 ** len(GOOD) - 1)}
    named = pipeline.sql(
        "select files.file_name, sales.total_cost from retail.fct_sales as sales "
        "inner join retail.fct_delivered_files as files on sales.file_id = files.file_id"
    )
    assert {row["file_name"]: int(row["total_cost"]) for row in named} == {
        f"sales_data/{key}": 2**number for number, key in enumerate(GOOD)
    }
    assert pipeline.keys("sales_data/") == []
    stored = {*pipeline.keys("sales_data_processed/"), *pipeline.keys("sales_data_error/")}
    for key, row in files.items():
        assert pipeline.store.key_at(row.file_location) in stored, quote(key)
    assert pipeline.run().outcome == "Nothing to do: the inbox has no new files"
