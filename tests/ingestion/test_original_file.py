"""A delivered file is read piece by piece, its records as the reader found them."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Iterable
from pathlib import Path

import pytest

from ingestion.commands import quarantine
from ingestion.commands.original_file import OriginalFile, Record
from ingestion.commands.replay import replay
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import all_rows
from ingestion.errors import PipelineError
from ingestion.reader.csv_blocks import MAX_RECORD_BYTES, record_blocks
from ingestion.reader.csv_quotes import Dialect
from ingestion.reader.file_content import CHUNK_BYTES
from ingestion.run.quarantined_rows import QuarantinedRow
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, run, sale
from tests.services import Bucket

RECORDS = b'1,"a\r\nb"\r\n2,x\r3,"""\r""\n"\n4,"y"z\n5,\r\n'


def opened(path: Path, content: bytes) -> OriginalFile:
    """A file with this content."""
    path.write_bytes(content)
    return OriginalFile(path, ("number", "text"), Dialect(), "utf-8", is_gzip=False)


def pieces(file: OriginalFile, lines: Iterable[int]) -> tuple[bytes, dict[int, Record]]:
    """The text of all pieces, and the records among them by their lines."""
    found = [*file.pieces(lines)]
    text = b"".join(piece.text if isinstance(piece, Record) else piece for piece in found)
    return text, {piece.line: piece for piece in found if isinstance(piece, Record)}


@pytest.mark.parametrize("shift", range(len(RECORDS)))
def test_a_record_is_found_wherever_a_block_of_the_file_ends(tmp_path: Path, shift: int) -> None:
    """Risk: one row in ten thousand, which two blocks of a file share, is cut or written twice."""
    content = (
        b"number,text\n0," + b"x" * shift + b"\n" + RECORDS * (CHUNK_BYTES // len(RECORDS) + 9)
    )
    [read] = record_blocks([content], Dialect(), 2, 1)
    wanted = {int(line): read.text(index) for index, line in enumerate(read.lines)}
    file = opened(tmp_path / "file", content)
    text, records = pieces(file, wanted)
    assert text == content
    assert {line: record.text for line, record in records.items()} == wanted
    unsound = [record.text for record in records.values() if not record.is_sound]
    assert unsound == [b'4,"y"z'] * (len(wanted) // 5)
    some = [line for line in wanted if line % 1_000 == 0]
    text, records = pieces(file, some)
    assert text == content
    assert {line: record.text for line, record in records.items()} == {
        line: wanted[line] for line in some
    }


def test_a_quote_that_is_never_closed_does_not_take_the_rest_of_the_file(tmp_path: Path) -> None:
    """Risk: one mended row replaces all the rows below it."""
    content = b'number,text\n1,"a\n' + b"2,b\n" * MAX_RECORD_BYTES
    text, records = pieces(opened(tmp_path / "file", content), [2, 4])
    assert text == content
    assert [*records.values()] == [Record(2, b'1,"a', is_sound=False), Record(4, b"2,b", True)]


def test_a_line_on_which_no_record_begins_is_refused(tmp_path: Path) -> None:
    """Risk: what is written on a line that was mistyped cuts a record in two."""
    file = opened(tmp_path / "file", b'number,text\n1,"a\nb\nc"\n')
    expected = (
        "Expected: file_id and line_number as they were exported, and the encoding with which the "
        "file was loaded. Found:"
    )
    within = "a line on which no record begins"
    for lines, found in (
        *(([2, 3], within), ([2, 4], within), ([0], within)),
        ([6], "a file of 5 lines"),
    ):
        with pytest.raises(PipelineError) as refused:
            pieces(file, lines)
        assert str(refused.value) == f"There is no line {lines[-1]} to correct. {expected} {found}."


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
def test_a_large_file_is_exported_and_replayed_in_little_memory(
    services: Services, s3_bucket: Bucket, tmp_path: Path, name: str
) -> None:
    """Risk: one wrong row of a file of several GB takes all memory of the machine."""
    pack, unpack = (gzip.compress, gzip.decompress) if name.endswith(".gz") else (bytes, bytes)
    content = (HEADER + sale(1, "2024-03-05", 5) * 300_000).encode()
    s3_bucket.put(f"sales_data/{name}", pack(content))
    run(services)
    [row] = in_transaction(services.engine, all_rows)
    bad = [QuarantinedRow(row.id, row.file_name, 250_000, "why", ("why",))]
    tracemalloc.start()
    try:
        [path] = quarantine.export_rows(services, bad, tmp_path)
        path.write_text(path.read_text(encoding="utf-8").replace("2024-03-05", "2024-03-06"))
        replay(services, [path])
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < 5_000_000 < len(content), "bytes at most at one time"
    finally:
        tracemalloc.stop()
    lines = content.splitlines(keepends=True)
    lines[249_999] = sale(1, "2024-03-06", 5).encode()
    assert unpack(s3_bucket.get(f"sales_data/{name}")) == b"".join(lines)
