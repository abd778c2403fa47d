"""Match a file's header with the columns of the contract."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingestion.reader.masking import without_personal
from ingestion.reader.verdicts import Reason

if TYPE_CHECKING:
    from ingestion.reader.contract import Contract

NEAREST_SIMILARITY = 0.6
SHOWN_CHARACTERS = 60
MOST_COLUMNS = 10_000  # far more than any till writes; a line of numbers is no header
SHOWN_HEADERS = 40
_SHOWN_DUPLICATES = 10
IGNORED_IN_NAMES = re.compile(r"[\s_\-\u2010-\u2015\u200b\ufeff]+")


@dataclass(frozen=True)
class HeaderMatch:
    """Where each column of the contract stands in a row (0 = first value), and what else is there.

    ``extras`` maps a position to the name that its values carry in ``additional_column``, ordered
    by name; ``unnamed`` are the positions among them whose header is empty. ``names`` are all that
    a column may be called here, normalised. ``chosen`` is the header, normalised, of each column
    that a profile has chosen among several. With ``reasons`` the file cannot be read by this
    contract.
    """

    positions: Mapping[str, int]
    extras: Mapping[int, str]
    unnamed: frozenset[int]
    names: frozenset[str]
    reasons: tuple[Reason, ...]
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def fewest_values(self) -> int:
        """How many values a row has at least: those up to the last column with a name."""
        named = {*self.positions.values(), *self.extras} - self.unnamed
        return 1 + max(named, default=0)


def normalised(name: str) -> str:
    """Return what two spellings of one name share, without case, space, hyphen and underscore.

    >>> normalised(" Customer-ID ") == normalised("customer_id")
    True
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    return IGNORED_IN_NAMES.sub("", folded)


def match_header(
    headers: Sequence[str],
    contract: Contract,
    aliases: Mapping[str, str] | None = None,
    supplied: Collection[str] = (),
) -> HeaderMatch:
    """Match ``headers``, the texts of the header line, with the contract's columns.

    A column is found by its name, then by one of ``aliases`` (a sender's header to a column), who
    knows best what is meant, then by an alias of the contract. Of several headers for one column,
    the one that ``aliases`` names is taken. ``supplied`` are columns that a profile fills in by
    itself; it is no reason that they are missing.
    """
    if len(headers) > MOST_COLUMNS:
        return HeaderMatch({}, {}, frozenset(), frozenset(), (_too_many(headers),))
    known: dict[str, str] = {}
    for column in contract.columns:
        known |= {normalised(alias): column.name for alias in column.aliases}
    known |= {normalised(header): column for header, column in (aliases or {}).items()}
    known |= {normalised(column.name): column.name for column in contract.columns}

    claims: dict[str, list[int]] = {}
    others: list[int] = []
    for position, header in enumerate(headers):
        name = known.get(normalised(header)) if header.strip() else None
        if name is None:
            others.append(position)
        else:
            claims.setdefault(name, []).append(position)
    chosen: dict[str, str] = {}
    told = {(normalised(header), column) for header, column in (aliases or {}).items()}
    for name, found in claims.items():
        right = [place for place in found if (normalised(headers[place]), name) in told]
        if len(found) > 1 and len(right) == 1:
            others += [place for place in found if place not in right]
            claims[name] = right
            chosen[name] = normalised(headers[right[0]])
    others.sort()
    reasons = [_duplicate(name, found, headers) for name, found in claims.items() if len(found) > 1]
    missing = [
        column.name
        for column in contract.columns
        if column.required and column.name not in claims and column.name not in supplied
    ]
    if missing:
        unmatched = [headers[position].strip() for position in others if headers[position].strip()]
        reasons.append(_missing(missing, unmatched, headers, contract))
    extras = _extra_names(headers, others)
    return HeaderMatch(
        positions={name: found[0] for name, found in claims.items()},
        extras=dict(sorted(extras.items(), key=lambda item: item[1])),
        unnamed=frozenset(position for position in others if not headers[position].strip()),
        names=frozenset(known) | {normalised(header) for header in headers},
        reasons=tuple(reasons),
        chosen=chosen,
    )


def _extra_names(headers: Sequence[str], positions: Sequence[int]) -> dict[int, str]:
    """Name the extra columns by their own text; a second one of a name gets a number after it."""
    named = [headers[position].strip() for position in positions]
    taken = Counter(name for name in named if name)
    names: dict[int, str] = {}
    given_names: set[str] = set()
    numbers: Counter[str] = Counter()  # the last number after each name
    for position, name in zip(positions, named, strict=True):
        wanted = name or f"column_{position + 1}"
        given, number = wanted, max(numbers[wanted], 1)
        while given in given_names or ((number > 1 or not name) and given in taken):
            number += 1
            given = f"{wanted}_{number}"
        numbers[wanted] = number
        names[position] = given
        given_names.add(given)
    return names


def _too_many(headers: Sequence[str]) -> Reason:
    found = ", ".join(without_personal(shown(header)) for header in headers[:3])
    return Reason(
        "too_many_columns",
        f"too many columns: the first line has {len(headers)} values. Expected: a header of at"
        f" most {MOST_COLUMNS} columns. Found: {found}, …. Send a CSV"
        " file with a header and one sale per line.",
    )


def _duplicate(name: str, positions: Sequence[int], headers: Sequence[str]) -> Reason:
    found = ", ".join(
        f"'{shown(headers[place])}' (column {place + 1})" for place in positions[:_SHOWN_DUPLICATES]
    )
    if len(positions) > _SHOWN_DUPLICATES:
        found += f" and {len(positions) - _SHOWN_DUPLICATES} more"
    action = "Send the file with one of them, or rename the other"
    spellings = [normalised(headers[place]) for place in positions]
    if len(set(spellings)) == len(spellings):
        example = json.dumps(headers[positions[-1]].strip(), ensure_ascii=False)
        action += (
            ", or have a file profile say which one counts, as in"
            f' aliases = {{ {example} = "{name}" }}'
        )
    return Reason(
        "duplicate_column",
        f"duplicate column: {len(positions)} headers map to {name}. Expected: one."
        f" Found: {found}. {action}.",
    )


def _missing(
    missing: Sequence[str], unmatched: Sequence[str], headers: Sequence[str], contract: Contract
) -> Reason:
    plural = "s" if len(missing) > 1 else ""
    known = [column.name for column in contract.columns]
    found = ", ".join(without_personal(shown(header.strip())) for header in headers[:SHOWN_HEADERS])
    parts = [
        f"missing column{plural}: {', '.join(missing)}. Expected: {', '.join(known)}."
        f" Found: {found or 'no header'}."
    ]
    suggestions = []
    nearest_headers = {name: _nearest(name, unmatched) for name in missing}
    for name, nearest in nearest_headers.items():
        if nearest is None or '"' in nearest or nearest[0] == nearest[-1] == "'":
            continue
        if list(nearest_headers.values()).count(nearest) == 1:
            column = next(column for column in contract.columns if column.name == name)
            names = json.dumps([*column.aliases, nearest], ensure_ascii=False)
            suggestions.append(
                f"The nearest header to {name} is '{shown(nearest)}'; if it means the same, paste"
                f" into config.meta of {name} in {contract.path.name}:  aliases: {names}"
            )
    parts.extend(
        suggestions or ["Send the file with these columns, or give the sender a file profile."]
    )
    return Reason("missing_column", " ".join(parts))


def _nearest(name: str, headers: Sequence[str]) -> str | None:
    """Return the header most like ``name``, by letters or by shared words, if any is like it."""
    words = set(re.findall(r"[a-z0-9]+", name))

    def similarity(header: str) -> float:
        letters = difflib.SequenceMatcher(None, normalised(name), normalised(header)).ratio()
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", header)
        shared = words & set(re.findall(r"[a-z0-9]+", spaced.casefold()))
        return max(letters, NEAREST_SIMILARITY if shared - {"id"} else 0.0)

    best = max(headers, key=similarity, default=None)
    return best if best is not None and similarity(best) >= NEAREST_SIMILARITY else None


def shown(text: str) -> str:
    """Return ``text`` as a message may show it: one line, no control characters, not too long."""
    plain = "".join(letter if letter.isprintable() else "�" for letter in text)
    return plain if len(plain) <= SHOWN_CHARACTERS else plain[: SHOWN_CHARACTERS - 1] + "…"
