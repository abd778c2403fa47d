"""What a run was doing to files when it ended is brought to its end, and told, by the next one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from ingestion.commands import withdrawal
from ingestion.config.profiles import FileProfile
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.reader.verdicts import FileReport
from ingestion.run import build_scope, checking
from ingestion.run import delivery_steps as deliveries
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, run, s3_rows, sale

BROKEN = b"customer_id;day\n1;1\n"


def send_in_parts(services: Services, key: str, content: bytes) -> None:
    """Puts an object in another way, so that the same bytes have another ETag."""
    client, place = services.store.client, {"Bucket": services.settings.bucket, "Key": key}
    upload = client.create_multipart_upload(**place)["UploadId"]
    part = client.upload_part(**place, UploadId=upload, PartNumber=1, Body=content)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)


def kill_in(
    services: Services, step: str, monkeypatch: pytest.MonkeyPatch, module: ModuleType = deliveries
) -> None:
    """A run that ends as it begins the step."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, step, killed)
        with pytest.raises(KeyboardInterrupt):
            run(services)


def test_files_sent_twice_before_their_check_are_one(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a broken file that its sender repeats lies among the good ones, and nobody hears."""
    good = (HEADER + sale(1, "2024-04-03", 5)).encode()
    for name, content in (("broken", BROKEN), ("good", good)):
        services.store.put_bytes(f"sales_data/{name}.csv", content)
    kill_in(services, "check_files", monkeypatch)
    for name, content in (("broken", BROKEN), ("good", good)):
        send_in_parts(services, f"sales_data/{name}.csv", content)
    summary = run(services)
    assert summary.exit_code == 3
    error = services.store.location("sales_data_error/broken.csv")
    assert {(item.file_name, item.location) for item in summary.set_aside} == {
        ("sales_data/broken.csv", error)
    }
    assert [info.key for info in services.store.list_objects("sales_data_error/")] == [
        "sales_data_error/broken.csv",
        "sales_data_error/broken.csv.reasons.json",
    ]
    assert [info.key for info in services.store.list_objects("sales_data_processed/")] == [
        "sales_data_processed/good.csv"
    ]
    assert not list(services.store.list_objects("sales_data/"))
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5


def test_what_no_reader_foresaw_is_told_again_after_a_kill(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: one strange file ends every later run, for its run was killed before it was moved."""
    for name in ("good", "odd"):
        services.store.put_bytes(
            f"sales_data/{name}.csv", (HEADER + sale(1, "2024-04-03", len(name))).encode()
        )
    real = checking.check_file

    def fail(path: Path, *, key: str, **options: Any) -> FileReport:
        if key == "odd.csv":
            raise IndexError("a value of a person")
        return real(path, key=key, **options)

    monkeypatch.setattr(checking, "check_file", fail)
    kill_in(services, "move_uncounted_files", monkeypatch)
    summary = run(services)
    [item] = summary.set_aside
    assert (item.file_name, summary.exit_code) == ("sales_data/odd.csv", 3)
    assert "IndexError" in item.reason
    reasons = services.store.get_bytes("sales_data_error/odd.csv.reasons.json").decode()
    assert "IndexError" in reasons
    assert "a value of a person" not in reasons


def test_a_new_profile_does_not_take_what_a_killed_run_set_aside(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the rows of a file that was set aside are published as those of one too bad to trust;
    or one that was refused for its name is told to have been removed from the inbox."""
    content = (HEADER + sale(1, "2024-04-03", 5)).encode()
    for name, sent in (
        ("a.csv", content.replace(b",", b";")),
        ("b.dat", content),
        ("good.csv", content),
    ):
        services.store.put_bytes(f"sales_data/{name}", sent)
    kill_in(services, "move_uncounted_files", monkeypatch)
    profiles = (
        FileProfile(name="a", pattern="a.csv", delimiter=";"),
        FileProfile(name="b", pattern="b.dat"),
    )
    settings = services.settings.model_copy(update={"profiles": profiles})
    run(dataclasses.replace(services, settings=settings))
    files = {row.file_name: row for row in in_transaction(services.engine, staging_table.all_rows)}
    for name in ("a.csv", "b.dat"):
        row = files[f"sales_data/{name}"]
        told = json.loads(services.store.get_bytes(f"sales_data_error/{name}.reasons.json"))
        assert (row.status, [item["message"] for item in told["reasons"]]) == ("E", [row.reason])
    good = files["sales_data/good.csv"]
    written = services.workspace.bronze.rglob("*.parquet")
    assert [path.name for path in written] == [f"{good.id}.parquet"]


def test_an_object_named_like_the_reasons_of_another_is_not_written_over(
    services: Services,
) -> None:
    """Risk: whoever copies the error folder back into the inbox loses an object's bytes."""
    services.store.put_bytes("sales_data/x.csv", BROKEN)
    services.store.put_bytes("sales_data/x.csv.reasons.json", b"the sender's own")
    run(services)
    files = {row.file_name: row for row in in_transaction(services.engine, staging_table.all_rows)}
    own = files["sales_data/x.csv.reasons.json"]
    assert own.file_location == services.store.location(
        f"sales_data_error/x.csv.reasons.json~{own.id}"
    )
    assert services.store.get_bytes(f"sales_data_error/x.csv.reasons.json~{own.id}") == (
        b"the sender's own"
    )
    told = json.loads(services.store.get_bytes("sales_data_error/x.csv.reasons.json"))
    assert told["file_name"] == "sales_data/x.csv"


@pytest.mark.parametrize("step", ["check_files", "move_uncounted_files"])
def test_another_machine_takes_up_what_a_killed_run_has_planned(
    services: Services, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Risk: its copies of the files are gone, and good ones are refused as gone from the inbox; or
    a copy counts nowhere, for the first of it has been corrected meanwhile."""
    day, more = sale(1, "2024-04-03", 5), sale(1, "2024-04-03", 7)
    for name in ("a", "b"):
        services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + day).encode())
    kill_in(services, step, monkeypatch)
    shutil.rmtree(services.workspace.downloads)
    services.store.put_bytes("sales_data/a.csv", (HEADER + more).encode())
    summary = run(services)
    # of a.csv the first version is nowhere any more
    assert {item.file_name for item in summary.set_aside} == {"sales_data/a.csv"}
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5 + 7


def test_another_machine_takes_up_a_copy_that_counts_since(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a copy that was moved before it counted is refused as gone from the inbox."""
    day, more = sale(1, "2024-04-03", 5), sale(1, "2024-04-03", 7)
    for name in ("a", "b"):
        services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + day).encode())
    kill_in(services, "must_build", monkeypatch, build_scope)  # the copy, b.csv, has been moved
    services.store.put_bytes("sales_data/a.csv", (HEADER + more).encode())
    kill_in(services, "move_uncounted_files", monkeypatch)
    shutil.rmtree(services.workspace.downloads)
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5 + 7


@pytest.mark.parametrize("step", ["check_files", "move_uncounted_files"])
def test_of_versions_that_come_and_come_again_the_last_counts(
    services: Services, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a sender takes a correction back while runs are killed, and the correction counts."""
    first, second = (HEADER + sale(1, "2024-04-03", cost) for cost in (5, 7))
    for content in (first, second):
        services.store.put_bytes("sales_data/a.csv", content.encode())
        kill_in(services, step, monkeypatch)
    services.store.put_bytes("sales_data/a.csv", first.encode())
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert [row.status for row in rows] == ["S", "S", "I"]
    assert not list(services.store.list_objects("sales_data/"))
    store = services.store
    archived = [store.get_bytes(store.key_at(row.file_location)).decode() for row in rows]
    assert archived == [first, second, first]


def test_what_is_sent_again_before_the_archive_is_not_taken_for_an_older_version(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the archive step takes a correction away, and what it corrects stays published."""
    first, second = (HEADER + sale(1, "2024-04-03", cost) for cost in (5, 7))
    services.store.put_bytes("sales_data/a.csv", first.encode())
    kill_in(services, "check_files", monkeypatch)
    shutil.rmtree(services.workspace.downloads)  # the next machine has no copy to archive
    services.store.put_bytes("sales_data/a.csv", second.encode())
    kill_in(services, "archive_batch", monkeypatch)
    services.store.put_bytes("sales_data/a.csv", first.encode())
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert [row.status for row in rows] == ["E", "S", "I"]
    assert not list(services.store.list_objects("sales_data/"))


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_file_sent_again_after_a_copy_in_its_place_counts(
    services: Services, is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: what a sender takes back while runs are killed is taken for a repeat, and its sales go
    with the version that the copy replaces."""
    first, second = ((HEADER + sale(1, "2024-04-03", cost)).encode() for cost in (100, 50))
    for name, content in (("a", first), ("b", second)):
        services.store.put_bytes(f"sales_data/{name}.csv", content)
    run(services)
    services.store.put_bytes("sales_data/b.csv", first)
    kill_in(services, "must_build", monkeypatch, build_scope)  # it is a copy, and moved
    services.store.put_bytes("sales_data/b.csv", second)
    if is_lost:
        shutil.rmtree(services.workspace.downloads)
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 150
    assert not list(services.store.list_objects("sales_data/"))


def test_a_file_sent_again_after_its_withdrawal_counts(services: Services) -> None:
    """Risk: it is taken for a repeat of the version that the withdrawal is about to take out."""
    content = (HEADER + sale(1, "2024-04-03", 50)).encode()
    services.store.put_bytes("sales_data/a.csv", content)
    run(services)
    withdrawal.retract_file(services, "a.csv", "run-2")
    services.store.put_bytes("sales_data/a.csv", content)
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 50
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert rows[-1].status == "I"


def test_what_a_killed_run_set_aside_is_told_by_the_next(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the scheduler sees a kill and then a success, and a file is missing for ever."""
    services.store.put_bytes("sales_data/broken.csv", BROKEN)
    services.store.put_bytes("sales_data/a.csv", (HEADER + sale(1, "2024-04-03", 5)).encode())
    kill_in(services, "archive_batch", monkeypatch)
    summary = run(services)
    assert summary.exit_code == 3
    assert summary.files["set aside"] == 1
    [refused] = summary.set_aside
    assert refused.location.endswith("/sales_data_error/broken.csv")
    assert "missing columns" in refused.reason
    assert run(services).exit_code == 0
