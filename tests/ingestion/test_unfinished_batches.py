"""A batch left unfinished is taken up, here or on another machine, and each file counts once."""

from __future__ import annotations

import dataclasses
import io
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa
from boto3.s3.transfer import TransferConfig

from ingestion.commands.withdrawal import restore_file, retract_file
from ingestion.config.profiles import FileProfile
from ingestion.database.staging_changes import record_verdicts
from ingestion.errors import PipelineError
from ingestion.run import bronze_recovery, build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run.refusals import refused_copies
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectChanged
from ingestion.warehouse.raw_tables import bronze_path
from tests.checked_runs import counted, cut_short, elsewhere, file_rows, put, scope, started
from tests.run_without_spark import build_and_publish, new_run, run, s3_rows, take_files


@pytest.mark.parametrize("is_archived", [True, False], ids=["archived", "published"])
def test_bronze_of_a_batch_that_another_machine_finished_is_read_again(
    services: Services, tmp_path: Path, is_archived: bool
) -> None:
    """Risk: rows of a file that the other machine refused, or read in another way, come back."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "x.csv", "2024-03-06")
    cut_short(services)
    mine = bronze_path(services.workspace.bronze, 2, 2)
    mine.write_bytes(b"as I read it")
    other = elsewhere(services, tmp_path / "other")
    if is_archived:
        run(other)
    else:
        build_and_publish(started(other))
    state = new_run(services)
    deliveries.archive_last_batch(state)
    bronze_recovery.read_missing_files(state, [])
    assert not mine.exists()
    bronze_recovery.read_missing_files(state, None)
    assert mine.read_bytes() == bronze_path(other.workspace.bronze, 2, 2).read_bytes()
    bronze_recovery.read_missing_files(state, [])
    assert mine.exists(), "it is this workspace's own from now on"


def put_a_copy(services: Services) -> None:
    """A file that counts is corrected to the content of another, which comes with it."""
    put(services, "b.csv", "2024-03-01")
    run(services)
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-05")


def test_a_copy_counts_when_what_it_repeats_no_longer_does(
    services: Services, tmp_path: Path
) -> None:
    """Risk: on another machine the copy stays one, though nothing has its content any more."""
    put_a_copy(services)
    cut_short(services)
    assert [row.status for row in file_rows(services)] == ["I", "A", "D"]
    put(services, "a.csv", "2024-03-06")
    run(elsewhere(services, tmp_path / "other"))
    assert [row.status for row in file_rows(services)] == ["S", "E", "I", "I"]


def test_a_copy_that_was_refused_leaves_the_history_as_it_stands(services: Services) -> None:
    """Risk: the run after it pays for the whole history; or what the copy replaced, which the run
    that was ended took out of the tables, does not come back."""
    put(services, "old.csv", "2024-01-01")
    run(services)
    put_a_copy(services)
    state = cut_short(services)
    copies = refused_copies(state.batch_rows(), {3})
    state.in_transaction(lambda found: record_verdicts(found, copies))
    assert [row.status for row in file_rows(services)] == ["I", "I", "A", "E"]
    for _ in range(2):  # the run after it may be ended, too
        assert scope(cut_short(services)) == [2, 3]
    run(services)
    put(services, "c.csv", "2024-03-07")
    assert scope(started(services)) == [4]


def test_a_newer_object_is_not_read_in_the_place_of_a_copy(
    services: Services, tmp_path: Path
) -> None:
    """Risk: a broken file under the copy's key makes the copy one that was set aside."""
    put_a_copy(services)
    state = new_run(services)
    assert take_files(state)
    deliveries.check_files(state)  # and ended before the copy was moved
    services.store.put_bytes("sales_data/b.csv", b"no,header\n1,2\n")
    run(elsewhere(services, tmp_path / "other"))
    assert [row.status for row in file_rows(services)] == ["S", "I", "D", "E"]


def test_a_copy_that_is_nowhere_takes_nothing_out_where_the_first_is_withdrawn(
    services: Services, tmp_path: Path
) -> None:
    """Risk: it passes for content that counts, and takes the version before it out of the marts."""
    put_a_copy(services)
    cut_short(services)
    services.store.put_bytes("sales_data/b.csv", b"no,header\n1,2\n")
    retract_file(services, "a.csv", "run-3")
    summary = run(elsewhere(services, tmp_path / "other"))
    rows = file_rows(services)
    assert [row.status for row in rows] == ["I", "S", "E", "I", "E"]
    assert [item.reason for item in summary.set_aside] == [rows[2].reason, rows[4].reason]
    assert rows[2].reason == (
        "gone: the object was replaced or removed in the inbox before it could be read. A newer "
        "version is taken by the next run; otherwise send the file again"
    )
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 1


def test_a_correction_to_the_content_of_another_file_takes_its_old_sales_out(
    services: Services,
) -> None:
    """Risk: the correction is a copy, nothing is built, and the replaced sales stay published."""
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-06")
    run(services)
    put(services, "a.csv", "2024-03-06")
    state = started(services)
    assert [row.status for row in file_rows(services)] == ["I", "I", "D"]
    assert build_scope.must_build(state)
    assert scope(state) == [1, 2]
    run(services)
    assert [row.status for row in file_rows(services)] == ["S", "I", "D"]
    put(services, "a.csv", "2024-03-05")
    run(services)
    assert counted(services) == ["2 sales_data/b.csv", "4 sales_data/a.csv"]


def test_a_withdrawal_comes_behind_what_was_published_but_not_archived(
    services: Services,
) -> None:
    """Risk: after a kill in the archive step a file cannot be withdrawn, and nobody knows why."""
    put(services, "a.csv", "2024-03-05")
    state = started(services)
    build_and_publish(state)
    deliveries.archive_last_batch(new_run(services))
    retract_file(services, "a.csv", str(uuid.uuid4()))
    run(services)
    assert [row.status for row in file_rows(services)] == ["S", "I"]


def test_what_was_superseded_before_it_counted_is_not_restored(services: Services) -> None:
    """Risk: the withdrawn sales come back as a version that never counted."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-04-05")
    cut_short(services)
    put(services, "a.csv", "2024-05-05")
    run(services)
    retract_file(services, "a.csv", str(uuid.uuid4()))
    run(services)
    restore_file(services, "a.csv")
    assert b"2024-05-05" in services.store.get_bytes("sales_data/a.csv")


@pytest.mark.parametrize("is_first", [True, False], ids=["first delivery", "correction"])
def test_a_version_that_never_got_published_is_withdrawn_with_the_old_one(
    services: Services, is_first: bool
) -> None:
    """Risk: a withdrawal in an unfinished batch brings the old version back, or is for good."""
    put(services, "b.csv", "2024-03-01")
    if not is_first:
        put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-03-06")
    cut_short(services)
    retract_file(services, "a.csv", str(uuid.uuid4()))
    assert scope(started(services)) == ([2] if is_first else [1, 2])
    run(services)
    retraction = file_rows(services)[-1]
    [b, a] = counted(services)
    assert (b.partition(" ")[2], a) == ("sales_data/b.csv", f"{retraction.id} sales_data/a.csv")
    assert retraction.rows_valid == 0
    restore_file(services, "a.csv")
    run(services)
    newest = file_rows(services)[-1]
    assert counted(services)[-1] == f"{newest.id} sales_data/a.csv"
    assert (newest.status, newest.rows_valid, newest.replaces_id) == ("I", 1, retraction.id)


def test_a_file_sent_again_before_it_was_checked_counts(services: Services, tmp_path: Path) -> None:
    """Risk: the same bytes with another ETag take the object away, and the sales are lost."""
    put(services, "a.csv", "2024-03-05")
    state = new_run(services)
    assert take_files(state)  # and ended
    content = services.store.get_bytes("sales_data/a.csv")
    services.store.client.upload_fileobj(
        io.BytesIO(content),
        services.store.bucket,
        "sales_data/a.csv",
        Config=TransferConfig(multipart_threshold=1),
    )
    run(elsewhere(services, tmp_path / "other"))
    [row] = file_rows(services)
    assert (row.status, row.rows_valid) == ("I", 1)
    assert services.store.get_bytes(services.store.key_at(row.file_location)) == content


@pytest.mark.parametrize("is_replaced", [True, False], ids=["replaced", "deleted"])
def test_a_file_that_leaves_the_inbox_while_it_is_published_is_archived_all_the_same(
    services: Services, tmp_path: Path, is_replaced: bool
) -> None:
    """Risk: sales count of which no copy is left, and a new machine cannot build them."""
    put(services, "a.csv", "2024-03-05")
    content = services.store.get_bytes("sales_data/a.csv")
    state = started(services)
    build_and_publish(state)
    if is_replaced:
        services.store.put_bytes("sales_data/a.csv", b"no,header\n1,2\n")
    else:
        services.store.delete("sales_data/a.csv")
    deliveries.archive_batch(state)
    [row] = file_rows(services)
    assert services.store.get_bytes(services.store.key_at(row.file_location)) == content
    assert (services.store.head("sales_data/a.csv") is not None) == is_replaced
    other = elsewhere(services, tmp_path / "other")
    bronze_recovery.read_missing_files(new_run(other), None)
    assert bronze_path(other.workspace.bronze, 1, 1).exists()


def test_a_repeat_that_is_replaced_while_it_is_moved_is_left_to_the_next_run(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: one sender's bad moment ends the run of all, with an alarm."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-06")

    def move(*_: object) -> str:
        raise ObjectChanged("replaced meanwhile")

    monkeypatch.setattr(type(services.store), "move", move)
    state = new_run(services)
    assert take_files(state)
    assert (state.changed_while_read, state.repeated) == (["sales_data/a.csv"], 0)
    assert [row.file_name for row in state.batch_rows()] == ["sales_data/b.csv"]


def test_a_file_that_an_older_reader_counted_otherwise_comes_back(
    services: Services, tmp_path: Path
) -> None:
    """Risk: after an upgrade a lost workspace cannot be filled again."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    with services.engine.begin() as connection:
        connection.execute(sa.text("update product_staging_table set rows_read = 5"))
    other = elsewhere(services, tmp_path / "other")
    state = new_run(other)
    bronze_recovery.read_missing_files(state, None)
    assert [row.rows_read for row in file_rows(services)] == [1]
    settings = other.settings.model_copy(
        update={"profiles": (FileProfile(name="a", pattern="a.csv", delimiter=";"),)}
    )
    third = elsewhere(dataclasses.replace(other, settings=settings), tmp_path / "third")
    state = new_run(third)
    with pytest.raises(PipelineError, match="a file that is refused today: missing columns"):
        bronze_recovery.read_missing_files(state, None)
