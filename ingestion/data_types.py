"""Reads the ``data_type`` of a column, as the contract, the sources and the models declare it."""

from __future__ import annotations

import re

_DECIMAL = re.compile(r"decimal\(\s*(\d{1,2})\s*,\s*(\d{1,2})\s*\)")


def decimal_digits(data_type: str) -> tuple[int, int]:
    """The precision and the scale of a ``decimal(p,s)``; (0, 0) for any other type."""
    match = _DECIMAL.fullmatch(data_type)
    return (int(match[1]), int(match[2])) if match else (0, 0)
