"""The whole pipeline on real services, in this process: one Spark session serves all tests."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

import run_pipeline
from ingestion.commands.status import read_status
from ingestion.config.settings import Settings, load_settings
from ingestion.database.engine import connect
from ingestion.database.staging_table import FileRow
from ingestion.run.run_state import DIMENSION_CONTRACT, open_run
from ingestion.run.services import Services, open_store
from ingestion.run.summary import RunSummary
from ingestion.s3.object_store import ObjectStore
from ingestion.warehouse.class_archive import archive_file, takes_archive
from ingestion.warehouse.dimensions import load_dimensions
from ingestion.warehouse.java import find_java
from ingestion.warehouse.spark import SCRATCH_VARIABLE, WORK_SIZE_VARIABLE, WorkSize
from tests.services import Bucket, machine_environ

PROJECT = Path(run_pipeline.__file__).parent
HEADER = "customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n"
SALES = (
    f"{HEADER}2,122,besan,2024-03-05,4,52,2,104\n16,122,maida,2024-04-12,6,20,7,140\n"
    "2,122,besan,2024-04-06,4,52,1,52\n"
)
DIMENSIONS = {
    "customer": "customer_id,first_name,last_name,address,pincode,phone_number,"
    "customer_joining_date\n2,Dhanu,Sahni,Mill Lane,122009,9155328165,2022-03-27\n"
    "16,Asha 🫖,Rossi,Quay Street,122010,9155328166,2022-03-28\n",
    "product": "id,name,current_price,old_price,created_date,updated_date,expiry_date\n"
    "1,besan,52,52,2020-05-05,,\n2,maida,20,20,2020-05-05,,\n3,besan,54,54,2021-05-05,,\n",
    "store": "id,address,store_pincode,store_manager_name,store_opening_date,reviews\n"
    "121,Mill Lane,122009,Manish,2022-01-15,\n122,Quay Street,110011,Nikita,2021-08-10,Good\n",
    "sales_team": "id,first_name,last_name,manager_id,is_manager,address,pincode,joining_date\n"
    "4,Sneha,Gupta,10,N,Mill Lane,122007,2020-05-01\n"
    "6,Neha,Jain,10,N,Mill Lane,122007,2020-05-01\n",
}


@dataclasses.dataclass
class Pipeline:
    """One bucket, one database, and runs on them."""

    settings: Settings
    store: ObjectStore
    engine: Engine
    url: str

    def put(self, key: str, content: str | bytes) -> None:
        """Puts an object into the inbox; ``key`` is relative to it."""
        data = content.encode() if isinstance(content, str) else content
        self.store.put_bytes(self.settings.inbox_prefix + key, data)

    def run(
        self,
        full_refresh: bool = False,
        change: Callable[[Services, str], object] = lambda *_: None,
    ) -> RunSummary:
        """One run, as the command line makes it; it begins with ``change``."""
        with open_run(self.settings, str(uuid.uuid4()), None, full_refresh) as state:
            return run_pipeline.execute(state, change)

    def copy_project(self, folder: Path) -> Path:
        """A copy of the project's models, which a test may change; runs build it from now on."""
        shutil.copytree(
            self.settings.project,
            folder,
            ignore=lambda _, names: {".git", ".venv", ".workspace", "ingestion"} & set(names),
        )
        self.settings = self.settings.model_copy(update={"project": folder})
        return folder

    def use_profiles(self, toml: str) -> None:
        """From now on these file profiles are in the settings."""
        path = self.settings.workspace / "pipeline.toml"
        path.write_text(toml)
        environ = {**os.environ, "RETAIL_CONFIG": str(path), "RETAIL_DATABASE_URL": self.url}
        for name in (WORK_SIZE_VARIABLE, SCRATCH_VARIABLE):  # an earlier run has set them for Spark
            environ.pop(name, None)
        self.settings = load_settings(PROJECT, environ)

    def files(self) -> list[FileRow]:
        """The staging table, oldest first."""
        return list(read_status(self.settings).files)

    def file(self, key: str) -> FileRow:
        """The newest row of the object that was put as ``key``."""
        return [row for row in self.files() if row.file_name == f"sales_data/{key}"][-1]

    def keys(self, prefix: str) -> list[str]:
        """The keys below ``prefix``."""
        return [info.key for info in self.store.list_objects(prefix)]

    def table(self, name: str, *columns: str) -> list[dict[str, Any]]:
        """The rows of a published table in the database."""
        chosen = [sa.column(column) for column in columns] or [sa.text("*")]
        with self.engine.begin() as connection:
            found = connection.execute(sa.select(*chosen).select_from(sa.table(name)))
            return [dict(row._mapping) for row in found]

    def totals(self) -> dict[tuple[int, str], Decimal]:
        """Month totals by customer, from the database."""
        return {
            (row["customer_id"], row["sales_date_month"]): Decimal(row["total_sales"])
            for row in self.table("customers_data_mart")
        }

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of the warehouse."""
        from pyspark.sql import SparkSession

        session = SparkSession.getActiveSession()
        assert session is not None
        return [row.asDict() for row in session.sql(query).collect()]

    def s3_table(self, name: str, folder: Path) -> list[dict[str, Any]]:
        """The rows of a published table as another engine reads them from S3 by the pointer."""
        pointer = json.loads(self.store.get_bytes("publications/current.json"))
        manifest = json.loads(self.store.get_bytes(pointer["manifest"]))
        [table] = [table for table in manifest["tables"] if table["name"] == name]
        root = folder / name
        shutil.rmtree(root, ignore_errors=True)
        for file in table["files"]:
            path = root / file["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.store.get_bytes(file["key"]))
        return pq.read_table(root, partitioning="hive").to_pylist() if table["files"] else []


def write_dimensions(folder: Path, tables: Mapping[str, str] = DIMENSIONS) -> Path:
    """The dimension CSVs in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tables.items():
        (folder / f"{name}.csv").write_text(content, encoding="utf-8")
    return folder


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a truth file."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# A start of Spark as a run makes it, for work of this size; prints rows that Spark has read.
START = """
import os, sys
from pathlib import Path
from ingestion.run import mart_steps
from ingestion.config.settings import load_settings
from ingestion.warehouse.spark import WORK_SIZE_VARIABLE, WorkSize
from ingestion.workspace import Workspace
settings = load_settings(Path.cwd())
dbt = mart_steps.dbt_project(settings)
session = mart_steps.start_spark(dbt, Workspace(settings.workspace), WorkSize(sys.argv[1]))
print(session.sql("select 40 + 2 as answer").collect())
"""


def start_spark(workspace: Path, size: WorkSize, java_options: str) -> str:
    """What a process prints that starts Spark there; its JVM has ended, since it holds the pipe.

    The machine has another Spark and a cluster, as many have, which must not be taken; and it has
    no locale, as in a bare container, where a letter of a path is still the same letter.
    """
    cluster = workspace / "hadoop"
    cluster.mkdir(exist_ok=True)
    (cluster / "core-site.xml").write_text(
        "<configuration><property><name>fs.defaultFS</name><value>hdfs://nowhere:8020</value>"
        "</property></configuration>"
    )
    done = subprocess.run(
        [sys.executable, "-c", START, size],
        env={
            **machine_environ(),
            "RETAIL_WORKSPACE": str(workspace),
            "RETAIL_SPARK_JAVA_OPTIONS": java_options,
            "SPARK_HOME": "/opt/another-spark",
            "PYSPARK_SUBMIT_ARGS": "--master yarn pyspark-shell",
            "HADOOP_CONF_DIR": str(cluster),
            "YARN_CONF_DIR": str(cluster),
            "LC_ALL": "C",
        },
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(scope="session")
def recorded_classes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A workspace, with a blank and an accent in its name, in which the start of Spark has been
    recorded, where this Java can use that."""
    workspace = tmp_path_factory.mktemp("wörk space")
    archive = archive_file(workspace, os.environ)
    archive.parent.mkdir()
    if not takes_archive(find_java(os.environ)):
        yield workspace
        return
    start_spark(workspace, WorkSize.SMALL, f'"-XX:ArchiveClassesAtExit={archive}"')
    assert archive.is_file()
    yield workspace
    archive.unlink()  # it is large


def share_classes(recorded: Path, workspace: Path) -> None:
    """Spark starts as fast in ``workspace`` as in the one where its start has been recorded."""
    workspace.mkdir(parents=True, exist_ok=True)
    shutil.copytree(recorded / "classes", workspace / "classes", copy_function=os.link)


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workspace that the one Spark session of the test run is bound to."""
    workspace = tmp_path_factory.mktemp("workspace")
    (workspace / "profiles").mkdir()
    shutil.copyfile(PROJECT / "profiles.example.yml", workspace / "profiles" / "profiles.yml")
    return workspace


def empty_warehouse(workspace: Path) -> None:
    """Takes the workspace back to its first moment; the session and its metastore stay."""
    from pyspark.sql import SparkSession

    session = SparkSession.getActiveSession()
    if session is not None:
        for schema in ("retail", "raw"):
            session.sql(f"drop database if exists {schema} cascade")
        session.catalog.clearCache()
    for name in ("bronze", "downloads"):
        shutil.rmtree(workspace / name, ignore_errors=True)
    (workspace / "warehouse.json").unlink(missing_ok=True)


@pytest.fixture
def environ(
    warehouse: Path, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> Mapping[str, str]:
    """The environment of a run, but for its database; the process has it too."""
    empty_warehouse(warehouse)
    variables = {
        **s3_bucket.environment,
        # one session makes many small runs here: after a dozen, the full compiler has paid
        "RETAIL_SPARK_JAVA_OPTIONS": "-XX:TieredStopAtLevel=4",
        "RETAIL_WORKSPACE": str(warehouse),
        "DBT_PROFILES_DIR": str(warehouse / "profiles"),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return os.environ


@pytest.fixture
def pipeline(environ: Mapping[str, str], mariadb_url: str, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline whose database is MariaDB, with the small dimensions loaded."""
    settings = load_settings(PROJECT, {**environ, "RETAIL_DATABASE_URL": mariadb_url})
    engine = connect(settings.database)
    dimensions = write_dimensions(tmp_path / "dimensions")
    load_dimensions(engine, dimensions, PROJECT / DIMENSION_CONTRACT)
    yield Pipeline(settings, open_store(settings, environ), engine, mariadb_url)
    engine.dispose()
