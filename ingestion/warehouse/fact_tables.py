"""The built tables that hold batches: which months a batch has, and how batches become one in them.

Rows are copied as they are. Building them anew from bronze would judge them by the rules, the
dimensions and the day of today, and numbers that are published could change.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.errors import PipelineError
from ingestion.warehouse.partitions import is_month, partition_texts
from ingestion.warehouse.raw_tables import quote
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

BATCH = "batch_id"
_HASH_SUM = "decimal(38, 0)"


@dataclasses.dataclass(frozen=True)
class FactTable:
    """A table with a partition for each batch; ``folder`` is where its files lie."""

    relation: str
    folder: Path
    partition_columns: tuple[str, ...]


def table_folder(warehouse: Path, relation: str) -> Path:
    """Where Spark keeps the table ``schema.name``."""
    schema, _, name = relation.partition(".")
    return warehouse / f"{schema}.db" / name


def fact_tables(manifest: Mapping[str, Any], warehouse: Path) -> list[FactTable]:
    """The models that are partitioned by batch, by name."""
    found = []
    for node in manifest["nodes"].values():
        columns = node["config"].get("partition_by") or ()
        columns = (columns,) if isinstance(columns, str) else tuple(columns)
        if BATCH in columns:
            relation = f"{node['schema']}.{node['alias']}"
            found.append(FactTable(relation, table_folder(warehouse, relation), columns))
    return sorted(found, key=lambda table: table.relation)


def check_folders(tables: Iterable[FactTable]) -> None:
    """``PipelineError`` where a table's files are not in the workspace's warehouse."""
    for table in tables:
        if not table.folder.is_dir():
            raise PipelineError(
                f"The table {table.relation} cannot be compacted",
                expected=f"its files in {table.folder}",
                found="no such folder",
                action="Set spark.sql.warehouse.dir in the dbt profile to its warehouse",
            )


def hold_batches(
    tables: Iterable[FactTable], needed: Collection[int], known: Collection[int]
) -> bool:
    """Whether the tables hold all batches that are needed, and none but the known ones.

    True for tables whose files are not in the workspace: nothing is known of them.
    """
    tables = [table for table in tables if table.folder.is_dir()]
    held = months_of_batches(tables).keys()
    return not tables or (held >= set(needed) and held <= set(known))


def months_of_batches(tables: Iterable[FactTable]) -> dict[int, set[str]]:
    """The months in which each batch has rows, from the names of the partitions' folders."""
    months: dict[int, set[str]] = {}
    for table in tables:
        for texts, _ in _partition_folders(table):
            found = months.setdefault(int(texts[BATCH]), set())
            found |= {text for name, text in texts.items() if is_month(name)}
    return months


def _partition_folders(table: FactTable) -> list[tuple[dict[str, str], Path]]:
    """The folder of each partition, with its values."""
    folders = table.folder.glob("/".join(f"{name}=*" for name in table.partition_columns))
    return [
        (partition_texts(folder.relative_to(table.folder).as_posix()), folder) for folder in folders
    ]


def copy_batches(
    spark: SparkSession, table: FactTable, merges: Mapping[int, Sequence[int]]
) -> None:
    """Copies the rows of the old batches into partitions of the new one; the old ones stay."""
    others = [quote(name) for name in table.partition_columns if name != BATCH]
    partitions = ", ".join(quote(name) for name in table.partition_columns)
    with spark_errors(f"The batches of {table.relation} cannot be copied"):
        data = [quote(name) for name in spark.table(table.relation).columns]
        data = [name for name in data if name != quote(BATCH) and name not in others]
        columns = ", ".join([*data, *(quote(name) for name in table.partition_columns)])
        spark.sql("set spark.sql.sources.partitionOverwriteMode = dynamic")
        spark.sql(
            f"insert overwrite table {table.relation} partition ({partitions}) "
            f"select /*+ rebalance({partitions}) */ {columns} from ("
            f"select {', '.join([*data, *others])}, {_new_batch(merges)} as {BATCH} "
            f"from {table.relation} where {_is_one_of(_olds(merges))})"
        )


def check_copies(
    spark: SparkSession, table: FactTable, merges: Mapping[int, Sequence[int]]
) -> None:
    """Every new partition holds the rows of the old ones, each the same in all its columns.

    Rows, the exact sum of every decimal column, and a hash over all columns are compared for each
    new batch and, where the table has months, each of them. Raises ``PipelineError`` otherwise.
    """
    with spark_errors(f"The copies in {table.relation} cannot be compared"):
        schema = spark.table(table.relation).schema
        data = [quote(name) for name in schema.names if name != BATCH]
        amounts = [
            f"sum({quote(field.name)}) as {quote(field.name)}"
            for field in schema
            if field.dataType.typeName() == "decimal"
        ]
        keys = [*(quote(name) for name in table.partition_columns if name != BATCH), "new_batch"]
        sums = ["count(*) as `rows`", *amounts]
        sums.append(f"sum(cast(xxhash64({', '.join(data)}) as {_HASH_SUM})) as content")
        found = spark.sql(
            f"select {', '.join(keys)}, is_copy, {', '.join(sums)} from ("
            f"select *, {_new_batch(merges)} as new_batch, {_is_one_of(merges)} as is_copy "
            f"from {table.relation} where {_is_one_of([*merges, *_olds(merges)])}) "
            f"group by {', '.join(keys)}, is_copy order by {', '.join(keys)}"
        ).collect()
    originals: list[dict[str, Any]] = []
    copies: list[dict[str, Any]] = []
    for row in found:
        sums_of_key = row.asDict()
        (copies if sums_of_key.pop("is_copy") else originals).append(sums_of_key)
    if copies != originals:
        raise PipelineError(
            f"The batches of {table.relation} cannot be merged; the publication stays as it is",
            expected=str([row for row in originals if row not in copies][:1]),
            found=str([row for row in copies if row not in originals][:1]),
            action="Run with --full-refresh, then compact again",
        )


def drop_batches(spark: SparkSession, table: FactTable, batch_ids: Collection[int]) -> None:
    """Drops the batches' partitions, with their files; those that a copy which was cut short has
    left without telling the catalog, too."""
    specs = ", ".join(f"partition ({BATCH} = {batch_id})" for batch_id in sorted(batch_ids))
    with spark_errors(f"The batches of {table.relation} cannot be dropped"):
        spark.sql(f"alter table {table.relation} drop if exists {specs}")
    for texts, folder in _partition_folders(table):
        if int(texts[BATCH]) in batch_ids:
            shutil.rmtree(folder)


def _olds(merges: Mapping[int, Sequence[int]]) -> list[int]:
    return [old_id for old_ids in merges.values() for old_id in old_ids]


def _is_one_of(batch_ids: Iterable[int]) -> str:
    return f"{BATCH} in ({', '.join(map(str, batch_ids))})"


def _new_batch(merges: Mapping[int, Sequence[int]]) -> str:
    """The new batch of a row, as SQL."""
    cases = (f"when {_is_one_of([new, *olds])} then {new}" for new, olds in merges.items())
    return f"case {' '.join(cases)} end"
