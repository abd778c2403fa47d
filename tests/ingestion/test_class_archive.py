"""The archive of classes is of this JVM and Spark alone, and recorded away from all data."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from ingestion.commands.warm_up import record, rehearsal_settings
from ingestion.config.settings import load_settings
from ingestion.errors import PipelineError
from ingestion.warehouse.class_archive import ARCHIVE_VARIABLE, archive_file, use_archive
from tests.conftest import PROJECT


def java_home(folder: Path, version: str) -> Path:
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "bin" / "java").write_text("")
    (folder / "release").write_text(f'JAVA_VERSION="{version}"\n')
    return folder


def test_another_java_has_another_archive(tmp_path: Path) -> None:
    """Risk: after an upgrade every start meets an archive that does not fit, and nobody is told."""
    homes = [java_home(tmp_path / name, "17.0.15") for name in ("here", "there")]
    files = [archive_file(tmp_path, {"JAVA_HOME": str(home), "PATH": ""}) for home in homes]
    java_home(homes[0], "17.0.16")
    files.append(archive_file(tmp_path, {"JAVA_HOME": str(homes[0]), "PATH": ""}))
    assert len(set(files)) == 3

    (tmp_path / "link").symlink_to(homes[0])
    link = {"JAVA_HOME": str(tmp_path / "link"), "PATH": ""}
    assert archive_file(tmp_path, link) == files[2]


def test_the_profile_hears_of_an_archive_only_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a JVM is pointed at an archive that was removed, or that is another workspace's."""
    monkeypatch.setenv(ARCHIVE_VARIABLE, "of before")
    use_archive(tmp_path)
    assert ARCHIVE_VARIABLE not in os.environ

    path = archive_file(tmp_path, os.environ)
    path.parent.mkdir()
    path.touch()
    use_archive(tmp_path)
    assert os.environ[ARCHIVE_VARIABLE] == str(path)


def test_a_rehearsal_knows_nothing_of_the_projects_services(tmp_path: Path) -> None:
    """Risk: the sample of a rehearsal goes into the user's bucket and database."""
    project, folder = tmp_path / "project", tmp_path / "rehearsal"
    project.mkdir()
    folder.mkdir()
    (project / ".env").write_text(
        "RETAIL_BUCKET=acme-retail\nRETAIL_DATABASE_URL=mysql://retail@db.example.com/retail\n"
    )
    assert not load_settings(project, {}).uses_embedded_s3

    settings = rehearsal_settings(project, folder)

    assert settings.uses_embedded_s3
    assert settings.database.database == str(folder / "database.sqlite")
    assert (settings.project, settings.workspace) == (project, folder)


def test_a_profile_that_takes_no_archive_is_told_before_minutes_are_spent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: an archive is recorded that no run ever uses, for a profile of the user's own."""
    (tmp_path / "profiles.yml").write_text(
        "retail_mart: {target: t, outputs: {t: {type: spark, method: session, "
        "server_side_parameters: {spark.driver.extraJavaOptions: "
        "\"{{ env_var('RETAIL_SPARK_JAVA_OPTIONS', '') }}\"}}}}"
    )
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "java", "17.0.15")))
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    settings = load_settings(tmp_path, {"RETAIL_WORKSPACE": str(tmp_path / "workspace")})
    with pytest.raises(PipelineError) as refused:
        record(Path("unused"), settings)
    assert str(refused.value) == (
        f"The dbt profile in {tmp_path / 'profiles.yml'} does not use the class archive. Expected: "
        "spark.driver.extraJavaOptions with RETAIL_CLASS_ARCHIVE and RETAIL_SPARK_JAVA_OPTIONS. "
        "Found: no RETAIL_CLASS_ARCHIVE. Copy that setting from profiles.example.yml."
    )


def test_a_java_that_would_not_use_its_archive_records_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: two minutes and 200 MB for an archive that every later start refuses."""
    home = java_home(tmp_path / "java", "21.0.13")
    monkeypatch.setenv("JAVA_HOME", str(home))
    settings = load_settings(tmp_path, {"RETAIL_WORKSPACE": str(tmp_path / "workspace")})
    with pytest.raises(PipelineError) as refused:
        record(Path("unused"), settings)
    assert str(refused.value) == (
        "Java 21 does not use what it records of Spark's classes. Expected: Java 17 or 25. Found: "
        f"Java 21 in {home}. Set JAVA_HOME to one of those, or go on without: runs start some 3 s "
        "later."
    )
    assert not (tmp_path / "workspace").exists()


# A rehearsal in the place of the command line, whose JVM has something to say and ends after it.
REHEARSAL = """
import os, re, subprocess
print("[warning][cds] before")
archive = re.search('ArchiveClassesAtExit=([^"]+)', os.environ["RETAIL_SPARK_JAVA_OPTIONS"])
subprocess.Popen(["sh", "-c", "sleep 0.5; {jvm} '" + archive[1] + "'"])
"""


@pytest.mark.parametrize("leaves_archive", [True, False])
def test_the_archive_takes_the_place_of_older_ones_once_the_jvm_has_left_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leaves_archive: bool
) -> None:
    """Risk: two minutes of work are thrown away, since the JVM ends after the run; or a JVM that
    recorded nothing costs the archive of before."""
    shutil.copyfile(PROJECT / "profiles.example.yml", tmp_path / "profiles.yml")
    monkeypatch.setenv("JAVA_HOME", str(java_home(tmp_path / "java", "17.0.15")))
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    settings = load_settings(tmp_path, {"RETAIL_WORKSPACE": str(tmp_path / "workspace")})
    program = tmp_path / "rehearsal.py"
    program.write_text(REHEARSAL.format(jvm="touch" if leaves_archive else "true"))
    archive = archive_file(settings.workspace, os.environ)
    archive.parent.mkdir(parents=True)
    older = archive.with_name("older.jsa")
    older.touch()
    if leaves_archive:
        assert record(program, settings) == archive
        assert list(archive.parent.iterdir()) == [archive]
        return
    with pytest.raises(PipelineError) as raised:
        record(program, settings)
    log = tmp_path / "workspace" / "logs" / "warm-up.log"
    assert str(raised.value) == f"The JVM recorded no classes. The log is {log}."
    assert list(archive.parent.iterdir()) == [older]
