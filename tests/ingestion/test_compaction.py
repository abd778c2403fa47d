"""Batches of closed months are merged where that saves files, and their rows stay as they were."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console
from sqlalchemy.engine import Engine

from ingestion.database import batches, staging_changes, staging_table
from ingestion.database.batches import BatchState, merge_batches, move_batch, open_batch
from ingestion.database.staging_table import Delivery, FileCount, FileRow, utc_now
from ingestion.errors import PipelineError
from ingestion.publication.publications import Publication
from ingestion.reader.bronze_file import BronzeFile
from ingestion.reader.bronze_rows import bronze_schema
from ingestion.run import compaction
from ingestion.run.compaction import Merge, plan_merges, write_bronze
from ingestion.run.compaction_report import Compaction, Layer, show
from ingestion.warehouse.fact_tables import FactTable, hold_batches, months_of_batches
from ingestion.warehouse.ledger import LedgerEntry
from ingestion.warehouse.raw_tables import batch_folders, bronze_path, merged_path
from tests.file_rows import file_row

MARCH = frozenset({"2024-03"})


def row(number: int, batch_id: int, rows: int = 2, status: str = "I") -> FileRow:
    """A published file of this batch."""
    return file_row(
        number,
        f"in/{number}.csv",
        batch_id=batch_id,
        status=status,
        rows_read=rows,
        rows_valid=rows,
    )


def write(path: Path, rows: Mapping[int, int], columns: tuple[str, ...] = ("price",)) -> None:
    """A bronze file with so many lines of each file."""
    schema = bronze_schema(columns)
    lines = [(number, line) for number, count in rows.items() for line in range(2, count + 2)]
    table = pa.table(
        {
            field.name: [number for number, _ in lines]
            if field.name == "file_id"
            else [line for _, line in lines]
            if field.name == "line_number"
            else [f"{field.name} {number}:{line}" for number, line in lines]
            for field in schema
        },
        schema=schema,
    )
    with BronzeFile(path, schema) as file:
        file.write(table)
        file.finish()


def test_batches_of_the_same_closed_months_are_merged(tmp_path: Path) -> None:
    """Risk: a correction of one day builds a year again, or a month still open is rewritten."""
    rows = [row(number, number) for number in range(1, 11)]
    rows.insert(0, row(0, 1, status="S"))  # replaced: its rows count no more
    months = {
        1: MARCH,
        2: {"2024-01", "2024-03"},  # a late file: its corrections touch two months
        3: MARCH,
        4: {"2024-04"},
        5: {"2024-04"},
        6: {"2024-05"},
        7: {"2024-05"},
        10: MARCH,  # the newest delivery; 8 and 9 have no sale
    }
    merges = plan_merges(rows, range(1, 11), months, tmp_path, "2024-05")
    assert [merge.old_ids for merge in merges] == [(8, 9), (1, 3), (4, 5)]
    assert [merge.batch_id for merge in merges] == [11, 12, 13]
    assert [[item.id for item in part] for part in merges[1].parts] == [[1, 3]]


def test_a_merged_batch_is_never_larger_than_a_month_of_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: merged batches grow from compaction to compaction, and every correction with them."""
    monkeypatch.setattr(compaction, "MOST_ROWS", 10)
    rows = [row(1, 1, 6), row(2, 2, 4), row(3, 3, 1), row(4, 4, 30), row(5, 5, 2), row(6, 6)]
    rows.insert(5, row(7, 5, 9))
    rows.sort(key=lambda item: item.batch_id)
    write(bronze_path(tmp_path, 5, 5), {5: 2})
    write(bronze_path(tmp_path, 5, 7), {7: 9})
    months = dict.fromkeys(range(1, 6), MARCH)
    merges = plan_merges(rows, range(1, 7), months, tmp_path, "2024-05")
    # 3 and 4 have one file each, and so has 5: one would not be smaller
    assert [merge.old_ids for merge in merges] == [(1, 2)]
    monkeypatch.setattr(compaction, "MOST_ROWS", 11)
    merges = plan_merges(rows, range(1, 7), months, tmp_path, "2024-05")
    assert [merge.old_ids for merge in merges] == [(1, 2, 3), (5,)]
    assert [[item.id for item in part] for part in merges[1].parts] == [[5, 7]]


def test_a_warehouse_that_lacks_a_batch_is_seen(tmp_path: Path) -> None:
    """Risk: where another machine has published or merged, an increment drops or doubles sales."""
    tables = [
        FactTable("retail.sales", tmp_path / "sales", ("sales_month", "batch_id")),
        FactTable("retail.files", tmp_path / "files", ("batch_id",)),
    ]
    assert hold_batches(tables, {1}, {1}), "tables that lie elsewhere"
    for folder in ("sales/sales_month=2024-03/batch_id=1", "files/batch_id=1", "files/batch_id=4"):
        (tmp_path / folder).mkdir(parents=True)
    assert months_of_batches(tables) == {1: {"2024-03"}, 4: set()}
    assert hold_batches(tables, {1}, {1, 2, 4})
    assert not hold_batches(tables, {1, 2}, {1, 2, 4}), "another machine has published batch 2"
    assert not hold_batches(tables, {1}, {1, 2}), "another machine has merged batch 4"


def test_merged_bronze_has_each_row_that_counts_once_in_order(tmp_path: Path) -> None:
    """Risk: rows are lost or doubled on the way, or come back that a correction replaced."""
    rows = [row(1, 1), row(2, 2, 3), row(3, 1, 0), row(5, 1, 4), row(6, 2, status="E")]
    write(merged_path(tmp_path, 1, 1, 5), {1: 2, 4: 9, 5: 4})  # merged before; 4 was replaced
    write(bronze_path(tmp_path, 2, 2), {2: 3}, ("price", "till"))  # a newer contract
    write(bronze_path(tmp_path, 2, 6), {6: 2}, ("price", "till"))
    write(merged_path(tmp_path, 7, 8, 9), {8: 1})  # left by a compaction that was killed
    seen: list[int] = []
    write_bronze(tmp_path, Merge(7, (1, 2), (tuple(rows[:3]), tuple(rows[3:]))), seen.append)
    assert seen == [3, 2]
    folder = tmp_path / "sales" / "batch_id=7"
    assert sorted(path.name for path in folder.iterdir()) == ["1-3.parquet", "5-6.parquet"]
    first, second = (pq.read_table(folder / name) for name in ("1-3.parquet", "5-6.parquet"))
    assert first["file_id"].to_pylist() == [1, 1, 2, 2, 2]
    assert first["line_number"].to_pylist() == [2, 3, 2, 3, 4]
    assert first["till"].to_pylist() == [None, None, "till 2:2", "till 2:3", "till 2:4"]
    assert first["price"].to_pylist()[:2] == ["price 1:2", "price 1:3"]
    assert second["file_id"].to_pylist() == [5, 5, 5, 5, 6, 6]


def test_a_file_set_aside_whose_rows_are_gone_is_merged_without_them(tmp_path: Path) -> None:
    """Risk: a new workspace could not read it again, and no compaction gets through any more."""
    gone, other, counts = row(1, 1, status="E"), row(2, 1, status="E"), row(3, 2)
    write(bronze_path(tmp_path, 2, 3), {3: 2})
    write_bronze(tmp_path, Merge(4, (1, 2), ((gone,), (other, counts))), lambda _: None)
    [path] = (tmp_path / "sales" / "batch_id=4").iterdir()
    assert pq.read_table(path)["file_id"].to_pylist() == [3, 3]
    path.rename(merged_path(tmp_path, 4, 2, 3))  # as one that lies between two others
    moved = [dataclasses.replace(item, batch_id=4) for item in (other, counts)]
    write_bronze(tmp_path, Merge(5, (4,), (tuple(moved),)), lambda _: None)
    [path] = (tmp_path / "sales" / "batch_id=5").iterdir()
    assert pq.read_table(path)["file_id"].to_pylist() == [3, 3]


@pytest.mark.parametrize("found", [1, 3])
def test_bronze_of_other_rows_than_were_read_is_not_merged(tmp_path: Path, found: int) -> None:
    """Risk: a damaged file is sealed into a merged one, and its good copy is forgotten."""
    write(bronze_path(tmp_path, 1, 1), {1: found})
    with pytest.raises(PipelineError) as refused:
        write_bronze(tmp_path, Merge(2, (1,), ((row(1, 1),),)), lambda _: None)
    assert str(refused.value) == (
        "The rows of in/1.csv cannot be merged; nothing was changed. Expected: 2 rows, as read "
        f"from the file. Found: {found} rows in {bronze_path(tmp_path, 1, 1)}. Remove that file: "
        "its archived object is then read again."
    )


@pytest.mark.parametrize("is_cut", [True, False])
def test_damaged_bronze_is_told_with_what_to_do(tmp_path: Path, is_cut: bool) -> None:
    """Risk: a file that a power cut left empty, or a disk changed, ends each compaction in a stack
    trace, and nobody knows which file it is."""
    damaged = bronze_path(tmp_path, 1, 2)
    write(bronze_path(tmp_path, 1, 1), {1: 2})
    write(damaged, {2: 2})
    content = damaged.read_bytes()
    damaged.write_bytes(b"" if is_cut else content[:20] + bytes(20) + content[40:])
    with pytest.raises(PipelineError) as refused:
        write_bronze(tmp_path, Merge(2, (1,), ((row(1, 1), row(2, 1)),)), lambda _: None)
    assert str(refused.value) == (
        "The rows of in/2.csv cannot be merged; nothing was changed. Expected: 2 rows, as read "
        f"from the file. Found: a damaged file, {damaged}. Remove that file: its archived object "
        "is then read again."
    )


def test_bronze_of_the_batches_that_are_there_stays(tmp_path: Path) -> None:
    """Risk: after a compaction every file that counts is to be read from the archive again."""
    for batch_id in (1, 2):
        write(bronze_path(tmp_path, batch_id, batch_id), {batch_id: 1})
    compaction.remove_unknown_bronze(tmp_path, [2])
    assert list(batch_folders(tmp_path)) == [2]


def test_merged_batches_take_the_place_of_the_old_ones_in_one_step(
    each_engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a file belongs to a batch that nobody knows; or an old run's batches are taken away."""
    monkeypatch.setattr(staging_changes, "_BATCHES_AT_ONCE", 1)
    staging_table.metadata.create_all(each_engine)
    way = [BatchState.BRONZE, BatchState.ARCHIVED]
    with each_engine.begin() as connection:
        for number in (1, 2, 3):
            batch_id = open_batch(connection, "run-1")
            delivery = Delivery(f"{number}.csv", "s3://bucket/x", "e1", None, 1)
            staging_changes.add_deliveries(
                connection, [delivery], batch_id=batch_id, run_id="run-1"
            )
            for state in way:
                move_batch(connection, batch_id, state, "run-1")
    for _ in range(2):  # the second time stands for a commit whose answer was lost
        with each_engine.begin() as connection:
            merge_batches(connection, {4: [1, 2]}, "run-2")
    with each_engine.begin() as connection:
        assert batches.all_batch_ids(connection) == [3, 4]
        assert batches.unfinished_batch(connection) is None
        assert [item.batch_id for item in staging_table.all_rows(connection)] == [4, 4, 3]
    for merges in ({5: [1, 3]}, {4: [3]}):
        with (
            pytest.raises(PipelineError, match="another run was active"),
            each_engine.begin() as connection,
        ):
            merge_batches(connection, merges, "run-3")
    with each_engine.begin() as connection:
        assert batches.all_batch_ids(connection) == [3, 4]
        assert open_batch(connection, "run-4") == 5
    with (
        pytest.raises(PipelineError, match="Found: 1 of them, and batch 5"),
        each_engine.begin() as connection,
    ):
        merge_batches(connection, {6: [3, 5]}, "run-5")


def test_the_report_shows_every_layer_before_and_after() -> None:
    """Risk: a user cannot see what was gained, or that the numbers have stayed."""
    before = {
        "bronze": Layer(1200, 9_000_000, 90),
        "facts": Layer(210, 4_000_000, 90),
        "line marts": Layer(45, 8_000_000, None),
    }
    after = {
        **before,
        "bronze": Layer(33, 7_000_000, 4),
        "facts": Layer(12, 3_000_000, 4),
    }
    moved = [LedgerEntry(FileCount(1, 3, 2, 1, Decimal("1234.50")), Decimal("1234.50"), Decimal(0))]
    publication = Publication(
        7, "run", utc_now(), "key", "", "", rows_total=5, amount_total=Decimal("2345.60")
    )
    console = Console(width=100, file=io.StringIO(), record=True)
    done = Compaction(before, after, moved, publication, {"bronze": 1.0, "facts": 2.5})
    show(done, console)
    shown = [" ".join(line.split()) for line in console.export_text().splitlines() if line]
    assert shown[0].startswith("Compacted 90 batches into 4 ")
    assert shown[1:] == [
        "files now bytes now batches now",
        "bronze 1,200 33 9,000,000 7,000,000 90 4",
        "facts 210 12 4,000,000 3,000,000 90 4",
        "line marts 45 45 8,000,000 8,000,000",
        "moved 2 sales, 1,234.50: before and after the same, in every month and every row",
        "published version 7 as it was: 5 sales, 2,345.60",
        "Seconds: bronze 1.0 facts 2.5 total 3.5",
    ]
    assert json.loads(json.dumps(done.to_json())) == {
        "outcome": "Compacted 90 batches into 4",
        "before": {name: dataclasses.asdict(layer) for name, layer in before.items()},
        "after": {name: dataclasses.asdict(layer) for name, layer in after.items()},
        "rows_moved": 2,
        "amount_moved": "1234.50",
        "version": 7,
        "seconds": {"bronze": 1.0, "facts": 2.5},
    }
