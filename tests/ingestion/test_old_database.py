"""A database server with defaults of another age: latin1, MyISAM, no strict mode, small packets."""

from __future__ import annotations

import contextlib
import decimal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from ingestion.database import batches, staging_table
from ingestion.database.engine import connect, in_transaction
from ingestion.errors import PipelineError
from ingestion.publication import publications
from ingestion.publication.manifest import MartTable
from ingestion.publication.mart_tables import ensure_live_tables
from tests.mart_versions import load, show, with_rows
from tests.services import PIPELINE_GRANTS, MariaDb, running_mariadb

pytestmark = pytest.mark.xdist_group("old database")  # one worker starts its servers

OLD_DEFAULTS = (
    "--character-set-server=latin1",
    "--collation-server=latin1_swedish_ci",
    "--default-storage-engine=MyISAM",
    "--sql-mode=",
    "--max-allowed-packet=1M",
)
NAMES = [
    "José",
    "jose",
    "JOSE",
    "Jose\u0301",
    "a\tb",
    "🫖",
    "🍵",
    "100%",
    "%s",
    "o'brien",
    '"',
    "\\",
]
WIDE = "50% of '🫖' \\ "


@pytest.fixture(scope="module", params=["--local-infile=1", "--local-infile=0"])
def old_server(request: pytest.FixtureRequest) -> Iterator[MariaDb]:
    """A MariaDB that was set up long ago, and reads a client's files or does not."""
    with (
        tempfile.TemporaryDirectory(prefix="mariadb-") as folder,
        running_mariadb(Path(folder), *OLD_DEFAULTS, request.param) as database,
    ):
        yield database


@pytest.fixture
def old_engine(old_server: MariaDb) -> Iterator[Engine]:
    """An empty database on that server, in its own character set."""
    with old_server.new_database() as url:
        name = make_url(url).database
        old_server.execute(f"alter database {name} character set latin1")
        engine = connect(make_url(url))
        yield engine
        engine.dispose()


def mart(*columns: tuple[str, str], key: str = "name", name: str = "totals") -> MartTable:
    return MartTable(
        name=name,
        columns=columns,
        key=(key,),
        in_database=True,
        partition_columns=(),
        files=(),
    )


def publish(engine: Engine, table: MartTable, content: pa.Table, folder: Path) -> None:
    show(engine, (None, with_rows(table, folder, {"": content})))


def test_names_stay_apart_byte_for_byte(old_engine: Engine, tmp_path: Path) -> None:
    """Risk: latin1 turns an emoji into a question mark, or its collation takes José for jose."""
    table = mart(("name", "string"), ("remark", "string"))
    publish(old_engine, table, pa.table({"name": NAMES, "remark": NAMES[::-1]}), tmp_path)
    with old_engine.connect() as connection:
        found = connection.execute(sa.text("select name, remark from totals")).all()
        assert sorted(tuple(row) for row in found) == sorted(zip(NAMES, NAMES[::-1], strict=True))
        for name in NAMES:
            query = sa.text("select count(*) from totals where name = :name")
            assert connection.execute(query, {"name": name}).scalar() == 1


def test_tables_of_the_pipeline_follow_no_default_of_the_server(
    old_engine: Engine, tmp_path: Path
) -> None:
    """Risk: in an engine without transactions readers see half a publication, and a file's row says
    'published' where nothing is."""
    staging_table.metadata.create_all(old_engine)
    table = with_rows(mart(("name", "string")), tmp_path, {"": pa.table({"name": NAMES})})
    load(old_engine, [(None, table)])
    with old_engine.connect() as connection:
        query = (
            "select table_name, engine, table_collation from information_schema.tables "
            "where table_schema = database() order by 1"
        )
        found = [tuple(row) for row in connection.execute(sa.text(query))]
        assert connection.execute(sa.text("select @@default_storage_engine")).scalar() == "MyISAM"
    assert {name for name, _, _ in found} >= {
        batches.batches.name,
        publications.publications.name,
        staging_table.files.name,
        "totals",
        "totals__load_0123abcd",
        "totals__gone_0123abcd",
    }
    assert {row[1:] for row in found} == {("InnoDB", "utf8mb4_bin")}


def test_names_of_columns_and_tables_are_data(old_engine: Engine, tmp_path: Path) -> None:
    """Risk: a percent sign or a quote in a name is taken for a placeholder or for SQL."""
    names = ["100% raw %s", 'it\'s "so" (yes)', "%(name)s:x"]
    types = zip(names, ["string", "int", "int"], strict=True)
    table = mart(*types, key=names[0], name="sales 100% '`")
    content = pa.table(dict(zip(names, (["a", "b"], [1, 2], [3, 4]), strict=True)))
    for _ in range(2):
        publish(old_engine, table, content, tmp_path)
    live = sa.Table(table.name, sa.MetaData(), autoload_with=old_engine)
    with old_engine.connect() as connection:
        found = connection.execute(sa.select(live).order_by(live.c["%(name)s:x"])).all()
        assert [tuple(row) for row in found] == [("a", 1, 3), ("b", 2, 4)]


def test_many_wide_rows_fit_a_small_packet(old_engine: Engine, tmp_path: Path) -> None:
    """Risk: a month of long texts makes a statement that the server refuses."""
    rows = 60_000
    table = mart(("name", "int"), *((f"text_{number}", "string") for number in range(4)))
    texts = [WIDE * (1 + number % 40) for number in range(rows)]
    columns = {f"text_{number}": texts for number in range(4)}
    publish(old_engine, table, pa.table({"name": list(range(rows)), **columns}), tmp_path)
    with old_engine.connect() as connection:
        query = "select count(*), sum(char_length(text_0)), sum(text_1 = text_3) from totals"
        found = connection.execute(sa.text(query)).one()
        assert tuple(int(value) for value in found) == (rows, sum(map(len, texts)), rows)


def test_a_text_as_long_as_a_record_may_be_is_kept(old_engine: Engine, tmp_path: Path) -> None:
    """Risk: one long line that is set aside keeps every later file from being published."""
    table = mart(("name", "int"), ("raw_line", "string"))
    long = "ü" * 400_000
    publish(old_engine, table, pa.table({"name": [1], "raw_line": [long]}), tmp_path)
    with old_engine.connect() as connection:
        assert connection.execute(sa.text("select raw_line from totals")).scalar() == long


def test_what_does_not_fit_is_an_error(old_engine: Engine, tmp_path: Path) -> None:
    """Risk: a server without strict mode cuts a text or caps a sum without a word."""
    table = mart(("name", "string"), ("total", "decimal(38,2)"))
    ensure_live_tables(old_engine, [table])
    for statement in (
        f"insert into totals values ('{'x' * 192}', 1)",
        f"insert into totals values ('x', 1{'0' * 36})",
        "insert into totals values ('x', 'one')",
        "insert into totals (total) values (1)",
    ):
        with pytest.raises(PipelineError) as misfit:
            execute(old_engine, statement)
        assert str(misfit.value).startswith("The database mysql+pymysql://")
    with pytest.raises(PipelineError, match="Found: name is a text of 192 characters in the row"):
        publish(old_engine, table, rows_of(decimal.Decimal(1), "x" * 192), tmp_path)
    most = decimal.Decimal("9" * 36 + ".99")
    publish(old_engine, table, rows_of(most), tmp_path)
    with old_engine.connect() as connection:
        assert connection.execute(sa.text("select total from totals")).scalar() == most


def test_readers_and_owners_keep_what_they_have(old_server: MariaDb, tmp_path: Path) -> None:
    """Risk: a publication takes grants, keys or indexes away; a reader needs more than SELECT."""
    table = mart(("name", "string"), ("total", "decimal(38,2)"))
    with old_server.new_database(PIPELINE_GRANTS) as url, contextlib.ExitStack() as stack:
        engine = connect(make_url(url))
        stack.callback(engine.dispose)
        amount = decimal.Decimal("1.10")
        publish(engine, table, rows_of(amount), tmp_path)
        name = make_url(url).database
        reader = f"reader_{name}"[:30]
        old_server.execute(
            f"create user {reader}@127.0.0.1 identified by 'reader'",
            f"grant select on {name}.totals to {reader}@127.0.0.1",
            f"alter table {name}.totals add index by_total (total), comment 'for the board'",
        )
        stack.callback(old_server.execute, f"drop user {reader}@127.0.0.1")
        asked = (f"show create table {name}.totals", f"show grants for {reader}@127.0.0.1")
        before = [old_server.execute(query) for query in asked]
        reading = connect(make_url(url).set(username=reader, password="reader"))
        stack.callback(reading.dispose)
        for _ in range(2):
            amount += 1
            publish(engine, table, rows_of(amount), tmp_path)
            with reading.connect() as connection:
                assert connection.execute(sa.text("select total from totals")).scalar() == amount
        assert [old_server.execute(query) for query in asked] == before
        for statement in ("delete from totals", "select * from publications"):
            with pytest.raises(PipelineError, match="denied"):
                execute(reading, statement)


def execute(engine: Engine, statement: str) -> None:
    in_transaction(engine, lambda connection: connection.execute(sa.text(statement)))


def rows_of(amount: decimal.Decimal, name: str = "x") -> pa.Table:
    return pa.table({"name": [name], "total": pa.array([amount], pa.decimal128(38, 2))})
