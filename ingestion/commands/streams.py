"""Gives a command streams that take every letter, whoever has started it, and writes to them."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import Any


def open_streams() -> None:
    """Streams that were closed take everything and give nothing; a letter that the others' encoding
    lacks is written as its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")


def write_json(content: Any) -> None:
    """Prints the one object that ``--json`` promises, in UTF-8 or else in ASCII."""
    is_utf8 = codecs.lookup(sys.stdout.encoding or "utf-8").name == "utf-8"
    sys.stdout.write(json.dumps(content, indent=1, ensure_ascii=not is_utf8) + "\n")
