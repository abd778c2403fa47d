"""Spark gets a Java that it can use, wherever it lies, or one sentence says that there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import PipelineError
from ingestion.warehouse.java import find_java


def java_home(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "java").write_text("")
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\n')
    return folder


def test_a_fitting_java_is_found_behind_one_that_does_not_fit(tmp_path: Path) -> None:
    """Risk: Spark dies in the JVM because the first java on PATH is too new."""
    newer = java_home(tmp_path / "jdk-26", "26.0.1")
    fitting = java_home(tmp_path / "jvm" / "jdk-17", "17.0.15")
    environ = {"JAVA_HOME": str(newer), "PATH": ""}
    assert find_java(environ, [str(tmp_path / "jvm")]) == fitting


def test_the_homes_of_macos_are_looked_into(tmp_path: Path) -> None:
    """Risk: an installed Java is not found where it lies a level deeper."""
    home = java_home(tmp_path / "temurin-17.jdk" / "Contents" / "Home", "17.0.15")
    assert find_java({"PATH": ""}, [str(tmp_path)]) == home


def test_no_java_is_one_sentence(tmp_path: Path) -> None:
    """Risk: a stack trace of the JVM launcher instead of what to install."""
    newer = java_home(tmp_path / "jdk-26", "26.0.1")
    with pytest.raises(PipelineError) as missing:
        find_java({"JAVA_HOME": str(newer), "PATH": ""}, [str(tmp_path / "none")])
    assert str(missing.value) == (
        "Spark needs Java, and no suitable version was found. Expected: Java 17, 21 or 25 in "
        "JAVA_HOME, "
        f"on PATH or in {tmp_path / 'none'}. Found: Java 26 in {newer}. Install one (Debian: "
        "apt-get install openjdk-17-jre-headless) or set JAVA_HOME."
    )
