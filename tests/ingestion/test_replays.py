"""A replay sends everything or nothing, and leaves no mark where it sends nothing."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import sqlite3
from pathlib import Path

import pytest

from ingestion.commands import quarantine
from ingestion.commands.mended_rows import gather_rows
from ingestion.commands.replay import replay
from ingestion.commands.withdrawal import restore_file, retract_file
from ingestion.config.profiles import FileProfile
from ingestion.database import staging_changes, staging_table
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow
from ingestion.errors import PipelineError, UsageError
from ingestion.run.quarantined_rows import QuarantinedRow
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, new_run, run, sale, take_files
from tests.services import Bucket


@pytest.fixture
def shop(services: Services, s3_bucket: Bucket) -> Services:
    """Two files count."""
    s3_bucket.put("sales_data/a.csv", (HEADER + sale(1, "2024-03-05", 5)).encode())
    s3_bucket.put("sales_data/b.csv", (HEADER + sale(2, "2024-03-06", 7)).encode())
    run(services)
    return services


def rows(services: Services) -> list[FileRow]:
    return in_transaction(services.engine, staging_table.all_rows)


def export(services: Services, folder: Path, file_id: int) -> Path:
    """The one sale of a file, as if it were set aside."""
    row = rows(services)[file_id - 1]
    bad = [QuarantinedRow(row.id, row.file_name, 2, "why", ("why",))]
    [path] = quarantine.export_rows(services, bad, folder)
    return path


def assert_untouched(services: Services, bucket: Bucket, *inbox: str) -> None:
    """Nothing was sent, and a repeat of a file still is one."""
    assert bucket.keys("sales_data/") == [f"sales_data/{name}" for name in inbox]
    assert [row.is_read_again for row in rows(services)] == [False, False]


def test_a_wrong_csv_keeps_the_file_beside_it_back(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: the command fails, and half of what it was told happens all the same."""
    good = export(shop, tmp_path, 1)
    wrong = tmp_path / "wrong.csv"
    wrong.write_text(good.read_text(encoding="utf-8").replace(",2,why,", ",two,why,"))
    with pytest.raises(UsageError, match=r"wrong\.csv cannot be replayed"):
        replay(shop, [good, wrong], "b.csv")
    assert_untouched(shop, s3_bucket)
    with pytest.raises(UsageError, match=r"There is no file c\.csv"):
        replay(shop, [good], "c.csv")
    assert_untouched(shop, s3_bucket)
    with pytest.raises(UsageError) as raised:
        replay(shop, [good], "a.csv")
    assert str(raised.value) == (
        "sales_data/a.csv cannot be replayed both as it is and with corrected rows. Omit --file: "
        "the whole corrected file is read under today's rules."
    )
    assert_untouched(shop, s3_bucket)
    assert replay(shop, [good], "b.csv") == ["sales_data/a.csv", "sales_data/b.csv"]
    assert s3_bucket.keys("sales_data/") == ["sales_data/a.csv", "sales_data/b.csv"]


def test_a_long_value_comes_back_from_its_export(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: a quote has swallowed thousands of rows, and what is to mend cannot be read again."""
    row = sale(1, "2024-03-05", 5).replace("besan", f'"{"soap, " * 40_000}"')
    s3_bucket.put("sales_data/long.csv", (HEADER + row).encode())
    run(shop)
    path = export(shop, tmp_path, 3)
    assert replay(shop, [path]) == ["sales_data/long.csv"]
    assert s3_bucket.get("sales_data/long.csv") == (HEADER + row).encode()


def test_columns_that_a_spreadsheet_has_moved_or_cut_are_refused(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: a price is sent back as a quantity, and every sum is right."""
    path = export(shop, tmp_path, 1)
    records = list(csv.reader(path.open(encoding="utf-8", newline="")))
    first, second = records[0].index("price"), records[0].index("quantity")
    for record in records:
        record[first], record[second] = record[second], record[first]
    for found in (
        "customer_id,store_id,product_name,sales_date,sales_person_id,quantity,price,total_cost",
        "customer_id,store_id,product_name,sales_date,sales_person_id,quantity,price",
    ):
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(records)
        with pytest.raises(UsageError) as refused:
            replay(shop, [path])
        assert str(refused.value) == (
            f"{path} cannot be replayed. Expected: the columns as they were exported, in their"
            f" order: {HEADER.strip()}. Found: {found}."
        )
        records = [record[:-1] for record in records]
    assert_untouched(shop, s3_bucket)


def test_rows_are_mended_in_the_encoding_of_their_sender(
    services: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: another row's wrong byte, or a letter too many, ends the mending in a stack trace."""
    profile = FileProfile(name="eu", pattern="*", encoding="cp1252")
    settings = services.settings.model_copy(update={"profiles": (profile,)})
    shop = dataclasses.replace(services, settings=settings)
    good = sale(1, "2024-03-05", 5)
    wrong_byte = good.replace("besan", "bes\x81an").encode("latin-1")
    bad = good.replace("besan", '"maida, fine"').encode()
    content = (HEADER + good).encode() + wrong_byte + bad
    s3_bucket.put("sales_data/a.csv", content)
    run(shop)
    found = [QuarantinedRow(1, "sales_data/a.csv", line, "why", ("why",)) for line in (3, 4)]
    [path] = quarantine.export_rows(shop, found, tmp_path)
    exported = path.read_text(encoding="utf-8")
    assert "bes\\x81an" in exported

    def mend(name: str, encoding: str = "utf-8") -> None:
        text = exported.replace('"maida, fine",2024-03-05', f"{name},2024-03-06")
        path.write_text(text, encoding=encoding)

    mend("Łódź")
    with pytest.raises(PipelineError) as raised:
        replay(shop, [path])
    assert str(raised.value) == (
        "The row of line 4 cannot be written in its sender's format. Expected: characters that the"
        " encoding cp1252 has. Found: 'Ł'. Write them differently, or change the encoding in the"
        " file profile."
    )
    mend("Café", encoding="cp1252")
    with pytest.raises(UsageError, match=r"Found: the byte 0xe9, which is not valid UTF-8\."):
        replay(shop, [path])
    mend("Café")
    replay(shop, [path])
    assert s3_bucket.get("sales_data/a.csv") == (
        content.replace(b'"maida, fine",2024-03-05', "Café,2024-03-06".encode("cp1252"))
    )


def test_a_row_that_two_exports_mend_in_two_ways_is_refused(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: of two exports of a row, one for each of its reasons, only the last edit is sent."""
    one, other = (export(shop, tmp_path / name, 1) for name in ("one", "other"))
    content = one.read_text(encoding="utf-8")
    one.write_text(content.replace("2024-03-05", "2024-03-06"), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        replay(shop, [one, other])
    assert str(refused.value) == (
        f"Line 2 of file 1 is corrected in two different ways. Found: {one} and {other}. Remove "
        "one of them."
    )
    assert_untouched(shop, s3_bucket)
    other.write_bytes(one.read_bytes())
    assert replay(shop, [one, other]) == ["sales_data/a.csv"]


def test_corrected_rows_that_find_no_room_are_one_sentence(shop: Services, tmp_path: Path) -> None:
    """Risk: a full disk is told as a fault of the program."""
    path = export(shop, tmp_path, 1)
    with contextlib.closing(sqlite3.connect(tmp_path / "rows")) as small:
        small.execute("pragma max_page_count = 1")
        with pytest.raises(PipelineError) as refused:
            gather_rows(small, [path])
    assert str(refused.value) == (
        "The corrected rows cannot be written to the workspace. Found: database or disk is full. "
        "Free some disk space there and run the command again."
    )


def test_an_export_that_fails_leaves_none_in_the_way_of_the_next(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: the first file's CSV is there, and the same command refuses to write over it."""
    found = rows(shop)
    bad = [QuarantinedRow(row.id, row.file_name, 2, "why", ("why",)) for row in found]
    kept = s3_bucket.get("sales_data_processed/b.csv")
    shop.store.delete("sales_data_processed/b.csv")
    with pytest.raises(PipelineError, match=r"b\.csv"):
        quarantine.export_rows(shop, bad, tmp_path)
    s3_bucket.put("sales_data_processed/b.csv", kept)
    assert [path.name for path in quarantine.export_rows(shop, bad, tmp_path)] == ["1.csv", "2.csv"]


def test_two_versions_of_a_file_are_not_mended_at_once(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: which of the two counts depends on the order of the exports."""
    counts = export(shop, tmp_path / "counts", 1)
    s3_bucket.put("sales_data/a.csv", b"customer_id,day\n1,1\n")
    run(shop)
    refused = export(shop, tmp_path / "refused", 3)
    for paths in ([counts, refused], [refused, counts]):
        with pytest.raises(UsageError, match=r"Two versions of sales_data/a\.csv cannot"):
            replay(shop, paths)
    assert s3_bucket.keys("sales_data/") == []


def test_a_replay_that_fails_leaves_no_mark(
    shop: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: a file that is sent twice by mistake, months later, is built anew with its batch."""
    mended = export(shop, tmp_path, 1)
    content = s3_bucket.get("sales_data_processed/b.csv")
    s3_bucket.put("sales_data/b.csv", content.replace(b"besan", b"maida"))
    with pytest.raises(PipelineError) as raised:
        replay(shop, [mended], "b.csv")
    assert str(raised.value) == (
        "sales_data/b.csv is in the inbox already. Run the pipeline first, then try again."
    )
    assert_untouched(shop, s3_bucket, "b.csv")
    s3_bucket.put("sales_data/b.csv", content)
    assert run(shop).files["already loaded"] == 1
    shop.store.delete("sales_data_processed/b.csv")
    with pytest.raises(PipelineError, match="Found: no object there"):
        replay(shop, [mended], "b.csv")
    assert_untouched(shop, s3_bucket)


def test_a_replay_that_is_killed_before_its_end_changes_nothing(
    shop: Services, s3_bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the file is marked, but not sent; or it is taken by the next run and lost."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(staging_changes, "ask_to_read_again", killed)
        with pytest.raises(KeyboardInterrupt):
            replay(shop, (), "b.csv")
    assert_untouched(shop, s3_bucket, "b.csv")
    assert run(shop).files["already loaded"] == 1
    assert_untouched(shop, s3_bucket)

    replay(shop, (), "b.csv")
    assert run(shop).files["already loaded"] == 0
    assert [(row.status, row.replaces_id) for row in rows(shop)] == [
        ("I", None),
        ("S", None),
        ("I", 2),
    ]
    s3_bucket.put("sales_data/b.csv", s3_bucket.get("sales_data_processed/b.csv"))
    assert run(shop).files["already loaded"] == 1


@pytest.mark.parametrize("is_planned", [True, False], ids=["planned", "sent"])
def test_a_replay_that_was_cut_short_is_taken_up_by_the_same_command(
    shop: Services, s3_bucket: Bucket, tmp_path: Path, is_planned: bool
) -> None:
    """Risk: whoever repeats the command is told that it was wrong, as if nothing came of it."""
    path = export(shop, tmp_path, 1)
    first = path.read_text(encoding="utf-8")
    path.write_text(first.replace("2024-03-05", "2024-03-07"), encoding="utf-8")
    replay(shop, [path], "b.csv")
    if is_planned:
        assert take_files(new_run(shop))
    before = s3_bucket.objects()
    replay(shop, [path], "b.csv")
    assert s3_bucket.objects() == before
    if is_planned:
        path.write_text(first.replace("2024-03-05", "2024-03-08"), encoding="utf-8")
        with pytest.raises(UsageError) as refused:
            replay(shop, [path])
        assert str(refused.value) == (
            "The rows of file 1 cannot be replayed. Expected: an export of the version that counts "
            "now, or of the one set aside last. Found: a newer version of sales_data/a.csv. Export "
            "again and correct that."
        )
    summary = run(shop)
    assert (summary.exit_code, summary.files["accepted"]) == (0, 2)
    assert [(row.status, row.replaces_id) for row in rows(shop)] == [
        ("S", None),
        ("S", None),
        ("I", 1),
        ("I", 2),
    ]


@pytest.mark.parametrize("is_restored", [False, True], ids=["replayed", "restored"])
def test_what_is_planned_is_not_told_as_done_where_a_newer_object_would_count(
    shop: Services, s3_bucket: Bucket, tmp_path: Path, is_restored: bool
) -> None:
    """Risk: the repeated command ends well, and what its sender sent meanwhile counts instead."""

    def repeat() -> None:
        if is_restored:
            restore_file(shop, "a.csv")
        else:
            replay(shop, [path])

    path = export(shop, tmp_path, 1)
    mended = path.read_text(encoding="utf-8").replace("2024-03-05", "2024-03-07")
    path.write_text(mended, encoding="utf-8")
    if is_restored:
        run(shop, lambda there, run_id: retract_file(there, "a.csv", run_id))
    repeat()
    assert take_files(new_run(shop))
    repeat()
    s3_bucket.put("sales_data/a.csv", (HEADER + sale(1, "2024-03-08", 5)).encode())
    with pytest.raises(PipelineError) as stopped:
        repeat()
    assert str(stopped.value) == (
        "sales_data/a.csv is in the inbox already. Run the pipeline first, then try again."
    )
