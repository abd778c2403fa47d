"""A run that is killed anywhere, and then the same command: what one clean run gives."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from pyspark.sql import SparkSession
from sqlalchemy.engine import Engine, make_url

from ingestion.database.engine import connect
from ingestion.run.mart_steps import dbt_project, parse_models, read_builder
from ingestion.run.run_state import DIMENSION_CONTRACT, open_run
from ingestion.warehouse.dbt_build import run_command
from ingestion.warehouse.dimensions import load_dimensions
from ingestion.warehouse.warehouse_state import list_hash, read_published, read_state
from tests.crash_point import Progress, crash, progress
from tests.pipeline.conftest import HEADER, PROJECT, Pipeline, share_classes, write_dimensions
from tests.services import Bucket, MariaDb, machine_environ, new_bucket

pytestmark = pytest.mark.slow

MARCH = "2,122,besan,2024-03-05,4,52,2,104\n"
APRIL = "16,122,maida,2024-04-12,6,20,7,140\n"
NOTHING = Progress(None, manifest=0, database=0, pointer=0, is_noted=False)
PLANNED = NOTHING._replace(batch="planned")
CHECKED = NOTHING._replace(batch="bronze")
DATABASE = Progress("published", manifest=1, database=1, pointer=0, is_noted=False)
# Where a run is killed, one after the other, and how far it has come then. All but the points in
# dbt and the first of the database are reached without Spark.
OF_A_DELIVERY = {
    "ingestion.s3.object_store:ObjectStore.download:after": NOTHING,
    "ingestion.database.staging_changes:add_deliveries:after": NOTHING,
    "ingestion.run.checking:check_batch:after": PLANNED,
    "ingestion.database.staging_changes:record_verdicts:after": PLANNED,
    "ingestion.run.delivery_steps:move_uncounted_files:before": CHECKED,
    "ingestion.s3.object_store:ObjectStore._copy:after": CHECKED,
    "ingestion.run.archive:move_all:after": CHECKED,
    "ingestion.run.archive:put_reasons:after": CHECKED,
    "ingestion.run.delivery_steps:move_uncounted_files:after": CHECKED,
    "dbt:fct_sales:after": CHECKED,
    # each run begins with one; what comes behind it is in tests/ingestion/test_killed_runs.py
    "ingestion.publication.pointer:finish_pointer:before@2": DATABASE,
}
BUILDING = Progress("bronze", manifest=1, database=1, pointer=1, is_noted=True)
OF_A_CORRECTION = {"dbt:customers_data_mart:before": BUILDING}
BROKEN = b"customer_id;price\n1;2\n"
A_DAY, D_DAY = (HEADER + MARCH).encode(), (HEADER + APRIL + "x" + APRIL).encode()
D_CORRECTED = (HEADER + MARCH.replace("122", "121")).encode()
E_DAY = (HEADER + MARCH.replace("-05", "-06")).encode()
A_FILE = ("sales_data/a.csv", "sales_data_processed/a.csv", "I", 1, 1, 0, Decimal("104.00"))
BROKEN_FILE = ("sales_data/broken.csv", "sales_data_error/broken.csv", "E", 0, None, None, None)
COPY_FILE = ("sales_data/copy.csv", "sales_data_processed/copy.csv", "D", 1, None, None, None)
D_FILE = ("sales_data/d.csv", "sales_data_processed/d.csv", "I", 2, 1, 1, Decimal("140.00"))
SETTLED = {
    "states": ["archived"],
    "load tables": [],
    "strays of this version": [],
    "missing objects": [],
    "inbox": [],
    "errors": {
        "sales_data_error/broken.csv": BROKEN,
        "sales_data_error/broken.csv.reasons.json": ["dialect"],
    },
}
# What clean runs leave: of the delivery, and of the correction behind it.
DELIVERED = SETTLED | {
    "files": [A_FILE, BROKEN_FILE, COPY_FILE, D_FILE],
    "customers": [(2, "2024-03", Decimal("104.00")), (16, "2024-04", Decimal("140.00"))],
    "incentives": [
        (122, 4, "2024-03", Decimal("104.00"), Decimal("1.04")),
        (122, 6, "2024-04", Decimal("140.00"), Decimal("1.40")),
    ],
    "versions": (1, 1),
    "rows on S3": {
        "customer_sales": 2,
        "customers_data_mart": 2,
        "fct_quarantined_sales": 1,
        "sales_team_data_mart": 2,
        "sales_team_sales": 2,
    },
    "processed": {
        "sales_data_processed/a.csv": A_DAY,
        "sales_data_processed/copy.csv": A_DAY,
        "sales_data_processed/d.csv": D_DAY,
    },
}
D_ARCHIVED = f"sales_data_processed/d~{hashlib.sha256(D_CORRECTED).hexdigest()[:12]}.csv"
CORRECTED = SETTLED | {
    "files": [
        A_FILE,
        BROKEN_FILE,
        COPY_FILE,
        ("sales_data/d.csv", "sales_data_processed/d.csv", "S", 2, 1, 1, Decimal("140.00")),
        ("sales_data/d.csv", D_ARCHIVED, "I", 1, 1, 0, Decimal("104.00")),
        ("sales_data/e.csv", "sales_data_processed/e.csv", "I", 1, 1, 0, Decimal("104.00")),
    ],
    "customers": [(2, "2024-03", Decimal("312.00"))],
    "incentives": [
        (121, 4, "2024-03", Decimal("104.00"), Decimal("1.04")),
        (122, 4, "2024-03", Decimal("208.00"), Decimal("2.08")),
    ],
    "versions": (2, 2),
    "rows on S3": {
        "customer_sales": 3,
        "customers_data_mart": 1,
        "fct_quarantined_sales": 0,
        "sales_team_data_mart": 2,
        "sales_team_sales": 3,
    },
    "processed": {
        "sales_data_processed/a.csv": A_DAY,
        "sales_data_processed/copy.csv": A_DAY,
        "sales_data_processed/d.csv": D_DAY,
        D_ARCHIVED: D_CORRECTED,
        "sales_data_processed/e.csv": E_DAY,
    },
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

    def picture(self) -> dict[str, object]:
        """What its runs have left."""
        return picture(self.engine, self.bucket)

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


def picture(engine: Engine, bucket: Bucket) -> dict[str, object]:
    """Everything that must equal a clean run's: staging table, marts, prefixes, pointer."""
    with engine.connect() as connection:

        def rows(query: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in connection.execute(sa.text(query))]

        files = rows(
            f"select file_name, replace(file_location, 's3://{bucket.name}/', ''), status, "
            "rows_read, rows_valid, rows_quarantined, amount_valid "
            "from product_staging_table order by id"
        )
        customers = rows(
            "select customer_id, sales_date_month, total_sales from customers_data_mart "
            "order by 1, 2"
        )
        incentives = rows(
            "select store_id, sales_person_id, sales_month, total_sales, incentive "
            "from sales_team_data_mart order by 1, 2, 3"
        )
        [(version,)] = rows("select max(version) from publications")
        states = rows("select distinct state from pipeline_batches")
        tables = sa.inspect(connection).get_table_names()
    pointer = json.loads(bucket.get("publications/current.json"))
    manifest = json.loads(bucket.get(pointer["manifest"]))
    objects = {file["key"] for table in manifest["tables"] for file in table["files"]}
    there = bucket.keys()
    return {
        "files": files,
        "customers": customers,
        "incentives": incentives,
        "versions": (version, pointer["version"]),
        "states": [state for (state,) in states],
        "load tables": [name for name in tables if "__load" in name or "__gone" in name],
        "rows on S3": {
            table["name"]: table["rows"]
            for table in manifest["tables"]
            if not table["name"].startswith("rpt_")
        },
        "strays of this version": [
            key
            for key in there
            if key.endswith(".parquet") and f"/v{version:06d}-" in key and key not in objects
        ],
        "missing objects": sorted(objects - set(there)),
        "inbox": bucket.keys("sales_data/"),
        "processed": bucket.objects("sales_data_processed/"),
        "errors": {
            key: [reason["code"] for reason in json.loads(content)["reasons"]]
            if key.endswith(".json")
            else content
            for key, content in bucket.objects("sales_data_error/").items()
        },
    }


def deliver(bucket: Bucket) -> None:
    """A good file, a broken one, a copy, and a file with a bad row."""
    bucket.put("sales_data/a.csv", A_DAY)
    bucket.put("sales_data/broken.csv", BROKEN)
    bucket.put("sales_data/copy.csv", A_DAY)
    bucket.put("sales_data/d.csv", D_DAY)


def correct(bucket: Bucket) -> None:
    """A correction that empties a month, and one more file."""
    bucket.put("sales_data/d.csv", D_CORRECTED)
    bucket.put("sales_data/e.csv", E_DAY)


STORY = (
    (deliver, OF_A_DELIVERY, DELIVERED),
    (correct, OF_A_CORRECTION, CORRECTED),
)


def test_clean_runs(
    pipeline: Pipeline,
    s3_bucket: Bucket,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Risk: what killed runs are held against is not what clean runs leave; or who builds is not
    noted, by which a run knows that an analyst has built since another was killed; or a run warns
    twice of a variable that the profile does not read."""
    monkeypatch.setenv("RETAIL_SPARK_MASTR", "local[1]")
    for change, _, expected in STORY:
        change(s3_bucket)
        caplog.clear()
        summary = pipeline.run()
        assert caplog.text.count("RETAIL_SPARK_MASTR is set, and ") == 1
        assert picture(pipeline.engine, s3_bucket) == expected
    session = SparkSession.getActiveSession()
    assert session is not None
    dbt = dbt_project(pipeline.settings)
    with open_run(pipeline.settings, "run", None) as state:
        models = parse_models(state, dbt).result()
    assert read_builder(models, session) == summary.run_id
    run_command(dbt, ("compile",), "--select", "stg_retail__stores")
    assert read_builder(models, session) == summary.run_id
    trial = ("--target", "trial", "--full-refresh", "--select", "+customers_data_mart")
    run_command(dbt, ("run",), *trial)
    assert read_builder(models, session) == summary.run_id
    assert picture(pipeline.engine, s3_bucket) == CORRECTED
    [tables] = pipeline.sql("select count(*) as found from trial.customers_data_mart")
    assert tables["found"] == len(pipeline.totals())
    run_command(dbt, ("run",), "--select", "stg_retail__stores")
    assert re.fullmatch(r"dbt [0-9a-f-]{36}", read_builder(models, session))


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory,
    recorded_classes: Path,
    s3_endpoint: str,
    mariadb_server: MariaDb,
) -> Iterator[Shop]:
    """A shop that the two tests of processes share."""
    with new_bucket(s3_endpoint) as bucket, mariadb_server.new_database() as url:
        shop = Shop(bucket, url, tmp_path_factory.mktemp("shop"), recorded_classes)
        yield shop
        shop.engine.dispose()


def test_killed_at_every_point_and_run_once_more(shop: Shop) -> None:
    """Risk: a crash loses a file, counts it twice, needs a hand to go on, or tells a password."""
    for change, points, expected in STORY:
        change(shop.bucket)
        for point, state in points.items():
            assert shop.crash(point) == state, point
        shop.run()
        assert shop.picture() == expected
    assert shop.leaks() == []


def test_a_compaction_is_killed_and_another_workspace_publishes(
    shop: Shop, recorded_classes: Path, tmp_path: Path
) -> None:
    """Risk: merged rows are there twice, or neither old nor new; of two machines that take turns
    each publishes a month without the other's sales."""
    if progress(shop.engine, shop.bucket).batch is None:  # this test runs alone
        for change, _, _ in STORY:
            change(shop.bucket)
            shop.run()
    home, other = Path(shop.environ["RETAIL_WORKSPACE"]), tmp_path / "other"
    before, state = shop.picture(), read_state(home)
    merged = home / "bronze" / "sales" / "batch_id=3"
    shop.crash("ingestion.run.compaction:write_bronze:after", "compact")
    assert [path.name for path in merged.iterdir()] == ["1-1.parquet"]
    assert read_state(home) == state
    shop.crash("ingestion.warehouse.fact_tables:copy_batches:after", "compact")
    cut = read_published(home)
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
    settled = read_published(home)
    assert settled is not None
    assert settled.merging == {}
    assert settled.files == list_hash(home / "warehouse"), "the next run would build it all"
