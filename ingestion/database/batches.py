"""The batch's way from plan to archive: its states, and who may move it, in one table."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from ingestion.database import staging_changes
from ingestion.database.engine import define_table
from ingestion.database.staging_table import metadata, utc_now
from ingestion.errors import PipelineError


class BatchState(enum.StrEnum):
    """How far a batch has come; each state is written in one transaction with what it says."""

    PLANNED = "planned"  # its files have rows in the staging table
    BRONZE = "bronze"  # every file has a verdict, the accepted ones are Parquet
    BUILT = "built"  # dbt has built the models
    AUDITED = "audited"  # every test has passed
    PUBLISHED = "published"  # the marts in the database are this batch's
    ARCHIVED = "archived"  # its objects have left the inbox: done


@dataclasses.dataclass(frozen=True)
class Move:
    """From which states a batch may come to another, and whether any run may move it there, or only
    the one that has moved it last."""

    starts: tuple[BatchState, ...]
    of_any_run: bool = False


MOVES: dict[BatchState, Move] = {
    BatchState.PLANNED: Move(  # what tests refused or was cut short is taken up
        (BatchState.PLANNED, BatchState.BRONZE, BatchState.BUILT, BatchState.AUDITED),
        of_any_run=True,
    ),
    BatchState.BRONZE: Move((BatchState.PLANNED,)),
    BatchState.BUILT: Move((BatchState.BRONZE,)),
    BatchState.AUDITED: Move((BatchState.BUILT,)),
    BatchState.PUBLISHED: Move((BatchState.AUDITED,)),
    BatchState.ARCHIVED: Move(  # from bronze where no file was accepted
        (BatchState.PUBLISHED, BatchState.BRONZE), of_any_run=True
    ),
}

batches = define_table(
    metadata,
    "pipeline_batches",
    sa.Column("batch_id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("run_id", sa.String(36), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", sa.DateTime, nullable=False),
    sa.Column("updated_at", sa.DateTime, nullable=False),
)


@dataclasses.dataclass(frozen=True)
class Batch:
    """One batch: the files that are published together."""

    batch_id: int
    run_id: str
    state: BatchState


def unfinished_batch(connection: Connection) -> Batch | None:
    """The batch that is not archived yet; there is at most one."""
    query = sa.select(batches).where(batches.c.state != BatchState.ARCHIVED.value)
    row = connection.execute(query.order_by(batches.c.batch_id).limit(1)).first()
    return None if row is None else Batch(row.batch_id, row.run_id, BatchState(row.state))


def open_batch(connection: Connection, run_id: str) -> int:
    """A new planned batch, or the unfinished one taken up again; returns its id."""
    unfinished = unfinished_batch(connection)
    if unfinished is not None:
        move_batch(connection, unfinished.batch_id, BatchState.PLANNED, run_id)
        return unfinished.batch_id
    newest = connection.execute(sa.select(sa.func.max(batches.c.batch_id))).scalar() or 0
    now = utc_now()
    connection.execute(
        batches.insert().values(
            batch_id=newest + 1,
            run_id=run_id,
            state=BatchState.PLANNED.value,
            created_at=now,
            updated_at=now,
        )
    )
    return int(newest) + 1


def move_batch(connection: Connection, batch_id: int, to: BatchState, run_id: str) -> None:
    """Moves the batch to ``to``; ``PipelineError`` where `MOVES` does not allow it: a run that lost
    the run lock stops here. A run may make its own last move twice.
    """
    allowed = [start.value for start in MOVES[to].starts]
    is_ours = batches.c.run_id == run_id
    may_move = batches.c.state.in_(allowed)
    if not MOVES[to].of_any_run:
        may_move &= is_ours
    moved = connection.execute(
        batches.update()
        .where(batches.c.batch_id == batch_id, may_move | (is_ours & (batches.c.state == to)))
        .values(state=to.value, run_id=run_id, updated_at=utc_now())
    )
    if moved.rowcount != 1:
        query = sa.select(batches.c.state, batches.c.run_id).where(batches.c.batch_id == batch_id)
        found = connection.execute(query).first()
        raise PipelineError(
            f"Batch {batch_id} cannot become {to.value}",
            expected=f"one of the states {', '.join(allowed)}, and no other run active on it",
            found=f"{found.state}, moved by run {found.run_id}" if found else "no such batch",
            action=(
                "Run the command again; if that does not help, look at the table pipeline_batches"
            ),
        )


def merge_batches(connection: Connection, merges: Mapping[int, Sequence[int]], run_id: str) -> None:
    """Makes one archived batch, of the given id, of each of these lists of archived batches.

    Raises ``PipelineError`` where another run has changed one of them meanwhile.
    """
    newest = connection.execute(sa.select(sa.func.max(batches.c.batch_id))).scalar() or 0
    mine = sa.select(batches.c.batch_id).where(
        batches.c.batch_id.in_(merges), batches.c.run_id == run_id
    )
    if len(connection.execute(mine).all()) == len(merges):
        return  # done already; only the answer to the commit was lost
    olds = [old_id for old_ids in merges.values() for old_id in old_ids]
    are_theirs = batches.c.batch_id.in_(olds) & (batches.c.state == BatchState.ARCHIVED.value)
    removed = connection.execute(batches.delete().where(are_theirs)).rowcount
    if removed != len(olds) or newest >= min(merges):
        raise PipelineError(
            "The batches cannot be merged",
            expected=f"{len(olds)} archived batches, and none newer than {min(merges) - 1}",
            found=f"{removed} of them, and batch {newest}: another run was active",
            action="Run the command again",
        )
    now = utc_now()
    for batch_id, old_ids in merges.items():
        staging_changes.move_to_batch(connection, old_ids, batch_id)
        connection.execute(
            batches.insert().values(
                batch_id=batch_id,
                run_id=run_id,
                state=BatchState.ARCHIVED.value,
                created_at=now,
                updated_at=now,
            )
        )


def all_batch_ids(connection: Connection) -> list[int]:
    """Every batch, oldest first."""
    return list(
        connection.execute(sa.select(batches.c.batch_id).order_by(batches.c.batch_id)).scalars()
    )


def runs_of(connection: Connection, batch_ids: Collection[int]) -> dict[int, str]:
    """The run that moved each of these batches last; of those that are there."""
    query = sa.select(batches.c.batch_id, batches.c.run_id).where(batches.c.batch_id.in_(batch_ids))
    return {row.batch_id: row.run_id for row in connection.execute(query)}


def finished_batch_ids(connection: Connection) -> list[int]:
    """The batches whose rows are in the marts, oldest first."""
    states = [BatchState.PUBLISHED.value, BatchState.ARCHIVED.value]
    query = sa.select(batches.c.batch_id).where(batches.c.state.in_(states))
    return list(connection.execute(query.order_by(batches.c.batch_id)).scalars())
