"""Encrypted settings are opened with a key that lies elsewhere, and no text shows a secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.config.aws_credentials import AwsCredentials
from ingestion.config.secrets import encrypt, generate_key
from ingestion.config.settings import load_settings
from tests.tried_settings import PASSWORD, mistakes, password_of

KEY = generate_key()


@pytest.mark.parametrize("place", ["variable", "file"])
def test_encrypted_values_are_opened_with_the_key(project: Path, place: str) -> None:
    """Risk: the text enc:… itself is sent as a password."""
    key_file = project.parent / "key"
    key_file.write_text(KEY)
    key_file.chmod(0o600)
    environ = {"RETAIL_SECRET_KEY": KEY} if place == "variable" else {}
    if place == "file":
        (project / "pipeline.toml").write_text('secret_key_file = "../key"\n')
    whole = {"RETAIL_DATABASE_URL": encrypt("mysql://me:inner@db/retail", KEY)}
    assert password_of(load_settings(project, {**environ, **whole})) == "inner"
    in_url = {"RETAIL_DATABASE_URL": f"mysql://me:{encrypt(PASSWORD, KEY)}@db/retail"}
    assert password_of(load_settings(project, {**environ, **in_url})) == PASSWORD
    apart = {**whole, "RETAIL_DATABASE_PASSWORD": encrypt(PASSWORD, KEY)}
    assert password_of(load_settings(project, {**environ, **apart})) == PASSWORD


def test_encrypted_aws_variables_are_opened_together(project: Path) -> None:
    """Risk: the S3 client gets half of its credentials, or encrypted ones."""
    settings = load_settings(project, {"RETAIL_BUCKET": "acme", "RETAIL_SECRET_KEY": KEY})
    environ = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": encrypt("secret", KEY)}
    assert settings.aws_credentials(environ) == AwsCredentials("id", "secret", None)
    environ["AWS_SESSION_TOKEN"] = encrypt("token", KEY)
    credentials = settings.aws_credentials(environ)
    assert credentials == AwsCredentials("id", "secret", "token")
    assert repr(credentials) == "AwsCredentials(access_key_id='id')"
    assert settings.aws_credentials(dict.fromkeys(environ, "plain")) is None


def test_encrypted_values_that_do_not_open_are_each_named(project: Path) -> None:
    """Risk: the user mends one secret at a time, or reads one in the message."""
    foreign = encrypt("hunter2", generate_key())
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_SECRET_KEY": KEY,
        "RETAIL_DATABASE_URL": "mysql://me@db/retail",
        "RETAIL_DATABASE_PASSWORD": foreign,
        "AWS_SECRET_ACCESS_KEY": foreign[:-9],
    }
    lines = mistakes(project, environ)
    assert [line.split(".")[0] for line in lines] == [
        "- AWS_ACCESS_KEY_ID: Missing, although another AWS variable is given encrypted",
        "- AWS_SECRET_ACCESS_KEY: The encrypted value cannot be decrypted with this key",
        "- RETAIL_DATABASE_PASSWORD: The encrypted value cannot be decrypted with this key",
    ]
    assert not [line for line in lines if KEY in line or foreign[4:20] in line]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pipeline.toml", f'secret_key = "{KEY}"\n'),
        (".env", f"RETAIL_SECRET_KEY={KEY}\n"),
    ],
    ids=["toml", "dotenv"],  # the key is another one in each process
)
def test_the_key_never_lies_beside_what_it_opens(project: Path, name: str, text: str) -> None:
    """Risk: whoever copies the project folder can open its secrets."""
    (project / name).write_text(text)
    setting = "secret_key" if name == "pipeline.toml" else "RETAIL_SECRET_KEY"
    assert mistakes(project, {}) == [
        f"- {setting} ({name}): The key is in a settings file, beside what it decrypts. "
        "Give it in the environment, or in a key file outside the project."
    ]


def test_no_text_of_the_settings_shows_a_secret(project: Path) -> None:
    """Risk: settings in a log or a traceback give a secret away."""
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_DATABASE_URL": "mysql://me:hunter2@db/retail",
        "RETAIL_SECRET_KEY": KEY,
        "RETAIL_SPARK_TOKEN": "hunter2",
    }
    settings = load_settings(project, environ)
    for text in (repr(settings), str(settings), repr(settings.database), str(settings.database)):
        assert "hunter2" not in text
        assert KEY not in text


def test_the_log_is_told_every_secret(project: Path) -> None:
    """Risk: a secret that the log does not know is not masked."""
    environ = {
        "RETAIL_BUCKET": "acme",
        "RETAIL_DATABASE_URL": "mysql://me:hunter2@db/retail",
        "RETAIL_SECRET_KEY": KEY,
    }
    settings = load_settings(project, environ)
    aws = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": encrypt("opened", KEY),
        "AWS_SESSION_TOKEN": "token",
    }
    known = set(settings.secret_values(aws))
    assert known == {"hunter2", KEY, aws["AWS_SECRET_ACCESS_KEY"], "opened", "token"}
    assert load_settings(project, {}).secret_values({}) == ()


def test_a_secret_of_the_wrong_type_is_not_shown(project: Path) -> None:
    """Risk: a password of digits without quotes in the file is echoed."""
    (project / "pipeline.toml").write_text(
        'database_url = "mysql://me@db/retail"\ndatabase_password = 482915\n'
    )
    assert mistakes(project, {}) == [
        "- database_password (pipeline.toml): Wrong value. Expected: text."
    ]
