"""A run that a scheduler stops ends as one that is stopped by hand."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.warehouse.spark import read_target
from ingestion.workspace import Workspace
from tests.services import Bucket, machine_environ

PROJECT = Path(__file__).parents[2]


def test_a_stop_is_one_sentence(tmp_path: Path) -> None:
    """Risk: a container's stop ends Python at once, and originals and marts stay in temporary
    folders."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = {
            **machine_environ(),
            "RETAIL_WORKSPACE": str(tmp_path),
            "RETAIL_BUCKET": "shop",
            "RETAIL_S3_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        command = [sys.executable, str(PROJECT / "run_pipeline.py"), "run"]
        run = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()  # it waits for an answer that never comes
        run.terminate()
        _, told = run.communicate(timeout=60)
        connection.close()
    assert run.returncode == 1
    assert told.splitlines()[-1] == "error: stopped; the next run goes on from here"
    assert "Traceback" not in told


def test_what_a_killed_run_left_is_gone_after_the_next(s3_bucket: Bucket, tmp_path: Path) -> None:
    """Risk: the shuffles of every killed run stay until the disk is full."""
    left = tmp_path / "scratch" / "blockmgr-1" / "0c" / "shuffle_0_0_0.data"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    environ = {
        **machine_environ(),
        **s3_bucket.environment,
        "RETAIL_WORKSPACE": str(tmp_path),
    }
    subprocess.run([sys.executable, str(PROJECT / "run_pipeline.py")], env=environ, check=True)
    assert not left.exists()
    shutil.copyfile(PROJECT / "profiles.example.yml", tmp_path / "profiles.yml")
    target = read_target(tmp_path, environ)["server_side_parameters"]
    assert target["spark.local.dir"] == str(tmp_path / "scratch")


def test_what_this_process_needs_stays(tmp_path: Path) -> None:
    """Risk: a second run in one process, as `warm-up` makes it, takes the shuffles from Spark."""
    workspace = Workspace(tmp_path)
    mine = workspace.make_scratch() / "blockmgr-2"
    mine.mkdir()
    workspace.clear_scratch()
    assert mine.exists()


# Stops itself in the moment in which the JVM has been started, but Spark has not.
STOP_IN_START = """
import os, signal
import pyspark.java_gateway
from tests.pipeline.conftest import START
signal.signal(signal.SIGTERM, signal.default_int_handler)
def stopped(*arguments, **options):
    jvm = popen(*arguments, **options)
    os.kill(os.getpid(), signal.SIGTERM)
    return jvm
popen, pyspark.java_gateway.Popen = pyspark.java_gateway.Popen, stopped
exec(START)
"""


@pytest.mark.slow
def test_a_stop_while_spark_starts_leaves_no_jvm(tmp_path: Path) -> None:
    """Risk: each stop at the wrong moment leaves a process of 100 MB behind, for ever."""
    stopped = subprocess.run(
        [sys.executable, "-c", STOP_IN_START, "small"],
        env={
            **machine_environ(),
            "RETAIL_WORKSPACE": str(tmp_path),
        },
        cwd=PROJECT,
        capture_output=True,  # the JVM holds its end of the pipes
        text=True,
        timeout=60,
    )
    assert stopped.stderr.endswith("\nKeyboardInterrupt\n")
    assert stopped.stdout == ""
