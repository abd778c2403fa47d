"""The embedded S3 server: one per workspace, kept up, and never a manual step after a crash."""

from __future__ import annotations

import http.client
import http.server
import json
import multiprocessing
import os
import shutil
import signal
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingestion.errors import PipelineError
from ingestion.s3 import embedded_s3
from ingestion.s3.embedded_s3 import ServerState, ensure_running, status, stop
from tests.services import s3_client

BUCKET = "retail-mart"


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "a workspace"
    yield folder
    if folder.exists():
        stop(folder)


def running(workspace: Path) -> ServerState:
    """The server that answers; fails when none does."""
    state = status(workspace)
    assert state is not None
    return state


def wait_until_gone(endpoint: str) -> bool:
    deadline = time.monotonic() + 15
    host = endpoint.removeprefix("http://")
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(host, timeout=1)
        try:
            connection.connect()
        except OSError:
            return True
        finally:
            connection.close()
        time.sleep(0.1)
    return False


def test_a_second_call_finds_the_server_at_once(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: each run starts a server of its own, or waits for one."""
    endpoint = ensure_running(workspace, BUCKET)
    before = running(workspace)
    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
        assert ensure_running(workspace, BUCKET) == endpoint
    assert running(workspace) == before


def test_objects_survive_kill_9(workspace: Path) -> None:
    """Risk: a killed server loses objects, or its leftovers keep the next one from starting."""
    client = s3_client(ensure_running(workspace, BUCKET))
    content = {f"in/{number}.csv": os.urandom(number * 50) for number in range(60)}
    for key, data in content.items():
        client.put_object(Bucket=BUCKET, Key=key, Body=data)
    killed = running(workspace)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)

    client = s3_client(ensure_running(workspace, BUCKET))
    assert running(workspace).pid != killed.pid
    listed = [item["Key"] for item in client.list_objects_v2(Bucket=BUCKET)["Contents"]]
    read = {key: client.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in listed}
    assert read == content
    client.put_object(Bucket=BUCKET, Key="new.csv", Body=b"new")
    assert client.get_object(Bucket=BUCKET, Key="in/59.csv")["Body"].read() == content["in/59.csv"]


def test_stop_ends_it_and_objects_stay(workspace: Path) -> None:
    """Risk: a stopped server lives on, or a restart begins with an empty bucket."""
    endpoint = ensure_running(workspace, BUCKET)
    s3_client(endpoint).put_object(Bucket=BUCKET, Key="a", Body=b"1")
    assert stop(workspace)
    assert status(workspace) is None
    assert wait_until_gone(endpoint)
    assert not stop(workspace)
    client = s3_client(ensure_running(workspace, BUCKET))
    assert client.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"1"


def test_another_bucket_is_made(workspace: Path) -> None:
    """Risk: a server that runs without the bucket that was asked for counts as ready."""
    ensure_running(workspace, BUCKET)
    client = s3_client(ensure_running(workspace, "other-bucket"))
    assert client.list_objects_v2(Bucket="other-bucket")["KeyCount"] == 0


def test_starters_share_one_server(workspace: Path) -> None:
    """Risk: two runs that begin together start two servers on one data folder."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        endpoints = pool.starmap(ensure_running, [(workspace, BUCKET)] * 3)
    assert set(endpoints) == {running(workspace).endpoint}


def test_it_ends_with_its_workspace(workspace: Path) -> None:
    """Risk: servers of removed workspaces pile up on the machine."""
    endpoint = ensure_running(workspace, BUCKET)
    shutil.rmtree(workspace, ignore_errors=True)  # it may be writing a file just now
    assert wait_until_gone(endpoint)


def test_a_stranger_on_its_port_is_not_taken_for_it(workspace: Path) -> None:
    """Risk: after a restart of the machine another program has the port, and gets the data."""
    ensure_running(workspace, BUCKET)
    stop(workspace)

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

    with socketserver.TCPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        state = {"endpoint": f"http://127.0.0.1:{port}", "bucket": BUCKET, "token": "old"}
        state |= {"ports": [port] * 5, "pid": os.getpid()}
        (workspace / "s3.json").write_text(json.dumps(state))
        assert status(workspace) is None
        endpoint = ensure_running(workspace, BUCKET)
        server.shutdown()
    assert endpoint != f"http://127.0.0.1:{port}"
    assert s3_client(endpoint).list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_a_server_that_hangs_is_replaced(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: a server that lives but does not answer stops every run until someone ends it."""
    ensure_running(workspace, BUCKET)
    hung = running(workspace)
    assert hung.pid is not None
    os.kill(hung.pid, signal.SIGSTOP)
    os.waitpid(hung.pid, os.WUNTRACED)
    monkeypatch.setattr(embedded_s3, "_SECONDS_TO_START", 3.0)
    monkeypatch.setattr(embedded_s3, "_SECONDS_TO_STOP", 1.0)
    ensure_running(workspace, BUCKET)
    assert running(workspace).pid != hung.pid


def test_a_missing_program_is_told(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: an environment without the server fails with a stack trace, or leaves a lock."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sys.executable", "/nowhere/bin/python")
    for _ in range(2):
        with pytest.raises(PipelineError) as raised:
            ensure_running(workspace, BUCKET)
        assert str(raised.value) == (
            "The embedded S3 server is not installed. Expected: the program weed in /nowhere/bin"
            " or on PATH. Run 'make setup', or name a bucket in RETAIL_BUCKET."
        )


def test_a_server_that_cannot_start_says_why(
    workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a run waits for a server that has failed, and hides the reason in a log."""
    program = tmp_path / "bin" / "weed"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho 'F1125 03:26:20.95 1 mini.go:1] no space left' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(program.parent / "python"))
    with pytest.raises(PipelineError) as raised:
        ensure_running(workspace, BUCKET)
    assert str(raised.value) == (
        f"The embedded S3 server does not start. Found: no space left. See {workspace}/logs/s3.log."
    )
    assert not (workspace / "s3.json").exists()
