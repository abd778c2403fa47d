"""Dimension tables become typed Parquet, exactly, from whatever types a user's own tables have."""

from __future__ import annotations

import datetime as dt
import hashlib
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.errors import PipelineError
from ingestion.warehouse.dimension_exports import export_dimensions, hash_judging_values
from ingestion.warehouse.dimension_tables import read_dimension_contracts
from ingestion.warehouse.dimensions import DimensionLoad, load_dimensions
from tests.dimension_files import CONTRACT, rows_of, write_folder


def test_values_arrive_exactly_from_csv_to_parquet(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a cent, a leading zero, an emoji or an accent is lost on the way."""
    loads = load_dimensions(each_engine, write_folder(tmp_path), star)
    paths = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert loads == (
        DimensionLoad("customer", rows=2, inserted=2, updated=0),
        DimensionLoad("product", rows=3, inserted=3, updated=0),
        DimensionLoad("store", rows=2, inserted=2, updated=0),
        DimensionLoad("sales_team", rows=2, inserted=2, updated=0),
    )
    assert rows_of(paths, "customer") == [
        (1, "José", "007", None),
        (2, "jose", None, dt.date(2000, 2, 29)),
    ]
    assert rows_of(paths, "product") == [
        (7, 'tray 12", steel', Decimal("19.9900"), dt.date(2024, 1, 31)),
        (8, "☕ 100 %", Decimal("99999999999999.9999"), None),
        (9, None, None, None),
    ]
    assert rows_of(paths, "store") == [(4, None), (3000000000, True)]
    assert rows_of(paths, "sales_team") == [("Kim", "50%"), ("kim", ":x")]


def test_parquet_has_the_types_of_the_contract(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: Spark reads a price as a float, or a file without rows has no types."""
    paths = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

    schema = pq.read_schema(paths["product"])
    assert schema.names == ["id", "name", "current_price", "created_date"]
    assert schema.types == [pa.int32(), pa.string(), pa.decimal128(18, 4), pa.date32()]
    assert pq.read_table(paths["product"]).num_rows == 0
    assert pq.read_schema(paths["store"]).types == [pa.int64(), pa.bool_()]


def test_an_export_that_a_power_cut_left_empty_is_written_again(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: its name says what should be in it, and each later build ends at the empty file."""
    load_dimensions(each_engine, write_folder(tmp_path), star)
    contracts, bronze = read_dimension_contracts(star), tmp_path / "bronze"
    path = export_dimensions(each_engine, contracts, bronze)["store"]
    path.write_bytes(b"")
    assert export_dimensions(each_engine, contracts, bronze)["store"] == path
    assert pq.read_table(path).num_rows == 2
    written = path.stat().st_mtime_ns
    export_dimensions(each_engine, contracts, bronze)
    assert (path.stat().st_mtime_ns, list(path.parent.iterdir())) == (written, [path])


def test_a_users_own_types_are_read_where_they_fit(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a table made by others (text ids, float prices, timestamps) cannot be exported."""
    with each_engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id varchar(9), name int, current_price double, "
                "created_date datetime)"
            )
        )
        connection.execute(
            sa.text("insert into product values ('12', 5, 19.99, null), ('13', null, 0.1, null)")
        )

    paths = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert rows_of(paths, "product") == [
        (12, "5", Decimal("19.9900"), None),
        (13, None, Decimal("0.1000"), None),
    ]


def test_a_stored_value_that_does_not_fit_is_named(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: 'abc' becomes null or 0 on its way to the marts."""
    with each_engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id int, name char(9), current_price char(9), "
                "created_date char(19))"
            )
        )
        connection.execute(sa.text("insert into product values (1, '', '5', null)"))
        connection.execute(sa.text("insert into product values (2, '', 'abc', null)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

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
    mariadb_engine: Engine, star: Path, tmp_path: Path, key: int, price: str, told: str
) -> None:
    """Risk: what comes from the driver as a number is taken as it is, and is cut or rounded."""
    with mariadb_engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table product (id bigint, name char(9), current_price decimal(30,8), "
                "created_date date)"
            )
        )
        connection.execute(sa.text("insert into product values (0, 'a', 1.50000000, null)"))
        connection.execute(sa.text(f"insert into product values ({key}, 'b', {price}, null)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(mariadb_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert f"The table product holds a value that does not fit: key {key}, {told}" in str(
        raised.value
    )
    with mariadb_engine.begin() as connection:
        connection.execute(sa.text(f"delete from product where id = {key}"))
    paths = export_dimensions(mariadb_engine, read_dimension_contracts(star), tmp_path / "bronze")
    assert rows_of(paths, "product") == [(0, "a", Decimal("1.5000"), None)]


def test_keys_that_are_doubled_or_missing_are_named(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a table without primary key multiplies the sales of a doubled store."""
    with each_engine.begin() as connection:
        connection.execute(sa.text("create table store (id int, is_open int)"))
        connection.execute(sa.text("insert into store values (1, 1), (3, 0), (3, 1)"))

    with pytest.raises(PipelineError) as raised:
        export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert str(raised.value) == (
        "The table store has no unique key. Expected: a unique value in every row. Found: key "
        "3 in two rows. Correct it in the database, and make the column the primary key."
    )
    with each_engine.begin() as connection:
        connection.execute(sa.text("update store set id = null where id = 3"))
    with pytest.raises(PipelineError, match="Found: a row without key"):
        export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")


def test_a_zero_date_becomes_null(mariadb_engine: Engine, star: Path, tmp_path: Path) -> None:
    """Risk: MySQL's '0000-00-00' stops the run, or becomes a day."""
    load_dimensions(mariadb_engine, write_folder(tmp_path), star)
    with mariadb_engine.begin() as connection:
        connection.execute(sa.text("set session sql_mode = ''"))
        connection.execute(sa.text("update product set created_date = '0000-00-00'"))

    paths = export_dimensions(mariadb_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert [row[3] for row in rows_of(paths, "product")] == [None, None, None]


def test_the_same_content_is_the_same_file(each_engine: Engine, star: Path, tmp_path: Path) -> None:
    """Risk: an unchanged dimension looks new, or a changed one overwrites what Spark reads."""
    load_dimensions(each_engine, write_folder(tmp_path), star)
    first = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")
    written = first["store"].stat().st_mtime_ns
    second = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")
    with each_engine.begin() as connection:
        connection.execute(sa.text("update product set name = 'x' where id = 9"))
    third = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")

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
    sqlite_engine: Engine, star: Path, tmp_path: Path, data_type: str, value: str
) -> None:
    """Risk: a rule reads that a store is not open, and old sales are judged as if nobody knew."""
    column = (
        f"{{name: is_open, data_type: '{data_type}', config: {{meta: {{judges_sales: true}}}}}}"
    )
    text = CONTRACT.replace("{name: is_open, data_type: boolean}", column)
    star.write_text(text, encoding="utf-8")
    export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")
    hashes = [hash_judging_values(star, tmp_path / "bronze")]
    for change in ("insert into store (id) values (1)", f"update store set is_open = {value}"):
        with sqlite_engine.begin() as connection:
            connection.execute(sa.text(change))
        export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")
        hashes.append(hash_judging_values(star, tmp_path / "bronze"))
    unknown, known = hashes[1:]
    assert hashes[0] == unknown != known


def test_a_row_that_the_models_leave_out_judges_no_sales(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a row with the key of what is unknown, which no rule sees, has all sales built anew."""
    column = "{name: is_open, data_type: boolean, config: {meta: {judges_sales: true}}}"
    text = CONTRACT.replace("{name: is_open, data_type: boolean}", column)
    star.write_text(text, encoding="utf-8")
    contracts, bronze = read_dimension_contracts(star), tmp_path / "bronze"
    export_dimensions(sqlite_engine, contracts, bronze)
    hashes = [hash_judging_values(star, bronze)]
    for key in (-1, -2):
        with sqlite_engine.begin() as connection:
            connection.execute(sa.text(f"insert into store (id, is_open) values ({key}, true)"))
        export_dimensions(sqlite_engine, contracts, bronze)
        hashes.append(hash_judging_values(star, bronze))
    nothing, left_out, known = hashes
    assert nothing == left_out != known
