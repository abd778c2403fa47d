"""Write the extra columns of a file as one JSON object for each row."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from ingestion.reader.headers import HeaderMatch


def unnamed_with_values(values: Sequence[pa.Array], match: HeaderMatch) -> frozenset[int]:
    """Return the positions without a header that have a value in one of these rows at least."""
    return frozenset(
        place
        for place in match.unnamed
        if pc.any(pc.not_equal(values[place], ""), min_count=0).as_py()
    )


def additional_column(
    values: Sequence[pa.Array], match: HeaderMatch, unnamed: Collection[int]
) -> pa.Array | None:
    """Return the extra columns as compact JSON objects, header to text, keys sorted.

    ``values`` has one array for each header; ``unnamed`` are the positions without a header that
    have a value somewhere: an empty value there carries nothing. None, or a null in a row, where
    the object would be empty.
    """
    places = {
        place: json.dumps(name, ensure_ascii=False)
        for place, name in match.extras.items()
        if place not in match.unnamed or place in unnamed
    }
    if not places:
        return None
    if not unnamed:
        parts: list[pa.Array | str] = []
        for place, key in places.items():
            parts += [f'{"," if parts else "{"}{key}:"', _escaped(values[place]), '"']
        return _joined(*parts, "}")
    members = []
    for place, key in places.items():
        member = _joined(f',{key}:"', _escaped(values[place]), '"')
        if place in unnamed:
            member = pc.if_else(pc.not_equal(values[place], ""), member, "")
        members.append(member)
    objects = _joined("{", pc.replace_substring_regex(_joined(*members), "^,", ""), "}")
    if len(places) > len(unnamed):
        return objects
    return pc.if_else(pc.equal(objects, "{}"), pa.scalar(None, pa.string()), objects)


def _joined(*parts: pa.Array | str) -> pa.Array:
    """Join the parts row by row."""
    return pc.binary_join_element_wise(*parts, "")


def _escaped(values: pa.Array) -> pa.Array:
    """Return the values as they stand inside JSON quotes; most have nothing to escape."""
    buffer = values.buffers()[2]
    text = np.frombuffer(buffer or b"", dtype=np.uint8)
    if not ((text < ord(" ")) | (text == ord('"')) | (text == ord("\\"))).any():
        return values
    is_odd = pc.match_substring_regex(values, r'["\\\x00-\x1f]')
    escaped = [
        json.dumps(value, ensure_ascii=False)[1:-1] for value in values.filter(is_odd).to_pylist()
    ]
    return pc.replace_with_mask(values, is_odd, pa.array(escaped, pa.string()))
