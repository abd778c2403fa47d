"""Knows who built the tables last, as dbt notes it in their schema whenever it begins to build.

The macro ``note_builder`` writes the note: the id of a run, or of dbt's own call by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.warehouse.spark_errors import spark_errors

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RUN_VARIABLE = "RETAIL_RUN_ID"  # the macro reads it
_PROPERTY = "built_by"


def noted_builder(session: SparkSession, schema: str) -> str:
    """The id of the run that built last, or ``dbt`` and the id of a call by hand; '' where nobody
    has noted it."""
    with spark_errors(f"The schema {schema} cannot be described"):
        if not session.catalog.databaseExists(schema):
            return ""
        rows = session.sql(f"describe database extended {schema}").collect()
    properties = next((str(row[1]) for row in rows if row[0] == "Properties"), "")
    # Spark shows them as ((name,value), (name,value))
    found = [item.partition(",") for item in properties.strip("()").split("), (")]
    return next((value for name, _, value in found if name == _PROPERTY), "")
