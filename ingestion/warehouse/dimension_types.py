"""The dimensions' columns: which is the key, what a message may show, and their Parquet types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ingestion.data_types import decimal_digits
from ingestion.reader.headers import shown

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.reader.contract import Contract, ContractColumn

UNKNOWN_KEY = -1  # of the row that the models' dimensions have for what is unknown


def key_column(contract: Contract) -> ContractColumn:
    """The one column by which rows are told apart."""
    return next(column for column in contract.columns if column.key)


def shown_value(value: Any, column: ContractColumn) -> str:
    """The value as a message may quote it."""
    return "a personal value" if column.personal else repr(shown(str(value)))


def arrow_type(data_type: str) -> pa.DataType:
    """The Parquet type of a column of this ``data_type``."""
    import pyarrow as pa

    precision, scale = decimal_digits(data_type)
    if precision:
        return pa.decimal128(precision, scale)
    types: dict[str, pa.DataType] = {
        "int": pa.int32(),
        "bigint": pa.int64(),
        "string": pa.string(),
        "date": pa.date32(),
        "boolean": pa.bool_(),
    }
    return types[data_type]
