"""Rewrite the values of a sender's dialect as the contract's own: plain decimals and yyyy-MM-dd.

Only a value that fits the profile's form as a whole is rewritten. One that does not stays as it is,
for the row rules to set aside; where it would then pass for another value of the contract, the row
is a fault of its own. All arithmetic is exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.data_types import decimal_digits
from ingestion.reader.masking import MASK

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract

PLAIN_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
PLAIN_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
PLAIN_DATE_FORMAT = "%Y-%m-%d"
DIGITS = {"Y": "4", "j": "3", "f": "1,6", **dict.fromkeys("ymdHIMSUW", "2")}
HOURS_OF_OFFSET = re.compile(r"[+-][0-9]{2}$")
BELOW_MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+")
ANYTHING = r"[\s\S]*"
FORMULA_TEXT = r'="([^"]*)"'
# what is no part of a value at its ends, the same as in macros/without_blanks.sql
BLANKS = (
    " \t\n\v\f\r\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
BLANKS_WITHIN = " \u00a0\u202f"  # between a sign and its number
MINUS = "\u2212"
THREE_DECIMALS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
WHOLE = re.compile(r"(-?[0-9]+)\.(0+)")
EXACT = Context(prec=76)


@dataclass(frozen=True)
class Rewritten:
    """A value as the contract writes it; ``misfit`` where it would be taken for what it is not,
    ``lost_zeros`` where it had a fraction of zeros."""

    value: str
    misfit: bool = False
    lost_zeros: bool = False


@dataclass(frozen=True)
class ValueRules:
    """How the values of one file are rewritten: per column, then constants, then derived ones.

    Values of ``personal`` columns are in no message. Without ``has_marks``, nothing tells whether
    15.000 is fifteen or fifteen thousand. ``rewritten`` says, once they are applied, whether a
    ``date`` or a ``number`` became another text, and whether ``whole`` numbers lost a fraction of
    zeros.
    """

    rewrites: Mapping[str, Callable[[str], Rewritten]]
    constants: Mapping[str, str]
    derived: Mapping[str, tuple[str, int]]
    personal: frozenset[str]
    dates: frozenset[str]
    has_marks: bool
    rewritten: set[str] = field(default_factory=set)

    def apply(
        self, values: Mapping[str, pa.Array], count: int
    ) -> tuple[dict[str, pa.Array], dict[int, str]]:
        """Return the values, column to array of ``count`` texts, rewritten and made complete.

        The second result says which rows hold a value of another form than the profile's.
        """
        result = dict(values)
        misfits: dict[int, str] = {}
        for name, rewrite in self.rewrites.items():
            if name in result:
                result[name], rows, changes = _rewrite(result[name], rewrite)
                if changes:
                    self.rewritten.add("date" if name in self.dates else "number")
                if any(change.lost_zeros for change in changes):
                    self.rewritten.add("whole")
                for row, text in rows.items():
                    found = MASK if name in self.personal else text[:40]
                    misfits.setdefault(
                        row, f"dialect: {name} '{found}' is not in the format of the file profile"
                    )
        for name, text in self.constants.items():
            result[name] = pa.repeat(pa.scalar(text, pa.string()), count)
        for name, (formula, scale) in self.derived.items():
            operands = set(re.split(r"[*/]", formula))
            sure = operands if self.has_marks else operands & self.constants.keys()
            result[name] = _derive(formula, scale, sure, result, count)
        return result, misfits


def without_formulas(values: pa.Array) -> pa.Array:
    """Return the texts, each that is a spreadsheet's formula of a text (``="00123"``) as that text:
    exports write it so, lest the spreadsheet drops the zeros."""
    return pc.replace_substring_regex(values, rf"\A{FORMULA_TEXT}\z", r"\1")


def value_rules(
    profile: FileProfile, constants: Mapping[str, str], contract: Contract, found: set[str]
) -> ValueRules | None:
    """Return the rules of ``profile`` for a file whose header has the columns ``found``.

    A column in the file is never replaced by a constant or a derived value. None: nothing to do.
    """
    rewrites: dict[str, Callable[[str], Rewritten]] = {}
    told = profile.model_fields_set
    has_own_numbers = {"decimal_mark", "thousands_mark", "currency_signs", "negatives"} & told
    form = (profile.decimal_mark, profile.thousands_mark, profile.currency_signs)
    rewrite_number = number_rewrite(*form, profile.negatives)
    is_sure = "decimal_mark" in told or profile.thousands_mark != ""
    rewrite_whole = whole_rewrite(rewrite_number, is_sure=is_sure)
    rewrite_id = whole_rewrite(number_rewrite(*form), is_sure=is_sure)
    # who names the contract's own form means days without their zeros too, as in any other form
    has_own_days = "date_format" in told
    for column in contract.columns:
        if column.data_type == "date" and has_own_days:
            rewrites[column.name] = date_rewrite(profile.date_format)
        elif column.data_type.startswith("decimal") and has_own_numbers:
            rewrites[column.name] = rewrite_number
        elif column.data_type in ("int", "bigint") and has_own_numbers:
            rewrites[column.name] = rewrite_id if is_id(column.name) else rewrite_whole
    missing = {column.name: column for column in contract.columns if column.name not in found}
    derived = {
        name: (formula, decimal_digits(missing[name].data_type)[1])
        for name, formula in profile.derived.items()
        if name in missing and name not in constants
    }
    filled = {name: text for name, text in constants.items() if name in missing}
    if not (rewrites or filled or derived):
        return None
    personal = frozenset(column.name for column in contract.columns if column.personal)
    has_marks = bool(profile.decimal_mark != "." or profile.thousands_mark)
    dates = frozenset(column.name for column in contract.columns if column.data_type == "date")
    return ValueRules(rewrites, filled, derived, personal, dates, has_marks)


def is_id(column: str) -> bool:
    """Whether a column of this name holds keys: brackets around one, or a hyphen behind it, make no
    other key of it."""
    return column.endswith("_id")


def number_rewrite(
    decimal_mark: str,
    thousands_mark: str,
    currency_signs: tuple[str, ...],
    negatives: Collection[str] = (),
) -> Callable[[str], Rewritten]:
    """Return a function that writes a number of this form plainly, ``€ 1.234,50`` as 1234.50.

    ``negatives`` are the ways to write -5 besides -5 itself. A value with two of them may be
    anything, and so may a price of ``5,-``, in which the hyphen stands for the cents: they stay.
    """
    signs = sorted(currency_signs, key=len, reverse=True)
    sign = f"(?:{'|'.join(re.escape(text) for text in signs)})" if signs else "(?:(?!))"
    mark, point = re.escape(thousands_mark), re.escape(decimal_mark)
    whole = r"[0-9]+"
    if thousands_mark:
        # nobody writes five hundred as 0.500: that mark is a decimal one
        by_thousand = rf"[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+"
        by_lakh = rf"[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}"
        whole = f"(?:{by_thousand}|{by_lakh}|[0-9]+)"
    number = rf"(?P<whole>{whole})(?:{point}(?P<fraction>[0-9]+))?"
    blank = f"[{BLANKS_WITHIN}]*"
    before, behind = f"(?:{sign}{blank})?", f"(?:{blank}{sign})?"
    minus = f"{MINUS}-" if f"{MINUS}5" in negatives else "-"
    plain = re.compile(
        rf"(?P<minus>[+{minus}]?){blank}{before}(?P<inner>[{minus}]?){number}{behind}"
    )
    negative_forms = {
        "(5)": rf"{before}\({blank}{before}{number}{behind}{blank}\){behind}",
        "5-": rf"{before}{number}{behind}{blank}-{behind}",
    }
    others = [re.compile(form) for way, form in negative_forms.items() if way in negatives]

    def rewrite(text: str) -> Rewritten:
        bare = text.strip(BLANKS)
        match = plain.fullmatch(bare)
        if match is not None and not (match["minus"] and match["inner"]):
            is_negative = match["minus"] not in ("", "+") or match["inner"] != ""
        else:
            match = next(filter(None, (form.fullmatch(bare) for form in others)), None)
            is_negative = True
        if match is None:
            return Rewritten(text, misfit=PLAIN_NUMBER.fullmatch(bare) is not None)
        whole_part = (
            match["whole"].replace(thousands_mark, "") if thousands_mark else match["whole"]
        )
        fraction = "." + match["fraction"] if match["fraction"] else ""
        return Rewritten(("-" if is_negative else "") + whole_part + fraction)

    return rewrite


def whole_rewrite(
    rewrite: Callable[[str], Rewritten], *, is_sure: bool
) -> Callable[[str], Rewritten]:
    """Return ``rewrite`` for whole numbers: a fraction of zeros is none, as in a till's 2.0 pieces.

    Three zeros may be thousands, unless it ``is_sure`` which mark the fraction has.
    """

    def rewrite_whole(text: str) -> Rewritten:
        result = rewrite(text)
        match = None if result.misfit else WHOLE.fullmatch(result.value.strip(BLANKS))
        if match is None or (len(match[2]) == 3 and not is_sure):
            return result
        return Rewritten(match[1], lost_zeros=True)

    return rewrite_whole


def date_rewrite(date_format: str) -> Callable[[str], Rewritten]:
    """Return a function that writes a day of ``date_format`` (strptime) as yyyy-MM-dd.

    The day is the one that is written, whatever the time and its offset. A value that has the
    contract's form is taken as it stands only where the profile's form could not be meant. Where
    nothing stands between two numbers, each needs all its digits. A day of the week must be right.
    """
    year_first = date_format.startswith("%Y") and date_format != PLAIN_DATE_FORMAT
    shape = _packed_shape(date_format)
    weekdays = {"%a", "%A"} & set(re.findall(r"%.", date_format))
    has_offset, has_fraction = date_format.endswith("%z"), "%f" in date_format

    def rewrite(text: str) -> Rewritten:
        bare = known = text.strip(BLANKS)
        if has_offset:  # strptime wants its minutes, which some databases leave out
            known = HOURS_OF_OFFSET.sub(r"\g<0>00", known)
        if has_fraction:  # and six digits at most, where others write seven or nine
            known = BELOW_MICROSECONDS.sub("", known)
        try:
            day = datetime.strptime(known, date_format).date()
            if shape.fullmatch(bare) is None:
                raise ValueError("a zero is missing, and nobody can say where")
            if any(day.strftime(name).casefold() not in known.casefold() for name in weekdays):
                raise ValueError("that day is another one of the week")
            return Rewritten(day.isoformat())
        except ValueError:
            looks_plain = PLAIN_DATE.fullmatch(bare) is not None
            return Rewritten(text, misfit=looks_plain and year_first)

    return rewrite


def _packed_shape(date_format: str) -> re.Pattern[str]:
    """Numbers with nothing between them have all their digits; everything else may be anything."""
    tokens = re.findall(r"%.|[^%]+", date_format)
    numbers = [token[0] == "%" and token[1] in DIGITS for token in tokens]
    pattern = ""
    for place, token in enumerate(tokens):
        neighbours = numbers[max(place - 1, 0) : place] + numbers[place + 1 : place + 2]
        is_packed = numbers[place] and any(neighbours)
        if is_packed:
            pattern += f"[0-9]{{{DIGITS[token[1]]}}}"
        elif not pattern.endswith(ANYTHING):
            pattern += ANYTHING
    return re.compile(pattern)


def _rewrite(
    values: pa.Array, rewrite: Callable[[str], Rewritten]
) -> tuple[pa.Array, dict[int, str], list[Rewritten]]:
    """Rewrite every distinct value once; the last result has those that became another."""
    encoded = values.dictionary_encode()
    texts = encoded.dictionary.to_pylist()
    results = [rewrite(text) for text in texts]
    rewritten = pa.array([result.value for result in results], pa.string()).take(encoded.indices)
    misfits = {number: texts[number] for number, result in enumerate(results) if result.misfit}
    pairs = zip(texts, results, strict=True)
    changes = [result for text, result in pairs if result.value != text]
    if not misfits:
        return rewritten, {}, changes
    rows = enumerate(encoded.indices.to_pylist())
    found = {row: misfits[number] for row, number in rows if number in misfits}
    return rewritten, found, changes


def _derive(
    formula: str, scale: int, sure: Collection[str], values: Mapping[str, pa.Array], count: int
) -> pa.Array:
    """Return what ``formula`` gives, rounded half up to ``scale``; empty where it gives nothing.

    Where an operand may be a thousand times as much, and is not among the ``sure`` ones, it is the
    formula itself, which is no number.
    """
    operator = "*" if "*" in formula else "/"
    names = formula.split(operator)
    operands = [values.get(name) for name in names]
    if any(operand is None for operand in operands):
        return pa.repeat(pa.scalar("", pa.string()), count)
    left, right = (operand.to_pylist() for operand in operands if operand is not None)
    known: dict[tuple[str, str], str] = {}
    for pair in zip(left, right, strict=True):
        if pair not in known:
            is_doubtful = any(
                name not in sure and THREE_DECIMALS.fullmatch(text.strip(BLANKS))
                for name, text in zip(names, pair, strict=True)
            )
            known[pair] = (
                f"{pair[0]} {operator} {pair[1]}"
                if is_doubtful
                else _calculate(pair[0], operator, pair[1], scale)
            )
    return pa.array([known[pair] for pair in zip(left, right, strict=True)], pa.string())


def _calculate(left: str, operator: str, right: str, scale: int) -> str:
    left, right = left.strip(BLANKS), right.strip(BLANKS)
    if not (PLAIN_NUMBER.fullmatch(left) and PLAIN_NUMBER.fullmatch(right)):
        return ""
    first, second = Decimal(left), Decimal(right)
    if operator == "/" and not second:
        return ""
    exact = EXACT.multiply(first, second) if operator == "*" else EXACT.divide(first, second)
    unit = Decimal(1).scaleb(-scale)
    if exact.adjusted() + scale > EXACT.prec - 2:
        return ""
    return format(exact.quantize(unit, rounding=ROUND_HALF_UP, context=EXACT), "f")
