"""A run adds to tables only where they are those of the last publication of its database."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from boto3.s3.transfer import TransferConfig

from ingestion.commands.withdrawal import restore_file, retract_file
from ingestion.config.profiles import FileProfile
from ingestion.config.settings import load_settings
from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import FileRow, all_rows, counted_ids
from ingestion.errors import PipelineError
from ingestion.run import bronze, build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run import mart_steps as marts
from ingestion.run.run_state import RunState
from ingestion.run.services import Services, open_services
from ingestion.s3.object_store import ObjectChanged
from ingestion.warehouse.raw_tables import bronze_path
from ingestion.workspace import Workspace
from tests import run_without_spark
from tests.conftest import PROJECT
from tests.run_without_spark import CONTRACT, HEADER, build_and_publish, new_run, run, sale
from tests.services import Bucket
from tests.statements import sent_to


def put(services: Services, key: str, *days: str) -> None:
    """Puts a file with a sale on each of these days into the inbox."""
    lines = "".join(sale(number, day, 1) for number, day in enumerate(days, start=1))
    services.store.put_bytes(f"sales_data/{key}", (HEADER + lines).encode())


def started(services: Services) -> RunState:
    """A run whose files are checked."""
    state = new_run(services)
    if deliveries.take_files(state):
        deliveries.check_files(state)
        deliveries.set_files_aside(state)
    return state


def scope(state: RunState, builder: str = "") -> list[int] | None:
    """The batches that the run builds; None for all."""
    write_manifest(state.services)
    return build_scope.batches_to_build(state, builder)


def write_manifest(services: Services) -> None:
    """The manifest of a project without models."""
    target = services.workspace.dbt_target
    target.mkdir(exist_ok=True)
    (target / "manifest.json").write_text(json.dumps({"nodes": {}}))


def cut_short(services: Services) -> RunState:
    """A run that is ended while dbt builds."""
    state = started(services)
    build_scope.note_begun(state, "", is_whole=scope(state) is not None)
    return state


def elsewhere(services: Services, folder: Path) -> Services:
    """Another machine's workspace for the same bucket and database."""
    workspace = Workspace(folder)
    workspace.create()
    settings = services.settings.model_copy(update={"workspace": folder})
    return dataclasses.replace(services, settings=settings, workspace=workspace)


def file_rows(services: Services) -> list[FileRow]:
    return in_transaction(services.engine, all_rows)


def counted(services: Services) -> list[str]:
    """What counts: each file with its days in bronze."""
    rows = file_rows(services)
    ids = in_transaction(services.engine, lambda connection: counted_ids(connection, rows))
    return [f"{row.id} {row.file_name}" for row in rows if row.id in ids]


def test_a_run_goes_on_where_its_own_tables_stand(services: Services) -> None:
    """Risk: every daily file pays for the whole history, or a crash makes it pay."""
    put(services, "a.csv", "2024-03-05")
    assert scope(started(services)) is None
    run(services)
    put(services, "b.csv", "2024-03-06")
    assert scope(cut_short(services)) == [2]
    assert scope(cut_short(services)) == [2], "the same command again"
    put(services, "c.csv", "2024-03-07")
    assert scope(cut_short(services)) == [2], "one more file joins the batch"

    state = started(services)
    build_scope.note_begun(state, "", is_whole=True)
    build_and_publish(state)  # and ended before it noted that
    deliveries.archive_batch(state)
    put(services, "a.csv", "2024-03-08")
    assert scope(started(services)) == [1, 3]


def test_tables_built_by_hand_after_a_run_that_published_and_ended_are_built_anew(
    services: Services,
) -> None:
    """Risk: what an analyst tries meanwhile reaches the marts, for the pointer could not move."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    state = started(services)
    build_scope.note_begun(state, "", is_whole=True)
    build_and_publish(state)
    deliveries.archive_batch(state)
    put(services, "c.csv", "2024-03-07")
    assert scope(started(services), builder=state.run_id) == [3]
    assert scope(started(services), builder="dbt 1") is None


def test_a_run_reads_the_rows_of_its_own_batches(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: each step of a daily run reads every file version of years again."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    monkeypatch.setattr(build_scope, "SMALL_WORK_ROWS", 0)
    write_manifest(services)
    state = started(services)
    with sent_to(services.engine) as sent:
        build_scope.work_size(state)
        assert scope(state) == [2]
        bronze.restore(state, [2])
    read = [statement.text for statement in sent if "product_staging_table.etag" in statement.text]
    assert read
    assert [text for text in read if "WHERE" not in text] == []


def test_another_machine_that_took_the_batch_up_is_seen(services: Services, tmp_path: Path) -> None:
    """Risk: a file that the other machine added to the batch is missing in the next version."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "x.csv", "2024-03-06")
    assert scope(cut_short(services)) == [2]
    put(services, "y.csv", "2024-03-07")
    run(elsewhere(services, tmp_path / "other"))
    put(services, "z.csv", "2024-03-08")
    assert scope(started(services)) is None
    run(services)
    put(services, "w.csv", "2024-03-09")
    run(elsewhere(services, tmp_path / "other"))
    put(services, "v.csv", "2024-03-10")
    assert scope(started(services)) is None, "though the tables are as this workspace left them"


def test_a_workspace_of_another_database_is_built_anew(
    services: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: the sample that somebody tried first is published as a batch of production."""
    url = f"sqlite:///{tmp_path / 'other.sqlite'}"
    environ = s3_bucket.environment | {
        "RETAIL_WORKSPACE": str(services.workspace.root),
        "RETAIL_DATABASE_URL": url,
        "RETAIL_INBOX_PREFIX": "other/",
    }
    put(services, "a.csv", "2024-03-05")
    run(services)
    with open_services(load_settings(tmp_path, environ), environ) as other:
        other.store.put_bytes("other/real.csv", (HEADER + sale(9, "2024-03-09", 9)).encode())
        run(other)
        other.store.put_bytes("other/next.csv", (HEADER + sale(9, "2024-03-10", 9)).encode())
        assert scope(started(other)) == [2], "the tables are its own by now"
        [real, _] = file_rows(other)
        assert (real.id, real.batch_id) == (1, 1), "both databases count from one"
    put(services, "b.csv", "2024-03-06")
    state = started(services)
    assert scope(state) is None
    assert not bronze_path(services.workspace.bronze, 1, 1).exists(), "real.csv's rows"
    bronze.restore(state, None)
    assert bronze_path(services.workspace.bronze, 1, 1).exists()


@pytest.mark.parametrize("change", ["verdict", "profile", "alias"])
def test_other_rows_than_those_of_the_run_cut_short(services: Services, change: str) -> None:
    """Risk: months that the failed run wrote keep rows that no longer count, or miss older ones."""
    put(services, "a.csv", "2024-03-05")
    put(services, "b.csv", "2024-03-05", "2024-03-06")
    run(services)
    put(services, "a.csv", "2024-04-05", "2024-04-06")
    assert scope(cut_short(services)) == [1, 2]
    options = {"delimiter": ";"} if change == "verdict" else {"date_format": "%Y-%d-%m"}
    profiles = () if change == "alias" else (FileProfile(name="a", pattern="a.csv", **options),)
    settings = services.settings.model_copy(update={"profiles": profiles})
    put(services, "c.csv", "2024-03-07")
    state = started(dataclasses.replace(services, settings=settings))
    if change == "alias":
        first, *others = CONTRACT.columns
        columns = (dataclasses.replace(first, aliases=("Kunde",)), *others)
        state.contract = dataclasses.replace(CONTRACT, columns=columns)
    assert scope(state) is None


def test_a_newer_version_in_the_place_of_one_cut_short_costs_no_rebuild(services: Services) -> None:
    """Risk: a sender's correction of the file that broke a test pays for the whole history."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "a.csv", "2024-04-05")
    assert scope(cut_short(services)) == [1, 2]
    put(services, "a.csv", "2024-05-05")
    state = started(services)
    assert [row.status for row in file_rows(services)] == ["I", "S", "A"]
    assert scope(state) == [1, 2]
    assert bronze_path(services.workspace.bronze, 2, 2).exists(), "April is made anew, too"
    profile = FileProfile(name="a", pattern="a.csv", date_format="%Y-%d-%m")
    settings = services.settings.model_copy(update={"profiles": (profile,)})
    other = started(dataclasses.replace(services, settings=settings))
    assert scope(other) is None, "nobody knows any more that it was April"
    bronze_path(services.workspace.bronze, 2, 2).unlink()
    assert scope(state) is None


def test_tables_that_were_tried_out_after_a_run_was_cut_short_are_built_anew(
    services: Services,
) -> None:
    """Risk: after a failed test, or a stop, an analyst builds another model, and that gets
    published."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    state = started(services)
    build_scope.note_begun(state, "the run before", is_whole=True)
    assert scope(started(services), builder="the run before") == [2], "dbt had not begun"
    assert scope(started(services), builder=state.run_id) == [2]
    assert scope(started(services), builder="dbt 1") is None


@pytest.mark.parametrize(("builder", "expected"), [(None, [2]), ("dbt 1", None)])
def test_a_run_asks_who_has_built_since_one_was_killed(
    services: Services,
    monkeypatch: pytest.MonkeyPatch,
    builder: str | None,
    expected: list[int] | None,
) -> None:
    """Risk: the note of who builds is written, and no run looks at it."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    write_manifest(services)
    put(services, "b.csv", "2024-03-06")
    real = run_without_spark.build
    built: list[list[int] | None] = []

    def killed(state: RunState, _dbt: Any, _manifest: Any, tables: Any, *_: object) -> None:
        tables.built_by.write_text(state.run_id)
        raise KeyboardInterrupt

    def noted(*arguments: Any) -> None:
        built.append(arguments[4])
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(run_without_spark, "build", killed)
        with pytest.raises(KeyboardInterrupt):
            run(services)
    if builder is not None:
        (services.workspace.root / "built_by").write_text(builder)
    monkeypatch.setattr(run_without_spark, "build", noted)
    run(services)
    assert built == [expected]


def test_a_run_adds_to_no_half_rebuild_and_to_no_tables_of_other_models(services: Services) -> None:
    """Risk: a rule that was mended after a failed test judges the new file alone, or the months
    that a killed rebuild had not come to are missing in the next version."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    assert scope(cut_short(services)) == [2]
    state = started(services)
    assert scope(dataclasses.replace(state, logic="other logic")) is None
    state.full_refresh = True
    assert scope(state) is None
    build_scope.note_begun(state, "", is_whole=False)
    assert scope(started(services)) is None


def test_a_rebuild_that_got_published_is_not_made_twice(services: Services) -> None:
    """Risk: a kill right behind the publication makes the next file pay for all of them."""
    put(services, "a.csv", "2024-03-05")
    state = started(services)
    build_scope.note_begun(state, "", is_whole=False)
    build_and_publish(state)
    deliveries.archive_batch(state)
    put(services, "b.csv", "2024-03-06")
    assert scope(started(services)) == [2]


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
    bronze.restore(state, [])
    assert not mine.exists()
    bronze.restore(state, None)
    assert mine.read_bytes() == bronze_path(other.workspace.bronze, 2, 2).read_bytes()
    bronze.restore(state, [])
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


def test_a_newer_object_is_not_read_in_the_place_of_a_copy(
    services: Services, tmp_path: Path
) -> None:
    """Risk: a broken file under the copy's key makes the copy one that was set aside."""
    put_a_copy(services)
    state = new_run(services)
    assert deliveries.take_files(state)
    deliveries.check_files(state)  # and ended before the copy was moved
    services.store.put_bytes("sales_data/b.csv", b"no,header\n1,2\n")
    run(elsewhere(services, tmp_path / "other"))
    assert [row.status for row in file_rows(services)] == ["S", "I", "D", "E"]


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
    assert deliveries.take_files(state)  # and ended
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
    bronze.restore(new_run(other), None)
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
    assert deliveries.take_files(state)
    assert (state.changed_while_read, state.repeated) == (["sales_data/a.csv"], 0)
    assert [row.file_name for row in state.batch_rows()] == ["sales_data/b.csv"]


@pytest.fixture
def with_dimensions(services: Services) -> Services:
    """The project's own dimensions, of one store."""
    settings = services.settings.model_copy(update={"project": PROJECT})
    found = dataclasses.replace(services, settings=settings)
    export(found)
    return found


def export(services: Services, **values: object) -> None:
    """Brings the dimensions to this workspace, after the one store has got these values."""
    engine = services.engine
    marts.export_dimensions(new_run(services))
    with engine.begin() as connection:
        store = sa.table("store", *(sa.column(name) for name in ("id", *values)))
        if not connection.execute(sa.select(store.c.id)).first():
            connection.execute(store.insert().values(id=121))
        if values:
            connection.execute(store.update().values(**values))
    marts.export_dimensions(new_run(services))


def test_a_row_that_the_models_leave_out_is_told_at_each_build(with_dimensions: Services) -> None:
    """Risk: a store that somebody numbered -1 shows as unknown, and nobody learns why."""
    export(with_dimensions, id=-1)
    state = new_run(with_dimensions)
    marts.export_dimensions(state)
    assert state.warnings == [
        "the table store has a row with id -1, which stands for what is unknown: the row is left "
        "out; give it another key"
    ]


def test_other_dimensions_than_those_of_the_run_cut_short(with_dimensions: Services) -> None:
    """Risk: a wrong table was loaded, the run was killed, and lines keep its addresses for good."""
    put(with_dimensions, "a.csv", "2024-03-05")
    run(with_dimensions)
    put(with_dimensions, "b.csv", "2024-03-06")
    export(with_dimensions, address="wrong")
    assert scope(cut_short(with_dimensions)) == [2]
    assert scope(started(with_dimensions)) == [2], "the same command again"
    export(with_dimensions, address="right")
    assert scope(started(with_dimensions)) is None


def test_a_value_that_decides_which_sales_count_judges_all_of_them(
    with_dimensions: Services,
) -> None:
    """Risk: an opening day that was mended judges old sales at the next rebuild, weeks later."""
    put(with_dimensions, "a.csv", "2024-03-05")
    run(with_dimensions)
    put(with_dimensions, "b.csv", "2024-03-06")
    export(with_dimensions, address="Quay Street")
    assert scope(started(with_dimensions)) == [2]
    with with_dimensions.engine.begin() as connection:
        connection.execute(sa.text("insert into store (id) values (122)"))
    export(with_dimensions)
    assert scope(started(with_dimensions)) == [2], "a new store judges nothing yet"
    export(with_dimensions, store_opening_date=dt.date(2024, 3, 6))
    assert scope(started(with_dimensions)) is None


def test_settings_that_give_files_another_day_judge_all_of_them(services: Services) -> None:
    """Risk: a business date that was given for a trial stays in the sales, until some rebuild."""
    put(services, "a.csv", "2024-03-05")
    run(services)
    put(services, "b.csv", "2024-03-06")
    assert scope(started(services)) == [2]
    for change in ({"time_zone": "Asia/Kolkata"}, {"business_date": dt.date(2024, 3, 31)}):
        settings = services.settings.model_copy(update=change)
        assert scope(started(dataclasses.replace(services, settings=settings))) is None


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
    bronze.restore(state, None)
    assert [row.rows_read for row in file_rows(services)] == [1]
    settings = other.settings.model_copy(
        update={"profiles": (FileProfile(name="a", pattern="a.csv", delimiter=";"),)}
    )
    third = elsewhere(dataclasses.replace(other, settings=settings), tmp_path / "third")
    state = new_run(third)
    with pytest.raises(PipelineError, match="a file that is refused today: missing columns"):
        bronze.restore(state, None)
