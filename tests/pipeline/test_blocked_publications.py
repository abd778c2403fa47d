"""Nothing is published where rows are lost or changed, or where a table does not fit its model."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from ingestion.errors import PipelineError
from ingestion.run import mart_steps
from ingestion.run.run_state import RunState
from ingestion.warehouse.raw_tables import bronze_path
from tests.pipeline.conftest import SALES, Pipeline

pytestmark = pytest.mark.slow


def test_a_row_that_is_lost_or_changed_blocks_the_publication_and_is_named(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: wrong numbers are published, or the last good ones are lost."""
    pipeline.put("a.csv", SALES)
    pipeline.run()
    before, totals = pipeline.keys("publications/"), pipeline.totals()
    register = mart_steps.register_raw_tables

    def run_where_bronze(change: Callable[[Path], None]) -> str:
        def register_changed(state: RunState, *arguments: Any) -> None:
            file = pipeline.file("b.csv")
            change(bronze_path(state.services.workspace.bronze, file.batch_id or 0, file.id))
            register(state, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(mart_steps, "register_raw_tables", register_changed)
            with pytest.raises(PipelineError) as blocked:
                pipeline.run()
        told = str(blocked.value)
        assert "nothing is published, and the last publication stays in place" in told
        assert (pipeline.keys("publications/"), pipeline.totals()) == (before, totals)
        assert pipeline.file("b.csv").status == "A"
        assert pipeline.keys("sales_data/") == ["sales_data/b.csv"]
        return told

    pipeline.put("b.csv", SALES.replace("2024-03", "2024-05").replace("104", "104.25"))
    told = run_where_bronze(lambda path: pq.write_table(pq.read_table(path).slice(1), path))
    assert "test every_row_that_the_reader_read_is_there: Got 1 result" in told
    assert "'rows_read_by_reader': 3, 'rows_read': 2" in told

    def flip_a_bit(path: Path) -> None:
        content = path.read_bytes()
        assert content.count(b"104.25") == 1
        path.write_bytes(content.replace(b"104.25", b"104.24"))

    told = run_where_bronze(flip_a_bit)
    assert re.search(r"reading file file:///\S+\.parquet", told)
    assert "CRC checksum verification failed" in told
    assert "remove the file and run again" in told
    assert not re.search(r"^\s+at ", told, re.MULTILINE)

    pipeline.run()
    assert pipeline.file("b.csv").status == "I"
    assert len(pipeline.totals()) == 4


def test_a_table_that_lacks_a_column_is_told_before_the_build(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a model's new column fails the run only when everything is built anew, hours later."""
    with pipeline.engine.begin() as connection:
        connection.execute(sa.text("create table customers_data_mart (customer_id int)"))
    pipeline.put("a.csv", SALES)
    monkeypatch.setattr(mart_steps, "build", lambda *_: pytest.fail("it was built"))
    with pytest.raises(PipelineError, match=r"customers_data_mart\.full_name: no such column"):
        pipeline.run()
    assert "sales_team_data_mart" not in sa.inspect(pipeline.engine).get_table_names()
