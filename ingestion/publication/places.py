"""Names the places of a publication on S3, and what tells those of one version from another's."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

POINTER = "current.json"


@dataclasses.dataclass(frozen=True)
class Prefixes:
    """Where each kind of mart goes, and where manifests and the pointer lie; all end with '/'."""

    marts: Mapping[str, str]
    publications: str

    @property
    def manifests(self) -> str:
        """Where the manifests of all versions lie."""
        return f"{self.publications}manifests/"

    def manifest_key(self, version: int, run_id: str) -> str:
        """The key of a version's manifest."""
        return f"{self.manifests}{version_name(version, run_id)}.json"

    @property
    def pointer_key(self) -> str:
        """The key of the one object that names the current version."""
        return f"{self.publications}{POINTER}"


def version_name(version: int, run_id: str) -> str:
    """The folder of a version's objects; a run that lost its lock writes over no other's."""
    return f"{version_prefix(version)}{run_tag(run_id)}"


def run_tag(run_id: str) -> str:
    """What tells a run's objects and tables from those of another."""
    return run_id[:8]


def version_prefix(version: int) -> str:
    """What the names of a version begin with, whichever run has begun it."""
    return f"v{version:06d}-"
