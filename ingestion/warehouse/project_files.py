"""Hashes the files of the dbt project: what is made of them is good for the same files only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashlib import _Hash


def add_files(digest: _Hash, project: Path, patterns: Iterable[str]) -> None:
    """Adds name and content of every file below ``project`` that one of these patterns names."""
    for pattern in patterns:
        for path in sorted(path for path in project.glob(pattern) if path.is_file()):
            digest.update(path.relative_to(project).as_posix().encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
