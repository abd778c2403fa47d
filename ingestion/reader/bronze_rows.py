"""Turn blocks of CSV records into the rows of raw.sales, values as the text that the file has."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from ingestion.reader.additional_column import additional_column, unnamed_with_values
from ingestion.reader.csv_blocks import RecordBlock
from ingestion.reader.csv_quotes import Dialect
from ingestion.reader.file_content import shown_text
from ingestion.reader.headers import HeaderMatch
from ingestion.reader.profile_values import ValueRules, without_formulas
from ingestion.reader.repeated_headers import check_glued_header, repeated_headers
from ingestion.reader.verdicts import FileSetAside, Reason

NEW_LINE = 10
FIRST_NON_ASCII = 0x80


@dataclass(frozen=True)
class RowLayout:
    """What every row of one file has in common: its dialect, header, columns and value rules.

    ``match_again`` matches another line as a header; ``formula_texts`` says that values may be
    written as a spreadsheet's formulas, ``compose_letters`` that they are brought to Unicode NFC.
    """

    file_id: int
    dialect: Dialect
    encoding: str
    headers: tuple[str, ...]
    columns: tuple[str, ...]
    match: HeaderMatch
    match_again: Callable[[Sequence[str]], HeaderMatch]
    rules: ValueRules | None
    formula_texts: bool
    compose_letters: bool


@dataclass(frozen=True)
class Fault:
    """Why one record is no row: the code for raw.sales, and the words, which begin with it.

    ``is_open_end`` where all that is wrong is one delimiter behind the last value.
    """

    code: str
    detail: str
    is_open_end: bool = False


REPEATED_HEADER = Fault("header", "header: the file's header line is repeated here")


@dataclass(frozen=True)
class BronzeRows:
    """Rows in file order as raw.sales has them, and the faults among them by record index.

    A record of empty values only, as spreadsheets leave them below the last row, is no row.
    ``short`` are the good rows that lack columns without a name behind the last one with a name.
    """

    table: pa.Table
    faults: Mapping[int, Fault]
    short: frozenset[int]

    @property
    def all_end_open(self) -> bool:
        """Whether the rows end with a delimiter that the header lacks: all that can be compared,
        and two at least, for one may have a delimiter too many elsewhere."""
        open_ends = sum(fault.is_open_end for fault in self.faults.values())
        return len(self.faults) == self.table.num_rows < 2 * open_ends and open_ends > 1


def bronze_schema(columns: Sequence[str]) -> pa.Schema:
    """Return the schema of a file of raw.sales; ``batch_id`` is the folder's, not the file's."""
    texts = [*columns, "additional_column", "row_fault", "row_fault_detail", "raw_line"]
    return pa.schema(
        [pa.field(name, pa.int64(), nullable=False) for name in ("file_id", "line_number")]
        + [pa.field(name, pa.string()) for name in texts]
    )


def read_rows(block: RecordBlock, layout: RowLayout) -> BronzeRows:
    """Return one row for every record of ``block`` that holds a value, in its order.

    A record that is no row has its whole text in ``raw_line`` and null in the contract's columns.
    """
    faults = {index: Fault("quote", detail) for index, detail in block.faults.items()}
    faults |= _find_wrong_bytes(block, faults)
    values, readable, lacking = _parse(block, layout, faults)
    if layout.formula_texts:
        values = [without_formulas(column) for column in values]
    if layout.compose_letters:
        values = [pc.utf8_normalize(column, "NFC") for column in values]
    lines = block.lines[readable]
    for index in repeated_headers(
        values, layout.headers, layout.match, layout.match_again, lines, layout.dialect
    ):
        faults[int(readable[index])] = REPEATED_HEADER
    for index, fault in faults.items():
        if fault.code in ("column_count", "quote"):
            check_glued_header(
                block.text(index),
                layout.headers,
                layout.match,
                layout.match_again,
                int(block.lines[index]),
                layout.dialect,
            )
    empty_records = readable[_empty_rows(values)]
    contract_values = {
        name: values[place]
        for name, place in layout.match.positions.items()
        if name in layout.columns
    }
    unnamed = unnamed_with_values(values, layout.match)
    extra = additional_column(values, layout.match, unnamed)
    if layout.rules is not None:
        contract_values, unfit = layout.rules.apply(contract_values, len(readable))
        for index, detail in unfit.items():
            faults.setdefault(int(readable[index]), Fault("dialect", detail))
    texts = [contract_values.get(name) for name in layout.columns] + [extra]
    count = block.count
    if faults:
        order = _good_rows_in_order(count, readable, faults)
        texts = [None if column is None else column.take(order) for column in texts]
    empty = pa.nulls(count, pa.string())
    columns = [
        pa.array(np.full(count, layout.file_id, dtype=np.int64)),
        pa.array(block.lines),
        *(empty if column is None else column for column in texts),
        *(_fault_columns(block, faults, layout.encoding) if faults else [empty] * 3),
    ]
    table = pa.Table.from_arrays(columns, schema=bronze_schema(layout.columns))
    if len(empty_records):
        table = table.take(pa.array(_all_but(empty_records.tolist(), count)))
    short = lacking - faults.keys() - set(empty_records.tolist()) if lacking else lacking
    return BronzeRows(table, faults, short)


def _find_wrong_bytes(block: RecordBlock, known: Mapping[int, Fault]) -> dict[int, Fault]:
    content = np.frombuffer(block.data, dtype=np.uint8)
    if content.max() < FIRST_NON_ASCII:
        return {}
    try:
        str(block.data, "utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return {}
    places = np.flatnonzero(content >= FIRST_NON_ASCII)
    faults = {}
    for index in np.unique(np.searchsorted(block.starts, places, side="right") - 1).tolist():
        try:
            block.text(index).decode("utf-8")
        except UnicodeDecodeError as error:
            if index not in known:
                faults[index] = Fault(
                    "encoding",
                    f"encoding: byte {error.start + 1} of the row is not valid in the file's"
                    " encoding",
                )
    return faults


def _parse(
    block: RecordBlock, layout: RowLayout, faults: dict[int, Fault]
) -> tuple[list[pa.Array], np.ndarray, frozenset[int]]:
    """Parse the records without a fault; note those with too many or too few values in ``faults``.

    Returns the values, one array for each header, the record's index for each row of them, and the
    records among these that lack the last columns, which have no name: such are empty there.
    """
    width, fewest = len(layout.headers), layout.match.fewest_values
    candidates = _all_but(faults, block.count)
    if not len(candidates):
        return [pa.nulls(0, pa.string())] * width, candidates, frozenset()
    table, miscounted = _parse_text(_without(block, faults), layout)
    lacking: dict[int, int] = {}
    for number, found, ends_open in miscounted:
        index = int(candidates[number - 1])
        if fewest <= found < width:
            lacking[index] = width - found
        else:
            faults[index] = _miscount(width, found, ends_open=ends_open)
    rows = _all_but(faults, block.count) if miscounted else candidates
    if lacking:
        content = _without(block, faults, lacking, layout.dialect.delimiter)
        table, _ = _parse_text(content, layout)
    if len(rows) != table.num_rows:
        raise FileSetAside(
            Reason(
                "reader",
                f"the file was read in two different ways near line {block.lines[0]}. Expected: "
                f"{len(rows)} rows. Found: {table.num_rows}. Report this file; nothing of it was "
                "loaded.",
            )
        )
    empty = pa.nulls(0, pa.string())
    values = [column.chunk(0) if len(rows) else empty for column in table.columns]
    return values, rows, frozenset(lacking)


def _parse_text(
    content: bytes | memoryview, layout: RowLayout
) -> tuple[pa.Table, list[tuple[int, int, bool]]]:
    """Return the rows of ``content`` that have a value for each header, and what is told of others:
    the number of the row (from 1), how many values it has, and whether it ends with a delimiter."""
    delimiter = layout.dialect.delimiter.decode()
    names = [str(position) for position in range(len(layout.headers))]
    miscounted: list[tuple[int, int, bool]] = []

    def note(row: csv.InvalidRow) -> str:
        ends_open = row.actual_columns > len(names) and row.text.endswith(delimiter)
        miscounted.append((row.number, row.actual_columns, ends_open))
        return "skip"

    table = csv.read_csv(
        pa.py_buffer(content),
        read_options=csv.ReadOptions(
            use_threads=False, block_size=len(content) + 1, column_names=names
        ),
        parse_options=csv.ParseOptions(
            delimiter=delimiter,
            quote_char=layout.dialect.quote.decode() or False,
            newlines_in_values=True,
            invalid_row_handler=note,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    return table, miscounted


def _all_but(dropped: Collection[int], count: int) -> np.ndarray:
    """Return the numbers below ``count`` that are not in ``dropped``."""
    if not dropped:
        return np.arange(count)
    is_kept = np.ones(count, dtype=bool)
    is_kept[list(dropped)] = False
    return np.flatnonzero(is_kept)


def _without(
    block: RecordBlock,
    faults: Mapping[int, Fault],
    lacking: Mapping[int, int] | None = None,
    delimiter: bytes = b"",
) -> bytes | memoryview:
    """Return the block's text with every record of ``faults`` turned into blank lines, and behind
    each one of ``lacking`` the number of delimiters that it gives.

    The parser drops a byte order mark that begins a block, so a blank line goes before it.
    """
    content = block.data
    if faults or len(block.blanked[0]):
        indexes = list(faults)
        border = np.zeros(len(content) + 1, dtype=np.int8)
        border[np.concatenate((block.starts[indexes], block.blanked[0]))] = 1
        border[np.concatenate((block.ends[indexes], block.blanked[1]))] = -1
        is_dropped = np.cumsum(border[:-1], dtype=np.int8).astype(bool)
        array = np.frombuffer(content, dtype=np.uint8).copy()
        array[is_dropped] = NEW_LINE
        content = array.tobytes()
    if lacking:
        ends = np.repeat(block.ends[[*lacking]], [*lacking.values()])
        array = np.frombuffer(content, dtype=np.uint8)
        content = np.insert(array, ends, delimiter[0]).tobytes()
    return b"\n" + content if content[:3] == codecs.BOM_UTF8 else content


def _empty_rows(values: Sequence[pa.Array]) -> np.ndarray:
    """Return the rows of which every value is empty."""
    is_empty = np.ones(len(values[0]), dtype=bool)
    for column in values:
        if not is_empty.any():
            break
        is_empty &= pc.equal(pc.binary_length(column), 0).to_numpy(zero_copy_only=False)
    return np.flatnonzero(is_empty)


def _good_rows_in_order(count: int, readable: np.ndarray, faults: Mapping[int, Fault]) -> pa.Array:
    """Return, for each record, its row among the parsed ones, and null for a fault."""
    order = np.zeros(count, dtype=np.int64)
    order[readable] = np.arange(len(readable))
    is_fault = np.zeros(count, dtype=bool)
    is_fault[list(faults)] = True
    return pa.array(order, mask=is_fault)


def _fault_columns(
    block: RecordBlock, faults: Mapping[int, Fault], encoding: str
) -> list[pa.Array]:
    """Return the columns row_fault, row_fault_detail and raw_line, null where the row is good."""
    count = block.count
    kinds = {fault: number for number, fault in enumerate(dict.fromkeys(faults.values()))}
    indexes = np.fromiter(faults, np.int64, len(faults))
    is_null = np.ones(count, dtype=bool)
    is_null[indexes] = False
    kind, place = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int64)
    kind[indexes] = [kinds[fault] for fault in faults.values()]
    place[indexes] = np.arange(len(faults))
    texts = [
        shown_text(bytes(block.data[start:end]), encoding)
        for start, end in zip(
            block.starts[indexes].tolist(), block.ends[indexes].tolist(), strict=True
        )
    ]
    return [
        pa.array([fault.code for fault in kinds], pa.string()).take(pa.array(kind, mask=is_null)),
        pa.array([fault.detail for fault in kinds], pa.string()).take(pa.array(kind, mask=is_null)),
        pa.array(texts, pa.string()).take(pa.array(place, mask=is_null)),
    ]


@cache
def _miscount(expected: int, found: int, *, ends_open: bool) -> Fault:
    why = " (the row ends with a delimiter)" if ends_open else ""
    return Fault(
        "column_count",
        f"column count: expected {expected} values, found {found}{why}",
        is_open_end=ends_open and found == expected + 1,
    )
