"""Write the Parquet file of one sales file: whole under its name, or not there at all."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

GROUP_BYTES = 48 * 1024 * 1024
GROUP_ROWS = 1_000_000
WRITE_BATCH_ROWS = 8192
SAMPLE_ROWS = 20_000
DISTINCT_SHARE = 0.4
COMPRESSED_ROWS = 5_000
SHRUNK_SHARE = 0.8
NUMBERS = ["file_id", "line_number"]


class BronzeFile:
    """A Parquet file that takes its name only when ``finish`` is called.

    Leaving the block in any other way removes what was written, so a file set aside leaves nothing.
    Rows are encoded on a thread of their own while the next ones are read; the last ones, and so
    all of a small file, on the caller's, and all of them where there is only one processor.
    """

    def __init__(self, destination: Path, schema: pa.Schema) -> None:
        self._destination = destination
        self._schema = schema
        self._temporary = destination.with_name(f".{uuid.uuid4().hex}.tmp")
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._encoder = (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="bronze")
            if usable_processors() > 1
            else None
        )
        self._encoding: Future[None] | None = None

    def __enter__(self) -> BronzeFile:
        self._destination.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write(self, table: pa.Table) -> None:
        """Add rows; they go to disk in groups, so that a reader meets few large ones."""
        self._waiting.append(table)
        self._waiting_rows += table.num_rows
        self._waiting_bytes += table.nbytes
        if self._waiting_rows >= GROUP_ROWS or self._waiting_bytes >= GROUP_BYTES:
            self._encode()

    def finish(self) -> None:
        """Complete the file and give it its name."""
        self._settle()
        if self._waiting:
            self._write_group(self._take_waiting())
        self._open(pa.Table.from_batches([], self._schema)).close()
        self._temporary.replace(self._destination)

    def __exit__(self, *_: object) -> None:
        if self._encoder is not None:
            self._encoder.shutdown(wait=True)
        if self._writer is not None:
            self._writer.close()
        self._temporary.unlink(missing_ok=True)

    def _encode(self) -> None:
        """Hand the waiting rows to the encoder, once it is done with those before them."""
        self._settle()
        if self._encoder is None:
            self._write_group(self._take_waiting())
        else:
            self._encoding = self._encoder.submit(self._write_group, self._take_waiting())

    def _take_waiting(self) -> pa.Table:
        table = pa.concat_tables(self._waiting)
        self._waiting.clear()
        self._waiting_rows = self._waiting_bytes = 0
        return table

    def _write_group(self, table: pa.Table) -> None:
        self._open(table).write_table(table, row_group_size=table.num_rows)

    def _settle(self) -> None:
        if self._encoding is not None:
            self._encoding.result()
            self._encoding = None

    def _open(self, sample: pa.Table) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._temporary,
                self._schema,
                compression={
                    name: "snappy" if _shrinks(sample[name]) else "none"
                    for name in self._schema.names
                },
                use_dictionary=[
                    name
                    for name in self._schema.names
                    if name not in NUMBERS and _repeats(sample[name])
                ],
                column_encoding=dict.fromkeys(NUMBERS, "DELTA_BINARY_PACKED"),
                write_statistics=NUMBERS,
                write_batch_size=WRITE_BATCH_ROWS,
                write_page_checksum=True,
            )
        return self._writer


def usable_processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _shrinks(values: pa.ChunkedArray) -> bool:
    """Say whether compressing pays: it does not for texts such as amounts, each unlike the others,
    of which it takes no more than Parquet's four bytes for each length."""
    if not pa.types.is_string(values.type) or _repeats(values):
        return True
    text = "".join(filter(None, values.slice(0, COMPRESSED_ROWS).to_pylist())).encode()
    return len(pa.compress(text, codec="snappy", asbytes=True)) < SHRUNK_SHARE * len(text)


def _repeats(values: pa.ChunkedArray) -> bool:
    """Say whether values come again so often that a dictionary pays for itself."""
    sample = values.slice(0, SAMPLE_ROWS)
    if sample.null_count == len(sample):
        return False
    return len(pc.unique(sample)) <= 1 + DISTINCT_SHARE * len(sample)
