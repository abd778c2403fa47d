"""Local paths: every key has a place of its own under the root, and the place tells the key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingestion.local_paths import key_of, local_path

ROOT = Path("/root of all/downloads")
ETAG = "9dd4e461268c8034f5c8564e155c67a6"
HOSTILE = st.text(st.sampled_from("ab/.%#+&@' \"\\é\u0301\n~"), min_size=1, max_size=300)
KEYS = st.one_of(st.text(min_size=1, max_size=255), HOSTILE)
ETAGS = st.one_of(st.just(ETAG), st.text("0123456789abcdef-@&+", max_size=300))


@given(KEYS, ETAGS)
def test_a_path_tells_its_key(key: str, etag: str) -> None:
    """Risk: a key that does not come back exactly is another object, or none."""
    path = local_path(ROOT, key, etag)
    assert key_of(ROOT, path) == (key, etag)


@given(KEYS, ETAGS)
def test_a_path_stays_under_the_root_and_fits_a_disk(key: str, etag: str) -> None:
    """Risk: '..' or a leading '/' writes elsewhere; a long key cannot be written at all."""
    path = local_path(ROOT, key, etag)
    below = path.relative_to(ROOT)
    assert not {"..", ".", ""} & set(below.parts)
    assert all(0 < len(part.encode()) <= 255 for part in below.parts)
    assert "\0" not in str(below)


@pytest.mark.parametrize("letter", ["é", "/", "a/", "%", "\x01", "a" * 63 + "/"])
def test_the_longest_keys_fit(letter: str) -> None:
    """Risk: a key of 1024 bytes, which S3 allows, is longer than the system's 4096 for a path."""
    key = (letter * 1024).encode()[:1024].decode(errors="ignore")
    below = str(local_path(ROOT, key, ETAG).relative_to(ROOT))
    assert len(below) <= 3200
    assert key_of(ROOT, local_path(ROOT, key, ETAG)) == (key, ETAG)


@given(st.lists(st.tuples(KEYS, ETAGS), min_size=2, max_size=6, unique=True))
def test_no_file_stands_where_another_needs_a_folder(objects: list[tuple[str, str]]) -> None:
    """Risk: two objects share a path, or archive.csv stands in the way of archive.csv/a.csv."""
    paths = [local_path(ROOT, key, etag) for key, etag in objects]
    assert len(set(paths)) == len(paths)
    assert not set(paths) & {parent for path in paths for parent in path.parents}


def test_files_of_all_keys_can_be_written(tmp_path: Path) -> None:
    """Risk: what holds for paths in theory fails on the disk."""
    keys = ["a.csv", "a.csv/", "a.csv/b.csv", "../a.csv", "/a.csv", "//a.csv", "./a.csv", "A.csv"]
    keys += ["caf\u00e9.csv", "cafe\u0301.csv", "a%20b.csv", "a b.csv", "a+b.csv", "é" * 500]
    for key in keys:
        path = local_path(tmp_path, key, ETAG)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(path.read_text() for path in written) == sorted(keys)
    assert {key_of(tmp_path, path) for path in written} == {(key, ETAG) for key in keys}


@pytest.mark.parametrize(
    "path",
    ["a.csv", ".x1.part", "in+/.tmp.part", "in+/a.csv@1@2", "%ff@1", "a%2ecsv@1", "in/a.csv@1", ""],
)
def test_other_files_are_no_objects(path: str) -> None:
    """Risk: a leftover or a stranger's file is taken for a downloaded object."""
    assert key_of(ROOT, ROOT / path) is None
    assert key_of(ROOT, Path("/elsewhere") / path) is None
