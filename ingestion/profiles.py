"""Describes the dialect of a sender whose sales files differ from the contract's own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ingestion.mistakes import Mistakes, check_fields

REGEX_PREFIX = "re:"
DATE_DIRECTIVES = frozenset("YymdbBHMSfpI%")

Formula = Literal["price*quantity", "total_cost/quantity"]


def _check_pattern(pattern: str) -> str:
    if pattern.startswith(REGEX_PREFIX):
        try:
            re.compile(pattern.removeprefix(REGEX_PREFIX))
        except re.error as error:
            raise ValueError(f"The regular expression is wrong: {error}") from error
    return pattern


def _check_sign(sign: str) -> str:
    if sign.isalnum() or sign in {"\r", "\n"}:
        raise ValueError("A letter, a digit or a line end cannot mark a column or a value")
    return sign


def _check_encoding(encoding: str) -> str:
    try:
        "".encode(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError("No such text encoding") from error
    return encoding.lower()


def _check_currency_sign(sign: str) -> str:
    if not sign.strip() or re.search(r"[\d+-]", sign):
        raise ValueError("A currency sign is not blank and holds no digit, plus or minus")
    return sign


def _check_date_format(date_format: str) -> str:
    directives = re.findall(r"%(.?)", date_format)
    unknown = sorted(set(directives) - DATE_DIRECTIVES)
    if unknown:
        raise ValueError(f"Unknown directive %{unknown[0]}")
    counts = Counter(directives)
    parts = {"year": "Yy", "month": "mbB", "day": "d"}
    for part, letters in parts.items():
        count = sum(counts[letter] for letter in letters)
        if count != 1:
            raise ValueError(f"The {part} is {'missing' if not count else 'given twice'}")
    return date_format


def _without_blanks(formula: object) -> object:
    return re.sub(r"\s+", "", formula) if isinstance(formula, str) else formula


Column = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Header = Annotated[str, Field(pattern=r"\S")]
CurrencySign = Annotated[str, AfterValidator(_check_currency_sign)]


class FileProfile(BaseModel):
    """How one sender writes its files; a field left out means what the contract says.

    Columns are the contract's column names; a header is matched like the contract's own, without
    regard to case and outer blanks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="letters, digits, '_', '.' and '-'",
    )
    pattern: Annotated[str, AfterValidator(_check_pattern)] = Field(
        min_length=1,
        description="a glob over the key below the inbox, such as north/*.csv, where * also"
        " crosses folders, or re: and a regular expression for the whole of it",
    )
    delimiter: Annotated[str, AfterValidator(_check_sign)] = Field(
        default=",", pattern=r"^[\x00-\x7f]\z", description="one ASCII character, such as ;"
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        default="utf-8", min_length=1, description="a Python encoding name, such as cp1252"
    )
    quote: Annotated[str, AfterValidator(_check_sign)] = Field(
        default='"',
        pattern=r"^[\x00-\x7f]?\z",
        description="one ASCII character, or empty where values are never quoted",
    )
    decimal_mark: Literal[".", ","] = Field(default=".", description="'.' or ','")
    thousands_mark: Literal["", ",", ".", " ", "'", "\u2019", "_", "\u00a0", "\u202f"] = Field(
        default="", description="',', '.', an apostrophe, a blank, '_', or empty for none"
    )
    currency_signs: tuple[CurrencySign, ...] = Field(
        default=(), description="texts that may stand before or after an amount, such as €"
    )
    date_format: Annotated[str, AfterValidator(_check_date_format)] = Field(
        default="%Y-%m-%d",
        description="year, month and day as strptime directives, such as %d/%m/%Y for 31/12/2024"
        " (a time of day may follow: %H:%M)",
    )
    aliases: dict[Header, Column] = Field(
        default={}, description="the sender's header = the contract's column"
    )
    constants: dict[Column, str] = Field(
        default={},
        description="a column = the text it has in every row, where {group} is a named group of"
        " the re: pattern",
    )
    derived: dict[Column, Annotated[Formula, BeforeValidator(_without_blanks)]] = Field(
        default={}, description="a column = price*quantity or total_cost/quantity"
    )
    skip_lines: int = Field(
        default=0, ge=0, le=1000, description="the lines above the header, from 0 to 1000"
    )


def profile_for(key: str, profiles: Sequence[FileProfile]) -> FileProfile | None:
    """Return the first profile whose pattern fits ``key`` (relative to the inbox), or None."""
    return next((profile for profile in profiles if _fits(profile.pattern, key)), None)


def constants_for(key: str, profile: FileProfile) -> dict[str, str]:
    """Return the profile's constants, column to text, with ``{group}`` filled in from ``key``.

    A group that took no part in the match stands for empty text.
    """
    match = _regex(profile.pattern).fullmatch(key)
    groups = match.groupdict(default="") if match else {}
    return {
        column: re.sub(r"\{(\w+)\}", lambda name: groups.get(name[1], name[0]), text)
        for column, text in profile.constants.items()
    }


def read_profiles(
    tables: object, written: Callable[[str], str], mistakes: Mistakes
) -> tuple[FileProfile, ...]:
    """Return the profiles of the ``[[profiles]]`` tables, and note every mistake in them.

    ``written`` gives a place its name as the user writes it. A profile with a mistake is left
    out of the result, which is not used once a mistake is noted.
    """
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        mistakes.add(
            written("profiles"), "Not a list of tables", expected="[[profiles]] above each profile"
        )
        return ()
    profiles = []
    for number, table in enumerate(tables, start=1):
        title = f"profile {table.get('name') or number}, "
        in_table = partial(_written_in, written, title)
        values = check_fields(FileProfile, table, in_table, mistakes)
        if {"name", "pattern"} <= values.keys():
            profile = FileProfile.model_validate(values)
            profiles.append(profile)
            for field, what, action in _contradictions(profile, given=values):
                mistakes.add(in_table(field), what, action=action)
    for name, count in Counter(profile.name for profile in profiles).items():
        if count > 1:
            mistakes.add(
                written(f"profile {name}"),
                f"{count} profiles have this name",
                action="Give each its own",
            )
    return tuple(profiles)


def _written_in(written: Callable[[str], str], title: str, field: str) -> str:
    return written(title + field)


def _contradictions(
    profile: FileProfile, given: Mapping[str, object]
) -> list[tuple[str, str, str]]:
    """Return where two right values of a profile do not go together: field, what, what to do."""
    found = []
    if profile.delimiter == profile.quote:
        found.append(("quote", "The same as the delimiter", "Give another, or empty for none"))
    if profile.thousands_mark == profile.decimal_mark:
        field = "thousands_mark" if "thousands_mark" in given else "decimal_mark"
        found.append((field, "Thousands and decimals have the same mark", "Change one of the two"))
    for header, count in Counter(h.strip().casefold() for h in profile.aliases).items():
        if count > 1:
            found.append(
                ("aliases", f"The header {header!r} stands {count} times", "Keep one of them")
            )
    groups = _regex(profile.pattern).groupindex
    for column, text in profile.constants.items():
        for group in re.findall(r"\{(\w+)\}", text):
            if group not in groups:
                found.append(
                    (
                        "constants",
                        f"{column} asks for {{{group}}}, which the pattern does not name",
                        f"Write (?P<{group}>…) in a pattern that begins with {REGEX_PREFIX}",
                    )
                )
    for column, formula in profile.derived.items():
        if column in profile.constants:
            found.append(("derived", f"{column} is a constant too", "Keep one of the two"))
        operands = re.split(r"[*/]", formula)
        if column in operands:
            found.append(("derived", f"{column} is derived from itself", "Use the other formula"))
        elif any(column in re.split(r"[*/]", profile.derived.get(name, "")) for name in operands):
            found.append(
                ("derived", f"{column} is derived from a column derived from it", "Keep one")
            )
    return found


def _fits(pattern: str, key: str) -> bool:
    if pattern.startswith(REGEX_PREFIX):
        return _regex(pattern).fullmatch(key) is not None
    return fnmatchcase(key, pattern)


def _regex(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern; a glob gives one that names no groups and fits no key."""
    is_regex = pattern.startswith(REGEX_PREFIX)
    return re.compile(pattern.removeprefix(REGEX_PREFIX) if is_regex else r"(?!)")
