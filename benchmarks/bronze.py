"""Measure how fast a clean sales file becomes bronze Parquet, against pyarrow's bare CSV read.

Run: python benchmarks/bronze.py [--megabytes 200] [--repeat 3]. Both sides parse with one thread;
bronze also hashes the content, finds every record's line, and encodes Parquet on a second thread,
so pin the process (taskset -c 0) to see the cost on one core. The ratio is that of the best of
the repeats, taken in turns.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pyarrow as pa
from pyarrow import csv

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingestion.reader.contract import Contract, read_contract
from ingestion.reader.file_check import check_file

HEADER = "customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost"
PRODUCTS = ("quaker oats", "sugar", "maida", "besan", "refined oil", "clinic plus", "dantkanti")
CONTRACT = Path(__file__).resolve().parents[1] / "models" / "staging" / "_pos__sources.yml"
LINES_PER_PIECE = 50_000


def clean_lines(first: int, count: int, *, quoted: bool) -> str:
    """Return ``count`` good rows, each different; with ``quoted`` every value is in quotes."""
    lines = []
    for number in range(first, first + count):
        cents, quantity = number * 7919 % 99_999 + 1, number % 9 + 1
        values = (
            str(number * 31 % 100_000 + 1),
            str(121 + number % 40),
            f"{PRODUCTS[number % 7]} {number % 1000}",
            f"20{20 + number % 5}-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
            str(number % 400 + 1),
            f"{cents // 100}.{cents % 100:02d}",
            str(quantity),
            f"{cents * quantity // 100}.{cents * quantity % 100:02d}",
        )
        lines.append('"' + '","'.join(values) + '"' if quoted else ",".join(values))
    return "\n".join(lines) + "\n"


def write_clean_file(path: Path, megabytes: int, *, quoted: bool, line_end: str) -> int:
    """Write about ``megabytes`` of good rows to ``path``, and return the bytes written."""
    with path.open("w", encoding="utf-8", newline=line_end) as file:
        file.write(HEADER + "\n")
        number = 0
        while file.tell() < megabytes * 1_000_000:
            file.write(clean_lines(number, LINES_PER_PIECE, quoted=quoted))
            number += LINES_PER_PIECE
    return path.stat().st_size


def bare_read(path: Path) -> float:
    """Return the seconds that pyarrow takes to read the file as text columns, with one thread."""
    started = time.perf_counter()
    csv.read_csv(
        path,
        read_options=csv.ReadOptions(use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(HEADER.split(","), pa.string())
        ),
    )
    return time.perf_counter() - started


def bronze(path: Path, contract: Contract) -> float:
    """Return the seconds from the file to finished Parquet."""
    destination = path.with_suffix(".parquet")
    destination.unlink(missing_ok=True)
    started = time.perf_counter()
    report = check_file(
        path, key=path.name, file_id=1, contract=contract, profile=None, destination=destination
    )
    seconds = time.perf_counter() - started
    if not report.accepted or report.rows_faulty:
        raise SystemExit(f"the clean file was not read as clean: {report}")
    return seconds


def main() -> None:
    """Print one line for each shape of file: size, MB/s of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=200, help="size of each file")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side")
    arguments = parser.parse_args()
    pa.set_cpu_count(1)
    pa.set_io_thread_count(1)
    contract = read_contract(CONTRACT)
    write = sys.stdout.write
    write(f"{'file':<16}{'MB':>8}{'bare MB/s':>12}{'bronze MB/s':>13}{'ratio':>8}\n")
    shapes = {"plain": (False, "\n"), "plain, CRLF": (False, "\r\n"), "all quoted": (True, "\n")}
    for name, (quoted, line_end) in shapes.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clean.csv"
            size = write_clean_file(path, arguments.megabytes, quoted=quoted, line_end=line_end)
            runs = [(bare_read(path), bronze(path, contract)) for _ in range(arguments.repeat)]
        bare = min(run[0] for run in runs)
        ours = min(run[1] for run in runs)
        write(
            f"{name:<16}{size / 1e6:>8.0f}{size / 1e6 / bare:>12.0f}{size / 1e6 / ours:>13.0f}"
            f"{ours / bare:>8.2f}\n"
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(f"peak memory of the process (the bare read holds the whole file): {peak:.0f} MB\n")


if __name__ == "__main__":
    main()
