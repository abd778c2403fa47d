"""The summary's table of sellers is an ornament: without it, a finished run has finished."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from ingestion.publication.publish import Published
from ingestion.run import mart_steps
from ingestion.run.services import Services
from tests.run_without_spark import new_run, parsed_models

PUBLISHED = Published(1, {"sales_team_data_mart": ("sales_month=2024-03/store_id=1",)}, 1, 1, 1, ())


def model(name: str, **meta: str) -> dict[str, Any]:
    """A model as dbt's manifest has it."""
    return {
        "resource_type": "model",
        "schema": "retail",
        "alias": name,
        "config": {"meta": meta},
    }


@pytest.mark.parametrize(
    ("models", "told"),
    [
        (
            [model("sales_team_data_mart")],
            "The pipeline needs one model with meta.pipeline_role: top_sellers. Found: none. Mark "
            "one model in its YAML.",
        ),
        (
            [model("sales_team_data_mart", pipeline_role="top_sellers")],
            "The top sellers cannot be read from retail.sales_team_data_mart. Expected: columns "
            "sales_month, store_id, sales_person_id, full_name, total_sales, incentive, "
            "rank_in_store. Found: no full_name, no rank_in_store. Restore the columns, or move "
            "pipeline_role: top_sellers to the model that has them.",
        ),
    ],
    ids=["no role", "renamed columns"],
)
def test_a_run_that_has_published_only_warns(
    services: Services, models: list[dict[str, Any]], told: str
) -> None:
    """Risk: an analyst renames a column, and each good run ends as a failed one, with an alarm."""
    state = new_run(services)
    manifest = {"nodes": dict(enumerate(models))}
    parsed = dataclasses.replace(parsed_models(state), manifest=manifest)
    columns = ["sales_month", "store_id", "sales_person_id", "seller", "total_sales", "incentive"]
    session: Any = SimpleNamespace(table=lambda _: SimpleNamespace(columns=columns))
    assert mart_steps.read_top_sellers(state, parsed, session, PUBLISHED) == []
    assert state.warnings == [f"the summary names no top sellers: {told}"]
