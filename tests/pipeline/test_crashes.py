"""A run that is killed anywhere, and then the same command: what one clean run gives."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ingestion.database.engine import connect
from ingestion.run.run_state import DIMENSION_CONTRACT
from ingestion.warehouse.dimensions import load_dimensions
from ingestion.warehouse.warehouse_state import list_hash, read_state
from tests.crash_point import crash
from tests.pipeline.conftest import HEADER, PROJECT, share_classes, write_dimensions
from tests.services import Bucket

pytestmark = pytest.mark.slow

MARCH = "2,122,besan,2024-03-05,4,52,2,104\n"
APRIL = "16,122,maida,2024-04-12,6,20,7,140\n"
BEFORE_SPARK = [
    "ingestion.s3.object_store:ObjectStore.download:after",
    "ingestion.run.intake:download_all:after",
    "ingestion.database.staging_table:add_deliveries:after",
    "ingestion.run.delivery_steps:check_files:before",
    "ingestion.run.checking:check_batch:after",
    "ingestion.database.staging_table:record_verdicts:after",
    "ingestion.run.delivery_steps:set_files_aside:before",
    "ingestion.s3.object_store:ObjectStore._copy:after",
    "ingestion.run.archive:move_all:after",
    "ingestion.run.archive:put_reasons:after",
    "ingestion.run.delivery_steps:set_files_aside:after",
]
WITH_SPARK = [
    "dbt:fct_sales:after",
    "dbt:customers_data_mart:before",
    "ingestion.s3.object_store:ObjectStore.put_file:after",
    "ingestion.publication.mart_tables:swap_in:after",
    "ingestion.publication.publish:finish_pointer:before",
]
AFTER_THE_DATABASE = [
    "ingestion.s3.object_store:ObjectStore.put_bytes:after",
    "ingestion.run.delivery_steps:archive_last_batch:before",
    "ingestion.s3.object_store:ObjectStore._delete_version:before",
    "ingestion.s3.object_store:ObjectStore._delete_version:after",
]


class Shop:
    """A bucket, a database and a workspace, and real processes that work on them."""

    def __init__(self, bucket: Bucket, url: str, folder: Path, recorded_classes: Path) -> None:
        self.bucket = bucket
        share_classes(recorded_classes, folder / "workspace")
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        self.environ = {
            **kept,
            **bucket.environment,
            "RETAIL_DATABASE_URL": url,
            "RETAIL_WORKSPACE": str(folder / "workspace"),
        }
        self.engine = connect(make_url(url))
        load_dimensions(
            self.engine, write_dimensions(folder / "dimensions"), PROJECT / DIMENSION_CONTRACT
        )

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """One process."""
        return subprocess.run(
            [sys.executable, *words],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd=PROJECT,
        )

    def crash(self, point: str, *command: str) -> None:
        """A run, or another command, that dies at this point."""
        crash(point, self.environ, *command)

    def run(self, command: str = "run") -> str:
        """The same command once more; returns what it says."""
        result = self.call("run_pipeline.py", command)
        assert result.returncode in (0, 3), result.stderr
        return result.stdout

    def picture(self) -> dict[str, object]:
        """Everything that must equal a clean run's: staging table, marts, prefixes, pointer."""
        with self.engine.connect() as connection:
            files = connection.execute(
                sa.text(
                    "select file_name, file_location, status, rows_read, rows_valid, "
                    "rows_quarantined, amount_valid from product_staging_table order by id"
                )
            ).all()
            customers = connection.execute(
                sa.text(
                    "select customer_id, sales_date_month, total_sales from customers_data_mart "
                    "order by 1, 2"
                )
            ).all()
            incentives = connection.execute(
                sa.text(
                    "select store_id, sales_person_id, sales_month, total_sales, incentive "
                    "from sales_team_data_mart order by 1, 2, 3"
                )
            ).all()
            version = connection.execute(sa.text("select max(version) from publications")).scalar()
            states = connection.execute(sa.text("select state from pipeline_batches")).scalars()
            load_tables = [
                name
                for name in sa.inspect(connection).get_table_names()
                if "__load" in name or "__gone" in name
            ]
            states = sorted(set(states))
        pointer = json.loads(self.bucket.get("publications/current.json"))
        manifest = json.loads(self.bucket.get(pointer["manifest"]))
        objects = {file["key"] for table in manifest["tables"] for file in table["files"]}
        published = {
            key
            for key in self.bucket.keys("")
            if key.endswith(".parquet") and f"/v{version:06d}-" in key
        }
        return {
            "files": [tuple(row) for row in files],
            "customers": [tuple(row) for row in customers],
            "incentives": [tuple(row) for row in incentives],
            "states": states,
            "load tables": load_tables,
            "rows on S3": {
                table["name"]: table["rows"]
                for table in manifest["tables"]
                if not table["name"].startswith("rpt_")
            },
            "pointer is current": pointer["version"] == version,
            "strays of this version": sorted(published - objects),
            "missing objects": sorted(objects - set(self.bucket.keys())),
            "inbox": self.bucket.keys("sales_data/"),
            "processed": self.bucket.objects("sales_data_processed/"),
            "errors": self.bucket.objects("sales_data_error/"),
        }


def deliver(shop: Shop) -> None:
    """A good file, a broken one, a copy, and a file with a bad row."""
    shop.bucket.put("sales_data/a.csv", (HEADER + MARCH).encode())
    shop.bucket.put("sales_data/broken.csv", b"customer_id;price\n1;2\n")
    shop.bucket.put("sales_data/copy.csv", (HEADER + MARCH).encode())
    shop.bucket.put("sales_data/d.csv", (HEADER + APRIL + "x" + APRIL).encode())


def correct(shop: Shop) -> None:
    """A correction that empties a month, and one more file."""
    shop.bucket.put("sales_data/d.csv", (HEADER + MARCH.replace("122", "121")).encode())
    shop.bucket.put("sales_data/e.csv", (HEADER + MARCH.replace("-05", "-06")).encode())


@pytest.fixture(scope="module")
def clean_pictures(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    recorded_classes: Path,
) -> list[object]:
    """What two clean runs leave: after the delivery, and after the correction."""
    endpoint = request.getfixturevalue("s3_endpoint")
    server = request.getfixturevalue("mariadb_server")
    from tests.services import new_bucket

    with new_bucket(endpoint) as bucket, server.new_database() as url:
        shop = Shop(bucket, url, tmp_path_factory.mktemp("clean"), recorded_classes)
        pictures = []
        for change in (deliver, correct):
            change(shop)
            shop.run()
            pictures.append(without_names(shop))
        shop.engine.dispose()
    return pictures


def without_names(shop: Shop) -> object:
    """The picture with the bucket's own name taken out."""

    def renamed(value: object) -> object:
        if isinstance(value, str):
            return value.replace(shop.bucket.name, "BUCKET")
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        return [renamed(item) for item in value] if isinstance(value, list | tuple) else value

    return renamed(shop.picture())


def test_killed_at_every_point_and_run_once_more(
    clean_pictures: list[object],
    recorded_classes: Path,
    s3_bucket: Bucket,
    mariadb_url: str,
    tmp_path: Path,
) -> None:
    """Risk: a crash loses a file, counts it twice, or needs a hand to go on."""
    shop = Shop(s3_bucket, mariadb_url, tmp_path, recorded_classes)
    deliver(shop)
    for point in BEFORE_SPARK:
        shop.crash(point)
    shop.crash(WITH_SPARK[0])
    shop.run()
    assert without_names(shop) == clean_pictures[0]

    correct(shop)
    for point in [*WITH_SPARK[1:], *AFTER_THE_DATABASE]:
        shop.crash(point)
    shop.run()
    assert without_names(shop) == clean_pictures[1]


def test_a_compaction_killed_at_its_turning_points(
    recorded_classes: Path, s3_bucket: Bucket, mariadb_url: str, tmp_path: Path
) -> None:
    """Risk: merged rows are there twice, or neither old nor new, and the next correction shows."""
    shop = Shop(s3_bucket, mariadb_url, tmp_path, recorded_classes)
    deliver(shop)
    shop.run()
    correct(shop)
    shop.run()
    shop.bucket.put("sales_data/f.csv", (HEADER + APRIL.replace("-12", "-13")).encode())
    shop.run()
    before = shop.picture()
    shop.crash("ingestion.run.compaction:write_bronze:after", "compact")
    shop.crash("ingestion.warehouse.fact_tables:copy_batches:after", "compact")
    assert shop.picture() == before

    # the new batch gets the number of the merged one that never was
    shop.bucket.put("sales_data/g.csv", (HEADER + MARCH.replace("-05", "-09")).encode())
    shop.run()
    grown = shop.picture()
    shop.crash("ingestion.run.compact_steps:record:after", "compact")
    assert shop.picture() == grown
    assert "Nothing to compact" in shop.run("compact")
    assert shop.picture() == grown
    workspace = tmp_path / "workspace"
    state = read_state(workspace)
    assert state is not None
    assert state.files == list_hash(workspace / "warehouse"), "the next run would build it all"
    assert (state.is_whole, state.merging) == (True, {})

    shop.bucket.put("sales_data/e.csv", (HEADER + MARCH.replace("104", "208")).encode())
    shop.run()
    assert shop.picture()["customers"] == [
        (2, "2024-03", Decimal("520.00")),
        (16, "2024-04", Decimal("140.00")),
    ]


def test_another_workspace_publishes_in_between(
    recorded_classes: Path, s3_bucket: Bucket, mariadb_url: str, tmp_path: Path
) -> None:
    """Risk: two machines take turns, and each publishes a month without the other's sales."""
    shop = Shop(s3_bucket, mariadb_url, tmp_path, recorded_classes)
    for day, folder in (("05", "one"), ("06", "other"), ("07", "one")):
        shop.environ["RETAIL_WORKSPACE"] = str(tmp_path / folder)
        if not (tmp_path / folder).exists():
            share_classes(recorded_classes, tmp_path / folder)
        content = HEADER + MARCH.replace("-05", f"-{day}")
        shop.bucket.put(f"sales_data/{day}.csv", content.encode())
        shop.run()
    assert shop.picture()["customers"] == [(2, "2024-03", Decimal("312.00"))]
