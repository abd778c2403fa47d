"""A file that the models refuse neither loses the sales of another nor lets them count twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ingestion.database.staging_table import FileRow
from ingestion.errors import PipelineError
from ingestion.run.refusals import (
    check_none_counts_twice,
    copies_that_lose_sales,
    refused_copies,
    would_be_lost,
)
from tests.file_rows import file_row


def check(rows: Sequence[FileRow], *refused: int) -> None:
    """As before a publication, where no copy would lose sales."""
    assert copies_that_lose_sales(rows, {*refused}) == []
    check_none_counts_twice(rows, {*refused})


def test_a_content_that_a_refused_correction_leaves_in_place_counts_once() -> None:
    """Risk: b.csv takes over what a.csv had, a.csv's correction is refused, and both count."""
    rows = [
        file_row(1, "in/a.csv", status="I", content_sha256="x"),
        file_row(2, "in/a.csv", content_sha256="y", replaces_id=1),
        file_row(3, "in/b.csv", content_sha256="x"),
        file_row(4, "in/c.csv", content_sha256="z"),
    ]
    check(rows)
    with pytest.raises(PipelineError) as refused:
        check(rows, 2)
    assert str(refused.value) == (
        "The sales of in/b.csv would count twice; nothing is published. Expected: a correction of "
        "in/a.csv that can be trusted. Found: one with too many bad rows, so its old version "
        "stays, which has the same content as in/b.csv. Correct and resend in/a.csv, then run "
        "again."
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
        file_row(1, "in/a.csv", status="I", content_sha256="x"),
        file_row(2, "in/a.csv", status="E", content_sha256="y", replaces_id=1),  # refused long ago
        file_row(3, "in/a.csv", content_sha256="z", replaces_id=1),
        file_row(4, "in/b.csv", status=other, content_sha256="x"),
    ]
    refused = (3, 4) if is_refused else (3,)
    if not counts_twice:
        check(rows, *refused)
        return
    with pytest.raises(PipelineError, match=r"The sales of in/b\.csv would count twice"):
        check(rows, *refused)


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
        file_row(1, "in/a.csv", status=first, content_sha256="x"),
        file_row(2, "in/a.csv", status=refused, content_sha256="y", replaces_id=1),
        file_row(3, "in/a.csv", status=third, content_sha256="z", replaces_id=1),
        file_row(4, "in/b.csv", content_sha256="x"),
    ]
    check(rows, 2)


def test_withdrawals_have_no_content_in_common() -> None:
    """Risk: two files without content pass for copies of each other, and no run gets through."""
    rows = [
        file_row(1, "in/a.csv", status="I", etag="retracted"),
        file_row(2, "in/a.csv", content_sha256="y", replaces_id=1),
        file_row(3, "in/b.csv", etag="retracted"),
    ]
    check(rows, 2)


def test_a_correction_that_is_a_copy_of_a_refused_file_is_not_published() -> None:
    """Risk: the sales it replaces are taken out, and its own are nowhere."""
    rows = [
        file_row(1, "in/b.csv", status="I"),
        file_row(2, "in/a.csv"),
        file_row(3, "in/b.csv", status="D", replaces_id=1, duplicate_of_id=2),
    ]
    assert copies_that_lose_sales(rows, set()) == []
    # taken out long ago: a rule that changes afterwards must not stop every run
    assert copies_that_lose_sales([file_row(1, "in/b.csv", status="S"), *rows[1:]], {2}) == []
    [copy] = copies_that_lose_sales(rows, {2})
    assert (copy.file_id, copy.status, copy.replaces_id) == (3, "E", None)
    assert str(would_be_lost(rows, [copy])) == (
        "Sales would be lost; nothing is published. Expected: corrections that can be trusted. "
        "Found: in/b.csv: file_too_bad: a copy of in/a.csv (id 2), which has too many bad rows. Run"
        " again: these corrections are set aside now, and the versions before them still count. "
        "Send better ones at any time."
    )


def test_a_copy_of_a_refused_file_is_refused_with_it() -> None:
    """Risk: its sender is never told, since its content counts already, as it says."""
    copy = file_row(3, "in/b.csv", status="D", duplicate_of_id=2)
    rows = [
        file_row(2, "in/a.csv"),
        copy,
        file_row(4, "in/c.csv", status="D", duplicate_of_id=9),  # of a file of long ago
        file_row(5, "in/d.csv", status="S", duplicate_of_id=2),  # corrected since
    ]
    assert refused_copies(rows, set()) == []
    assert copies_that_lose_sales(rows, {2, 9}) == [], "no run is ended for it"
    [verdict] = refused_copies(rows, {2, 9})
    assert (verdict.file_id, verdict.status, verdict.reason) == (
        copy.id,
        "E",
        "file_too_bad: a copy of in/a.csv (id 2), which has too many bad rows",
    )
