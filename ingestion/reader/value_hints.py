"""Say where the values of a file plainly are of another dialect, and which profile would read them.

A hint sets nothing aside and changes nothing: the rows are judged by the contract as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from ingestion.reader.date_hints import date_hint
from ingestion.reader.dialects import changed_profile_text, profile_text
from ingestion.reader.hints import FEWEST_VALUES, Hint
from ingestion.reader.number_hints import negative_hints, number_hint, whole_hint
from ingestion.reader.profile_values import BLANKS, is_id
from ingestion.reader.text_hints import (
    formula_hints,
    letter_hints,
    lost_letter_hints,
    quote_hints,
    without_formula,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.config.profiles import FileProfile
    from ingestion.reader.contract import Contract

SAMPLE_ROWS = 500


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
        column.name: [text.strip(BLANKS) for text in sample[column.name].to_pylist() if text]
        for column in contract.columns
        if column.name not in filled
    }
    bare_of = {
        name: [bare for text in texts if (bare := without_formula(text))]
        for name, texts in texts_of.items()
    }
    hints = quote_hints(sample, contract, profile.quote)
    if "formula_texts" not in told:
        hints += formula_hints(texts_of)
    hints += lost_letter_hints(texts_of)
    if "compose_letters" not in told:
        hints += letter_hints(texts_of)
    amounts, quantities = (
        [
            text
            for column in contract.columns
            if column.data_type.startswith(kinds) and not is_id(column.name)
            for text in bare_of.get(column.name, ())
        ]
        for kinds in (("decimal",), ("int", "bigint"))
    )
    of_amounts = partial(number_hint, amounts=amounts, quantities=quantities)
    for kinds, describe, settings in (
        (("date",), date_hint, {"date_format"}),
        (("decimal",), of_amounts, {"decimal_mark", "thousands_mark", "currency_signs"}),
        (("int", "bigint"), whole_hint, {"decimal_mark", "thousands_mark"}),
    ):
        # a profile has one decimal mark, that of the amounts
        if settings & told or any("decimal_mark" in hint.options for hint in hints):
            continue
        columns = [column.name for column in contract.columns if column.data_type.startswith(kinds)]
        for name in columns:
            texts = bare_of.get(name, [])
            hint = describe(name, texts) if len(texts) >= FEWEST_VALUES else None
            if hint is not None:
                hints.append(hint)
                break
    if "negatives" not in told:
        hints += negative_hints(bare_of, contract, profile, hints)
    return hints
