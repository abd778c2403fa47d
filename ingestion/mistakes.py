"""Collects every mistake in the settings, so that a user mends them in one go."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import get_args

from pydantic import BaseModel, SecretStr, ValidationError

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

    def raise_if_any(self) -> None:
        """Raise one UsageError that lists all mistakes, a line each."""
        if self.found:
            count = "1 mistake" if len(self.found) == 1 else f"{len(self.found)} mistakes"
            lines = [f"- {name}: {error}" for name, error in self.found]
            raise UsageError("\n".join([f"The settings have {count}:", *lines]))


def nearest(name: str, known: Collection[str]) -> str | None:
    """Return the known name that ``name`` was probably meant to be, if one is near."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.7)
    return matches[0] if matches else None


def check_fields(
    model: type[BaseModel],
    values: Mapping[str, object],
    written: Callable[[str], str],
    mistakes: Mistakes,
) -> dict[str, object]:
    """Return the values that ``model`` takes, and note the others in ``mistakes``.

    ``written`` gives a field's name as the user writes it. What is expected of a field is the
    description in its model; the value of a secret field is never shown.
    """
    try:
        model.model_validate(dict(values))
    except ValidationError as error:
        wrong = set()
        for detail in error.errors(include_url=False):
            name = str(detail["loc"][0])
            if name not in wrong:
                wrong.add(name)
                cause = detail.get("ctx", {}).get("error")
                _note(model, name, values, cause, written(name), mistakes)
        return {name: value for name, value in values.items() if name not in wrong}
    return dict(values)


def _note(
    model: type[BaseModel],
    name: str,
    values: Mapping[str, object],
    cause: object,
    written: str,
    mistakes: Mistakes,
) -> None:
    known = model.model_fields.get(name)
    if known is None:
        near = nearest(name, model.model_fields)
        mistakes.add(
            written,
            "There is no such setting",
            action=f"Perhaps {near} is meant" if near else "Remove it",
        )
        return
    # What the variable holds is shown back, save for secrets, alone or inside an address.
    is_secret = SecretStr in (known.annotation, *get_args(known.annotation))
    mistakes.add(
        written,
        str(cause) if isinstance(cause, ValueError) else "Wrong value",
        expected=known.description,
        found=None if is_secret else _shown(values, name),
    )


def _shown(values: Mapping[str, object], name: str) -> str:
    if name not in values:
        return "nothing"
    text = repr(values[name])
    return re.sub(r"(?<=://).*@|(?<=\?).*", "***", text) if "://" in text else text
