"""Publications stay whole whatever happens around them: other runs, lost objects, old databases."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.config.settings import load_settings
from ingestion.database.engine import in_transaction
from ingestion.errors import BusyError, PipelineError, UsageError
from ingestion.publication import publications, publish
from ingestion.publication.mart_files import PublishedModel, ScannedTable
from ingestion.publication.publications import Publication
from ingestion.run import history
from ingestion.run.services import Services, open_services
from ingestion.s3.object_store import ObjectChanged, ObjectStore
from tests import run_without_spark
from tests.run_without_spark import HEADER, TOTALS, Tables, run, s3_rows, sale
from tests.services import Bucket, MariaDb
from tests.statements import sent_to

POINTER = "publications/current.json"


def put(services: Services, key: str, customer: int, cost: int) -> None:
    """Puts a file with one sale into the inbox."""
    content = HEADER + sale(customer, "2024-03-05", cost)
    services.store.put_bytes(f"sales_data/{key}", content.encode())


def database_rows(services: Services) -> list[tuple[Any, ...]]:
    """Customers and totals as the database shows them."""
    query = sa.text("select customer_id, total_sales from customers_data_mart order by 1")
    with services.engine.begin() as connection:
        return [(row[0], int(float(row[1]))) for row in connection.execute(query)]


def check_pointer(services: Services) -> None:
    """The pointer names the manifest that was published, and S3 shows what the database shows."""
    pointer = json.loads(services.store.get_bytes(POINTER))
    content = services.store.get_bytes(pointer["manifest"])
    assert hashlib.sha256(content).hexdigest() == pointer["sha256"]
    on_s3 = [
        (row["customer_id"], int(row["total_sales"]))
        for row in s3_rows(services.store, TOTALS.name)
    ]
    assert sorted(on_s3) == database_rows(services)


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


def test_a_pointer_that_was_deleted_is_written_again(services: Services) -> None:
    """Risk: readers of S3 find nothing until something new is sold."""
    put(services, "a.csv", 1, 1)
    run(services)
    services.store.delete(POINTER)
    run(services)
    check_pointer(services)


def test_a_database_that_was_brought_back_is_what_s3_shows(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a restore, readers of S3 see another version than the database, and the next one
    deletes or overwrites objects that they still see; or nobody learns that sales are missing."""
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    newest = services.store.get_bytes(POINTER)
    with services.engine.begin() as connection:
        connection.execute(sa.text("delete from publications where version = 2"))
        connection.execute(sa.text("delete from customers_data_mart where customer_id = 2"))
        with pytest.raises(PipelineError, match="cannot be published on top of version 2"):
            publications.is_recorded(connection, 3, "a run that began before", base=2)
    publish.finish_pointer(services.store, services.engine, services.prefixes)
    check_pointer(services)
    assert services.store.get_bytes(POINTER) != newest
    [message] = caplog.messages
    assert message.startswith("S3 showed version 2, the database shows version 1")
    assert "send these files again" in message
    put(services, "3.csv", 3, 3)
    run(services)
    assert json.loads(services.store.get_bytes(POINTER))["version"] == 2
    check_pointer(services)
    assert database_rows(services) == [(1, 1), (2, 2), (3, 3)]
    stored = [info.key for info in services.store.list_objects(services.prefixes.manifests)]
    assert len(stored) == 2, "what the lost version wrote is gone"


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b'{"version": "x"}', b"\xff"])
def test_a_pointer_that_somebody_wrote_is_written_again(
    services: Services, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """Risk: what was meant as a repair ends every run in a stack trace, or is told as a database
    that lacks sales."""
    put(services, "a.csv", 1, 1)
    run(services)
    services.store.put_bytes(POINTER, content)
    run(services)
    check_pointer(services)
    assert caplog.messages == ["the pointer on S3 named a version other than 1"]


@pytest.mark.parametrize("is_there", [True, False], ids=["another", "none"])
def test_a_pointer_that_another_run_has_moved_meanwhile_stays(
    services: Services, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """Risk: a run that has lost its lock leads readers of S3 back to the version before."""
    put(services, "a.csv", 1, 1)
    run(services)
    if is_there:
        services.store.put_bytes(POINTER, b"older")
    else:
        services.store.delete(POINTER)
    real = ObjectStore.put_bytes

    def after_another(store: ObjectStore, key: str, content: bytes, **conditions: Any) -> None:
        real(store, key, b"newer")
        real(store, key, content, **conditions)

    monkeypatch.setattr(ObjectStore, "put_bytes", after_another)
    with pytest.raises(ObjectChanged):
        publish.finish_pointer(services.store, services.engine, services.prefixes)
    assert services.store.get_bytes(POINTER) == b"newer"


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


def test_the_pointer_does_not_go_to_a_version_that_is_gone(services: Services) -> None:
    """Risk: a database of long ago is brought back, and readers of S3 find nothing at all."""
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    with services.engine.begin() as connection:
        connection.execute(sa.text("delete from publications where version = 2"))
    first, newest = (
        in_transaction(services.engine, publications.current_publication),
        services.store.get_bytes(POINTER),
    )
    assert first is not None
    services.store.delete(first.manifest_key)
    publish.finish_pointer(services.store, services.engine, services.prefixes)
    assert services.store.get_bytes(POINTER) == newest


def test_a_database_older_than_all_that_is_kept_publishes_again(services: Services) -> None:
    """Risk: a night's backup is brought back after ten half-hourly runs, and none gets through."""
    backup = services.workspace.root / "backup.sqlite"
    database = services.engine.raw_connection
    for number in range(1, 5):
        put(services, f"{number}.csv", number, number)
        run(services)
        if number == 1:
            with sqlite3.connect(backup) as copy, contextlib.closing(database()) as own:
                own.driver_connection.backup(copy)
    with sqlite3.connect(backup) as copy, contextlib.closing(database()) as own:
        copy.backup(own.driver_connection)
    with pytest.raises(PipelineError, match="There is no earlier version to go back to"):
        history.roll_back(services, None, "a-run", lambda: None)
    for number in (5, 6, 7):
        put(services, f"{number}.csv", number, number)
        run(services)
    check_pointer(services)
    assert database_rows(services) == [(number, number) for number in (1, 5, 6, 7)]


def test_an_older_version_is_shown_until_the_next_one_has_all_files(
    mariadb_services: Services,
) -> None:
    """Risk: MySQL shows one version and S3 another; or nobody is told that files are not shown, or
    they are missing in the next version, too."""
    services = mariadb_services
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    with pytest.raises(UsageError) as refused:
        history.roll_back(services, 7, "a-run", lambda: None)
    assert str(refused.value) == (
        "Version 7 cannot be shown again. Expected: one of 1. Found: version 2 is current. "
        "python run_pipeline.py publications lists them."
    )
    shown = history.roll_back(services, None, "a-run", lambda: None)
    assert (shown.version, shown.rolled_back_to, shown.amount_total) == (3, 1, 1)
    assert database_rows(services) == [(1, 1)]
    check_pointer(services)
    idle = run(services)
    assert idle.version is None
    assert idle.warnings == [
        "readers see version 1 again since the rollback of "
        f"{shown.published_at:%Y-%m-%d %H:%M:%S} UTC; the next publication shows all files"
    ]
    assert [item.version for item in history.list_publications(services)] == [1, 2, 3]
    put(services, "3.csv", 3, 3)
    assert run(services).version == 4
    assert database_rows(services) == [(1, 1), (2, 2), (3, 3)]
    check_pointer(services)


def test_a_version_without_its_manifest_is_not_shown_again_and_hinders_no_other(
    services: Services,
) -> None:
    """Risk: one object that somebody deletes ends every run, with no word on what to do."""
    for number in (1, 2):
        put(services, f"{number}.csv", number, number)
        run(services)
    _, second = history.list_publications(services)
    services.store.delete(second.manifest_key)
    history.roll_back(services, 1, "a-run", lambda: None)
    check_pointer(services)
    assert database_rows(services) == [(1, 1)]
    with pytest.raises(PipelineError) as gone:
        history.roll_back(services, 2, "another-run", lambda: None)
    assert str(gone.value) == (
        f"Version 2 cannot be shown again. Expected: its manifest {second.manifest_key}. Found: no"
        " such object. Restore it, or choose another version."
    )
    for number in (3, 4):  # the second time, the version before is one that stays
        put(services, f"{number}.csv", number, number)
        run(services)
        check_pointer(services)
        assert database_rows(services) == [(each, each) for each in range(1, number + 1)]
        services.store.delete(history.list_publications(services)[-1].manifest_key)


def of_newer_format(services: Services, version: int) -> tuple[str, bytes]:
    """Makes the manifest of a version one of a newer pipeline; its key and what it was."""
    with services.engine.begin() as connection:
        query = sa.text("select manifest_key from publications where version = :version")
        key = connection.execute(query, {"version": version}).scalar_one()
    before = services.store.get_bytes(key)
    services.store.put_bytes(key, before.replace(b'"format": 1', b'"format": 2'))
    return key, before


def mart_objects(services: Services) -> set[str]:
    """The keys of all objects of the marts."""
    marts = services.prefixes.marts.values()
    return {info.key for mart in marts for info in services.store.list_objects(mart)}


def test_what_another_version_of_the_pipeline_has_published_is_left_alone(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a step back to an older release, it removes objects that it cannot know, or ends
    in a stack trace."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    there = mart_objects(services)

    def refusal(key: str) -> str:
        return (
            f"The manifest {key} cannot be read. Expected: the format 1, which this version of the "
            "pipeline writes. Found: the format 2. Use the version of the pipeline that has "
            "published it."
        )

    first, before_first = of_newer_format(services, 1)
    with pytest.raises(PipelineError) as refused:
        history.roll_back(services, 1, "a-run", lambda: None)
    assert str(refused.value) == refusal(first)
    assert history.remove_old(services, keep=1) == 0

    newest, before = of_newer_format(services, 2)
    services.store.put_bytes(first, before_first)
    assert history.remove_old(services, keep=1) == 0
    assert caplog.messages == [
        f"no object is removed that this version may need: {refusal(key)}"
        for key in (first, newest)
    ]
    put(services, "b.csv", 2, 2)
    with pytest.raises(PipelineError) as refused:
        run(services)
    assert str(refused.value) == refusal(newest)
    assert mart_objects(services) == there
    assert database_rows(services) == [(1, 2)]

    services.store.put_bytes(newest, before)
    assert history.remove_old(services, keep=1) == 2
    check_pointer(services)


def test_a_damaged_manifest_stops_what_would_trust_it(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: objects that a version needs are removed, for its manifest names them no longer; or an
    edited number is shown again by a rollback."""
    for number in (1, 2, 3):
        put(services, "a.csv", 1, number)
        run(services)
    there = mart_objects(services)
    second, third = history.list_publications(services)
    before = {item: services.store.get_bytes(item.manifest_key) for item in (second, third)}

    def refusal(item: Publication) -> str:
        services.store.put_bytes(
            item.manifest_key, before[item].replace(b'"rows": 1', b'"rows": 7')
        )
        return (
            f"The manifest {item.manifest_key} cannot be read. Expected: the bytes that were "
            f"published, with the SHA-256 {item.manifest_sha256}. Found: other content. Bring the "
            "object back as it was, or delete it."
        )

    told = refusal(second)
    with pytest.raises(PipelineError) as refused:
        history.roll_back(services, second.version, "a-run", lambda: None)
    assert str(refused.value) == told
    assert history.remove_old(services, keep=1) == 0  # what it names, nobody knows
    told_third = refusal(third)
    put(services, "b.csv", 2, 2)
    with pytest.raises(PipelineError) as refused:
        run(services)
    assert str(refused.value) == told_third
    assert mart_objects(services) == there
    assert f"no object is removed that this version may need: {told}" in caplog.messages
    services.store.put_bytes(third.manifest_key, before[third])
    run(services)
    check_pointer(services)
    assert database_rows(services) == [(1, 3), (2, 2)]


def test_a_missing_bucket_is_told_as_such_and_not_as_a_missing_manifest(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: after a typing error in the bucket's name the user looks for a lost publication."""
    put(services, "a.csv", 1, 1)
    run(services)
    store = dataclasses.replace(services.store, bucket="no-such-bucket")
    with pytest.raises(PipelineError, match="no-such-bucket"):
        publish.finish_pointer(store, services.engine, services.prefixes)
    assert not caplog.messages


def test_a_removal_that_was_cut_short_is_finished_and_its_versions_are_not_shown_again(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a rollback shows a version of which half the objects are gone."""
    for number in (1, 2, 3):
        put(services, "a.csv", 1, number)
        run(services)
    deleted: list[str] = []
    real = type(services.store).delete

    def delete(store: Any, key: str) -> None:
        if deleted:
            raise KeyboardInterrupt
        deleted.append(key)
        real(store, key)

    monkeypatch.setattr(type(services.store), "delete", delete)
    with pytest.raises(KeyboardInterrupt):
        history.remove_old(services, keep=1)
    monkeypatch.setattr(type(services.store), "delete", real)
    with pytest.raises(PipelineError, match="There is no earlier version"):
        history.roll_back(services, None, "run", lambda: None)
    assert history.remove_old(services, keep=1) > 0
    [last] = history.list_publications(services)
    needed = {
        file.key
        for table in history.manifest_of(services, last).tables.values()
        for file in table.files
    }
    marts = [*services.prefixes.marts.values(), services.prefixes.manifests]
    stored = {info.key for prefix in marts for info in services.store.list_objects(prefix)}
    assert stored == needed | {last.manifest_key}
    check_pointer(services)


@pytest.fixture
def in_pairs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of deleted objects, in order. One of a mart is deleted only with another."""
    deleted: list[str] = []
    pair = threading.Barrier(2, timeout=10)
    real = ObjectStore.delete

    def delete(store: ObjectStore, key: str) -> None:
        if "_data_mart/" in key:
            pair.wait()
        real(store, key)
        deleted.append(key)

    monkeypatch.setattr(ObjectStore, "delete", delete)
    return deleted


def test_objects_are_removed_side_by_side_and_their_manifest_last(
    services: Services, in_pairs: list[str]
) -> None:
    """Risk: a year of versions takes hours to go; or a removal cut short is never finished."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    assert history.remove_old(services, keep=1) == 2
    assert len(in_pairs) == 3
    assert in_pairs[-1] == first.manifest_key
    put(services, "a.csv", 1, 3)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(publish, "show_version", cut_short)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    run(services)
    assert len(in_pairs) == 5, "what the run cut short had uploaded"
    check_pointer(services)


def test_an_object_that_cannot_be_removed_is_told_once_and_removed_later(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the manifest goes before the object, which then stays on S3 for ever."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    real = ObjectStore.delete

    def delete(store: ObjectStore, key: str) -> None:
        if "_data_mart/" in key:
            raise PipelineError(f"no permission to delete {key}")
        real(store, key)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "delete", delete)
        with pytest.raises(PipelineError, match=r"^no permission to delete \S+_data_mart/\S+$"):
            history.remove_old(services, keep=1)
    assert services.store.head(first.manifest_key) is not None
    assert history.remove_old(services, keep=1) == 2
    assert services.store.head(first.manifest_key) is None


def test_a_rollback_leaves_nothing_of_a_run_that_was_cut_short(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: objects that no manifest names stay on S3 for ever."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    put(services, "a.csv", 1, 3)
    with monkeypatch.context() as patched:
        patched.setattr(publish, "show_version", cut_short)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    history.roll_back(services, None, "rollback", lambda: None)
    needed = {
        file.key
        for item in history.list_publications(services)
        for table in history.manifest_of(services, item).tables.values()
        for file in table.files
    }
    marts = services.prefixes.marts.values()
    assert {info.key for mart in marts for info in services.store.list_objects(mart)} == needed


REPORT = dataclasses.replace(TOTALS, name="rpt_totals", s3="reports")


def with_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on a report is built too, which has the rows of the totals."""
    real = run_without_spark.scan

    def scan(tables: Tables, model: PublishedModel, *others: Any) -> ScannedTable:
        if model == REPORT:
            shutil.rmtree(tables.warehouse / REPORT.name, ignore_errors=True)
            shutil.copytree(tables.warehouse / TOTALS.name, tables.warehouse / REPORT.name)
        return real(tables, model, *others)

    monkeypatch.setattr(run_without_spark, "scan", scan)
    monkeypatch.setattr(run_without_spark, "MODELS", (*run_without_spark.MODELS, REPORT))


def report_rows(services: Services) -> list[int]:
    """The customers in the report as the database shows it."""
    query = sa.text(f"select customer_id from {REPORT.name} order by 1")
    with services.engine.begin() as connection:
        return list(connection.execute(query).scalars())


def test_a_rollback_leaves_no_table_of_a_newer_version(
    machines: tuple[Services, Services],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Risk: a report that came later goes on showing the sales that were rolled back, beside marts
    of the older version; or it stays empty for ever."""
    one, _ = machines
    with monkeypatch.context() as patched:
        with_report(patched)
        put(one, "b.csv", 2, 2)
        run(one)
        assert report_rows(one) == [1, 2]
        history.roll_back(one, 1, "a-run", lambda: None)
        assert caplog.messages == [
            "version 1 does not have rpt_totals: emptied until a version with it is published"
        ]
        assert (database_rows(one), report_rows(one)) == ([(1, 1)], [])
        check_pointer(one)
        history.roll_back(one, 2, "another-run", lambda: None)
        assert (len(database_rows(one)), report_rows(one)) == (2, [1, 2])
        history.roll_back(one, 1, "a-third-run", lambda: None)
        put(one, "c.csv", 3, 3)
        run(one)
        assert (len(database_rows(one)), report_rows(one)) == (3, [1, 2, 3])
    put(one, "d.csv", 4, 4)
    run(one)
    assert (len(database_rows(one)), report_rows(one)) == (4, [1, 2, 3]), "published without it"


def test_a_rollback_does_without_a_table_that_somebody_has_dropped(
    services: Services, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: a model that was given up and whose table is dropped, as README says, lets no older
    version be shown again."""
    put(services, "a.csv", 1, 1)
    run(services)
    with_report(monkeypatch)
    put(services, "b.csv", 2, 2)
    run(services)
    with services.engine.begin() as connection:
        connection.execute(sa.text(f"drop table {REPORT.name}"))
    history.roll_back(services, 1, "a-run", lambda: None)
    assert database_rows(services) == [(1, 1)]
    assert caplog.messages == []


def cut_short(*_: Any) -> None:
    """Ends the run."""
    raise KeyboardInterrupt


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


def test_a_version_that_lacks_an_object_is_not_shown_again(services: Services) -> None:
    """Risk: readers of S3 are led to an object that a lifecycle rule has removed."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    lines = history.manifest_of(services, first).tables["sales_lines"]
    services.store.delete(lines.files[0].key)
    with pytest.raises(PipelineError) as refused:
        history.roll_back(services, None, "run", lambda: None)
    assert "1 are missing or changed, such as sales_data_mart/" in str(refused.value)
    check_pointer(services)
