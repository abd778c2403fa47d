"""Completes the paths that stand in the settings."""

from __future__ import annotations

import os
from pathlib import Path

from ingestion.errors import UsageError


def from_project(path: Path, project: Path) -> Path:
    """Return ``path`` as an absolute one; a relative one counts from ``project``.

    Raises UsageError where it begins with a home folder that is not there.
    """
    try:
        expanded = path.expanduser()
    except RuntimeError:
        raise UsageError("There is no such home folder", found=path.parts[0]) from None
    # not Path.resolve(), to which a loop of links is an error in some versions of Python: whoever
    # opens the path tells that better
    return Path(os.path.realpath(project / expanded))
