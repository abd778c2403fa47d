"""Say where the texts of a file plainly are not what its sender meant."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from ingestion.reader.csv_quotes import plain_value, raw_values
from ingestion.reader.encodings import in_words, readings
from ingestion.reader.hints import FEWEST_VALUES, NOTABLE, Hint
from ingestion.reader.profile_values import BLANKS, FORMULA_TEXT

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.reader.bronze_rows import BronzeRows, RowLayout
    from ingestion.reader.contract import Contract
    from ingestion.reader.csv_blocks import RecordBlock

FORMULA = re.compile(FORMULA_TEXT)
SHOWN_WRONG_TEXTS = 3
MOST_WRONG_ROWS = 100
LONGEST_WRONG_TEXT = 200


def note_wrong_texts(
    texts: list[bytes],
    block: RecordBlock,
    rows: BronzeRows,
    layout: RowLayout,
    contract: Contract,
) -> None:
    """Add a few texts of the block that show in which encoding they are right, none of them
    personal, until there are enough."""
    if len(texts) >= SHOWN_WRONG_TEXTS:
        return
    places = [
        layout.match.positions[column.name]
        for column in contract.columns
        if column.data_type == "string" and not column.personal
        if column.name in layout.match.positions
    ]
    wrong = (index for index, fault in rows.faults.items() if fault.code == "encoding")
    for index in islice(wrong, MOST_WRONG_ROWS):
        values = raw_values(block.text(index), layout.dialect)
        for place in places:
            text = plain_value(values[place], layout.dialect) if place < len(values) else b""
            if len(text) > LONGEST_WRONG_TEXT or text.isascii():  # cut, it may end within a letter
                continue
            if text not in texts:
                texts.append(text)
        if len(texts) >= SHOWN_WRONG_TEXTS:
            return


def encoding_hint(wrong: int, rows: int, sample: bytes) -> Hint:
    """Return the hint for a file of which ``wrong`` rows are not UTF-8, as in ``sample``."""
    seen = f"{wrong:,} of {rows:,} rows have bytes that are not UTF-8."
    texts = readings(sample) if sample else {}
    if not texts:
        return Hint(
            f"{seen} The most likely encoding of such files is cp1252 (Windows, Western Europe);"
            " ask the sender, and if so paste this file profile:",
            {"encoding": "cp1252"},
        )
    action = "If that is right, paste this file profile:"
    if len(texts) > 1:
        action = "Paste this file profile with the encoding in which they are right:"
    return Hint(f"{seen} They may be {in_words(texts)}. {action}", {"encoding": next(iter(texts))})


def without_formula(text: str) -> str:
    """Return the text, without its blanks and the formula in which it may stand."""
    match = FORMULA.fullmatch(text)
    return match[1].strip(BLANKS) if match else text


def quote_hints(sample: pa.Table, contract: Contract, quote: str) -> list[Hint]:
    """Return the hint for a file with blanks before its quotes, which are part of its values then.

    Those may be persons' names, here and below, so none is shown.
    """
    shape = re.compile(rf"\s+{re.escape(quote)}.*{re.escape(quote)}\s*", re.DOTALL)
    for column in contract.columns:
        texts = [text for text in sample[column.name].to_pylist() if text]
        count = sum(shape.fullmatch(text) is not None for text in texts)
        if quote and len(texts) >= FEWEST_VALUES and count >= NOTABLE * len(texts):
            return [
                Hint(
                    f"{column.name}: {count} of the first {len(texts)} values begin with a blank"
                    " before their quotes, which therefore count as part of the value. Have the"
                    " file exported without blanks between delimiters and quotes.",
                    {},
                )
            ]
    return []


def formula_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
    """Return the hint for the first column with formulas of texts."""
    for name, texts in texts_of.items():
        count = sum(FORMULA.fullmatch(text) is not None for text in texts)
        if len(texts) >= FEWEST_VALUES and count >= NOTABLE * len(texts):
            return [
                Hint(
                    f'{name}: {count} of the first {len(texts)} values are a formula (="…"), as'
                    " exports for spreadsheets write numbers that begin with zeros. Certain: such a"
                    " formula is just its text. Paste this file profile:",
                    {"formula_texts": True},
                )
            ]
    return []


def lost_letter_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
    """Return the hint for the first column with letters that were lost before."""
    for name, texts in texts_of.items():
        for kind, is_lost in (
            ("have the sign for a letter that was lost (U+FFFD)", lambda text: "\ufffd" in text),
            ("are UTF-8 that was read as cp1252, such as Ã¤ for ä", _is_read_wrongly),
        ):
            count = sum(map(is_lost, texts))
            if count:
                return [
                    Hint(
                        f"{name}: {count} of the first {len(texts)} values {kind} before the file"
                        " was sent, and so are other texts than they were. They count as they"
                        " stand; no file profile brings the letters back. Have the file exported"
                        " again, in UTF-8.",
                        {},
                    )
                ]
    return []


def _is_read_wrongly(text: str) -> bool:
    """Whether the text is UTF-8 in cp1252, and that not by chance, as the last two letters of a
    name such as CAFÉ® are."""
    try:
        right = text.encode("cp1252").decode("utf-8")
    except UnicodeError:
        return False
    found = [letter for letter in right if not letter.isascii()]
    return len(found) >= 3 or any(letter < "\u0180" or letter >= "\u0800" for letter in found)


def letter_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
    """Return the hint for the first column with letters apart from their accents."""
    for name, texts in texts_of.items():
        # composed, a text may be another but no shorter, as some of Devanagari: none stands apart
        count = sum(len(unicodedata.normalize("NFC", text)) < len(text) for text in texts)
        if count:
            return [
                Hint(
                    f"{name}: {count} of the first {len(texts)} values have letters apart from"
                    " their accents (Unicode NFD), and so are other texts than they look like. If"
                    " the same names are in one piece elsewhere, paste this file profile:",
                    {"compose_letters": True},
                )
            ]
    return []
