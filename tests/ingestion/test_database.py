"""The database layer keeps values exact, speaks plainly, and lets one run in at a time."""

from __future__ import annotations

import decimal
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from ingestion.database.engine import (
    ExactDecimal,
    column_type,
    connect,
    define_table,
    in_transaction,
)
from ingestion.database.errors import describe
from ingestion.database.run_lock import run_lock
from ingestion.errors import BusyError, PipelineError

HOLD_LOCK = """
import sys, signal
from sqlalchemy.engine import make_url
from ingestion.database.engine import connect
from ingestion.database.run_lock import run_lock
with run_lock(connect(make_url(sys.argv[1]))):
    print("held", flush=True)
    signal.pause()
"""


def make_table(engine: Engine) -> sa.Table:
    metadata = sa.MetaData()
    table = define_table(
        metadata,
        "values%here",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("amount", ExactDecimal(28, 2)),
        sa.Column("name", sa.Text),
    )
    metadata.create_all(engine)
    return table


def test_decimals_and_text_come_back_exactly(each_engine: Engine) -> None:
    """Risk: a float in between changes cents, a narrow charset loses an emoji."""
    table = make_table(each_engine)
    amount = decimal.Decimal("12345678901234567890123456.78")
    name = "José 🫖 50%_off 'x' \\"
    with each_engine.begin() as connection:
        connection.execute(table.insert(), [{"id": 1, "amount": amount, "name": name}])
    with each_engine.begin() as connection:
        assert connection.execute(sa.select(table.c.amount, table.c.name)).one() == (amount, name)


def test_a_decimal_that_does_not_fit_is_refused(each_engine: Engine) -> None:
    """Risk: the database rounds a third decimal away without a word."""
    table = make_table(each_engine)
    misfitting = table.insert().values(id=1, amount=decimal.Decimal("0.005"))
    with pytest.raises(PipelineError) as misfit:
        in_transaction(each_engine, lambda found: found.execute(misfitting))
    assert str(misfit.value).startswith("A decimal does not fit its column. Expected: at most")


def test_names_that_differ_in_case_or_accent_stay_apart(each_engine: Engine) -> None:
    """Risk: a case-folding collation takes jose for José."""
    metadata = sa.MetaData()
    table = define_table(
        metadata, "names", sa.Column("name", column_type("string", key=True), primary_key=True)
    )
    metadata.create_all(each_engine)
    names = ["José", "Jose", "jose", "JOSE", "Jose\u0301"]
    with each_engine.begin() as connection:
        connection.execute(table.insert(), [{"name": name} for name in names])
        assert connection.execute(sa.select(sa.func.count()).select_from(table)).scalar() == 5


def test_a_second_run_is_turned_away_and_a_killed_one_frees_the_lock(each_engine: Engine) -> None:
    """Risk: two runs at once load a file twice, or a dead run blocks all others."""
    url = each_engine.url.render_as_string(hide_password=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, url], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError) as busy, run_lock(each_engine):
            pass
        assert str(busy.value) == (
            "Another run is active on this database. Wait until it has finished; nothing was "
            "changed."
        )
        assert busy.value.exit_code == 4
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        holder.stdout.close()
    for _ in range(2000):  # the server notices the closed connection within moments
        try:
            with run_lock(each_engine):
                return
        except BusyError:
            with each_engine.connect() as connection:
                connection.execute(sa.text("select 1"))
    raise AssertionError("the lock of a killed run was not freed")


def test_the_lock_is_free_after_the_block(each_engine: Engine) -> None:
    """Risk: a pooled connection keeps the lock after its run has ended."""
    for _ in range(50):
        with run_lock(each_engine):
            pass


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "mysql+pymysql://someone:hush@127.0.0.1:1/shop",
            "The database mysql+pymysql://someone:***@127.0.0.1:1/shop cannot be used. Found: "
            "Can't connect to MySQL server on '127.0.0.1' ([Errno 111] Connection refused) "
            "(error 2003). Check host and port in RETAIL_DATABASE_URL, and that the server runs.",
        ),
        (
            "sqlite:////nowhere/at/all.sqlite",
            "The database sqlite:////nowhere/at/all.sqlite cannot be used. Found: unable to open "
            "database file. Check RETAIL_DATABASE_URL.",
        ),
    ],
)
def test_a_refused_database_is_one_sentence_without_the_password(url: str, sentence: str) -> None:
    """Risk: a traceback, or a password in the log."""
    with pytest.raises(PipelineError) as refused:
        connect(make_url(url))
    assert str(refused.value) == sentence


def test_a_wrong_password_names_the_setting(mariadb_url: str) -> None:
    """Risk: the user cannot tell a wrong password from a server that is down."""
    wrong = make_url(mariadb_url).set(password="p@ss/w#rd&1%:x")
    with pytest.raises(PipelineError) as refused:
        connect(wrong)
    assert "Access denied" in str(refused.value)
    assert "RETAIL_DATABASE_PASSWORD" in str(refused.value)
    assert "p@ss" not in str(refused.value)


def test_an_unknown_type_names_the_known_ones() -> None:
    """Risk: a typing mistake in a contract becomes a text column."""
    with pytest.raises(PipelineError) as unknown:
        column_type("double")
    assert str(unknown.value) == (
        "The type 'double' has no counterpart in the database. Expected: one of int, bigint, "
        "string, date, timestamp, boolean, decimal(p,s). Correct the data_type in the model's YAML."
    )


def test_describe_hides_password_and_query() -> None:
    """Risk: a secret in a query parameter reaches the summary."""
    url = make_url("mysql+pymysql://me:pw@host/db?ssl_key=hidden")
    assert describe(url) == "mysql+pymysql://me:***@host/db"


def test_sqlite_waits_as_long_as_its_url_says(tmp_path: Path) -> None:
    """Risk: an option of the URL is accepted and does nothing."""
    for query, milliseconds in (("?timeout=1.5", 1500), ("", 30_000)):
        engine = connect(make_url(f"sqlite:///{tmp_path / 'database.sqlite'}{query}"))
        with engine.connect() as connection:
            found = connection.exec_driver_sql("pragma busy_timeout").scalar()
        engine.dispose()
        assert found == milliseconds
