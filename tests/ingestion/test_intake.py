"""What is taken from the inbox is decided by key and ETag, and every object gets a verdict."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.database.staging_table import Delivery, FileRow, FileStatus, utc_now
from ingestion.local_paths import local_path
from ingestion.reader.contract import read_contract
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import FileReport
from ingestion.run import checking, intake
from ingestion.run.intake import clean_downloads, is_csv_name, sort_inbox
from ingestion.s3.object_store import ObjectInfo, ObjectStore
from ingestion.warehouse.raw_tables import bronze_path
from tests.services import Bucket

PROJECT = Path(__file__).parents[2]
HEADER = b"customer_id,store_id,product_name,sales_date,sales_person_id,price,quantity,total_cost\n"
SALE = b"2,122,besan,2024-03-05,4,52,2,104\n"


def location(key: str) -> str:
    return f"s3://bucket/{key}"


def row(number: int, key: str, **changes: object) -> FileRow:
    plain = FileRow(
        id=number,
        file_name=key,
        file_location=location(key),
        created_date=utc_now(),
        updated_date=utc_now(),
        status="A",
        etag="e1",
        sha256="1" * 64,
        content_sha256=None,
        size_bytes=10,
        batch_id=2,
        run_id="run",
    )
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


def test_objects_of_an_unfinished_batch_are_not_taken_twice() -> None:
    """Risk: a run after a crash plans the same object a second time."""
    objects = [
        ObjectInfo(key, "e1", 10) for key in ("a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "f.csv")
    ]
    unfinished = [
        row(1, "a.csv"),
        row(2, "b.csv", status="E"),
        row(3, "c.csv", etag="older"),
        row(4, "d.csv", file_location=location("sales_data_error/d.csv"), status="E"),
        row(5, "e.csv"),
        row(6, "e.csv", etag="retracted"),  # a withdrawal has no object
        row(7, "f.csv"),
        row(8, "f.csv", etag="e2"),  # came between: the sender has taken it back
    ]
    inbox = sort_inbox(objects, unfinished, location)
    assert [info.key for info in inbox.planned] == ["a.csv", "e.csv"]
    assert [info.key for info in inbox.new] == ["c.csv", "d.csv", "f.csv"]


def test_a_file_without_a_byte_is_an_object_of_the_inbox(
    store: ObjectStore, s3_bucket: Bucket
) -> None:
    """Risk: it is passed over like the marker of a folder, and nobody hears of the empty day."""
    s3_bucket.put("in/till/", b"")
    s3_bucket.put("in/a.csv", b"")
    assert [info.key for info in intake.list_inbox(store, "in/")] == ["in/a.csv"]


def test_what_changes_before_it_is_downloaded_is_left_to_the_next_run(
    store: ObjectStore, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: a sender is at work on one file, and no other is taken."""
    for key in ("in/a.csv", "in/b.csv", "in/c.csv"):
        s3_bucket.put(key, SALE)
    objects = intake.list_inbox(store, "in/")
    s3_bucket.put("in/b.csv", SALE + SALE)
    s3_bucket.client.delete_object(Bucket=s3_bucket.name, Key="in/c.csv")
    downloaded = intake.download_all(store, objects, tmp_path, threads=2)
    assert [item.key for item in downloaded.deliveries] == ["in/a.csv"]
    assert downloaded.changed == ("in/b.csv", "in/c.csv")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("sales_data/a.csv", True),
        ("sales_data/A.CSV", True),
        ("sales_data/.late.csv", True),
        ("sales_data/_returns.csv.gz", True),
        ("sales_data/notes.pdf", False),
        ("sales_data/archive.csv/", False),
        ("sales_data/csv", False),
        ("sales_data/till/export.dat", True),
    ],
)
def test_names_that_promise_a_sales_file(key: str, expected: bool) -> None:
    """Risk: a till's odd ending is skipped, or a PDF is read as sales."""
    profiles = (FileProfile(name="till", pattern="till/*.dat"),)
    assert is_csv_name(key, "sales_data/", profiles) is expected


@pytest.mark.parametrize(
    ("name", "action"),
    [
        *((f"day.{kind}", "Export the sales as CSV and send that") for kind in ("XLSX", "pdf")),
        *(
            (f"day.{kind}", "Unpack it and send the CSV files in it, plain or each as .csv.gz")
            for kind in ("zip", "csv.bz2", "tar.gz")
        ),
        *(
            (
                name,
                "Rename it and send it again, or add a file profile whose pattern matches its key",
            )
            for name in ("csv", "day.dat", "day.csv.old", "day.gz")
        ),
    ],
)
def test_what_is_said_of_another_name_helps(name: str, action: str) -> None:
    """Risk: a workbook is renamed as it was asked for, and refused again."""
    assert intake.not_csv_reason(f"sales_data/till/{name}") == (
        "name: not the name of a CSV file. Expected: a name ending in .csv, .csv.gz, .tsv, "
        f".tsv.gz, .txt, .txt.gz. Found: '{name}'. {action}"
    )


def test_local_leftovers_go_unless_their_batch_is_unfinished(tmp_path: Path) -> None:
    """Risk: a file left in a local folder becomes rows."""
    for key, etag in (("in/a.csv", "e1"), ("in/a.csv", "e2"), ("b.csv", "e1")):
        path = local_path(tmp_path, key, etag)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "stray").write_bytes(b"x")
    assert clean_downloads(tmp_path, {("in/a.csv", "e2")}) == 3
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        local_path(tmp_path, "in/a.csv", "e2")
    ]


def test_the_same_bytes_under_the_same_key_are_already_loaded() -> None:
    """Risk: a file that is sent again counts again; or its correction is taken for a repeat."""
    known = {"a.csv": [row(1, "a.csv", status="S", sha256="2" * 64), row(2, "a.csv", status="I")]}
    again = Delivery("a.csv", location("a.csv"), "e9", "1" * 64, 10)
    back_to_the_old = Delivery("a.csv", location("a.csv"), "e8", "2" * 64, 10)
    assert intake.already_loaded([again, back_to_the_old], known) == [(again, known["a.csv"][1])]
    corrected = [row(3, "a.csv", status="I", sha256="2" * 64), row(4, "a.csv")]
    known = {"a.csv": corrected}
    assert intake.already_loaded([again, back_to_the_old], known) == [(again, corrected[1])]
    known = {"a.csv": [row(5, "a.csv", status="I", is_read_again=True)]}
    assert intake.already_loaded([again], known) == [], "it is sent to be read anew"
    for status in ("D", "S"):  # a copy of another file, or a withdrawal
        replacing = row(7, "a.csv", status=status, replaces_id=6)
        known = {"a.csv": [row(6, "a.csv", status="I"), replacing]}
        assert intake.already_loaded([again], known) == [], "it is about to be replaced"
    refused = row(7, "a.csv", status="E", replaces_id=6)
    known = {"a.csv": [row(6, "a.csv", status="I"), refused]}
    assert intake.already_loaded([again], known) == [(again, known["a.csv"][0])]


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
        put(checker, row(1, "in/a.csv"), HEADER + SALE),
        put(checker, row(2, "in/b.csv"), HEADER + SALE),
        put(checker, row(3, "in/c.csv"), HEADER + SALE + SALE),
        put(checker, row(4, "in/d.csv"), b"nonsense\n"),
        row(5, "in/e.pdf", sha256=None),
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
    old = row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, row(2, "in/a.csv"), HEADER + SALE)
    newer = put(checker, row(3, "in/a.csv", etag="e2"), HEADER + SALE + SALE)
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
    old_a = row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    old_b = row(2, "in/b.csv", status="I", batch_id=1, etag="e0")
    new_a = put(checker, row(3, "in/a.csv"), HEADER + SALE + SALE)
    new_b = put(checker, row(4, "in/b.csv"), HEADER + SALE)
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
    first = put(checker, row(1, "in/a.csv"), HEADER + SALE)
    copy = put(checker, row(2, "in/b.csv"), HEADER + SALE)
    newer = put(checker, row(3, "in/a.csv", etag="e2"), HEADER + SALE + SALE)
    checked = checking.check_batch(
        checker, [first, copy, newer], {"in/a.csv": [first, newer]}, lambda _: {}
    )
    assert [item.verdict.status for item in checked] == ["S", "A", "A"]
    assert checked[0].verdict.reason == "superseded before it was published (id 3)"


def test_a_copy_counts_where_its_first_can_no_more_be_read(checker: checking.Checker) -> None:
    """Risk: a run was killed after its check, the first file is lost, and the sales are nowhere."""
    first = row(1, "in/a.csv")
    copy = put(checker, row(2, "in/b.csv"), HEADER + SALE)
    content = hashlib.sha256(HEADER + SALE).hexdigest()
    checked = checking.check_batch(checker, [first, copy], {}, lambda _: {content: first})
    assert [item.verdict.status for item in checked] == ["E", "A"]


def test_a_file_replaces_nothing_that_came_after_it(checker: checking.Checker) -> None:
    """Risk: where it is withdrawn in its own batch, the version before it stays in the marts."""
    old = row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, row(2, "in/a.csv"), HEADER + SALE)
    withdrawal = row(3, "in/a.csv", etag="retracted")
    history = {"in/a.csv": [old, new, withdrawal]}
    [checked] = checking.check_batch(checker, [new], history, lambda _: {})
    assert checked.verdict.replaces_id == 1


def test_a_broken_correction_replaces_nothing(checker: checking.Checker) -> None:
    """Risk: an empty file takes a good day out of the marts."""
    old = row(1, "in/a.csv", status="I", batch_id=1, etag="e0")
    new = put(checker, row(2, "in/a.csv"), b"")
    [checked] = checking.check_batch(checker, [new], {"in/a.csv": [old, new]}, lambda _: {})
    assert (checked.verdict.status, checked.verdict.replaces_id) == (FileStatus.ERROR, None)


def test_a_broken_version_does_not_take_the_place_of_one_in_its_batch(
    checker: checking.Checker,
) -> None:
    """Risk: of a day that is sent twice at once, no version counts, for the second is broken."""
    good = put(checker, row(1, "in/a.csv"), HEADER + SALE)
    broken = put(checker, row(2, "in/a.csv", etag="e2"), b"")
    history = {"in/a.csv": [good, broken]}
    checked = checking.check_batch(checker, [good, broken], history, lambda _: {})
    assert [item.verdict.status for item in checked] == ["A", "E"]


def test_a_planned_file_whose_bytes_are_lost_is_set_aside(checker: checking.Checker) -> None:
    """Risk: after a lost workspace every run ends in a traceback."""
    [checked] = checking.check_batch(checker, [row(1, "in/a.csv")], {}, lambda _: {})
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
    checking.remove_strays(checker.bronze, 2, [row(1, "in/a.csv")])
    assert [path.name for path in folder.iterdir()] == ["1.parquet"]


@pytest.mark.parametrize("large", [1, 1 << 30])
def test_files_checked_side_by_side_keep_their_order(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    """Risk: which of two equal files counts depends on which thread was faster."""
    monkeypatch.setattr(checking, "_LARGE_FILE", large)
    rows = [
        put(checker, row(number, f"in/{number}.csv"), HEADER + SALE * (1 + number % 20))
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
    rows = [put(checker, row(n, f"in/{n}.csv"), HEADER + SALE) for n in range(1, 301)]
    bronze_path(checker.bronze, rows[0].batch_id, rows[0].id).mkdir(parents=True)
    seen: list[int] = []
    with pytest.raises(IsADirectoryError, match=r"1\.parquet"):
        checking.check_batch(checker, rows, {}, lambda _: {}, seen.append)
    assert len(seen) < 299


def test_an_error_that_nobody_foresaw_sets_its_file_aside(
    checker: checking.Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: one strange file stops every run with a traceback, and which one is anybody's guess."""
    rows = [put(checker, row(n, f"in/{n}.csv"), HEADER + SALE * n) for n in (1, 2)]

    def fail(path: Path, **options: Any) -> FileReport:
        if options["file_id"] == 2:
            raise IndexError("list index out of range")
        return check_file(path, **options)

    monkeypatch.setattr(checking, "check_file", fail)
    good, strange = checking.check_batch(checker, rows, {}, lambda _: {})
    assert good.verdict.status == FileStatus.ACTIVE
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
    file = put(checker, row(1, "in/a.csv"), HEADER + SALE)
    with pytest.raises(MemoryError):
        checking.check_batch(checker, [file], {}, lambda _: {})
