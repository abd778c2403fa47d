"""Settings as a user tries them: the mistakes that are told, and the password that is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from ingestion.config.settings import Settings, load_settings
from ingestion.errors import UsageError

PASSWORD = "p@ss:w/rd?#%41 é'\"\\"


def mistakes(project: Path, environ: Mapping[str, str]) -> list[str]:
    """Return the lines of the one error, without its head."""
    with pytest.raises(UsageError) as caught:
        load_settings(project, environ)
    head, *lines = str(caught.value).splitlines()
    count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
    assert head == f"The settings have {count}:"
    return lines


def password_of(settings: Settings) -> str | None:
    """Return the password that a connection would use."""
    return settings.database.password
