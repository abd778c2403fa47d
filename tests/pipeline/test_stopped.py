"""A run that a scheduler stops ends as one that is stopped by hand."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_one_sentence(tmp_path: Path, sent: signal.Signals) -> None:
    """Risk: a container's stop ends Python at once, and originals and marts stay in temporary
    folders."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "RETAIL_WORKSPACE": str(tmp_path),
            "RETAIL_BUCKET": "shop",
            "RETAIL_S3_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
        }
        command = [sys.executable, str(PROJECT / "run_pipeline.py"), "run"]
        run = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
        connection, _ = silent.accept()  # it waits for an answer that never comes
        run.send_signal(sent)
        _, told = run.communicate(timeout=60)
        connection.close()
    assert run.returncode == 1
    assert told.splitlines()[-1] == "error: stopped; the next run goes on from here"
    assert "Traceback" not in told
