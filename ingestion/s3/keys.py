"""Keys that fit S3, and keys that no other content has."""

from __future__ import annotations

import hashlib
import re

_LONGEST_KEY = 990
_LONGEST_ENDINGS = 14
_UNIQUE = 13
_ENDINGS = re.compile(r"(?<=[^/])(\.\w{1,10})(\.gz)?$", re.ASCII)


def unique_key(key: str, sha256: str) -> str:
    """The key with 12 digits of the content's SHA-256 before its endings: ``a~1f0c….csv.gz``."""
    stem, endings = _split_endings(key)
    return f"{stem}~{sha256[:12]}{endings}"


def fitting_key(key: str) -> str:
    """The key, or one cut short and made unique where S3's 1024 bytes leave no room for additions.

    A key grows when its object moves to a longer prefix or gets a companion.
    """
    if len(key.encode()) <= _LONGEST_KEY:
        return key
    stem, endings = _split_endings(key)
    room = _LONGEST_KEY - _LONGEST_ENDINGS - _UNIQUE
    short = stem.encode()[:room].decode(errors="ignore")
    return unique_key(short + endings, hashlib.sha256(key.encode()).hexdigest())


def _split_endings(key: str) -> tuple[str, str]:
    """Key and endings, such as ``in/a.b`` and ``.csv.gz``; a long ending is none."""
    found = _ENDINGS.search(key)
    return (key[: found.start()], found[0]) if found else (key, "")
