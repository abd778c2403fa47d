"""Finds a Java on this machine that Spark can use."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from ingestion.errors import PipelineError

_VERSIONS = ("17", "21", "25")  # those of pyspark 4.2
_FOLDERS = ("/usr/lib/jvm", "/opt/java", "/Library/Java/JavaVirtualMachines")


def find_java(environ: Mapping[str, str], folders: Sequence[str] = _FOLDERS) -> Path:
    """The home of a Java 17, 21 or 25: JAVA_HOME, else the ``java`` on PATH, else a usual folder.

    Raises ``PipelineError`` naming the versions that were found instead.
    """
    homes = [Path(environ["JAVA_HOME"])] if environ.get("JAVA_HOME") else []
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path:
        homes.append(Path(on_path).resolve().parent.parent)
    for folder in folders:
        for place in ("*", "*/Contents/Home"):  # the second on macOS
            homes += sorted(path.resolve() for path in Path(folder).glob(place))
    seen = []
    for home in dict.fromkeys(homes):
        version = java_version(home)
        if version in _VERSIONS:
            return home
        if version:
            seen.append(f"Java {version} in {home}")
    raise PipelineError(
        "Spark needs Java, and no suitable version was found",
        expected="Java 17, 21 or 25 in JAVA_HOME, on PATH or in " + ", ".join(folders),
        found="; ".join(seen) or "no Java",
        action="Install one (Debian: apt-get install openjdk-17-jre-headless) or set JAVA_HOME",
    )


def java_version(home: Path) -> str | None:
    """The first number of its version, as ``17``; None where ``home`` holds no Java."""
    if not (home / "bin" / "java").is_file():
        return None
    with contextlib.suppress(OSError):
        match = re.search(r'JAVA_VERSION="(\d+)', (home / "release").read_text())
        if match:
            return match[1]
    return None
