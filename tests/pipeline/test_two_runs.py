"""Two runs on one database: one works, the other leaves; a dead one holds nobody up."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

from tests.pipeline.test_command_line import PROJECT, assert_refused, pipeline
from tests.services import Bucket


def test_the_second_run_leaves_and_a_killed_one_frees_the_lock(
    s3_bucket: Bucket, mariadb_url: str, tmp_path: Path
) -> None:
    """Risk: two runs load a file twice, or a run that died keeps all others out."""
    environ = {
        **s3_bucket.environment,
        "RETAIL_WORKSPACE": str(tmp_path),
        "RETAIL_DATABASE_URL": mariadb_url,
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an S3 server that never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        first = subprocess.Popen(
            [sys.executable, str(PROJECT / "run_pipeline.py"), "run"],
            env={**environ, "RETAIL_S3_ENDPOINT_URL": url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=tmp_path,
        )
        try:
            silent.settimeout(60)
            silent.accept()[0].close()  # the look whether a server is there
            listing, _ = silent.accept()  # it holds the lock and lists the inbox
            second = pipeline("run", environ=environ)
            assert_refused(second, 4, "Another run is active on this database.")
        finally:
            first.send_signal(signal.SIGKILL)
            first.wait()
        listing.close()
    for _ in range(20):  # the server notices within moments that the connection has ended
        third = pipeline("run", environ=environ)
        if third.returncode != 4:
            break
    assert third.returncode == 0, third.stderr
    assert "Nothing to do" in third.stdout
