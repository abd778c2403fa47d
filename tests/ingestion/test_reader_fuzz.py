"""Files from a grammar of dialects and damage: the reader against a plain state machine."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.config.profiles import FileProfile
from ingestion.reader.contract import Contract, ContractColumn
from ingestion.reader.csv_blocks import record_blocks
from ingestion.reader.csv_quotes import Dialect
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import FileSetAside

COLUMNS = ("id", "name", "amount")
CONTRACT = Contract(
    tuple(ContractColumn(name, "string", required=True) for name in COLUMNS), Path("contract.yml")
)
SMALLEST_CHUNK = 64


class WholeFileInDoubt(Exception):
    """The plain reader cannot tell which lines are rows."""


@dataclass
class Record:
    """One record as the plain reader finds it."""

    line: int
    text: bytes = b""
    values: list[bytes] = field(default_factory=list)
    has_fault: bool = False
    line_texts: list[bytes] = field(default_factory=list)


def plain_read(content: bytes, delimiter: int, quote: int) -> list[Record]:
    """Read CSV one byte at a time, by the rules of RFC 4180, and stop where they leave a doubt."""
    records: list[Record] = []
    place, line = 0, 1
    while place < len(content):
        record = Record(line)
        end = read_record(content, place, record, delimiter, quote)
        record.text = content[place:end]
        if record.text.strip(b" \t\v\f".replace(bytes([delimiter]), b"")):
            records.append(record)
        place = end + break_width(content, end)
        line += len(record.line_texts)
    return records


def read_record(content: bytes, start: int, record: Record, delimiter: int, quote: int) -> int:
    """Fill ``record`` with what begins at ``start``, and return where its text ends."""
    place = line_start = start
    value = bytearray()
    state = "begin"
    while place < len(content) and (state == "quoted" or not break_width(content, place)):
        byte, width = content[place], break_width(content, place)
        if state == "quoted" and content[place : place + 2] == bytes([quote, quote]):
            value.append(quote)
            place += 1
        elif state == "quoted" and byte == quote:
            state = "closed"
        elif state == "quoted" and width:
            if record.has_fault:
                raise WholeFileInDoubt
            record.line_texts.append(content[line_start:place])
            value += content[place : place + width]
            place = place + width - 1
            line_start = place + 1
        elif state == "quoted":
            value.append(byte)
        elif byte == delimiter:
            record.values.append(bytes(value))
            value, state = bytearray(), "begin"
        elif state == "begin" and byte == quote:
            state = "quoted"
        else:
            record.has_fault |= state == "closed"
            if state == "closed" and record.line_texts:
                raise WholeFileInDoubt
            state = "text"
            value.append(byte)
        place += 1
    if state == "quoted":
        raise WholeFileInDoubt
    record.values.append(bytes(value))
    record.line_texts.append(content[line_start:place])
    return place


def break_width(content: bytes, place: int) -> int:
    """Return how many bytes the line break at ``place`` has; 0 where there is none."""
    if content[place : place + 2] == b"\r\n":
        return 2
    return int(content[place : place + 1] in (b"\r", b"\n"))


def fault_of(record: Record, fewest: int, width: int, delimiter: int) -> str | None:
    """Return the code that the real reader must give to a record, or None for a good row.

    It has at least as many values as there are names, for columns without one behind these may be
    missing, and at most as many as the header.
    """
    like_rows = sum(text.count(delimiter) >= fewest - 1 for text in record.line_texts)
    if record.has_fault or (len(record.line_texts) > 1 and like_rows > 1):
        return "quote"
    try:
        record.text.decode("utf-8")
    except UnicodeDecodeError:
        return "encoding"
    if not fewest <= len(record.values) <= width:
        return "column_count"
    names = [simple_name(value) for value in record.values]
    return "header" if all(names.count(name) == 1 for name in COLUMNS) else None


# Values as senders write them; the odd ones stand for the damage that was seen in real files.
words = st.text(alphabet="ab1 é🫖,;\"\n\r\t'\\", max_size=6)
plain_words = st.text(alphabet="ab1 é.-'", max_size=6)
line_ends = st.sampled_from(["\n", "\r\n", "\r"])
raw_values = st.one_of(
    plain_words,
    plain_words,
    words.map(lambda text: '"' + text.replace('"', '""') + '"'),
    st.sampled_from(['5" pipe', '"ab"cd', '"open', 'x"', '""', '"""', '" "', '"a""', "\ufeffid"]),
)
damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "insert", "drop", "end"]),
        st.integers(0, 10_000),
        st.sampled_from(
            [b'"', b",", b"\n", b"\r", b"\xe9", b"\xff\xfe", b" ", b"\n\n", b'"\n', b'","']
        ),
    ),
    max_size=2,
)


@st.composite
def files(draw: st.DrawFn) -> tuple[bytes, str]:
    """Return the bytes of a file and its delimiter."""
    delimiter = draw(st.sampled_from([",", ",", ";", "\t", "|"]))
    header = [*draw(st.permutations(COLUMNS)), *draw(st.sampled_from([[], [], ["note"], [""]]))]
    main_end = draw(line_ends)
    rows = draw(
        st.lists(
            st.one_of(
                st.lists(raw_values, min_size=len(header), max_size=len(header)),
                st.lists(raw_values, min_size=len(header), max_size=len(header)),
                st.lists(plain_words, min_size=len(header), max_size=len(header)),
                st.lists(raw_values, min_size=1, max_size=6),
                st.just(header),
                st.just([""]),
                st.sampled_from([["  "], [" \t"]]),
            ),
            max_size=7,
        )
    )
    text = delimiter.join(header) + main_end
    for row in rows:
        text += delimiter.join(row) + draw(st.one_of(st.just(main_end), line_ends))
    content = bytearray(text.encode("utf-8"))
    for kind, place, piece in draw(damages):
        place = min(place % (len(content) + 1), len(content))
        if kind == "insert":
            content[place:place] = piece
        elif kind == "drop":
            del content[place : place + 1]
        elif kind == "cut":
            del content[place:]
        elif content.endswith((b"\n", b"\r")):
            del content[-1:]
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return mark + bytes(content), delimiter


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@settings(
    max_examples=2000,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=files(), chunk_bytes=st.sampled_from([SMALLEST_CHUNK, SMALLEST_CHUNK + 1, 4096]))
def test_every_record_of_any_file_is_a_row_or_is_set_aside(
    case: tuple[bytes, str], chunk_bytes: int, folder: Path
) -> None:
    """Any text may be sent: a record that vanishes, or a value that changes, is money lost."""
    content, delimiter = case
    path, destination = folder / "in.csv", folder / "out.parquet"
    path.write_bytes(content)
    destination.unlink(missing_ok=True)
    profile = None if delimiter == "," else FileProfile(name="p", pattern="*", delimiter=delimiter)
    report = check_file(
        path,
        key="in.csv",
        file_id=9,
        contract=CONTRACT,
        profile=profile,
        destination=destination,
        chunk_bytes=chunk_bytes,
    )

    assert report.accepted == destination.exists()
    assert report.accepted != bool(report.reasons)
    try:
        records = plain_read(content.removeprefix(b"\xef\xbb\xbf"), ord(delimiter), ord('"'))
    except WholeFileInDoubt:
        assert not report.accepted
        return
    if not report.accepted:
        check_rejection(report.reasons[0].code, records, content)
        return
    header = [simple_name(value) for value in records[0].values]
    rows = pq.read_table(destination).to_pylist()
    fewest, width = max(place for place, name in enumerate(header, 1) if name), len(header)
    records = [records[0], *(record for record in records[1:] if is_row(record, fewest, width))]
    assert report.rows_read == len(rows) == len(records) - 1
    assert report.rows_faulty == sum(row["row_fault"] is not None for row in rows)
    for row, record in zip(rows, records[1:], strict=True):
        fault = fault_of(record, fewest, width, ord(delimiter))
        assert (row["line_number"], row["row_fault"]) == (record.line, fault)
        if fault:
            assert row["raw_line"] == record.text.decode("utf-8", "backslashreplace")
            assert [row[name] for name in COLUMNS] == [None] * 3
        else:
            values = dict(zip(header, record.values, strict=False))
            assert [row[name] for name in COLUMNS] == [values[name].decode() for name in COLUMNS]


def simple_name(header: bytes) -> str:
    """Return a header without what two spellings of one name may differ in."""
    return re.sub(r"[\s_\-\ufeff]", "", header.decode(errors="replace").casefold())


def is_row(record: Record, fewest: int, width: int) -> bool:
    """Whether the record is more than the empty values that a spreadsheet leaves."""
    return record.has_fault or any(record.values) or not fewest <= len(record.values) <= width


def check_rejection(code: str, records: list[Record], content: bytes) -> None:
    """A file without a doubt about its quotes may be set aside only for one of these."""
    if code == "empty":
        assert not records
    elif code == "truncated":
        assert not content.endswith((b"\n", b"\r"))
        assert len(records[-1].values) < len(records[0].values)
    elif code == "quote":
        assert records[0].has_fault
    elif code == "encoding":
        with pytest.raises(UnicodeDecodeError):
            records[0].text.decode()
    elif code == "header":  # the names stand again, in another order or among other ones
        first, *others = [
            names
            for names in ([*map(simple_name, record.values)] for record in records)
            if all(names.count(name) == 1 for name in COLUMNS)
        ]
        assert any(
            now and before and now != before
            for names in others
            for now, before in zip(names, first, strict=False)
        )
    else:
        assert code in ("missing_column", "duplicate_column", "dialect")
        names = [simple_name(value) for value in records[0].values]
        assert any(names.count(name) != 1 for name in COLUMNS)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    content=st.text(alphabet='a,"\n\r ', max_size=24).map(str.encode),
    size=st.integers(1, 5),
)
def test_the_place_where_a_block_ends_changes_nothing(content: bytes, size: int) -> None:
    """A large file is read in blocks, and a record may lie across the border of two."""
    pieces = [content[start : start + size] for start in range(0, len(content), size)]

    assert found_records(pieces) == found_records([content])


def found_records(pieces: list[bytes]) -> list[tuple[int, bytes, bool]] | str:
    found = []
    try:
        for block in record_blocks(pieces, Dialect(), column_count=3, first_line=1):
            for index, (start, end) in enumerate(zip(block.starts, block.ends, strict=True)):
                found.append(
                    (int(block.lines[index]), block.data[start:end], index in block.faults)
                )
    except FileSetAside as verdict:
        return re.sub(r"line \d+", "line", verdict.reasons[0].code)
    return found
