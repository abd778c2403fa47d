"""Measure what one more daily file costs on top of 24 months, against on top of 1 month.

Run: python benchmarks/history.py [--rows-a-day 5000] [--months 24] [--days-a-load 720] [--days 3].
Each history is loaded in as few runs as that allows, and gets one day more. Then come the measured
days, on one history and the other in turns, one run each, in a fresh process, and last one more
day whose bytes are counted, in a run that is slower for it. Printed for each history: the median
seconds, and of that last day the bytes that Spark's tasks read and wrote (from its event log), and
what was sent to S3 and to the database; below, the ratios of the seconds and of the bytes read.
Last, on top of the longer history: runs without a new file, after a report was edited, for which no
sale is read again, and after a mart was, for which everything is rebuilt.
Needs what the tests need (MariaDB's server, the S3 server).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.pipeline import (
    CUSTOMERS,
    PRODUCTS,
    PROJECT,
    SELLERS_A_STORE,
    STORES,
    Measured,
    services,
    write_dimensions,
)
from tests.services import Bucket, machine_environ

REPORT = "models/reporting/rpt_sales_by_customer.sql"
MART = "models/marts/customer/customers_data_mart.sql"
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
        with path.open(encoding="utf-8", newline="\n") as lines:
            for line in lines:
                event = json.loads(line)
                metrics = event.get("Task Metrics")
                if event["Event"] == "SparkListenerTaskEnd" and metrics:
                    read += metrics["Input Metrics"]["Bytes Read"]
                    written += metrics["Output Metrics"]["Bytes Written"]
    return read, written


class History:
    """A workspace with its services, into which days of sales are loaded.

    ``seconds`` are those of all runs since it was made, but for those that were counted. Of the
    counted one ``read`` and ``written`` are the bytes of its tasks, and ``report`` what it said.
    """

    def __init__(
        self, folder: Path, bucket: Bucket, environ: dict[str, str], rows_a_day: int
    ) -> None:
        self._folder, self._bucket, self._environ = folder, bucket, environ
        self._rows_a_day = rows_a_day
        self.seconds: list[float] = []
        self.report: dict[str, Any] = {}
        self.read = self.written = 0

    def load(self, first_day: dt.date, days: int) -> None:
        """Deliver one file with ``days`` days from ``first_day`` on, and run the pipeline."""
        run = self._run(first_day, days, self._environ)
        self.seconds.append(run.seconds)
        sys.stderr.write(f"{self._folder.name} months, {first_day}: {run.seconds:.1f} s\n")

    def count(self, day: dt.date) -> None:
        """Deliver one more day, and count the bytes of the run that takes it.

        Hadoop does not count what it reads of a local file in several ranges at once, so Spark
        reads them one by one here.
        """
        with tempfile.TemporaryDirectory(dir=self._folder) as events:
            options = {
                "spark.eventLog.enabled": "true",
                "spark.eventLog.dir": f"file:{events}",
                "spark.eventLog.compress": "false",
                "spark.hadoop.parquet.hadoop.vectored.io.enabled": "false",
            }
            java = " ".join(f"-D{name}={value}" for name, value in options.items())
            run = self._run(day, 1, {**self._environ, "RETAIL_SPARK_JAVA_OPTIONS": java})
            self.read, self.written = task_bytes(Path(events))
        self.report = json.loads(run.output)

    def edit(self, model: str) -> float:
        """The seconds of a run without a new file, after a model was edited in a copy of the
        project."""
        project = self._folder / "project"
        if not project.exists():
            unused = shutil.ignore_patterns(".git", ".venv", ".workspace", "__pycache__")
            shutil.copytree(PROJECT, project, ignore=unused)
        with (project / model).open("a", encoding="utf-8") as file:
            file.write("\n-- edited\n")
        return Measured([str(project / "run_pipeline.py"), "run", "--json"], self._environ).seconds

    def _run(self, first_day: dt.date, days: int, environ: dict[str, str]) -> Measured:
        name = f"sales_{first_day}.csv"
        path = self._folder / name
        write_days(path, first_day, days, self._rows_a_day)
        self._bucket.client.upload_file(str(path), self._bucket.name, f"sales_data/{name}")
        path.unlink()
        return Measured(["run_pipeline.py", "run", "--json"], environ)


def main() -> None:
    """Print both sides and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows-a-day", type=int, default=5_000)
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--days-a-load", type=int, default=720)
    parser.add_argument("--days", type=int, default=3)
    arguments = parser.parse_args()
    environ = machine_environ()
    write = sys.stdout.write
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as running:
        write_dimensions(Path(name) / "dimensions")
        histories = {}
        for months in sorted({1, arguments.months}):
            folder = Path(name) / f"{months}"
            there = running.enter_context(services(folder, Path(name) / "dimensions", environ))
            history = histories[months] = History(folder, *there, arguments.rows_a_day)
            days = 30 * months
            for first in range(0, days, arguments.days_a_load):
                first_day = NEW_YEAR + dt.timedelta(days=first - days)
                history.load(first_day, min(arguments.days_a_load, days - first))
        for day in range(1 + arguments.days):
            for history in histories.values():
                history.load(NEW_YEAR + dt.timedelta(days=day), 1)
        for history in histories.values():
            history.count(NEW_YEAR + dt.timedelta(days=1 + arguments.days))
        write(f"one more day of {arguments.rows_a_day:,} rows, median of {arguments.days}\n")
        names = f"{'on top of':<14}{'seconds':>9}{'Spark reads':>14}{'writes':>14}"
        names += f"{'objects':>9}{'bytes to S3':>14}"
        write(f"{names}{'rows to database':>18}\n")
        medians = {}
        for months, history in histories.items():
            report = history.report
            medians[months] = statistics.median(history.seconds[-arguments.days :])
            write(
                f"{f'{months} months':<14}{medians[months]:>9.1f}{history.read:>14,}"
                f"{history.written:>14,}{report['objects_uploaded']:>9}"
                f"{report['bytes_uploaded']:>14,}{report['rows_loaded']:>18,}\n"
            )
        write(f"ratio of the seconds: {medians[arguments.months] / medians[1]:.2f}")
        write(f", of the bytes read: {histories[arguments.months].read / histories[1].read:.2f}\n")
        report, mart = map(histories[arguments.months].edit, (REPORT, MART))
        write(f"an edited report {report:.1f} s, an edited mart {mart:.1f} s, ")
        write(f"ratio {mart / report:.2f}\n")


if __name__ == "__main__":
    main()
