"""Measure where the time of a run goes that takes one small file on a warm workspace.

Run: python benchmarks/small_run.py [--rows 300] [--repeat 2]. A workspace of its own on the
embedded defaults gets a sample in a first run, which is not counted. Then, in turns: Spark alone
with Hive's metastore of that workspace, one new file, and a run that finds nothing new; each a
fresh process, timed from command to exit. Models and tests run in four threads, so their seconds
are those of the clock: ``models`` while at least one model (or seed) was at work, ``tests`` while
only tests were, ``between nodes`` while neither was. ``the rest`` is what no step covers; the JVM
ends by itself after Python's exit, and is waited for before the next turn. Then all of it again,
after ``warm-up``; Spark alone goes on without its archive.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import datetime as dt
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from ingestion.config.settings import Settings, load_settings
from ingestion.run.services import open_services
from ingestion.s3 import embedded_s3
from ingestion.sample.files import write_sample
from ingestion.sample.spec import SampleSpec
from ingestion.workspace import Workspace
from tests.services import machine_environ

PROJECT = Path(__file__).resolve().parents[1]
SET_ASIDE = 3  # the exit code of a run that was well, but for some row
BARE_SPARK = """
import os
from pathlib import Path
from ingestion.warehouse.spark import driver_memory, find_profiles, read_target, start_session
workspace = Path(os.environ["RETAIL_WORKSPACE"])
os.environ |= {"RETAIL_WORK_SIZE": "small", "RETAIL_SPARK_DRIVER_MEMORY": driver_memory()}
target = read_target(find_profiles(Path.cwd(), workspace, os.environ), os.environ)
start_session(target, os.environ, workspace / "logs" / "spark.log")
"""


@dataclasses.dataclass(frozen=True)
class Finished:
    """A process that has ended: when it started (seconds of the epoch) and how long it took."""

    started: float
    seconds: float
    output: str
    log: str


def finish(words: list[str], environ: dict[str, str]) -> Finished:
    """Run Python with ``words``; timed until its exit, waited for until its JVM has ended too."""
    with tempfile.TemporaryFile("w+") as log:
        started, clock = time.time(), time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            env=environ,
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout is not None
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            output = pool.submit(process.stdout.read)  # the JVM holds the other end as well
            process.wait()
            seconds = time.perf_counter() - clock
        log.seek(0)
        lines = log.read()
    if process.returncode not in (0, SET_ASIDE):
        raise SystemExit(f"{words[0]} ended with {process.returncode}\n{lines[-2000:]}")
    return Finished(started, seconds, output.result(), lines)


def run(environ: dict[str, str], workspace: Workspace) -> tuple[dict[str, float], float]:
    """Run the pipeline; return the seconds of each part, and of the whole from command to exit."""
    done = finish(["run_pipeline.py", "run", "--json"], environ)
    steps: dict[str, float] = json.loads(done.output)["seconds"]
    ends = step_ends(done.log)
    first = next(iter(steps))
    parts = {"Python start": ends[first] - steps[first] - done.started}
    for name, seconds in steps.items():
        if name == "models and tests":
            parts |= dbt_parts(workspace, ends[name] - seconds, ends[name])
        else:
            parts[name] = seconds
    return {**parts, "the rest": done.seconds - sum(parts.values())}, done.seconds


def step_ends(log: str) -> dict[str, float]:
    """Return when each step ended for the first time, from the log's JSON lines."""
    ends: dict[str, float] = {}
    for line in log.splitlines():
        record = json.loads(line) if line.startswith("{") else {}
        name, mark, _ = record.get("message", "").partition(": done in ")
        if mark:
            ends.setdefault(name, instant(record["time"]))
    return ends


def dbt_parts(workspace: Workspace, start: float, end: float) -> dict[str, float]:
    """Split the step of models and tests by dbt's log and its results."""
    log = (workspace.logs / "dbt.log").read_text().splitlines()
    records = [json.loads(line)["info"] for line in log if line.startswith("{")]
    last = {record["name"]: instant(record["ts"]) for record in records}
    models, tests = node_intervals(workspace.dbt_target)
    first = min(begin for begin, _ in [*models, *tests])
    model_seconds = covered(models)
    node_seconds = covered([*models, *tests])
    return {
        "dbt import": last["MainReportVersion"] - start,
        "dbt parse": last["ConcurrencyLine"] - last["MainReportVersion"],
        "dbt catalog": first - last["ConcurrencyLine"],
        "models": model_seconds,
        "tests": node_seconds - model_seconds,
        "between nodes": end - first - node_seconds,
    }


def node_intervals(target: Path) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Return when models (and seeds) and when tests were at work, from dbt's results."""
    models, tests = [], []
    for result in json.loads((target / "run_results.json").read_text())["results"]:
        kind = result["unique_id"].partition(".")[0]
        times = [
            (instant(part["started_at"]), instant(part["completed_at"]))
            for part in result["timing"]
        ]
        if times and kind in ("model", "seed", "test"):
            (tests if kind == "test" else models).append((times[0][0], times[-1][1]))
    return models, tests


def covered(intervals: list[tuple[float, float]]) -> float:
    """Return the seconds during which at least one of the intervals lasted."""
    seconds, until = 0.0, 0.0
    for begin, end in sorted(intervals):
        seconds += max(0.0, end - max(begin, until))
        until = max(until, end)
    return seconds


def instant(text: str) -> float:
    """Return a UTC time as seconds of the epoch."""
    return dt.datetime.fromisoformat(text).timestamp()


def put_new_file(settings: Settings, rows: int, number: int) -> None:
    """Put one file of good rows, unlike any before, into the inbox."""
    month = dt.date(2024, 1, 1)
    spec = SampleSpec(
        rows=rows,
        seed=number,
        first_month=month,
        months=1,
        stores=1,
        files_per_store=1,
        extra_column_files=0,
        bad_files=0,
        shares={},
    )
    with tempfile.TemporaryDirectory() as folder, open_services(settings, {}) as services:
        write_sample(Path(folder), spec)
        [path] = [path for path in (Path(folder) / "sales").rglob("*") if path.is_file()]
        services.store.put_file(f"{settings.inbox_prefix}one_more/{number}.csv", path)


def main() -> None:
    """Print one column for each new file, one for nothing new, and the ratio to Spark alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300, help="rows of the new file")
    parser.add_argument("--repeat", type=int, default=2, help="new files, one run each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="small-run-") as folder:
        workspace = Workspace(Path(folder) / "workspace")
        environ = machine_environ() | {
            "RETAIL_WORKSPACE": str(workspace.root),
            "RETAIL_LOG_FORMAT": "json",
            "DBT_LOG_FORMAT_FILE": "json",
        }
        settings = load_settings(PROJECT, environ)
        if not settings.uses_embedded_s3 or settings.database.get_backend_name() != "sqlite":
            raise SystemExit("the project's own settings name services: this would write to them")
        try:
            sample = ["--rows", "2000", "--months", "2", "--bad-files", "0"]
            finish(["run_pipeline.py", "sample", *sample], environ)
            finish(["run_pipeline.py", "run"], environ)
            measure(settings, workspace, environ, arguments, first=1)
            warm_up = finish(["run_pipeline.py", "warm-up"], environ)
            sys.stdout.write(f"\nwarm-up took {warm_up.seconds:.0f} s. {warm_up.output}\n")
            measure(settings, workspace, environ, arguments, first=arguments.repeat + 1)
        finally:
            embedded_s3.stop(workspace.root)


def measure(
    settings: Settings, workspace: Workspace, environ: dict[str, str], arguments: Any, first: int
) -> None:
    """Take the turns, from file ``first`` on, and write the table."""
    bare: list[float] = []
    new: list[tuple[dict[str, float], float]] = []
    nothing: list[tuple[dict[str, float], float]] = []
    numbers = range(first, first + arguments.repeat)
    for number in numbers:
        bare.append(finish(["-c", BARE_SPARK], environ).seconds)
        put_new_file(settings, arguments.rows, number)
        new.append(run(environ, workspace))
        nothing.append(run(environ, workspace))
    columns = [*new, min(nothing, key=lambda pair: pair[1])]
    titles = [f"file {number}" for number in numbers] + ["nothing"]
    write = sys.stdout.write
    write(f"one file of {arguments.rows:,} rows on a warm workspace, seconds\n")
    write(f"{'':<16}{''.join(f'{title:>9}' for title in titles)}\n")
    for part in new[0][0]:
        cells = (f"{parts[part]:>9.2f}" if part in parts else f"{'':>9}" for parts, _ in columns)
        write(f"{part:<16}{''.join(cells)}\n")
    write(f"{'command to exit':<16}{''.join(f'{whole:>9.2f}' for _, whole in columns)}\n")
    least = min(whole for _, whole in new)
    write(
        f"Spark alone with the metastore: {', '.join(f'{seconds:.2f}' for seconds in bare)}; "
        f"the run takes {least / min(bare):.2f} times as long (least of each)\n"
    )


if __name__ == "__main__":
    main()
