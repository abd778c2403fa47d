"""Runs the pipeline and kills its process, with SIGKILL, at a named point.

``python -m tests.crash_point module:function:before|after`` kills before or after the first call of
that function, and ``...:before@2`` or ``...:after@2`` before or after its second one;
``dbt:NODE:before|after`` when dbt starts or has finished that node. The command is ``run``, or what
follows the point; ``without-spark`` is the run of :mod:`tests.run_without_spark`.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

import run_pipeline
from ingestion.config.settings import load_settings
from ingestion.run.services import open_services

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from tests.services import Bucket

PROJECT = Path(run_pipeline.__file__).parent
WITHOUT_SPARK = "without-spark"


class Progress(NamedTuple):
    """How far a run has come: the state of the newest batch; the newest version that has a
    manifest, that the database shows and that the pointer names; and whether the pointer is noted.
    """

    batch: str | None
    manifest: int
    database: int
    pointer: int
    is_noted: bool


def progress(engine: Engine, bucket: Bucket) -> Progress:
    """What a run has left in the database and on S3."""
    with engine.connect() as connection:
        query = "select state from pipeline_batches order by batch_id desc"
        batch = connection.execute(sa.text(query)).scalar()
        query = "select version, pointer_written from publications order by version desc"
        version, is_noted = connection.execute(sa.text(query)).first() or (0, False)
    manifests = bucket.keys("publications/manifests/")
    numbers = [int(re.sub(r".*/v(\d+)-.*", r"\1", key)) for key in manifests]
    pointer = "publications/current.json"
    pointed = json.loads(bucket.get(pointer))["version"] if bucket.keys(pointer) else 0
    return Progress(batch, max(numbers, default=0), version, pointed, bool(is_noted))


def crash(point: str, environ: Mapping[str, str], *command: str) -> str:
    """Runs the command in a process that dies at this point; returns what it has said."""
    result = subprocess.run(
        [sys.executable, "-m", __name__, point, *command],
        env={**environ, "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
        cwd=PROJECT,
    )
    said = result.stdout + result.stderr
    assert result.returncode == -signal.SIGKILL, f"{point}: {result.returncode}: {said}"
    return said


def die() -> None:
    """Ends the process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_call(place: str, name: str, moment: str, number: int) -> None:
    """Patches ``module.name`` or ``module.Class.name``."""
    *outer, function = name.split(".")
    owner: Any = importlib.import_module(place)
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, function)
    calls = itertools.count(1)

    @functools.wraps(original)
    def patched(*args: Any, **kwargs: Any) -> Any:
        is_meant = next(calls) == number
        if is_meant and moment == "before":
            die()
        result = original(*args, **kwargs)
        if is_meant:
            die()
        return result

    setattr(owner, function, patched)


def kill_at_node(node: str, moment: str) -> None:
    """Kills inside the dbt build."""
    from ingestion.warehouse import dbt_build

    original = dbt_build._follow
    wanted = "NodeStart" if moment == "before" else "NodeFinished"

    def patched(steps: Any) -> Any:
        follow = original(steps)

        def follow_and_die(event: Any) -> None:
            follow(event)
            if event.info.name == wanted and event.data.node_info.node_name == node:
                die()

        return follow_and_die

    dbt_build._follow = patched


def main(point: str, *command: str) -> None:
    """What this module does as a program."""
    place, name, moment = point.split(":")
    moment, _, number = moment.partition("@")
    if place == "dbt":
        kill_at_node(name, moment)
    else:
        kill_at_call(place, name, moment, int(number or 1))
    if command == (WITHOUT_SPARK,):
        from tests.run_without_spark import run

        with open_services(load_settings(PROJECT), os.environ) as services:
            run(services)
    else:
        run_pipeline.app(command or ["run"])


if __name__ == "__main__":
    main(*sys.argv[1:])
