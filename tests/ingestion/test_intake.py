"""What is taken from the inbox is decided by key and ETag."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.database.staging_table import Delivery
from ingestion.local_paths import local_path
from ingestion.run import intake
from ingestion.run.intake import clean_downloads, is_csv_name, sort_inbox
from ingestion.s3.object_store import ObjectInfo, ObjectStore
from tests.file_rows import file_row, location
from tests.services import Bucket


def test_objects_of_an_unfinished_batch_are_not_taken_twice() -> None:
    """Risk: a run after a crash plans the same object a second time."""
    objects = [
        ObjectInfo(key, "e1", 10) for key in ("a.csv", "b.csv", "c.csv", "d.csv", "e.csv", "f.csv")
    ]
    unfinished = [
        file_row(1, "a.csv"),
        file_row(2, "b.csv", status="E"),
        file_row(3, "c.csv", etag="older"),
        file_row(4, "d.csv", file_location=location("sales_data_error/d.csv"), status="E"),
        file_row(5, "e.csv"),
        file_row(6, "e.csv", etag="retracted"),  # a withdrawal has no object
        file_row(7, "f.csv"),
        file_row(8, "f.csv", etag="e2"),  # came between: the sender has taken it back
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
        s3_bucket.put(key, b"a sale")
    objects = intake.list_inbox(store, "in/")
    s3_bucket.put("in/b.csv", b"two sales")
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


@pytest.mark.parametrize("name", ["day.XLSX", "day.csv.bz2", "csv", "day.dat", "day.gz"])
def test_what_is_said_of_another_name_helps(name: str) -> None:
    """Risk: a workbook is renamed as it was asked for, and refused again."""
    assert intake.not_csv_reason(f"sales_data/till/{name}") == (
        "name: not the name of a CSV file. Expected: a name ending in .csv, .csv.gz, .tsv, "
        f".tsv.gz, .txt, .txt.gz. Found: '{name}'. Send the sales as a CSV file under such a name; "
        "if this is one, rename it or add a file profile whose pattern matches its key"
    )


def test_local_leftovers_go_unless_their_batch_is_unfinished(tmp_path: Path) -> None:
    """Risk: a file left in a local folder becomes rows."""
    for key, etag in (("in/a.csv", "e1"), ("in/a.csv", "e2"), ("b.csv", "e1")):
        local_path(tmp_path, key, etag).write_bytes(b"x")
    (tmp_path / "stray").write_bytes(b"x")
    (tmp_path / "read_again" / "7").mkdir(parents=True)
    (tmp_path / "read_again" / "7" / "half.part").write_bytes(b"x")
    assert clean_downloads(tmp_path, {("in/a.csv", "e2")}) == 3
    assert list(tmp_path.rglob("*")) == [local_path(tmp_path, "in/a.csv", "e2")]


def test_the_same_bytes_under_the_same_key_are_already_loaded() -> None:
    """Risk: a file that is sent again counts again; or its correction is taken for a repeat."""
    known = {
        "a.csv": [
            file_row(1, "a.csv", status="S", sha256="2" * 64),
            file_row(2, "a.csv", status="I"),
        ]
    }
    again = Delivery("a.csv", location("a.csv"), "e9", "1" * 64, 10)
    back_to_the_old = Delivery("a.csv", location("a.csv"), "e8", "2" * 64, 10)
    assert intake.already_loaded([again, back_to_the_old], known) == [(again, known["a.csv"][1])]
    corrected = [file_row(3, "a.csv", status="I", sha256="2" * 64), file_row(4, "a.csv")]
    known = {"a.csv": corrected}
    assert intake.already_loaded([again, back_to_the_old], known) == [(again, corrected[1])]
    known = {"a.csv": [file_row(5, "a.csv", status="I", is_read_again=True)]}
    assert intake.already_loaded([again], known) == [], "it is sent to be read anew"
    for status in ("D", "S"):  # a copy of another file, or a withdrawal
        replacing = file_row(7, "a.csv", status=status, replaces_id=6)
        known = {"a.csv": [file_row(6, "a.csv", status="I"), replacing]}
        assert intake.already_loaded([again], known) == [], "it is about to be replaced"
    refused = file_row(7, "a.csv", status="E", replaces_id=6)
    known = {"a.csv": [file_row(6, "a.csv", status="I"), refused]}
    assert intake.already_loaded([again], known) == [(again, known["a.csv"][0])]
