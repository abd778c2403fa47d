"""Reads the names of partitions, as Spark writes them: ``sales_month=2024-03/store_id=121``."""

from __future__ import annotations

from urllib.parse import unquote


def partition_texts(path: str) -> dict[str, str]:
    """The values of a partition's columns, as text; none of '', a table without partitions."""
    parts = (part.partition("=") for part in path.split("/") if part)
    return {name: unquote(text) for name, _, text in parts}


def is_month(column: str) -> bool:
    """Whether a column holds months: its name is ``month``, or ends in ``_month``."""
    return column.split("_")[-1] == "month"
