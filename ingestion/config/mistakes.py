"""Collects every mistake in the settings, so that a user mends them in one go."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from pydantic import BaseModel, SecretStr
from pydantic_core import ErrorDetails

from ingestion.errors import UsageError


@dataclass(frozen=True)
class Mistakes:
    """The mistakes found so far, each under the setting's name as the user writes it."""

    found: list[tuple[str, UsageError]] = field(default_factory=list)

    def add(
        self,
        name: str,
        what: str,
        *,
        expected: str | None = None,
        found: str | None = None,
        action: str | None = None,
    ) -> None:
        """Note one mistake; ``found`` must not be a secret."""
        self.found.append((name, UsageError(what, expected=expected, found=found, action=action)))

    @contextmanager
    def under(self, name: str) -> Iterator[None]:
        """Note a UsageError raised inside the block under ``name``, and go on after the block."""
        try:
            yield
        except UsageError as error:
            self.found.append((name, error))

    def add_unknown(self, name: str, key: str, known: Iterable[str]) -> None:
        """Note a key that no setting has, and the known one that was probably meant."""
        by_core = {_core(one): one for one in known}
        near = difflib.get_close_matches(_core(key), sorted(by_core), n=1, cutoff=0.7)
        action = f"Perhaps you meant {by_core[near[0]]}" if near else "Remove it"
        self.add(name, "There is no such setting", action=action)

    def add_invalid(
        self, name: str, model: type[BaseModel], field: str, detail: ErrorDetails
    ) -> None:
        """Note one error of pydantic's in a field of ``model``, the first of each ``name``.

        A UsageError is told as it stands. Another error is completed by the field's description,
        as what is expected, and the value found, which is never shown where it is a secret.
        """
        if any(name == known for known, _ in self.found):
            return
        about = model.model_fields.get(field)
        cause = detail.get("ctx", {}).get("error")
        if about is None:
            self.add_unknown(name, field, model.model_fields)
        elif isinstance(cause, UsageError):
            self.found.append((name, cause))
        else:
            is_secret = SecretStr.__name__ in str(about.annotation)
            self.add(
                name,
                str(cause) if isinstance(cause, ValueError) else "Wrong value",
                expected=about.description,
                found=None if is_secret else _shown(detail),
            )

    def raise_if_any(self) -> None:
        """Raise one UsageError that lists all mistakes, a line each."""
        if self.found:
            count = "1 mistake" if len(self.found) == 1 else f"{len(self.found)} mistakes"
            lines = [f"- {name}: {error}" for name, error in self.found]
            raise UsageError("\n".join([f"The settings have {count}:", *lines]))


def _core(name: str) -> str:
    return name.lower().removeprefix("retail_")


def _shown(detail: ErrorDetails) -> str:
    if detail["type"] == "missing":
        return "nothing"
    text = repr(detail["input"])
    if "://" not in text and "@" not in text:
        return text
    # a user and a password stand before an @, whether or not :// was forgotten
    return re.sub(r"(?<=://).*@|(?<=^['\"])(?!.*://).*@|(?<=\?).*", "***", text)
