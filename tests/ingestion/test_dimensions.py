"""Dimension tables: strict CSV in, typed Parquet out, on SQLite and on a real MariaDB."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.database.engine import connect
from ingestion.errors import PipelineError, UsageError
from ingestion.sample.files import write_sample
from ingestion.sample.spec import SampleSpec
from ingestion.warehouse.dimensions import (
    DIMENSION_TABLES,
    DimensionLoad,
    export_dimensions,
    hidden_rows,
    judging_values,
    load_dimensions,
    read_dimension_contracts,
)

PROJECT_CONTRACT = Path(__file__).parents[2] / "models/staging/_retail__sources.yml"
CONTRACT = """
sources:
  - name: retail
    tables:
      - name: customer
        columns:
          - {name: customer_id, data_type: int, config: {meta: {key: true}}}
          - {name: first_name, data_type: string, config: {meta: {required: true}}}
          - {name: phone_number, data_type: string, config: {meta: {personal: true}}}
          - {name: birth_date, data_type: date, config: {meta: {personal: true}}}
      - name: product
        columns:
          - {name: id, data_type: int, config: {meta: {key: true, aliases: [Product]}}}
          - {name: name, data_type: string}
          - {name: current_price, data_type: 'decimal(18,4)', config: {meta: {minimum: "0"}}}
          - {name: created_date, data_type: date, config: {meta: {maximum: "2099-12-31"}}}
      - name: store
        columns:
          - {name: id, data_type: bigint, config: {meta: {key: true}}}
          - {name: is_open, data_type: boolean}
      - name: sales_team
        columns:
          - {name: id, data_type: string, config: {meta: {key: true}}}
          - {name: 'share %', data_type: string}
"""
FILES = {
    "customer": "customer_id,first_name,phone_number,birth_date\n1,José,007,\n2,jose,,2000-02-29\n",
    "product": "id,name,current_price,created_date\n"
    '7,"tray 12"", steel",19.99,2024-01-31\n8,☕ 100 %,99999999999999.9999,\n9,,,\n',
    "store": "is_open,id\ntrue,3000000000\n,4\n",
    "sales_team": "id,share %\nKim,50%\nkim,:x\n",
}
BROKEN = "The dimension files in {} have mistakes; nothing was changed. Found: \n- "
MEND = ". Fix them and load again (at most 10 are shown per file)."


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Engine]:
    """An empty SQLite database."""
    engine = connect(sa.make_url(f"sqlite:///{tmp_path}/database.sqlite"))
    yield engine
    engine.dispose()


@pytest.fixture
def mariadb(mariadb_url: str) -> Iterator[Engine]:
    """An empty database of the real server."""
    engine = connect(sa.make_url(mariadb_url))
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Either database."""
    database: Engine = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def contract(tmp_path: Path) -> Path:
    """A source definition with a column of each type."""
    path = tmp_path / "_retail__sources.yml"
    path.write_text(CONTRACT, encoding="utf-8")
    return path


def _folder(tmp_path: Path, **files: str | bytes | None) -> Path:
    """A folder with the four good files, some replaced, or left out where None."""
    folder = tmp_path / "dimensions"
    folder.mkdir(exist_ok=True)
    for table, content in {**FILES, **files}.items():
        path = folder / f"{table}.csv"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _refusal(engine: Engine, folder: Path, contract: Path) -> str:
    """The message of a load that is refused, without its frame, and nothing changed."""
    with pytest.raises(PipelineError) as raised:
        load_dimensions(engine, folder, contract)
    message, opening = str(raised.value), BROKEN.format(folder)
    assert not any(sa.inspect(engine).has_table(table) for table in DIMENSION_TABLES)
    assert raised.value.exit_code == 1
    assert (message[: len(opening)], message[-len(MEND) :]) == (opening, MEND)
    return message[len(opening) : -len(MEND)]


def _rows(paths: dict[str, Path], table: str) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in pq.read_table(paths[table]).to_pylist()]


def test_values_arrive_exactly_from_csv_to_parquet(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a cent, a leading zero, an emoji or an accent is lost on the way."""
    loads = load_dimensions(engine, _folder(tmp_path), contract)
    paths = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    assert loads == (
        DimensionLoad("customer", rows=2, inserted=2, updated=0),
        DimensionLoad("product", rows=3, inserted=3, updated=0),
        DimensionLoad("store", rows=2, inserted=2, updated=0),
        DimensionLoad("sales_team", rows=2, inserted=2, updated=0),
    )
    assert _rows(paths, "customer") == [
        (1, "José", "007", None),
        (2, "jose", None, dt.date(2000, 2, 29)),
    ]
    assert _rows(paths, "product") == [
        (7, 'tray 12", steel', Decimal("19.9900"), dt.date(2024, 1, 31)),
        (8, "☕ 100 %", Decimal("99999999999999.9999"), None),
        (9, None, None, None),
    ]
    assert _rows(paths, "store") == [(4, None), (3000000000, True)]
    assert _rows(paths, "sales_team") == [("Kim", "50%"), ("kim", ":x")]


def test_parquet_has_the_types_of_the_contract(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: Spark reads a price as a float, or a file without rows has no types."""
    paths = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    schema = pq.read_schema(paths["product"])
    assert schema.names == ["id", "name", "current_price", "created_date"]
    assert schema.types == [pa.int32(), pa.string(), pa.decimal128(18, 4), pa.date32()]
    assert pq.read_table(paths["product"]).num_rows == 0
    assert pq.read_schema(paths["store"]).types == [pa.int64(), pa.bool_()]


def test_an_export_that_a_power_cut_left_empty_is_written_again(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: its name says what should be in it, and each later build ends at the empty file."""
    load_dimensions(engine, _folder(tmp_path), contract)
    contracts, bronze = read_dimension_contracts(contract), tmp_path / "bronze"
    path = export_dimensions(engine, contracts, bronze)["store"]
    path.write_bytes(b"")
    assert export_dimensions(engine, contracts, bronze)["store"] == path
    assert pq.read_table(path).num_rows == 2
    written = path.stat().st_mtime_ns
    export_dimensions(engine, contracts, bronze)
    assert (path.stat().st_mtime_ns, list(path.parent.iterdir())) == (written, [path])


def test_an_upsert_changes_what_differs_and_leaves_the_rest_alone(
    engine: Engine, contract: Path, tmp_path: Path, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: a second load doubles rows, or wipes rows and columns that the file does not have."""
    load_dimensions(engine, _folder(tmp_path), contract)
    as_owner(engine, "alter table product add column shelf varchar(9)")
    with engine.begin() as connection:
        connection.execute(sa.text("update product set shelf = 'A1'"))
    again = _folder(
        tmp_path,
        product="id,name,current_price,created_date\n10,new,1,\n"
        '8,☕ 100 %,0.05,\n7,"tray 12"", steel",19.9900,2024-01-31\n',
    )

    loads = load_dimensions(engine, again, contract)

    assert [(load.rows, load.inserted, load.updated) for load in loads] == [
        (2, 0, 0),
        (3, 1, 1),
        (2, 0, 0),
        (2, 0, 0),
    ]
    with engine.connect() as connection:
        rows = connection.execute(
            sa.text("select id, current_price, shelf from product order by id")
        ).all()
    assert [(key, price and Decimal(str(price)), shelf) for key, price, shelf in rows] == [
        (7, Decimal("19.99"), "A1"),
        (8, Decimal("0.05"), "A1"),
        (9, None, "A1"),
        (10, Decimal(1), None),
    ]


def test_many_wide_rows_fit_the_server(engine: Engine, contract: Path, tmp_path: Path) -> None:
    """Risk: a statement of 1,000 wide rows is larger than the server's max_allowed_packet."""
    wide = "".join(f"{key},{'é' * 900}{key},,\n" for key in range(2_500))
    folder = _folder(tmp_path, customer=FILES["customer"].splitlines()[0] + "\n" + wide)
    assert load_dimensions(engine, folder, contract)[0].inserted == 2_500

    text = (folder / "customer.csv").read_text(encoding="utf-8")
    folder.joinpath("customer.csv").write_text(text.replace("é", "è"), encoding="utf-8")
    assert load_dimensions(engine, folder, contract)[0].updated == 2_500

    path = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")[
        "customer"
    ]
    assert pq.read_table(path)["customer_id"].to_pylist() == list(range(2_500))


def test_a_failure_in_the_last_table_undoes_the_first(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: customers are new and products old after an error in the middle."""
    load_dimensions(engine, _folder(tmp_path), contract)
    with engine.begin() as connection:
        connection.execute(sa.text("drop table sales_team"))
        connection.execute(
            sa.text("create table sales_team (id varchar(9), `share %` char(9), b int not null)")
        )
    folder = _folder(tmp_path, customer=FILES["customer"].replace("José", "Zoë"))

    with pytest.raises(PipelineError):
        load_dimensions(engine, folder, contract)

    with engine.connect() as connection:
        names = {row[0] for row in connection.execute(sa.text("select first_name from customer"))}
    assert names == {"José", "jose"}


def test_all_mistakes_of_all_files_are_told_with_their_address(
    sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a user mends one cell per attempt, or searches the wrong line."""
    folder = _folder(
        tmp_path,
        customer='customer_id,first_name,phone_number,birth_date\n1,"two\nlines",,\n\n,Bo,,x\n'
        "1,Al,,\n2,,,29.02.2000\n",
        product=b"ID,Name,price,created_date\n",
        store=b"id,is_open\n99999999999999999999,maybe\n1\n2,\xe9\n",
        sales_team=None,
    )

    assert _refusal(sqlite, folder, contract).split("\n- ") == [
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
    row: str, mistake: str, sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a value is rounded, cut or guessed instead of refused."""
    folder = _folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n" + row)

    assert _refusal(sqlite, folder, contract) == f"product.csv line 2{mistake}"


def test_a_spreadsheets_file_is_read(sqlite: Engine, contract: Path, tmp_path: Path) -> None:
    """Risk: a mark, CRLF, another order or an alias in the header stops an honest file."""
    folder = _folder(
        tmp_path,
        product=b"\xef\xbb\xbfCreated Date,current-price,PRODUCT,name\r\n,5,1,a\r\n\r\n,,,\r\n"
        b",,,\r\n",
        store="id,is_open\n1,true\n,\n2,\n,true\n,,\n",
    )

    assert _refusal(sqlite, folder, contract).split("\n- ") == [
        "store.csv line 5, column id: expected a value, found nothing",
        "store.csv line 6: expected 2 values, found 3",
    ]
    _folder(tmp_path, product=(folder / "product.csv").read_bytes())
    assert load_dimensions(sqlite, folder, contract)[1].inserted == 1


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
    sqlite: Engine, contract: Path, tmp_path: Path, content: str | bytes, told: str
) -> None:
    """Risk: it says that there are no column names, and all of them are there."""
    folder = _folder(tmp_path, product=content)
    assert _refusal(sqlite, folder, contract) == f"product.csv line 1: {told}"


def test_only_mysqls_own_mark_stands_for_null(
    sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: an export of MySQL gives customers the name '\\N', or Mr Null loses his."""
    rows = "7,\\N,\\N,\\N\n8,Null,,\n9,n/a \\N,,\n"
    folder = _folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n" + rows)

    load_dimensions(sqlite, folder, contract)
    paths = export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")

    assert _rows(paths, "product") == [
        (7, None, None, None),
        (8, "Null", None, None),
        (9, "n/a \\N", None, None),
    ]
    keyless = _folder(tmp_path, product=FILES["product"].splitlines()[0] + "\n\\N,a,,\n")
    with pytest.raises(PipelineError, match="column id: expected a value, found nothing"):
        load_dimensions(sqlite, keyless, contract)


def test_the_key_of_what_is_unknown_is_no_ones(
    sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a till's customer -1 for all who walk in is told as new, and shows nowhere."""
    folder = _folder(tmp_path, customer=FILES["customer"] + "-1,Walk-in,,\n", store="id\n-10\n")
    assert _refusal(sqlite, folder, contract).split("\n- ") == [
        "customer.csv line 4, column customer_id: expected another key, for -1 stands for what is "
        "unknown",
        "store.csv line 1: missing in the header: is_open",
    ]
    load_dimensions(sqlite, _folder(tmp_path, sales_team="id,share %\n-1,\n"), contract)
    export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")
    assert hidden_rows(read_dimension_contracts(contract), tmp_path / "bronze") == []
    with sqlite.begin() as connection:  # somebody else fills the tables
        connection.execute(sa.text("insert into customer (customer_id) values (-1), (-10)"))
        connection.execute(sa.text("insert into store (id) values (-1)"))
    export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")
    assert hidden_rows(read_dimension_contracts(contract), tmp_path / "bronze") == [
        f"the table {table} has a row with {key} -1, which stands for what is unknown: the row is "
        "left out; give it another key"
        for table, key in (("customer", "customer_id"), ("store", "id"))
    ]


def test_a_folder_that_is_not_there_is_wrong_usage(
    sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a typing error in the path reads as four missing files."""
    with pytest.raises(UsageError) as raised:
        load_dimensions(sqlite, tmp_path / "nowhere", contract)

    assert str(raised.value) == (
        "The dimensions cannot be loaded. Expected: a folder with customer.csv, product.csv, "
        f"store.csv, sales_team.csv. Found: no folder {tmp_path}/nowhere."
    )


def test_a_contract_without_key_is_wrong_usage(
    sqlite: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: an analyst drops the key's mark and the load goes on by luck."""
    contract.write_text(CONTRACT.replace("key: true, ", ""), encoding="utf-8")

    with pytest.raises(UsageError) as raised:
        export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")

    assert str(raised.value) == (
        f"The table product in {contract} needs a key. Expected: one column with key: true under "
        "config.meta. Found: none."
    )


def test_tables_that_lack_columns_are_named(engine: Engine, contract: Path, tmp_path: Path) -> None:
    """Risk: a database error about an unknown column, one at a time."""
    with engine.begin() as connection:
        connection.execute(sa.text("create table product (ID int, name char(9), extra int)"))
        connection.execute(sa.text("create table store (id int)"))

    with pytest.raises(PipelineError) as raised:
        load_dimensions(engine, _folder(tmp_path), contract)

    assert str(raised.value) == (
        "The database's dimension tables lack columns. Found: no product.current_price "
        "(decimal(18,4)), product.created_date (date), store.is_open (boolean). Add them with "
        "ALTER TABLE, or drop the table and load it again."
    )
    assert not sa.inspect(engine).has_table("customer")


def test_a_users_own_types_are_read_where_they_fit(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a table made by others (text ids, float prices, timestamps) cannot be exported."""
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id varchar(9), name int, current_price double, "
                "created_date datetime)"
            )
        )
        connection.execute(
            sa.text("insert into product values ('12', 5, 19.99, null), ('13', null, 0.1, null)")
        )

    paths = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    assert _rows(paths, "product") == [
        (12, "5", Decimal("19.9900"), None),
        (13, None, Decimal("0.1000"), None),
    ]


def test_a_stored_value_that_does_not_fit_is_named(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: 'abc' becomes null or 0 on its way to the marts."""
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id int, name char(9), current_price char(9), "
                "created_date char(19))"
            )
        )
        connection.execute(sa.text("insert into product values (1, '', '5', null)"))
        connection.execute(sa.text("insert into product values (2, '', 'abc', null)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    assert str(raised.value) == (
        "The table product holds a value that does not fit: key 2, column current_price. "
        "Expected: a plain decimal of at most 14 digits and 4 decimals. Found: 'abc'. Correct it "
        "in the database, or change the column's data_type in the source YAML."
    )


@pytest.mark.parametrize(
    ("key", "price", "told"),
    [
        (
            2147483648,
            "1.5",
            "column id. Expected: a whole number from -2147483648 to 2147483647. "
            "Found: '2147483648'. ",
        ),
        (
            1,
            "0.00001",
            "column current_price. Expected: a plain decimal of at most 14 digits and 4 decimals. "
            "Found: '0.00001000'. ",
        ),
    ],
    ids=["too large", "too fine"],
)
def test_a_stored_number_that_does_not_fit_is_named(
    mariadb: Engine, contract: Path, tmp_path: Path, key: int, price: str, told: str
) -> None:
    """Risk: what comes from the driver as a number is taken as it is, and is cut or rounded."""
    with mariadb.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id bigint, name char(9), current_price decimal(30,8), "
                "created_date date)"
            )
        )
        connection.execute(sa.text("insert into product values (0, 'a', 1.50000000, null)"))
        connection.execute(sa.text(f"insert into product values ({key}, 'b', {price}, null)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(mariadb, read_dimension_contracts(contract), tmp_path / "bronze")

    assert f"The table product holds a value that does not fit: key {key}, {told}" in str(
        raised.value
    )
    with mariadb.begin() as connection:
        connection.execute(sa.text(f"delete from product where id = {key}"))
    paths = export_dimensions(mariadb, read_dimension_contracts(contract), tmp_path / "bronze")
    assert _rows(paths, "product") == [(0, "a", Decimal("1.5000"), None)]


def test_keys_that_are_doubled_or_missing_are_named(
    engine: Engine, contract: Path, tmp_path: Path
) -> None:
    """Risk: a table without primary key multiplies the sales of a doubled store."""
    with engine.begin() as connection:
        connection.execute(sa.text("create table store (id int, is_open int)"))
        connection.execute(sa.text("insert into store values (1, 1), (3, 0), (3, 1)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    assert str(raised.value) == (
        "The table store has no unique key. Expected: a unique value in every row. Found: key "
        "3 in two rows. Correct it in the database, and make the column the primary key."
    )
    with engine.begin() as connection:
        connection.execute(sa.text("update store set id = null where id = 3"))
    with pytest.raises(PipelineError, match="Found: a row without key"):
        export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")


def test_a_zero_date_becomes_null(mariadb: Engine, contract: Path, tmp_path: Path) -> None:
    """Risk: MySQL's '0000-00-00' stops the run, or becomes a day."""
    load_dimensions(mariadb, _folder(tmp_path), contract)
    with mariadb.begin() as connection:
        connection.execute(sa.text("set session sql_mode = ''"))
        connection.execute(sa.text("update product set created_date = '0000-00-00'"))

    paths = export_dimensions(mariadb, read_dimension_contracts(contract), tmp_path / "bronze")

    assert [row[3] for row in _rows(paths, "product")] == [None, None, None]


def test_the_same_content_is_the_same_file(engine: Engine, contract: Path, tmp_path: Path) -> None:
    """Risk: an unchanged dimension looks new, or a changed one overwrites what Spark reads."""
    load_dimensions(engine, _folder(tmp_path), contract)
    first = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")
    written = first["store"].stat().st_mtime_ns
    second = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")
    with engine.begin() as connection:
        connection.execute(sa.text("update product set name = 'x' where id = 9"))
    third = export_dimensions(engine, read_dimension_contracts(contract), tmp_path / "bronze")

    digest = hashlib.sha256(third["product"].read_bytes()).hexdigest()
    assert third["product"] == tmp_path / "bronze/product" / f"{digest}.parquet"
    assert second == first
    assert {table for table in first if third[table] != first[table]} == {"product"}
    assert list(third["product"].parent.iterdir()) == [third["product"]], "the folder is the table"
    assert first["store"].stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("data_type", "value"),
    [("boolean", "false"), ("int", "0"), ("decimal(18,4)", "0"), ("string", "''")],
)
def test_a_value_that_judges_sales_differs_from_none(
    sqlite: Engine, contract: Path, tmp_path: Path, data_type: str, value: str
) -> None:
    """Risk: a rule reads that a store is not open, and old sales are judged as if nobody knew."""
    column = (
        f"{{name: is_open, data_type: '{data_type}', config: {{meta: {{judges_sales: true}}}}}}"
    )
    text = CONTRACT.replace("{name: is_open, data_type: boolean}", column)
    contract.write_text(text, encoding="utf-8")
    export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")
    hashes = [judging_values(contract, tmp_path / "bronze")]
    for change in ("insert into store (id) values (1)", f"update store set is_open = {value}"):
        with sqlite.begin() as connection:
            connection.execute(sa.text(change))
        export_dimensions(sqlite, read_dimension_contracts(contract), tmp_path / "bronze")
        hashes.append(judging_values(contract, tmp_path / "bronze"))
    unknown, known = hashes[1:]
    assert hashes[0] == unknown != known


def test_the_generated_star_fits_the_projects_contract(engine: Engine, tmp_path: Path) -> None:
    """Risk: the demo's dimensions and the source YAML drift apart."""
    write_sample(tmp_path, SampleSpec(rows=0, customers=2_345))

    loads = load_dimensions(engine, tmp_path / "dimensions", PROJECT_CONTRACT)
    paths = export_dimensions(
        engine, read_dimension_contracts(PROJECT_CONTRACT), tmp_path / "bronze"
    )

    written = {"customer": 2_345, "product": 60, "store": 4, "sales_team": 18}
    assert {load.table: load.inserted for load in loads} == written
    assert {table: pq.read_metadata(path).num_rows for table, path in paths.items()} == written
