"""Fixtures for the tests of single modules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Engine, make_url

from ingestion.database.engine import connect


@pytest.fixture(params=["sqlite", "mariadb"])
def each_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'database.sqlite'}"
    else:
        url = request.getfixturevalue("mariadb_url")
    engine = connect(make_url(url))
    yield engine
    engine.dispose()
