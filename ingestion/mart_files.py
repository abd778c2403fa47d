"""The built marts as files: which models are published, and which Parquet files they consist of."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.errors import PipelineError
from ingestion.publication_manifest import MartFile, MartTable
from ingestion.spark import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A model whose YAML says ``meta.publish``.

    ``columns`` are (name, type) in published order, ``key`` the primary key in the database,
    ``s3`` the mart prefix it goes to (``customer``, ``sales``, ``reports``), ``database`` whether
    it becomes a table there.
    """

    name: str
    relation: str
    description: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    s3: str
    database: bool


def published_models(manifest: Mapping[str, Any], with_reports: bool) -> list[PublishedModel]:
    """The models to publish, by name; reports only ``with_reports``."""
    found = []
    for node in manifest["nodes"].values():
        publish = node.get("config", {}).get("meta", {}).get("publish")
        if node["resource_type"] != "model" or not publish:
            continue
        if publish["s3"] == "reports" and not with_reports:
            continue
        columns = tuple((name, column["data_type"]) for name, column in node["columns"].items())
        found.append(
            PublishedModel(
                name=node["alias"],
                relation=f"{node['schema']}.{node['alias']}",
                description=node["description"],
                columns=columns,
                key=tuple(publish.get("key", ())),
                s3=publish["s3"],
                database=bool(publish["database"]),
            )
        )
    return sorted(found, key=lambda model: model.name)


@dataclasses.dataclass(frozen=True)
class ScannedTable:
    """A built table, its folder, where this version's files of it go on S3, and the keys of those
    that are not published yet."""

    table: MartTable
    folder: Path
    key_prefix: str
    fresh_keys: frozenset[str]

    def fresh_files(self) -> dict[str, Path]:
        """Object key and local path of each file to upload."""
        return {
            file.key: self.folder / file.path
            for file in self.table.files
            if file.key in self.fresh_keys
        }


def scan_table(
    spark: SparkSession, model: PublishedModel, prefix: str, version: int, last: MartTable | None
) -> ScannedTable:
    """The model's table as it stands in the warehouse; see :func:`scan_files`."""
    folder, partition_columns, partitions = _layout(spark, model)
    return scan_files(
        model, folder, partition_columns, partitions, f"{prefix}{model.name}/v{version:06d}/", last
    )


def scan_files(
    model: PublishedModel,
    folder: Path,
    partition_columns: tuple[str, ...],
    partitions: Sequence[str],
    key_prefix: str,
    last: MartTable | None,
) -> ScannedTable:
    """The Parquet files in the partitions' folders, those without rows left out.

    A file that the last publication already has (same path and size; Spark gives every written
    file a name of its own) is carried by reference: neither read nor hashed again.
    """
    known = {} if last is None else {file.path: file for file in last.files}
    files: list[MartFile] = []
    fresh: set[str] = set()
    for partition in partitions:
        for path in sorted((folder / partition).glob("*.parquet")):
            relative = f"{partition}/{path.name}" if partition else path.name
            carried = known.get(relative)
            if carried is not None and carried.size == path.stat().st_size:
                files.append(carried)
                continue
            file = _described(path, relative, f"{key_prefix}{relative}")
            if file.rows:
                files.append(file)
                fresh.add(file.key)
    table = MartTable(
        name=model.name,
        columns=model.columns,
        key=model.key,
        in_database=model.database,
        partition_columns=partition_columns,
        files=tuple(files),
    )
    return ScannedTable(table, folder, key_prefix, frozenset(fresh))


def _layout(
    spark: SparkSession, model: PublishedModel
) -> tuple[Path, tuple[str, ...], tuple[str, ...]]:
    """The table's folder, its partition columns, and its registered partitions' folders."""
    with spark_errors(f"The table {model.relation} cannot be read"):
        described = spark.sql(f"describe table extended {model.relation}").collect()
        rows = {row["col_name"]: row["data_type"] for row in described}
        names = [row["col_name"] for row in described]
        scheme, _, folder = rows["Location"].rpartition("file:")
        if scheme or not folder:
            raise PipelineError(
                f"The table {model.relation} cannot be published",
                expected="a warehouse in a local folder",
                found=rows["Location"],
                action="Set spark.sql.warehouse.dir in the dbt profile to a local folder",
            )
        partition_columns: tuple[str, ...] = ()
        partitions: tuple[str, ...] = ("",)
        if "# Partition Information" in names:
            start = names.index("# Partition Information") + 2
            end = next(at for at in range(start, len(names)) if not names[at])
            partition_columns = tuple(names[start:end])
            listed = spark.sql(f"show partitions {model.relation}").collect()
            partitions = tuple(sorted(row["partition"] for row in listed))
    return Path(folder), partition_columns, partitions


def _described(path: Path, relative: str, key: str) -> MartFile:
    import pyarrow.parquet as pq

    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    rows = pq.read_metadata(path).num_rows
    return MartFile(relative, key, path.stat().st_size, rows, digest)
