"""Describes the dialect of a sender whose sales files differ from the contract's own."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

from ingestion.errors import UsageError

REGEX_PREFIX = "re:"
DATE_DIRECTIVES = frozenset("YymdbBaAHMSfpIz%")

ThousandsMark = Literal["", ",", ".", " ", "'", "\u2019", "_", "\u00a0", "\u202f"]
Formula = Literal["price*quantity", "total_cost/quantity"]
Negative = Literal["(5)", "5-", "\u22125"]  # the last begins with the minus sign of Unicode


def _check_pattern(pattern: str) -> str:
    if pattern.startswith(REGEX_PREFIX):
        try:
            re.compile(pattern.removeprefix(REGEX_PREFIX))
        except re.error as error:
            raise ValueError(f"The regular expression is invalid: {error}") from error
    return pattern


def _check_sign(sign: str) -> str:
    if sign.isalnum() or sign in {"\r", "\n"}:
        raise ValueError("A delimiter or quote must not be a letter, a digit or a line break")
    return sign


def _check_encoding(encoding: str) -> str:
    try:
        bytes(range(256)).decode(encoding, "replace")  # some read whole names or words only
        pieces = ("a".encode(encoding) * 2).decode(encoding)  # as a file is read
        if pieces.replace("\ufeff", "") != "aa":
            raise LookupError(encoding)
    except (LookupError, ValueError) as error:
        raise ValueError("Unknown text encoding") from error
    return encoding.lower()


def _check_currency_sign(sign: str) -> str:
    if not sign.strip() or re.search(r"[\d+()-]", sign):
        raise ValueError(
            "A currency sign must not be blank or contain a digit, plus, minus or bracket"
        )
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


def _differs_from(field: str) -> AfterValidator:
    def check(value: str, info: ValidationInfo) -> str:
        if value == info.data.get(field):
            what = f"The same as the {field.replace('_', ' ')}"
            raise UsageError(what, action="Give a different one, or leave it empty for none")
        return value

    return AfterValidator(check)


def _check_aliases(aliases: dict[str, str]) -> dict[str, str]:
    counts = Counter(header.strip().casefold() for header in aliases)
    repeated = [repr(header) for header, count in counts.items() if count > 1]
    if repeated:
        raise UsageError(f"More than once here: {', '.join(repeated)}", action="Keep one of each")
    return aliases


def _check_constants(constants: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    groups = _regex(info.data.get("pattern", "")).groupindex
    wrong = [
        f"{column} asks for {{{group}}}"
        for column, text in constants.items()
        for group in re.findall(r"\{(\w+)\}", text)
        if group not in groups
    ]
    if wrong and "pattern" in info.data:
        raise UsageError(
            f"{', '.join(wrong)}, which the pattern does not name",
            action=f"Write (?P<name>…) in a pattern that begins with {REGEX_PREFIX}",
        )
    return constants


def _check_derived(derived: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    wrong = [
        f"{column} is derived from itself"
        for column, formula in derived.items()
        if column in re.split(r"[*/]", formula)
    ]
    wrong += [
        f"{column} is also a constant"
        for column in derived
        if column in info.data.get("constants", {})
    ]
    if {"price", "total_cost"} <= derived.keys():
        wrong.append("price and total_cost are derived from each other")
    if wrong:
        raise UsageError("; ".join(wrong), action="Remove one of the rules")
    return derived


Column = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Header = Annotated[str, Field(pattern=r"\S")]
PlainFormula = Annotated[Formula, BeforeValidator(_without_blanks)]
CurrencySign = Annotated[str, AfterValidator(_check_currency_sign)]


class FileProfile(BaseModel):
    """How one sender writes its files; a field left out means what the contract says.

    Columns are the contract's column names; a header is matched like the contract's own, without
    regard to case and outer blanks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="letters, digits, '_', '.' and '-'",
    )
    pattern: Annotated[str, AfterValidator(_check_pattern)] = Field(
        min_length=1,
        description="a glob for the key below the inbox, such as north/*.csv, where * also"
        " crosses folders, or re: and a regular expression for the whole key",
    )
    delimiter: Annotated[str, AfterValidator(_check_sign)] = Field(
        default=",", pattern=r"^[\x00-\x7f]\z", description="one ASCII character, such as ;"
    )
    encoding: Annotated[str, AfterValidator(_check_encoding)] = Field(
        default="utf-8", min_length=1, description="a Python encoding name, such as cp1252"
    )
    quote: Annotated[str, AfterValidator(_check_sign), _differs_from("delimiter")] = Field(
        default='"',
        pattern=r"^[\x00-\x7f]?\z",
        description="one ASCII character, or empty where values are never quoted",
    )
    decimal_mark: Literal[".", ","] = Field(default=".", description="'.' or ','")
    thousands_mark: Annotated[ThousandsMark, _differs_from("decimal_mark")] = Field(
        default="", description="',', '.', an apostrophe, a blank, '_', or empty for none"
    )
    currency_signs: tuple[CurrencySign, ...] = Field(
        default=(), description="texts that may stand before or after an amount, such as €"
    )
    negatives: tuple[Negative, ...] = Field(
        default=(),
        description="ways to write -5 besides -5 itself: '(5)', '5-' or '\u22125' with U+2212",
    )
    formula_texts: bool = Field(
        default=False,
        description='true where values may be written as formulas, such as ="00123"; else false',
    )
    compose_letters: bool = Field(
        default=False,
        description="true to join letters that the file has apart from their accents, as other"
        " systems write them (Unicode NFC); else false",
    )
    date_format: Annotated[str, AfterValidator(_check_date_format)] = Field(
        default="%Y-%m-%d",
        description="year, month and day as strptime directives, such as %d/%m/%Y for 31/12/2024"
        " (a time of day may follow: %H:%M)",
    )
    aliases: Annotated[dict[Header, Column], AfterValidator(_check_aliases)] = Field(
        default={}, description="the sender's header = the contract's column"
    )
    constants: Annotated[dict[Column, str], AfterValidator(_check_constants)] = Field(
        default={},
        description="a column = the text it has in every row, where {group} is a named group of"
        " the re: pattern",
    )
    derived: Annotated[dict[Column, PlainFormula], AfterValidator(_check_derived)] = Field(
        default={}, description="a column = price*quantity or total_cost/quantity"
    )
    skip_lines: int = Field(
        default=0, ge=0, le=1000, description="the lines above the header, from 0 to 1000"
    )


def profile_for(key: str, profiles: Sequence[FileProfile]) -> FileProfile | None:
    """Return the first profile whose pattern fits ``key`` (relative to the inbox), or None.

    A letter and its accent are the same joined or apart, as a Mac writes them in names of files.
    """
    return next((profile for profile in profiles if _fits(profile.pattern, key)), None)


def constants_for(key: str, profile: FileProfile) -> dict[str, str]:
    """Return the profile's constants, column to text, with ``{group}`` filled in from ``key``.

    A group that took no part in the match stands for empty text.
    """
    match = _match(profile.pattern, key)
    groups = match.groupdict(default="") if match else {}
    return {
        column: re.sub(r"\{(\w+)\}", lambda name: groups.get(name[1], name[0]), text)
        for column, text in profile.constants.items()
    }


def _fits(pattern: str, key: str) -> bool:
    if pattern.startswith(REGEX_PREFIX):
        return _match(pattern, key) is not None
    return fnmatchcase(key, pattern) or fnmatchcase(composed(key), composed(pattern))


def _match(pattern: str, key: str) -> re.Match[str] | None:
    found = _regex(pattern).fullmatch(key)
    return found or _regex(composed(pattern)).fullmatch(composed(key))


def composed(text: str) -> str:
    """The text with each letter and its accents joined (Unicode NFC)."""
    return unicodedata.normalize("NFC", text)


def _regex(pattern: str) -> re.Pattern[str]:
    """Return the compiled pattern; a glob gives one that names no groups and fits no key."""
    is_regex = pattern.startswith(REGEX_PREFIX)
    return re.compile(pattern.removeprefix(REGEX_PREFIX) if is_regex else r"(?!)")


# how a file is read that no profile fits
CONTRACT_FORM = FileProfile(name="contract", pattern="*")
