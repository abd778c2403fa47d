"""A workspace that was lost is filled from the archive with the same sales, or the run says why."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingestion.commands.withdrawal import retract_file
from ingestion.config.profiles import FileProfile
from ingestion.database.staging_table import FileRow
from ingestion.errors import PipelineError
from ingestion.reader.verdicts import FileReport
from ingestion.run import bronze_recovery
from ingestion.run.checking import Checker
from ingestion.run.services import Services
from ingestion.s3.object_store import ObjectStore
from tests.checked_runs import elsewhere
from tests.run_without_spark import HEADER, new_run, run, s3_rows, sale, take_files


def with_dates(services: Services, date_format: str) -> Services:
    """The same services, with a profile for all files."""
    profile = FileProfile(name="north", pattern="*", date_format=date_format)
    settings = services.settings.model_copy(update={"profiles": (profile,)})
    return dataclasses.replace(services, settings=settings)


def put(services: Services, name: str, day: str) -> None:
    """Puts a file with one sale into the inbox."""
    services.store.put_bytes(f"sales_data/{name}.csv", (HEADER + sale(1, day, 5)).encode())


def restore(services: Services) -> None:
    """Reads all archived files again whose bronze is missing."""
    bronze_recovery.read_missing_files(new_run(services), None)


def restored(services: Services) -> list[str]:
    """The names of the bronze files."""
    return sorted(path.name for path in services.workspace.bronze.rglob("*.parquet"))


def killed_after(check: Callable[..., FileReport]) -> Callable[..., FileReport]:
    """The check of an archived file, which ends the run; files of the inbox are checked."""

    def killed(checker: Checker, row: FileRow) -> FileReport:
        report = check(checker, row)
        if row.file_name.endswith("a.csv"):
            raise KeyboardInterrupt
        return report

    return killed


def test_archived_files_are_read_again_as_they_were(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a sender has changed its form, a machine is lost, and 3 April becomes 4 March."""
    before = with_dates(services, "%d/%m/%Y")
    put(before, "a", "03/04/2024")
    run(before)
    shutil.rmtree(services.workspace.bronze)
    put(before, "b", "05/04/2024")
    after = with_dates(services, "%m/%d/%Y")
    with monkeypatch.context() as patched:
        patched.setattr(Checker, "check", killed_after(Checker.check))
        with pytest.raises(KeyboardInterrupt):
            run(after)
    with pytest.raises(PipelineError) as stopped:
        run(after)
    assert "The rows of sales_data/a.csv (id 1) cannot be restored" in str(stopped.value)
    assert "Found: a file profile other than the one it was loaded with" in str(stopped.value)
    run(before)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert (month["customer_id"], int(month["total_sales"])) == (1, 10)


def test_a_file_that_no_profile_read_is_not_read_with_a_new_one(services: Services) -> None:
    """Risk: a profile is added for new files, a machine is lost, and sales move to other months."""
    put(services, "a", "2024-03-04")
    run(services)
    shutil.rmtree(services.workspace.bronze)
    with pytest.raises(PipelineError) as stopped:
        restore(with_dates(services, "%Y-%d-%m"))
    assert str(stopped.value) == (
        "The rows of sales_data/a.csv (id 1) cannot be restored. Expected: the archived object with"
        " its 1 rows at s3://" + services.settings.bucket + "/sales_data_processed/a.csv. Found: a"
        " file profile other than the one it was loaded with, or one where there was none: its"
        " constants, formulas, date format or decimal mark differ. Restore the old profile, if"
        " there was one, and limit the pattern of the other one to the new files."
    )
    restore(with_dates(services, "%d/%m/%Y"))  # which changes nothing in this file
    assert restored(services) == ["1.parquet"]


def test_money_that_another_alias_has_changed_is_told(services: Services) -> None:
    """Risk: a sender's alias moves from net to gross, a machine is lost, and all old sales change
    without a word."""

    def with_alias(header: str) -> Services:
        profile = FileProfile(name="north", pattern="*", aliases={header: "total_cost"})
        settings = services.settings.model_copy(update={"profiles": (profile,)})
        return dataclasses.replace(services, settings=settings)

    lines = HEADER.replace("total_cost", "Netto,Brutto") + sale(1, "2024-03-05", 5).replace(
        ",5\n", ",5,6\n"
    )
    services.store.put_bytes("sales_data/a.csv", lines.encode())
    assert run(with_alias("Netto")).warnings == []
    shutil.rmtree(services.workspace.bronze)
    (services.workspace.root / "warehouse.json").unlink()
    put(services, "b", "2024-03-06")
    [told] = run(with_alias("Brutto")).warnings
    assert told == (
        "the rules have changed since sales_data/a.csv was published: "
        "rows quarantined 0 -> 0, sales that count 5.00 -> 6.00"
    )


@pytest.mark.parametrize("changed", ["status = 'E'", "content_sha256 = null"])
def test_a_new_profile_stops_no_run_for_a_file_without_sales_or_hash(
    services: Services, changed: str
) -> None:
    """Risk: a file is set aside, its sender gets the profile that was missing and sends it again
    under its name; then a machine is lost, and no run can restore the first version."""
    put(services, "a", "2024-03-04")
    run(services)
    with services.engine.begin() as connection:
        connection.execute(sa.text(f"update product_staging_table set {changed}"))
    shutil.rmtree(services.workspace.bronze)
    restore(with_dates(services, "%Y-%d-%m"))
    assert restored(services) == ["1.parquet"]


@pytest.mark.parametrize("is_corrected", [False, True])
def test_a_file_that_is_gone_can_be_retracted(
    services: Services, tmp_path: Path, is_corrected: bool
) -> None:
    """Risk: the error says to do that, and it ends with the same error, as every run does."""
    for name, day in (("a", "2024-04-01"), ("b", "2024-05-01")):
        put(services, name, day)
    run(services)
    services.store.delete("sales_data_processed/a.csv")
    put(services, "a" if is_corrected else "c", "2024-05-02")
    other = elsewhere(services, tmp_path / "other")
    with pytest.raises(PipelineError, match=r"a\.csv \(id 1\) .* or retract the file"):
        run(other)
    run(other, lambda there, run_id: retract_file(there, "a.csv", run_id))
    [month] = s3_rows(services.store, "customers_data_mart")
    assert (month["sales_month"], month["total_sales"]) == ("2024-05", 5 if is_corrected else 10)


def test_an_increment_needs_the_months_of_a_file_that_is_withdrawn(services: Services) -> None:
    """Risk: its bronze and its object are gone, and the months of its sales keep them."""
    put(services, "a", "2024-04-01")
    run(services)
    services.store.delete("sales_data_processed/a.csv")
    shutil.rmtree(services.workspace.bronze)
    retract_file(services, "a.csv", "run-2")
    state = new_run(services)
    assert take_files(state)
    with pytest.raises(PipelineError) as stopped:
        bronze_recovery.read_missing_files(state, [1, 2])
    assert str(stopped.value) == (
        "The rows of sales_data/a.csv (id 1) cannot be restored. Expected: the archived object with"
        f" its 1 rows at s3://{services.settings.bucket}/sales_data_processed/a.csv. Found: no"
        " object there. Run again with --full-refresh."
    )
    bronze_recovery.read_missing_files(state, None)
    assert restored(services) == []


def test_files_set_aside_that_are_gone_stop_no_run(services: Services) -> None:
    """Risk: somebody clears the error folder, a machine is lost, and no run gets through again."""
    for number in range(6):
        put(services, f"{number}", f"2024-04-{number + 1:02}")
    run(services)
    for number in range(6):
        services.store.delete(f"sales_data_processed/{number}.csv")
    with services.engine.begin() as connection:
        connection.execute(sa.text("update product_staging_table set status = 'E'"))
    shutil.rmtree(services.workspace.bronze)
    put(services, "new", "2024-04-07")
    summary = run(services)
    assert summary.warnings == [
        "rows of files that were set aside are no longer among the quarantined ones, since they "
        "cannot be read again: sales_data/0.csv (id 1): no object there, sales_data/1.csv (id 2): "
        "no object there, sales_data/2.csv (id 3): no object there, sales_data/3.csv (id 4): no "
        "object there, sales_data/4.csv (id 5): no object there and 1 more"
    ]
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 5


def test_a_published_batch_keeps_its_rows_where_the_pointer_failed(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: the rows of a batch that counts are taken for those of another workspace, and the next
    full build needs the archive for them."""
    put(services, "a", "2024-04-03")
    put_bytes = ObjectStore.put_bytes

    def fail(store: ObjectStore, key: str, *arguments: Any, **options: Any) -> str:
        if key == services.prefixes.pointer_key:
            raise PipelineError("S3 failed while writing")
        return put_bytes(store, key, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(ObjectStore, "put_bytes", fail)
        with pytest.raises(PipelineError):
            run(services)
    run(services)
    services.store.delete("sales_data_processed/a.csv")
    put(services, "b", "2024-04-05")
    run(services)
    [month] = s3_rows(services.store, "customers_data_mart")
    assert int(month["total_sales"]) == 10


def test_all_that_is_missing_comes_back_and_leaves_no_originals(services: Services) -> None:
    """Risk: years of files are fetched one by one, and lie on the disk twice afterwards."""
    for number in range(12):
        put(services, f"{number}", f"2024-04-{number + 1:02}")
    run(services)
    workspace = services.workspace
    shutil.rmtree(workspace.bronze)
    restore(services)
    assert len(restored(services)) == 12
    assert not [path for path in workspace.downloads.rglob("*") if path.is_file()]


def test_versions_of_the_same_bytes_are_read_beside_each_other(services: Services) -> None:
    """Risk: what one thread is reading, another removes, and the new machine's run ends."""
    for number in range(20):
        put(services, f"{number}", f"2024-04-{number + 1:02}")
    run(services)
    sent_again = 'update product_staging_table set file_name = "sales_data/0.csv", etag = "same"'
    with services.engine.begin() as connection:
        connection.execute(sa.text(sent_again))
    shutil.rmtree(services.workspace.bronze)
    restore(services)
    assert len(restored(services)) == 20
