"""Settings: all that is given becomes one checked object, and the examples show all that can be."""

from __future__ import annotations

import datetime
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pydantic import ValidationError

from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS
from ingestion.config.settings import SETTING_NAMES, Settings, load_settings
from ingestion.errors import UsageError
from tests.tried_settings import mistakes

ROOT = Path(__file__).resolve().parents[2]


def test_with_nothing_given_all_is_embedded(project: Path) -> None:
    """Risk: a fresh clone asks for settings, or looks outside its workspace."""
    settings = load_settings(project, {})
    assert settings.uses_embedded_s3
    assert settings.workspace == project / ".workspace"
    assert (settings.bucket, settings.s3_endpoint_url) == ("retail-mart", None)
    assert settings.s3_region == "us-east-1"
    assert [
        getattr(settings, name) for name in Settings.model_fields if name.endswith("_prefix")
    ] == [
        "sales_data/",
        "sales_data_error/",
        "sales_data_processed/",
        "customer_data_mart/",
        "sales_data_mart/",
        "publications/",
    ]
    assert str(settings.database) == f"sqlite:///{project}/.workspace/database.sqlite"
    assert settings.aws_credentials({}) == EMBEDDED_CREDENTIALS
    assert (settings.business_date, settings.profiles, settings.secret_key) == (None, (), None)
    assert not list(project.iterdir())


def test_values_take_their_types(project: Path) -> None:
    """Risk: a TOML date, a text number or a word for false is refused or misread."""
    (project / "pipeline.toml").write_text("business_date = 2024-02-29\npublish_reports = false\n")
    settings = load_settings(project, {"RETAIL_S3_THREADS": "9"})
    assert settings.business_date == datetime.date(2024, 2, 29)
    assert (settings.publish_reports, settings.s3_threads) == (False, 9)
    settings = load_settings(
        project, {"RETAIL_BUSINESS_DATE": "2024-03-01", "RETAIL_PUBLISH_REPORTS": "yes"}
    )
    assert settings.business_date == datetime.date(2024, 3, 1)
    assert settings.publish_reports is True


@pytest.mark.parametrize(("folder", "marks"), [("Acme [new]", "[ or ]"), ('24" \\b', '" or \\')])
def test_a_workspace_that_spark_would_misread_is_refused(
    project: Path, folder: str, marks: str
) -> None:
    """Risk: a folder named 'Acme [new]' fails in the middle of the first run, in Spark's words."""
    with pytest.raises(UsageError) as refused:
        load_settings(project, {"RETAIL_WORKSPACE": f"/data/{folder}"})
    assert str(refused.value) == (
        f"The settings have 1 mistake:\n- RETAIL_WORKSPACE: No folder with {marks} in its path can "
        f"be used. Expected: a folder. Found: {f'/data/{folder}'!r}."
    )


def test_paths_count_from_the_project(project: Path) -> None:
    """Risk: a run from another folder makes a second workspace or an empty database."""
    settings = load_settings(
        project, {"RETAIL_WORKSPACE": "../work#1", "RETAIL_DATABASE_URL": "sqlite:///data/x y.db"}
    )
    assert settings.workspace == project.parent / "work#1"
    assert settings.database.database == str(project / "data" / "x y.db")
    settings = load_settings(project, {"RETAIL_WORKSPACE": "../work#1"})
    assert settings.database.database == str(project.parent / "work#1" / "database.sqlite")
    settings = load_settings(project, {"RETAIL_DATABASE_URL": "sqlite:////tmp/a@b.db?timeout=9"})
    assert (settings.database.database, settings.database.query) == (
        "/tmp/a@b.db",
        {"timeout": "9"},
    )


def test_settings_cannot_be_changed(project: Path) -> None:
    """Risk: one step changes what a later one reads."""
    with pytest.raises(ValidationError, match="frozen"):
        load_settings(project, {}).bucket = "other"  # type: ignore[misc]


def test_reading_the_settings_is_quick() -> None:
    """Risk: every command, even one with nothing to do, waits for libraries it does not use."""
    code = "import sys, ingestion.config.settings; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    heavy = {"sqlalchemy", "boto3", "botocore", "pyarrow", "pyspark", "dbt", "cryptography"}
    assert "ingestion.config.settings" in loaded
    assert heavy.isdisjoint(loaded)


@pytest.mark.parametrize("name", ["RETAIL_WORKSPACE", "RETAIL_CONFIG", "RETAIL_SECRET_KEY_FILE"])
def test_a_home_folder_that_is_not_there_is_one_mistake(project: Path, name: str) -> None:
    """Risk: a mistyped ~user ends in a stack trace."""
    assert mistakes(project, {name: "~nobody-of-this-name/x"}) == [
        f"- {name}: There is no such home folder. Found: ~nobody-of-this-name."
    ]


def test_links_in_a_loop_are_no_missing_home_folder(project: Path, tmp_path: Path) -> None:
    """Risk: somebody looks for a user's home folder that no setting names."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    found = f"{loop / 'x'} (Too many levels of symbolic links)."
    assert mistakes(project, {"RETAIL_CONFIG": str(loop / "x")}) == [
        f"- RETAIL_CONFIG: The file cannot be read. Found: {found}"
    ]
    assert mistakes(project, {"RETAIL_SECRET_KEY_FILE": str(loop / "x")}) == [
        f"- RETAIL_SECRET_KEY_FILE: The key file cannot be read. Found: {found} Correct the path. "
        "Create one with `python run_pipeline.py secrets generate-key`."
    ]


def test_all_mistakes_come_in_one_list(project: Path) -> None:
    """Risk: the user mends one mistake per run."""
    (project / "pipeline.toml").write_text(
        'bucket = "Acme"\ninbox_prefx = "in/"\n[[profiles]]\nname = "a"\nskip_lines = -1\n'
    )
    (project / ".env").write_text("RETAIL_S3_THREADS=0\nRETAIL_LOG_FORMAT\n")
    environ = {
        "RETAIL_BUKET": "acme",
        "retail_log_level": "INFO",
        "RETAIL_WHATEVER": "1",
        "RETAIL_BUSINESS_DATE": "2024-02-30",
        "RETAIL_DATABASE_URL": "oracle://me@db/retail",
        "RETAIL_SECRET_KEY_FILE": "key",
    }
    assert mistakes(project, environ) == [
        "- .env, line 2: This line cannot be read. Expected: NAME=value, with '…' around a "
        "value that contains blanks, quotes or #.",
        "- inbox_prefx (pipeline.toml): There is no such setting. Perhaps you meant inbox_prefix.",
        "- RETAIL_BUKET: There is no such setting. Perhaps you meant RETAIL_BUCKET.",
        "- retail_log_level: There is no such setting. Perhaps you meant RETAIL_LOG_LEVEL.",
        "- RETAIL_WHATEVER: There is no such setting. Remove it.",
        "- RETAIL_SECRET_KEY_FILE: The key file is inside the project folder. Expected: a file "
        "elsewhere, so that key and encrypted values never travel together. Found: "
        f"{project / 'key'}. Move it, for instance to ~/.config/retail-mart/key.",
        "- bucket (pipeline.toml): Not a bucket name that S3 allows. Expected: 3 to 63 lowercase "
        "letters, digits, dots and hyphens, such as acme-retail. Found: 'Acme'.",
        "- RETAIL_S3_THREADS (.env): Wrong value. Expected: a whole number from 1 to 64. "
        "Found: '0'.",
        "- RETAIL_DATABASE_URL: The pipeline does not support this database. Expected: "
        "mysql://user@host:3306/database, mariadb://… or sqlite:///file. Found: oracle://.",
        "- RETAIL_BUSINESS_DATE: Wrong value. Expected: a valid date as yyyy-mm-dd. "
        "Found: '2024-02-30'.",
        "- profile a, pattern (pipeline.toml): Wrong value. Expected: a glob for the key below "
        "the inbox, such as north/*.csv, where * also crosses folders, or re: and a regular "
        "expression for the whole key. Found: nothing.",
        "- profile a, skip_lines (pipeline.toml): Wrong value. Expected: the lines above the "
        "header, from 0 to 1000. Found: -1.",
    ]


def test_what_the_pipeline_works_out_cannot_be_set(project: Path) -> None:
    """Risk: a field of the object that is no setting passes for one, and does nothing."""
    (project / "pipeline.toml").write_text('project = "/"\nRETAIL_BUCKET = "acme"\n')
    assert mistakes(project, {"RETAIL_USES_EMBEDDED_S3": "no"}) == [
        "- project (pipeline.toml): There is no such setting. Remove it.",
        "- RETAIL_BUCKET (pipeline.toml): There is no such setting. Perhaps you meant bucket.",
        "- RETAIL_USES_EMBEDDED_S3: There is no such setting. Remove it.",
    ]


@pytest.mark.parametrize("text", ["1710000000", "2024-3-5", "20240305", "today"])
def test_a_business_date_is_never_guessed(project: Path, text: str) -> None:
    """Risk: a number is taken for seconds since 1970."""
    (line,) = mistakes(project, {"RETAIL_BUSINESS_DATE": text})
    assert line.endswith(f"Not a date. Expected: a valid date as yyyy-mm-dd. Found: {text!r}.")


def test_today_is_the_stores_own(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: the morning's sales of a shop in the east are set aside as of tomorrow."""

    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Clock:
            return cls(2024, 3, 1, 23, 30, tzinfo=datetime.UTC).astimezone(tz)

    monkeypatch.setattr("ingestion.config.settings.datetime", Clock)
    assert load_settings(project, {}).today() == datetime.date(2024, 3, 1)
    east = {"RETAIL_TIME_ZONE": "Asia/Kolkata"}
    assert load_settings(project, east).today() == datetime.date(2024, 3, 2)
    given = load_settings(project, east | {"RETAIL_BUSINESS_DATE": "2024-03-05"})
    assert given.today() == datetime.date(2024, 3, 5)
    for name in ("Asia/Kalkutta", "../zone"):
        (line,) = mistakes(project, {"RETAIL_TIME_ZONE": name})
        assert line == (
            "- RETAIL_TIME_ZONE: Unknown time zone. Expected: a name such"
            f" as Asia/Kolkata. Found: {name!r}."
        )


def test_the_example_as_it_stands_changes_nothing(project: Path) -> None:
    """Risk: copying the example moves a run away from the defaults that it claims to show."""
    example = (ROOT / "pipeline.example.toml").read_text(encoding="utf-8")
    defaults = load_settings(project, {})
    (project / "pipeline.toml").write_text(example, encoding="utf-8")
    (project / ".env").write_text((ROOT / ".env.example").read_text(encoding="utf-8"))
    assert load_settings(project, {}) == defaults


def test_the_example_file_shows_every_setting(project: Path) -> None:
    """Risk: the example lags behind the settings, or shows one that does not work."""
    example = (ROOT / "pipeline.example.toml").read_text(encoding="utf-8")
    everything = re.sub(r"(?m)^#(?=[a-z\[])", "", example)
    assert tomllib.loads(everything).keys() == SETTING_NAMES - {"secret_key"}
    usable = re.sub(r"(?m)^(database_password|secret_key_file) = .*$", "", everything)
    (project / "pipeline.toml").write_text(usable, encoding="utf-8")
    (profile,) = load_settings(project, {}).profiles
    assert profile.model_fields_set == type(profile).model_fields.keys()


def test_the_dotenv_example_shows_every_variable(project: Path) -> None:
    """Risk: a variable's name is wrong where people copy it from."""
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = re.findall(r"(?m)^#(RETAIL_\w+)=.", example)
    variables = {f"RETAIL_{name.upper()}" for name in SETTING_NAMES - {"profiles", "secret_key"}}
    assert sorted(shown) == sorted({*variables, "RETAIL_CONFIG"})
    usable = re.sub(r"(?m)^#(RETAIL_(SECRET_KEY_FILE|CONFIG)=.*)$", "", example)
    (project / ".env").write_text(re.sub(r"(?m)^#(?=RETAIL_)", "", usable), encoding="utf-8")
    settings = load_settings(project, {})
    assert settings.database.password == "any characters: @ / # %"
    assert settings.bucket == "acme-retail"
