"""An older version is shown again whole, in the database and on S3, until the next publication."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import sqlite3
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.commands import rollback
from ingestion.database.engine import in_transaction
from ingestion.errors import PipelineError, UsageError
from ingestion.publication import publications, publish
from ingestion.publication.mart_files import PublishedModel, ScannedTable
from ingestion.run.services import Services
from tests import run_without_spark
from tests.published_sales import check_pointer, cut_short, database_rows, put
from tests.run_without_spark import TOTALS, Tables, run


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
        rollback.roll_back(services, None, "a-run", lambda: None)
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
        rollback.roll_back(services, 7, "a-run", lambda: None)
    assert str(refused.value) == (
        "Version 7 cannot be shown again. Expected: one of 1. Found: version 2 is current. "
        "python run_pipeline.py publications lists them."
    )
    shown = rollback.roll_back(services, None, "a-run", lambda: None)
    assert (shown.version, shown.rolled_back_to, shown.amount_total) == (3, 1, 1)
    assert database_rows(services) == [(1, 1)]
    check_pointer(services)
    idle = run(services)
    assert idle.version is None
    assert idle.warnings == [
        "readers see version 1 again since the rollback of "
        f"{shown.published_at:%Y-%m-%d %H:%M:%S} UTC; the next publication shows all files"
    ]
    assert [item.version for item in rollback.list_publications(services)] == [1, 2, 3]
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
    _, second = rollback.list_publications(services)
    services.store.delete(second.manifest_key)
    rollback.roll_back(services, 1, "a-run", lambda: None)
    check_pointer(services)
    assert database_rows(services) == [(1, 1)]
    with pytest.raises(PipelineError) as gone:
        rollback.roll_back(services, 2, "another-run", lambda: None)
    assert str(gone.value) == (
        f"Version 2 cannot be shown again. Expected: its manifest {second.manifest_key}. Found: no"
        " such object. Restore it, or choose another version."
    )
    for number in (3, 4):  # the second time, the version before is one that stays
        put(services, f"{number}.csv", number, number)
        run(services)
        check_pointer(services)
        assert database_rows(services) == [(each, each) for each in range(1, number + 1)]
        services.store.delete(rollback.list_publications(services)[-1].manifest_key)


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
    rollback.roll_back(services, None, "rollback", lambda: None)
    needed = {
        file.key
        for item in rollback.list_publications(services)
        for table in rollback.manifest_of(services, item).tables.values()
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
        rollback.roll_back(one, 1, "a-run", lambda: None)
        assert caplog.messages == [
            "version 1 does not have rpt_totals: emptied until a version with it is published"
        ]
        assert (database_rows(one), report_rows(one)) == ([(1, 1)], [])
        check_pointer(one)
        rollback.roll_back(one, 2, "another-run", lambda: None)
        assert (len(database_rows(one)), report_rows(one)) == (2, [1, 2])
        rollback.roll_back(one, 1, "a-third-run", lambda: None)
        put(one, "c.csv", 3, 3)
        run(one)
        assert (len(database_rows(one)), report_rows(one)) == (3, [1, 2, 3])
    for number, warnings in (
        (
            4,
            [
                "rpt_totals is no longer published: its table in the database keeps the rows of "
                "the version before. Drop it, or readers take them for current"
            ],
        ),
        (5, []),
    ):
        put(one, f"{number}.csv", number, number)
        assert run(one).warnings == warnings
        assert (len(database_rows(one)), report_rows(one)) == (number, [1, 2, 3])


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
    rollback.roll_back(services, 1, "a-run", lambda: None)
    assert database_rows(services) == [(1, 1)]
    assert caplog.messages == []


def test_a_version_that_lacks_an_object_is_not_shown_again(services: Services) -> None:
    """Risk: readers of S3 are led to an object that a lifecycle rule has removed."""
    for number in (1, 2):
        put(services, "a.csv", 1, number)
        run(services)
    first, _ = in_transaction(services.engine, publications.kept_publications)
    lines = rollback.manifest_of(services, first).tables["sales_lines"]
    services.store.delete(lines.files[0].key)
    with pytest.raises(PipelineError) as refused:
        rollback.roll_back(services, None, "run", lambda: None)
    assert "1 are missing or changed, such as sales_data_mart/" in str(refused.value)
    check_pointer(services)
