"""A version is published whole, by a run that still has its lock, or not at all."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.database.engine import in_transaction
from ingestion.errors import BusyError, PipelineError
from ingestion.publication import publications, publish
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectStore
from tests import run_without_spark
from tests.published_sales import POINTER, check_pointer, database_rows, put
from tests.run_without_spark import TOTALS, run
from tests.services import MariaDb
from tests.statements import sent_to


def break_lock(services: Services, server: MariaDb) -> None:
    """Ends the connection that holds the run lock; the server has noticed when this returns."""
    lock = f"concat('retail_mart:', left(sha2('{services.engine.url.database}', 256), 32))"
    ((holder,),) = server.execute(f"select is_used_lock({lock})")
    server.execute(f"kill {holder}")
    for _ in range(200):
        if server.execute(f"select is_used_lock({lock})") == [(None,)]:
            return
        time.sleep(0.05)
    raise AssertionError("the lock is still held")


@pytest.mark.parametrize("place", ["scanned", "loaded"])
@pytest.mark.parametrize("has_ended", [True, False], ids=["ended", "at work"])
def test_a_run_that_has_lost_its_lock_stops_before_it_harms_another(
    machines: tuple[Services, Services],
    mariadb_server: MariaDb,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    has_ended: bool,
) -> None:
    """Risk: a proxy closes the lock's connection, another machine publishes the same version, and
    the first one deletes or overwrites what readers see."""
    one, other = machines
    uploaded = f"{one.prefixes.marts[TOTALS.s3]}{TOTALS.name}/v000002-other/part.parquet"
    put(one, "b.csv", 2, 2)
    if not has_ended:
        monkeypatch.setattr("ingestion.database.run_lock._SECONDS_TO_FREE", 1)
    owner, name = (run_without_spark, "scan") if place == "scanned" else (publish, "_load_beside")
    real = getattr(owner, name)
    with contextlib.ExitStack() as stack:

        def interrupted(*arguments: Any) -> Any:
            monkeypatch.setattr(owner, name, real)
            found = real(*arguments)
            break_lock(one, mariadb_server)
            if has_ended:
                run(other)
            else:
                from ingestion.database.run_lock import run_lock

                stack.enter_context(run_lock(other.engine))
                other.store.put_bytes(uploaded, b"rows")
            return found

        monkeypatch.setattr(owner, name, interrupted)
        with pytest.raises(PipelineError) as stopped:
            run(one)
    if has_ended:
        assert "cannot be published on top of version 1. Found: version" in str(stopped.value)
    else:
        assert isinstance(stopped.value, BusyError)
        assert other.store.head(uploaded) is not None, "the run at work is to name it"
        run(other)
    assert database_rows(one) == [(1, 1), (2, 2)]
    check_pointer(one)
    put(one, "c.csv", 3, 3)
    run(one)
    assert database_rows(one) == [(1, 1), (2, 2), (3, 3)]
    check_pointer(one)
    tables = sa.inspect(one.engine).get_table_names()
    assert [table for table in tables if "__" in table] == []


def test_a_lock_whose_connection_broke_is_taken_again(
    machines: tuple[Services, Services], mariadb_server: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a night's run is lost because a proxy closed an idle connection."""
    one, _ = machines
    put(one, "b.csv", 2, 2)
    real = run_without_spark.scan

    def interrupted(*arguments: Any) -> Any:
        monkeypatch.setattr(run_without_spark, "scan", real)
        break_lock(one, mariadb_server)
        return real(*arguments)

    monkeypatch.setattr(run_without_spark, "scan", interrupted)
    run(one)
    assert database_rows(one) == [(1, 1), (2, 2)]
    check_pointer(one)


def test_nothing_is_published_where_an_object_could_not_be_sent(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the manifest names an object that is not there, and readers of S3 lack a month."""
    put(services, "a.csv", 1, 1)
    run(services)
    before = services.store.get_bytes(POINTER)
    put(services, "b.csv", 2, 2)
    real = ObjectStore.put_file

    def put_file(store: ObjectStore, key: str, path: Path) -> Any:
        if "sales_lines" in key:
            raise PipelineError(f"no permission to write {key}")
        return real(store, key, path)

    monkeypatch.setattr(ObjectStore, "put_file", put_file)
    with pytest.raises(PipelineError, match="no permission to write"):
        run(services)
    assert services.store.get_bytes(POINTER) == before
    assert database_rows(services) == [(1, 1)]


def test_only_the_newest_version_comes_from_the_server(
    machines: tuple[Services, Services],
) -> None:
    """Risk: the driver fetches the record of every publication of years, several times a run."""
    one, _ = machines
    newest = in_transaction(one.engine, publications.current_publication)
    assert newest is not None
    later = [dataclasses.replace(newest, version=version) for version in (2, 3)]
    later.append(dataclasses.replace(newest, version=4, rolled_back_to=1))
    with one.engine.begin() as connection:
        for item in later:
            publications.add_publication(connection, item)
    with sent_to(one.engine) as sent:
        assert in_transaction(one.engine, publications.current_publication) == later[2]
        assert in_transaction(one.engine, publications.built_publication) == later[1]
    assert [statement.rows for statement in sent] == [1, 1]
