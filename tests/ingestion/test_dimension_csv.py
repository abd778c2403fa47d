"""The CSV of a dimension is read strictly: all mistakes are told at once, with their places."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.errors import PipelineError
from ingestion.warehouse.dimension_exports import export_dimensions, hidden_rows
from ingestion.warehouse.dimension_tables import read_dimension_contracts
from ingestion.warehouse.dimensions import load_dimensions
from tests.dimension_files import FILES, rows_of, write_folder

BROKEN = "The dimension files in {} have mistakes; nothing was changed. Found: \n- "
MEND = ". Fix them and load again (at most 10 are shown per file)."


def refusal(engine: Engine, folder: Path, star: Path) -> str:
    """The message of a load that is refused, without its frame, and nothing changed."""
    with pytest.raises(PipelineError) as raised:
        load_dimensions(engine, folder, star)
    message, opening = str(raised.value), BROKEN.format(folder)
    assert not any(sa.inspect(engine).has_table(table) for table in FILES)
    assert raised.value.exit_code == 1
    assert (message[: len(opening)], message[-len(MEND) :]) == (opening, MEND)
    return message[len(opening) : -len(MEND)]


def test_all_mistakes_of_all_files_are_told_with_their_address(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a user mends one cell per attempt, or searches the wrong line."""
    folder = write_folder(
        tmp_path,
        customer='customer_id,first_name,phone_number,birth_date\n1,"two\nlines",,\n\n,Bo,,x\n'
        "1,Al,,\n2,,,29.02.2000\n",
        product=b"ID,Name,price,created_date\n",
        store=b"id,is_open\n99999999999999999999,maybe\n1\n2,\xe9\n",
        sales_team=None,
    )

    assert refusal(sqlite_engine, folder, star).split("\n- ") == [
        "customer.csv line 5, column customer_id: expected a value, found nothing",
        "customer.csv line 5, column birth_date: expected a valid date as yyyy-MM-dd, "
        "found a personal value",
        "customer.csv line 6, column customer_id: 1 is already on line 2",
        "customer.csv line 7, column first_name: expected a value, found nothing",
        "customer.csv line 7, column birth_date: expected a valid date as yyyy-MM-dd, "
        "found a personal value",
        "product.csv line 1: missing in the header: current_price",
        "product.csv line 1: unknown or repeated in the header: 'price'",
        "store.csv line 2, column id: expected a whole number from -9223372036854775808 to "
        "9223372036854775807, found '99999999999999999999'",
        "store.csv line 2, column is_open: expected true or false, found 'maybe'",
        "store.csv line 3: expected 2 values, found 1",
        "store.csv line 4, column is_open: expected UTF-8 text of at most 65535 bytes, without "
        "NUL; found '�'",
        "sales_team.csv: the file is missing",
    ]


@pytest.mark.parametrize(
    ("row", "mistake"),
    [
        ("1.0,a,1,", ", column id: expected a whole number from -2147483648 to 2147483647, "
         "found '1.0'"),
        ("2147483648,a,1,", ", column id: expected a whole number from -2147483648 to 2147483647, "
         "found '2147483648'"),
        ("1,a,1e3,", ", column current_price: expected a plain decimal of at most 14 digits and 4 "
         "decimals, found '1e3'"),
        ("1,a,0.00001,", ", column current_price: expected a plain decimal of at most 14 digits "
         "and 4 decimals, found '0.00001'"),
        ("1,a,100000000000000,", ", column current_price: expected a plain decimal of at most 14 "
         "digits and 4 decimals, found '100000000000000'"),
        ("1,a,-0.01,", ", column current_price: expected at least 0, found '-0.01'"),
        ("1,a,1,2100-01-01", ", column created_date: expected at most 2099-12-31, found "
         "'2100-01-01'"),
        ("1,a,1,2023-02-29", ", column created_date: expected a valid date as yyyy-MM-dd, found "
         "'2023-02-29'"),
        ("1,a,1,0000-00-00", ", column created_date: expected a valid date as yyyy-MM-dd, found "
         "'0000-00-00'"),
        ('1,"a', ": the record starting here is not valid CSV (unexpected end of data)"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_quite_right_is_refused(
    row: str, mistake: str, sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a value is rounded, cut or guessed instead of refused."""
    folder = write_folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n" + row)

    assert refusal(sqlite_engine, folder, star) == f"product.csv line 2{mistake}"


def test_a_spreadsheets_file_is_read(sqlite_engine: Engine, star: Path, tmp_path: Path) -> None:
    """Risk: a mark, CRLF, another order or an alias in the header stops an honest file."""
    folder = write_folder(
        tmp_path,
        product=b"\xef\xbb\xbfCreated Date,current-price,PRODUCT,name\r\n,5,1,a\r\n\r\n,,,\r\n"
        b",,,\r\n",
        store="id,is_open\n1,true\n,\n2,\n,true\n,,\n",
    )

    assert refusal(sqlite_engine, folder, star).split("\n- ") == [
        "store.csv line 5, column id: expected a value, found nothing",
        "store.csv line 6: expected 2 values, found 3",
    ]
    write_folder(tmp_path, product=(folder / "product.csv").read_bytes())
    assert load_dimensions(sqlite_engine, folder, star)[1].inserted == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("ID;Name;Price\n1;a,b;\n", "the header is separated by ';'; expected commas"),
        ('"id";"name"\n', "the header is separated by ';'; expected commas"),
        ("id\tname\r\n", "the header is separated by '\\t'; expected commas"),
        ("id,name\n".encode("utf-16"), "the file begins with the mark of UTF-16; expected UTF-8"),
        (
            "1;a;5;2024-01-01\n",
            "there are no column names; expected a header with id, name, current_price, "
            "created_date",
        ),
    ],
)
def test_another_form_than_commas_and_utf8_is_named(
    sqlite_engine: Engine, star: Path, tmp_path: Path, content: str | bytes, told: str
) -> None:
    """Risk: it says that there are no column names, and all of them are there."""
    folder = write_folder(tmp_path, product=content)
    assert refusal(sqlite_engine, folder, star) == f"product.csv line 1: {told}"


def test_only_mysqls_own_mark_stands_for_null(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: an export of MySQL gives customers the name '\\N', or Mr Null loses his."""
    rows = "7,\\N,\\N,\\N\n8,Null,,\n9,n/a \\N,,\n"
    folder = write_folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n" + rows)

    load_dimensions(sqlite_engine, folder, star)
    paths = export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert rows_of(paths, "product") == [
        (7, None, None, None),
        (8, "Null", None, None),
        (9, "n/a \\N", None, None),
    ]
    keyless = write_folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n\\N,a,,\n")
    with pytest.raises(PipelineError, match="column id: expected a value, found nothing"):
        load_dimensions(sqlite_engine, keyless, star)


def test_the_key_of_what_is_unknown_is_no_ones(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a till's customer -1 for all who walk in is told as new, and shows nowhere."""
    folder = write_folder(
        tmp_path, customer=FILES["customer"] + "-1,Walk-in,,\n", store="id\n-10\n"
    )
    assert refusal(sqlite_engine, folder, star).split("\n- ") == [
        "customer.csv line 4, column customer_id: expected another key, for -1 stands for what is "
        "unknown",
        "store.csv line 1: missing in the header: is_open",
    ]
    load_dimensions(sqlite_engine, write_folder(tmp_path, sales_team="id,share %\n-1,\n"), star)
    export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")
    assert hidden_rows(read_dimension_contracts(star), tmp_path / "bronze") == []
    with sqlite_engine.begin() as connection:  # somebody else fills the tables
        connection.execute(sa.text("insert into customer (customer_id) values (-1), (-10)"))
        connection.execute(sa.text("insert into store (id) values (-1)"))
    export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")
    assert hidden_rows(read_dimension_contracts(star), tmp_path / "bronze") == [
        f"the table {table} has a row with {key} -1, which stands for what is unknown: the row is "
        "left out; give it another key"
        for table, key in (("customer", "customer_id"), ("store", "id"))
    ]
