"""A copy is told of when its original counts no more, and counts if somebody says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.commands.withdrawal import restore_file, retract_file
from ingestion.errors import UsageError
from ingestion.run.services import Services
from ingestion.run.summary import DONE, PARTLY
from tests.checked_runs import counted, elsewhere, put, started
from tests.run_without_spark import HEADER, build_and_publish, run


def told(copy: str, first: str) -> str:
    return (
        f"sales_data/{copy} does not count: it is a copy of sales_data/{first}, whose sales have "
        f"been replaced or withdrawn. If its own are real, `python run_pipeline.py restore "
        f"sales_data/{copy}` counts them"
    )


def test_a_name_that_is_used_each_day_loses_no_day_unseen(services: Services) -> None:
    """Risk: a till overwrites one object each day and keeps a copy with the date: each day takes
    the one before out of the marts, and nobody is told."""
    put(services, "day.csv", "2024-03-05")
    put(services, "till_05.csv", "2024-03-05")
    assert run(services).warnings == []
    put(services, "day.csv", "2024-03-06")
    put(services, "till_06.csv", "2024-03-06")
    second = run(services)
    assert (second.exit_code, second.warnings) == (PARTLY, [told("till_05.csv", "day.csv")])
    put(services, "other.csv", "2024-03-09")
    third = run(services)
    assert (third.exit_code, third.warnings) == (DONE, []), "it is told once"

    fourth = run(services, lambda there, _: restore_file(there, "till_05.csv"))
    assert (fourth.exit_code, fourth.warnings) == (DONE, [])
    assert list(fourth.months) == ["2024-03"]
    assert counted(services) == [
        "3 sales_data/day.csv",
        "5 sales_data/other.csv",
        "6 sales_data/till_05.csv",
    ]
    with pytest.raises(UsageError, match=r"no longer counts\. Found: status D"):
        restore_file(services, "till_06.csv")


def test_a_withdrawal_tells_of_the_copy_of_its_file(services: Services) -> None:
    """Risk: sales that were sent twice are all gone, though one name only was withdrawn."""
    put(services, "a.csv", "2024-03-05")
    put(services, "it's.csv", "2024-03-05")
    run(services)
    summary = run(services, lambda there, run_id: retract_file(there, "a.csv", run_id))
    [warning] = summary.warnings
    assert warning.endswith("""restore 'sales_data/it'"'"'s.csv'` counts them""")
    assert summary.exit_code == PARTLY


def test_a_copy_that_somebody_has_seen_to_is_not_told_of(services: Services) -> None:
    """Risk: warnings of what is in order hide those of what is not."""
    empty = HEADER.encode()
    services.store.put_bytes("sales_data/empty.csv", empty)
    services.store.put_bytes("sales_data/no_sales.csv", empty)
    put(services, "a.csv", "2024-03-05")
    put(services, "corrected_too.csv", "2024-03-05")
    put(services, "sent_again.csv", "2024-03-05")
    run(services)
    put(services, "empty.csv", "2024-03-01")
    put(services, "a.csv", "2024-03-06")
    put(services, "corrected_too.csv", "2024-03-07")
    put(services, "sent_again.csv", "2024-03-05")
    assert run(services).warnings == []


def test_a_run_that_is_ended_before_the_archive_leaves_the_warning_to_the_next(
    services: Services, tmp_path: Path
) -> None:
    """Risk: the one warning is lost with the process."""
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-03-06")
    build_and_publish(started(services))
    assert run(elsewhere(services, tmp_path / "other")).warnings == [told("b.csv", "a.csv")]


def test_a_restored_copy_counts_once_where_its_run_is_ended_and_the_command_repeated(
    services: Services,
) -> None:
    """Risk: the run that was ended has planned the copy, and its own plan is in the way of the
    same command."""
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-03-06")
    run(services)
    restore_file(services, "b.csv")
    started(services)
    run(services, lambda there, _: restore_file(there, "b.csv"))
    assert counted(services) == ["3 sales_data/a.csv", "4 sales_data/b.csv"]


def test_only_the_first_copies_are_told_of_one_by_one(services: Services) -> None:
    """Risk: thousands of lines in a summary."""
    names = [f"copy_{number}.csv" for number in range(7)]
    for name in ("a.csv", *names):
        put(services, name, "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-03-06")
    assert run(services).warnings == [
        *(told(name, "a.csv") for name in names[:5]),
        "2 more copies do not count, like these",
    ]
