"""Rows go into a table by the names of their columns."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import DataError

from ingestion.database.bulk_load import _written, load_rows
from ingestion.database.engine import connect, define_table


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


def test_a_file_of_rows_is_whole_while_the_next_one_is_written() -> None:
    """Risk: rows change while the server reads them, or the end of a longer batch follows them."""
    batches = [pa.table({"number": list(range(count))}) for count in (3, 2, 1)]
    with tempfile.TemporaryFile() as one, tempfile.TemporaryFile() as other:
        written = _written(iter(batches), (one, other))
        [batch, path] = next(written)
        for following in itertools.chain(written, [None]):
            lines = Path(path).read_text().splitlines()
            assert lines == [str(number) for number in range(batch.num_rows)]
            if following is not None:
                batch, path = following


def test_rows_are_not_made_twice_at_the_same_time(mariadb_url: str) -> None:
    """Risk: a load that the server breaks off goes on making rows, while they are inserted from
    the beginning, and what both note is mixed up."""
    engine = connect(make_url(mariadb_url))
    metadata = sa.MetaData()
    table = define_table(metadata, "texts", sa.Column("name", sa.String(1)))
    metadata.create_all(engine)
    at_work = threading.Lock()

    def batches() -> Iterator[pa.Table]:
        assert at_work.acquire(blocking=False), "the rows are being made already"
        yield pa.table({"name": ["too long"]})  # a warning: it is inserted, to tell the error
        threading.Event().wait(0.3)
        at_work.release()
        yield pa.table({"name": ["a"]})

    with pytest.raises(DataError):
        load_rows(engine, table, batches)
    engine.dispose()
