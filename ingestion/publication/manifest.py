"""The manifest of a publication: every object of every published table, in plain JSON."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ingestion.errors import PipelineError
from ingestion.warehouse.partitions import is_month, partition_texts

FORMAT = 1  # another number wherever a reader of this one would be led astray


@dataclasses.dataclass(frozen=True)
class MartFile:
    """One Parquet object. ``path`` is relative to the table and begins with its partition."""

    path: str
    key: str
    size: int
    rows: int
    sha256: str

    @property
    def partition(self) -> str:
        """The folder part, such as ``sales_month=2024-03``; '' for a table without partitions."""
        return self.path.rpartition("/")[0]


@dataclasses.dataclass(frozen=True)
class MartTable:
    """One published table: columns as (name, Spark type) in published order, primary key,
    whether the database has it too, and its files."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    in_database: bool
    partition_columns: tuple[str, ...]
    files: tuple[MartFile, ...]

    @property
    def rows(self) -> int:
        """Rows over all files."""
        return sum(file.rows for file in self.files)

    def by_partition(self) -> dict[str, tuple[MartFile, ...]]:
        """The files of each partition, in path order."""
        found: dict[str, list[MartFile]] = {}
        for file in sorted(self.files, key=lambda item: item.path):
            found.setdefault(file.partition, []).append(file)
        return {name: tuple(files) for name, files in found.items()}


@dataclasses.dataclass(frozen=True)
class Manifest:
    """One immutable version of all published tables."""

    version: int
    run_id: str
    published_at: str
    tables: Mapping[str, MartTable]

    def to_json(self) -> bytes:
        """The manifest's bytes; the same manifest always gives the same bytes."""
        content = {
            "format": FORMAT,
            "version": self.version,
            "run_id": self.run_id,
            "published_at": self.published_at,
            "tables": [
                {
                    "name": table.name,
                    "rows": table.rows,
                    "columns": [{"name": n, "type": t} for n, t in table.columns],
                    "key": list(table.key),
                    "in_database": table.in_database,
                    "partition_columns": list(table.partition_columns),
                    "files": [dataclasses.asdict(file) for file in table.files],
                }
                for _, table in sorted(self.tables.items())
            ],
        }
        return json.dumps(content, indent=1, ensure_ascii=False).encode()


class UnknownFormat(PipelineError):
    """A manifest that this version of the pipeline cannot read, or that is not the one that was
    published: its objects are not known."""


def from_json(content: bytes, key: str, sha256: str) -> Manifest:
    """The manifest that ``to_json`` wrote, from the object ``key``, whose hash was recorded.

    Raises ``UnknownFormat`` where another version of the pipeline has written it, or somebody else.
    """
    loaded = _of_known_format(content, key)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise UnknownFormat(
            f"The manifest {key} cannot be read",
            expected=f"the bytes that were published, with the SHA-256 {sha256}",
            found="other content",
            action="Bring the object back as it was, or delete it",
        )
    tables = {
        table["name"]: MartTable(
            name=table["name"],
            columns=tuple((column["name"], column["type"]) for column in table["columns"]),
            key=tuple(table["key"]),
            in_database=table["in_database"],
            partition_columns=tuple(table["partition_columns"]),
            files=tuple(MartFile(**file) for file in table["files"]),
        )
        for table in loaded["tables"]
    }
    return Manifest(loaded["version"], loaded["run_id"], loaded["published_at"], tables)


def _of_known_format(content: bytes, key: str) -> dict[str, Any]:
    try:
        loaded = json.loads(content)
        number = loaded["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise UnknownFormat(
            f"The manifest {key} cannot be read",
            expected=f"JSON with the format {FORMAT}, as it was published",
            found="other content",
            action="Bring the object back as it was, or delete it",
        ) from error
    if number != FORMAT:
        raise UnknownFormat(
            f"The manifest {key} cannot be read",
            expected=f"the format {FORMAT}, which this version of the pipeline writes",
            found=f"the format {number}",
            action="Use the version of the pipeline that has published it",
        )
    return dict(loaded)


def changed_partitions(old: MartTable | None, new: MartTable) -> tuple[str, ...]:
    """The partitions whose files differ, those that only one side has included."""
    before, after = ({} if table is None else _keys(table) for table in (old, new))
    if before and old is not None and old.partition_columns != new.partition_columns:
        return ("",)  # the whole table
    return tuple(
        sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    )


def _keys(table: MartTable) -> dict[str, set[str]]:
    """The objects of each partition; they are never changed, so their keys tell their content."""
    return {name: {file.key for file in files} for name, files in table.by_partition().items()}


def touched_months(changed: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The months among the changed partitions, in order."""
    months = {
        text
        for partitions in changed.values()
        for partition in partitions
        for name, text in partition_texts(partition).items()
        if is_month(name)
    }
    return sorted(months)
