"""Measure the whole pipeline against a hand-written PySpark job and DuckDB, in one run.

Run: python benchmarks/pipeline.py [--rows 1000000 5000000] [--driver-memory 2g] [--folder DIR]. For
each number of rows, every side starts as a fresh process on empty state and the same files. The
pipeline has more to do: it takes the files from S3, checks every row, runs all tests, and publishes
to S3 and MariaDB; DuckDB and the hand-written job read local files and write two marts and a line
table as local Parquet. A fourth side makes and publishes by hand the tables that the pipeline
does, without checks and tests. The marts of all sides have to be equal, or the program fails. Needs
what the tests need (MariaDB's server, the S3 server).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.services import Bucket, machine_environ, new_bucket, running_mariadb, running_s3

PROJECT = Path(__file__).resolve().parents[1]
ROWS_A_FILE = 500_000
STORES, SELLERS_A_STORE, CUSTOMERS, PRODUCTS, DAYS = 40, 10, 100_000, 200, 730


def write_sales(folder: Path, rows: int) -> int:
    """Write ``rows`` good sales over 24 months, half a million a file; return the bytes."""
    folder.mkdir(parents=True)
    db = duckdb.connect()
    for number, first in enumerate(range(0, rows, ROWS_A_FILE)):
        last = min(first + ROWS_A_FILE, rows)
        db.execute(f"""
            copy (
                with drawn as (
                    select
                        hash(i) as h,
                        (hash(i + 7) % 9999 + 1)::int as cents,
                        (hash(i + 11) % 9 + 1)::int as quantity
                    from range({first}, {last}) as numbers(i)
                )
                select
                    h % {CUSTOMERS} + 1 as customer_id,
                    121 + (h >> 20) % {STORES} as store_id,
                    'product ' || (h >> 8) % {PRODUCTS} as product_name,
                    (date '2023-01-01' + ((h >> 30) % {DAYS})::int)::date as sales_date,
                    ((h >> 20) % {STORES}) * {SELLERS_A_STORE} + (h >> 50) % {SELLERS_A_STORE} + 1
                        as sales_person_id,
                    (cents::decimal(18, 2) / 100)::decimal(18, 2) as price,
                    quantity,
                    ((cents * quantity)::decimal(18, 2) / 100)::decimal(18, 2) as total_cost
                from drawn
            ) to '{folder}/sales_{number:03d}.csv' (header)
        """)
    return sum(path.stat().st_size for path in folder.iterdir())


def write_dimensions(folder: Path) -> None:
    """Write the four dimension files."""
    folder.mkdir(parents=True)
    queries = {
        "customer": f"select i as customer_id, 'First' || i % 900 as first_name, 'Last' || i as "
        "last_name, i || ' Mill Lane' as address, '122009' as pincode, (9155000000 + i)::varchar "
        f"as phone_number, date '2020-01-01' as customer_joining_date from range(1, {CUSTOMERS}+1) "
        "as numbers(i)",
        "product": f"select i + 1 as id, 'product ' || i as name, 52 as current_price, 50 as "
        "old_price, date '2020-01-01' as created_date, null as updated_date, null as expiry_date "
        f"from range({PRODUCTS}) as numbers(i)",
        "store": f"select 121 + i as id, i || ' Quay Street' as address, '110011' as store_pincode,"
        " 'Manager' || i as store_manager_name, date '2020-01-01' as store_opening_date, null as "
        f"reviews from range({STORES}) as numbers(i)",
        "sales_team": "select i as id, 'Seller' || i as first_name, 'Name' as last_name, 10 as "
        "manager_id, 'N' as is_manager, 'Mill Lane' as address, '122007' as pincode, "
        f"date '2020-01-01' as joining_date from range(1, {STORES * SELLERS_A_STORE} + 1) "
        "as numbers(i)",
    }
    for name, query in queries.items():
        duckdb.sql(query).write_csv(str(folder / f"{name}.csv"), header=True)


class Measured:
    """A finished process: seconds, and the peak of memory of its Python and of its JVM in MB."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *command], env=environ, stdout=subprocess.PIPE, cwd=PROJECT, text=True
        )
        self.peaks = {"python": 0, "java": 0}
        watcher = threading.Thread(target=self._watch, args=(process,), daemon=True)
        watcher.start()
        self.output, _ = process.communicate()
        self.seconds = time.perf_counter() - started
        if process.returncode != 0:
            raise SystemExit(f"{command[0]} ended with {process.returncode}")

    def _watch(self, process: subprocess.Popen[str]) -> None:
        while process.poll() is None:
            for path in Path("/proc").glob("[0-9]*"):
                try:
                    text = (path / "status").read_text()
                except OSError:
                    continue
                status = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
                is_java = status["Name"] == "java" and int(status["PPid"]) == process.pid
                if is_java or int(path.name) == process.pid:
                    peak = int(status.get("VmHWM", "0 kB").split()[0]) // 1024
                    kind = "java" if is_java else "python"
                    self.peaks[kind] = max(self.peaks[kind], peak)
            time.sleep(0.2)


@contextlib.contextmanager
def services(
    folder: Path, dimensions: Path, environ: dict[str, str]
) -> Iterator[tuple[Bucket, dict[str, str]]]:
    """An S3 server and a MariaDB with the dimensions in it, and a pipeline's environment there."""
    (folder / "s3").mkdir(parents=True)
    with (
        tempfile.TemporaryDirectory(prefix="mariadb-") as data,
        running_s3(folder / "s3") as endpoint,
        new_bucket(endpoint) as bucket,
        running_mariadb(Path(data)) as server,
        server.new_database() as url,
    ):
        there = {
            **environ,
            **bucket.environment,
            "RETAIL_DATABASE_URL": url,
            "RETAIL_WORKSPACE": str(folder / "workspace"),
            "RETAIL_LOG_LEVEL": "WARNING",
        }
        Measured(["run_pipeline.py", "load-dimensions", str(dimensions)], there)
        yield bucket, there


def run_pipeline(
    folder: Path, sales: Path, dimensions: Path, environ: dict[str, str]
) -> tuple[Measured, dict[str, Any]]:
    """The whole pipeline on services of its own; returns its report too."""
    with services(folder, dimensions, environ) as (bucket, environ):
        for path in sorted(sales.iterdir()):
            bucket.client.upload_file(str(path), bucket.name, f"sales_data/{path.name}")
        measured = Measured(["run_pipeline.py", "run", "--json"], environ)
        return measured, json.loads(measured.output)


def assert_equal(folder: Path) -> None:
    """Both marts of all sides are the same rows, to the cent."""
    warehouse = folder / "pipeline" / "workspace" / "warehouse" / "retail.db"
    types = "hive_types_autocast = false"
    for columns, product, name, by_hand in (
        ("customer_id, sales_month", "customers_data_mart", "customers", "customer_months/*"),
        (
            "store_id, sales_person_id, sales_month, incentive",
            "sales_team_data_mart",
            "sellers",
            "seller_months",
        ),
    ):
        ours = columns
        if name == "customers":
            ours = "customer_id, sales_date_month as sales_month"
        sides = [
            f"select {ours}, total_sales "
            f"from read_parquet('{warehouse}/{product}/*/part-*.parquet', {types})",
            f"select {columns}, total_sales from read_parquet('{folder}/spark/{name}/*.parquet')",
            f"select {columns}, total_sales from read_parquet('{folder}/duckdb/{name}.parquet')",
            f"select {columns}, total_sales "
            f"from read_parquet('{folder}/outputs/{by_hand}/*.parquet', {types})",
        ]
        for other in sides[1:]:
            query = (
                f"(({sides[0]}) except all ({other})) union all (({other}) except all ({sides[0]}))"
            )
            [[different]] = duckdb.sql(f"select count(*) from ({query})").fetchall()
            if different:
                raise SystemExit(f"{product}: {different} rows differ: {other}")


def compare(folder: Path, rows: int, environ: dict[str, str]) -> None:
    """Print seconds, ratios, memory and the pipeline's own steps for so many rows."""
    write = sys.stdout.write
    size = write_sales(folder / "sales", rows)
    write_dimensions(folder / "dimensions")
    inputs = [str(folder / "sales"), str(folder / "dimensions")]
    write(f"{rows:,} rows, {size / 1e6:.0f} MB, {DAYS // 30} months\n")
    sides = {
        "DuckDB": Measured(
            ["benchmarks/duckdb_marts.py", *inputs, str(folder / "duckdb")], environ
        ),
        "hand-written Spark": Measured(
            ["benchmarks/handwritten_spark.py", *inputs, str(folder / "spark")], environ
        ),
    }
    with services(folder / "by_hand", folder / "dimensions", environ) as (_, there):
        sides["its outputs by hand"] = Measured(
            ["benchmarks/handwritten_outputs.py", *inputs, str(folder / "outputs")], there
        )
    pipeline, report = run_pipeline(
        folder / "pipeline", folder / "sales", folder / "dimensions", environ
    )
    assert report["rows_valid"] == rows
    assert_equal(folder)
    sides["pipeline"] = pipeline
    write(f"{'side':<20}{'seconds':>9}{'pipeline is':>13}{'Python MB':>11}{'JVM MB':>8}\n")
    for side, measured in sides.items():
        times = f"{pipeline.seconds / measured.seconds:.2f} times"
        peaks = measured.peaks
        write(
            f"{side:<20}{measured.seconds:>9.1f}{times:>13}{peaks['python']:>11}{peaks['java']:>8}\n"
        )
    steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in report["seconds"].items())
    write(f"steps of the pipeline, in seconds: {steps}\n")


def main() -> None:
    """Compare the sides, for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument("--driver-memory", default="2g")
    parser.add_argument("--folder", type=Path, help="where to work (it needs some GB)")
    arguments = parser.parse_args()
    environ = machine_environ()
    environ["RETAIL_SPARK_DRIVER_MEMORY"] = arguments.driver_memory
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            compare(Path(name), rows, environ)


if __name__ == "__main__":
    main()
