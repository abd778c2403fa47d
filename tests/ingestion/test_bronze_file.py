"""A bronze file holds every row once and in order, however it was gathered and encoded."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.reader import bronze_file
from ingestion.reader.bronze_file import BronzeFile
from ingestion.reader.bronze_rows import bronze_schema

BLOCK_ROWS = 500


def block(first: int) -> pa.Table:
    """Return rows as the reader hands them on: names that repeat, prices that do not, no fault."""
    numbers = range(first, first + BLOCK_ROWS)
    names = ["file_id", "line_number", "product_name", "price"]
    values = [[7] * BLOCK_ROWS, numbers, [f"soap {n % 9}" for n in numbers], map(str, numbers)]
    columns = dict(zip(names, map(list, values), strict=True))
    schema = bronze_schema(names[2:])
    nothing = [None] * BLOCK_ROWS
    return pa.table([columns.get(name, nothing) for name in schema.names], schema=schema)


@pytest.mark.parametrize("processors", [1, 2])
def test_rows_of_several_groups_come_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    """With one processor groups are encoded where they are read; none may be lost or repeated."""
    monkeypatch.setattr(bronze_file, "usable_processors", lambda: processors)
    monkeypatch.setattr(bronze_file, "GROUP_ROWS", 2 * BLOCK_ROWS)
    blocks = [block(first) for first in range(2, 5 * BLOCK_ROWS, BLOCK_ROWS)]
    path = tmp_path / "rows.parquet"

    with BronzeFile(path, blocks[0].schema) as file:
        for rows in blocks:
            file.write(rows)
        file.finish()

    assert pq.read_table(path).equals(pa.concat_tables(blocks))
    assert pq.read_metadata(path).num_row_groups == 3
    assert [entry.name for entry in tmp_path.iterdir()] == ["rows.parquet"]


@pytest.mark.parametrize("processors", [1, 2])
def test_a_file_left_before_its_end_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    """Half a file under its name would count as the sales of a day."""
    monkeypatch.setattr(bronze_file, "usable_processors", lambda: processors)
    monkeypatch.setattr(bronze_file, "GROUP_ROWS", BLOCK_ROWS)
    rows = block(2)

    with BronzeFile(tmp_path / "rows.parquet", rows.schema) as file:
        file.write(rows)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("processors", [1, 2])
def test_a_group_that_cannot_be_written_ends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processors: int
) -> None:
    """Risk: the groups behind it are written, and the file has its name without those rows."""
    monkeypatch.setattr(bronze_file, "usable_processors", lambda: processors)
    monkeypatch.setattr(bronze_file, "GROUP_ROWS", BLOCK_ROWS)
    rows = block(2)

    def write(*tables: pa.Table) -> None:
        with BronzeFile(tmp_path / "rows.parquet", rows.schema) as file:
            for table in tables:
                file.write(table)
            file.finish()

    with pytest.raises(ValueError, match="schema does not match"):
        write(rows, rows.drop(["price"]), rows, rows)

    assert list(tmp_path.iterdir()) == []


def test_only_columns_that_shrink_are_compressed(tmp_path: Path) -> None:
    """Compressing amounts takes time for nothing; leaving remarks as they are fills the disk."""
    amounts = [f"{number * 7919 % 99_999}.{number % 100:02d}" for number in range(5_000)]
    remarks = [f"brought back on day {number}, without the box" for number in range(5_000)]
    schema = pa.schema([("amount", pa.string()), ("remark", pa.string())])
    path = tmp_path / "rows.parquet"

    with BronzeFile(path, schema) as file:
        file.write(pa.table([amounts, remarks], schema=schema))
        file.finish()

    group = pq.read_metadata(path).row_group(0)
    assert [group.column(index).compression for index in (0, 1)] == ["UNCOMPRESSED", "SNAPPY"]
    assert pq.read_table(path).to_pydict() == {"amount": amounts, "remark": remarks}
