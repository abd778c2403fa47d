"""Opens the three places where settings stand, and knows each setting's name as written there.

pydantic-settings merges and types what they hold. Added here is what it leaves out: variables of
any mapping, a ``.env`` in which ``${…}`` is not expanded (a password may hold it) and no broken
line is passed over, and a mistake for each unknown name.
"""

from __future__ import annotations

import codecs
import io
import tomllib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    TomlConfigSettingsSource,
)

from ingestion.config.mistakes import Mistakes
from ingestion.config.paths import from_project

PREFIX = "RETAIL_"
CONFIG_VARIABLE = "RETAIL_CONFIG"
CONFIG_FILE = "pipeline.toml"
# The dbt profile reads these itself, through env_var().
DBT_PREFIX = "RETAIL_SPARK_"
# In the project folder it would lie beside the values it opens.
_OUTSIDE_ONLY = "secret_key"


class Variables(EnvSettingsSource):
    """The variables of a mapping, in place of the process's own."""

    def __init__(self, model: type[BaseSettings], variables: Mapping[str, str]) -> None:
        self._variables = variables
        super().__init__(model)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {name.lower(): value for name, value in self._variables.items()}


@dataclass(frozen=True)
class Given:
    """What the user set: the sources, the first winning, and each setting's name as written.

    ``dbt_variables`` are the variables of the dbt profile, from ``.env`` and the environment.
    """

    sources: tuple[PydanticBaseSettingsSource, ...]
    names: Mapping[str, str]
    dbt_variables: Mapping[str, str]

    def value(self, setting: str) -> Any:
        """Return a setting as it was read, of any type, or None."""
        values = (source().get(setting) for source in self.sources)
        return next((value for value in values if value is not None), None)

    def written(self, setting: str, *inside: int | str) -> str:
        """Return the setting's name as the user wrote it, or would write it as a variable.

        For a profile, or a field of one, ``inside`` is the profile's index and the field.
        """
        name = self.names.get(setting, variable_name(setting))
        if not inside:
            return name
        index, *fields = inside
        title = ", ".join([self.profile_titles()[int(index)], *map(str, fields)])
        return name.replace(setting, title)

    def profile_titles(self) -> list[str]:
        """Return what to call each profile: its name, or its number where it has none."""
        tables = self.value("profiles")
        return [
            f"profile {(isinstance(table, dict) and table.get('name')) or number}"
            for number, table in enumerate(tables if isinstance(tables, list) else (), start=1)
        ]


def variable_name(setting: str) -> str:
    """Return the environment variable that gives a setting."""
    return PREFIX + setting.upper()


def open_sources(
    model: type[BaseSettings],
    settings: Collection[str],
    project: Path,
    environ: Mapping[str, str],
    mistakes: Mistakes,
) -> Given:
    """Return what is set in ``environ``, ``.env`` and ``pipeline.toml``, the first winning.

    ``settings`` are the fields of ``model`` that a user may give. Empty variables count as not
    given. Unknown names, unreadable files and a key for secrets inside the project are noted in
    ``mistakes``.
    """
    dotenv = _own(dict(_read_dotenv(project / ".env", mistakes)))
    variables = _own(environ)
    config = variables.get(CONFIG_VARIABLE) or dotenv.get(CONFIG_VARIABLE)
    toml, file_name = _open_toml(model, config, project, mistakes)
    names: dict[str, str] = {}
    by_key = {setting: setting for setting in settings}
    by_variable = {variable_name(setting): setting for setting in (*settings, "config")}
    for found, place, known in (
        (toml(), f" ({file_name})", by_key),
        (dotenv, " (.env)", by_variable),
        (variables, "", by_variable),
    ):
        for name in found:
            if known.get(name) == _OUTSIDE_ONLY and place:
                mistakes.add(
                    name + place,
                    "The key is in a settings file, beside what it decrypts",
                    action="Give it in the environment, or in a key file outside the project",
                )
            elif name not in known and not name.startswith(DBT_PREFIX):
                mistakes.add_unknown(name + place, name, known)
            names[known.get(name, name)] = name + place
    both = {**dotenv, **variables}
    return Given(
        sources=(Variables(model, variables), Variables(model, dotenv), toml),
        names=names,
        dbt_variables={name: both[name] for name in both if name.startswith(DBT_PREFIX)},
    )


def _open_toml(
    model: type[BaseSettings], config: str | None, project: Path, mistakes: Mistakes
) -> tuple[TomlConfigSettingsSource, str]:
    """Return what the settings file holds, and its name; why it cannot be read is noted.

    The one that ``config`` names must be there, the project's own may be.
    """
    name, path = CONFIG_VARIABLE if config else CONFIG_FILE, project / CONFIG_FILE
    is_named = False
    with mistakes.under(name):
        path = from_project(Path(config or CONFIG_FILE), project)
        is_named = bool(config)
    with _reading(path, name, mistakes):
        if is_named or path.exists():
            with path.open("rb") as file:  # the source passes over a file that is not there
                has_mark = file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8
            if not has_mark:
                return TomlConfigSettingsSource(model, path), path.name
            mistakes.add(
                name,
                "The file begins with a byte order mark, which TOML does not allow",
                found=str(path),
                action="Save it as UTF-8 without one",
            )
    return TomlConfigSettingsSource(model, None), path.name


def _own(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with the prefix, in capitals or not, that are not empty."""
    return {n: value for n, value in variables.items() if value and n.upper().startswith(PREFIX)}


def _read_dotenv(path: Path, mistakes: Mistakes) -> Iterator[tuple[str, str]]:
    """Yield the variables of a ``.env`` file."""
    text = ""
    with _reading(path, ".env", mistakes):
        text = path.read_text(encoding="utf-8-sig") if path.exists() else ""
    for binding in parse_stream(io.StringIO(text)):
        if binding.error or (binding.key and binding.value is None):
            mistakes.add(
                f".env, line {binding.original.line}",
                "This line cannot be read",
                expected="NAME=value, with '…' around a value that contains blanks, quotes or #",
            )
        elif binding.key:
            yield binding.key, binding.value or ""


@contextmanager
def _reading(path: Path, name: str, mistakes: Mistakes) -> Iterator[None]:
    """Note under ``name`` why the file at ``path`` cannot be read, and go on after the block."""
    try:
        yield
    except UnicodeDecodeError:
        mistakes.add(name, "Not a UTF-8 text file", found=str(path))
    except tomllib.TOMLDecodeError as error:
        mistakes.add(name, "Not valid TOML", found=f"{path}: {error}")
    except OSError as error:
        mistakes.add(name, "The file cannot be read", found=f"{path} ({error.strerror})")
