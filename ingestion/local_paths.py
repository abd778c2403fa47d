"""Names the local file of an object, for any key."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path


def local_path(root: Path, key: str, etag: str) -> Path:
    """Where the object ``key`` at ``etag`` lies in the folder ``root``; no two pairs share a path.

    A key may be longer than a file name can be, and hold ``..`` or what no disk takes, so the name
    is a hash.
    """
    return root / sha256(f"{key}\0{etag}".encode()).hexdigest()
