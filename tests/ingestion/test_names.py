"""Objects may have any name that S3 allows."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, TOTALS, run, s3_rows, sale
from tests.services import Bucket


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


def test_every_name_gets_a_row_and_a_verdict_and_counts_once(
    mariadb_services: Services, s3_bucket: Bucket
) -> None:
    """Risk: a name is skipped in silence, mixed up with another, or run as code."""
    for number, key in enumerate(GOOD):
        s3_bucket.put(f"sales_data/{key}", (HEADER + sale(2, "2024-03-05", 2**number)).encode())
    for key in BAD:
        content = "" if key == "zero.csv" else HEADER + sale(2, "2024-03-05", 999_999_999)
        s3_bucket.put(f"sales_data/{key}", content.encode())
    summary = run(mariadb_services)
    rows = in_transaction(mariadb_services.engine, staging_table.all_rows)
    files = {row.file_name.removeprefix("sales_data/"): row for row in rows}
    assert len(rows) == len(files) == len(GOOD) + len(BAD)
    assert {key: row.status for key, row in files.items()} == (
        dict.fromkeys(GOOD, "I") | dict.fromkeys(BAD, "E")
    )
    assert summary.rows_valid == len(GOOD)
    assert {key: files[key].amount_valid for key in GOOD} == {
        key: 2**number for number, key in enumerate(GOOD)
    }
    [total] = s3_rows(mariadb_services.store, TOTALS.name)
    assert total["total_sales"] == 2 ** len(GOOD) - 1
    assert s3_bucket.keys("sales_data/") == []
    stored = {*s3_bucket.keys("sales_data_processed/"), *s3_bucket.keys("sales_data_error/")}
    for key, row in files.items():
        assert mariadb_services.store.key_at(row.file_location) in stored, quote(key)
    assert run(mariadb_services).outcome == "Nothing to do: the inbox has no new files"
