"""Starts, finds and stops the S3 server that lives in the workspace.

The server stays up between runs. It holds a lock on its data folder for as long as it lives, so
whether it runs is never guessed from a process id, and two starters cannot both start one. It
stops by itself when the state file or the workspace is gone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from ingestion.config.aws_credentials import (
    AWS_ACCESS_KEY_ID,
    AWS_SECRET_ACCESS_KEY,
    EMBEDDED_CREDENTIALS,
)
from ingestion.errors import PipelineError

_HOST = "127.0.0.1"
_SERVICES = ("master", "volume", "filer", "s3", "admin")
_GRPC_OFFSET = 10_000  # the server's own maintenance worker expects it of the admin service
_PORTS = range(20_000, 32_000)  # below the ports that systems give to outgoing connections
_SOCKETS = Path("/tmp"), "seaweedfs-*-{port}.sock"  # where the server puts them, by port
_READY = "Press Ctrl+C to stop"  # the last line of its start: every part is up, the bucket exists
_STARTS = 3
_SECONDS_TO_START = 20.0
_SECONDS_TO_STOP = 5.0
_LOG_OPTIONS = "-log_max_size_mb=10", "-log_max_files=2"
_OPTIONS = (
    "-admin.ui=false",
    "-webdav=false",
    "-s3.port.iceberg=0",
    "-s3.port.lance=0",
    "-master.telemetry=false",
    "-volume.preStopSeconds=0",
    "-volume.max=1000",  # files of up to 1 GiB that grow with their content; none is preallocated
)
# The shell becomes the server; what it leaves behind ends the server with its state file.
_SUPERVISED = """
server=$$
(
    while kill -0 $server && grep -qsF "$TOKEN" "$STATE"; do sleep 2; done
    kill $server && sleep 5 && kill -9 $server
) </dev/null >/dev/null 2>&1 &
unset TOKEN STATE
exec "$@"
"""


@dataclasses.dataclass(frozen=True)
class ServerState:
    """What ``s3.json`` says of the server that was started last; ``pid`` is None until it is."""

    endpoint: str
    bucket: str
    token: str
    ports: tuple[int, ...]
    pid: int | None = None


def ensure_running(workspace: Path, bucket: str) -> str:
    """The URL of the workspace's S3 server, which has ``bucket``; starts it unless it runs.

    A server that was killed is started again on its data. Raises PipelineError.
    """
    deadline = time.monotonic() + _SECONDS_TO_START
    while True:
        state = status(workspace)
        if state and state.bucket == bucket:
            return state.endpoint
        if state:
            stop(workspace)
        with _data_lock(workspace) as lock:
            if lock:
                return _start(workspace, bucket, lock).endpoint
        if time.monotonic() > deadline:
            break
        time.sleep(0.05)  # someone else is starting it, or an old one is on its way out
    hung = _read_state(workspace)
    if not stop(workspace):
        raise PipelineError(
            f"The S3 server of {workspace} is running but does not respond",
            found=f"process {hung.pid}" if hung and hung.pid else "no state file",
            action="Stop its weed process and run again",
        )
    return ensure_running(workspace, bucket)


def status(workspace: Path) -> ServerState | None:
    """The server that runs in this workspace and answers, or None."""
    state = _read_state(workspace)
    if state is None or not (_answers(state) and _has_started(workspace)):
        return None
    with _data_lock(workspace) as lock:
        return None if lock else state


def stop(workspace: Path) -> bool:
    """Stops the server and waits for its end; true if one was running and is gone now."""
    if not (workspace / "s3").is_dir():
        return False
    state = _read_state(workspace)
    with _data_lock(workspace) as lock:
        was_running = lock is None
    _state_file(workspace).unlink(missing_ok=True)
    if not was_running:
        return False
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        # The lock is held, so the process that the state names lives and is the server.
        if state and state.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(state.pid, signal_number)
        if _wait_for_end(workspace):
            _remove_sockets(state)
            return True
    return False


def _start(workspace: Path, bucket: str, lock: IO[bytes]) -> ServerState:
    """Starts a server that takes over ``lock``; other ports are tried when some were taken."""
    program = _find_program()
    _remove_sockets(_read_state(workspace))
    data = workspace / "s3"
    for folder in data.glob("m[0-9]*"):  # the master's state is named by its port of last time
        shutil.rmtree(folder, ignore_errors=True)
    for _ in range(_STARTS):
        state = _new_state(bucket)
        _write_state(workspace, state)
        process = _spawn(program, workspace, state, lock)
        state = dataclasses.replace(state, pid=process.pid)
        _write_state(workspace, state)
        if _wait_for_start(workspace, state, process):
            return state
        _remove_sockets(state)
    _state_file(workspace).unlink(missing_ok=True)
    raise PipelineError(
        "The embedded S3 server does not start",
        found=_last_complaint(workspace),
        action=f"See {_log_file(workspace)}",
    )


def _spawn(
    program: str, workspace: Path, state: ServerState, lock: IO[bytes]
) -> subprocess.Popen[bytes]:
    data = workspace / "s3"
    details = _log_file(workspace).with_suffix("")  # a folder; by default it would be /tmp
    details.mkdir(parents=True, exist_ok=True)
    command = [program, f"-logdir={details}", *_LOG_OPTIONS, "mini"]
    command += [f"-dir={data}", f"-ip={_HOST}", f"-ip.bind={_HOST}", *_OPTIONS]
    command.append(f"-bucket={state.bucket}")
    for service, port in zip(_SERVICES, state.ports, strict=True):
        command += [f"-{service}.port={port}", f"-{service}.port.grpc={port + _GRPC_OFFSET}"]
    environment = {  # no setting of another SeaweedFS on this machine gets in
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(data),
        "TOKEN": state.token,
        "STATE": str(_state_file(workspace)),
        AWS_ACCESS_KEY_ID: EMBEDDED_CREDENTIALS.access_key_id,
        AWS_SECRET_ACCESS_KEY: EMBEDDED_CREDENTIALS.secret_access_key,
    }
    with _log_file(workspace).open("wb") as log:
        return subprocess.Popen(
            ["/bin/sh", "-c", _SUPERVISED, "retail-mart-s3", *command],
            stdin=lock,  # keeps the lock for as long as the server lives
            stdout=log,
            stderr=log,
            cwd=data,
            env=environment,
            start_new_session=True,
        )


def _wait_for_start(workspace: Path, state: ServerState, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        if _has_started(workspace) and _answers(state):
            return True
        time.sleep(0.02)
    process.kill()
    process.wait()
    return False


def _wait_for_end(workspace: Path) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_STOP
    while time.monotonic() < deadline:
        with _data_lock(workspace) as lock:
            if lock:
                return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def _data_lock(workspace: Path) -> Iterator[IO[bytes] | None]:
    """The lock on the data folder, or None while a server or its starter has it."""
    data = workspace / "s3"
    try:
        data.mkdir(parents=True, exist_ok=True)
        file = (data / "server.lock").open("ab")
    except OSError as error:
        raise PipelineError(
            f"The S3 server's folder {data} cannot be written",
            found=error.strerror,
            action="Name another folder in RETAIL_WORKSPACE",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file


def _has_started(workspace: Path) -> bool:
    with contextlib.suppress(OSError):
        return _READY in _log_file(workspace).read_text(errors="replace")
    return False


def _answers(state: ServerState) -> bool:
    """Whether the server's health page is there, asked within a second."""
    connection = http.client.HTTPConnection(_HOST, _s3_port(state), timeout=1)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _new_state(bucket: str) -> ServerState:
    ports = _free_ports()
    endpoint = f"http://{_HOST}:{ports[_SERVICES.index('s3')]}"
    return ServerState(endpoint, bucket, uuid.uuid4().hex, ports)


def _free_ports() -> tuple[int, ...]:
    """One port for each service; the one for gRPC lies _GRPC_OFFSET above and is free too."""
    candidates = random.sample(_PORTS, len(_PORTS))
    free = (port for port in candidates if _is_free(port) and _is_free(port + _GRPC_OFFSET))
    try:
        return tuple(next(free) for _ in _SERVICES)
    except RuntimeError as error:
        raise PipelineError(f"No port from {_PORTS[0]} to {_PORTS[-1]} is free") from error


def _is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.bind((_HOST, port))
        return True
    return False


def _s3_port(state: ServerState) -> int:
    return state.ports[_SERVICES.index("s3")]


def _find_program() -> str:
    """The ``weed`` of this Python environment, else the one on PATH."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    if found is None:
        raise PipelineError(
            "The embedded S3 server is not installed",
            expected=f"the program weed in {beside.parent} or on PATH",
            action="Run 'make setup', or name a bucket in RETAIL_BUCKET",
        )
    return found


def _last_complaint(workspace: Path) -> str:
    """The last error line of the server's log, without its time and place in the source."""
    with contextlib.suppress(OSError):
        lines = _log_file(workspace).read_text(errors="replace").splitlines()
        complaints = [line for line in lines if re.match(r"[EF]\d{4} ", line)] or lines
        if complaints:
            return complaints[-1].partition("] ")[2] or complaints[-1]
    return "no response"


def _remove_sockets(state: ServerState | None) -> None:
    """Removes the socket files that a killed server leaves behind."""
    folder, name = _SOCKETS
    for port in state.ports if state else ():
        for number in (port, port + _GRPC_OFFSET):
            for path in folder.glob(name.format(port=number)):
                with contextlib.suppress(OSError):
                    path.unlink()


def _state_file(workspace: Path) -> Path:
    return workspace / "s3.json"


def _log_file(workspace: Path) -> Path:
    return workspace / "logs" / "s3.log"


def _read_state(workspace: Path) -> ServerState | None:
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        content = json.loads(_state_file(workspace).read_bytes())
        return ServerState(**{**content, "ports": tuple(content["ports"])})
    return None


def _write_state(workspace: Path, state: ServerState) -> None:
    file = _state_file(workspace)
    part = file.with_suffix(".json.part")
    part.write_text(json.dumps(dataclasses.asdict(state), indent=1))
    part.replace(file)
