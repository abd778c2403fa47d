"""Say in which form the amounts, quantities and ids of a file plainly are."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ingestion.reader.headers import shown
from ingestion.reader.hints import FEWEST_VALUES, NEARLY_EVERY, NOTABLE, Hint
from ingestion.reader.profile_values import (
    MINUS,
    PLAIN_NUMBER,
    THREE_DECIMALS,
    WHOLE,
    Rewritten,
    is_id,
    number_rewrite,
)

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract, ContractColumn

CURRENCY = re.compile(
    r"AED|ARS|AUD|BDT|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EGP|EUR|GBP|HKD|HUF|"
    r"IDR|ILS|INR|JPY|KES|KRW|KWD|LKR|MXN|MYR|NGN|NOK|NPR|NZD|PEN|PHP|PKR|PLN|"
    r"QAR|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|Rs|Re|kr|Kr|kn|zł|"
    r"Kč|Ft|lei|TL|Rp|RM|Fr|SFr|Ksh|TND|MAD|DZD|R|S/|Bs|Dhs?|грн|лв|円|元|원|"
    r"\u0440\u0443\u0431|\u0440",  # roubles, in Cyrillic letters
    re.IGNORECASE,
)
SIGN = re.compile(r"^[^\d\s.,'+-]{1,4}\.?\s*(?=[\d+-])|(?<=\d)\s*[^\d\s.,'+-]{1,4}\.?$")
NEGATIVES = ("(5)", "5-", f"{MINUS}5")
OF_NEGATIVES = str.maketrans("", "", f"()-{MINUS}")
GROUPED_WHOLE = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
PLAIN_WHOLE = re.compile(r"-?[0-9]+")
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


def number_hint(
    name: str, texts: Sequence[str], amounts: Sequence[str], quantities: Sequence[str]
) -> Hint | None:
    """Return the hint for a column of amounts with this name and these first texts, if it is one.

    ``amounts`` are the texts of all such columns, which the proposed profile reads as well as it
    can, and the ``quantities``, too. Amounts that are only negative in another way than -5 are none
    yet: see ``negative_hints``.
    """
    others = _not_plain(texts)
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
    bare = [text.translate(OF_NEGATIVES).strip() for text in _not_plain(amounts)]
    found = {
        match[0].strip()
        for text in bare
        for match in SIGN.finditer(text)
        if match.start() == 0 or match[0].strip() != "R"  # the rand; behind an amount, a refund
    }
    signs = sorted(filter(_is_currency, found))  # what Dr and others say, no profile knows
    fits = []
    for marks in NUMBER_FORMS:
        rewrite = number_rewrite(*marks, tuple(signs), NEGATIVES)
        count = _count_read(texts, rewrite)
        if count >= NEARLY_EVERY * len(texts):
            rank = (count, _count_read(amounts, rewrite) + _count_read(quantities, rewrite))
            fits.append((rank, marks))
    if not fits:
        return None
    fits.sort(key=lambda fit: fit[0], reverse=True)
    forms = [number_rewrite(*marks, tuple(signs), NEGATIVES) for _, marks in fits]
    read = [text for text in others if PLAIN_NUMBER.fullmatch(forms[0](text).value)]
    if len(read) < NOTABLE * len(texts):  # the others are no numbers in any form
        return None
    meanings = {tuple(rewrite(text).value for text in texts) for rewrite in forms}
    _, (decimal_mark, thousands_mark) = fits[0]
    options: dict[str, object] = {"decimal_mark": decimal_mark, "thousands_mark": thousands_mark}
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


def _not_plain(texts: Sequence[str]) -> list[str]:
    """The texts that are no plain numbers, without those that are but negative in another way."""
    plain, negative = (number_rewrite(".", "", (), ways) for ways in ((), NEGATIVES))
    return [
        text
        for text in texts
        if not PLAIN_NUMBER.fullmatch(text) and plain(text).value == negative(text).value
    ]


def _count_read(texts: Sequence[str], rewrite: Callable[[str], Rewritten]) -> int:
    """How many of the texts are read, less those that would pass for what they are not."""
    results = [rewrite(text) for text in texts]
    read = sum(PLAIN_NUMBER.fullmatch(result.value) is not None for result in results)
    return read - sum(result.misfit for result in results)


def negative_hints(
    texts_of: Mapping[str, Sequence[str]],
    contract: Contract,
    profile: FileProfile,
    hints: Sequence[Hint],
) -> list[Hint]:
    """Return the hint for amounts and quantities that are negative in another way than -5.

    ``texts_of`` has the first texts of each column, ``hints`` what is known of their marks. Even a
    single such value tells, as few sales are taken back.
    """
    options = {name: value for hint in hints for name, value in hint.options.items()}
    form = profile.model_copy(update=options)
    marks = (form.decimal_mark, form.thousands_mark, tuple(form.currency_signs))
    plain = number_rewrite(*marks)
    rewrites = {way: number_rewrite(*marks, (way,)) for way in NEGATIVES}
    words, ways = "", set[str]()
    for column in contract.columns:
        if is_id(column.name) or not column.data_type.startswith(("decimal", "int", "bigint")):
            continue
        texts = texts_of.get(column.name, ())
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


def whole_hint(name: str, texts: Sequence[str]) -> Hint | None:
    """Return the hint for a column of whole numbers with a fraction of zeros, or commas.

    Its values may be persons' numbers, so none is shown.
    """
    fractions = [match[2] for text in texts if (match := WHOLE.fullmatch(text))]
    plain = sum(PLAIN_WHOLE.fullmatch(text) is not None for text in texts)
    grouped = sum(GROUPED_WHOLE.fullmatch(text) is not None for text in texts)
    if grouped >= NOTABLE * len(texts) and grouped + plain >= NEARLY_EVERY * len(texts):
        return Hint(
            f"{name} is not in the contract's format: {grouped} of the first {len(texts)} values"
            " are whole numbers with commas before three digits. Are these thousands marks? Ask the"
            " sender, as the file does not show it. If so, paste this file profile:",
            {"thousands_mark": ","},
        )
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


def _is_currency(sign: str) -> bool:
    letters = "".join(letter for letter in sign if unicodedata.category(letter) != "Sc")
    if letters == sign:
        return CURRENCY.fullmatch(sign.removesuffix(".")) is not None
    return letters == "" or (letters.isalpha() and letters.upper() not in ("DR", "CR"))  # R$, US$
