"""The last gate before publishing: every row read is counted, no content counts twice, and changed
verdicts are told."""

from __future__ import annotations

import decimal

import pytest

from ingestion.database.staging_table import FileCount
from ingestion.errors import PipelineError
from ingestion.warehouse.ledger import (
    LedgerEntry,
    changed_verdicts,
    check_contents_once,
    check_ledger,
)
from tests.ingestion.test_intake import row


def entry(
    file_id: int, quarantined: int = 0, reason: str | None = None, rows_read: int = 30
) -> LedgerEntry:
    """What the models counted of a file."""
    zero = decimal.Decimal(0)
    return LedgerEntry(
        FileCount(file_id, rows_read, rows_read - quarantined, quarantined, zero, reason),
        zero,
        zero,
    )


def test_a_row_that_is_lost_or_there_twice_is_not_published() -> None:
    """Risk: the models drop or double a row, their own counts agree, and it is published."""
    accepted = [row(1, "in/a.csv", rows_read=30), row(2, "in/b.csv", rows_read=30)]
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


def test_a_content_that_a_refused_correction_leaves_in_place_counts_once() -> None:
    """Risk: b.csv takes over what a.csv had, a.csv's correction is refused, and both count."""
    rows = [
        row(1, "in/a.csv", status="I", content_sha256="x"),
        row(2, "in/a.csv", content_sha256="y", replaces_id=1),
        row(3, "in/b.csv", content_sha256="x"),
        row(4, "in/c.csv", content_sha256="z"),
    ]
    check_contents_once([entry(2), entry(3), entry(4)], rows)
    with pytest.raises(PipelineError) as refused:
        check_contents_once([entry(2, 30, "file_too_bad: 30 of 30"), entry(3), entry(4)], rows)
    assert str(refused.value) == (
        "The sales of in/b.csv would count twice; nothing is published. Expected: a correction of "
        "in/a.csv that can be trusted. Found: one with too many bad rows, so its old version "
        "stays, which has the same content as in/b.csv. Send in/a.csv mended, and run again."
    )


@pytest.mark.parametrize(
    ("other", "is_refused", "counts_twice"),
    [
        ("A", False, True),
        ("A", True, False),  # b.csv is not trusted either
        ("D", False, False),  # b.csv has been a copy all the time
    ],
)
def test_what_a_refused_correction_leaves_is_held_against_files_that_count(
    other: str, is_refused: bool, counts_twice: bool
) -> None:
    """Risk: a refusal of long ago hides that a content counts twice; or a run is stopped for a
    content that counts once."""
    rows = [
        row(1, "in/a.csv", status="I", content_sha256="x"),
        row(2, "in/a.csv", status="E", content_sha256="y", replaces_id=1),  # refused long ago
        row(3, "in/a.csv", content_sha256="z", replaces_id=1),
        row(4, "in/b.csv", status=other, content_sha256="x"),
    ]
    reason = "file_too_bad: 30 of 30"
    entries = [entry(3, 30, reason), entry(4, 30, reason) if is_refused else entry(4)]
    if not counts_twice:
        check_contents_once(entries, rows)
        return
    with pytest.raises(PipelineError, match=r"The sales of in/b\.csv would count twice"):
        check_contents_once(entries, rows)


@pytest.mark.parametrize(
    ("first", "refused", "third"),
    [
        ("S", "E", "I"),
        ("S", "I", "I"),  # by a rule that came later
        ("I", "E", "A"),  # another correction, together with b.csv
    ],
)
def test_a_refusal_of_long_ago_stops_no_run(first: str, refused: str, third: str) -> None:
    """Risk: once a correction was refused, nothing is published as soon as its batch is built anew
    and another file brings what the corrected version had.
    """
    rows = [
        row(1, "in/a.csv", status=first, content_sha256="x"),
        row(2, "in/a.csv", status=refused, content_sha256="y", replaces_id=1),
        row(3, "in/a.csv", status=third, content_sha256="z", replaces_id=1),
        row(4, "in/b.csv", content_sha256="x"),
    ]
    check_contents_once([entry(2, 30, "file_too_bad: 30 of 30"), entry(3), entry(4)], rows)


def test_withdrawals_have_no_content_in_common() -> None:
    """Risk: two files without content pass for copies of each other, and no run gets through."""
    rows = [
        row(1, "in/a.csv", status="I", etag="retracted"),
        row(2, "in/a.csv", content_sha256="y", replaces_id=1),
        row(3, "in/b.csv", etag="retracted"),
    ]
    check_contents_once([entry(2, 30, "file_too_bad: 30 of 30")], rows)


def test_files_that_are_judged_anew_are_named_up_to_five() -> None:
    """Risk: a changed rule sets old rows aside and nobody is told."""
    rows = [row(1, "in/new.csv")]
    rows += [row(n, f"in/{n}.csv", status="I", rows_quarantined=0) for n in range(2, 9)]
    entries = [entry(1, 3), *(entry(n, 1) for n in range(2, 8)), entry(8)]
    told = changed_verdicts(entries, rows)
    assert told[0] == ("the rules have changed since in/2.csv was published: rows set aside 0 -> 1")
    assert (len(told), told[-1]) == (6, "the same is true of 1 more file")
    assert changed_verdicts(entries[:6], rows) == told[:5], "all of five are named"


def test_a_correction_that_is_a_copy_of_a_refused_file_is_not_published() -> None:
    """Risk: the sales it replaces are taken out, and its own are nowhere."""
    rows = [
        row(1, "in/b.csv", status="I"),
        row(2, "in/a.csv"),
        row(3, "in/b.csv", status="D", replaces_id=1, duplicate_of_id=2),
    ]
    refused = [entry(2, 20, "file_too_bad: 20 of 30 rows are rejected")]
    check_contents_once([entry(2)], rows)
    # taken out long ago: a rule that changes afterwards must not stop every run
    check_contents_once(refused, [row(1, "in/b.csv", status="S"), *rows[1:]])
    with pytest.raises(PipelineError) as raised:
        check_contents_once(refused, rows)
    assert str(raised.value) == (
        "The sales of in/b.csv would be lost; nothing is published. Expected: a correction that can"
        " be trusted. Found: a copy of in/a.csv, which has too many bad rows. Send in/b.csv mended,"
        " and run again."
    )
