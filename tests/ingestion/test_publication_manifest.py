"""The manifest survives its JSON, and two of them tell which partitions changed."""

from __future__ import annotations

import hashlib
import json

import pytest

from ingestion.publication.manifest import (
    Manifest,
    MartFile,
    MartTable,
    UnknownFormat,
    changed_partitions,
    from_json,
    touched_months,
)

KEY = "publications/manifests/v000007-run.json"


def table(*paths: str) -> MartTable:
    files = tuple(MartFile(path, f"mart/v1/{path}", 10, 1, "0" * 64) for path in paths)
    return MartTable(
        name="mart",
        columns=(("id", "int"), ("sales_month", "string")),
        key=("id",),
        in_database=True,
        partition_columns=("sales_month",),
        files=files,
    )


def test_a_manifest_comes_back_as_it_was() -> None:
    """Risk: a field that JSON loses makes the next run upload everything again."""
    manifest = Manifest(
        7, "run", "2026-01-01T00:00:00Z", {"mart": table("sales_month=ä/1.parquet")}
    )
    content = manifest.to_json()
    read = from_json(content, KEY, hashlib.sha256(content).hexdigest())
    assert read == manifest
    assert read.to_json() == content


@pytest.mark.parametrize("number", [0, 2, None, "1"])
def test_a_manifest_of_another_format_is_not_read(number: object) -> None:
    """Risk: what a newer version of the pipeline has published is taken for something else, and its
    objects are removed."""
    with pytest.raises(UnknownFormat) as refused:
        from_json(json.dumps({"format": number, "version": 7, "tables": []}).encode(), KEY, "")
    assert str(refused.value) == (
        f"The manifest {KEY} cannot be read. Expected: the format 1, which this version of the "
        f"pipeline writes. Found: the format {number}. Use the version of the pipeline that has "
        "published it."
    )


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"{}", b"\xff", b'{"version": 7}'])
def test_what_is_no_manifest_is_one_sentence(content: bytes) -> None:
    """Risk: an object that somebody has edited ends each run in a stack trace."""
    with pytest.raises(UnknownFormat) as refused:
        from_json(content, KEY, "")
    assert str(refused.value) == (
        f"The manifest {KEY} cannot be read. Expected: JSON with the format 1, as it was "
        "published. Found: other content. Bring the object back as it was, or delete it."
    )


def test_a_manifest_of_which_something_is_lost_is_not_read() -> None:
    """Risk: a table that somebody has edited out is loaded as new, and its objects are removed; a
    missing field ends each run in a stack trace."""
    content = Manifest(7, "run", "2026-01-01T00:00:00Z", {"mart": table("a")}).to_json()
    sha256 = hashlib.sha256(content).hexdigest()
    for other in (content + b"\n", content.replace(b'"key"', b'"keys"')):
        with pytest.raises(UnknownFormat) as refused:
            from_json(other, KEY, sha256)
        assert str(refused.value) == (
            f"The manifest {KEY} cannot be read. Expected: the bytes that were published, with "
            f"the SHA-256 {sha256}. Found: other content. Bring the object back as it was, or "
            "delete it."
        )


def test_changed_partitions_include_those_that_came_and_went() -> None:
    """Risk: a month that became empty stays in the published marts."""
    old = table("sales_month=2024-01/a", "sales_month=2024-02/b", "sales_month=2024-03/c")
    new = table("sales_month=2024-02/b", "sales_month=2024-03/d", "sales_month=2024-04/e")
    assert changed_partitions(old, new) == (
        "sales_month=2024-01",
        "sales_month=2024-03",
        "sales_month=2024-04",
    )
    assert changed_partitions(old, old) == ()
    assert changed_partitions(None, old) == tuple(old.by_partition())


def test_months_are_named_once_and_in_order() -> None:
    """Risk: the summary names a store as a month, or a month twice."""
    changed = {
        "lines": ("sales_month=2024-02/store_id=1", "sales_month=2024-01/store_id=2"),
        "mart": ("sales_date_month=2024-02",),
        "report": ("",),
    }
    assert touched_months(changed) == ["2024-01", "2024-02"]
