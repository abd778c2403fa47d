"""Rows as lines of text: one line for equal rows, in the form that ``load data`` reads."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

NULL = r"\N"
DELIMITER = "\t"
ESCAPE = "\\"
_ESCAPED = (("\\", r"\\"), ("\t", r"\t"), ("\n", r"\n"), ("\0", r"\0"))


def as_lines(rows: pa.Table) -> pa.ChunkedArray:
    """Each row as one text with its line break: values between tabs, null as ``\\N``.

    Backslash, tab, line feed and NUL in a text are escaped by a backslash, so that two rows have
    equal lines only if they are equal. Source of the form: MySQL's manual, LOAD DATA.
    """
    columns = [pc.fill_null(_as_text(column), NULL) for column in rows.columns]
    columns[-1] = pc.binary_join_element_wise(columns[-1], "\n", "")
    return pc.binary_join_element_wise(*columns, DELIMITER)


def without(rows: pa.Table, lines: pa.ChunkedArray) -> pa.Table:
    """The rows whose line is not among ``lines``."""
    return rows.filter(pc.invert(pc.is_in(as_lines(rows), value_set=lines)))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_boolean(kind):
        return column.cast(pa.int8()).cast(pa.string())
    if pa.types.is_timestamp(kind):
        return pc.strftime(column.cast(pa.timestamp("us")), "%Y-%m-%d %H:%M:%S")
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column.cast(pa.string())
    for character, escaped in _ESCAPED:
        column = pc.replace_substring(column, character, escaped)
    return column
