"""A batch tells how far it has come, and which run may move it."""

from __future__ import annotations

import decimal

import pytest
from sqlalchemy.engine import Engine

from ingestion.database import staging_table
from ingestion.database.batches import BatchState, finished_batch_ids, move_batch, open_batch
from ingestion.errors import PipelineError
from ingestion.publication.publications import Publication, add_publication, is_recorded


def test_a_batch_moves_only_as_the_table_of_moves_says(engine: Engine) -> None:
    """Risk: a batch is archived that was never published."""
    with engine.begin() as connection:
        batch_id = open_batch(connection, "run-1")
    with pytest.raises(PipelineError) as refused, engine.begin() as connection:
        move_batch(connection, batch_id, BatchState.PUBLISHED, "run-1")
    assert str(refused.value) == (
        "Batch 1 cannot become published. Expected: one of the states audited, and no other run "
        "active on it. Found: planned, moved by run run-1. Run the command again; if that does not "
        "help, look at the table pipeline_batches."
    )


def test_a_run_that_lost_its_lock_moves_nothing_any_more(engine: Engine) -> None:
    """Risk: two runs at work on one batch both publish it."""
    with engine.begin() as connection:
        batch_id = open_batch(connection, "run-1")
        move_batch(connection, batch_id, BatchState.BRONZE, "run-1")
        open_batch(connection, "run-2")
        move_batch(connection, batch_id, BatchState.BRONZE, "run-2")
    with pytest.raises(PipelineError) as refused, engine.begin() as connection:
        move_batch(connection, batch_id, BatchState.BUILT, "run-1")
    assert str(refused.value) == (
        "Batch 1 cannot become built. Expected: one of the states bronze, and no other run "
        "active on it. Found: bronze, moved by run run-2. Run the command again; if that does not "
        "help, look at the table pipeline_batches."
    )
    with (  # what the other run has done already is no more its own
        pytest.raises(PipelineError, match="cannot become bronze"),
        engine.begin() as connection,
    ):
        move_batch(connection, batch_id, BatchState.BRONZE, "run-1")


def test_an_unfinished_batch_is_taken_up_instead_of_a_second_one(engine: Engine) -> None:
    """Risk: a crash leaves a batch behind that nobody publishes."""
    way = [BatchState.BRONZE, BatchState.BUILT, BatchState.AUDITED]
    with engine.begin() as connection:
        batch_id = open_batch(connection, "run-1")
        for state in way:
            move_batch(connection, batch_id, state, "run-1")
            assert open_batch(connection, "run-1") == batch_id
            for repeated in way[: way.index(state) + 1]:
                move_batch(connection, batch_id, repeated, "run-1")
        assert finished_batch_ids(connection) == []
        move_batch(connection, batch_id, BatchState.PUBLISHED, "run-1")
        move_batch(connection, batch_id, BatchState.ARCHIVED, "run-2")
        assert finished_batch_ids(connection) == [batch_id]
        assert open_batch(connection, "run-3") == batch_id + 1


def test_a_version_of_another_run_is_not_published_over(engine: Engine) -> None:
    """Risk: two runs that both believe they have the lock publish the same version."""
    publication = Publication(
        version=1,
        run_id="run-1",
        published_at=staging_table.utc_now(),
        manifest_key="publications/manifests/v000001.json",
        manifest_sha256="0" * 64,
        logic_hash="0" * 64,
        rows_total=1,
        amount_total=decimal.Decimal("1.10"),
    )
    with engine.begin() as connection:
        assert not is_recorded(connection, 1, "run-1", base=0)
        add_publication(connection, publication)
        assert is_recorded(connection, 1, "run-1", base=0)
        with pytest.raises(PipelineError) as refused:
            is_recorded(connection, 1, "run-2", base=0)
    assert str(refused.value) == (
        "Version 1 cannot be published on top of version 0. Found: version 1, published by run "
        "run-1 meanwhile. Run again; the run continues where it stopped."
    )
