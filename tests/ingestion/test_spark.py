"""Spark starts from the dbt profile alone, and says in one sentence why it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingestion.errors import PipelineError
from ingestion.run.mart_steps import start_spark
from ingestion.warehouse.dbt_build import DbtProject
from ingestion.warehouse.spark import (
    check_user,
    check_warehouse,
    driver_memory,
    find_profiles,
    read_target,
)
from ingestion.workspace import Workspace
from tests.conftest import PROJECT
from tests.services import machine_environ

PROFILE = """
retail_mart:
  target: embedded
  outputs:
    embedded:
      type: spark
      method: {method}
      server_side_parameters:
        spark.driver.memory: "{{{{ env_var('MEMORY', '2g') }}}}"
"""


def test_the_example_profile_serves_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a fresh clone needs a manual step before its first run."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "profiles.example.yml").write_text("example")
    found = find_profiles(tmp_path / "project", tmp_path / "workspace", {})
    assert (found / "profiles.yml").read_text() == "example"
    (tmp_path / "project" / "profiles.yml").write_text("own")
    assert find_profiles(tmp_path / "project", tmp_path, {}) == tmp_path / "project"
    elsewhere = {"DBT_PROFILES_DIR": str(tmp_path / "elsewhere")}
    assert find_profiles(tmp_path / "project", tmp_path, elsewhere) == tmp_path / "elsewhere"


@pytest.mark.parametrize(
    "content",
    [
        b"retail_mart:\n  target: dev\n  outputs:\n    dev:\n",
        b"retail_mart:\n  target: dev\n  outputs:\n    dev: spark\n",
        "retail_mart:\n  target: d\xe9v\n".encode("latin-1"),
    ],
)
def test_a_profile_that_is_none_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    """Risk: a slip in the profile ends in a traceback."""
    (tmp_path / "profiles.yml").write_bytes(content)
    with pytest.raises(PipelineError) as refused:
        read_target(tmp_path, {})
    told = str(refused.value)
    assert told.startswith(f"The dbt profile 'retail_mart' in {tmp_path / 'profiles.yml'} cannot")
    assert told.endswith("Compare it with profiles.example.yml.")


def test_a_user_without_a_name_is_told() -> None:
    """Risk: in a container whose user has no entry, all that is told is that the JVM has ended."""
    check_user(os.getuid())
    with pytest.raises(PipelineError) as refused:
        check_user(54321)
    assert str(refused.value) == (
        "Spark cannot start. Expected: a user that has a name on this machine. Found: the user id"
        " 54321, which is not in /etc/passwd. Run as another user, or give this one an entry (for "
        "example, in the container image)."
    )


def test_what_is_written_while_the_jvm_starts_goes_where_it_always_does(tmp_path: Path) -> None:
    """Risk: a warning from the thread that reads the models stands in the JVM's log alone."""
    code = (
        "import subprocess, sys; from pathlib import Path; from ingestion.warehouse import spark\n"
        f"with spark._stderr_to(Path({str(tmp_path / 'jvm.log')!r})):\n"
        "    print('a warning', file=sys.stderr)\n"
        "    subprocess.run(['bash', '-c', 'echo of the JVM >&2'])\n"
        "print('after it', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stderr == "a warning\nafter it\n"
    assert (tmp_path / "jvm.log").read_text() == "of the JVM\n"


def test_the_target_is_rendered_from_the_environment(tmp_path: Path) -> None:
    """Risk: dbt and the session see different settings."""
    (tmp_path / "profiles.yml").write_text(PROFILE.format(method="session"))
    key = "spark.driver.memory"
    assert read_target(tmp_path, {})["server_side_parameters"][key] == "2g"
    given = {"MEMORY": "3g: '{x}'"}
    assert read_target(tmp_path, given)["server_side_parameters"][key] == "3g: '{x}'"


def test_a_variable_that_the_profile_does_not_read_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: a misspelt setting leaves the default in place, and nobody knows why."""
    profile = PROFILE.format(method="session").replace("MEMORY", "RETAIL_SPARK_MASTER")
    (tmp_path / "profiles.yml").write_text(profile)
    read_target(tmp_path, {"RETAIL_SPARK_MASTER": "local[1]", "RETAIL_SPARK_MASTR": "local[1]"})
    [told] = caplog.messages
    assert told.startswith("RETAIL_SPARK_MASTR is set, and ")


def test_another_method_is_refused(tmp_path: Path) -> None:
    """Risk: dbt builds in one Spark while the pipeline publishes from another."""
    (tmp_path / "profiles.yml").write_text(PROFILE.format(method="thrift"))
    with pytest.raises(PipelineError) as refused:
        read_target(tmp_path, {})
    assert str(refused.value) == (
        f"The dbt profile in {tmp_path / 'profiles.yml'} cannot be used by the pipeline. Expected: "
        "type: spark with method: session (dbt runs in this process). Found: type: spark, "
        "method: thrift."
    )


def with_threads(threads: str) -> str:
    text = PROFILE.format(method="session")
    return text.replace("method: session", f"method: session\n      threads: {threads}")


@pytest.mark.parametrize("threads", ["four", "0", "-1", "2.5", "null", "true", ".inf", ".nan"])
def test_threads_that_are_no_number_are_refused(tmp_path: Path, threads: str) -> None:
    """Risk: doctor finds all well, and dbt fails in the middle of a run."""
    (tmp_path / "profiles.yml").write_text(with_threads(threads))
    with pytest.raises(PipelineError, match="Expected: threads: a number of"):
        read_target(tmp_path, {})


@pytest.mark.parametrize("threads", ["4", "4.0", "\"{{ env_var('THREADS', '4') | as_number }}\""])
def test_threads_that_dbt_takes_are_taken(tmp_path: Path, threads: str) -> None:
    """Risk: a profile that has served is refused."""
    (tmp_path / "profiles.yml").write_text(with_threads(threads))
    assert float(read_target(tmp_path, {})["threads"]) == 4


@pytest.mark.parametrize("name", ["retail_mart", "embedded", "target"])
def test_a_misspelt_profile_or_target_is_named(tmp_path: Path, name: str) -> None:
    """Risk: Python's name of the error stands where what is missing should."""
    profile = PROFILE.format(method="session")
    (tmp_path / "profiles.yml").write_text(profile.replace(f"{name}:", f"{name}x:"))
    with pytest.raises(PipelineError) as missing:
        read_target(tmp_path, {})
    assert str(missing.value) == (
        f"The dbt profile 'retail_mart' in {tmp_path / 'profiles.yml'} cannot be read. Found: no "
        f"'{name}' in it. Compare it with profiles.example.yml."
    )


@pytest.mark.parametrize(
    ("limit", "memory"),
    [("6442450944", "1536m"), ("1073741824", "1024m"), ("0x", None), (None, None)],
)
def test_the_drivers_memory_follows_the_containers(
    tmp_path: Path, limit: str | None, memory: str | None
) -> None:
    """Risk: a small container kills the JVM; or a limit that cannot be read ends the run."""
    path = tmp_path / "memory.max"
    if limit is not None:
        path.write_text(limit)
    assert driver_memory([path]) == (memory or driver_memory([]))
    assert 1024 <= int(driver_memory([]).removesuffix("m")) <= 8192


def test_a_trial_leaves_the_tables_of_the_pipeline_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a run adds to what an analyst tries, for DBT_TARGET was left set, and publishes it."""
    shutil.copyfile(PROJECT / "profiles.example.yml", tmp_path / "profiles.yml")
    environ = {"RETAIL_WORKSPACE": str(tmp_path)}
    own = read_target(tmp_path, environ)
    trial = read_target(tmp_path, {**environ, "DBT_TARGET": "trial"})
    settings, others = own["server_side_parameters"], trial["server_side_parameters"]
    assert trial == {**own, "schema": "trial", "server_side_parameters": others}
    assert others == {**settings, "spark.sql.warehouse.dir": f"{tmp_path}/trial"}
    check_warehouse(own, tmp_path / "warehouse")
    with pytest.raises(PipelineError) as refused:
        check_warehouse(trial, tmp_path / "warehouse")
    assert str(refused.value) == (
        "The dbt target is not for runs of the pipeline. Expected: spark.sql.warehouse.dir: "
        f"{tmp_path}/warehouse. Found: spark.sql.warehouse.dir: {tmp_path}/trial. Unset "
        "DBT_TARGET, or compare profiles.yml with profiles.example.yml."
    )
    monkeypatch.setattr(os, "environ", {**machine_environ(), **environ, "DBT_TARGET": "trial"})
    dbt = DbtProject(PROJECT, tmp_path, tmp_path / "dbt", tmp_path / "logs")
    with pytest.raises(PipelineError, match="not for runs of the pipeline"):
        start_spark(dbt, Workspace(tmp_path))
