"""The published tables in the database: loaded beside the live ones, then visible in one step."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import KEY_TEXT_LENGTH, column_type, define_table, table_names
from ingestion.errors import PipelineError
from ingestion.publication.manifest import MartFile, MartTable, changed_partitions
from ingestion.publication.misfits import find_misfits
from ingestion.publication.unfit_keys import refuse_unfit_keys
from ingestion.warehouse.partitions import partition_texts

if TYPE_CHECKING:
    import pyarrow as pa

COMPARED_ROWS = 250_000  # of a partition, in memory; a larger one is replaced unread
_LOAD_SUFFIX, _GONE_SUFFIX = "__load", "__gone"


@dataclasses.dataclass(frozen=True)
class LoadedChange:
    """What a publication changes in one table, in tables that readers do not see.

    ``emptied`` partitions lose all their rows; '' stands for the whole table. Other partitions lose
    the rows with a key in ``gone`` or ``rows``. Then ``rows`` are added, ``row_count`` of them.
    """

    mart: MartTable
    rows: sa.Table[Any]
    gone: sa.Table[Any] | None
    emptied: tuple[str, ...]
    row_count: int


def live_table(mart: MartTable, metadata: sa.MetaData, suffix: str = "") -> sa.Table[Any]:
    """The mart as a table: columns in published order, primary key as its model says.

    Rows that come in the order of that key are many times faster to load.
    """
    columns = [
        sa.Column(
            name,
            column_type(data_type, key=name in mart.key),
            autoincrement=False,
            nullable=name not in mart.key,
        )
        for name, data_type in mart.columns
    ]
    keys = [sa.PrimaryKeyConstraint(*mart.key)] if mart.key else []
    return define_table(metadata, mart.name + suffix, *columns, *keys)


def _key_table(mart: MartTable, metadata: sa.MetaData, suffix: str) -> sa.Table[Any]:
    of_key = tuple((name, data_type) for name, data_type in mart.columns if name in mart.key)
    return live_table(dataclasses.replace(mart, columns=of_key), metadata, suffix)


def _drop_leftovers(engine: Engine, name: str) -> None:
    """Removes what runs that were cut short have loaded beside this table."""
    _drop_all(engine, rf"{re.escape(name)}({_LOAD_SUFFIX}|{_GONE_SUFFIX})(_[0-9a-f]{{8}})?")


def _drop_all(engine: Engine, pattern: str) -> None:
    names = [name for name in table_names(engine) if re.fullmatch(pattern, name)]
    if names:
        with engine.begin() as connection:
            for name in names:
                table = sa.Table(name, sa.MetaData())
                connection.execute(sa.schema.DropTable(table, if_exists=True))


def ensure_live_tables(engine: Engine, marts: Iterable[MartTable]) -> None:
    """Creates the tables that are missing; one that does not fit its model is an error."""
    metadata = sa.MetaData()
    marts = list(marts)
    for mart in marts:
        live_table(mart, metadata)
    metadata.create_all(engine)
    check_live_tables(engine, marts)


def check_live_tables(engine: Engine, marts: Iterable[MartTable]) -> None:
    """``PipelineError`` where a table that is there does not fit its model; creates none."""
    misfits = find_misfits(engine, [live_table(mart, sa.MetaData()) for mart in marts])
    if misfits:
        raise PipelineError(
            "Tables in the database do not match what is to be published",
            expected="every column of the published model, in a type that holds its values; no "
            "other required column; the model's key",
            found="".join(f"\n- {misfit}" for misfit in misfits),
            action="Correct them (alter table), or drop them to have them recreated",
        )


def load_beside(
    engine: Engine,
    old: MartTable | None,
    new: MartTable,
    local_path: Callable[[MartFile], Path],
    tag: str,
) -> LoadedChange | None:
    """Loads what turns the live table from ``old``, published last, into ``new``; None if nothing.

    Of a changed partition only the rows that differ are sent, unless it is too large to compare.
    The whole table is sent where ``old`` has another shape or the live table not its number of
    rows (somebody has dropped or emptied it). What an interrupted run left beside it is gone.
    ``tag`` tells the tables of this run from those of another. Raises ``PipelineError`` for a row
    whose key the database would not take.
    """
    from ingestion.database.bulk_load import load_rows

    metadata = sa.MetaData()
    loaded = live_table(new, metadata, f"{_LOAD_SUFFIX}_{tag}")
    gone = _key_table(new, metadata, f"{_GONE_SUFFIX}_{tag}") if new.key else None
    _drop_leftovers(engine, new.name)
    if old is None or not _is_comparable(engine, old, new):
        changes = [_PartitionChange("", (), new.files)]
        emptied: tuple[str, ...] = ("",)
    else:
        changes = list(_partition_changes(old, new))
        emptied = tuple(change.partition for change in changes if not change.is_compared(new))
    if not changes:
        return None
    metadata.create_all(engine)
    vanished: list[pa.Table] = []

    longest = None if engine.dialect.name == "sqlite" else KEY_TEXT_LENGTH

    def fresh_rows() -> Iterator[pa.Table]:
        vanished.clear()
        for change in changes:
            if change.partition in emptied:
                fresh: Iterable[pa.Table] = _read(new, change.after, local_path)
            else:
                fresh, lost = _compared(new, change, local_path)
                vanished.extend(lost)
            for rows in fresh:
                refuse_unfit_keys(new, rows, longest)
                yield rows

    row_count = load_rows(engine, loaded, fresh_rows)
    if gone is not None:
        load_rows(engine, gone, lambda: iter(vanished))
    return LoadedChange(new, loaded, gone, emptied, row_count)


def swap_in(connection: Connection, change: LoadedChange) -> None:
    """Makes the loaded change visible, in the caller's transaction: a reader sees all of it or
    nothing."""
    mart, live = change.mart, live_table(change.mart, sa.MetaData())
    types = dict(mart.columns)
    for partition in change.emptied:
        values = partition_values(partition, types)
        connection.execute(
            live.delete().where(*[live.c[name] == value for name, value in values.items()])
        )
    if change.gone is not None and "" not in change.emptied:
        for keys in (change.gone, change.rows):
            same_key = sa.and_(*[live.c[name] == keys.c[name] for name in mart.key])
            if connection.dialect.name == "sqlite":  # it joins no second table to a delete
                same_key = sa.exists(sa.select(keys.c[mart.key[0]]).where(same_key))
            connection.execute(live.delete().where(same_key))
    names = [name for name, _ in mart.columns]
    connection.execute(live.insert().from_select(names, sa.select(change.rows)))


def empty(connection: Connection, names: Iterable[str]) -> None:
    """Deletes all rows of these tables, in the caller's transaction; they keep their grants."""
    for name in names:
        connection.execute(sa.Table(name, sa.MetaData()).delete())


def drop_loaded(engine: Engine, tag: str) -> None:
    """Removes the tables that :func:`load_beside` made for the run of this ``tag``."""
    _drop_all(engine, rf".+({_LOAD_SUFFIX}|{_GONE_SUFFIX})_{re.escape(tag)}")


@dataclasses.dataclass(frozen=True)
class _PartitionChange:
    partition: str
    before: tuple[MartFile, ...]
    after: tuple[MartFile, ...]

    def is_compared(self, mart: MartTable) -> bool:
        rows = sum(file.rows for file in (*self.before, *self.after))
        return bool(mart.key) and rows <= COMPARED_ROWS


def _is_comparable(engine: Engine, old: MartTable, new: MartTable) -> bool:
    shape = (old.columns, old.key, old.partition_columns, old.in_database)
    if shape != (new.columns, new.key, new.partition_columns, new.in_database):
        return False
    live = live_table(new, sa.MetaData())
    with engine.connect() as connection:
        count = connection.execute(sa.select(sa.func.count()).select_from(live)).scalar()
    return count == old.rows


def _partition_changes(old: MartTable, new: MartTable) -> Iterator[_PartitionChange]:
    before, after = old.by_partition(), new.by_partition()
    for partition in changed_partitions(old, new):
        yield _PartitionChange(partition, before.get(partition, ()), after.get(partition, ()))


def _compared(
    mart: MartTable, change: _PartitionChange, local_path: Callable[[MartFile], Path]
) -> tuple[list[pa.Table], list[pa.Table]]:
    """The rows that are new or differ, and the keys of rows that are there no more."""
    import pyarrow as pa

    from ingestion.database.row_text import as_lines, without

    key = list(mart.key)
    old_keys, old_lines, new_keys = [], [], []
    for rows in _read(mart, change.before, local_path):
        old_keys.append(rows.select(key))
        old_lines += as_lines(rows).chunks
    known = pa.chunked_array(old_lines, pa.string())
    fresh = []
    for rows in _read(mart, change.after, local_path):
        new_keys += as_lines(rows.select(key)).chunks
        fresh.append(without(rows, known))
    there = pa.chunked_array(new_keys, pa.string())
    return fresh, [without(keys, there) for keys in old_keys]


def partition_values(partition: str, types: Mapping[str, str]) -> dict[str, Any]:
    """``sales_month=2024-03/store_id=121`` as values of the columns' types."""
    return {
        name: int(text) if types[name] in ("int", "bigint") else text
        for name, text in partition_texts(partition).items()
    }


def _read(
    mart: MartTable, files: Sequence[MartFile], local_path: Callable[[MartFile], Path]
) -> Iterator[pa.Table]:
    """The files' rows with the mart's columns in its order, a bounded number at a time."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ingestion.database.bulk_load import BATCH_ROWS

    types = dict(mart.columns)
    for item in files:
        fixed = partition_values(item.partition, types)
        with pq.ParquetFile(local_path(item)) as file:
            stored = [name for name in types if name not in fixed]
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=stored):
                columns = {
                    name: batch.column(name)
                    if name not in fixed
                    else pa.repeat(fixed[name], batch.num_rows)
                    for name in types
                }
                yield pa.table(columns)
