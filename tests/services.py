"""Starts the real services that tests run against: an S3 server and a MariaDB."""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3
import pymysql
from botocore.config import Config

from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS
from ingestion.s3.embedded_s3 import ensure_running, status, stop

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PASSWORD = "r@w/f#i&s%h:2!ü€"  # what a careless URL or driver would trip over
PIPELINE_GRANTS = "select, insert, update, delete, create, drop, index"
_SECONDS_TO_START = 30
_MOST_PORTS = 5


def machine_environ() -> dict[str, str]:
    """What a process of its own takes over from this one: where programs are, and no setting."""
    names = ("PATH", "HOME", "LANG", "JAVA_HOME")
    return {name: os.environ[name] for name in names if name in os.environ}


@dataclasses.dataclass(frozen=True)
class Bucket:
    """An empty bucket on the tests' S3 server, and a plain client that looks into it."""

    endpoint: str
    name: str
    client: S3Client

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point a pipeline process at this bucket."""
        return {
            "RETAIL_BUCKET": self.name,
            "RETAIL_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": EMBEDDED_CREDENTIALS.access_key_id,
            "AWS_SECRET_ACCESS_KEY": EMBEDDED_CREDENTIALS.secret_access_key,
        }

    def put(self, key: str, content: bytes) -> None:
        """Writes an object, as a sender does."""
        self.client.put_object(Bucket=self.name, Key=key, Body=content)

    def get(self, key: str) -> bytes:
        """An object's bytes."""
        return self.client.get_object(Bucket=self.name, Key=key)["Body"].read()

    def keys(self, prefix: str = "") -> list[str]:
        """The keys under ``prefix``, sorted."""
        pages = self.client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix
        )
        return sorted(item["Key"] for page in pages for item in page.get("Contents", ()))

    def objects(self, prefix: str = "") -> dict[str, bytes]:
        """Keys and bytes of every object under ``prefix``."""
        return {key: self.get(key) for key in self.keys(prefix)}


def s3_client(endpoint: str) -> S3Client:
    """A client of the tests' S3 server that knows nothing of the pipeline's own."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=EMBEDDED_CREDENTIALS.access_key_id,
        aws_secret_access_key=EMBEDDED_CREDENTIALS.secret_access_key,
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )


@contextlib.contextmanager
def running_s3(folder: Path) -> Iterator[str]:
    """The endpoint of an S3 server with its data in ``folder``."""
    try:
        yield ensure_running(folder, "unused")
    finally:
        state = status(folder)
        if state and state.pid:  # nobody needs the data, so nobody waits for a farewell
            os.kill(state.pid, signal.SIGKILL)
        stop(folder)


@contextlib.contextmanager
def new_bucket(endpoint: str) -> Iterator[Bucket]:
    """A bucket of its own, gone afterwards with all that is in it."""
    bucket = Bucket(endpoint, f"test-{uuid.uuid4().hex[:12]}", s3_client(endpoint))
    bucket.client.create_bucket(Bucket=bucket.name)
    try:
        yield bucket
    finally:
        bucket.client.delete_bucket(Bucket=bucket.name)


@dataclasses.dataclass(frozen=True)
class MariaDb:
    """A running MariaDB server of the tests' own."""

    port: int
    socket: Path

    def connect(self, **options: Any) -> pymysql.Connection[Any]:
        """A connection as root that commits each statement; the caller closes it."""
        settings = {"user": "root", "autocommit": True, "charset": "utf8mb4", **options}
        return pymysql.connect(unix_socket=str(self.socket), **settings)

    def execute(self, *statements: str) -> list[tuple[Any, ...]]:
        """Runs statements as root and returns the rows of the last one."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def variable(self, name: str, value: int | str) -> Iterator[None]:
        """Sets a global variable for new connections, and sets it back."""
        ((before,),) = self.execute(f"select @@global.{name}")
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"set global {name} = %s", [value])
            try:
                yield
            finally:
                cursor.execute(f"set global {name} = %s", [before])

    @contextlib.contextmanager
    def new_database(self, grants: str = PIPELINE_GRANTS) -> Iterator[str]:
        """The URL of an empty database, for an account that may do ``grants`` in it alone."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        account = f"`{name}`@`127.0.0.1`"
        self.execute(
            f"create database {name} character set utf8mb4",
            f"create user {account} identified by '{PASSWORD}'",
            f"grant {grants} on {name}.* to {account}",
        )
        try:
            yield f"mysql+pymysql://{name}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{name}"
        finally:
            self.execute(f"drop user {account}", f"drop database {name}")


@contextlib.contextmanager
def running_mariadb(folder: Path, *options: str) -> Iterator[MariaDb]:
    """A MariaDB with its data in ``folder``; ``options`` are more of the server's.

    Where the variable ``TEST_MYSQLD`` names a ``mysqld``, it is that MySQL server instead.
    """
    data, temporary = (folder / name for name in ("data", "tmp"))
    temporary.mkdir()
    everywhere = [
        f"--datadir={data}",
        # A server that starts removes the temporary tables it finds, another server's too.
        f"--tmpdir={temporary}",
        f"--user={getpass.getuser()}",
    ]
    mysqld = os.environ.get("TEST_MYSQLD")
    install, server = _mariadb() if mysqld is None else _mysql(mysqld)
    subprocess.run(
        [*install, *everywhere], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    command = [
        *server,
        *everywhere,
        f"--socket={folder / 'mariadb.sock'}",
        f"--pid-file={folder / 'mariadb.pid'}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--character-set-server=utf8mb4",
        "--performance-schema=OFF",
        "--innodb-buffer-pool-size=64M",
        "--innodb-flush-log-at-trx-commit=0",
        *options,
    ]
    database, process = _started(command, folder)
    try:
        yield database
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


# Newer servers offer TLS by themselves, and drivers take it; a proxy could not read what it passes.


def _mariadb() -> tuple[list[str], list[str]]:
    """The commands that prepare a MariaDB's data and that start it."""
    install = [
        _program("mariadb-install-db"),
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]
    return install, [
        _program("mariadbd"),
        "--no-defaults",
        "--skip-ssl",
        "--innodb-log-file-size=32M",
    ]


def _mysql(mysqld: str) -> tuple[list[str], list[str]]:
    """The same for MySQL."""
    both = [mysqld, "--no-defaults", "--secure-file-priv=NULL"]
    return [*both, "--initialize-insecure"], [
        *both,
        "--tls-version=",
        "--innodb-redo-log-capacity=64M",
        "--local-infile=ON",
        "--skip-log-bin",
        "--mysqlx=OFF",
    ]


def _started(command: list[str], folder: Path) -> tuple[MariaDb, subprocess.Popen[bytes]]:
    """A server that answers; on another port where somebody else has taken the first one."""
    log = folder / "mariadb.log"
    for _ in range(_MOST_PORTS):
        database = MariaDb(_free_port(), folder / "mariadb.sock")
        with log.open("wb") as written:
            process = subprocess.Popen(
                [*command, f"--port={database.port}"], stdout=written, stderr=written
            )
        if _answers(database, process):
            return database, process
        process.kill()
        process.wait()
        told = log.read_text(errors="replace")
        if "Address already in use" not in told:
            break
    raise RuntimeError(f"MariaDB does not start:\n{told[-2000:]}")


def _answers(database: MariaDb, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _SECONDS_TO_START
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(pymysql.err.OperationalError):
            database.execute("select 1")
            return True
        time.sleep(0.05)
    return False


def _program(name: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    found = shutil.which(name, path=path)
    if found is None:
        raise RuntimeError(f"{name} is not installed. 'make test' installs MariaDB")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
