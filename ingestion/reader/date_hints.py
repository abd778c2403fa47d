"""Say in which form the dates of a file plainly are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import islice, product

from ingestion.reader.headers import shown
from ingestion.reader.hints import NEARLY_EVERY, Hint
from ingestion.reader.profile_values import PLAIN_DATE, date_rewrite

DAYS = (
    *("%d{0}%m{0}%Y", "%m{0}%d{0}%Y", "%Y{0}%m{0}%d"),
    *("%d{0}%m{0}%y", "%m{0}%d{0}%y", "%y{0}%m{0}%d"),
)
TIMES = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
ISO_TIMES = ("%H:%M", "%H:%M:%S", "%H:%M:%S.%f")
UTC_MARKS = ("Z", " UTC")
OFFSETS = ("%z", " %z")
DATE_FORMATS = (
    *(
        days.format(sign) + time
        for days, sign, time in product(
            DAYS, "/-.", ("", *map(" {}".format, TIMES), *map(", {}".format, TIMES))
        )
    ),
    *("%Y%m%d", "%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
    *("%Y%m%d%H%M%S", "%Y%m%d %H:%M:%S", "%b %d %Y %I:%M%p", "%d-%b-%Y %H:%M:%S"),
    *("%b %d, %Y, %I:%M %p", "%b %d, %Y, %I:%M:%S %p", "%b %d, %Y %I:%M %p", "%d %b %Y %H:%M"),
    *("%d %b %Y, %H:%M", "%d %b %Y %H:%M:%S", "%d %b %Y, %H:%M:%S"),
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
IN_UTC = re.compile(r".*(?:Z|UTC|[+-]00(?::?00)?)")


def date_hint(name: str, texts: Sequence[str]) -> Hint | None:
    """Return the hint for a column of dates with this name and these first texts, if it is one."""
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
