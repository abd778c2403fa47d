"""Runs the pipeline and kills its process, with SIGKILL, at a named point.

``crash_point.py module:function:before|after`` kills before or after the first call of that
function; ``dbt:NODE:before|after`` when dbt starts or has finished that node. The command is
``run``, or what follows the point.
"""

from __future__ import annotations

import functools
import importlib
import os
import signal
import sys
from typing import Any

import run_pipeline


def die() -> None:
    """Ends the process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at_call(place: str, name: str, moment: str) -> None:
    """Patches ``module.name`` or ``module.Class.name``."""
    *outer, function = name.split(".")
    owner: Any = importlib.import_module(place)
    for part in outer:
        owner = getattr(owner, part)
    original = getattr(owner, function)

    @functools.wraps(original)
    def patched(*args: Any, **kwargs: Any) -> Any:
        if moment == "before":
            die()
        result = original(*args, **kwargs)
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


place, name, moment = sys.argv[1].split(":")
if place == "dbt":
    kill_at_node(name, moment)
else:
    kill_at_call(place, name, moment)
run_pipeline.app(sys.argv[2:] or ["run"])
