"""Keys of S3 that fit, and that no other content has."""

from __future__ import annotations

import pytest

from ingestion.s3.keys import fitting_key, unique_key


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/b.csv", "a/b~012345678901.csv"),
        ("a/b.2024-03.csv", "a/b.2024-03~012345678901.csv"),
        ("b.CSV.gz", "b~012345678901.CSV.gz"),
        ("a.b/c", "a.b/c~012345678901"),
        ("a/.csv", "a/.csv~012345678901"),
        ("a/", "a/~012345678901"),
    ],
)
def test_a_unique_key_keeps_its_endings(key: str, expected: str) -> None:
    """Risk: the archive's copy loses the ending by which tools know a CSV."""
    assert unique_key(key, "0123456789012345") == expected
    assert fitting_key(key) == key


@pytest.mark.parametrize(
    "ending", [".csv", ".csv.gz", ".\u6708\u6b21\u5831\u544a\u66f8\u58f2\u4e0a\u65e5\u5831.gz"]
)
def test_a_long_key_has_room_for_additions_whatever_its_letters(ending: str) -> None:
    """Risk: an ending of letters with three bytes each makes a key that S3 refuses."""
    fitting = fitting_key("f" * 1000 + ending)
    assert len(unique_key(fitting, "0" * 64).encode()) + len(".reasons.json") <= 1024
    assert fitting.endswith(ending) or not ending.isascii()
