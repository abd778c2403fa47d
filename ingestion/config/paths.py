"""Completes the paths that stand in the settings."""

from __future__ import annotations

from pathlib import Path

from ingestion.errors import UsageError


def from_project(path: Path, project: Path) -> Path:
    """Return ``path`` as an absolute one; a relative one counts from ``project``.

    Raises UsageError where it begins with a home folder that is not there.
    """
    try:
        return (project / path.expanduser()).resolve()
    except RuntimeError:
        raise UsageError("There is no such home folder", found=path.parts[0]) from None
