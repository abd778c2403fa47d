"""Decides which batches of closed months become one, and writes their bronze as few large files.

A batch is the unit of rebuilding: a correction builds the whole batch of the old version again, and
every month that the batch touches. So only batches that span the same months are merged, up to a
number of rows: a correction then costs what a month costs, never what the years cost.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ingestion.database.staging_table import FileRow, is_accepted, is_in_bronze
from ingestion.errors import PipelineError
from ingestion.warehouse.raw_tables import (
    batch_folder,
    batch_folders,
    bronze_path,
    merged_files,
    merged_path,
)

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
MOST_ROWS = 4_000_000  # of a merged batch, and of a Parquet file in it: some 110 MB


@dataclasses.dataclass(frozen=True)
class Merge:
    """One new batch in place of old ones; ``parts`` are the files of each of its Parquet files."""

    batch_id: int
    old_ids: tuple[int, ...]
    parts: tuple[tuple[FileRow, ...], ...]


def plan_merges(
    rows: Sequence[FileRow],
    archived_ids: Sequence[int],
    months: Mapping[int, Collection[str]],
    bronze: Path,
    before: str,
) -> list[Merge]:
    """The merges of archived batches whose sales all lie in months before ``before``.

    ``rows`` is the staging table, ``months`` has the months of each batch with sales. The batch of
    the newest delivery stays as it is, and so does one that would only be written as it was.
    """
    newest = rows[-1].batch_id if rows else None
    files: dict[int, list[FileRow]] = {}
    for row in filter(is_in_bronze, rows):
        files.setdefault(row.batch_id, []).append(row)
    spans: dict[tuple[str, ...], list[int]] = {}
    for batch_id in archived_ids:
        found = sorted(months.get(batch_id, ()))
        if batch_id != newest and all(month < before for month in found):
            spans.setdefault((found[-1], found[0]) if found else (), []).append(batch_id)
    merges: list[Merge] = []
    for _, batch_ids in sorted(spans.items()):
        for old_ids in _filled(batch_ids, lambda batch_id: _rows(files.get(batch_id, ()))):
            moved = [row for old_id in old_ids for row in files.get(old_id, ())]
            parts = _filled(sorted(moved, key=lambda row: row.id), lambda row: _rows([row]))
            if len(old_ids) > 1 or len(_parquet_files(bronze, old_ids[0])) > len(parts):
                batch_id = max(archived_ids) + len(merges) + 1
                merges.append(Merge(batch_id, old_ids, tuple(parts)))
    return merges


def _rows(files: Iterable[FileRow]) -> int:
    return sum(row.rows_read or 0 for row in files)


def _filled(items: Iterable[T], rows: Callable[[T], int]) -> list[tuple[T, ...]]:
    """The items in their order, in groups of at most ``MOST_ROWS`` rows; a larger one is alone."""
    groups: list[list[T]] = []
    free = 0
    for item in items:
        if not groups or rows(item) > free:
            groups.append([])
            free = MOST_ROWS
        groups[-1].append(item)
        free -= rows(item)
    return [tuple(group) for group in groups]


def _parquet_files(bronze: Path, batch_id: int) -> list[Path]:
    return list(batch_folder(bronze, batch_id).glob("*.parquet"))


def write_bronze(bronze: Path, merge: Merge, progress: Callable[[int], None]) -> None:
    """Writes the merged batch's Parquet files, sorted by file and line; the old ones stay.

    Rows of versions that were replaced are left out. ``progress`` gets the number of files after
    each part. Raises ``PipelineError`` where a file's rows are not as many as were read; one that
    was set aside may have none, where they could not be read again.
    """
    shutil.rmtree(batch_folder(bronze, merge.batch_id), ignore_errors=True)  # of a run cut short
    sources = _Sources(bronze, merge.old_ids)
    for part in merge.parts:
        there = [row for row in part if is_accepted(row) or sources.path_of(row).exists()]
        if there:
            destination = merged_path(bronze, merge.batch_id, there[0].id, there[-1].id)
            _write_part(destination, sources, there)
        progress(len(part))


class _Sources:
    """Where the rows of each file of some batches lie."""

    def __init__(self, bronze: Path, batch_ids: Iterable[int]) -> None:
        self._bronze = bronze
        self._merged = {batch_id: merged_files(bronze, batch_id) for batch_id in batch_ids}

    def path_of(self, row: FileRow) -> Path:
        for ids, path in self._merged[row.batch_id].items():
            if row.id in ids:
                return path
        return bronze_path(self._bronze, row.batch_id, row.id)


def _write_part(destination: Path, sources: _Sources, part: Sequence[FileRow]) -> None:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    from ingestion.reader.bronze_file import BronzeFile

    runs = [(path, list(rows)) for path, rows in itertools.groupby(part, key=sources.path_of)]
    schemas = []
    for path, rows in runs:
        with _damage_told(path, rows):
            schemas.append(pq.read_schema(path))
    schema = pa.unify_schemas(schemas)
    with BronzeFile(destination, schema) as file:
        for path, rows in runs:
            written = dict.fromkeys((row.id for row in rows), 0)
            with _damage_told(path, rows), pq.ParquetFile(path) as source:
                for group in range(source.num_row_groups):
                    table = source.read_row_group(group)
                    table = table.filter(pc.is_in(table["file_id"], pa.array(list(written))))
                    for count in pc.value_counts(table["file_id"]).to_pylist():
                        written[count["values"]] += count["counts"]
                    file.write(_with_columns(table, schema))
            _check_counts(path, rows, written)
        file.finish()


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of ``schema``; null where the contract had no such column yet."""
    import pyarrow as pa

    columns = {
        field.name: table[field.name]
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns, schema=schema)


def _check_counts(path: Path, rows: Iterable[FileRow], written: Mapping[int, int]) -> None:
    for row in rows:
        is_left_out = not is_accepted(row) and not written[row.id]
        if written[row.id] != row.rows_read and not is_left_out:
            raise _not_mergeable(row, f"{written[row.id]} rows in {path}")


@contextlib.contextmanager
def _damage_told(path: Path, rows: Sequence[FileRow]) -> Iterator[None]:
    """``PipelineError`` where the block finds that the Parquet file is damaged."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk
            raise
        raise _not_mergeable(rows[0], f"a damaged file, {path}") from error


def _not_mergeable(row: FileRow, found: str) -> PipelineError:
    return PipelineError(
        f"The rows of {row.file_name} cannot be merged; nothing was changed",
        expected=f"{row.rows_read} rows, as read from the file",
        found=found,
        action="Remove that file: its archived object is then read again",
    )


def remove_unknown_bronze(bronze: Path, known_ids: Collection[int]) -> None:
    """Removes the bronze of batches that the database does not know (any more)."""
    for batch_id, folder in batch_folders(bronze).items():
        if batch_id not in known_ids:
            shutil.rmtree(folder)
