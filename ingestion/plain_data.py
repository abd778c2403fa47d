"""Results as plain data, for ``--json``."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
from collections.abc import Mapping


def as_plain(value: object) -> object:
    """The value, and all in it, as JSON knows it.

    Decimals are exact text, moments ISO 8601 in UTC, seconds rounded to the millisecond.
    """
    if isinstance(value, decimal.Decimal):
        return f"{value:f}"
    if isinstance(value, dt.datetime):
        return f"{value.isoformat()}Z"
    if isinstance(value, float):
        return round(value, 3)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return {name: as_plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    return value
