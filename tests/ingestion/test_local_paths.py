"""Local paths: every version of every key has a place of its own in the folder."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from ingestion.local_paths import local_path

ROOT = Path("/root of all/downloads")
ETAG = "9dd4e461268c8034f5c8564e155c67a6"
HOSTILE = st.text(st.sampled_from("ab/.%#+&@' \"\\é\u0301\n~"), min_size=1, max_size=300)
KEYS = st.one_of(st.text(min_size=1, max_size=255), HOSTILE)
ETAGS = st.one_of(st.just(ETAG), st.text("0123456789abcdef-@&+", max_size=300))


@given(KEYS, ETAGS)
def test_a_path_stays_in_the_folder_and_fits_a_disk(key: str, etag: str) -> None:
    """Risk: '..' or a leading '/' writes elsewhere; a long key cannot be written at all."""
    path = local_path(ROOT, key, etag)
    assert path.parent == ROOT
    assert path.name.isalnum()
    assert len(path.name) == 64


@given(st.lists(st.tuples(KEYS, ETAGS), min_size=2, max_size=6, unique=True))
def test_no_two_objects_share_a_path(objects: list[tuple[str, str]]) -> None:
    """Risk: one object is checked in place of another."""
    assert len({local_path(ROOT, key, etag) for key, etag in objects}) == len(objects)


def test_files_of_all_keys_can_be_written(tmp_path: Path) -> None:
    """Risk: what holds for paths in theory fails on the disk."""
    keys = ["a.csv", "a.csv/", "a.csv/b.csv", "../a.csv", "/a.csv", "//a.csv", "./a.csv", "A.csv"]
    keys += ["caf\u00e9.csv", "cafe\u0301.csv", "a%20b.csv", "a b.csv", "a+b.csv", "é" * 500]
    for key in keys:
        local_path(tmp_path, key, ETAG).write_text(key)
    assert sorted(path.read_text() for path in tmp_path.iterdir()) == sorted(keys)
