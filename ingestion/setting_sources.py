"""Reads what the user set, from ``pipeline.toml``, ``.env`` and the environment, in that order."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dotenv.parser import parse_stream

from ingestion.mistakes import Mistakes, nearest

PREFIX = "RETAIL_"
CONFIG_VARIABLE = "RETAIL_CONFIG"
CONFIG_FILE = "pipeline.toml"
# The dbt profile reads these itself, through env_var().
DBT_PREFIXES = ("RETAIL_SPARK_", "RETAIL_DBT_")
# In the project folder they would lie beside the values they open or describe.
_OUTSIDE_ONLY = "secret_key"
_TABLES_ONLY = "profiles"


@dataclass(frozen=True)
class Given:
    """What the user set: values by setting, and each setting's name as written where it stands.

    ``dbt_variables`` are the variables of the dbt profile, from ``.env`` and the environment.
    """

    values: dict[str, object] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    dbt_variables: dict[str, str] = field(default_factory=dict)

    def written(self, setting: str) -> str:
        """Return the setting's name as the user wrote it, or would write it as a variable."""
        return self.names.get(setting, variable_name(setting))


def variable_name(setting: str) -> str:
    """Return the environment variable that gives a setting."""
    return PREFIX + setting.upper()


def read_sources(
    project: Path, environ: Mapping[str, str], settings: Collection[str], mistakes: Mistakes
) -> Given:
    """Return what is set in the three places, the later winning over the earlier.

    ``settings`` are the names there are. Empty variables count as not given. Unknown names,
    unreadable files and a key for secrets inside the project are noted in ``mistakes``.
    """
    given = Given()
    dotenv = dict(_read_dotenv(project / ".env", mistakes))
    config = environ.get(CONFIG_VARIABLE) or dotenv.get(CONFIG_VARIABLE)
    path = project / Path(config or CONFIG_FILE).expanduser()
    if config or path.exists():
        table = _read_toml(path, CONFIG_VARIABLE if config else CONFIG_FILE, mistakes)
        _add_config(table, path.name, given, settings, mistakes)
    _add_variables(dotenv, " (.env)", given, settings, mistakes)
    if _OUTSIDE_ONLY in given.values:
        mistakes.add(
            given.written(_OUTSIDE_ONLY),
            "The key lies in the project folder, beside what it opens",
            action="Give it in the environment, or in a key file outside the project",
        )
        del given.values[_OUTSIDE_ONLY]
    _add_variables(environ, "", given, settings, mistakes)
    return given


def _read_dotenv(path: Path, mistakes: Mistakes) -> Iterator[tuple[str, str]]:
    """Yield the variables of a ``.env`` file; a value may hold ``$``, nothing is expanded."""
    text = _read_text(path, ".env", mistakes) if path.exists() else ""
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            mistakes.add(
                f".env, line {binding.original.line}",
                "Not a line that can be read",
                expected="NAME=value, with '…' around a value that holds blanks, quotes or #",
            )
        elif binding.key and binding.value:
            yield binding.key, binding.value


def _read_toml(path: Path, name: str, mistakes: Mistakes) -> dict[str, object]:
    try:
        return tomllib.loads(_read_text(path, name, mistakes))
    except tomllib.TOMLDecodeError as error:
        mistakes.add(name, "Not a TOML file", found=f"{path}: {error}")
        return {}


def _read_text(path: Path, name: str, mistakes: Mistakes) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        mistakes.add(name, "Not a text file in UTF-8", found=str(path))
    except OSError as error:
        mistakes.add(name, "The file cannot be read", found=f"{path} ({error.strerror})")
    return ""


def _add_config(
    table: Mapping[str, object],
    file_name: str,
    given: Given,
    settings: Collection[str],
    mistakes: Mistakes,
) -> None:
    for key, value in table.items():
        name = f"{key} ({file_name})"
        if key in settings:
            given.values[key] = value
            given.names[key] = name
        else:
            near = nearest(key.lower().removeprefix(PREFIX.lower()), settings)
            _note_unknown(name, near, mistakes)


def _add_variables(
    variables: Mapping[str, str],
    place: str,
    given: Given,
    settings: Collection[str],
    mistakes: Mistakes,
) -> None:
    by_variable = {variable_name(setting): setting for setting in settings}
    for variable, value in variables.items():
        if not variable.upper().startswith(PREFIX) or variable == CONFIG_VARIABLE or not value:
            continue
        setting = by_variable.get(variable)
        name = variable + place
        if variable.startswith(DBT_PREFIXES):
            given.dbt_variables[variable] = value
        elif setting == _TABLES_ONLY:
            mistakes.add(
                name, "No variable can hold profiles", action=f"Write them in {CONFIG_FILE}"
            )
        elif setting:
            given.values[setting] = value
            given.names[setting] = name
        else:
            _note_unknown(name, nearest(variable.upper(), by_variable), mistakes)


def _note_unknown(name: str, near: str | None, mistakes: Mistakes) -> None:
    mistakes.add(
        name, "There is no such setting", action=f"Perhaps {near} is meant" if near else "Remove it"
    )
