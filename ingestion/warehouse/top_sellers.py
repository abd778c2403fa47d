"""Reads the best sellers, whom a run's summary names, from the mart that ranks them."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingestion.errors import PipelineError
from ingestion.warehouse.dbt_manifest import model_with_role
from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROLE = "top_sellers"
_COLUMNS = {
    "sales_month": "string",
    "store_id": "bigint",
    "sales_person_id": "bigint",
    "full_name": "string",
    "total_sales": "decimal(28,2)",
    "incentive": "decimal(28,2)",
    "rank_in_store": "int",
}


@dataclasses.dataclass(frozen=True)
class Seller:
    """A store's best seller of a month."""

    month: str
    store_id: int
    full_name: str
    total_sales: decimal.Decimal
    incentive: decimal.Decimal


def read_sellers(
    spark: SparkSession, manifest: Mapping[str, Any], months: Sequence[str]
) -> list[Seller]:
    """The best seller of each store in the newest of these months; ties are all named.

    Raises ``PipelineError`` where no model has the role, or the one that has it lacks a column.
    """
    if not months:
        return []
    relation = model_with_role(manifest, _ROLE)
    with spark_errors(f"The table {relation} cannot be read"):
        table = spark.table(relation)
        lacking = [name for name in _COLUMNS if name not in table.columns]
        if lacking:
            raise PipelineError(
                f"The top sellers cannot be read from {relation}",
                expected=f"columns {', '.join(_COLUMNS)}",
                found=f"no {', no '.join(lacking)}",
                action=f"Restore the columns, or move pipeline_role: {_ROLE} to the model"
                " that has them",
            )
        sellers = table.select(
            *(table[name].cast(kind).alias(name) for name, kind in _COLUMNS.items())
        ).dropna()
        rows = (
            sellers.where((sellers["sales_month"] == max(months)) & (sellers["rank_in_store"] == 1))
            .orderBy("store_id", "sales_person_id")
            .collect()
        )
    return [
        Seller(
            row["sales_month"],
            row["store_id"],
            row["full_name"],
            row["total_sales"],
            row["incentive"],
        )
        for row in rows
    ]
