"""Files are withdrawn and come back; older publications are shown again; old ones are removed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.commands import withdrawal
from ingestion.errors import PipelineError
from ingestion.run import history
from tests.pipeline.conftest import HEADER, Pipeline
from tests.pipeline.test_quarantine import services

pytestmark = pytest.mark.slow

MARCH = "2,122,besan,2024-03-05,4,52,2,104\n"
APRIL = "16,122,maida,2024-04-12,6,20,7,140\n"


def test_a_retracted_file_is_gone_from_every_month_and_comes_back(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: a withdrawn file leaves a month behind, or counts twice once it is restored."""
    pipeline.put("a.csv", HEADER + MARCH)
    pipeline.put("b.csv", HEADER + APRIL)
    pipeline.run()
    summary = pipeline.run(
        change=lambda services, run_id: withdrawal.retract_file(services, "b.csv", run_id)
    )
    assert "2024-04" in summary.months
    assert pipeline.totals() == {(2, "2024-03"): Decimal("104.00")}
    assert {row["sales_month"] for row in pipeline.s3_table("sales_team_sales", tmp_path)} == {
        "2024-03"
    }
    with pytest.raises(PipelineError, match=r"b\.csv cannot be retracted.*retracted by hand"):
        withdrawal.retract_file(services(pipeline), "b.csv", "run")

    pipeline.run(change=lambda services, _: withdrawal.restore_file(services, "b.csv"))
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("104.00"),
        (16, "2024-04"): Decimal("140.00"),
    }
    assert [row.status for row in pipeline.files()] == ["I", "S", "S", "I"]
    assert pipeline.keys("sales_data/") == []


def test_older_versions_are_shown_again_and_removed(pipeline: Pipeline, tmp_path: Path) -> None:
    """Risk: MySQL shows one version and S3 another; or cleaning up takes a needed object."""
    found = services(pipeline)
    pipeline.put("a.csv", HEADER + MARCH)
    pipeline.run()
    pipeline.put("b.csv", HEADER + APRIL)
    pipeline.run()
    with pytest.raises(PipelineError, match="Version 7 cannot be shown again"):
        history.roll_back(found, 7, "run", lambda: None)
    shown = history.roll_back(found, None, "run", lambda: None)
    assert (shown.version, shown.rolled_back_to, shown.amount_total) == (3, 1, Decimal("104.00"))
    assert pipeline.totals() == {(2, "2024-03"): Decimal("104.00")}
    lines = pipeline.s3_table("customer_sales", tmp_path)
    assert [row["total_cost"] for row in lines] == [Decimal("104.00")]
    idle = pipeline.run()
    assert idle.version is None
    assert "readers see version 1 again since the rollback" in idle.warnings[0]

    pipeline.put("c.csv", HEADER + APRIL.replace("140", "280"))
    assert pipeline.run().version == 4
    assert sum(pipeline.totals().values()) == Decimal("524.00")
    assert len(pipeline.s3_table("customer_sales", tmp_path)) == 3

    assert [item.version for item in history.list_publications(found)] == [1, 2, 3, 4]
    history.remove_old(found, keep=1)
    [last] = history.list_publications(found)
    assert last.version == 4
    assert pipeline.keys("publications/manifests/") == [last.manifest_key]
    needed = {
        file.key
        for table in history.manifest_of(found, last).tables.values()
        for file in table.files
    }
    stored = [*pipeline.keys("customer_data_mart/"), *pipeline.keys("sales_data_mart/")]
    assert set(stored) <= needed
    assert len(pipeline.s3_table("customer_sales", tmp_path)) == 3
    with pytest.raises(PipelineError, match="There is no earlier version to go back to"):
        history.roll_back(found, None, "run", lambda: None)
