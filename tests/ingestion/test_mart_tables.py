"""Published tables change in one step, keep their definition, and hold exactly what was built."""

from __future__ import annotations

import datetime as dt
import decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.database import transaction
from ingestion.errors import PipelineError
from ingestion.mart_tables import (
    drop_loaded,
    ensure_live_tables,
    load_beside,
    partition_values,
    swap_in,
)
from ingestion.publication_manifest import MartTable

MART = MartTable(
    name="totals",
    columns=(
        ("customer_id", "int"),
        ("full_name", "string"),
        ("first_day", "date"),
        ("sales_month", "string"),
        ("total_sales", "decimal(28,2)"),
    ),
    key=("customer_id", "sales_month"),
    in_database=True,
    partition_columns=("sales_month",),
    files=(),
)


def parquet(path: Path, *rows: tuple[int, str, str]) -> Path:
    """A mart file without its partition column, as Spark writes it."""
    table = pa.table(
        {
            "customer_id": pa.array([row[0] for row in rows], pa.int32()),
            "full_name": [row[1] for row in rows],
            "first_day": pa.array([dt.date(2024, 3, 1)] * len(rows), pa.date32()),
            "total_sales": pa.array(
                [decimal.Decimal(row[2]) for row in rows], pa.decimal128(28, 2)
            ),
        }
    )
    pq.write_table(table, path)
    return path


def publish(engine: Engine, files: dict[str, Path], partitions: list[str]) -> None:
    ensure_live_tables(engine, [MART])
    loaded = load_beside(engine, MART, files.items())
    with transaction(engine) as connection:
        swap_in(connection, MART, loaded, partitions)
    drop_loaded(engine, [loaded])


def rows(engine: Engine) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        query = "select customer_id, full_name, sales_month, total_sales from totals order by 3, 1"
        return [(*row[:3], str(row[3])) for row in connection.execute(sa.text(query))]


def test_only_the_named_partitions_change(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: a day's run wipes the other months, or a month that became empty stays."""
    february = parquet(tmp_path / "2", (1, "Asha 🫖", "0.10"))
    march = parquet(tmp_path / "3", (1, "Asha 🫖", "12345678901234567890123456.78"))
    publish(each_engine, {"sales_month=2024-02": february, "sales_month=2024-03": march}, [""])
    april = parquet(tmp_path / "4", (2, "José", "5.00"), (3, "Jose", "-1.00"))
    publish(
        each_engine,
        {"sales_month=2024-04": april},
        ["sales_month=2024-02", "sales_month=2024-04"],
    )
    assert rows(each_engine) == [
        (1, "Asha 🫖", "2024-03", "12345678901234567890123456.78"),
        (2, "José", "2024-04", "5.00"),
        (3, "Jose", "2024-04", "-1.00"),
    ]


def test_a_failed_swap_leaves_the_old_rows(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: readers meet an empty month after an error in the middle."""
    march = parquet(tmp_path / "3", (1, "Asha", "1.00"))
    publish(each_engine, {"sales_month=2024-03": march}, [""])
    loaded = load_beside(each_engine, MART, [("sales_month=2024-03", parquet(tmp_path / "x"))])
    with each_engine.connect() as connection:
        swap_in(connection, MART, loaded, ["sales_month=2024-03"])
        connection.rollback()
    assert rows(each_engine) == [(1, "Asha", "2024-03", "1.00")]


def test_publishing_keeps_what_a_database_owner_added(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: indexes and columns of the live table are lost with each publication."""
    ensure_live_tables(each_engine, [MART])
    with transaction(each_engine) as connection:
        connection.execute(sa.text("create index by_month on totals (sales_month)"))
        connection.execute(sa.text("alter table totals add column remark varchar(10)"))
    march = parquet(tmp_path / "3", (1, "Asha", "1.00"))
    publish(each_engine, {"sales_month=2024-03": march}, [""])
    inspector = sa.inspect(each_engine)
    assert [index["name"] for index in inspector.get_indexes("totals")] == ["by_month"]
    assert inspector.get_pk_constraint("totals")["constrained_columns"] == [
        "customer_id",
        "sales_month",
    ]
    assert "totals__load" not in inspector.get_table_names()
    assert rows(each_engine) == [(1, "Asha", "2024-03", "1.00")]


def test_a_table_that_lacks_a_column_is_named(each_engine: Engine) -> None:
    """Risk: an old table makes the run fail half way, with a driver's message."""
    with transaction(each_engine) as connection:
        connection.execute(sa.text("create table totals (customer_id int, full_name text)"))
    with pytest.raises(PipelineError) as misfit:
        ensure_live_tables(each_engine, [MART])
    assert str(misfit.value) == (
        "The table totals in the database does not fit its model. Expected: the columns "
        "customer_id, full_name, first_day, sales_month, total_sales. Found: no first_day, "
        "sales_month, total_sales. Add the columns (alter table), or drop the table to have it "
        "made anew."
    )


def test_partition_folders_are_values() -> None:
    """Risk: an escaped character or a text '121' deletes no row."""
    types = {"sales_month": "string", "store_id": "int"}
    assert partition_values("sales_month=2024-03/store_id=121", types) == {
        "sales_month": "2024-03",
        "store_id": 121,
    }
    assert partition_values("sales_month=a%2Fb", types) == {"sales_month": "a/b"}
    assert partition_values("", types) == {}
