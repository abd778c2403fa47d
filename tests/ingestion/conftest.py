"""Fixtures for the tests of single modules."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from ingestion.config.settings import load_settings
from ingestion.database import staging_table
from ingestion.database.engine import connect
from ingestion.logs import QUIET_LOGGERS, SILENT_LOGGERS
from ingestion.reader.contract import Contract, read_contract
from ingestion.run.services import Services, open_services
from tests.dimension_files import CONTRACT
from tests.published_sales import put
from tests.reader_bench import PROJECT, Bench
from tests.run_without_spark import run
from tests.services import Bucket, MariaDb


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[Engine]:
    """An empty SQLite database."""
    engine = connect(make_url(f"sqlite:///{tmp_path / 'database.sqlite'}"))
    yield engine
    engine.dispose()


@pytest.fixture
def mariadb_engine(mariadb_url: str) -> Iterator[Engine]:
    """An empty database of the real server."""
    engine = connect(make_url(mariadb_url))
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def each_engine(request: pytest.FixtureRequest) -> Engine:
    """A fresh database of each kind."""
    found: Engine = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """An empty database with the pipeline's tables."""
    staging_table.metadata.create_all(sqlite_engine)
    return sqlite_engine


@pytest.fixture
def as_owner(request: pytest.FixtureRequest) -> Callable[[Engine, str], None]:
    """Runs a statement as the database's owner, who may do more than the pipeline's account."""

    def execute(engine: Engine, statement: str) -> None:
        if engine.dialect.name == "sqlite":
            with engine.begin() as connection:
                connection.execute(sa.text(statement))
        else:
            server: MariaDb = request.getfixturevalue("mariadb_server")
            server.execute(f"use {engine.url.database}", statement)

    return execute


@pytest.fixture
def services(
    s3_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """A bucket and a database in a file."""
    yield from opened_services(s3_bucket.environment, tmp_path, monkeypatch)


@pytest.fixture
def mariadb_services(
    s3_bucket: Bucket, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """A bucket and a database in MariaDB."""
    environ = s3_bucket.environment | {"RETAIL_DATABASE_URL": mariadb_url}
    yield from opened_services(environ, tmp_path, monkeypatch)


def opened_services(
    environ: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Services]:
    """The services of these variables, which the process has too; a workspace in ``folder``."""
    environ = {**environ, "RETAIL_WORKSPACE": str(folder / "workspace")}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with open_services(load_settings(folder, environ), os.environ) as opened:
        yield opened


@pytest.fixture
def machines(
    s3_bucket: Bucket, mariadb_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Services, Services]]:
    """Two machines that work for one bucket and one database; one sale is published."""
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    with contextlib.ExitStack() as stack:
        found = []
        for name in ("one", "other"):
            environ = s3_bucket.environment | {
                "RETAIL_DATABASE_URL": mariadb_url,
                "RETAIL_WORKSPACE": str(tmp_path / name),
            }
            settings = load_settings(tmp_path, environ)
            found.append(stack.enter_context(open_services(settings, environ)))
        one, other = found
        put(one, "a.csv", 1, 1)
        run(one)
        yield one, other


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return an empty project folder with room beside it."""
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The project's own contract of sales files."""
    return read_contract(PROJECT / "models" / "staging" / "_pos__sources.yml")


@pytest.fixture
def star(tmp_path: Path) -> Path:
    """A source definition with a column of each type."""
    path = tmp_path / "_retail__sources.yml"
    path.write_text(CONTRACT, encoding="utf-8")
    return path


@pytest.fixture
def bench(tmp_path: Path, contract: Contract) -> Bench:
    """Checks single files."""
    return Bench(tmp_path, contract)


@pytest.fixture
def logging_as_before() -> Iterator[None]:
    """Puts handlers and levels back, so that no test changes the next one's log."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    raises = logging.raiseExceptions
    yield
    logging.raiseExceptions = raises
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in (*QUIET_LOGGERS, *SILENT_LOGGERS):
        logging.getLogger(name).setLevel(logging.NOTSET)
