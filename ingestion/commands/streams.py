"""Gives a command streams that take every letter, whoever has started it."""

from __future__ import annotations

import io
import os
import sys


def open_streams() -> None:
    """Streams that were closed take everything and give nothing; a letter that the others' encoding
    lacks is written as its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
        elif isinstance(stream, io.TextIOWrapper) and mode == "w":
            stream.reconfigure(errors="backslashreplace")
