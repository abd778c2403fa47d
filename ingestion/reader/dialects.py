"""Recognise what a file is when it is not the contract's CSV, and write the profile that fits it.

What is certain enough to name is named, with how sure; nothing here changes how a file is read.
"""

from __future__ import annotations

import codecs
import csv
import glob
import json
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, product, zip_longest
from typing import TYPE_CHECKING
from zlib import crc32

from ingestion.config.profiles import CONTRACT_FORM
from ingestion.reader.headers import match_header, shown
from ingestion.reader.masking import without_personal
from ingestion.reader.verdicts import Reason

if TYPE_CHECKING:
    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract
    from ingestion.reader.header_line import HeaderLine

DELIMITERS = {";": "semicolon", "\t": "tab", "|": "pipe", ",": "comma", ":": "colon"}
QUOTES = {'"': "double quotes", "'": "single quotes"}
DATED_FOLDER = re.compile(  # 2024-03-05/, 2024/03/, year=2024/month=3/day=5/
    r"(?<![^/])(?:\w+=)?20[0-9]{2}"
    r"(?:[-_.]?(?:0[1-9]|1[0-2])(?:[-_.]?[0-3][0-9])?"
    r"|/(?:\w+=)?(?:0?[1-9]|1[0-2])(?:/(?:\w+=)?[0-3]?[0-9])?)(?=/)"
)
DATA_VALUE = re.compile(r"[+-]?[0-9][0-9.,:/ T-]*")
HEADER_SEARCH_LINES = 30
TEXT_LINE_BREAK = re.compile(r"\r\n|\r|\n")  # the reader's; splitlines has more
WIDE_ENCODING_SHARE = 0.2
HEAD_BYTES = 64 * 1024
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8"),
)
TOLD_ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
HARMLESS_PAIRS = (("ascii", "utf-8"), ("utf-16", "utf-16-le"))
BINARY_KINDS = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "gzip inside gzip"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"ORC\n", "an ORC file"),
    (b"Obj\x01", "an Avro file"),
    (b"SQLite format 3\x00", "a SQLite database"),
)


def binary_kind(head: bytes) -> Reason | None:
    """Return the reason against a file that begins as another format does, or None."""
    for magic, kind in BINARY_KINDS:
        if head.startswith(magic):
            return _not_csv(kind)
    return None


def text_kind(head: bytes) -> Reason | None:
    """Return the reason against a text that is HTML, XML or JSON, or None; ask it of no CSV."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if re.match(rb"<!doctype html|<html|<head|<body", text):
        return _not_csv("an HTML page")
    if re.match(rb"<\?xml|<[a-z][a-z0-9:]*[\s>/]", text):
        return _not_csv("an XML document")
    if re.match(rb'\{\s*["}]|\[\s*[\[{"\]]', text):
        return _not_csv("a JSON document")
    return None


def _not_csv(kind: str) -> Reason:
    return Reason(
        "not_csv",
        f"not a CSV file. Expected: text with one line for each sale. Found: {kind}."
        " Export the sales as CSV and send that.",
    )


def wrong_encoding(head: bytes, key: str, profile: FileProfile | None) -> Reason | None:
    """Return the reason against a file whose bytes show another encoding than the one expected.

    That is the profile's, or the contract's UTF-8 without one.
    """
    encoding = (profile or CONTRACT_FORM).encoding
    expected = codecs.lookup(encoding).name
    found, proof = _shown_encoding(head, expected)
    is_wide = expected.startswith(("utf-16", "utf-32"))
    if found is None:
        if is_wide and head and b"\0" not in head:
            found, proof = "a single-byte encoding", "there are no zero bytes"
        else:
            return None
    elif expected.startswith(found) or (expected, found) in HARMLESS_PAIRS:
        return None
    expectation = f"{encoding}, as the file profile says" if profile else "UTF-8"
    message = f"encoding: the file is not in the expected encoding. Expected: {expectation}."
    message += f" Found: {found} ({proof})."
    if found not in TOLD_ENCODINGS:
        message += " Correct the profile's encoding."
    else:
        options = encoding_options(found, head, profile)
        wanted = "as UTF-8" if profile is None else f"in {encoding}"
        message += f" Send it {wanted}, or {proposal(key, profile, options)}"
    return Reason("encoding", message)


def encoding_options(encoding: str, head: bytes, profile: FileProfile | None) -> dict[str, object]:
    """Return what of a profile reads a file that begins with ``head`` and is in ``encoding``; its
    delimiter is known where it has a profile already."""
    options: dict[str, object] = {"encoding": encoding}
    delimiter = _delimiter_of(head.decode(encoding, "replace"))
    if profile is None and delimiter != ",":
        options["delimiter"] = delimiter
    return options


def proposal(key: str, profile: FileProfile | None, options: Mapping[str, object]) -> str:
    """Return the end of a message that proposes ``options`` for files named like ``key``: in their
    ``profile``, as a new one would have to repeat what it says and come before it, or else in one
    to paste."""
    if profile is None:
        return f"paste this file profile into pipeline.toml:\n{profile_text(key, options)}"
    return (
        f"set in the file profile {profile.name}, or in a copy placed above it with a pattern for"
        f" such files:\n{_toml_lines(options)}"
    )


def _shown_encoding(head: bytes, expected: str) -> tuple[str | None, str]:
    for mark, encoding in BYTE_ORDER_MARKS:
        if head.startswith(mark):
            return encoding, "certain: it begins with that byte order mark"
    even, odd = head[0::2], head[1::2]
    if not odd:
        return None, ""
    if _is_one_byte(expected) and _is_utf8_beyond_ascii(head):
        return "utf-8", "almost certain: its non-ASCII characters are UTF-8 throughout"
    share = max(even.count(0) / len(even), odd.count(0) / len(odd))
    if share < WIDE_ENCODING_SHARE or min(even.count(0), odd.count(0)) > len(odd) * 0.05:
        return None, ""
    encoding = "utf-16-le" if odd.count(0) > even.count(0) else "utf-16-be"
    return encoding, f"almost certain: {share:.0%} of every second byte is zero"


def _is_one_byte(encoding: str) -> bool:
    return len(bytes(range(256)).decode(encoding, "replace")) == 256


def _is_utf8_beyond_ascii(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return not head.isascii()


def _delimiter_of(text: str) -> str:
    first = next((line for line in text.lstrip("\ufeff").splitlines() if line.strip()), "")
    return max(DELIMITERS, key=lambda mark: (first.count(mark), mark == ","))


def explain_header(
    header: HeaderLine,
    key: str,
    contract: Contract,
    profile: FileProfile | None,
    supplied: Collection[str],
) -> Reason | None:
    """Return the reason against a header that has its columns in another dialect, if it shows.

    Tried are the usual delimiters and quotes and the first lines of the file; the profile to paste
    is part of the message. No profile reads lines that are each one quoted value, or quotes behind
    blanks.
    """
    form = profile or CONTRACT_FORM
    delimiter, quote = form.delimiter, form.quote
    lines = TEXT_LINE_BREAK.split(header.head, HEADER_SEARCH_LINES)[:HEADER_SEARCH_LINES]
    missing = [
        column.name
        for column in contract.columns
        if column.required and column.name not in supplied
    ]

    def fits(names: Sequence[str]) -> bool:
        match = match_header(names, contract, form.aliases, supplied)
        return len(names) > 1 and not match.reasons

    if len(header.values) == 1 and quote and header.head.startswith(quote):
        [inside] = header.values
        if any(fits(_values(inside, mark, '"')) for mark in (delimiter, *DELIMITERS)):
            return _quoted_lines(missing)
    if quote and fits([name.strip().strip(quote) for name in header.values]):
        return _quotes_behind_blanks(missing)
    dialects = [*product([quote, *(other for other in QUOTES if other != quote)], DELIMITERS)]
    for (number, line), (other, mark) in product(enumerate(lines), dialects):
        is_own = number == 0 and (mark, other) == (delimiter, quote)
        if is_own or (other != quote and other not in line):
            continue
        if fits(_values(line, mark, other)):
            options: dict[str, object] = {}
            found = []
            if number:
                options["skip_lines"] = header.line - 1 + number
                above = without_personal(shown(lines[0]))
                found.append(f"the header in line {header.line + number}, below '{above}'")
            if mark != delimiter:
                options["delimiter"] = mark
                found.append(f"columns separated by a {DELIMITERS[mark]}")
            if other != quote:
                options["quote"] = other
                found.append(f"names in {QUOTES[other]}")
            words = f"{' and '.join(found)} (certain: all the columns are there)"
            return _other_dialect(missing, words, key, options, profile)
    return _without_names(header, lines, missing, key, profile)


def _without_names(
    header: HeaderLine,
    lines: Sequence[str],
    missing: Sequence[str],
    key: str,
    profile: FileProfile | None,
) -> Reason | None:
    """Return the reason against a header of another delimiter and other names, or one of values."""
    form = profile or CONTRACT_FORM
    delimiter, quote = form.delimiter, form.quote
    first = lines[0] if lines else ""
    mark = _delimiter_of(first)
    if mark not in (delimiter, ":") and first.count(mark) > first.count(delimiter):
        found_here = f"a header that seems to be separated by a {DELIMITERS[mark]} (probable:"
        found_here += f" {first.count(mark)} of them), with other names than the contract's"
        return _other_dialect(missing, found_here, key, {"delimiter": mark}, profile)
    values = [value for value in _values(first, delimiter, quote) if value.strip()]
    data = sum(DATA_VALUE.fullmatch(value.strip()) is not None for value in values)
    if len(values) > 1 and data * 2 >= len(values):
        skipped = ""
        if profile is not None and profile.skip_lines:
            skipped = f", below the {profile.skip_lines} that its file profile skips"
        return Reason(
            "missing_column",
            f"missing columns: {', '.join(missing)}. Expected: a header line with them above the"
            f" rows. Found: a row, as {data} of the {len(values)} values in line {header.line} are"
            f" numbers or dates{skipped}. Send the file with its header line.",
        )
    return None


def _quoted_lines(missing: Sequence[str]) -> Reason:
    return Reason(
        "dialect",
        f"missing columns: {', '.join(missing)}. Expected: quotes around single values, if any."
        " Found: a header line that is one quoted value with all the columns in it. Export the file"
        " without quotes around whole lines, and send that.",
    )


def _quotes_behind_blanks(missing: Sequence[str]) -> Reason:
    return Reason(
        "dialect",
        f"missing columns: {', '.join(missing)}. Expected: a quote as the first character of a"
        " value in quotes. Found: blanks before the quotes (certain: all the columns are there)."
        " Export the file without blanks between delimiters and quotes, and send that.",
    )


def _other_dialect(
    missing: Sequence[str],
    found: str,
    key: str,
    options: Mapping[str, object],
    profile: FileProfile | None,
) -> Reason:
    if profile is None:
        expected = "a comma-separated header with them in the first line"
        action = "Send the file in the contract's format"
    else:
        mark = DELIMITERS.get(profile.delimiter, repr(profile.delimiter))
        expected = (
            f"a header with them in line {profile.skip_lines + 1}, separated by a {mark}, as the"
        )
        expected += f" file profile {profile.name} says"
        action = "Send the file in this format"
    return Reason(
        "dialect",
        f"missing columns: {', '.join(missing)}. Expected: {expected}. Found: {found}. {action}, or"
        f" {proposal(key, profile, options)}",
    )


def _values(line: str, delimiter: str, quote: str) -> list[str]:
    """Return the values of one line; without a ``quote`` (empty), every quote is text."""
    if not quote:
        return line.split(delimiter)
    try:
        return next(csv.reader([line], delimiter=delimiter, quotechar=quote), [])
    except csv.Error:
        return []


def profile_text(key: str, options: Mapping[str, object]) -> str:
    """Return the lines of pipeline.toml for a profile of files named like ``key``.

    Those are the files of its folder whose names differ in nothing but numbers and dates; where the
    folder is that of a day or month, those of other days, too. The profile's name is that of its
    folder and file, as two of one name would end the next run.
    """
    folder, slash, name = key.rpartition("/")
    folder += slash
    around, dates = DATED_FOLDER.split(folder), DATED_FOLDER.findall(folder)
    pieces = [re.escape(piece) for piece in re.split(r"\d+(?:[_.T:-]\d+)*", name)]
    pattern = glob.escape(key)
    if len(pieces) > 1 or dates:
        of_any_day = (re.sub(r"[0-9]+", "[0-9]+", re.escape(date)) for date in dates)
        parts = zip_longest(map(re.escape, around), of_any_day, fillvalue="")
        pattern = f"re:{''.join(chain(*parts))}{'[0-9_.T:-]+'.join(pieces)}"
    stem = "".join(around) + re.sub(r"\.\w+$", "", re.sub(r"\d[\d_-]*", "", name))
    stem = re.sub(r"[^A-Za-z0-9]+", "-", stem).strip("-")
    lines = ["[[profiles]]", f"name = {_toml(stem or f'sender-{crc32(pattern.encode()):08x}')}"]
    lines.append(f"pattern = {_toml(pattern)}")
    return "\n".join([*lines, _toml_lines(options)])


def changed_profile_text(profile: FileProfile, options: Mapping[str, object]) -> str:
    """Return the lines of pipeline.toml for ``profile`` with these options, to take its place."""
    own = profile.model_dump(exclude_unset=True)
    lines = _toml_lines({**own, **options})
    return f"# replaces the current file profile {profile.name}\n[[profiles]]\n{lines}"


def _toml_lines(options: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {_toml(value)}" for name, value in options.items())


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_toml(name)} = {_toml(item)}" for name, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(_toml(item) for item in value)}]"
    text = json.dumps(value, ensure_ascii=False)
    # a blank that looks like another, or a mark that TOML does not allow, is written out
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08X}" for letter in text)
