"""Copies of published Parquet objects: those at hand, the others fetched once and verified."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from ingestion.publication.manifest import MartFile
from ingestion.s3.object_store import ObjectChanged, ObjectStore


class MartCopies:
    """Finds the local path of a published file; what has to be fetched goes to ``folder``."""

    def __init__(self, store: ObjectStore, folder: Path, at_hand: Mapping[str, Path]) -> None:
        self._store = store
        self._folder = folder
        self._paths = dict(at_hand)

    def path(self, file: MartFile) -> Path:
        """Raises ``ObjectGone`` or ``ObjectChanged`` where S3 no longer has what was published."""
        if file.key not in self._paths:
            content = self._store.get_bytes(file.key)
            if hashlib.sha256(content).hexdigest() != file.sha256:
                raise ObjectChanged(
                    f"{self._store.location(file.key)} is not what was published",
                    expected=f"SHA-256 {file.sha256}",
                    action="Restore the object",
                )
            path = self._folder / f"{len(self._paths)}.parquet"
            path.write_bytes(content)
            self._paths[file.key] = path
        return self._paths[file.key]
