"""The URL of the database takes one form, or is explained without showing a secret."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import botocore
import pytest

from ingestion.config.settings import load_settings
from tests.tried_settings import PASSWORD, mistakes, password_of


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mariadb+pymysql"])
def test_mysql_goes_through_one_driver_in_utf8mb4(project: Path, scheme: str) -> None:
    """Risk: another driver is looked for, or names lose their letters."""
    authority = Path(botocore.__file__).with_name("cacert.pem")
    url = f"{scheme}://me:pw@db.example.com:3307/retail?charset=latin1&ssl_ca={authority}"
    database = load_settings(project, {"RETAIL_DATABASE_URL": url}).database
    assert database.render_as_string(hide_password=False) == (
        "mysql+pymysql://me:pw@db.example.com:3307/retail?charset=utf8mb4&ssl_ca="
        + quote(str(authority), safe="")
    )


def test_a_password_apart_may_hold_any_character(project: Path) -> None:
    """Risk: a strong password breaks the URL or reaches the server altered."""
    environ = {"RETAIL_DATABASE_URL": "mysql://me@db/retail", "RETAIL_DATABASE_PASSWORD": PASSWORD}
    database = load_settings(project, environ).database
    assert (database.username, database.password, database.host) == ("me", PASSWORD, "db")
    (project / ".env").write_text("RETAIL_DATABASE_PASSWORD='$a ${HOME} #b@c'\n")
    environ.pop("RETAIL_DATABASE_PASSWORD")
    assert password_of(load_settings(project, environ)) == "$a ${HOME} #b@c"


def test_a_password_apart_wins_over_the_one_in_the_url(project: Path) -> None:
    """Risk: a rotated password given apart is not used."""
    environ = {"RETAIL_DATABASE_URL": "mysql://me:old%40@db/retail"}
    assert password_of(load_settings(project, environ)) == "old@"
    environ["RETAIL_DATABASE_PASSWORD"] = "new"
    assert password_of(load_settings(project, environ)) == "new"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "mysql://me:hunt@er2@db/retail",
            "The URL has more than one @, so it is unclear where the password ends and the host "
            "begins. Give the password separately, in RETAIL_DATABASE_PASSWORD, where any "
            "character is allowed, or write @ as %40.",
        ),
        (
            "mysql://root:hunter2/retail",
            "The URL cannot be read, perhaps because of unescaped special characters in the "
            "password, such as : / @ ?. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file. Give the password separately, in RETAIL_DATABASE_PASSWORD, where any "
            "character is allowed.",
        ),
        (
            "mysql://me@db/retail?password=hunter2",
            "The password is given after the ?. Give the password separately, "
            "in RETAIL_DATABASE_PASSWORD, where any character is allowed.",
        ),
        (
            "mysql://me:hunter2@db",
            "The URL names no database. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file.",
        ),
        (
            "postgresql://me:hunter2@db/retail",
            "The pipeline does not support this database. Expected: "
            "mysql://user@host:3306/database, mariadb://… or sqlite:///file. Found: "
            "postgresql://.",
        ),
        (
            "me:hunter2@db/retail",
            "Not a database URL. Expected: mysql://user@host:3306/database, mariadb://… or "
            "sqlite:///file.",
        ),
        (
            "sqlite://",
            "The SQLite URL names no file. Expected: sqlite:///retail.sqlite. Name a file: the "
            "pipeline's records must outlive the run.",
        ),
        (
            "mysql://me@db/retail?ssl_mode=REQUIRED",
            "The URL has an unknown option, ssl_mode. Expected: ssl_ca, ssl_cert, ssl_key, "
            "ssl_capath, ssl_cipher, ssl_check_hostname, connect_timeout, read_timeout, "
            "write_timeout, unix_socket, charset.",
        ),
        (
            "mysql://me@db/retail?conect_timeout=5",
            "The URL has an unknown option, conect_timeout. Expected: ssl_ca, ssl_cert, ssl_key, "
            "ssl_capath, ssl_cipher, ssl_check_hostname, connect_timeout, read_timeout, "
            "write_timeout, unix_socket, charset. Perhaps you meant connect_timeout.",
        ),
        (
            "mysql://me@db/retail?connect_timeout=abc",
            "connect_timeout is not a time in seconds. Expected: whole seconds. Found: abc.",
        ),
        (
            "mysql://me@db/retail?ssl_ca=/nowhere/ca.pem",
            "The file given as ssl_ca does not exist. Expected: its absolute path. Found: "
            "/nowhere/ca.pem.",
        ),
        (
            "mysql://me@db/retail?read_timeout=0",
            "read_timeout is not a time in seconds. Expected: whole seconds. Found: 0.",
        ),
        (
            "mysql://me@db/retail?ssl_check_hostname=banana",
            "ssl_check_hostname has a wrong value. Expected: true or false.",
        ),
        (
            "mysql://me@db/retail?ssl_capath=/nowhere",
            "The folder given as ssl_capath does not exist. Found: /nowhere.",
        ),
        (
            "mysql://me@db/retail?ssl_check_hostname=true",
            "ssl_check_hostname checks nothing without a certificate authority. Expected: ssl_ca, "
            "a file, or ssl_capath, a folder. Give one of them; the server's certificate and host "
            "are then checked.",
        ),
        (
            "mysql://me@db/retail?ssl_key=/etc/hostname",
            "ssl_key is given without its ssl_cert.",
        ),
        (
            "mysql://me@db..example/retail",
            "The host is not a valid host name. Found: db..example.",
        ),
        (
            "sqlite://foo:bar/x",
            "The URL cannot be read. Expected: sqlite:///retail.sqlite.",
        ),
        (
            "sqlite:///retail.sqlite?foo=bar",
            "The URL has an unknown option, foo. Expected: timeout.",
        ),
        (
            "sqlite://retail.sqlite",
            "The SQLite URL names a host. Expected: three slashes and a file, such as "
            "sqlite:///retail.sqlite.",
        ),
    ],
)
def test_a_bad_database_url_is_explained_and_not_shown(project: Path, url: str, told: str) -> None:
    """Risk: the first connection fails with the library's words, or the message shows a secret."""
    (line,) = mistakes(project, {"RETAIL_DATABASE_URL": url})
    assert line == f"- RETAIL_DATABASE_URL: {told}"
    assert "hunt" not in line


@pytest.mark.parametrize("option", ["ssl_ca", "ssl_cert", "ssl_cipher"])
def test_tls_that_cannot_be_is_told_before_a_connection(project: Path, option: str) -> None:
    """Risk: it is told as a full disk, or nothing is checked and nobody knows."""
    url = f"mysql://me@db/retail?{option}={project / 'pipeline.toml'}"
    (project / "pipeline.toml").touch()
    (line,) = mistakes(project, {"RETAIL_DATABASE_URL": url})
    assert line.startswith(f"- RETAIL_DATABASE_URL: {option} cannot be used. Found: ")


def test_a_file_has_no_password(project: Path) -> None:
    """Risk: a trial beside the settings of production ends in a stack trace."""
    environ = {"RETAIL_DATABASE_URL": "sqlite:///x", "RETAIL_DATABASE_PASSWORD": "hunter2"}
    assert mistakes(project, environ) == [
        "- RETAIL_DATABASE_PASSWORD: A password, although RETAIL_DATABASE_URL is an SQLite file. "
        "Remove it; a file has none."
    ]


def test_a_password_without_a_url_is_a_gap(project: Path) -> None:
    """Risk: the URL is forgotten and the data goes to the embedded database."""
    assert mistakes(project, {"RETAIL_DATABASE_PASSWORD": "hunter2"}) == [
        "- RETAIL_DATABASE_PASSWORD: A password without RETAIL_DATABASE_URL. "
        "Give the URL of its database."
    ]
