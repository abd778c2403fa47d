"""Lines of rows are equal only for equal rows, and split into their values again."""

from __future__ import annotations

import datetime as dt
import decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingestion.database.row_text import as_lines

TEXTS = st.one_of(st.none(), st.text(st.sampled_from("\t\n\\N0\0'\"é🫖 \r"), max_size=4))
ROWS = st.lists(st.tuples(TEXTS, TEXTS, st.one_of(st.none(), st.booleans())), max_size=6)


def lines(rows: list[tuple[str | None, str | None, bool | None]]) -> list[str]:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.string(), pa.bool_())
    arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
    found: list[str] = as_lines(pa.table(arrays, names=["a", "b", "c"])).to_pylist()
    return found


@given(ROWS)
def test_rows_with_equal_lines_are_equal(
    rows: list[tuple[str | None, str | None, bool | None]],
) -> None:
    """Risk: a changed row looks unchanged and is not sent; or one row becomes two."""
    found = lines(rows)
    assert len(set(found)) == len(set(rows))
    for line in found:
        assert line.endswith("\n")
        assert line.count("\n") == 1
        assert line.count("\t") == 2
        assert "\0" not in line


def test_values_are_written_as_the_database_reads_them() -> None:
    """Risk: a cent is lost, or a day becomes an instant."""
    table = pa.table(
        {
            "amount": pa.array(
                [decimal.Decimal("12345678901234567890123456.78"), decimal.Decimal("-0.05")],
                pa.decimal128(28, 2),
            ),
            "day": pa.array([dt.date(1, 1, 1), None], pa.date32()),
            "moment": pa.array(["2024-02-29 23:59:58", None]).cast(pa.timestamp("us")),
            "known": [True, False],
            "number": pa.array([-(2**63), 2**63 - 1], pa.int64()),
        }
    )
    assert [line.rstrip("\n").split("\t") for line in as_lines(table).to_pylist()] == [
        [
            "12345678901234567890123456.78",
            "0001-01-01",
            "2024-02-29 23:59:58.000000",
            "1",
            "-9223372036854775808",
        ],
        ["-0.05", "\\N", "\\N", "0", "9223372036854775807"],
    ]
