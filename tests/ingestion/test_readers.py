"""Readers that look all the time never meet an empty, missing or mixed table."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ingestion.config.settings import Settings
from ingestion.database.engine import connect
from ingestion.publication.manifest import MartTable
from ingestion.run.services import open_services
from ingestion.s3.object_store import ObjectGone, ObjectStore
from tests.mart_versions import show, with_rows
from tests.run_without_spark import HEADER, TOTALS, run, s3_rows, sale

VERSIONS = 16
S3_VERSIONS = 12
FEWEST_LOOKS = 10
ROWS = 30
MARTS = [
    MartTable(
        name=name,
        columns=(("id", "int"), ("sales_month", "string"), ("version", "int")),
        key=("id", "sales_month"),
        in_database=True,
        partition_columns=("sales_month",),
        files=(),
    )
    for name in ("customers", "sellers")
]


@contextlib.contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """Calls ``look`` again and again on a thread; what it finds wrong fails the test."""
    done = threading.Event()
    found: list[BaseException] = []
    looks = 0

    def loop() -> None:
        nonlocal looks
        try:
            while not done.is_set():
                look()
                looks += 1
        except BaseException as error:
            found.append(error)

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    assert not found, found[0]
    assert looks > FEWEST_LOOKS


def versions(number: int, folder: Path) -> list[MartTable]:
    """Both tables anew: other months each time, every row marked with the version."""
    month = f"2024-{1 + number % 12:02d}"
    ids = pa.array(range(ROWS), pa.int32())
    rows = pa.table({"id": ids, "version": pa.array([number] * ROWS, pa.int32())})
    return [with_rows(mart, folder, {f"sales_month={month}": rows}) for mart in MARTS]


@pytest.mark.parametrize("isolation", ["AUTOCOMMIT", "REPEATABLE READ"])
def test_a_reader_of_the_database_sees_one_version(
    mariadb_url: str, tmp_path: Path, isolation: str
) -> None:
    """Risk: a report that is drawn while marts are published shows nothing, or two months' mix."""
    engine = connect(make_url(mariadb_url))
    shown = versions(0, tmp_path)
    show(engine, *((None, mart) for mart in shown))
    url = make_url(mariadb_url)
    reading = sa.create_engine(
        url, isolation_level=isolation, connect_args={"password": str(url.password).encode()}
    )

    def look() -> None:
        with reading.connect() as connection:
            query = "select count(*), min(version), max(version), count(distinct sales_month) from "
            seen = [tuple(connection.execute(sa.text(query + mart.name)).one()) for mart in MARTS]
        for rows, lowest, highest, months in seen:
            assert (rows, lowest, months) == (ROWS, highest, 1)
        if isolation != "AUTOCOMMIT":  # one transaction sees one version of all tables
            assert seen[0] == seen[1]

    with looking(look):
        for number in range(1, VERSIONS):
            before, shown = shown, versions(number, tmp_path)
            show(engine, *zip(before, shown, strict=True))
    reading.dispose()
    engine.dispose()


def test_a_reader_of_s3_sees_one_version(s3_settings: Settings, store: ObjectStore) -> None:
    """Risk: a reader that follows the pointer finds objects of two versions, or none at all."""

    def look() -> None:
        """As the README tells readers: where an object is gone, the pointer names a newer one."""
        while True:
            pointer = store.get_bytes("publications/current.json")
            try:
                rows = s3_rows(store, TOTALS.name)
            except ObjectGone:
                assert store.get_bytes("publications/current.json") != pointer
                continue
            assert [row["total_sales"] for row in rows] == [row["version"] for row in rows]
            assert len(rows) == 1
            return

    with open_services(s3_settings, os.environ) as services, contextlib.ExitStack() as stack:
        for version in range(1, S3_VERSIONS):
            day = HEADER + sale(2, f"2024-0{1 + version % 9}-05", version)
            store.put_bytes("sales_data/day.csv", day.encode())
            run(services)  # two versions are kept
            if version == 1:
                stack.enter_context(looking(look))
    assert len(list(store.list_objects("publications/manifests/"))) == 2
