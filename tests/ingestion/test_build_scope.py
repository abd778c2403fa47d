"""A run adds to tables only where they are those of the last publication of its database."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.config.settings import load_settings
from ingestion.run import bronze_recovery, build_scope
from ingestion.run import delivery_steps as deliveries
from ingestion.run.run_state import RunState
from ingestion.run.services import Services, open_services
from ingestion.warehouse.raw_tables import bronze_path
from tests import run_without_spark
from tests.checked_runs import begin, cut_short, elsewhere, file_rows, put, scope, started
from tests.run_without_spark import CONTRACT, HEADER, build_and_publish, parsed_models, run, sale
from tests.services import Bucket
from tests.statements import sent_to


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
    begin(state, "", is_increment=True)
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
    begin(state, "", is_increment=True)
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
    state = started(services)
    with sent_to(services.engine) as sent:
        build_scope.work_size(state)
        assert scope(state) == [2]
        bronze_recovery.read_missing_files(state, [2])
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
    bronze_recovery.read_missing_files(state, None)
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
    begin(state, "the run before", is_increment=True)
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
    models = dataclasses.replace(parsed_models(state), kept_logic="other logic")
    assert build_scope.batches_to_build(state, models, "") is None
    state.full_refresh = True
    assert scope(state) is None
    begin(state, "", is_increment=False)
    assert scope(started(services)) is None


def model(materialized: str, name: str, *parents: str) -> dict[str, Any]:
    """A model as dbt's manifest has it."""
    return {
        "resource_type": "model",
        "config": {"materialized": materialized},
        "depends_on": {"nodes": [*parents]},
        "original_file_path": f"models/{name}.sql",
    }


def test_a_report_that_only_reads_the_kept_rows_costs_no_rebuild(
    services: Services, tmp_path: Path
) -> None:
    """Risk: a new report, or a word in one, pays for the whole history; or a rule that a report
    shares with a mart is taken for a report, and old months keep the old rule."""
    nodes = {
        "view": model("view", "view", "source.sales"),
        "fact": model("incremental", "fact", "view", "seed.rates"),
        "seed.rates": {"resource_type": "seed", "config": {}, "depends_on": {"macros": []}},
        "report": model("table", "report", "fact"),
        "report of a report": model("table", "second", "report"),
    }
    settings = services.settings.model_copy(update={"project": tmp_path / "project"})
    services = dataclasses.replace(services, settings=settings)
    models = settings.project / "models"
    models.mkdir(parents=True)
    for name in ("view", "fact", "report", "second"):
        (models / f"{name}.sql").write_text("select 1")
    target = services.workspace.dbt_target
    target.mkdir()

    def change(name: str, text: str) -> None:
        (target / "manifest.json").write_text(json.dumps({"nodes": nodes}))
        (models / f"{name}.sql").write_text(text)

    put(services, "a.csv", "2024-03-05")
    change("report", "select 2")
    run(services)
    change("report", "select 3")
    change("second", "select 3")
    state = started(services)
    assert build_scope.must_build(state)
    assert scope(state) == [], "no file is new"
    put(services, "b.csv", "2024-03-06")
    assert scope(started(services)) == [2]
    nodes["third"] = model("table", "third", "fact")
    change("third", "select 1")
    assert scope(started(services)) == [2]
    for name in ("view", "fact"):
        change(name, "select 2")
        assert scope(started(services)) is None, name
        change(name, "select 1")
    nodes["fact"]["depends_on"]["nodes"].append("third")
    change("third", "select 2")
    assert scope(started(services)) is None, "a mart reads it by now"
    nodes["fact"]["depends_on"]["nodes"].remove("third")
    nodes["third"]["config"]["materialized"] = "incremental"
    change("third", "select 2")
    assert scope(started(services)) is None, "its own rows are kept by now"


def test_a_rebuild_that_got_published_is_not_made_twice(services: Services) -> None:
    """Risk: a kill right behind the publication makes the next file pay for all of them."""
    put(services, "a.csv", "2024-03-05")
    state = started(services)
    begin(state, "", is_increment=False)
    build_and_publish(state)
    deliveries.archive_batch(state)
    put(services, "b.csv", "2024-03-06")
    assert scope(started(services)) == [2]
