"""Names the local file of an object, for any key, and reads the key back from the path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

# Percent-encoding leaves none of these three, so each stands for one thing only.
_FOLDER = "+"  # ends a part of the key that a slash follows
_CONTINUED = "&"  # ends a piece of a name that is too long for one file name
_ETAG = "@"  # stands between the key and the ETag
_PIECE = 200


def local_path(root: Path, key: str, etag: str) -> Path:
    """Where the object ``key`` at ``etag`` lies under ``root``; no two pairs share a path.

    Every part of the key keeps its place and is percent-encoded as UTF-8. Folders and files end
    differently, so ``a.csv`` and ``a.csv/b.csv`` do not collide, and no part is ``.``, ``..`` or
    empty. A name over 200 characters goes on in a folder below. A key of 1024 bytes makes a path
    of at most 3200 characters below ``root``.
    """
    *folders, name = key.split("/")
    parts = [_encoded(folder) + _FOLDER for folder in folders]
    parts.append(_encoded(name) + _ETAG + _encoded(etag))
    return root.joinpath(*(piece for part in parts for piece in _pieces(part)))


def key_of(root: Path, path: Path) -> tuple[str, str] | None:
    """The key and ETag that ``local_path`` made ``path`` from, or None if it made no such path."""
    if not path.is_relative_to(root):
        return None
    text = ""
    for piece in path.relative_to(root).parts:
        if piece.endswith(_CONTINUED):
            text += piece.removesuffix(_CONTINUED)
        elif piece.endswith(_FOLDER):
            text += piece.removesuffix(_FOLDER) + "/"
        else:
            text += piece
    key, separator, etag = text.rpartition(_ETAG)
    try:
        found = unquote_to_bytes(key).decode(), unquote_to_bytes(etag).decode()
    except UnicodeDecodeError:
        return None
    return found if separator and local_path(root, *found) == path else None


def _encoded(text: str) -> str:
    return quote(text, safe="")


def _pieces(part: str) -> Iterator[str]:
    """The part in path components, each but the last marked as continued.

    The mark that ends a part stays with its last piece.
    """
    while len(part) > _PIECE:
        yield part[:_PIECE] + _CONTINUED
        part = part[_PIECE:]
    yield part
