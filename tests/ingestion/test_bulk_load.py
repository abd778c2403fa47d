"""Rows go into a table by the names of their columns."""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.database.bulk_load import load_rows
from ingestion.database.engine import define_table


def test_columns_may_come_in_another_order_than_the_tables(each_engine: Engine) -> None:
    """Risk: two whole numbers change places, and the keys of other rows are deleted."""
    metadata = sa.MetaData()
    columns = [sa.Column(name, sa.Integer, nullable=False) for name in ("store_id", "seller_id")]
    table = define_table(metadata, "gone", *columns)
    metadata.create_all(each_engine)
    rows = pa.table({"seller_id": pa.array([6], pa.int32()), "store_id": pa.array([121])})
    assert load_rows(each_engine, table, lambda: iter([rows])) == 1
    with each_engine.connect() as connection:
        found = connection.execute(sa.select(table)).mappings().all()
    assert found == [{"store_id": 121, "seller_id": 6}]
