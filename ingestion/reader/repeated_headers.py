"""Find the header line where it stands again among the rows, as files that were joined have it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.reader.csv_quotes import Dialect, plain_value, raw_values
from ingestion.reader.headers import SHOWN_HEADERS, HeaderMatch, normalised, shown
from ingestion.reader.verdicts import FileSetAside, Reason

MOST_LIKELY_HEADERS = 1000
MARKS = re.compile(rb"(?:\x1a|\xef\xbb\xbf)+")  # of the end of one file, and the start of the next


def repeated_headers(
    values: Sequence[pa.Array],
    headers: Sequence[str],
    match: HeaderMatch,
    match_again: Callable[[Sequence[str]], HeaderMatch],
    lines: np.ndarray,
    dialect: Dialect,
) -> list[int]:
    """Return the rows in which the columns' names stand again, in any spelling.

    ``values`` are the rows' values, an array for each of ``headers``, which ``match`` belongs to;
    ``match_again`` matches other texts in the same way, ``lines`` are the rows' line numbers, and
    ``dialect`` is the file's.
    Raises FileSetAside where the names stand in another order, or others are among them: the
    columns change from there on.
    """
    names, needed = match.names, sorted(match.positions.values())
    if not needed:  # the profile has a constant for every column
        return []
    named = values[needed[0]]
    likely = np.flatnonzero(_begins_with(named, {name[0] for name in names if name}))
    if len(likely) > MOST_LIKELY_HEADERS:  # a column of texts comes first
        plain = pc.utf8_lower(
            pc.replace_substring_regex(named.take(pa.array(likely)), r"[\s_\-\x{FEFF}\x1A\"']+", "")
        )
        bare = pa.array(sorted({re.sub("[\"']", "", name) for name in names}))
        likely = likely[pc.is_in(plain, bare).to_numpy(zero_copy_only=False)]
    found = []
    for index in likely.tolist():
        if any(normalised(_name(values[place][index], dialect)) not in names for place in needed):
            continue
        texts = [_name(column[index], dialect) for column in values]
        again = match_again(texts)
        if again.reasons:
            continue
        if again.positions != match.positions or _has_other_names(texts, headers, match):
            raise _other_columns(headers, texts, int(lines[index]))
        found.append(index)
    return found


def check_glued_header(
    record: bytes,
    headers: Sequence[str],
    match: HeaderMatch,
    match_again: Callable[[Sequence[str]], HeaderMatch],
    line: int,
    dialect: Dialect,
) -> None:
    """Raise FileSetAside where ``record``, which is no row, ends with a header of other columns.

    So does the last line of a file that has no line break there, once another file is joined to it:
    the first name of the header is glued to its last value. ``line`` is where the record begins.
    """
    rest = match.fewest_values - 1
    if not rest or record.count(dialect.delimiter) < 2 * rest:
        return
    values = raw_values(record, dialect)
    lacking = len(headers) - match.fewest_values  # columns without a name at the end
    for _ in range(lacking):
        if not values[-1]:
            values.pop()
    texts = ["", *(_text(plain_value(raw, dialect)) for raw in values[-rest:]), *[""] * lacking]
    before = {name: place for name, place in match.positions.items() if place}
    if not before or sum(normalised(text) in match.names for text in texts) < len(before):
        return
    again = match_again(texts).positions
    if len(again) < len(before):
        return
    if again != before or _has_other_names(texts, headers, match):
        raise _other_columns(headers, ["…", *texts[1:]], line)


def _begins_with(values: pa.Array, letters: set[str]) -> np.ndarray:
    """Tell which values begin with one of these letters in any case, or with what names hide."""
    data = values.buffers()[2] if len(values) else None
    if data is None or not data.size:
        return np.zeros(len(values), dtype=bool)
    is_first = np.zeros(256, dtype=bool)
    for letter in letters | set(" _-\t\u00a0\u2010\ufeff\x1a"):
        for spelling in (letter.lower(), letter.upper()):
            is_first[spelling.encode()[0]] = True
    offsets = np.frombuffer(values.buffers()[1], dtype=np.int32)
    offsets = offsets[values.offset : values.offset + len(values) + 1]
    content = np.frombuffer(data, dtype=np.uint8)
    starts = np.minimum(offsets[:-1], len(content) - 1)
    return is_first[content[starts]] & (offsets[1:] > offsets[:-1])


def _has_other_names(texts: Sequence[str], headers: Sequence[str], match: HeaderMatch) -> bool:
    """Whether an extra column bears another name than before; an empty name may be any."""
    pairs = ((normalised(texts[place]), normalised(headers[place])) for place in match.extras)
    return any(now and before and now != before for now, before in pairs)


def _other_columns(headers: Sequence[str], found: Sequence[str], line: int) -> FileSetAside:
    return FileSetAside(
        Reason(
            "header",
            f"the columns change in line {line}. Expected:"
            f" {', '.join(map(shown, headers[:SHOWN_HEADERS]))}, as in the file's first header."
            f" Found: {', '.join(map(shown, found[:SHOWN_HEADERS]))}. Several files were joined; "
            "send them one by one.",
        )
    )


def _name(value: pa.StringScalar, dialect: Dialect) -> str:
    """Return the value's text as a name: behind marks that joining files has left in front of it,
    quotes are seen as such. Bytes that are no text were found before."""
    content = value.as_buffer().to_pybytes()
    marks = MARKS.match(content)
    if marks is not None:
        content = plain_value(content[marks.end() :], dialect)
    return _text(content)


def _text(content: bytes) -> str:
    return str(content, "utf-8", "replace")
