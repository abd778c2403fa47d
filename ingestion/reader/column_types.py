"""The types of the contract's columns: from text or a stored value, exactly, or not at all."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from ingestion.data_types import decimal_digits

UNFIT = (ValueError, TypeError, ArithmeticError)  # what a conversion raises
_BITS = {"int": 32, "bigint": 64}
_WHOLE = re.compile(r"-?[0-9]+")
_PLAIN = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True)
class ColumnType:
    """Turns text or a stored value into the type of a column, or raises one of ``UNFIT``.

    ``made`` is the class of what it makes: a value of that class stays the same, or does not fit.
    """

    expected: str
    convert: Callable[[Any], Any]
    made: type


def type_of(data_type: str) -> ColumnType:
    """The type for a ``data_type`` of the contract."""
    if data_type in _BITS:
        limit = 2 ** (_BITS[data_type] - 1)
        return ColumnType(
            f"a whole number from {-limit} to {limit - 1}",
            lambda value: _to_whole(value, limit),
            int,
        )
    precision, scale = decimal_digits(data_type)
    if precision:
        exact = Context(prec=precision, traps=[Inexact, InvalidOperation])
        return ColumnType(
            f"a plain decimal of at most {precision - scale} digits and {scale} decimals",
            lambda value: _to_decimal(value, Decimal(1).scaleb(-scale), exact),
            Decimal,
        )
    return {
        "date": ColumnType("a valid date as yyyy-MM-dd", _to_day, dt.date),
        "string": ColumnType("UTF-8 text", _to_text, str),
        "boolean": ColumnType("true or false", _to_boolean, bool),
    }[data_type]


def _to_whole(value: Any, limit: int) -> int:
    if isinstance(value, str) and not _WHOLE.fullmatch(value):
        raise ValueError(value)
    number = int(value)
    if not -limit <= number < limit or not (isinstance(value, str) or number == value):
        raise ValueError(value)
    return number


def _to_decimal(value: Any, step: Decimal, exact: Context) -> Decimal:
    if isinstance(value, str) and not _PLAIN.fullmatch(value):
        raise ValueError(value)
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite():
        raise ValueError(value)
    return number.quantize(step, context=exact)


def _to_day(value: Any) -> dt.date:
    if isinstance(value, dt.datetime):
        if value.time() != dt.time():
            raise ValueError(value)
        return value.date()
    if isinstance(value, dt.date):
        return value
    if not _DAY.fullmatch(value):
        raise ValueError(value)
    return dt.date.fromisoformat(value)


def _to_text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _to_boolean(value: Any) -> bool:
    word = str(value).casefold()
    if word not in ("true", "1", "false", "0"):
        raise ValueError(value)
    return word in ("true", "1")
