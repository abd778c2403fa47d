"""Show a bad row without the personal values in it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

MASK = "***"
SHOWN_CHARACTERS = 300
LONGEST_PERSONAL = 320  # an address of mail
PERSONAL_HEADER = re.compile(
    r"name|mail|phone|mobile|address|street|city|pin_?code|post_?code|zip|birth|dob|gender"
    r"|card|iban|account|passport|aadhaar|ssn|contact|comment|note|remark",
    re.IGNORECASE,
)
PERSONAL_VALUE = re.compile(r"[^\s,;|\t\"']+@[^\s,;|\t\"']+|\+?\d(?:[ ().-]?\d){8,}")


def personal_positions(
    headers: Sequence[str], contract_positions: Collection[int], personal: Collection[int]
) -> frozenset[int]:
    """Return the positions of values that may be personal.

    These are the ``personal`` columns of the contract, and every extra column whose header sounds
    like a person's data.
    """
    return frozenset(personal) | {
        place
        for place, header in enumerate(headers)
        if place not in contract_positions and PERSONAL_HEADER.search(header)
    }


def without_personal(text: str) -> str:
    """Return ``text``, which is short, with what looks like a mail address or a phone number as
    ``***``. The time it takes grows with the square of a word's length."""
    return PERSONAL_VALUE.sub(MASK, text)


def masked(values: Sequence[str], width: int, personal: Collection[int], delimiter: str) -> str:
    """Return the row's text with personal values as ``***``, cut where it grows long.

    ``width`` is the number of values that the header has. With more or fewer, a value may have
    shifted by the difference either way, so every place that a personal one can be in is masked.
    """
    shift = len(values) - width
    reach = range(min(shift, 0), max(shift, 0) + 1)
    hidden = {place + step for place in personal for step in reach}
    text = delimiter.join(
        MASK if place in hidden and value.strip() else value for place, value in enumerate(values)
    )
    text = without_personal(text[: SHOWN_CHARACTERS + LONGEST_PERSONAL])
    return text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 1] + "…"
