"""Say how bytes that are not UTF-8 read in the encodings that tills and spreadsheets write.

Nearly all bytes are some text in each of them, so only a person can tell which text is meant.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from ingestion.reader.dialects import encoding_options, proposal
from ingestion.reader.headers import shown
from ingestion.reader.masking import without_personal

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile

ENCODINGS = {  # the most usual first
    "cp1252": "Windows, Western Europe",
    "cp1250": "Windows, Central Europe",
    "cp1251": "Windows, Cyrillic",
    "cp1253": "Windows, Greek",
    "cp1254": "Windows, Turkish",
    "cp1255": "Windows, Hebrew",
    "cp1256": "Windows, Arabic",
    "cp1257": "Windows, Baltic",
    "mac_roman": "Mac",
    "cp850": "DOS",
    "cp852": "DOS, Central Europe",
    "cp866": "DOS, Cyrillic",
    "cp874": "Windows, Thai",
    "cp932": "Windows, Japanese",
    "gb18030": "Chinese, simplified",
    "big5": "Chinese, traditional",
    "cp949": "Windows, Korean",
}
MOST_BYTES = 4096
NO_TEXT = ("Cc", "Cf", "Cn", "Co", "Sk", "Sm")
UNSPACED = ("CJK", "HANGUL", "THAI")
JAPANESE = ("HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA")


def readings(sample: bytes) -> dict[str, str]:
    """Return the encodings in which ``sample`` may be meant, each with the text that it is there,
    or that its beginning is.

    Left out are those in which no text, or nothing that anybody writes, comes out, and those that
    give the same text as one before.
    """
    texts: dict[str, str] = {}
    for encoding in ENCODINGS:
        decode = codecs.getincrementaldecoder(encoding)().decode
        try:
            text = decode(sample[:MOST_BYTES], len(sample) <= MOST_BYTES)
        except UnicodeDecodeError:
            continue
        if text not in texts.values() and all(map(_may_be_word, re.split(r"[\s,;|\t]+", text))):
            texts[encoding] = text
    return texts


def in_words(texts: Mapping[str, str]) -> str:
    """Return what ``readings`` has found, as a message says it to people who know the right one."""
    told = [
        f"'{without_personal(shown(_telling(text)))}' in {encoding} ({ENCODINGS[encoding]})"
        for encoding, text in texts.items()
    ]
    return ", ".join(told[:-1]) + " or " * (len(told) > 1) + told[-1]


def action_on_header(key: str, profile: FileProfile | None, record: bytes) -> str:
    """What to do about the header ``record``, which is not in the encoding of its profile."""
    if profile is not None and "encoding" in profile.model_fields_set:
        return f"Correct the encoding of the file profile {profile.name}."
    texts = readings(record)
    if not texts:
        return "Send the file as UTF-8, or give the sender a file profile with its encoding."
    options = encoding_options(next(iter(texts)), record, profile)
    return (
        f"It may be {in_words(texts)}. Send the file as UTF-8, or with the encoding in which the"
        f" header is right, {proposal(key, profile, options)}"
    )


def _telling(text: str) -> str:
    """The values of a line that are other texts in other encodings."""
    values = (value.strip() for value in re.split(r"[,;|\t]", text))
    return ", ".join(value for value in values if not value.isascii())


def _may_be_word(word: str) -> bool:
    """Whether the letters are of scripts that go together, and stand as letters do."""
    scripts = [_script(letter) for letter in word]
    if len({*scripts} - {None}) > 1:
        # these stand beside Latin words without a blank, but hardly as a letter alone
        runs = [(script, len([*run])) for script, run in groupby(scripts) if script]
        if any(script not in UNSPACED or n < 2 for script, n in runs if script != "LATIN"):
            return False
    for place, letter in enumerate(word):
        if letter.isascii() or letter == "\u2019":
            continue
        kind = unicodedata.category(letter)
        if kind in NO_TEXT or (kind == "So" and letter not in "®©™°"):
            return False
        before, after = word[place - 1 : place], word[place + 1 : place + 2]
        if kind[0] in "LM":
            if letter.isupper() and before.isalpha() and (before.islower() or after.islower()):
                return False
        elif (before.isalpha() and after.isalpha()) or (kind == "No" and before.isalpha()):
            return False
    return True


def _script(letter: str) -> str | None:
    """The script of a letter or of a mark on one; None where it may be any."""
    script = unicodedata.name(letter, "?").split()[0]
    if unicodedata.category(letter)[0] not in "LM" or script in ("COMBINING", "MODIFIER"):
        return None
    return "CJK" if script in JAPANESE else script
