"""Brings the database URL to the one form that the pipeline uses."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from ingestion.config.secrets import open_secret
from ingestion.errors import UsageError

SQLITE = "sqlite"
MYSQL = "mysql+pymysql"
CHARSET = "utf8mb4"

_DRIVERS = {
    "sqlite": SQLITE,
    "sqlite+pysqlite": SQLITE,
    "mysql": MYSQL,
    "mysql+pymysql": MYSQL,
    "mariadb": MYSQL,
    "mariadb+pymysql": MYSQL,
}
_EXPECTED = "mysql://user@host:3306/database, mariadb://… or sqlite:///file"
_FILES = ("ssl_ca", "ssl_cert", "ssl_key")
_SECONDS = ("connect_timeout", "read_timeout", "write_timeout")
_AUTHORITIES = ("ssl_ca", "ssl_capath")
_TLS = ("ssl_capath", "ssl_cipher", "ssl_check_hostname")
_MYSQL_OPTIONS = (*_FILES, *_TLS, *_SECONDS, "unix_socket", "charset")
_SQLITE_OPTIONS = ("timeout",)
_PASSWORD_APART = (
    "Give the password separately, in RETAIL_DATABASE_PASSWORD, where any character is allowed"
)


def sqlite_url(path: Path) -> str:
    """Return the URL of the SQLite file at an absolute path."""
    return f"{SQLITE}:///{quote(str(path))}"


def complete_database_url(text: str, key: str | None, project: Path) -> str:
    """Return a database URL as SQLAlchemy takes it; it and its password may be encrypted.

    MySQL and MariaDB go through PyMySQL and always with the character set utf8mb4; a relative
    SQLite file counts from ``project``. Raises UsageError for another database, a URL without a
    database, one that cannot be told apart because of unescaped special characters in the password,
    an option that is not among those of TLS and timeouts or cannot be used, or a secret that
    ``key`` does not open.
    The URL is never part of the message, since it may hold a secret.
    """
    scheme, separator, rest = open_secret(text, key).strip().partition("://")
    driver = _DRIVERS.get(scheme.lower())
    if not separator:
        raise UsageError("Not a database URL", expected=_EXPECTED)
    if driver is None:
        found = f"{scheme}://" if scheme.replace("+", "").isalnum() else None
        raise UsageError(
            "The pipeline does not support this database", expected=_EXPECTED, found=found
        )
    return _complete_sqlite(rest, project) if driver == SQLITE else _complete_mysql(rest, key)


def _complete_sqlite(rest: str, project: Path) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(f"{SQLITE}://{rest}")
    except (ArgumentError, ValueError):
        raise UsageError("The URL cannot be read", expected="sqlite:///retail.sqlite") from None
    if url.host:
        raise UsageError(
            "The SQLite URL names a host",
            expected="three slashes and a file, such as sqlite:///retail.sqlite",
        )
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise UsageError(
            "The SQLite URL names no file",
            expected="sqlite:///retail.sqlite",
            action="Name a file: the pipeline's records must outlive the run",
        )
    _check_options(url.query, _SQLITE_OPTIONS)
    path = (project / url.database).resolve()
    query = f"?{rest.partition('?')[2]}" if url.query else ""
    return sqlite_url(path) + query


def _complete_mysql(rest: str, key: str | None) -> str:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    if rest.count("@") > 1:
        raise UsageError(
            "The URL has more than one @, so it is unclear where the password ends and the host "
            "begins",
            action=f"{_PASSWORD_APART}, or write @ as %40",
        )
    try:
        url = make_url(f"{MYSQL}://{rest}")
    except (ArgumentError, ValueError):
        # The library's own message quotes the URL: it is neither shown nor chained.
        raise UsageError(
            "The URL cannot be read, perhaps because of unescaped special characters in the "
            "password, such as : / @ ?",
            expected=_EXPECTED,
            action=_PASSWORD_APART,
        ) from None
    if not url.database:
        raise UsageError("The URL names no database", expected=_EXPECTED)
    if {"password", "passwd"} & url.query.keys():
        raise UsageError("The password is given after the ?", action=_PASSWORD_APART)
    _check_options(url.query, _MYSQL_OPTIONS)
    _check_tls({name: str(value) for name, value in url.query.items() if name.startswith("ssl_")})
    _check_host(url.host or "")
    url = url.update_query_dict({"charset": CHARSET})
    if url.password:
        url = url.set(password=open_secret(url.password, key))
    return url.render_as_string(hide_password=False)


def _check_options(options: Mapping[str, tuple[str, ...] | str], known: tuple[str, ...]) -> None:
    """Raise UsageError for an option behind the ? that the driver would stumble over."""
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
            action = f"Perhaps you meant {near[0]}" if near else None
            if name.startswith("ssl_verify_"):
                action = (
                    "Give ssl_ca or ssl_capath: then the server's certificate and host are checked"
                )
            raise UsageError(
                f"The URL has an unknown option, {name}",
                expected=", ".join(known),
                action=action,
            )
        if not isinstance(value, str):
            raise UsageError(f"The URL gives {name} twice")
        if name in _SECONDS and not re.fullmatch("[1-9][0-9]*", value):
            raise UsageError(
                f"{name} is not a time in seconds", expected="whole seconds", found=value
            )
        if name in _SQLITE_OPTIONS and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            raise UsageError(f"{name} is not a time in seconds", expected="seconds", found=value)
        if name in _FILES and not Path(value).is_file():
            raise UsageError(
                f"The file given as {name} does not exist",
                expected="its absolute path",
                found=value,
            )


def _check_tls(options: Mapping[str, str]) -> None:
    """Raise UsageError for options that the driver would stumble over, or pass over in silence."""
    is_checked = options.get("ssl_check_hostname", "false").lower()
    if is_checked not in ("true", "false", "1", "0"):
        raise UsageError("ssl_check_hostname has a wrong value", expected="true or false")
    folder = options.get("ssl_capath")
    if folder is not None and not Path(folder).is_dir():
        raise UsageError("The folder given as ssl_capath does not exist", found=folder)
    if is_checked in ("true", "1") and not options.keys() & set(_AUTHORITIES):
        raise UsageError(
            "ssl_check_hostname checks nothing without a certificate authority",
            expected="ssl_ca, a file, or ssl_capath, a folder",
            action="Give one of them; the server's certificate and host are then checked",
        )
    if "ssl_key" in options and "ssl_cert" not in options:
        raise UsageError("ssl_key is given without its ssl_cert")
    if not options:
        return
    import ssl

    try:
        if (name := "ssl_ca") in options:
            ssl.create_default_context(cafile=options[name])
        if (name := "ssl_capath") in options:
            ssl.create_default_context(capath=options[name])
        context = ssl.create_default_context()
        if (name := "ssl_cert") in options:
            context.load_cert_chain(options[name], options.get("ssl_key"), password="")
        if (name := "ssl_cipher") in options:
            context.set_ciphers(options[name])
    except (OSError, ValueError) as error:  # ssl's own are OSErrors
        found = str(getattr(error, "reason", None) or error)
        raise UsageError(f"{name} cannot be used", found=found) from None


def _check_host(host: str) -> None:
    try:
        host.encode("idna")
    except UnicodeError:
        raise UsageError("The host is not a valid host name", found=host) from None
