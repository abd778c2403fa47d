"""The quick look at a file of quoted values answers as the grammar of one line does."""

from __future__ import annotations

import re
from itertools import product

import numpy as np
import pytest

from ingestion.csv_quotes import CACHED_LINES, Dialect, Lines, every_value_is_quoted

QUOTED_LINE = re.compile(rb'"[^",\r\n]*"(?:,"[^",\r\n]*")*')


def is_quoted(content: bytes, line_end: bytes) -> bool:
    """Ask about the lines of ``content``, which ends with a line break."""
    breaks = [match.span() for match in re.finditer(line_end, content)]
    starts, ends = np.array(breaks, dtype=np.int64).T
    lines = Lines(starts, ends, np.ones(len(starts), dtype=bool))
    return every_value_is_quoted(np.frombuffer(content, np.uint8), lines, Dialect())


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_every_short_text_is_judged_as_the_grammar_judges_its_lines(line_end: bytes) -> None:
    """A quote out of place, or a break inside a value, would pass for structure unseen."""
    found = 0
    for length in range(8):
        for letters in product((b'"', b",", b"a", line_end), repeat=length):
            content = b"".join(letters) + line_end
            lines = content.split(line_end)[:-1]
            expected = all(QUOTED_LINE.fullmatch(line) for line in lines)
            assert is_quoted(content, line_end) == expected, content
            found += expected
    assert found > 10


@pytest.mark.parametrize("line", [b'"a"b,"c"', b'"a,"b"', b'"a","b', b'"a""b","c"', b"a,b"])
def test_one_other_line_among_many_is_seen(line: bytes) -> None:
    """Lines are looked at some at a time; one in a later part must count as those in the first."""
    good = b'"a","b"\n' * (CACHED_LINES + 10)
    assert is_quoted(good, b"\n")
    assert not is_quoted(good + line + b"\n" + good, b"\n")
