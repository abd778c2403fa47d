"""Reads the CSV file of a dimension: typed rows, or a sentence for each mistake."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from ingestion.errors import PipelineError
from ingestion.reader.column_types import UNFIT, ColumnType, type_of
from ingestion.reader.contract import Contract, ContractColumn
from ingestion.reader.headers import normalised, shown
from ingestion.warehouse.dimension_types import UNKNOWN_KEY, key_column, shown_value

MISTAKES_A_FILE = 10  # shown at most
_TEXT_BYTES = 65_535
_HEADER_BYTES = 65_535
_OTHER_DELIMITERS = ";\t|"
# MySQL writes \N for null. "Null" is a family name, so no such word counts as empty here, as the
# words of `empty_words` do in sales, which hold no people's names.
_NULLS = frozenset({"", r"\N"})

Row: TypeAlias = dict[str, Any]


def refused(folder: Path, mistakes: list[str]) -> PipelineError:
    """What a user is told of these mistakes."""
    return PipelineError(
        f"The dimension files in {folder} have mistakes; nothing was changed",
        found="".join(f"\n- {mistake}" for mistake in mistakes),
        action=f"Fix them and load again (at most {MISTAKES_A_FILE} are shown per file)",
    )


def sound_rows(folder: Path, table: str, contract: Contract) -> Iterator[Row]:
    """The rows of a file that was found sound; ``PipelineError`` where it is not any more."""
    for row in checked_rows(folder, table, contract):
        if isinstance(row, str):  # the file has changed since it was checked
            raise refused(folder, [row])
        yield row


def checked_rows(folder: Path, table: str, contract: Contract) -> Iterator[Row | str]:
    """Each row by column name, or a sentence for each mistake in its place."""
    path = folder / f"{table}.csv"
    try:
        with path.open("rb") as content:
            form = _other_form(content.readline(_HEADER_BYTES), contract)
        if form:
            yield f"{path.name} line 1: {form}"
            return
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield from _checked_records(csv.reader(file, strict=True), path.name, contract)
    except FileNotFoundError:
        yield f"{path.name}: the file is missing"
    except OSError as error:
        yield f"{path.name}: the file cannot be read ({error.strerror})"


def _other_form(header: bytes, contract: Contract) -> str:
    """What is wrong with the form of a file that should have a header in UTF-8 with commas; '' if
    nothing."""
    if header.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "the file begins with the mark of UTF-16; expected UTF-8"
    text = header.decode("utf-8-sig", "replace")
    if not _named(text, ",", contract):
        for delimiter in _OTHER_DELIMITERS:
            if _named(text, delimiter, contract):
                return f"the header is separated by {delimiter!r}; expected commas"
    return ""


def _named(header: str, delimiter: str, contract: Contract) -> int:
    """How many of the contract's columns the header names if ``delimiter`` separates its names."""
    return len(_positions([name.strip(' "\r\n') for name in header.split(delimiter)], contract))


def _checked_records(
    reader: Iterator[list[str]], file_name: str, contract: Contract
) -> Iterator[Row | str]:
    records = _numbered(reader)
    line, header = next(records, (1, "the file is empty"))
    if isinstance(header, str):
        yield f"{file_name} line {line}: {header}"
        return
    positions = _positions(header, contract)
    if mistakes := _header_mistakes(header, positions, contract):
        yield from (f"{file_name} line {line}: {mistake}" for mistake in mistakes)
        return
    types = {column.name: type_of(column.data_type) for column in contract.columns}
    key = key_column(contract).name
    lines_of_keys: dict[Any, int] = {}
    for line, record in records:
        address = f"{file_name} line {line}"
        if isinstance(record, str):
            yield f"{address}: {record}"
            continue
        if len(record) != len(header):
            yield f"{address}: expected {len(header)} values, found {len(record)}"
            continue
        if not any(record):  # as spreadsheets leave them below the last row
            continue
        row: Row = {}
        for column in contract.columns:
            value = record[positions[column.name]]
            try:
                row[column.name] = _value(value, column, types[column.name])
            except ValueError as mistake:
                yield f"{address}, column {column.name}: {mistake}"
        if key in row and lines_of_keys.setdefault(row[key], line) != line:
            first = lines_of_keys[row[key]]
            yield f"{address}, column {key}: {row[key]} is already on line {first}"
        elif len(row) == len(types):
            yield row


def _numbered(reader: Any) -> Iterator[tuple[int, list[str] | str]]:
    """Each record that is not blank with the line it begins on; a damaged one as a sentence."""
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield line, f"the record starting here is not valid CSV ({error})"
            return
        if record:
            yield line, record


def _positions(header: Sequence[str], contract: Contract) -> dict[str, int]:
    known = {
        normalised(name): column.name
        for column in contract.columns
        for name in (*column.aliases, column.name)
    }
    names = [known.get(normalised(text), "") for text in header]
    return {name: names.index(name) for name in names if name}


def _header_mistakes(
    header: Sequence[str], positions: Mapping[str, int], contract: Contract
) -> list[str]:
    if not positions:  # a row, perhaps: its values may be personal ones
        expected = ", ".join(column.name for column in contract.columns)
        return [f"there are no column names; expected a header with {expected}"]
    missing = [column.name for column in contract.columns if column.name not in positions]
    used = set(positions.values())
    surplus = [shown(text) for place, text in enumerate(header) if place not in used]
    mistakes = []
    if missing:
        mistakes.append("missing in the header: " + ", ".join(missing))
    if surplus:
        listed = ", ".join(repr(text) for text in surplus)
        mistakes.append(f"unknown or repeated in the header: {listed}")
    return mistakes


def _value(text: str, column: ContractColumn, type_: ColumnType) -> Any:
    """The typed value, null for an empty one. Raises ``ValueError`` with what was expected."""
    if text in _NULLS:
        if column.key or column.required:
            raise ValueError("expected a value, found nothing")
        return None
    found = shown_value(text, column)
    if "\0" in text or not _is_utf8(text) or len(text.encode()) > _TEXT_BYTES:
        raise ValueError(
            f"expected UTF-8 text of at most {_TEXT_BYTES} bytes, without NUL; found {found}"
        )
    try:
        value = type_.convert(text)
    except UNFIT:
        raise ValueError(f"expected {type_.expected}, found {found}") from None
    if column.key and value == UNKNOWN_KEY:
        raise ValueError(f"expected another key, for {UNKNOWN_KEY} stands for what is unknown")
    if column.minimum is not None and value < type_.convert(column.minimum):
        raise ValueError(f"expected at least {column.minimum}, found {found}")
    if column.maximum is not None and value > type_.convert(column.maximum):
        raise ValueError(f"expected at most {column.maximum}, found {found}")
    return value


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
