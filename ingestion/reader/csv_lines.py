"""Tell at little cost that every line of a CSV text is one record, as in nearly all files.

Whole passes over the bytes show it, a piece of the text at a time that stays in the processor's
cache; nothing is kept but a count. A text that fails here may still be good CSV.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ingestion.reader.csv_quotes import CR, LF, Dialect

SPACE = 32
PIECE_BYTES = 128 * 1024

Bytes = NDArray[np.uint8]


def count_plain_records(text: bytes | bytearray, end: int, dialect: Dialect) -> int | None:
    """Return the number of records before ``end`` if each line is one; None if not sure.

    The byte before ``end`` is LF. A count is returned only if, in each piece of the text, all lines
    end alike, with LF or with CRLF, and either there is no quote, and no line is blank or begins
    with a space, or every value is in quotes, with no quote, delimiter or line break inside.
    """
    array = np.frombuffer(text, dtype=np.uint8)
    begin = total = 0
    while begin < end:
        cut = text.rfind(b"\n", begin, min(begin + PIECE_BYTES, end)) + 1
        if not cut:
            cut = text.find(b"\n", begin, end) + 1
        has_returns = text.find(b"\r", begin, cut) >= 0
        if dialect.quote and text.find(dialect.quote, begin, cut) >= 0:
            count = _count_quoted(array[begin:cut], dialect, has_returns)
        else:
            count = _count_unquoted(array[begin:cut], has_returns)
        if not count:
            return None
        total += count
        begin = cut
    return total


def _count_unquoted(text: Bytes, has_returns: bool) -> int:
    """Return the number of lines, none of them blank or indented; otherwise 0.

    A line that begins with any byte up to the space counts as such: one comparison sees them all.
    """
    is_break = text == LF
    is_low = text <= SPACE
    if is_low[0] or (is_break[:-1] & is_low[1:]).any():
        return 0
    if has_returns and not _are_pairs(text == CR, is_break):
        return 0
    return int(np.count_nonzero(is_break))


def _count_quoted(text: Bytes, dialect: Dialect, has_returns: bool) -> int:
    """Return the number of lines if each delimiter and line break has two quotes of its own.

    Otherwise 0. An edge has one neighbour on either side, and the beginning of the text has one, so
    twice as many quotes beside an edge as there are edges means that no quote is beside two. If no
    other quote is left, the first one opens a value, no edge follows before the next one, which
    closes it, and so on.
    """
    is_quote = text == dialect.quote[0]
    is_break = text == LF
    is_delimiter = text == dialect.delimiter[0]
    is_before_value = is_after_value = is_delimiter | is_break
    if has_returns:
        is_return = text == CR
        if not _are_pairs(is_return, is_break):
            return 0
        is_after_value = is_delimiter | is_return
    quotes = 2 * np.count_nonzero(is_before_value)
    is_beside_edge = is_before_value[:-2] | is_after_value[2:]
    is_beside_edge &= is_quote[1:-1]
    if not is_quote[0] or np.count_nonzero(is_beside_edge) + 1 != quotes:
        return 0
    return int(np.count_nonzero(is_break)) if np.count_nonzero(is_quote) == quotes else 0


def _are_pairs(is_return: NDArray[np.bool_], is_break: NDArray[np.bool_]) -> bool:
    """Say whether CR and LF stand together only, in a text that no LF begins and one ends."""
    return not (is_return[:-1] != is_break[1:]).any()
