"""Rows into a database table: by ``load data local`` where the server permits it, else inserts."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import logging
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import IO, Any, TypeVar

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError

from ingestion.config.database_url import CHARSET
from ingestion.database.engine import local_file_engine
from ingestion.database.errors import error_number
from ingestion.database.row_text import DELIMITER, ESCAPE, as_lines

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
BATCH_ROWS = 50_000
# In an insert. PyMySQL cuts it at 1,024,000 bytes, between rows, whatever max_allowed_packet the
# server has (Cursor.max_stmt_length); a row that is longer goes alone.
_ROWS_AT_ONCE = 1_000
# Source: the error lists of MySQL (1148, 3948), its client (2068) and MariaDB (4166).
_LOCAL_FILES_FORBIDDEN = (1148, 2068, 3948, 4166)


def load_rows(
    engine: Engine, table: sa.Table[Any], batches: Callable[[], Iterator[pa.Table]]
) -> int:
    """Adds the rows to the table, in one transaction; returns their number.

    ``batches`` gives them from the beginning at each call, with the names of the table's columns.
    """
    rows = None if engine.dialect.name == "sqlite" else _load_files(engine, table, batches())
    return _insert(engine, table, batches()) if rows is None else rows


def _load_files(engine: Engine, table: sa.Table[Any], batches: Iterator[pa.Table]) -> int | None:
    """Loads the rows from local files; None where the server reads none, or would not keep each
    value exactly.

    From a local file, the server changes a value that does not fit, and only warns. The insert that
    follows raises the value's error.
    """
    preparer = engine.dialect.identifier_preparer
    statement = (
        f"load data local infile %s into table {preparer.format_table(table)}"
        f" character set {CHARSET} fields terminated by %s escaped by %s lines terminated by '\\n'"
    )
    rows = 0
    try:
        with (
            tempfile.TemporaryFile() as one,  # without a name, so that a kill leaves none
            tempfile.TemporaryFile() as other,
            local_file_engine(engine).begin() as connection,
            contextlib.closing(_ahead(_written(batches, (one, other)))) as written,
        ):
            for batch, path in written:
                columns = ", ".join(map(preparer.quote, batch.column_names))
                loaded = connection.exec_driver_sql(
                    f"{statement} ({columns})", (path, DELIMITER, ESCAPE)
                )
                warnings = connection.exec_driver_sql("select @@warning_count").scalar()
                if warnings or loaded.rowcount != batch.num_rows:
                    connection.rollback()
                    return None
                rows += batch.num_rows
    except DBAPIError as error:
        if error_number(error) not in _LOCAL_FILES_FORBIDDEN:
            raise
        _LOG.debug("the database reads no local files: rows are inserted")
        return None
    return rows


def _written(
    batches: Iterator[pa.Table], files: Sequence[IO[bytes]]
) -> Iterator[tuple[pa.Table, str]]:
    """Each batch with the path of the file that holds its rows, one of ``files`` after another."""
    for batch, file in zip(batches, itertools.cycle(files), strict=False):
        file.seek(0)
        file.truncate()
        for chunk in as_lines(batch).chunks:
            file.write(_bytes_of(chunk))
        file.flush()
        file.seek(0)  # where a path of an open file shares its place
        yield batch, f"/dev/fd/{file.fileno()}"


def _ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """The items; the next one is made on another thread while one is used. When the iterator is
    closed, none is being made any more."""
    with concurrent.futures.ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _bytes_of(lines: pa.StringArray) -> memoryview:
    """The texts of an array without nulls, one behind the other."""
    _, offsets, data = lines.buffers()
    starts = memoryview(offsets).cast("i")
    begin, end = starts[lines.offset], starts[lines.offset + len(lines)]
    return memoryview(data)[begin:end]


def _insert(engine: Engine, table: sa.Table[Any], batches: Iterator[pa.Table]) -> int:
    rows = 0
    with engine.begin() as connection:
        for batch in batches:
            for part in batch.to_batches(max_chunksize=_ROWS_AT_ONCE):
                connection.execute(table.insert(), part.to_pylist())
            rows += batch.num_rows
    return rows
