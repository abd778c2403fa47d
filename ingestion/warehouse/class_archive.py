"""An archive of the classes that Spark and the models load, recorded once for this JVM and Spark.

Source: the JVM's options ``ArchiveClassesAtExit`` and ``SharedArchiveFile`` (JEP 350). The JVM
checks an archive against itself and its jars, and goes on without one that does not fit.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Mapping
from pathlib import Path

from ingestion.warehouse.java import find_java, java_version
from ingestion.workspace import Workspace

ARCHIVE_VARIABLE = "RETAIL_CLASS_ARCHIVE"  # the file, for the profile; set where there is one
# Spark names one of its jars twice on the class path. This Java records it once, and later finds
# that the archive's class path is not its own.
_JAVA_WITHOUT_ARCHIVE = "21"


def takes_archive(java: Path) -> bool:
    """Whether the Java in this folder uses an archive that it has recorded of Spark."""
    return java_version(java) != _JAVA_WITHOUT_ARCHIVE


def archive_file(workspace: Path, environ: Mapping[str, str]) -> Path:
    """Where the archive for this Java, this pyspark and this machine's architecture lies."""
    java = find_java(environ)
    spark = importlib.metadata.distribution("pyspark")
    marks = (
        str(java.resolve()),
        (java / "release").read_text(),
        spark.version,
        str(spark.locate_file("pyspark")),
        platform.machine(),
    )
    digest = hashlib.sha256("\0".join(marks).encode()).hexdigest()
    return Workspace(workspace).classes / f"{digest[:16]}.jsa"


def use_archive(workspace: Path) -> None:
    """Names the archive to the profile, where there is one."""
    path = archive_file(workspace, os.environ)
    if path.is_file():
        os.environ[ARCHIVE_VARIABLE] = str(path)
    else:
        os.environ.pop(ARCHIVE_VARIABLE, None)
