"""Versions of a mart made of small tables, and their publication to a database."""

from __future__ import annotations

import dataclasses
import hashlib
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy.engine import Engine

from ingestion.database.engine import translated_errors
from ingestion.publication.manifest import MartFile, MartTable
from ingestion.publication.mart_tables import (
    LoadedChange,
    drop_loaded,
    ensure_live_tables,
    load_beside,
    swap_in,
)


def with_rows(mart: MartTable, folder: Path, partitions: Mapping[str, pa.Table]) -> MartTable:
    """The mart with one Parquet file for each partition folder, written below ``folder``."""
    files = []
    for partition, content in partitions.items():
        path = folder / uuid.uuid4().hex / "part.parquet"
        path.parent.mkdir()
        pq.write_table(content, path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        size = path.stat().st_size
        relative = f"{partition}/{path.name}" if partition else path.name
        files.append(MartFile(relative, str(path), size, content.num_rows, sha256))
    return dataclasses.replace(mart, files=tuple(files))


def local_path(file: MartFile) -> Path:
    """Where :func:`with_rows` wrote it."""
    return Path(file.key)


def load(
    engine: Engine, versions: Iterable[tuple[MartTable | None, MartTable]]
) -> list[LoadedChange]:
    """Loads each change, from the version before to the new one, beside the live tables."""
    versions = list(versions)
    with translated_errors(engine):
        ensure_live_tables(engine, [new for _, new in versions])
        loaded = [load_beside(engine, old, new, local_path, "0123abcd") for old, new in versions]
    return [change for change in loaded if change is not None]


def show(engine: Engine, *versions: tuple[MartTable | None, MartTable]) -> int:
    """Publishes each change in one transaction; returns the rows that were loaded."""
    changes = load(engine, versions)
    with engine.begin() as connection:
        for change in changes:
            swap_in(connection, change)
    drop_loaded(engine, "0123abcd")
    return sum(change.row_count for change in changes)
