"""The last gate before publishing: every row read is counted, and changed verdicts are told."""

from __future__ import annotations

import decimal

import pytest

from ingestion.database.staging_table import FileCount
from ingestion.errors import PipelineError
from ingestion.warehouse.ledger import (
    LedgerEntry,
    changed_verdicts,
    check_ledger,
    verdict_warnings,
)
from tests.file_rows import file_row


def entry(file_id: int, quarantined: int = 0, rows_read: int = 30) -> LedgerEntry:
    """What the models counted of a file."""
    zero = decimal.Decimal(0)
    return LedgerEntry(
        FileCount(file_id, rows_read, rows_read - quarantined, quarantined, zero),
        zero,
        zero,
    )


def test_a_row_that_is_lost_or_there_twice_is_not_published() -> None:
    """Risk: the models drop or double a row, their own counts agree, and it is published."""
    accepted = [file_row(1, "in/a.csv", rows_read=30), file_row(2, "in/b.csv", rows_read=30)]
    whole = [entry(1), entry(2, 3), entry(3)]
    check_ledger(whole, accepted)
    for counted, found in ((31, "31 rows"), (29, "29 rows"), (None, "no entry")):
        entries = [] if counted is None else [entry(2, rows_read=counted)]
        with pytest.raises(PipelineError) as refused:
            check_ledger([whole[0], *entries], accepted)
        assert str(refused.value) == (
            "The rows of in/b.csv do not add up; nothing is published. Expected: 30 rows, as read "
            f"from the file. Found: {found} in the models. Run again with --full-refresh."
        )


def test_files_that_are_judged_anew_are_named_up_to_five() -> None:
    """Risk: a changed rule sets old rows aside and nobody is told, or not what they were worth."""
    money = decimal.Decimal("1500.50")
    rows = [file_row(1, "in/new.csv"), file_row(9, "in/old.csv", status="S", rows_quarantined=0)]
    rows += [
        file_row(n, f"in/{n}.csv", status="I", rows_quarantined=0, amount_valid=money)
        for n in range(2, 9)
    ]
    entries = [entry(1, 3), *(entry(n, 1) for n in range(2, 9)), entry(9, 1)]
    told = verdict_warnings(changed_verdicts(entries, rows))
    assert told[0] == (
        "the rules have changed since in/2.csv was published: "
        "rows quarantined 0 -> 1, sales that count 1,500.50 -> 0.00"
    )
    assert (len(told), told[-1]) == (
        6,
        "the same is true of 2 more files: "
        "rows quarantined 0 -> 2, sales that count 3,001.00 -> 0.00",
    )
    one_less = verdict_warnings(changed_verdicts(entries[:7], rows))
    assert one_less[-1].startswith("the same is true of 1 more file: ")
    assert verdict_warnings(changed_verdicts(entries[:6], rows)) == told[:5], "all five are named"


@pytest.mark.parametrize(
    ("before", "now", "is_more"), [(0, 1, [True]), (3, 1, [False]), (2, 2, []), (None, 2, [])]
)
def test_only_rows_that_counted_are_set_aside_anew(
    before: int | None, now: int, is_more: list[bool]
) -> None:
    """Risk: a rule that is loosened passes for one that takes sales away."""
    rows = [file_row(1, "in/a.csv", status="I", rows_quarantined=before)]
    changed = changed_verdicts([entry(1, now)], rows)
    assert [verdict.sets_more_aside for verdict in changed] == is_more
