"""Checks single settings, and brings each to the one form that the pipeline uses."""

from __future__ import annotations

import re
from datetime import date, datetime
from urllib.parse import urlsplit


def check_bucket(name: str) -> str:
    """Return a bucket's name; raise ValueError where S3 would refuse it.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if "/" in name or ":" in name:
        raise ValueError("More than a bucket's name")
    is_address = re.fullmatch(r"\d+\.\d+\.\d+\.\d+", name)
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name) or ".." in name or is_address:
        raise ValueError("Not a bucket name that S3 allows")
    return name


def check_prefix(prefix: str) -> str:
    """Return a key prefix that ends with ``/``; raise ValueError for one that tools misread."""
    whole = prefix if prefix.endswith("/") else f"{prefix}/"
    if prefix.startswith("/") or "//" in whole:
        raise ValueError("An empty folder name: it begins with / or holds //")
    if not prefix.isprintable() or {".", ".."} & set(whole.split("/")):
        raise ValueError("A folder name that not every S3 tool can read")
    return whole


def check_endpoint(url: str) -> str:
    """Return the address of an S3 service; raise ValueError where it is none."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname)
        is_plain = parts.username is None and not parts.query and (parts.port or 1) > 0
    except ValueError:
        is_address = is_plain = False
    if not (is_address and is_plain):
        raise ValueError("Not the address of an S3 service")
    return url.rstrip("/")


def check_date(value: object) -> object:
    """Return a date, or text in the form yyyy-mm-dd; raise ValueError for all else."""
    is_text = isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value)
    if not is_text and (isinstance(value, datetime) or not isinstance(value, date)):
        raise ValueError("Not a date")
    return value


def upper(value: object) -> object:
    """Return text in capitals, and anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def lower(value: object) -> object:
    """Return text in small letters, and anything else as it is."""
    return value.lower() if isinstance(value, str) else value
