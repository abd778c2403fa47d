"""Every file of a batch gets a verdict, and of equal contents one counts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from ingestion.database.staging_table import FileRow, FileStatus
from ingestion.local_paths import local_path
from ingestion.reader.contract import read_contract
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import FileReport
from ingestion.run import checking
from ingestion.warehouse.raw_tables import bronze_path
from tests.file_rows import file_row

PROJECT = Path(__file__).parents[2]
HEADER = b"customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n"
SALE = b"2,122,besan,2024-03-05,4,52,2,104\n"


@pytest.fixture
def checker(tmp_path: Path) -> checking.Checker:
    """A checker with the project's contract and folders of its own."""
    contract = read_contract(PROJECT / "models" / "staging" / "_pos__sources.yml")
    return checking.Checker(contract, (), "in/", tmp_path / "downloads", tmp_path / "bronze")


def put(checker: checking.Checker, file: FileRow, content: bytes) -> FileRow:
    path = local_path(checker.downloads, file.file_name, file.etag)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return file


def test_equal_content_counts_once_and_names_the_first(checker: checking.Checker) -> None:
    """Risk: a till sends one day under two names and the day counts twice."""
    rows = [
        put(checker, file_row(1, "in/a.csv"), HEADER + SALE),
        put(checker, file_row(2, "in/b.csv"), HEADER + SALE),
        put(checker, file_row(3, "in/c.csv"), HEADER + SALE + SALE),
        put(checker, file_row(4, "in/d.csv"), b"nonsense\n"),
        file_row(5, "in/e.pdf", sha256=None),
    ]
    checked = checking.check_batch(checker, rows, {}, lambda _: {})
    verdicts = [item.verdict for item in checked]
    assert [verdict.status for verdict in verdicts] == ["A", "D", "A", "E", "E"]
    assert verdicts[1].reason == "duplicate: the content of in/a.csv (id 1)"
    assert verdicts[1].duplicate_of_id == 1
    assert [verdict.rows_read for verdict in verdicts[:3]] == [1, 1, 2]
    assert sorted(path.name for path in checker.bronze.rglob("*.parquet")) == [
        "1.parquet",
        "3.parquet",
    ]
    assert verdicts[4].reason is not None
    assert verdicts[4].reason.startswith("name: not the name of a CSV file.")


def test_a_correction_replaces_what_counts_under_its_key(checker: checking.Checker) -> None:
    """Risk: a correction is added to the version that it corrects."""
    old = file_row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, file_row(2, "in/a.csv"), HEADER + SALE)
    newer = put(checker, file_row(3, "in/a.csv", etag="e2"), HEADER + SALE + SALE)
    history = {"in/a.csv": [old, new, newer]}
    checked = checking.check_batch(checker, [new, newer], history, lambda _: {})
    assert [(item.verdict.status, item.verdict.replaces_id) for item in checked] == [
        ("S", None),
        ("A", 1),
    ]
    assert sorted(path.name for path in checker.bronze.rglob("*.parquet")) == [
        "2.parquet",
        "3.parquet",
    ], "the months of the version between, which a run may have built, are made anew"


def test_two_files_may_exchange_their_contents(checker: checking.Checker) -> None:
    """Risk: a till mixed two names up, and after the correction neither day counts."""
    old_a = file_row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    old_b = file_row(2, "in/b.csv", status="I", batch_id=1, etag="e0")
    new_a = put(checker, file_row(3, "in/a.csv"), HEADER + SALE + SALE)
    new_b = put(checker, file_row(4, "in/b.csv"), HEADER + SALE)
    history = {"in/a.csv": [old_a, new_a], "in/b.csv": [old_b, new_b]}

    def counted(_: object) -> dict[str, FileRow]:
        return {
            hashlib.sha256(HEADER + SALE).hexdigest(): old_a,
            hashlib.sha256(HEADER + SALE + SALE).hexdigest(): old_b,
        }

    checked = checking.check_batch(checker, [new_a, new_b], history, counted)
    assert [(item.verdict.status, item.verdict.replaces_id) for item in checked] == [
        ("A", 1),
        ("A", 2),
    ]


def test_a_copy_counts_where_its_first_is_replaced_before_it_is_published(
    checker: checking.Checker,
) -> None:
    """Risk: the copy names a first version that never counts, and the sales are nowhere."""
    first = put(checker, file_row(1, "in/a.csv"), HEADER + SALE)
    copy = put(checker, file_row(2, "in/b.csv"), HEADER + SALE)
    newer = put(checker, file_row(3, "in/a.csv", etag="e2"), HEADER + SALE + SALE)
    checked = checking.check_batch(
        checker, [first, copy, newer], {"in/a.csv": [first, newer]}, lambda _: {}
    )
    assert [item.verdict.status for item in checked] == ["S", "A", "A"]
    assert checked[0].verdict.reason == "superseded before it was published (id 3)"


def test_a_copy_counts_where_its_first_can_no_more_be_read(checker: checking.Checker) -> None:
    """Risk: a run was killed after its check, the first file is lost, and the sales are nowhere."""
    first = file_row(1, "in/a.csv")
    copy = put(checker, file_row(2, "in/b.csv"), HEADER + SALE)
    content = hashlib.sha256(HEADER + SALE).hexdigest()
    checked = checking.check_batch(checker, [first, copy], {}, lambda _: {content: first})
    assert [item.verdict.status for item in checked] == ["E", "A"]


def test_a_file_replaces_nothing_that_came_after_it(checker: checking.Checker) -> None:
    """Risk: where it is withdrawn in its own batch, the version before it stays in the marts."""
    old = file_row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, file_row(2, "in/a.csv"), HEADER + SALE)
    withdrawal = file_row(3, "in/a.csv", etag="retracted")
    history = {"in/a.csv": [old, new, withdrawal]}
    [checked] = checking.check_batch(checker, [new], history, lambda _: {})
    assert checked.verdict.replaces_id == 1


def test_a_broken_correction_replaces_nothing(checker: checking.Checker) -> None:
    """Risk: an empty file takes a good day out of the marts."""
    old = file_row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, file_row(2, "in/a.csv"), b"")
    [checked] = checking.check_batch(checker, [new], {"in/a.csv": [old, new]}, lambda _: {})
    assert (checked.verdict.status, checked.verdict.replaces_id) == (FileStatus.ERROR, None)


def test_a_broken_version_does_not_take_the_place_of_one_in_its_batch(
    checker: checking.Checker,
) -> None:
    """Risk: of a day that is sent twice at once, no version counts, for the second is broken."""
    good = put(checker, file_row(1, "in/a.csv"), HEADER + SALE)
    broken = put(checker, file_row(2, "in/a.csv", etag="e2"), b"")
    history = {"in/a.csv": [good, broken]}
    checked = checking.check_batch(checker, [good, broken], history, lambda _: {})
    assert [item.verdict.status for item in checked] == ["A", "E"]


def test_a_planned_file_whose_bytes_are_lost_is_set_aside(checker: checking.Checker) -> None:
    """Risk: after a lost workspace every run ends in a traceback."""
    [checked] = checking.check_batch(checker, [file_row(1, "in/a.csv")], {}, lambda _: {})
    assert checked.verdict.status == FileStatus.ERROR
    assert checked.verdict.reason == (
        "gone: the object was replaced or removed in the inbox before it could be read. "
        "A newer version is taken by the next run; otherwise send the file again"
    )


def test_bronze_that_no_planned_file_explains_is_removed(checker: checking.Checker) -> None:
    """Risk: rows of a run that was cut short come back with the next one."""
    folder = checker.bronze / "sales" / "batch_id=2"
    folder.mkdir(parents=True)
    for name in ("1.parquet", "9.parquet", ".partial"):
        (folder / name).write_bytes(b"x")
    checking.remove_strays(checker.bronze, 2, [file_row(1, "in/a.csv")])
    assert [path.name for path in folder.iterdir()] == ["1.parquet"]


@pytest.mark.parametrize("large", [1, 1 << 30])
def test_files_checked_side_by_side_keep_their_order(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    """Risk: which of two equal files counts depends on which thread was faster."""
    monkeypatch.setattr(checking, "_LARGE_FILE", large)
    rows = [
        put(checker, file_row(number, f"in/{number}.csv"), HEADER + SALE * (1 + number % 20))
        for number in range(1, 61)
    ]
    seen: list[int] = []
    checked = checking.check_batch(checker, rows, {}, lambda _: {}, seen.append)
    assert [item.row.id for item in checked] == list(range(1, 61))
    assert [item.verdict.rows_read for item in checked] == [1 + n % 20 for n in range(1, 61)]
    assert [item.verdict.duplicate_of_id for item in checked] == [
        None if number <= 20 else (number - 1) % 20 + 1 for number in range(1, 61)
    ]
    assert seen == [1] * 60


def test_an_error_in_one_file_ends_the_check(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a full disk, or Ctrl-C, is told only after thousands of other files were read."""
    monkeypatch.setattr(checking, "usable_processors", lambda: 1)
    rows = [put(checker, file_row(n, f"in/{n}.csv"), HEADER + SALE) for n in range(1, 301)]
    bronze_path(checker.bronze, rows[0].batch_id, rows[0].id).mkdir(parents=True)
    seen: list[int] = []
    with pytest.raises(IsADirectoryError, match=r"1\.parquet"):
        checking.check_batch(checker, rows, {}, lambda _: {}, seen.append)
    assert len(seen) < 299


def test_an_error_that_nobody_foresaw_sets_its_file_aside(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: one strange file stops every run with a traceback, and which one is anybody's guess."""
    rows = [put(checker, file_row(n, f"in/{n}.csv"), HEADER + SALE * n) for n in (1, 2)]

    def fail(path: Path, **options: Any) -> FileReport:
        if options["file_id"] == 2:
            raise IndexError("list index out of range")
        return check_file(path, **options)

    monkeypatch.setattr(checking, "check_file", fail)
    good, strange = checking.check_batch(checker, rows, {}, lambda _: {})
    assert good.verdict.status == FileStatus.PLANNED
    assert strange.verdict.status == FileStatus.ERROR
    assert strange.verdict.reason == (
        "unreadable: checking the file failed. The file itself may be fine: report this, with "
        "the file and the cause logged with RETAIL_LOG_LEVEL=DEBUG. Found: IndexError"
    )


def test_a_machine_without_memory_is_not_the_fault_of_a_file(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: good files are set aside, and their sales are missing until somebody asks."""

    def fail(*_: Path, **__: Any) -> FileReport:
        raise MemoryError

    monkeypatch.setattr(checking, "check_file", fail)
    file = put(checker, file_row(1, "in/a.csv"), HEADER + SALE)
    with pytest.raises(MemoryError):
        checking.check_batch(checker, [file], {}, lambda _: {})
