"""Dimension tables are loaded by key, on SQLite and on a real MariaDB."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine

from ingestion.errors import PipelineError, UsageError
from ingestion.sample.files import write_sample
from ingestion.sample.spec import SampleSpec
from ingestion.warehouse.dimension_exports import export_dimensions
from ingestion.warehouse.dimension_tables import read_dimension_contracts
from ingestion.warehouse.dimensions import load_dimensions
from tests.dimension_files import CONTRACT, FILES, write_folder

PROJECT_CONTRACT = Path(__file__).parents[2] / "models/staging/_retail__sources.yml"


def test_an_upsert_changes_what_differs_and_leaves_the_rest_alone(
    each_engine: Engine, star: Path, tmp_path: Path, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: a second load doubles rows, or wipes rows and columns that the file does not have."""
    load_dimensions(each_engine, write_folder(tmp_path), star)
    as_owner(each_engine, "alter table product add column shelf varchar(9)")
    with each_engine.begin() as connection:
        connection.execute(sa.text("update product set shelf = 'A1'"))
    again = write_folder(
        tmp_path,
        product="id,name,current_price,created_date\n10,new,1,\n"
        '8,☕ 100 %,0.05,\n7,"tray 12"", steel",19.9900,2024-01-31\n',
    )

    loads = load_dimensions(each_engine, again, star)

    assert [(load.rows, load.inserted, load.updated) for load in loads] == [
        (2, 0, 0),
        (3, 1, 1),
        (2, 0, 0),
        (2, 0, 0),
    ]
    with each_engine.connect() as connection:
        rows = connection.execute(
            sa.text("select id, current_price, shelf from product order by id")
        ).all()
    assert [(key, price and Decimal(str(price)), shelf) for key, price, shelf in rows] == [
        (7, Decimal("19.99"), "A1"),
        (8, Decimal("0.05"), "A1"),
        (9, None, "A1"),
        (10, Decimal(1), None),
    ]


def test_many_wide_rows_fit_the_server(each_engine: Engine, star: Path, tmp_path: Path) -> None:
    """Risk: a statement of 1,000 wide rows is larger than the server's max_allowed_packet."""
    wide = "".join(f"{key},{'é' * 900}{key},,\n" for key in range(2_500))
    folder = write_folder(tmp_path, customer=FILES["customer"].splitlines()[0] + "\n" + wide)
    assert load_dimensions(each_engine, folder, star)[0].inserted == 2_500

    text = (folder / "customer.csv").read_text(encoding="utf-8")
    folder.joinpath("customer.csv").write_text(text.replace("é", "è"), encoding="utf-8")
    assert load_dimensions(each_engine, folder, star)[0].updated == 2_500

    path = export_dimensions(each_engine, read_dimension_contracts(star), tmp_path / "bronze")[
        "customer"
    ]
    assert pq.read_table(path)["customer_id"].to_pylist() == list(range(2_500))


def test_a_failure_in_the_last_table_undoes_the_first(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: customers are new and products old after an error in the middle."""
    load_dimensions(each_engine, write_folder(tmp_path), star)
    with each_engine.begin() as connection:
        connection.execute(sa.text("drop table sales_team"))
        connection.execute(
            sa.text("create table sales_team (id varchar(9), `share %` char(9), b int not null)")
        )
    folder = write_folder(tmp_path, customer=FILES["customer"].replace("José", "Zoë"))

    with pytest.raises(PipelineError):
        load_dimensions(each_engine, folder, star)

    with each_engine.connect() as connection:
        names = {row[0] for row in connection.execute(sa.text("select first_name from customer"))}
    assert names == {"José", "jose"}


def test_a_folder_that_is_not_there_is_wrong_usage(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a typing error in the path reads as four missing files."""
    with pytest.raises(UsageError) as raised:
        load_dimensions(sqlite_engine, tmp_path / "nowhere", star)

    assert str(raised.value) == (
        "The dimensions cannot be loaded. Expected: a folder with customer.csv, product.csv, "
        f"store.csv, sales_team.csv. Found: no folder {tmp_path}/nowhere."
    )


def test_a_contract_without_key_is_wrong_usage(
    sqlite_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: an analyst drops the key's mark and the load goes on by luck."""
    star.write_text(CONTRACT.replace("key: true, ", ""), encoding="utf-8")

    with pytest.raises(UsageError) as raised:
        export_dimensions(sqlite_engine, read_dimension_contracts(star), tmp_path / "bronze")

    assert str(raised.value) == (
        f"The table product in {star} needs a key. Expected: one column with key: true under "
        "config.meta. Found: none."
    )


def test_tables_that_lack_columns_are_named(
    each_engine: Engine, star: Path, tmp_path: Path
) -> None:
    """Risk: a database error about an unknown column, one at a time."""
    with each_engine.begin() as connection:
        connection.execute(sa.text("create table product (ID int, name char(9), extra int)"))
        connection.execute(sa.text("create table store (id int)"))

    with pytest.raises(PipelineError) as raised:
        load_dimensions(each_engine, write_folder(tmp_path), star)

    assert str(raised.value) == (
        "The database's dimension tables lack columns. Found: no product.current_price "
        "(decimal(18,4)), product.created_date (date), store.is_open (boolean). Add them with "
        "ALTER TABLE, or drop the table and load it again."
    )
    assert not sa.inspect(each_engine).has_table("customer")


def test_the_generated_star_fits_the_projects_contract(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: the demo's dimensions and the source YAML drift apart."""
    write_sample(tmp_path, SampleSpec(rows=0, customers=2_345))

    loads = load_dimensions(each_engine, tmp_path / "dimensions", PROJECT_CONTRACT)
    paths = export_dimensions(
        each_engine, read_dimension_contracts(PROJECT_CONTRACT), tmp_path / "bronze"
    )

    written = {"customer": 2_345, "product": 60, "store": 4, "sales_team": 18}
    assert {load.table: load.inserted for load in loads} == written
    assert {table: pq.read_metadata(path).num_rows for table, path in paths.items()} == written
