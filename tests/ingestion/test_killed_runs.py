"""A run that is killed while it publishes or archives, and then the same command: what one clean
run gives. Each point is reached and recovered from alone."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.config.settings import load_settings
from ingestion.database import staging_table
from ingestion.errors import BusyError
from ingestion.run import build_scope, compact_steps, old_versions
from ingestion.run import delivery_steps as deliveries
from ingestion.run.compaction import Merge
from ingestion.run.services import Services, open_services
from ingestion.warehouse import warehouse_state
from ingestion.warehouse.raw_tables import batch_folder
from tests.checked_runs import elsewhere
from tests.crash_point import PROJECT, WITHOUT_SPARK, Progress, crash, progress
from tests.run_without_spark import (
    HEADER,
    KEPT_VERSIONS,
    LINES,
    TOTALS,
    new_run,
    objects_of_marts,
    parsed_models,
    run,
    s3_rows,
    sale,
    take_files,
)
from tests.services import Bucket, MariaDb, machine_environ, new_bucket

MERGED = 3  # the batch that a compaction was about to make
MONTHS = ("2024-03", "2024-04")
S3 = "ingestion.s3.object_store:ObjectStore"
SHOW = "ingestion.publication.pointer"
TABLES = "ingestion.publication.mart_tables"
RECORD = "ingestion.publication.publications"
# how far a run has come; versions count from the one that was published before it
OLD = Progress("audited", manifest=0, database=0, pointer=0, is_noted=True)
MANIFEST = Progress("audited", manifest=1, database=0, pointer=0, is_noted=True)
DATABASE = Progress("published", manifest=1, database=1, pointer=0, is_noted=False)
POINTER = Progress("published", manifest=1, database=1, pointer=1, is_noted=False)
PUBLISHED = Progress("published", manifest=1, database=1, pointer=1, is_noted=True)
ARCHIVED = Progress("archived", manifest=1, database=1, pointer=1, is_noted=True)
# A run writes a JSON of reasons, the manifest and the pointer; it looks after the pointer when it
# begins, and behind the database. It moves a refused file and a copy, and then what counts.
POINTS = {
    f"{S3}.put_file:after": OLD,
    f"{S3}.put_bytes:after@2": MANIFEST,
    f"{TABLES}:load_beside:after": MANIFEST,
    f"{TABLES}:swap_in:after": MANIFEST,
    f"{RECORD}:add_publication:after": MANIFEST,
    f"{SHOW}:finish_pointer:before@2": DATABASE,
    f"{S3}.put_bytes:after@3": POINTER,
    f"{TABLES}:drop_loaded:after": POINTER,
    f"{SHOW}:finish_pointer:after@2": PUBLISHED,
    f"{S3}._copy:after@3": PUBLISHED,
    f"{S3}._delete_version:after@3": PUBLISHED,
    "ingestion.run.delivery_steps:archive_batch:after": ARCHIVED,
    f"{S3}.delete:after": ARCHIVED,  # of an old version's objects
}
# of a run that finds what another has left; the first point is that other's
IN_THE_NEXT_RUN = {
    f"{SHOW}:finish_pointer:before@2": DATABASE,
    f"{SHOW}:finish_pointer:before": DATABASE,
    f"{S3}.put_bytes:after": POINTER,
    "ingestion.run.delivery_steps:archive_last_batch:before": PUBLISHED,
    f"{S3}._delete_version:before": PUBLISHED,
    f"{S3}._delete_version:after": PUBLISHED,
    "ingestion.run.delivery_steps:archive_last_batch:after": ARCHIVED,
}


@dataclasses.dataclass
class Shop:
    """A bucket, a database and a workspace; ``days`` have been delivered."""

    bucket: Bucket
    services: Services
    environ: Mapping[str, str]
    days: int = 0

    def deliver(self) -> None:
        """A corrected day that moves to another month, a broken file, and a copy of the day."""
        self.days += 1
        day = HEADER + sale(2, f"{MONTHS[self.days % 2]}-05", self.days) + sale(3, "2024-05-01", 7)
        self.bucket.put("sales_data/a_day.csv", day.encode())
        self.bucket.put(f"sales_data/broken_{self.days}.csv", b"customer_id;day\n1;1\n")
        self.bucket.put(f"sales_data/copy_{self.days}.csv", day.encode())

    def run(self) -> None:
        """One run; the database needs a moment to see that a killed one is gone."""
        for _ in range(100):
            with contextlib.suppress(BusyError):
                run(self.services)
                return
            time.sleep(0.05)
        pytest.fail("the lock of a killed run is not freed")

    def crash(self, point: str, before: int) -> Progress:
        """A run that dies at this point; how far it came, with versions counted from ``before``."""
        crash(point, self.environ, WITHOUT_SPARK)
        found = progress(self.services.engine, self.bucket)
        versions = (found.manifest, found.database, found.pointer)
        return Progress(found.batch, *(item - before for item in versions), found.is_noted)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What the database answers."""
        with self.services.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def picture(self) -> dict[str, Any]:
        """Everything that must equal a clean run's; of locations the bucket's name is left out."""
        stored, needed = objects_of_marts(self.bucket)
        downloads = self.services.workspace.downloads
        return {
            "staging table": self.rows(
                f"select id, file_name, replace(file_location, '{self.bucket.name}', ''), status, "
                "case when status <> 'S' then reason end, "  # it has a time
                "batch_id, rows_read, rows_valid, rows_quarantined, amount_valid, replaces_id, "
                "duplicate_of_id from product_staging_table order by id"
            ),
            "batches": self.rows("select batch_id, state from pipeline_batches order by 1"),
            "publications": self.rows(
                "select version, rows_total, amount_total, pointer_written, is_kept "
                "from publications order by 1"
            ),
            "mart": self.rows(f"select * from {TOTALS.name} order by 1, 2"),
            "tables": sorted(sa.inspect(self.services.engine).get_table_names()),
            "S3": {mart.name: s3_rows(self.services.store, mart.name) for mart in (TOTALS, LINES)},
            "manifests": len(self.bucket.keys("publications/manifests/")),
            "objects of marts": (len(stored), sorted(set(stored) ^ needed)),
            "inbox": self.bucket.keys("sales_data/"),
            "processed": self.bucket.objects("sales_data_processed/"),
            "errors": self.bucket.objects("sales_data_error/"),
            "local copies": [path for path in downloads.rglob("*") if path.is_file()],
        }


@pytest.fixture
def shops(
    s3_endpoint: str, mariadb_server: MariaDb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[Shop]]:
    """A shop whose runs are killed, and one in which all goes well."""
    with contextlib.ExitStack() as stack:
        made = []
        for name in ("killed", "well"):
            bucket = stack.enter_context(new_bucket(s3_endpoint))
            environ = {
                **bucket.environment,
                "RETAIL_DATABASE_URL": stack.enter_context(mariadb_server.new_database()),
                "RETAIL_WORKSPACE": str(tmp_path / name),
                "RETAIL_S3_THREADS": "1",  # the calls of each run come in the same order
            }
            for variable, value in environ.items():  # of the credentials, which are the same
                monkeypatch.setenv(variable, value)
            settings = load_settings(PROJECT, environ)  # the models of the runs that are killed
            services = stack.enter_context(open_services(settings, environ))
            made.append(Shop(bucket, services, {**machine_environ(), **environ}))
        yield made


@pytest.mark.slow
def test_killed_at_every_step_of_a_publication(shops: list[Shop]) -> None:
    """Risk: a kill between database and S3 shows readers two versions, or leaves half of one."""
    killed, well = shops
    for shop in shops:
        shop.deliver()
        shop.run()
    assert killed.picture() == well.picture()
    for points in (*({point: state} for point, state in POINTS.items()), IN_THE_NEXT_RUN):
        for shop in shops:
            shop.deliver()
        version = progress(killed.services.engine, killed.bucket).database
        for point, state in points.items():
            assert killed.crash(point, version) == state, point
        for shop in shops:
            shop.run()
            # what a run that finds all published leaves to the next one
            old_versions.remove_old(shop.services, KEPT_VERSIONS)
        picture = killed.picture()
        assert picture == well.picture(), list(points)
        assert picture["inbox"] == picture["local copies"] == []
        assert picture["mart"] == [
            (2, MONTHS[killed.days % 2], killed.days),
            (3, "2024-05", 7),
        ]


def compaction_cut_short(services: Services) -> None:
    """What a compaction of batch 1 leaves that is killed while it copies the facts."""
    state = new_run(services)
    build_scope.note_published(state, parsed_models(state))
    rows = [row for row in state.in_transaction(staging_table.all_rows) if row.batch_id == 1]
    compact_steps.merge_bronze(state, [Merge(MERGED, (1,), (tuple(rows),))])
    known = warehouse_state.read_published(services.workspace.root)
    assert known is not None
    files = warehouse_state.list_hash(services.workspace.warehouse)
    begun = dataclasses.replace(known, files=files, merging={MERGED: [1]})
    warehouse_state.write_state(services.workspace.root, begun)


@pytest.fixture
def cut_short(services: Services) -> Services:
    """A workspace in which a compaction was killed; batch 3 is what it was about to make."""
    for name in ("1", "2"):
        services.store.put_bytes(f"sales_data/{name}.csv", content(int(name)))
        run(services)
    compaction_cut_short(services)
    return services


def content(customer: int) -> bytes:
    """A file with one sale."""
    return (HEADER + sale(customer, "2024-03-05", 1)).encode()


def bronze_names(services: Services, batch_id: int) -> list[str]:
    """The Parquet files of this batch."""
    folder = batch_folder(services.workspace.bronze, batch_id)
    return sorted(path.name for path in folder.iterdir())


def test_another_workspace_takes_the_number_of_a_merge_that_never_was(
    cut_short: Services, tmp_path: Path
) -> None:
    """Risk: the merged rows pass for rows of that batch, are there twice, and each run is refused
    from then on."""
    home = cut_short
    other = elsewhere(home, tmp_path / "other")
    for services, name in ((other, "3"), (home, "4")):
        assert bronze_names(home, MERGED) == ["1-1.parquet"]
        services.store.put_bytes(f"sales_data/{name}.csv", content(int(name)))
        run(services)
    assert bronze_names(home, MERGED) == bronze_names(other, MERGED) == ["3.parquet"]


def test_a_batch_with_the_number_of_a_merge_that_never_was_is_unfinished(
    cut_short: Services,
) -> None:
    """Risk: this run is killed, too, another workspace finishes its batch, and here its bronze
    stays as it was begun."""
    workspace = cut_short.workspace
    cut_short.store.put_bytes("sales_data/3.csv", content(3))
    state = new_run(cut_short)
    assert take_files(state)
    deliveries.check_files(state)
    assert state.batch_id == MERGED
    compact_steps.settle(state, None, parsed_models(state).kept_logic)
    known = warehouse_state.read_published(workspace.root)
    assert known is not None
    assert known.merging == {}
    assert bronze_names(cut_short, MERGED) == ["3.parquet"]
    assert (workspace.bronze / "unfinished").read_text().split()[0] == str(MERGED)
