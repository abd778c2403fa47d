"""A run that a scheduler stops ends as one that is stopped by hand."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from ingestion.s3 import embedded_s3
from ingestion.warehouse.spark import WorkSize, read_target
from ingestion.workspace import Workspace
from tests.pipeline.conftest import start_spark
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
    assert told.splitlines()[-1] == "error: stopped; the next run continues from here"
    assert "Traceback" not in told


# Holds a workspace's scratch folder, says so, and waits for its end.
HOLD = """
import sys
from pathlib import Path
from ingestion.workspace import Workspace
print(Workspace(Path(sys.argv[1])).make_scratch(), flush=True)
sys.stdin.read()
"""


def test_what_a_killed_command_left_is_gone_after_the_next_run(
    s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: the shuffles of every killed run stay until the disk is full, or the S3 server of a
    killed `warm-up` for ever; or a run with nothing to do takes them from `docs` at work."""
    environ = {
        **machine_environ(),
        **s3_bucket.environment,
        "RETAIL_WORKSPACE": str(tmp_path),
    }
    run = [sys.executable, str(PROJECT / "run_pipeline.py")]
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        left = Path(killed.stdout.readline().strip())
        rehearsal = left / "warm-up-1"
        rehearsal.mkdir()
        embedded_s3.ensure_running(rehearsal, "retail-mart")
        of_dbt = tmp_path / "scratch" / "dbt" / "blockmgr-1"
        of_dbt.mkdir(parents=True)
        subprocess.run(run, env=environ, check=True)
        server = embedded_s3.status(rehearsal)
        assert server is not None
        killed.kill()
    subprocess.run(run, env=environ, check=True)
    with pytest.raises(URLError, match="refused"):
        urlopen(server.endpoint, timeout=10)
    assert list((tmp_path / "scratch").iterdir()) == [of_dbt.parent], "it may be at work"


def test_spark_has_the_folder_of_its_process(tmp_path: Path) -> None:
    """Risk: a run that starts Spark takes the shuffles from a build by dbt alone, or nobody ever
    clears them."""
    shutil.copyfile(PROJECT / "profiles.example.yml", tmp_path / "profiles.yml")
    environ = {**machine_environ(), "RETAIL_WORKSPACE": str(tmp_path)}
    workspace = Workspace(tmp_path)
    target = read_target(tmp_path, environ)["server_side_parameters"]
    assert target["spark.local.dir"] == str(workspace.scratch_of_dbt)
    environ["RETAIL_SCRATCH"] = str(workspace.scratch)
    target = read_target(tmp_path, environ)["server_side_parameters"]
    assert target["spark.local.dir"] == str(workspace.scratch)


def test_what_this_process_needs_stays(tmp_path: Path) -> None:
    """Risk: a second run in one process, as `warm-up` makes it, takes the shuffles from Spark."""
    workspace = Workspace(tmp_path)
    mine = workspace.make_scratch() / "blockmgr-2"
    mine.mkdir()
    workspace.clear_scratch(lambda _: None)
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


# Loses its JVM, as where the system wants its memory, and asks Spark for something.
LOSE_JVM = """
import os
from ingestion.logs import configure_logging
from ingestion.warehouse.spark import has_ended
from tests.pipeline.conftest import START
exec(START)
configure_logging("INFO", "text", "run-7", [])
print(has_ended(session))
jvm = session.sparkContext._gateway.proc
jvm.kill()
jvm.wait()
try:
    session.sql("select 1").collect()
except Exception as error:
    print(type(error).__name__)
print(has_ended(session), flush=True)
os._exit(0)
"""


@pytest.mark.slow
def test_a_jvm_that_was_killed_is_told_as_such(recorded_classes: Path) -> None:
    """Risk: whoever has too little memory is asked to mend data or models, below a page of
    stacks."""
    lost = subprocess.run(
        [sys.executable, "-c", LOSE_JVM, "small"],
        env={**machine_environ(), "RETAIL_WORKSPACE": str(recorded_classes)},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    answer, before, _, after = lost.stdout.splitlines()  # what it asked for was an error
    assert answer == "[Row(answer=42)]"
    assert (before, after) == ("False", "True")
    assert "Traceback" not in lost.stderr


@pytest.mark.slow
def test_a_start_of_spark_clears_what_a_killed_build_by_hand_has_left(
    recorded_classes: Path,
) -> None:
    """Risk: dbt alone holds no lock that a run could ask, so its shuffles would stay."""
    left = Workspace(recorded_classes).scratch_of_dbt / "blockmgr-1"
    left.mkdir(parents=True)
    start_spark(recorded_classes, WorkSize.SMALL, "")
    assert not left.exists()
