"""Fixtures for every test: real services, each test with a bucket and a database of its own."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from ingestion.config.settings import Settings, load_settings
from ingestion.s3.connection import connect
from ingestion.s3.object_store import ObjectStore
from tests.services import Bucket, MariaDb, new_bucket, running_mariadb, running_s3

pytest.register_assert_rewrite(  # a failure then shows what was compared
    "tests.project_rules",
    "tests.published_sales",
    "tests.tried_settings",
    "tests.wrong_rows",
)

PROJECT = Path(__file__).resolve().parent.parent
_PREFIXES = ("RETAIL_", "AWS_", "DBT_")
_SERVICES = {"s3_endpoint", "mariadb_server", "each_engine"}
# a machine that does other work too may need longer for an example
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)  # before the groups are looked at
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Runs what needs no service first, so that a small mistake is told within seconds.

    Then, on two workers, one has the tests of the one Spark session; the other meanwhile the fast
    ones on real services, and those that start Spark in processes of their own. Groups come to the
    workers in this order, each as a whole; so does each test without a group.
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "warehouse" in fixtures:
            item.add_marker(pytest.mark.xdist_group("session"))
        elif "recorded_classes" in fixtures:
            item.add_marker(pytest.mark.xdist_group("processes"))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    groups = [mark.args[0] for mark in item.iter_markers("xdist_group")]
    if item.get_closest_marker("slow") is None:
        return 2 if groups or _SERVICES & set(getattr(item, "fixturenames", ())) else 0
    return 1 if "session" in groups else 3 if "processes" in groups else 4


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's own gets into a test."""
    for name in list(os.environ):
        if name.startswith(_PREFIXES):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real S3 server."""
    with running_s3(tmp_path_factory.mktemp("s3")) as endpoint:
        yield endpoint


@pytest.fixture
def s3_bucket(s3_endpoint: str) -> Iterator[Bucket]:
    """An empty bucket."""
    with new_bucket(s3_endpoint) as bucket:
        yield bucket


@pytest.fixture
def s3_settings(s3_bucket: Bucket, tmp_path: Path) -> Settings:
    """Settings with the test's bucket and a workspace of its own."""
    environment = s3_bucket.environment | {"RETAIL_WORKSPACE": str(tmp_path / "workspace")}
    return load_settings(tmp_path, environment)


@pytest.fixture
def store(s3_bucket: Bucket, s3_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The pipeline's own access to the bucket, with credentials from the standard chain."""
    for name, value in s3_bucket.environment.items():
        monkeypatch.setenv(name, value)
    return connect(s3_settings, None)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDb]:
    """A real MariaDB. It must be installed: without it, tests fail and are not skipped."""
    with (  # a socket's path must be short, shorter than pytest's folders may be
        tempfile.TemporaryDirectory(prefix="mariadb-") as folder,
        running_mariadb(Path(folder)) as database,
    ):
        yield database


@pytest.fixture
def mariadb_url(mariadb_server: MariaDb) -> Iterator[str]:
    """The URL of an empty database, for an account that may work in that one alone."""
    with mariadb_server.new_database() as url:
        yield url


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with the cases and the real data beside the project."""
    folder = PROJECT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"there is no folder {folder}")
    return folder
