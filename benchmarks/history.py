"""Measure what one more daily file costs on top of 24 months, against on top of 1 month.

Run: python benchmarks/history.py [--rows-a-day 5000] [--months 24] [--days-a-load 720]. Each
history is loaded in as few runs as that allows; then two days more, one run each, in a fresh
process. Printed for the second of them, on both histories: seconds, the bytes that Spark's tasks
read and wrote (from its event log), what was sent to S3 and to the database, and the ratio of the
seconds. Needs what the tests need (MariaDB's server, the S3 server).
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pipeline import (
    CUSTOMERS,
    PRODUCTS,
    SELLERS_A_STORE,
    STORES,
    Measured,
    services,
    write_dimensions,
)

NEW_YEAR = dt.date(2025, 1, 1)


def write_days(path: Path, first_day: dt.date, days: int, rows_a_day: int) -> None:
    """Write one file with ``days`` days of sales, from ``first_day`` on."""
    rows = days * rows_a_day
    duckdb.execute(f"""
        copy (
            select
                hash(i) % {CUSTOMERS} + 1 as customer_id,
                121 + hash(i + 1) % {STORES} as store_id,
                'product ' || hash(i + 2) % {PRODUCTS} as product_name,
                (date '{first_day}' + (i // {rows_a_day})::int)::date as sales_date,
                (hash(i + 1) % {STORES}) * {SELLERS_A_STORE} + hash(i + 3) % {SELLERS_A_STORE} + 1
                    as sales_person_id,
                ((hash(i + 4) % 9999 + 1)::int::decimal(18, 2) / 100)::decimal(18, 2) as price,
                1 as quantity,
                ((hash(i + 4) % 9999 + 1)::int::decimal(18, 2) / 100)::decimal(18, 2) as total_cost
            from range({rows}) as numbers(i)
        ) to '{path}' (header)
    """)


def task_bytes(events: Path) -> tuple[int, int]:
    """The bytes that the tasks in Spark's event log read from and wrote to tables."""
    read = written = 0
    for path in events.rglob("*"):
        if not path.is_file():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            metrics = event.get("Task Metrics")
            if event["Event"] == "SparkListenerTaskEnd" and metrics:
                read += metrics["Input Metrics"]["Bytes Read"]
                written += metrics["Output Metrics"]["Bytes Written"]
    return read, written


def measure(
    folder: Path, months: int, rows_a_day: int, days_a_load: int, environ: dict[str, str]
) -> dict[str, Any]:
    """Load ``months`` of 30 days, then two days more; return the last run's seconds and report."""
    with services(folder, folder.parent / "dimensions", environ) as (bucket, environ):
        days = 30 * months
        start = NEW_YEAR - dt.timedelta(days=days)
        deliveries = [
            (f"history_{first}", start + dt.timedelta(days=first), min(days_a_load, days - first))
            for first in range(0, days, days_a_load)
        ]
        deliveries += [
            ("one_more", NEW_YEAR, 1),
            ("yet_one_more", NEW_YEAR + dt.timedelta(days=1), 1),
        ]
        for name, first_day, days in deliveries:
            path = folder / f"{name}.csv"
            write_days(path, first_day, days, rows_a_day)
            bucket.client.upload_file(str(path), bucket.name, f"sales_data/{name}.csv")
            path.unlink()
            events = folder / f"events_{name}"
            events.mkdir()
            logged = f"-Dspark.eventLog.enabled=true -Dspark.eventLog.dir=file:{events} "
            logged += "-Dspark.eventLog.compress=false"
            run = Measured(
                ["run_pipeline.py", "run", "--json"],
                {**environ, "RETAIL_SPARK_JAVA_OPTIONS": logged},
            )
        read, written = task_bytes(events)
        return {**json.loads(run.output), "wall": run.seconds, "read": read, "written": written}


def main() -> None:
    """Print both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-a-day", type=int, default=5_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--days-a-load", type=int, default=720)
    arguments = parser.parse_args()
    environ = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    write = sys.stdout.write
    with tempfile.TemporaryDirectory() as name:
        write_dimensions(Path(name) / "dimensions")
        reports = {
            months: measure(
                Path(name) / f"{months}",
                months,
                arguments.rows_a_day,
                arguments.days_a_load,
                environ,
            )
            for months in (1, arguments.months)
        }
    write(f"one more day of {arguments.rows_a_day:,} rows\n")
    names = f"{'on top of':<14}{'seconds':>9}{'Spark reads':>14}{'writes':>14}"
    names += f"{'objects':>9}{'bytes to S3':>14}"
    write(f"{names}{'rows to database':>18}\n")
    for months, report in reports.items():
        write(
            f"{f'{months} months':<14}{report['wall']:>9.1f}{report['read']:>14,}"
            f"{report['written']:>14,}{report['objects_uploaded']:>9}"
            f"{report['bytes_uploaded']:>14,}{report['rows_loaded']:>18,}\n"
        )
    write(f"ratio of the seconds: {reports[arguments.months]['wall'] / reports[1]['wall']:.2f}\n")


if __name__ == "__main__":
    main()
