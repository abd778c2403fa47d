"""Refuses a row whose key the database would not take, by its model, column and key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ingestion.errors import PipelineError

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.publication.manifest import MartTable

_SHOWN = 40  # characters of a text


def refuse_unfit_keys(mart: MartTable, rows: pa.Table, longest: int | None) -> None:
    """``PipelineError`` where a column of the key is null, or a text of more than ``longest``
    characters (None: of any length)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for name in mart.key:
        values = rows[name]
        is_unfit = pc.is_null(values)
        if longest is not None and pa.types.is_string(values.type):
            is_long = pc.greater(pc.utf8_length(values), longest)
            is_unfit = pc.or_(is_unfit, pc.fill_null(is_long, fill_value=False))
        if not pc.any(is_unfit).as_py():
            continue
        [row] = rows.select(list(mart.key)).filter(is_unfit).slice(0, 1).to_pylist()
        unfit = "null" if row[name] is None else f"a text of {len(row[name])} characters"
        limit = "" if longest is None else f", of texts of at most {longest} characters"
        raise PipelineError(
            f"The model {mart.name} cannot be published",
            expected=f"a key that is never null{limit}",
            found=f"{name} is {unfit} in the row "
            + ", ".join(f"{column} = {_shown(value)}" for column, value in row.items()),
            action="Correct the model, or the key under meta.publish in its YAML, and run again",
        )


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…")
    return "null" if value is None else str(value)
