"""The built marts as files: which models are published, and which Parquet files they consist of."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.errors import PipelineError
from ingestion.publication.manifest import MartFile, MartTable
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


S3_PLACES = ("customer", "sales", "reports", "quarantine")
_PUBLISH_OPTIONS = ("s3", "database", "key")
LONGEST_NAME = 64 - len("__load_12345678")  # characters, see mart_tables.load_beside


@dataclasses.dataclass(frozen=True)
class PublishedModel:
    """A model whose YAML says ``meta.publish``.

    ``columns`` are (name, type) in published order, ``key`` the primary key in the database,
    ``s3`` the mart prefix it goes to, one of `S3_PLACES`, ``database`` whether it becomes a table
    there.
    """

    name: str
    relation: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    s3: str
    database: bool

    def table(
        self, partition_columns: tuple[str, ...] = (), files: tuple[MartFile, ...] = ()
    ) -> MartTable:
        """The model as a published table with these files."""
        return MartTable(
            name=self.name,
            columns=self.columns,
            key=self.key,
            in_database=self.database,
            partition_columns=partition_columns,
            files=files,
        )


def published_models(manifest: Mapping[str, Any], with_reports: bool) -> list[PublishedModel]:
    """The models to publish, by name; reports only ``with_reports``."""
    found = []
    for node in manifest["nodes"].values():
        publish = node.get("config", {}).get("meta", {}).get("publish")
        if node["resource_type"] != "model" or not publish:
            continue
        _check_publish(node, publish)
        if publish["s3"] == "reports" and not with_reports:
            continue
        columns = tuple((name, column["data_type"]) for name, column in node["columns"].items())
        found.append(
            PublishedModel(
                name=node["alias"],
                relation=f"{node['schema']}.{node['alias']}",
                columns=columns,
                key=tuple(publish.get("key", ())),
                s3=publish["s3"],
                database=publish["database"],
            )
        )
    return sorted(found, key=lambda model: model.name)


def _check_publish(node: Mapping[str, Any], publish: Any) -> None:
    """``PipelineError`` where what the model's YAML says of its publication cannot be done."""
    options = publish if isinstance(publish, dict) else {}
    key, columns = options.get("key", []), node["columns"]
    mistakes = [
        f"{name}: an unknown option, expected {', '.join(_PUBLISH_OPTIONS)}"
        for name in options
        if name not in _PUBLISH_OPTIONS
    ]
    if options.get("s3") not in S3_PLACES:
        mistakes.append(f"s3: {options.get('s3')!r}, expected {', '.join(S3_PLACES)}")
    if not isinstance(options.get("database"), bool):
        mistakes.append(f"database: {options.get('database')!r}, expected true or false")
    if not isinstance(key, list) or not set(key) <= columns.keys():
        mistakes.append(f"key: {key!r}, expected a list of columns that the YAML declares")
    name_length = len(node["alias"])
    if options.get("database") is True and name_length > LONGEST_NAME:
        mistakes.append(
            f"a name of {name_length} characters, expected at most {LONGEST_NAME}, for MySQL takes "
            "64 and the table is loaded beside the live one under a longer name"
        )
    mistakes += [f"no data_type for {name}" for name in columns if not columns[name]["data_type"]]
    if node["config"]["materialized"] == "view":
        mistakes.append("materialized: view, expected a table")
    if mistakes:
        raise PipelineError(
            f"The model {node['name']} cannot be published",
            expected=(
                "s3, database and optionally key under meta.publish, and a type for each column"
            ),
            found="; ".join(mistakes),
            action=f"Correct {node['patch_path'] or node['original_file_path']}",
        )


@dataclasses.dataclass(frozen=True)
class ScannedTable:
    """A built table, where this version's files of it go on S3, and the local path of each of its
    objects by key; the objects of older versions are there already."""

    table: MartTable
    key_prefix: str
    local: Mapping[str, Path]

    def fresh_files(self) -> dict[str, Path]:
        """Object key and local path of each file to upload."""
        return {key: path for key, path in self.local.items() if key.startswith(self.key_prefix)}


def scan_table(
    spark: SparkSession, model: PublishedModel, prefix: str, version: str, last: MartTable | None
) -> ScannedTable:
    """The model's table as it stands in the warehouse; its new files go to the folder ``version``.

    See :func:`scan_files`.
    """
    folder, partition_columns, partitions = _layout(spark, model)
    return scan_files(
        model, folder, partition_columns, partitions, f"{prefix}{model.name}/{version}/", last
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

    A file that the last publication already has is carried by reference. Same path and size say so
    (Spark gives every written file a name of its own), without a look into the file; or the same
    content in the same partition, written again.
    """
    paths = {
        f"{partition}/{path.name}" if partition else path.name: path
        for partition in partitions
        for path in sorted((folder / partition).glob("*.parquet"))
    }
    known = {} if last is None else {file.path: file for file in last.files}
    rewritten = {
        (file.partition, file.sha256): file for file in known.values() if file.path not in paths
    }
    files: list[MartFile] = []
    local: dict[str, Path] = {}
    for relative, path in paths.items():
        file = known.get(relative)
        if file is None or file.size != path.stat().st_size:
            new = _described(path, relative, f"{key_prefix}{relative}")
            same = rewritten.pop((new.partition, new.sha256), None)
            file = new if same is None else dataclasses.replace(same, path=relative)
        if file.rows:
            files.append(file)
            local[file.key] = path
    return ScannedTable(model.table(partition_columns, tuple(files)), key_prefix, local)


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
