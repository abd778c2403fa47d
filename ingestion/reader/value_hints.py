"""Say where the values of a file plainly are of another dialect, and which profile would read them.

A hint sets nothing aside and changes nothing: the rows are judged by the contract as they stand.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import islice, product
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ingestion.reader.dialects import changed_profile_text, profile_text
from ingestion.reader.encodings import in_words, readings
from ingestion.reader.headers import shown
from ingestion.reader.profile_values import (
    FORMULA_TEXT,
    MINUS,
    PLAIN_DATE,
    PLAIN_NUMBER,
    THREE_DECIMALS,
    WHOLE,
    date_rewrite,
    is_id,
    number_rewrite,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract, ContractColumn

CURRENCY = re.compile(
    r"AED|ARS|AUD|BDT|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|"
    r"IDR|ILS|INR|JPY|KES|KRW|KWD|LKR|MXN|MYR|NGN|NOK|NPR|NZD|PEN|PHP|PKR|PLN|"
    r"QAR|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|Rs|Re|kr|Kr|kn|zł|"
    r"Kč|Ft|lei|TL|Rp|RM|Fr|SFr|Ksh|TND|MAD|DZD|R|S/|Bs|Dhs?|\u0440\u0443\u0431|\u0440|"  # roubles
    r"грн|лв|円|元|원",
    re.IGNORECASE,
)
SIGN = re.compile(r"^[^\d\s.,'+-]{1,4}\.?\s*(?=[\d+-])|(?<=\d)\s*[^\d\s.,'+-]{1,4}\.?$")
NEGATIVES = ("(5)", "5-", f"{MINUS}5")
OF_NEGATIVES = str.maketrans("", "", f"()-{MINUS}")
SAMPLE_ROWS = 500
FEWEST_VALUES = 3
NEARLY_EVERY = 0.9
NOTABLE = 0.1
DAYS = (
    *("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%m{0}%d"),
    *("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d"),
)
HALF_DAYS = (" %I:%M %p", " %I:%M:%S %p", " %I:%M%p", " %I:%M:%S%p")
ISO_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
UTC_MARKS = ("Z", " UTC")
OFFSETS = ("%z", " %z")
DATE_FORMATS = (
    *(
        days.format(sign) + time
        for days, sign, time in product(DAYS, "/-.", ("", " %H:%M", " %H:%M:%S", *HALF_DAYS))
    ),
    *("%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S", "%b %d %Y %I:%M%p", "%d-%b-%Y %H:%M:%S"),
    *("%a, %d %b %Y", "%a, %d %b %Y %H:%M:%S %z", "%A, %B %d, %Y", "%A, %d %B %Y"),
    *("%d.%m.%Y.", "%d. %m. %Y", "%d. %m. %Y.", "%Y.%m.%d.", "%Y. %m. %d.", "%Y年%m月%d日"),
    *(
        f"%Y-%m-%d{sign}{time}{zone}"
        for sign, time, zone in product("T ", ISO_TIMES, ("", *UTC_MARKS, *OFFSETS))
        if sign == "T" or zone or time.endswith("%f")  # the others stand above
    ),
)
DAY_NUMBERS = (  # what they look like, how many digits count, from when, what, and what to do
    (
        re.compile(r"[34][0-9]{4}(?:[.,][0-9]+)?"),  # of the years 1982 to 2036, perhaps a time
        *(5, date(1899, 12, 30), timedelta(days=1), "a spreadsheet's serial dates"),
        "Format the column as a date, yyyy-mm-dd, and export the file again.",
    ),
    (
        re.compile(r"1[0-9]{9}(?:[0-9]{3})?"),  # of the years 2001 to 2033, perhaps thousandths
        *(10, date(1970, 1, 1), timedelta(seconds=1), "Unix times in UTC"),
        "Ask the sender for the store's dates, as yyyy-mm-dd.",
    ),
)
FORMULA = re.compile(FORMULA_TEXT)
PLAIN_WHOLE = re.compile(r"-?[0-9]+")
IN_UTC = re.compile(r".*(?:Z|UTC|[+-]00(?::?00)?)")
NUMBER_FORMS = (
    (".", ","),
    (",", ""),
    (",", "."),
    (",", " "),
    (",", "\u00a0"),
    (",", "\u202f"),
    (".", " "),
    (".", "\u00a0"),
    (".", "\u202f"),
    (".", "'"),
    (".", "\u2019"),
)


@dataclass(frozen=True)
class Hint:
    """What shows in a file, in words that end where a profile is to follow, and what of a profile
    would read it: nothing, where none would."""

    words: str
    options: Mapping[str, object]


def hint_texts(hints: Sequence[Hint], key: str, profile: FileProfile | None) -> tuple[str, ...]:
    """Return the hints with the profile to paste, which is one for all that was seen: of two for
    the same files only the first would be taken. So it holds what their ``profile`` says, too."""
    options = {name: value for hint in hints for name, value in hint.options.items()}
    proposed = changed_profile_text(profile, options) if profile else profile_text(key, options)
    return tuple(f"{hint.words}\n{proposed}" if hint.options else hint.words for hint in hints)


def value_hints(rows: pa.Table, contract: Contract, profile: FileProfile) -> list[Hint]:
    """Return what the first rows show about the file's formulas, letters, dates and numbers.

    ``rows`` are rows of raw.sales; those with a fault are left out. What ``profile`` itself says of
    these is meant, and brings no hint; nor do columns that it fills in.
    """
    told = profile.model_fields_set
    filled = {*profile.constants, *profile.derived}
    sample = rows.filter(pc.is_null(rows["row_fault"])).slice(0, SAMPLE_ROWS)
    texts_of = {
        column.name: [text.strip() for text in sample[column.name].to_pylist() if text]
        for column in contract.columns
        if column.name not in filled
    }
    hints = _quote_hints(sample, contract, profile.quote)
    if "formula_texts" not in told:
        hints += _formula_hints(texts_of)
    hints += _lost_letter_hints(texts_of)
    if "compose_letters" not in told:
        hints += _letter_hints(texts_of)
    for kinds, describe, settings in (
        (("date",), _date_hint, {"date_format"}),
        (("decimal",), _number_hint, {"decimal_mark", "thousands_mark", "currency_signs"}),
        (("int", "bigint"), _whole_hint, {"decimal_mark", "thousands_mark"}),
    ):
        # a profile has one decimal mark, that of the amounts
        if settings & told or any("decimal_mark" in hint.options for hint in hints):
            continue
        columns = [column.name for column in contract.columns if column.data_type.startswith(kinds)]
        for name in columns:
            texts = [_without_formula(text) for text in texts_of.get(name, ())]
            texts = [text for text in texts if text]
            hint = describe(name, texts) if len(texts) >= FEWEST_VALUES else None
            if hint is not None:
                hints.append(hint)
                break
    if "negatives" not in told:
        hints += _negative_hints(texts_of, contract, profile, hints)
    return hints


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


def _without_formula(text: str) -> str:
    match = FORMULA.fullmatch(text)
    return match[1].strip() if match else text


def _quote_hints(sample: pa.Table, contract: Contract, quote: str) -> list[Hint]:
    """The values of such a column may be persons' names, so none is shown."""
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


def _formula_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
    """The values of such a column may be persons' numbers, so none is shown."""
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


def _lost_letter_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
    """The values of such a column may be persons' names, so none is shown."""
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


def _letter_hints(texts_of: Mapping[str, Sequence[str]]) -> list[Hint]:
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


def _is_currency(sign: str) -> bool:
    letters = "".join(letter for letter in sign if unicodedata.category(letter) != "Sc")
    if letters == sign:
        return CURRENCY.fullmatch(sign.removesuffix(".")) is not None
    return letters == "" or (letters.isalpha() and letters.upper() not in ("DR", "CR"))  # R$, US$


def _date_hint(name: str, texts: Sequence[str]) -> Hint | None:
    others = [text for text in texts if not PLAIN_DATE.fullmatch(text)]
    if len(others) < NEARLY_EVERY * len(texts):
        return None
    distinct = list(islice(dict.fromkeys(others), 100))
    fits = {}
    for date_format in DATE_FORMATS:
        rewrite = date_rewrite(date_format)
        count = sum(PLAIN_DATE.fullmatch(rewrite(text).value) is not None for text in distinct)
        if count >= NEARLY_EVERY * len(distinct):
            fits[date_format] = count
    best = [date_format for date_format, count in fits.items() if count == max(fits.values())]
    # an offset may be written as Z too
    best = [form for form in best if form.removesuffix("%z") + "Z" not in best]
    seen = f"{name} is not in the contract's format: {len(others)} of the first {len(texts)} values"
    seen += f" are like '{shown(distinct[0])}'."
    if not best:
        return _day_number_hint(seen, distinct)
    options = {"date_format": best[0]}
    if len(best) > 1:
        choices = " or ".join(best)
        return Hint(
            f"{seen} They can be read as {choices}: ask the sender which, as the file does not"
            " show it. Then paste this file profile with the right one:",
            options,
        )
    sure = f"{fits[best[0]]} of {len(distinct)} different values fit {best[0]} and no other format"
    if best[0].endswith((*UTC_MARKS, *OFFSETS)) and all(map(IN_UTC.fullmatch, distinct)):
        return Hint(
            f"{seen} They are times in UTC, and late in the evening the store's date may differ:"
            " ask the sender for the store's dates. If UTC dates are meant, paste this"
            " file profile:",
            options,
        )
    if best[0].endswith(OFFSETS):
        sure += ". The date counts as written, whatever its offset"
    return Hint(f"{seen} Certain: {sure}. Paste this file profile:", options)


def _day_number_hint(seen: str, texts: Sequence[str]) -> Hint | None:
    for shape, digits, zero, unit, kind, action in DAY_NUMBERS:
        numbers = [text[:digits] for text in texts if shape.fullmatch(text)]
        if len(numbers) >= NEARLY_EVERY * len(texts):
            return Hint(
                f"{seen} They look like {kind} ({numbers[0]} would be"
                f" {zero + int(numbers[0]) * unit}), which no file profile reads. {action}",
                {},
            )
    return None


def _number_hint(name: str, texts: Sequence[str]) -> Hint | None:
    rewrite = number_rewrite(".", "", (), NEGATIVES)  # these have a hint of their own
    others = [text for text in texts if not PLAIN_NUMBER.fullmatch(rewrite(text).value)]
    by_thousand = [text for text in texts if THREE_DECIMALS.fullmatch(text)]
    if len(by_thousand) >= NEARLY_EVERY * len(texts):
        return Hint(
            f"{name}: {len(by_thousand)} of the first {len(texts)} values have three decimals, like"
            f" '{shown(by_thousand[0])}'. Is their point a thousands mark? Ask the sender, as the"
            " file does not show it. If so, paste this file profile:",
            {"decimal_mark": ",", "thousands_mark": "."},
        )
    if len(others) < NOTABLE * len(texts):
        return None
    bare = [text.translate(OF_NEGATIVES).strip() for text in others]
    found = {
        match[0].strip()
        for text in bare
        for match in SIGN.finditer(text)
        if match.start() == 0 or match[0].strip() != "R"  # the rand; behind an amount, a refund
    }
    signs = sorted(filter(_is_currency, found))  # what Dr and others say, no profile knows
    counts = {}
    for decimal_mark, thousands_mark in NUMBER_FORMS:
        rewrite = number_rewrite(decimal_mark, thousands_mark, tuple(signs), NEGATIVES)
        count = sum(PLAIN_NUMBER.fullmatch(rewrite(text).value) is not None for text in texts)
        misfits = sum(rewrite(text).misfit for text in texts)
        counts[decimal_mark, thousands_mark] = count - misfits
    fits = [form for form, count in counts.items() if count >= NEARLY_EVERY * len(texts)]
    fits.sort(key=lambda form: -counts[form])
    if not fits:
        return None
    forms = [number_rewrite(*form, tuple(signs), NEGATIVES) for form in fits]
    read = [text for text in others if PLAIN_NUMBER.fullmatch(forms[0](text).value)]
    if len(read) < NOTABLE * len(texts):  # the others are no numbers in any form
        return None
    meanings = {tuple(rewrite(text).value for text in texts) for rewrite in forms}
    options: dict[str, object] = {"decimal_mark": fits[0][0], "thousands_mark": fits[0][1]}
    if signs:
        options["currency_signs"] = signs
    seen = f"{name} is not in the contract's format: {len(read)} of the first {len(texts)} values"
    seen += f" are like '{shown(read[0])}'."
    if len(meanings) > 1:
        return Hint(
            f"{seen} Their comma or point can be a decimal mark or a thousands mark: ask the"
            " sender which, as the file does not show it. Then paste this file profile with the"
            " right marks:",
            options,
        )
    if len(signs) > 1:
        return Hint(
            f"{seen} They have several currency signs, {' and '.join(signs)}: ask the sender"
            " whether all stand for the store's currency, as a file profile converts nothing. If"
            " so, paste this file profile:",
            options,
        )
    return Hint(
        f"{seen} Certain: {NEARLY_EVERY:.0%} or more of them fit this file profile, and no other"
        " reading of the marks does:",
        options,
    )


def _negative_hints(
    texts_of: Mapping[str, Sequence[str]],
    contract: Contract,
    profile: FileProfile,
    hints: Sequence[Hint],
) -> list[Hint]:
    """Even a single such value tells: few sales are taken back."""
    options = {name: value for hint in hints for name, value in hint.options.items()}
    form = profile.model_copy(update=options)
    marks = (form.decimal_mark, form.thousands_mark, tuple(form.currency_signs))
    plain = number_rewrite(*marks)
    rewrites = {way: number_rewrite(*marks, (way,)) for way in NEGATIVES}
    words, ways = "", set[str]()
    for column in contract.columns:
        if is_id(column.name) or not column.data_type.startswith(("decimal", "int", "bigint")):
            continue
        texts = [_without_formula(text) for text in texts_of.get(column.name, ())]
        found = [
            (text, way)
            for text in texts
            for way, rewrite in rewrites.items()
            if rewrite(text).value != plain(text).value
        ]
        if len(texts) < FEWEST_VALUES or not found:
            continue
        ways |= {way for _, way in found}
        words = words or (
            f"{column.name}: {len(found)} of the first {len(texts)} values are like"
            f" '{shown(found[0][0])}', as accounting programs and SAP write negative numbers."
            f"{_limit_of(column)} To have them read so, paste this file profile:"
        )
    return [Hint(words, {"negatives": [way for way in NEGATIVES if way in ways]})] if ways else []


def _limit_of(column: ContractColumn) -> str:
    if column.minimum is None or column.minimum.startswith("-"):
        return ""
    return (
        f" The contract wants at least {column.minimum} there, so even when read, such rows are"
        " quarantined, as out of range."
    )


def _whole_hint(name: str, texts: Sequence[str]) -> Hint | None:
    """The values of such a column may be persons' numbers, so none is shown."""
    fractions = [match[2] for text in texts if (match := WHOLE.fullmatch(text))]
    plain = sum(PLAIN_WHOLE.fullmatch(text) is not None for text in texts)
    are_most = len(fractions) + plain >= NEARLY_EVERY * len(texts)
    if not are_most or len(fractions) < NOTABLE * len(texts):
        return None
    seen = f"{name} is not in the contract's format: {len(fractions)} of the first {len(texts)}"
    seen += f" values are whole numbers that end with '.{fractions[0]}'."
    options = {"decimal_mark": "."}
    if any(len(fraction) == 3 for fraction in fractions):
        return Hint(
            f"{seen} Is their point a decimal mark? Ask the sender, as the file does not show it. "
            "If so, paste this file profile:",
            options,
        )
    return Hint(f"{seen} Certain: the fraction is always zero. Paste this file profile:", options)
