"""Rows set aside are read from the table that dbt's manifest names, whatever its name is."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import tracemalloc
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestion.commands.quarantine import Group, group_by_reason, rows_to_export
from ingestion.config.profiles import FileProfile
from ingestion.database.batches import BatchState
from ingestion.database.staging_changes import record_counts
from ingestion.database.staging_table import FileCount
from ingestion.errors import UsageError
from ingestion.run import delivery_steps as deliveries
from ingestion.run.quarantined_rows import FILE_REASON, QuarantinedRow, first_bad_rows, read_rows
from ingestion.run.services import Services
from tests.conftest import PROJECT
from tests.run_without_spark import CONTRACT, HEADER, new_run, run, sale, take_files
from tests.services import Bucket

RAW = [f"raw_{column.name}" for column in CONTRACT.columns]
ROW = {
    "file_id": 1,
    "file_name": "sales_data/a.csv",
    "line_number": 3,
    "reasons": "invalid_price: price: expected a number, found 'x'",
    "reason_codes": "invalid_price",
    "raw_line": None,
    **dict.fromkeys(RAW, "7"),
    "raw_price": "x",
}
FOUND = QuarantinedRow(1, "sales_data/a.csv", 3, str(ROW["reasons"]), ("invalid_price",))


@pytest.fixture
def published(services: Services, s3_bucket: Bucket) -> Services:
    """A publication of one file."""
    s3_bucket.put("sales_data/a.csv", (HEADER + sale(1, "2024-03-05", 5)).encode())
    run(services)
    return services


def all_rows(services: Services, key: str | None = None) -> list[QuarantinedRow]:
    """The rows set aside."""
    with read_rows(services, key) as rows:
        return [*rows]


def make_table(services: Services, name: str, *without: str) -> None:
    """A table of rows set aside with one row, less these columns."""
    values = {column: value for column, value in ROW.items() if column not in without}
    with services.engine.begin() as connection:
        connection.execute(sa.text(f"create table {name} ({', '.join(values)})"))
    add_row(services, name, values)


def add_row(services: Services, name: str, values: Mapping[str, object]) -> None:
    """One more row of such a table."""
    table = sa.table(name, *(sa.column(column) for column in values))
    with services.engine.begin() as connection:
        connection.execute(table.insert().values(dict(values)))


def name_model(services: Services, alias: str, role: str = "quarantined_rows") -> None:
    """What dbt has left of its last command: a model with this role."""
    node = {
        "resource_type": "model",
        "schema": "retail",
        "alias": alias,
        "config": {"meta": {"pipeline_role": role}},
    }
    target = services.workspace.dbt_target
    target.mkdir(exist_ok=True)
    (target / "manifest.json").write_text(json.dumps({"nodes": {"model": node}}))


def test_the_model_may_have_any_name(published: Services) -> None:
    """Risk: an analyst renames the model, and nothing is ever set aside again, as it seems."""
    make_table(published, "rows_to_mend")
    name_model(published, "rows_to_mend")
    assert all_rows(published) == [FOUND]
    [row] = first_bad_rows(published, CONTRACT, 1, {})
    assert (row.line_number, row.reason) == (3, ROW["reasons"])
    assert first_bad_rows(published, CONTRACT, 2, {}) == []


def test_the_rows_of_a_file_are_its_own_and_its_report_has_those_with_a_fault(
    published: Services,
) -> None:
    """Risk: rows of another file are mended in its place; or the report on a file that is too bad
    shows its good rows, and the sender finds nothing wrong."""
    make_table(published, "rows_to_mend")
    name_model(published, "rows_to_mend")
    add_row(published, "rows_to_mend", {**ROW, "file_id": 2, "file_name": "sales_data/b.csv"})
    good = {**ROW, "line_number": 2, "reasons": "file_too_bad: 1 of 2", "reason_codes": FILE_REASON}
    add_row(published, "rows_to_mend", good)
    assert [row.file_id for row in all_rows(published)] == [1, 1, 2]
    assert [row.file_id for row in all_rows(published, "sales_data/b.csv")] == [2]
    assert [row.line_number for row in first_bad_rows(published, CONTRACT, 1, {})] == [3]


def test_the_rows_of_a_file_are_not_those_of_one_with_a_blank_behind_its_name(
    mariadb_services: Services, s3_bucket: Bucket
) -> None:
    """Risk: MySQL takes both names for the same, and one sender is shown the rows of another."""
    services = mariadb_services
    s3_bucket.put("sales_data/b.csv", (HEADER + sale(1, "2024-03-05", 5)).encode())
    run(services)
    with services.engine.begin() as connection:
        columns = ", ".join(f"{name} {sql_type(value)}" for name, value in ROW.items())
        connection.execute(sa.text(f"create table rows_to_mend ({columns}) collate utf8mb4_bin"))
    name_model(services, "rows_to_mend")
    add_row(services, "rows_to_mend", ROW)
    add_row(services, "rows_to_mend", {**ROW, "file_id": 2, "file_name": "sales_data/a.csv "})
    for key, number in (("sales_data/a.csv", 1), ("sales_data/a.csv ", 2)):
        assert [row.file_id for row in all_rows(services, key)] == [number]


def test_the_list_of_reasons_reads_no_rows_but_one_for_each(
    mariadb_services: Services, s3_bucket: Bucket
) -> None:
    """Risk: the list of millions of rows takes all memory; or a count, an example or a file is not
    that of the reason."""
    services = mariadb_services
    for content in (b"no sales\n", (HEADER + sale(1, "2024-03-05", 5)).encode()):
        s3_bucket.put("sales_data/b.csv", content)
        run(services)
    columns = ", ".join(f"{name} {sql_type(value)}" for name, value in ROW.items())
    table = sa.table("rows_to_mend", *(sa.column(name) for name in ROW))
    both = {**ROW, "reason_codes": "invalid_price, column_count", "reasons": "both"}
    rows = [
        {**ROW, "file_id": 1, "file_name": "sales_data/b.csv"},  # a newer version counts
        *({**ROW, "file_id": 5, "line_number": line} for line in range(2, 30_002)),
        {**both, "file_id": 6, "line_number": 9},
        {**both, "file_id": 7, "file_name": "sales_data/c.csv"},
    ]
    with services.engine.begin() as connection:
        connection.execute(sa.text(f"create table rows_to_mend ({columns})"))
        connection.execute(table.insert(), rows)
    name_model(services, "rows_to_mend")
    tracemalloc.start()
    try:
        groups = group_by_reason(services)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000, "bytes at most at one time"
    finally:
        tracemalloc.stop()
    keys = ("sales_data/a.csv", "sales_data/c.csv")
    assert groups == [
        Group("invalid_price", 30_002, keys, (f"line 2 of {keys[0]}: {ROW['reasons']}",)),
        Group("column_count", 2, keys, (f"line 9 of {keys[0]}: both",)),
    ]
    with rows_to_export(services, "column_count", None) as found:
        assert [row.file_id for row in found] == [6, 7]
    with pytest.raises(UsageError) as refused, rows_to_export(services, "quote", None):
        pass
    assert str(refused.value) == (
        "No row is quarantined for quote. Found: column_count, invalid_price. python "
        "run_pipeline.py quarantine list shows the reasons."
    )


def sql_type(value: object) -> str:
    """A column's type for values like this one."""
    return "int" if isinstance(value, int) else "text"


@pytest.mark.parametrize("is_at_hand", [True, False], ids=["read", "no longer at hand"])
def test_a_line_that_is_no_row_is_shown_as_the_reader_shows_it(
    published: Services, is_at_hand: bool
) -> None:
    """Risk: the sender of a file with too many of them sees none of them, or others read who the
    customers are."""
    make_table(published, "rows_to_mend")
    name_model(published, "rows_to_mend")
    line = {**dict.fromkeys(RAW), "line_number": 4, "raw_line": "5;besan;77;121;x"}
    add_row(published, "rows_to_mend", {**ROW, **line})
    lines = {4: "5;***;***;121;x"} if is_at_hand else {}
    found = first_bad_rows(published, CONTRACT, 1, lines)
    assert [row.text for row in found] == ["***,7,7,7,7,x,7,7", lines.get(4, "***")]


MESSY = (
    "store_id;customer_id;product_name;sales_date;sales_person_id;price;quantity;total_cost\n"
    "121;77;besan;2024-03-05;4;5;1;5\n"
    "121;77;besan;2024-03-05;4;5;1\n"
)


@pytest.mark.parametrize("state_of_copy", ["same run", "next run", "gone"])
def test_the_report_of_a_file_that_the_models_refuse_shows_its_lines(
    published: Services, s3_bucket: Bucket, state_of_copy: str
) -> None:
    """Risk: all that the sender of a file with a wrong number of values is shown is ***."""
    make_table(published, "rows_to_mend")
    name_model(published, "rows_to_mend")
    profile = FileProfile(name="till", pattern="b.csv", delimiter=";")
    settings = published.settings.model_copy(update={"profiles": (profile,)})
    services = dataclasses.replace(published, settings=settings)
    s3_bucket.put("sales_data/b.csv", MESSY.encode())
    state = new_run(services)
    assert take_files(state)
    deliveries.check_files(state)
    for step in (BatchState.BUILT, BatchState.AUDITED):
        state.move_to(step)
    too_bad = FileCount(2, 2, 1, 1, Decimal(5), reason="too_many_bad_rows: 1 of 2")
    state.in_transaction(lambda found: record_counts(found, [too_bad], state.batch_id))
    state.move_to(BatchState.PUBLISHED)
    line = {
        **ROW,
        **dict.fromkeys(RAW),
        "file_id": 2,
        "line_number": 3,
        "raw_line": MESSY.splitlines()[2],
        "reason_codes": "column_count",
    }
    add_row(services, "rows_to_mend", line)
    if state_of_copy == "same run":
        deliveries.archive_batch(state)
    else:
        if state_of_copy == "gone":
            shutil.rmtree(services.workspace.downloads)
        later = new_run(services)
        deliveries.archive_last_batch(later)
    [shown] = json.loads(s3_bucket.get("sales_data_error/b.csv.reasons.json"))["first_bad_rows"]
    text = "***" if state_of_copy == "gone" else "***;***;besan;2024-03-05;4;5;1"
    assert shown == {"line_number": 3, "reason": ROW["reasons"], "text": text}
    assert not list(services.workspace.make_scratch().iterdir())


def test_rows_of_a_refused_file_are_done_with_once_a_newer_version_counts(
    published: Services, s3_bucket: Bucket
) -> None:
    """Risk: rows that were sent again are mended too; or those of a correction that was refused are
    not shown, since the version before it counts."""
    make_table(published, "rows_to_mend")
    name_model(published, "rows_to_mend")
    good = (HEADER + sale(1, "2024-03-05", 6)).encode()
    for content in (b"no sales\n", good, b"none at all\n"):
        s3_bucket.put("sales_data/b.csv", content)
        run(published)
    for number in (2, 3, 4):
        row = {**ROW, "file_id": number, "file_name": "sales_data/b.csv"}
        add_row(published, "rows_to_mend", row)
    assert [row.file_id for row in all_rows(published)] == [1, 3, 4]


def test_a_machine_that_has_made_no_run_asks_dbt(
    published: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Risk: who looks from a machine of their own is told that nothing is set aside."""
    shutil.copyfile(PROJECT / "profiles.example.yml", tmp_path / "profiles.yml")
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    settings = published.settings.model_copy(update={"project": PROJECT})
    found = dataclasses.replace(published, settings=settings)
    name_model(found, "fct_delivered_files", role="file_ledger")  # of an older project
    with caplog.at_level(logging.WARNING):
        assert all_rows(found) == []
    assert (
        "the database has no table fct_quarantined_sales. Expected: the model with" in caplog.text
    )
    make_table(found, "fct_quarantined_sales")
    assert all_rows(found) == [FOUND]
    manifest = json.loads((found.workspace.dbt_target / "manifest.json").read_text())
    assert list(manifest["nodes"]) == ["model"], "a run may be at work on it"


def test_nothing_is_asked_before_the_first_publication(services: Services) -> None:
    """Risk: the first command in a new place waits for dbt, or fails for want of a profile."""
    assert all_rows(services) == []


def test_a_report_does_without_rows_that_cannot_be_looked_up(published: Services) -> None:
    """Risk: a run that has published fails in its archive, and each one after it as well."""
    assert first_bad_rows(published, CONTRACT, 1, {}) == [], "no manifest"
    name_model(published, "fct_quarantined_sales")
    assert first_bad_rows(published, CONTRACT, 1, {}) == [], "no table"
    make_table(published, "fct_quarantined_sales", "raw_price")
    assert first_bad_rows(published, CONTRACT, 1, {}) == [], "a column of the contract is new"
