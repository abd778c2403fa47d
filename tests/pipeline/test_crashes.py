"""A run that is killed anywhere, and then the same command: what one clean run gives."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from ingestion.database.engine import connect
from ingestion.run.run_state import DIMENSION_CONTRACT
from ingestion.warehouse.dimensions import load_dimensions
from ingestion.warehouse.warehouse_state import list_hash, read_state
from tests.crash_point import Progress, crash, progress
from tests.pipeline.conftest import HEADER, PROJECT, share_classes, write_dimensions
from tests.services import Bucket, MariaDb, machine_environ, new_bucket

pytestmark = pytest.mark.slow

MARCH = "2,122,besan,2024-03-05,4,52,2,104\n"
APRIL = "16,122,maida,2024-04-12,6,20,7,140\n"
NOTHING = Progress(None, manifest=0, database=0, pointer=0, is_noted=False)
PLANNED = NOTHING._replace(batch="planned")
CHECKED = NOTHING._replace(batch="bronze")
# Where a run is killed, one after the other, and how far it has come then. All but the points in
# dbt and the first of the database are reached without Spark.
OF_A_DELIVERY = {
    "ingestion.s3.object_store:ObjectStore.download:after": NOTHING,
    "ingestion.run.intake:download_all:after": NOTHING,
    "ingestion.database.staging_table:add_deliveries:after": NOTHING,
    "ingestion.run.delivery_steps:check_files:before": PLANNED,
    "ingestion.run.checking:check_batch:after": PLANNED,
    "ingestion.database.staging_table:record_verdicts:after": PLANNED,
    "ingestion.run.delivery_steps:set_files_aside:before": CHECKED,
    "ingestion.s3.object_store:ObjectStore._copy:after": CHECKED,
    "ingestion.run.archive:move_all:after": CHECKED,
    "ingestion.run.archive:put_reasons:after": CHECKED,
    "ingestion.run.delivery_steps:set_files_aside:after": CHECKED,
    "dbt:fct_sales:after": CHECKED,
}
BUILDING = Progress("bronze", manifest=1, database=1, pointer=1, is_noted=True)
DATABASE = Progress("published", manifest=2, database=2, pointer=1, is_noted=False)
POINTER = DATABASE._replace(pointer=2)
PUBLISHED = POINTER._replace(is_noted=True)
OF_A_CORRECTION = {
    "dbt:customers_data_mart:before": BUILDING,
    "ingestion.publication.publish:finish_pointer:before@2": DATABASE,  # each run begins with one
    "ingestion.s3.object_store:ObjectStore.put_bytes:after": POINTER,
    "ingestion.run.delivery_steps:archive_last_batch:before": PUBLISHED,
    "ingestion.s3.object_store:ObjectStore._delete_version:before": PUBLISHED,
    "ingestion.s3.object_store:ObjectStore._delete_version:after": PUBLISHED,
}


class Shop:
    """A bucket, a database and a workspace, and real processes that work on them."""

    def __init__(self, bucket: Bucket, url: str, folder: Path, recorded_classes: Path) -> None:
        self.bucket = bucket
        self.said = ""
        share_classes(recorded_classes, folder / "workspace")
        self.environ = {
            **machine_environ(),
            **bucket.environment,
            "RETAIL_DATABASE_URL": url,
            "RETAIL_WORKSPACE": str(folder / "workspace"),
        }
        self.engine = connect(make_url(url))
        load_dimensions(
            self.engine, write_dimensions(folder / "dimensions"), PROJECT / DIMENSION_CONTRACT
        )

    def crash(self, point: str, *command: str) -> Progress:
        """A run, or another command, that dies at this point; how far runs have come then."""
        self.said += crash(point, self.environ, *command)
        return progress(self.engine, self.bucket)

    def run(self) -> None:
        """The same command once more."""
        result = subprocess.run(
            [sys.executable, "run_pipeline.py"],
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
            cwd=PROJECT,
        )
        self.said += result.stdout + result.stderr
        assert result.returncode in (0, 3), result.stderr

    def leaks(self) -> list[str]:
        """Where a secret can be read: files, objects, columns, or what was said."""
        password = make_url(self.environ["RETAIL_DATABASE_URL"]).password
        assert isinstance(password, str)
        texts = (password, quote(password, safe=""), json.dumps(password)[1:-1])
        secrets = [text.encode() for text in (*texts, self.environ["AWS_SECRET_ACCESS_KEY"])]
        found: dict[str, bytes] = {"output": self.said.encode(), **self.bucket.objects()}
        workspace = Path(self.environ["RETAIL_WORKSPACE"])
        for path in workspace.rglob("*"):
            if path.is_file() and path.suffix != ".jsa":  # recorded elsewhere, and large
                found[str(path.relative_to(workspace))] = path.read_bytes()
        with self.engine.connect() as connection:
            for name in sa.inspect(connection).get_table_names():
                rows = connection.execute(sa.select(sa.text("*")).select_from(sa.table(name)))
                found[f"table {name}"] = repr(rows.all()).encode()
        assert {"logs/dbt.log", "dbt/manifest.json", "table product_staging_table"} <= set(found)
        return [
            place for place, content in found.items() if any(item in content for item in secrets)
        ]

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
def clean(
    tmp_path_factory: pytest.TempPathFactory,
    recorded_classes: Path,
    s3_endpoint: str,
    mariadb_server: MariaDb,
) -> Iterator[tuple[Shop, list[object]]]:
    """A shop after two clean runs, and what each has left: the delivery, and the correction."""
    with new_bucket(s3_endpoint) as bucket, mariadb_server.new_database() as url:
        shop = Shop(bucket, url, tmp_path_factory.mktemp("clean"), recorded_classes)
        pictures = []
        for change in (deliver, correct):
            change(shop)
            shop.run()
            pictures.append(without_names(shop))
        yield shop, pictures
        shop.engine.dispose()


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
    clean: tuple[Shop, list[object]],
    recorded_classes: Path,
    s3_bucket: Bucket,
    mariadb_url: str,
    tmp_path: Path,
) -> None:
    """Risk: a crash loses a file, counts it twice, needs a hand to go on, or tells a password."""
    _, pictures = clean
    shop = Shop(s3_bucket, mariadb_url, tmp_path, recorded_classes)
    for change, points, picture in zip(
        (deliver, correct), (OF_A_DELIVERY, OF_A_CORRECTION), pictures, strict=True
    ):
        change(shop)
        for point, state in points.items():
            assert shop.crash(point) == state, point
        shop.run()
        assert without_names(shop) == picture
    assert shop.leaks() == []
    shop.engine.dispose()


def test_a_compaction_is_killed_and_another_workspace_publishes(
    clean: tuple[Shop, list[object]], recorded_classes: Path, tmp_path: Path
) -> None:
    """Risk: merged rows are there twice, or neither old nor new; of two machines that take turns
    each publishes a month without the other's sales."""
    shop, _ = clean
    home, other = Path(shop.environ["RETAIL_WORKSPACE"]), tmp_path / "other"
    before, state = shop.picture(), read_state(home)
    merged = home / "bronze" / "sales" / "batch_id=3"
    shop.crash("ingestion.run.compaction:write_bronze:after", "compact")
    assert [path.name for path in merged.iterdir()] == ["1-1.parquet"]
    assert read_state(home) == state
    shop.crash("ingestion.warehouse.fact_tables:copy_batches:after", "compact")
    cut = read_state(home)
    assert cut is not None
    assert cut.merging == {3: [1]}
    assert shop.picture() == before

    # the other one's batch gets the number of the merged one that never was
    share_classes(recorded_classes, other)
    shop.environ["RETAIL_WORKSPACE"] = str(other)
    shop.bucket.put("sales_data/f.csv", (HEADER + MARCH.replace("05", "07")).encode())
    shop.run()
    assert shop.picture()["customers"] == [(2, "2024-03", Decimal("416.00"))]
    shop.environ["RETAIL_WORKSPACE"] = str(home)
    shop.bucket.put("sales_data/e.csv", (HEADER + MARCH.replace("104", "208")).encode())
    shop.bucket.put("sales_data/g.csv", (HEADER + APRIL).encode())
    shop.run()
    assert shop.picture()["customers"] == [
        (2, "2024-03", Decimal("520.00")),
        (16, "2024-04", Decimal("140.00")),
    ]
    settled = read_state(home)
    assert settled is not None
    assert settled.merging == {}
    assert settled.files == list_hash(home / "warehouse"), "the next run would build it all"
