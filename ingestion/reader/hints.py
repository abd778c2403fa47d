"""What a hint is, and how much of a file has to show for one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FEWEST_VALUES = 3
NEARLY_EVERY = 0.9
NOTABLE = 0.1


@dataclass(frozen=True)
class Hint:
    """What shows in a file, in words that end where a profile is to follow, and what of a profile
    would read it: nothing, where none would."""

    words: str
    options: Mapping[str, object]
