"""The staging table tells which version of each file counts."""

from __future__ import annotations

import dataclasses
import decimal

import pytest
from sqlalchemy.engine import Connection, Engine

from ingestion.database import staging_changes, staging_table
from ingestion.database.batches import BatchState, move_batch, open_batch
from ingestion.database.staging_table import Delivery, FileCount, FileStatus, Verdict

HASHES = {name: name * 64 for name in "abc"}


def deliver(engine: Engine, batch_id: int, *keys: str) -> list[staging_table.FileRow]:
    deliveries = [
        Delivery(key, f"s3://bucket/sales_data/{key}", f"etag-{batch_id}", "f" * 64, 10)
        for key in keys
    ]
    with engine.begin() as connection:
        staging_changes.add_deliveries(connection, deliveries, batch_id=batch_id, run_id="run")
        return staging_table.rows_of_batch(connection, batch_id)


def accept(engine: Engine, row: staging_table.FileRow, replaces: int | None = None) -> None:
    verdict = Verdict(row.id, FileStatus.PLANNED, None, 1, HASHES["a"], replaces)
    with engine.begin() as connection:
        staging_changes.record_verdicts(connection, [verdict])


def statuses(engine: Engine) -> list[str]:
    with engine.begin() as connection:
        return [row.status for row in staging_table.all_rows(connection)]


def count(row: staging_table.FileRow, reason: str | None = None) -> FileCount:
    return FileCount(row.id, 1, 1, 0, decimal.Decimal("1.10"), reason)


def counted_ids(connection: Connection, rows: list[staging_table.FileRow]) -> set[int]:
    return {row.id for row in staging_table.counted_rows(connection, rows)}


def test_a_correction_counts_instead_of_the_version_that_it_replaces(engine: Engine) -> None:
    """Risk: old and new version of one file are both counted."""
    [old] = deliver(engine, 1, "a.csv")
    accept(engine, old)
    with engine.begin() as connection:
        staging_changes.record_counts(connection, [count(old)], 1)
    [new] = deliver(engine, 2, "a.csv")
    accept(engine, new, replaces=old.id)
    with engine.begin() as connection:
        rows = staging_table.all_rows(connection)
        assert [row.status for row in rows] == ["I", "A"]
        assert counted_ids(connection, rows) == {new.id}
        staging_changes.record_counts(connection, [count(new)], 2)
        rows = staging_table.all_rows(connection)
        assert [row.status for row in rows] == ["S", "I"]
        assert counted_ids(connection, rows) == {new.id}
    assert rows[0].reason is not None
    assert rows[0].reason.startswith("superseded by the version of")


def test_a_correction_that_is_set_aside_replaces_nothing(engine: Engine) -> None:
    """Risk: a broken correction takes the good version out of the marts."""
    [old] = deliver(engine, 1, "a.csv")
    accept(engine, old)
    with engine.begin() as connection:
        staging_changes.record_counts(connection, [count(old)], 1)
    [new] = deliver(engine, 2, "a.csv")
    accept(engine, new, replaces=old.id)
    with engine.begin() as connection:
        staging_changes.record_counts(connection, [count(new, "file_too_bad: rubbish")], 2)
    assert statuses(engine) == ["I", "E"]


def test_a_file_that_is_counted_again_keeps_its_status(engine: Engine) -> None:
    """Risk: a rule that came later refuses a published file, whose replacement is long gone."""
    [old] = deliver(engine, 1, "a.csv")
    accept(engine, old)
    with engine.begin() as connection:
        staging_changes.record_counts(connection, [count(old)], 1)
    [new] = deliver(engine, 2, "b.csv")
    accept(engine, new)
    counts = [count(old, "file_too_bad: by a new rule"), count(new)]
    with engine.begin() as connection:
        staging_changes.record_counts(connection, counts, 2)
    assert statuses(engine) == ["I", "I"]


def test_only_a_row_that_counts_makes_another_its_copy(engine: Engine) -> None:
    """Risk: a file is a copy of one that was refused, replaced or withdrawn, and counts nowhere."""
    counting = {"a": "ESDIA", "b": "ESD"}
    verdicts = [
        Verdict(number, FileStatus(status), content_sha256=HASHES[content])
        for number, (content, status) in enumerate(
            ((content, status) for content, found in counting.items() for status in found), start=1
        )
    ]
    deliver(engine, 1, *(f"{verdict.file_id}.csv" for verdict in verdicts))
    with engine.begin() as connection:
        staging_changes.record_verdicts(connection, verdicts)
        found = staging_table.counted_by_content(connection, HASHES.values())
    assert {content: row.id for content, row in found.items()} == {HASHES["a"]: 4}


@pytest.mark.parametrize(
    ("status", "is_counted_by_models", "in_bronze", "alone", "replacing"),
    [
        ("A", False, False, True, True),
        ("I", True, True, True, True),
        ("E", False, False, False, False),
        ("E", True, True, False, False),  # the models refused it
        ("D", False, False, False, True),  # a copy in the place of a version that counted
        ("S", True, False, False, True),
    ],
)
def test_what_the_marts_stand_on_is_told_by_the_row(
    engine: Engine,
    status: str,
    is_counted_by_models: bool,
    in_bronze: bool,
    alone: bool,
    replacing: bool,
) -> None:
    """Risk: a file is read again that no mart has, or its rows are missing; or nothing is built
    where a correction is the copy of another file, and the old version goes on counting."""
    [row] = deliver(engine, 1, "a.csv")
    row = dataclasses.replace(row, status=status, rows_valid=1 if is_counted_by_models else None)
    assert staging_table.is_in_bronze(row) is in_bronze
    assert not staging_table.is_in_bronze(dataclasses.replace(row, etag=staging_table.RETRACTION))
    assert staging_table.changes_what_counts(row) is alone
    assert staging_table.changes_what_counts(dataclasses.replace(row, replaces_id=7)) is replacing


def test_a_withdrawn_version_of_an_unfinished_batch_replaces_nothing(engine: Engine) -> None:
    """Risk: the version before it is taken out for a file that does not count either; or what was
    set aside loses its reason."""
    deliver(engine, 1, "a.csv", "b.csv", "c.csv")
    verdicts = [
        Verdict(1, FileStatus.PLANNED, replaces_id=7),
        Verdict(2, FileStatus.DUPLICATE, replaces_id=8, duplicate_of_id=1),
        Verdict(3, FileStatus.ERROR, "name: no CSV"),
    ]
    with engine.begin() as connection:
        staging_changes.record_verdicts(connection, verdicts)
        staging_changes.supersede(connection, staging_table.all_rows(connection), "retracted")
        rows = staging_table.all_rows(connection)
    assert [(row.status, row.reason) for row in rows] == [
        ("S", "retracted"),
        ("S", "retracted"),
        ("E", "name: no CSV"),
    ]
    assert {(row.replaces_id, row.duplicate_of_id) for row in rows} == {(None, None)}


def test_the_database_counts_what_the_rows_say(each_engine: Engine) -> None:
    """Risk: a query takes other files for those that count than the models do."""
    staging_table.metadata.create_all(each_engine)
    verdicts = [
        Verdict(1, FileStatus.PUBLISHED, rows_read=1),
        Verdict(2, FileStatus.SUPERSEDED, rows_read=2),
        Verdict(3, FileStatus.PUBLISHED, rows_read=4, replaces_id=2),
        Verdict(4, FileStatus.PUBLISHED, rows_read=8),
        Verdict(5, FileStatus.ERROR, rows_read=16, replaces_id=1),
        Verdict(6, FileStatus.DUPLICATE, rows_read=32, replaces_id=4, duplicate_of_id=1),
        Verdict(7, FileStatus.PLANNED, rows_read=64),
        Verdict(8, FileStatus.PLANNED, rows_read=None),  # a withdrawal has no rows
    ]
    for batch_id, keys in enumerate(("abc", "d", "efg", "h"), start=1):
        deliver(each_engine, batch_id, *keys)
    with each_engine.begin() as connection:
        staging_changes.record_verdicts(connection, verdicts)
        rows = staging_table.all_rows(connection)
        for batch_ids in (None, [1], [3, 4], []):
            some = staging_table.rows_of_batches(connection, batch_ids)
            assert some == [row for row in rows if batch_ids is None or row.batch_id in batch_ids]
            replaced = staging_table.replacing_rows(rows)
            assert counted_ids(connection, some) == {
                row.id for row in some if staging_table.is_accepted(row) and row.id not in replaced
            }
        assert counted_ids(connection, rows) == {1, 3, 7, 8}
        assert staging_table.counted_by_batch(connection) == {1: 1 + 4, 3: 64, 4: 0}


def test_the_totals_of_a_publication_are_exact(each_engine: Engine) -> None:
    """Risk: the last digits of a large total are rounded; or what is replaced is in it."""
    staging_table.metadata.create_all(each_engine)
    with each_engine.begin() as connection:
        assert staging_table.published_totals(connection) == (0, decimal.Decimal(0))
    for batch_id, key in enumerate(("a", "b", "a", "c"), start=1):
        [row] = deliver(each_engine, batch_id, key)
        accept(each_engine, row, replaces=1 if batch_id == 3 else None)
        amount = decimal.Decimal(f"{3 * 10**30 + batch_id}.{batch_id:02d}")
        with each_engine.begin() as connection:
            counted = FileCount(row.id, 10**batch_id, 10**batch_id, 0, amount)
            staging_changes.record_counts(connection, [counted], batch_id if batch_id < 4 else None)
    with each_engine.begin() as connection:
        assert staging_table.published_totals(connection) == (
            1100,
            decimal.Decimal(f"{6 * 10**30 + 5}.05"),
        )


def test_names_are_data(engine: Engine) -> None:
    """Risk: a quote, a percent sign or SQL in a key changes the statement."""
    keys = ["o'brien.csv", "50%_off.csv", 'say "hi".csv', "x'; drop table batches; --.csv", "ü:\\"]
    deliver(engine, 1, *keys)
    with engine.begin() as connection:
        found = staging_table.rows_by_key(connection, keys)
    assert {key: [row.file_name for row in rows] for key, rows in found.items()} == {
        key: [key] for key in keys
    }


def test_a_file_that_the_models_refuse_keeps_the_hint_on_its_cause(engine: Engine) -> None:
    """Risk: of a file whose dates are all of another format, its sender only learns how many."""
    [row, other] = deliver(engine, 1, "a.csv", "b.csv")
    hint = "sales_date is not in the contract's format. Paste this file profile:\n[[profiles]]"
    verdicts = [Verdict(row.id, FileStatus.PLANNED, hint, 2), Verdict(other.id, FileStatus.PLANNED)]
    with engine.begin() as connection:
        staging_changes.record_verdicts(connection, verdicts)
        counts = [count(item, "file_too_bad: 1 of 1 rows are rejected") for item in (row, other)]
        staging_changes.record_counts(connection, counts, 1)
        reasons = [item.reason for item in staging_table.all_rows(connection)]
    assert reasons == [f"{counts[0].reason} | {hint}", counts[1].reason]


def test_keys_that_differ_in_a_blank_at_the_end_are_two_files(each_engine: Engine) -> None:
    """Risk: MySQL takes them for the same, and one file is corrected or withdrawn for the other."""
    staging_table.metadata.create_all(each_engine)
    keys = ["a.csv", "a.csv ", "a.csv  "]
    deliver(each_engine, 1, *keys)
    many = ["a.csv", *(f"{number}.csv" for number in range(600)), "a.csv "]
    with each_engine.begin() as connection:
        for wanted in (["a.csv"], ["a.csv "], keys, many):
            found = staging_table.rows_by_key(connection, wanted)
            assert {key: [row.file_name for row in rows] for key, rows in found.items()} == {
                key: [key] for key in keys if key in wanted
            }


def test_lookups_of_many_keys_find_each_one(engine: Engine) -> None:
    """Risk: more keys than one statement may name, and the rest is taken for new."""
    keys = [f"{number}.csv" for number in range(1203)]
    deliver(engine, 1, *keys)
    with engine.begin() as connection:
        assert len(staging_table.rows_by_key(connection, [*keys, "absent.csv"])) == 1203


def test_a_note_is_added_once(engine: Engine) -> None:
    """Risk: a file that is sent every day makes its reason grow for ever."""
    [row] = deliver(engine, 1, "a.csv")
    for _ in range(2):
        with engine.begin() as connection:
            [row] = staging_table.rows_of_batch(connection, 1)
            staging_changes.add_note(connection, [row], "already loaded")
    with engine.begin() as connection:
        assert staging_table.rows_of_batch(connection, 1)[0].reason == "already loaded"


def test_what_a_lost_answer_makes_a_run_repeat_is_done_once(engine: Engine) -> None:
    """Risk: a commit whose answer was lost is made again, and a file has two rows."""
    for _ in range(2):
        deliver(engine, 1, "a.csv", "b.csv")
        with engine.begin() as connection:
            batch_id = open_batch(connection, "run-1")
    for state in (BatchState.BRONZE, BatchState.BUILT):
        for _ in range(2):
            with engine.begin() as connection:
                move_batch(connection, batch_id, state, "run-1")
    with engine.begin() as connection:
        rows = staging_table.rows_of_batch(connection, 1)
    assert [(row.id, row.file_name) for row in rows] == [(1, "a.csv"), (2, "b.csv")]


def test_a_reason_is_cut_to_what_the_table_holds(each_engine: Engine) -> None:
    """Risk: one file with thousands of mistakes is refused by the database, and stops every run."""
    staging_table.metadata.create_all(each_engine)
    [row] = deliver(each_engine, 1, "a.csv")
    verdict = Verdict(row.id, FileStatus.ERROR, "☂" * 70_000)
    with each_engine.begin() as connection:
        staging_changes.record_verdicts(connection, [verdict])
        [row] = staging_table.all_rows(connection)
    assert row.reason == "☂" * 7_999 + "…"


def test_each_of_many_rows_gets_its_own_values(each_engine: Engine) -> None:
    """Risk: rows that are written in one statement get each other's verdicts, counts or places."""
    staging_table.metadata.create_all(each_engine)
    delivered = deliver(each_engine, 1, *(f"{number}.csv" for number in range(250)))
    [untouched] = deliver(each_engine, 2, "other.csv")
    verdicts = [
        Verdict(
            row.id,
            FileStatus.ERROR if row.id % 7 == 0 else FileStatus.PLANNED,
            reason=f"50% of 'ü' \\ :x {row.id}" if row.id % 7 == 0 else None,
            rows_read=row.id,
            content_sha256=f"{row.id:064d}",
            replaces_id=1000 + row.id if row.id % 3 == 0 else None,
        )
        for row in delivered
    ]
    counts = [
        FileCount(row.id, row.id, row.id, 0, decimal.Decimal(f"{10**32 + row.id}.12"))
        for row in delivered
        if row.id % 7
    ]
    places = {row.id: f"s3://bucket/done/{row.id}.csv" for row in delivered}
    with each_engine.begin() as connection:
        staging_changes.record_verdicts(connection, verdicts)
        staging_changes.record_counts(connection, counts, 1)
        staging_changes.record_locations(connection, places)
        rows = staging_table.rows_of_batch(connection, 1)
        assert staging_table.rows_of_batch(connection, 2) == [untouched]

    assert [
        Verdict(row.id, FileStatus(row.status), row.reason, row.rows_read, row.content_sha256)
        for row in rows
    ] == [
        Verdict(
            verdict.file_id,
            FileStatus.ERROR if verdict.status == FileStatus.ERROR else FileStatus.PUBLISHED,
            verdict.reason,
            verdict.rows_read,
            verdict.content_sha256,
        )
        for verdict in verdicts
    ]
    assert [row.replaces_id for row in rows] == [verdict.replaces_id for verdict in verdicts]
    assert {row.id: row.amount_valid for row in rows if row.amount_valid is not None} == {
        count.file_id: count.amount_valid for count in counts
    }
    assert {row.id: row.file_location for row in rows} == places
