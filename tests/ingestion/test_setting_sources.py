"""Settings stand in three places, of which the first wins; what cannot be read there is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.config.settings import load_settings
from ingestion.errors import UsageError
from tests.tried_settings import mistakes


def test_the_environment_wins_over_dotenv_and_that_over_toml(project: Path) -> None:
    """Risk: what an operator sets for one run is overruled by a forgotten file."""
    (project / "pipeline.toml").write_text(
        'log_level = "ERROR"\nkeep_publications = 1\ns3_threads = 1\n'
    )
    (project / ".env").write_text("RETAIL_KEEP_PUBLICATIONS=2\nRETAIL_S3_THREADS=2\n")
    environ = {"RETAIL_S3_THREADS": "3", "RETAIL_LOG_FORMAT": "", "PATH": "/bin"}
    settings = load_settings(project, environ)
    assert (settings.log_level, settings.log_format) == ("ERROR", "text")
    assert (settings.keep_publications, settings.s3_threads) == (2, 3)


def test_the_process_environment_is_the_default(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: only tests, which pass a mapping, see the variables."""
    monkeypatch.setenv("RETAIL_LOG_LEVEL", "debug")
    assert load_settings(project).log_level == "DEBUG"


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_the_config_file_may_lie_elsewhere(project: Path, place: str) -> None:
    """Risk: the named file is ignored, and the one in the project read in its stead."""
    (project / "pipeline.toml").write_text("keep_publications = 1\n")
    (project.parent / "other.toml").write_text("keep_publications = 2\n")
    if place == "dotenv":
        (project / ".env").write_text("RETAIL_CONFIG=../other.toml\n")
    environ = {"RETAIL_CONFIG": "../other.toml"} if place == "environment" else {}
    assert load_settings(project, environ).keep_publications == 2


def test_variables_of_the_dbt_profile_are_passed_on(project: Path) -> None:
    """Risk: the profile's own variables are refused as unknown, or stay behind in .env."""
    (project / ".env").write_text("RETAIL_SPARK_MASTER=local[1]\nRETAIL_SPARK_QUEUE=a\n")
    settings = load_settings(project, {"RETAIL_SPARK_QUEUE": "b", "OTHER": "c"})
    assert settings.dbt_variables == {"RETAIL_SPARK_MASTER": "local[1]", "RETAIL_SPARK_QUEUE": "b"}


def test_a_variable_that_nothing_reads_is_refused(project: Path) -> None:
    """Risk: a name of the profile is misspelt, and its value is passed over."""
    with pytest.raises(UsageError, match="RETAIL_DBT_TARGET"):
        load_settings(project, {"RETAIL_DBT_TARGET": "b"})


def test_profiles_stand_in_the_file_alone(project: Path) -> None:
    """Risk: a variable that cannot hold tables hides the profiles of the file."""
    assert mistakes(project, {"RETAIL_PROFILES": "[]"}) == [
        "- RETAIL_PROFILES: Wrong value. Expected: [[profiles]] before each profile in "
        "pipeline.toml. Found: '[]'."
    ]


@pytest.mark.parametrize("name", ["prod/pipeline.toml", "pipeline.toml", "prod.toml"])
def test_a_named_config_file_must_be_there(project: Path, name: str) -> None:
    """Risk: a mistyped folder or name makes production run on the sample, and end well."""
    assert mistakes(project, {"RETAIL_CONFIG": name}) == [
        f"- RETAIL_CONFIG: The file cannot be read. Found: {project / name} "
        "(No such file or directory)."
    ]


def test_files_that_cannot_be_read_are_named(project: Path) -> None:
    """Risk: a broken file shows as a stack trace, or hides other mistakes."""
    path = project / "pipeline.toml"
    path.write_text("bucket = acme\n")
    (project / ".env").write_bytes(b"RETAIL_BUCKET=caf\xe9\n")
    assert mistakes(project, {"RETAIL_LOG_FORMAT": "xml"}) == [
        f"- .env: Not a UTF-8 text file. Found: {project / '.env'}.",
        f"- pipeline.toml: Not valid TOML. Found: {path}: Invalid value (at line 1, column 10).",
        "- RETAIL_LOG_FORMAT: Wrong value. Expected: text or json. Found: 'xml'.",
    ]


def test_a_byte_order_mark_is_named(project: Path) -> None:
    """Risk: an editor's invisible mark is told as an invalid statement, and nobody sees one."""
    path = project / "pipeline.toml"
    path.write_text('\ufeffbucket = "acme-retail"\n', encoding="utf-8")
    assert mistakes(project, {}) == [
        "- pipeline.toml: The file begins with a byte order mark, which TOML does not allow. Found:"
        f" {path}. Save it as UTF-8 without one."
    ]
