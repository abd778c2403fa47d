"""Published tables change in one step, keep their definition, and hold exactly what was built."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import re
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from ingestion.database.engine import connect, translated_errors
from ingestion.database.errors import describe
from ingestion.errors import PipelineError
from ingestion.publication import mart_tables
from ingestion.publication.manifest import MartTable
from ingestion.publication.mart_tables import (
    check_live_tables,
    ensure_live_tables,
    load_beside,
    partition_values,
    swap_in,
)
from tests.mart_versions import load, local_path, show, with_rows
from tests.services import MariaDb

MART = MartTable(
    name="totals",
    columns=(
        ("customer_id", "int"),
        ("full_name", "string"),
        ("first_day", "date"),
        ("sales_month", "string"),
        ("total_sales", "decimal(28,2)"),
    ),
    key=("customer_id", "sales_month"),
    in_database=True,
    partition_columns=("sales_month",),
    files=(),
)
NO_FIT = (
    "Tables in the database do not match what is to be published. Expected: every column of the "
    "published model, in a type that holds its values; no other required column; the model's key. "
    "Found: \n- {}. Correct them (alter table), or drop them to have them recreated."
)
Row = tuple[int, str | None, str]
MONTHS = {
    "2024-02": [(1, "Asha 🫖", "0.10"), (2, "Bo", "7.00")],
    "2024-03": [(1, "Asha 🫖", "12345678901234567890123456.78")],
    "2024-04": [(4, "Dan", "4.00")],
}


def version(folder: Path, months: dict[str, list[Row]]) -> MartTable:
    """The mart with these rows, without its partition column, as Spark writes it."""
    partitions = {
        f"sales_month={month}": pa.table(
            {
                "customer_id": pa.array([row[0] for row in rows], pa.int32()),
                "full_name": pa.array([row[1] for row in rows], pa.string()),
                "first_day": pa.array([dt.date(2024, 3, 1)] * len(rows), pa.date32()),
                "total_sales": pa.array(
                    [decimal.Decimal(row[2]) for row in rows], pa.decimal128(28, 2)
                ),
            }
        )
        for month, rows in months.items()
    }
    return with_rows(MART, folder, partitions)


def found(engine: Engine) -> dict[str, list[Row]]:
    months: dict[str, list[Row]] = {}
    with engine.connect() as connection:
        query = "select sales_month, customer_id, full_name, total_sales from totals order by 1, 2"
        for month, *values in connection.execute(sa.text(query)):
            months.setdefault(month, []).append((values[0], values[1], str(values[2])))
    return months


def test_only_rows_that_changed_are_sent(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: a day's run sends whole months again; or a row that went, or a month, stays."""
    first = version(tmp_path, MONTHS)
    assert show(each_engine, (None, first)) == 4
    assert found(each_engine) == MONTHS
    months: dict[str, list[Row]] = {
        "2024-02": [(2, "Bo", "7.00"), (3, None, "-1.00")],  # 1 goes, 2 stays, 3 is new
        "2024-03": [(1, "José\t\\N\n", "12345678901234567890123456.78")],  # another name
    }
    second = version(tmp_path, months)
    assert show(each_engine, (first, second)) == 2
    assert found(each_engine) == months
    assert show(each_engine, (second, second)) == 0
    assert found(each_engine) == months


def test_a_server_that_reads_no_local_files_gets_the_same_rows(
    mariadb_server: MariaDb, mariadb_url: str, tmp_path: Path
) -> None:
    """Risk: where loading from files is forbidden, as MySQL does by default, rows or keys that were
    read before the server said so are there twice, and nothing is published any more."""
    engine = connect(make_url(mariadb_url))
    months: dict[str, list[Row]] = {
        "2024-02": [(2, "Bo", "7.00"), (3, None, "-1.00")],
        "2024-03": [(1, "José\t\\N\n", "12345678901234567890123456.78")],
    }
    with mariadb_server.variable("local_infile", 0):
        first = version(tmp_path, MONTHS)
        assert show(engine, (None, first)) == 4
        assert found(engine) == MONTHS
        assert show(engine, (first, version(tmp_path, months))) == 2
        assert found(engine) == months
    engine.dispose()


def test_a_table_that_comes_back_to_the_database_is_loaded_whole(
    each_engine: Engine, tmp_path: Path
) -> None:
    """Risk: it shows the rows that it had when it was taken out, for they are as many."""
    show(each_engine, (None, version(tmp_path, MONTHS)))
    months: dict[str, list[Row]] = {**MONTHS, "2024-04": [(4, "Dan", "5.00")]}
    now = version(tmp_path, months)
    assert show(each_engine, (dataclasses.replace(now, in_database=False), now)) == 4
    assert found(each_engine) == months


def test_a_partition_too_large_to_compare_is_replaced(
    each_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: a large month takes all memory; or its neighbours are lost when it is replaced."""
    monkeypatch.setattr(mart_tables, "COMPARED_ROWS", 2)
    first = version(tmp_path, MONTHS)
    show(each_engine, (None, first))
    months: dict[str, list[Row]] = {
        **MONTHS,
        "2024-02": [(2, "Bo", "7.00"), (3, "Cy", "1.00")],
        "2024-04": [(4, "Dan", "5.00")],
    }
    assert show(each_engine, (first, version(tmp_path, months))) == 3
    assert found(each_engine) == months


def show_after(statement: str, engine: Engine, folder: Path, months: dict[str, list[Row]]) -> int:
    """Publishes ``MONTHS``, lets somebody else do ``statement``, then publishes ``months``."""
    first = version(folder, MONTHS)
    show(engine, (None, first))
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    return show(engine, (first, version(folder, months)))


def test_a_table_that_lost_its_rows_is_loaded_whole(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: somebody drops a table to have it made anew, and gets the last day's rows only."""
    months: dict[str, list[Row]] = {**MONTHS, "2024-04": [(4, "Dan", "5.00")]}
    assert show_after("drop table totals", each_engine, tmp_path, months) == 4
    assert found(each_engine) == months


def test_a_row_of_somebody_elses_gives_way(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: a row typed into a mart by hand makes every later publication fail."""
    typed = "update totals set customer_id = 5 where customer_id = 4"
    months: dict[str, list[Row]] = {**MONTHS, "2024-04": [(4, "Dan", "4.00"), (5, "Eve", "5.00")]}
    assert show_after(typed, each_engine, tmp_path, months) == 1
    assert found(each_engine)["2024-04"] == [(5, "Eve", "5.00")]


def test_a_mart_without_a_key_is_replaced_by_partition(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: rows of a model without a key are added a second time."""
    keyless = with_rows(
        MartTable("plain", (("n", "int"),), (), True, (), ()), tmp_path, {"": pa.table({"n": [1]})}
    )
    other = with_rows(keyless, tmp_path, {"": pa.table({"n": [1, 2]})})
    show(each_engine, (None, keyless))
    assert show(each_engine, (keyless, other)) == 2
    with each_engine.connect() as connection:
        rows = connection.execute(sa.text("select n from plain order by n")).scalars().all()
    assert rows == [1, 2]


def test_what_a_killed_run_left_is_gone_after_the_next(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: half loaded tables stay for good beside a mart that does not change again."""
    first = version(tmp_path, MONTHS)
    show(each_engine, (None, first))
    load_beside(each_engine, first, version(tmp_path, {}), local_path, "89abcdef")
    assert len(sa.inspect(each_engine).get_table_names()) == 3
    assert show(each_engine, (first, first)) == 0
    assert sa.inspect(each_engine).get_table_names() == ["totals"]


def test_a_failed_swap_leaves_the_old_rows(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: readers meet an empty month after an error in the middle."""
    first = version(tmp_path, MONTHS)
    show(each_engine, (None, first))
    [change] = load(each_engine, [(first, version(tmp_path, {}))])
    with each_engine.connect() as connection:
        swap_in(connection, change)
        assert connection.execute(sa.text("select count(*) from totals")).scalar() == 0
        connection.rollback()
    assert found(each_engine) == MONTHS


def test_publishing_keeps_what_a_database_owner_added(
    each_engine: Engine, tmp_path: Path, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: indexes and columns of the live table are lost with each publication."""
    ensure_live_tables(each_engine, [MART])
    as_owner(each_engine, "create index by_month on totals (sales_month)")
    as_owner(each_engine, "alter table totals add column remark varchar(10)")
    show(each_engine, (None, version(tmp_path, MONTHS)))
    inspector = sa.inspect(each_engine)
    assert [index["name"] for index in inspector.get_indexes("totals")] == ["by_month"]
    assert inspector.get_pk_constraint("totals")["constrained_columns"] == [
        "customer_id",
        "sales_month",
    ]
    assert inspector.get_table_names() == ["totals"]
    assert found(each_engine) == MONTHS


def test_a_table_that_lacks_a_column_is_named(each_engine: Engine) -> None:
    """Risk: an old table makes the run fail half way, with a driver's message."""
    with each_engine.begin() as connection:
        connection.execute(sa.text("create table totals (customer_id int, full_name text)"))
    finer = dataclasses.replace(MART, name="finer")
    with pytest.raises(PipelineError) as misfit:
        check_live_tables(each_engine, [MART, finer])
    assert sa.inspect(each_engine).get_table_names() == ["totals"], "looking creates no table"
    with pytest.raises(PipelineError) as misfit_of_load:
        ensure_live_tables(each_engine, [MART])
    assert str(misfit.value) == str(misfit_of_load.value)
    is_mysql = each_engine.dialect.name != "sqlite"
    money = "NUMERIC(28, 2)" if is_mysql else "TEXT"
    month = "VARCHAR(191)" + (" character set utf8mb4 collate utf8mb4_bin" if is_mysql else "")
    assert str(misfit.value) == NO_FIT.format(
        "totals.first_day: no such column (alter table totals add column first_day DATE)\n- "
        "totals.sales_month: no such column (alter table totals add column sales_month "
        f"{month} not null)\n- totals.total_sales: no such column (alter table totals add column "
        f"total_sales {money})"
    )


def test_a_column_that_is_missing_may_have_had_another_name(
    each_engine: Engine, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: told to add a column that was only renamed, an admin leaves the old one behind, in
    which readers find null."""
    with each_engine.begin() as connection:
        connection.execute(sa.text("create table totals (customer_id int, `the name` text)"))
        connection.execute(sa.text("create table sums (customer_id int, a int, b int)"))
    found = []
    for name in ("totals", "sums"):
        mart = dataclasses.replace(MART, name=name, columns=MART.columns[:2], key=())
        with pytest.raises(PipelineError) as misfit:
            check_live_tables(each_engine, [mart])
        found.append(str(misfit.value))
    text = "TEXT"
    if each_engine.dialect.name != "sqlite":
        text = "LONGTEXT character set utf8mb4 collate utf8mb4_bin"
    quoted = each_engine.dialect.identifier_preparer.quote("the name")
    assert found == [
        NO_FIT.format(
            f"totals.full_name: no such column (alter table totals add column full_name {text}; "
            "or, if it was called the name before: alter table totals rename column "
            f"{quoted} to full_name)"
        ),
        NO_FIT.format(
            f"sums.full_name: no such column (alter table sums add column full_name {text}; or, if "
            "it was called a or b before: alter table sums rename column … to full_name)"
        ),
    ]
    as_owner(each_engine, f"alter table totals rename column {quoted} to full_name")


def test_a_table_of_another_grain_is_named(each_engine: Engine) -> None:
    """Risk: a model whose key has changed fails in the middle of loading, in a driver's words."""
    coarser = dataclasses.replace(MART, name="coarser", columns=MART.columns[:3], key=MART.key[:1])
    finer = dataclasses.replace(MART, name="finer")
    before = [
        dataclasses.replace(MART, name="coarser"),
        dataclasses.replace(finer, key=MART.key[:1]),
    ]
    ensure_live_tables(each_engine, before)
    with pytest.raises(PipelineError) as misfit:
        ensure_live_tables(each_engine, [coarser, finer, MART])
    assert str(misfit.value) == NO_FIT.format(
        "coarser.sales_month: required, and the model has none\n- finer: the key customer_id where "
        "the model has customer_id, sales_month"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("modify total_sales decimal(28,1)", "total_sales: decimal(28,1) where the model has {1}"),
        ("modify total_sales decimal(20,2)", "total_sales: decimal(20,2) where the model has {1}"),
        ("modify total_sales decimal(28,4)", "total_sales: decimal(28,4) where the model has {1}"),
        ("modify total_sales double", "total_sales: double where the model has {1}"),
        ("modify customer_id smallint", "customer_id: smallint where the model has {0}"),
        ("modify customer_id int unsigned", "customer_id: int unsigned where the model has {0}"),
        ("modify sales_month date", "sales_month: date where the model has {2}"),
        ("modify full_name bigint", "full_name: bigint where the model has {3}"),
        ("modify first_day datetime", "first_day: datetime where the model has {4}"),
        (
            "convert to character set latin1",
            "full_name, sales_month: latin1 where the model has utf8mb4 (alter table totals convert"
            " to character set utf8mb4 collate utf8mb4_bin)",
        ),
    ],
)
def test_a_column_that_would_change_values_is_named_with_its_remedy(
    mariadb_url: str,
    change: str,
    told: str,
    tmp_path: Path,
    as_owner: Callable[[Engine, str], None],
) -> None:
    """Risk: MySQL rounds money or makes 91 of '0091' without an error, or refuses a month or a name
    when all is built; and what is told does not mend it."""
    engine = connect(make_url(mariadb_url))
    ensure_live_tables(engine, [MART])
    as_owner(engine, f"alter table totals {change}")
    with pytest.raises(PipelineError) as misfit:
        check_live_tables(engine, [MART])
    text = "character set utf8mb4 collate utf8mb4_bin"
    address = "totals." + told.format(
        "INTEGER (alter table totals modify customer_id INTEGER not null)",
        "NUMERIC(28, 2) (alter table totals modify total_sales NUMERIC(28, 2))",
        f"VARCHAR(191) (alter table totals modify sales_month VARCHAR(191) {text} not null)",
        f"LONGTEXT (alter table totals modify full_name LONGTEXT {text})",
        "DATE (alter table totals modify first_day DATE)",
    )
    without_widths = re.sub(r"(int)\(\d+\)", r"\1", str(misfit.value))  # which MySQL has no more
    assert without_widths == NO_FIT.format(address)
    as_owner(engine, address[address.index("(alter") + 1 : -1])
    show(engine, (None, version(tmp_path, MONTHS)))
    assert found(engine) == MONTHS
    engine.dispose()


def test_a_table_that_undoes_nothing_is_named(
    mariadb_url: str, tmp_path: Path, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: an error in the middle of a publication leaves half a mart for readers."""
    engine = connect(make_url(mariadb_url))
    ensure_live_tables(engine, [MART])
    as_owner(engine, "alter table totals engine = MyISAM")
    with pytest.raises(PipelineError) as misfit:
        check_live_tables(engine, [MART])
    assert str(misfit.value) == NO_FIT.format(
        "totals: MyISAM has no transactions (alter table totals engine = InnoDB)"
    )
    as_owner(engine, "alter table totals engine = InnoDB")
    show(engine, (None, version(tmp_path, MONTHS)))
    engine.dispose()


def test_a_table_made_by_hand_is_used_where_it_holds_the_values(
    mariadb_url: str, tmp_path: Path
) -> None:
    """Risk: a table that has served for years is refused because the pipeline makes another."""
    engine = connect(make_url(mariadb_url))
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "create table totals (Customer_ID bigint, full_name varchar(255), first_day date, "
                "SALES_MONTH char(7), total_sales decimal(32,4), note varchar(9) character set "
                "latin1) engine = InnoDB character set utf8mb4 collate utf8mb4_unicode_ci"
            )
        )
    first = version(tmp_path, MONTHS)
    show(engine, (None, first))
    months: dict[str, list[Row]] = {**MONTHS, "2024-04": [(4, "Dan", "5.00")]}
    assert show(engine, (first, version(tmp_path, months))) == 1
    with engine.connect() as connection:
        query = sa.text("select sales_month, full_name, total_sales from totals order by 1, 2")
        rows = [tuple(row) for row in connection.execute(query)]
    assert rows == [
        (month, name, decimal.Decimal(total))
        for month, of_month in months.items()
        for _, name, total in of_month
    ]
    engine.dispose()


def test_a_value_that_is_too_long_names_its_column(
    mariadb_url: str, tmp_path: Path, as_owner: Callable[[Engine, str], None]
) -> None:
    """Risk: what is told of it is that the address of the database should be checked."""
    engine = connect(make_url(mariadb_url))
    ensure_live_tables(engine, [MART])
    as_owner(engine, "alter table totals modify full_name varchar(3)")
    with pytest.raises(PipelineError) as refused, translated_errors(engine):
        show(engine, (None, version(tmp_path, MONTHS)))
    assert str(refused.value) == (
        f"The database {describe(engine.url)} refused a value. Found: Data too long for column "
        "'full_name' at row 1 (error 1406). Change the column that is named (alter table … modify "
        "…)."
    )
    assert found(engine) == {}
    engine.dispose()


def test_a_row_without_a_key_is_named(each_engine: Engine, tmp_path: Path) -> None:
    """Risk: whoever has written a new mart is told to alter a column of the database, and neither
    which mart nor which row is wrong."""
    keyed_by_name = dataclasses.replace(version(tmp_path, MONTHS), key=("sales_month", "full_name"))
    months: dict[str, list[Row]] = {**MONTHS, "2024-05": [(5, "Eve", "1.00"), (6, None, "1.00")]}
    wrong = dataclasses.replace(version(tmp_path, months), key=keyed_by_name.key)
    limit = "" if each_engine.dialect.name == "sqlite" else ", of texts of at most 191 characters"
    for before in (None, keyed_by_name):  # loaded in full, or a month
        with pytest.raises(PipelineError) as refused:
            load(each_engine, [(before, wrong)])
        assert str(refused.value) == (
            f"The model totals cannot be published. Expected: a key that is never null{limit}. "
            "Found: full_name is null in the row sales_month = '2024-05', full_name = null. "
            "Correct the model, or the key under meta.publish in its YAML, and run again."
        )


def test_a_key_that_is_too_long_is_named(mariadb_url: str, tmp_path: Path) -> None:
    """Risk: the same, of a text that the database has no room for."""
    engine = connect(make_url(mariadb_url))
    months: dict[str, list[Row]] = {"2024-05": [(5, "é" * 191, "1.00"), (6, "Eve " * 50, "1.00")]}
    wrong = dataclasses.replace(version(tmp_path, months), key=("customer_id", "full_name"))
    with pytest.raises(PipelineError) as refused:
        load(engine, [(None, wrong)])
    assert str(refused.value) == (
        "The model totals cannot be published. Expected: a key that is never null, of texts of at "
        "most 191 characters. Found: full_name is a text of 200 characters in the row customer_id "
        "= 6, full_name = 'Eve Eve Eve Eve Eve Eve Eve Eve Eve Eve …'. Correct the model, or the "
        "key under meta.publish in its YAML, and run again."
    )
    engine.dispose()


def test_partition_folders_are_values() -> None:
    """Risk: an escaped character or a text '121' deletes no row."""
    types = {"sales_month": "string", "store_id": "int"}
    assert partition_values("sales_month=2024-03/store_id=121", types) == {
        "sales_month": "2024-03",
        "store_id": 121,
    }
    assert partition_values("sales_month=a%2Fb", types) == {"sales_month": "a/b"}
    assert partition_values("", types) == {}
