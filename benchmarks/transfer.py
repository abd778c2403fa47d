"""Measure uploads, downloads and database loads of the pipeline against the bare tools.

Run: python benchmarks/transfer.py [--megabytes 200] [--rows 1000000] [--repeat 3]. One Parquet
file goes to a local S3 server and back: by the pipeline's object store (which hashes what it reads,
and shows a download whole or not at all) and by boto3's own ``upload_file`` and ``download_file``.
One mart goes into a MariaDB: from its Parquet files beside the live table, then into that in one
transaction; and, from a text file that is ready, by one ``load data local infile`` of the same rows
straight into an empty table of the same definition. Both sides in turns; the least of the repeats
counts. Needs what the tests need (MariaDB's server, the S3 server).
"""

from __future__ import annotations

import argparse
import datetime as dt
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bare_database import connect_bare
from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS
from ingestion.config.settings import load_settings
from ingestion.database.engine import connect
from ingestion.database.row_text import as_lines
from ingestion.publication.manifest import MartTable
from ingestion.publication.mart_tables import ensure_live_tables
from ingestion.s3.connection import connect as connect_store
from tests.mart_versions import show, with_rows
from tests.services import Bucket, new_bucket, running_mariadb, running_s3

MONTHS = 25
_MEMORY = "--innodb-buffer-pool-size=256M"
MART = MartTable(
    name="customers_data_mart",
    columns=(
        ("customer_id", "int"),
        ("full_name", "string"),
        ("address", "string"),
        ("phone_number", "string"),
        ("sales_date_month", "string"),
        ("total_sales", "decimal(28,2)"),
        ("sales_count", "bigint"),
        ("days_with_sales", "int"),
        ("first_sales_date", "date"),
        ("last_sales_date", "date"),
        ("is_known_customer", "boolean"),
    ),
    key=("sales_date_month", "customer_id"),
    in_database=True,
    partition_columns=("sales_date_month",),
    files=(),
)


def least(sides: Mapping[str, Callable[[], float]], repeat: int) -> dict[str, float]:
    """Take the sides in turns; return the least seconds of each."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeat):
        for name, side in sides.items():
            times[name].append(side())
    return {name: min(seconds) for name, seconds in times.items()}


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def write_file(path: Path, megabytes: int) -> int:
    """Write a Parquet file of numbers that do not compress; return its bytes."""
    numbers = np.random.default_rng(42).integers(0, 2**63, (8, megabytes * 1_000_000 // 64))
    table = pa.table({f"n{i}": column for i, column in enumerate(numbers)})
    pq.write_table(table, path, use_dictionary=False)
    return path.stat().st_size


def measure_transfer(bucket: Bucket, folder: Path, megabytes: int, repeat: int) -> None:
    """Print MB/s of both sides, up and down."""
    settings = load_settings(folder, bucket.environment)
    store = connect_store(settings, EMBEDDED_CREDENTIALS)
    path, fetched = folder / "file.parquet", folder / "fetched.parquet"
    size = write_file(path, megabytes)
    store.put_file("fetched", path)
    found = store.head("fetched")
    assert found is not None
    up = least(
        {
            "pipeline": lambda: seconds(lambda: store.put_file("pipeline", path)),
            "boto3": lambda: seconds(
                lambda: bucket.client.upload_file(str(path), bucket.name, "boto3")
            ),
        },
        repeat,
    )
    down = least(
        {
            "pipeline": lambda: seconds(lambda: store.download(found, fetched)),
            "boto3": lambda: seconds(
                lambda: bucket.client.download_file(bucket.name, "fetched", str(fetched))
            ),
        },
        repeat,
    )
    report(f"upload, {size / 1e6:.0f} MB", up, size / 1e6, "MB")
    report(f"download, {size / 1e6:.0f} MB", down, size / 1e6, "MB")


def month_rows(number: int, customers: int) -> tuple[str, pa.Table]:
    """Return a month and a row of it for each customer, without the month's column."""
    ids = pa.array(np.arange(1, customers + 1, dtype=np.int32))
    texts = ids.cast(pa.string())
    year, month = 2023 + number // 12, number % 12 + 1
    cents = pa.array((np.arange(customers) * 7919 + number) % 1_000_000).cast(pa.decimal128(26, 0))
    days = [dt.date(year, month, day) for day in (1, 28)]
    columns = {
        "customer_id": ids,
        "full_name": pc.binary_join_element_wise("First Last", texts, ""),
        "address": pc.binary_join_element_wise(texts, "Mill Lane", " "),
        "phone_number": pc.binary_join_element_wise("91553", texts, ""),
        "total_sales": pc.divide(cents, pa.scalar(100, pa.decimal128(3, 0))).cast(
            pa.decimal128(28, 2), safe=False
        ),
        "sales_count": pa.array(np.arange(customers) % 9 + 1),
        "days_with_sales": pa.array((np.arange(customers) % 5 + 1).astype(np.int32)),
        "first_sales_date": pa.repeat(pa.scalar(days[0]), customers),
        "last_sales_date": pa.repeat(pa.scalar(days[1]), customers),
        "is_known_customer": pa.repeat(pa.scalar(True), customers),
    }
    return f"{year}-{month:02d}", pa.table(columns)


def measure_load(url: str, folder: Path, rows: int, repeat: int) -> None:
    """Print rows/s of both sides."""
    months = dict(month_rows(number, rows // MONTHS) for number in range(MONTHS))
    mart = with_rows(
        MART, folder, {f"sales_date_month={month}": part for month, part in months.items()}
    )
    text = folder / "rows.txt"
    with text.open("wb") as file:
        for month, part in months.items():
            whole = part.append_column("sales_date_month", pa.repeat(month, part.num_rows))
            lines = as_lines(whole.select([name for name, _ in MART.columns]))
            file.write("".join(lines.to_pylist()).encode())
    engine = connect(sa.make_url(url))

    def empty() -> None:
        with engine.begin() as connection:
            connection.execute(sa.text(f"drop table if exists {MART.name}"))
        ensure_live_tables(engine, [mart])

    def pipeline() -> float:
        empty()
        return seconds(lambda: show(engine, (None, mart)))

    def bare() -> float:
        empty()
        connection = connect_bare(engine.url)
        with connection, connection.cursor() as cursor:
            spent = seconds(
                lambda: cursor.execute(
                    f"load data local infile '{text}' into table {MART.name} character set utf8mb4"
                )
            )
            spent += seconds(connection.commit)
            assert cursor.rowcount == mart.rows
        return spent

    found = least({"pipeline": pipeline, "LOAD DATA": bare}, repeat)
    report(f"load, {mart.rows:,} rows", found, mart.rows / 1000, "k rows")
    engine.dispose()


def report(title: str, found: dict[str, float], amount: float, unit: str) -> None:
    """Write one line: seconds and speed of both sides, and the ratio."""
    [(_, ours), (bare_name, bare)] = found.items()
    sys.stdout.write(
        f"{title:<22}pipeline {ours:>6.2f} s {amount / ours:>6.0f} {unit}/s   "
        f"{bare_name:<9}{bare:>6.2f} s {amount / bare:>6.0f} {unit}/s   ratio {ours / bare:.2f}\n"
    )


def main() -> None:
    """Measure the transfers, then the load."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="size of the file")
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the mart")
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="transfer-") as name:
        folder = Path(name)
        (folder / "s3").mkdir()
        with running_s3(folder / "s3") as endpoint, new_bucket(endpoint) as bucket:
            measure_transfer(bucket, folder, arguments.megabytes, arguments.repeat)
        with running_mariadb(folder, _MEMORY) as server, server.new_database() as url:
            measure_load(url, folder, arguments.rows, arguments.repeat)


if __name__ == "__main__":
    main()
