"""Measure how fast many small files go from the inbox to bronze and out, against bare downloads.

Run: python benchmarks/small_files.py [--files 1000] [--rows 100] [--threads 4] [--database URL].
The steps are those of a run, through a real local S3 server and a database (SQLite without
--database); only Spark is left out. The other side gets the same objects with boto3 and writes
them to disk with as many threads; the better of two times counts.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bronze import HEADER, clean_lines

from ingestion.config.settings import load_settings
from ingestion.database import staging_table
from ingestion.reader.contract import read_contract
from ingestion.run import delivery_steps, intake_steps
from ingestion.run.run_state import SALES_CONTRACT, RunState
from ingestion.run.services import Services, open_services
from ingestion.s3 import embedded_s3
from ingestion.steps import Steps

PROJECT = Path(__file__).resolve().parents[1]


def fill_inbox(services: Services, files: int, rows: int) -> list[str]:
    """Put ``files`` objects of ``rows`` good rows each, all different, and return their keys."""

    def put(number: int) -> str:
        key = f"{services.settings.inbox_prefix}till_{number % 50}/{number:06d}.csv"
        lines = clean_lines(number * rows, rows, quoted=False)
        services.store.put_bytes(key, f"{HEADER}\n{lines}".encode())
        return key

    with concurrent.futures.ThreadPoolExecutor(services.settings.s3_threads) as pool:
        return list(pool.map(put, range(files)))


def bare_download(services: Services, keys: list[str], folder: Path) -> float:
    """Return the seconds that boto3 takes to bring the objects to disk."""
    store = services.store

    def get(key: str) -> None:
        body = store.client.get_object(Bucket=store.bucket, Key=key)["Body"]
        (folder / key.replace("/", "_")).write_bytes(body.read())

    with concurrent.futures.ThreadPoolExecutor(services.settings.s3_threads) as pool:
        return seconds(lambda: list(pool.map(get, keys)))


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def deliver(services: Services) -> dict[str, float]:
    """Take, check and archive what is in the inbox; return the seconds of each step."""
    contract = read_contract(PROJECT / SALES_CONTRACT)
    state = RunState("benchmark", services, contract, "", Steps(None), lambda: None)
    with state.steps.step("list inbox"):
        listing = intake_steps.list_inbox(state)
    if listing is None:
        raise SystemExit("the inbox is empty")
    with state.steps.step("download"):
        planned = intake_steps.download(state, listing)
    spent = dict(state.steps.seconds)
    spent["staging rows"] = seconds(lambda: intake_steps.plan_batch(state, listing, planned))
    spent["check and bronze"] = seconds(lambda: delivery_steps.check_files(state))
    if not all(staging_table.is_accepted(row) for row in state.batch_rows()):
        raise SystemExit("a clean file was not accepted")
    spent["archive"] = seconds(lambda: delivery_steps.archive_batch(state))
    return spent


def main() -> None:
    """Print files/s of each step, of all up to bronze and of the whole, beside bare boto3."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="objects in the inbox")
    parser.add_argument("--rows", type=int, default=100, help="rows of each")
    parser.add_argument("--threads", type=int, default=4, help="RETAIL_S3_THREADS")
    parser.add_argument("--database", help="an empty database, as RETAIL_DATABASE_URL")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="small-files-") as folder:
        workspace = Path(folder) / "workspace"
        environment = {
            "RETAIL_WORKSPACE": str(workspace),
            "RETAIL_S3_THREADS": str(arguments.threads),
        }
        if arguments.database:
            environment["RETAIL_DATABASE_URL"] = arguments.database
        settings = load_settings(PROJECT, environment)
        bare_folder = Path(folder) / "bare"
        bare_folder.mkdir()
        try:
            with open_services(settings, os.environ) as services:
                keys = fill_inbox(services, arguments.files, arguments.rows)
                bare = min(bare_download(services, keys, bare_folder) for _ in range(2))
                report(arguments.files, bare, deliver(services))
        finally:
            embedded_s3.stop(workspace)


def report(files: int, bare: float, spent: dict[str, float]) -> None:
    """Write one line for each step and sum."""
    until_bronze = sum(spent.values()) - spent["archive"]
    lines = {
        "bare download": bare,
        **spent,
        "up to bronze": until_bronze,
        "whole": sum(spent.values()),
    }
    sys.stdout.write(f"{'step':<18}{'s':>8}{'files/s':>10}{'ratio':>8}\n")
    for name, value in lines.items():
        sys.stdout.write(f"{name:<18}{value:>8.2f}{files / value:>10.0f}{value / bare:>8.2f}\n")


if __name__ == "__main__":
    main()
