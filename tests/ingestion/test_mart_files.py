"""Only what changed goes to S3; what was written again as it was is carried by reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.errors import PipelineError
from ingestion.publication import mart_files
from ingestion.publication.manifest import MartTable, changed_partitions
from ingestion.publication.mart_files import (
    PublishedModel,
    ScannedTable,
    published_models,
    scan_files,
)

MODEL = PublishedModel(
    name="mart",
    relation="retail.mart",
    columns=(("number", "int"),),
    key=("number",),
    s3="sales",
    database=True,
)


def write(folder: Path, month: str, name: str, *numbers: int) -> None:
    """One Parquet file of the month's partition."""
    path = folder / f"sales_month={month}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"number": pa.array(numbers, pa.int32())}), path)


def scan(folder: Path, version: int, last: MartTable | None) -> ScannedTable:
    partitions = sorted(path.name for path in folder.iterdir())
    return scan_files(MODEL, folder, ("sales_month",), partitions, f"mart/v{version}/", last)


def test_a_month_written_again_as_it_was_is_neither_uploaded_nor_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a correction sends every month of its batch again; or a carried file is not found."""
    write(tmp_path, "2024-01", "a", 1, 2)
    write(tmp_path, "2024-02", "b", 3)
    first = scan(tmp_path, 1, None)
    assert set(first.fresh_files()) == {
        "mart/v1/sales_month=2024-01/a.parquet",
        "mart/v1/sales_month=2024-02/b.parquet",
    }
    (tmp_path / "sales_month=2024-01" / "a.parquet").rename(
        tmp_path / "sales_month=2024-01" / "again.parquet"
    )
    (tmp_path / "sales_month=2024-02" / "b.parquet").unlink()
    write(tmp_path, "2024-02", "other", 4)
    second = scan(tmp_path, 2, first.table)
    assert set(second.fresh_files()) == {"mart/v2/sales_month=2024-02/other.parquet"}
    assert changed_partitions(first.table, second.table) == ("sales_month=2024-02",)
    assert second.local["mart/v1/sales_month=2024-01/a.parquet"].name == "again.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(mart_files, "_described", lambda *_: pytest.fail("it is hashed once more"))
        third = scan(tmp_path, 3, second.table)
    assert changed_partitions(second.table, third.table) == ()


def test_a_second_file_of_equal_content_is_a_file_of_its_own(tmp_path: Path) -> None:
    """Risk: one object stands for two files, and their rows count once."""
    write(tmp_path, "2024-01", "a", 1)
    first = scan(tmp_path, 1, None)
    write(tmp_path, "2024-01", "b", 1)
    write(tmp_path, "2024-01", "empty")
    second = scan(tmp_path, 2, first.table)
    assert [file.key for file in second.table.files] == [
        "mart/v1/sales_month=2024-01/a.parquet",
        "mart/v2/sales_month=2024-01/b.parquet",
    ]
    assert set(second.fresh_files()) == {"mart/v2/sales_month=2024-01/b.parquet"}
    (tmp_path / "sales_month=2024-01" / "a.parquet").unlink()
    write(tmp_path, "2024-01", "c", 1)
    write(tmp_path, "2024-01", "d", 1)
    third = scan(tmp_path, 3, second.table)
    assert len(third.local) == len(third.table.files) == 3, "a, written again, stands for one"


def test_a_file_that_was_written_over_is_published_anew(tmp_path: Path) -> None:
    """Risk: readers keep the rows of before, under the new version."""
    write(tmp_path, "2024-01", "a", 1)
    first = scan(tmp_path, 1, None)
    write(tmp_path, "2024-01", "a", *range(1000))
    second = scan(tmp_path, 2, first.table)
    assert set(second.fresh_files()) == {"mart/v2/sales_month=2024-01/a.parquet"}
    assert second.table.rows == 1000


def test_without_reports_the_marts_are_published_all_the_same() -> None:
    """Risk: a setting that leaves the reports out leaves out what people are paid by."""
    nodes = {
        name: {
            "name": name,
            "alias": name,
            "schema": "retail",
            "resource_type": kind,
            "columns": {"number": {"data_type": "int"}},
            "config": {"materialized": "table", "meta": {"publish": publish}},
        }
        for name, kind, publish in (
            ("report", "model", {"s3": "reports", "database": True}),
            ("mart", "model", {"s3": "sales", "database": True}),
            ("inner", "model", None),
            ("seed", "seed", {"s3": "sales", "database": True}),
        )
    }
    for with_reports, names in ((False, ["mart"]), (True, ["mart", "report"])):
        found = published_models({"nodes": nodes}, with_reports)
        assert [model.name for model in found] == names


@pytest.mark.parametrize(
    ("publish", "mistake"),
    [
        ({"s3": "report", "database": True}, "s3: 'report', expected customer, sales, reports"),
        ({"database": True}, "s3: None"),
        ({"s3": "sales"}, "database: None, expected true or false"),
        ({"s3": "sales", "database": True, "key": "number"}, "key: 'number', expected a list"),
        ({"s3": "sales", "database": True, "key": ["id"]}, "key: ['id'], expected a list"),
        (
            {"s3": "sales", "database": True, "keys": ["number"]},
            "keys: an unknown option, expected s3, database, key",
        ),
        (True, "s3: None"),
        ({"s3": "sales", "database": True, "view": 1}, "materialized: view, expected a table"),
    ],
)
def test_a_publication_that_cannot_be_is_told_with_its_model(publish: Any, mistake: str) -> None:
    """Risk: a mistake in a model's YAML ends in a stack trace."""
    is_view = isinstance(publish, dict) and bool(publish.pop("view", False))
    node = {
        "name": "mart",
        "alias": "mart",
        "schema": "retail",
        "resource_type": "model",
        "patch_path": "retail_mart://models/_models.yml",
        "columns": {"number": {"data_type": "int"}},
        "config": {"materialized": "view" if is_view else "table", "meta": {"publish": publish}},
    }
    with pytest.raises(PipelineError) as refused:
        published_models({"nodes": {"model.mart": node}}, with_reports=True)
    assert str(refused.value).startswith("The model mart cannot be published. Expected: ")
    assert mistake in str(refused.value)
    assert str(refused.value).endswith("Correct retail_mart://models/_models.yml.")


def test_a_name_that_mysql_has_no_room_for_is_told_before_the_build() -> None:
    """Risk: every run builds for an hour, and then cannot load the table; or one that fits is
    refused, or one that is only on S3."""

    def names(alias: str, database: bool) -> list[str]:
        node = {
            "name": alias,
            "alias": alias,
            "schema": "retail",
            "resource_type": "model",
            "patch_path": "retail_mart://models/_models.yml",
            "columns": {"number": {"data_type": "int"}},
            "config": {
                "materialized": "table",
                "meta": {"publish": {"s3": "sales", "database": database}},
            },
        }
        return [model.name for model in published_models({"nodes": {"model": node}}, True)]

    assert names("m" * 49, database=True) == ["m" * 49]
    assert names("m" * 50, database=False) == ["m" * 50]
    with pytest.raises(PipelineError) as refused:
        names("m" * 50, database=True)
    assert str(refused.value) == (
        f"The model {'m' * 50} cannot be published. Expected: s3, database and optionally key "
        "under meta.publish, and a type for each column. Found: a name of 50 characters, expected "
        "at most 49, for MySQL takes 64 and the table is loaded beside the live one under a longer "
        "name. Correct retail_mart://models/_models.yml."
    )
