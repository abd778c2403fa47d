"""Checks single settings, and brings each to the one form that the pipeline uses."""

from __future__ import annotations

import re
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AnyHttpUrl, SecretStr, ValidationError, ValidationInfo

from ingestion.config.database_url import complete_database_url, sqlite_url
from ingestion.config.paths import from_project
from ingestion.config.secrets import open_secret
from ingestion.config.setting_sources import variable_name
from ingestion.errors import UsageError

ENDPOINT_REGION = "us-east-1"
PATH_MARKS = '[]{}*?,;"\\'


def check_bucket(name: str) -> str:
    """Return a bucket's name; raise ValueError where S3 would refuse it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if "/" in name or ":" in name:
        raise ValueError("Not just a bucket name, but a path, URL or ARN")
    is_address = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) or ".." in name or is_address:
        raise ValueError("Not a bucket name that S3 allows")
    return name


def check_prefix(prefix: str, info: ValidationInfo) -> str:
    """Return a key prefix that ends with ``/``.

    Raises ValueError for one that tools misread, and UsageError where it and another, checked
    before, lie one in the other.
    """
    whole = prefix if prefix.endswith("/") else f"{prefix}/"
    if prefix.startswith("/") or "//" in whole:
        raise ValueError("An empty folder name: it begins with / or contains //")
    if not prefix.isprintable() or {".", ".."} & set(whole.split("/")):
        raise ValueError("A folder name that some S3 tools cannot read")
    for name, other in info.data.items():
        if name.endswith("_prefix") and (whole.startswith(other) or other.startswith(whole)):
            inner, outer = sorted((whole, other), key=len, reverse=True)
            raise UsageError(
                f"The same as {variable_name(name)}, or one is inside the other",
                expected="a separate prefix",
                found=f"{inner!r} in {outer!r}",
            )
    return whole


def check_endpoint(url: str) -> str:
    """Return the address of an S3 service, in its plain form; raise ValueError where it is none.

    The S3 client's own check comes last: it takes no name with an underscore.
    """
    from botocore.utils import is_valid_endpoint_url, is_valid_ipv6_endpoint_url

    try:
        parts = AnyHttpUrl(url)
    except ValidationError:
        parts = None
    if parts is None or parts.username or parts.password or parts.query:
        raise ValueError("Not the address of an S3 service")
    address = str(parts).rstrip("/")
    if not (is_valid_endpoint_url(address) or is_valid_ipv6_endpoint_url(address)):
        raise ValueError("Not a host name that S3 clients accept (no underscores, no empty parts)")
    return address


def check_date(value: object) -> object:
    """Return a date, or text in the form yyyy-mm-dd; raise ValueError for all else."""
    is_text = isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
    if not is_text and (isinstance(value, datetime) or not isinstance(value, date)):
        raise ValueError("Not a date")
    return value


def check_time_zone(name: str) -> str:
    """Return the name of a zone of the IANA database; raise ValueError for all else."""
    if name != "UTC":
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("Unknown time zone") from error
    return name


def complete_path(path: Path, info: ValidationInfo) -> Path:
    """Return the path as `from_project` completes it.

    Raises ValueError where it has a character that Spark, its metastore or the S3 server takes for
    a pattern, the end of the path or an escape.
    """
    complete = from_project(path, info.data["project"])
    wrong = sorted(set(PATH_MARKS) & set(str(complete)))
    if wrong:
        raise ValueError(f"No folder with {' or '.join(wrong)} in its path can be used")
    return complete


def region_of_endpoint(region: str | None, info: ValidationInfo) -> str | None:
    """Return the region; at an endpoint the client needs one, and without it gets the usual one."""
    has_endpoint = info.data["uses_embedded_s3"] or info.data.get("s3_endpoint_url")
    return region or (ENDPOINT_REGION if has_endpoint else None)


def complete_url(url: SecretStr, info: ValidationInfo) -> SecretStr:
    """Return the URL of the database, opened; where it is empty, of the file in the workspace."""
    project = info.data["project"]
    text, key = url.get_secret_value(), text_of(info.data.get("secret_key"))
    if text:
        return SecretStr(complete_database_url(text, key, project))
    return SecretStr(sqlite_url(info.data.get("workspace", project) / "database.sqlite"))


def open_password(password: SecretStr, info: ValidationInfo) -> SecretStr:
    """Return the password, decrypted where it is encrypted."""
    key = text_of(info.data.get("secret_key"))
    return SecretStr(open_secret(password.get_secret_value(), key))


def text_of(secret: SecretStr | None) -> str | None:
    """Return the text of a secret, if there is one."""
    return secret.get_secret_value() if secret else None
