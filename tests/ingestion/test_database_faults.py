"""A database that fails in passing is asked again, any other is not, and nothing is done twice."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine, make_url

from ingestion.database.engine import connect, define_table, in_transaction
from ingestion.database.run_lock import run_lock
from ingestion.errors import BusyError, PipelineError
from tests.failing_proxies import NO_ANSWER, RESET, Proxy, database_proxy, from_nth, nth
from tests.services import MariaDb

MOST_COMMANDS = 100


@dataclasses.dataclass
class Line:
    """A database behind a proxy: an engine through it, and one past it."""

    proxy: Proxy
    url: str
    through: Engine
    past: Engine


@pytest.fixture
def line(mariadb_server: MariaDb, mariadb_url: str) -> Iterator[Line]:
    """A fresh database behind a proxy."""
    with database_proxy(mariadb_server.port) as (port, proxy):
        url = mariadb_url.replace(f":{mariadb_server.port}/", f":{port}/")
        engines = connect(make_url(url)), connect(make_url(mariadb_url))
        yield Line(proxy, url, *engines)
        for engine in engines:
            engine.dispose()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none takes more than a moment."""
    asked: list[float] = []
    real = time.sleep

    def sleep(seconds: float) -> None:
        asked.append(seconds)
        real(min(seconds, 0.01))

    monkeypatch.setattr("time.sleep", sleep)
    return asked


def accounts(engine: Engine) -> sa.Table:
    metadata = sa.MetaData()
    table = define_table(
        metadata,
        "accounts",
        sa.Column("name", sa.String(20), primary_key=True),
        sa.Column("amount", sa.Integer),
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(table.insert(), [{"name": name, "amount": 0} for name in "ab"])
    return table


def amounts(engine: Engine) -> list[int]:
    with engine.connect() as connection:
        return list(connection.execute(sa.text("select amount from accounts order by 1")).scalars())


@pytest.mark.parametrize("kind", [RESET, NO_ANSWER])
def test_a_transaction_cut_at_any_command_is_done_once(
    line: Line, pauses: list[float], kind: str
) -> None:
    """Risk: a passing failure ends a run, or half a transaction stays, or it is made twice."""
    table = accounts(line.past)
    for number in range(1, MOST_COMMANDS):

        def work(connection: Connection, number: int = number) -> int:
            for name in "ab":
                connection.execute(table.update().where(table.c.name == name).values(amount=number))
            return number

        line.proxy.plan(nth(kind, number))
        assert in_transaction(line.through, work) == number
        if not line.proxy.failed:
            break
        assert amounts(line.past) == [number, number]
        assert len(pauses) in (number, number - 1)  # a broken idle connection costs no pause
    assert number > 4, "ping, two updates, commit"
    assert all(0.1 <= pause <= 0.2 for pause in pauses)
    assert len(set(pauses)) > 1, "pauses are drawn by chance"


def test_pauses_grow_and_come_to_an_end(line: Line, pauses: list[float]) -> None:
    """Risk: a database that stays away is asked without a pause, or for ever."""
    accounts(line.past)
    line.proxy.plan(from_nth(RESET, 1))
    with pytest.raises(PipelineError) as lost:
        in_transaction(line.through, lambda connection: connection.execute(sa.text("select 1")))
    assert str(lost.value) == (
        f"The connection to the database {line.through.url.set(query={})} was lost. Found: Lost "
        "connection to MySQL server during query (error 2013). Run again; the run continues where "
        "it stopped."
    )
    assert len(pauses) == 7
    assert pauses == sorted(pauses)
    assert 12 < sum(pauses) < 26


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("select * from accounts", "SELECT command denied to user"),
        ("select * from nowhere", "doesn't exist"),
        ("insert into accounts values ('a', 1)", "Duplicate entry 'a' for key"),
        ("selekt 1", "You have an error in your SQL syntax"),
    ],
)
def test_a_lasting_failure_is_told_at_once(
    line: Line, mariadb_server: MariaDb, pauses: list[float], statement: str, sentence: str
) -> None:
    """Risk: a missing grant looks like a hang, and is tried again and again."""
    accounts(line.past)
    if "denied" in sentence:
        name = line.past.url.database
        mariadb_server.execute(f"revoke select on {name}.* from `{name}`@`127.0.0.1`")
        line.through.dispose()  # a connection keeps the grants that it began with
    line.proxy.plan(None)
    with pytest.raises(PipelineError) as refused:
        in_transaction(line.through, lambda connection: connection.execute(sa.text(statement)))
    assert sentence in str(refused.value)
    assert line.proxy.calls.count(statement) == 1
    assert pauses == []


@pytest.mark.parametrize("end", ["killed", "idle", "restarted network"])
def test_a_connection_that_broke_between_two_steps_is_replaced(
    line: Line, mariadb_server: MariaDb, pauses: list[float], end: str
) -> None:
    """Risk: a build of some hours is lost because the database closed an idle connection."""
    accounts(line.past)

    def ask(connection: Connection) -> int:
        return connection.execute(sa.text("select connection_id()")).scalar_one()

    before = in_transaction(line.through, ask)
    if end == "killed":
        mariadb_server.execute(f"kill {before}")
    elif end == "idle":
        with line.through.begin() as connection:
            connection.execute(sa.text("set session wait_timeout = 1"))
        time_out = threading.Event()
        time_out.wait(2.1)
    else:
        line.proxy.plan(nth(RESET, 1))
    assert in_transaction(line.through, ask) != before
    assert pauses == []


def test_a_deadlock_is_resolved(line: Line, pauses: list[float]) -> None:
    """Risk: a reader's or an owner's lock ends a run that would work a moment later."""
    table = accounts(line.past)
    meeting = threading.Barrier(2, timeout=20)
    met: set[int] = set()

    def both(first: str, second: str) -> None:
        def work(connection: Connection) -> None:
            add = {"amount": table.c.amount + 1}
            connection.execute(table.update().where(table.c.name == first).values(add))
            if threading.get_ident() not in met:
                met.add(threading.get_ident())
                meeting.wait()
            connection.execute(table.update().where(table.c.name == second).values(add))

        in_transaction(line.past, work)

    threads = [threading.Thread(target=both, args=pair) for pair in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert amounts(line.past) == [2, 2]
    assert len(pauses) == 1, "one of the two was sent back"


def test_the_next_statement_sees_what_another_has_committed(
    line: Line, mariadb_server: MariaDb
) -> None:
    """Risk: under REPEATABLE READ, the server's default, a run works on an old picture."""
    table = accounts(line.past)
    default = mariadb_server.execute("show global variables like 't%_isolation'")
    assert {level for _, level in default} == {"REPEATABLE-READ"}
    with line.through.connect() as connection:
        assert connection.get_isolation_level() == "READ COMMITTED"
        assert connection.execute(sa.select(sa.func.max(table.c.amount))).scalar() == 0
        with line.past.begin() as other:
            other.execute(table.update().values(amount=7))
        assert connection.execute(sa.select(sa.func.max(table.c.amount))).scalar() == 7


@pytest.mark.parametrize("kind", [RESET, NO_ANSWER])
def test_the_run_lock_is_taken_over_a_bad_line(line: Line, pauses: list[float], kind: str) -> None:
    """Risk: the lock that a broken connection still holds turns its own run away."""
    for number in range(1, MOST_COMMANDS):
        line.proxy.plan(nth(kind, number))
        with run_lock(line.through):
            has_hit = bool(line.proxy.failed)
            with pytest.raises(BusyError), run_lock(line.past):
                pass
        with contextlib.ExitStack() as stack:
            in_transaction(line.past, lambda connection: _wait_until_free(connection))
            stack.enter_context(run_lock(line.past))
        if not has_hit:
            break
    assert any("get_lock" in call for call in line.proxy.calls)
    assert pauses != []


def _wait_until_free(connection: Connection) -> None:
    """The server frees the lock a moment after its connection has ended."""
    name = sa.text("concat('retail_mart:', left(sha2(database(), 256), 32))")
    for function in ("get_lock", "release_lock"):
        arguments = f"{name}, 10" if function == "get_lock" else f"{name}"
        assert connection.execute(sa.text(f"select {function}({arguments})")).scalar() == 1


def test_the_connection_of_the_lock_shows_signs_of_life(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: what stands between closes a connection that is silent for an hour."""
    monkeypatch.setattr("ingestion.database.run_lock._SIGN_OF_LIFE_SECONDS", 0.05)
    with run_lock(line.through):
        line.proxy.plan(None)
        threading.Event().wait(0.5)
        signs = [call for call in line.proxy.calls if "is_used_lock" in call]
    assert len(signs) > 2


def test_a_lost_machine_frees_the_lock(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """Risk: no run begins for hours, since the server waits for one whose machine has gone."""
    monkeypatch.setattr("ingestion.database.run_lock._IDLE_SECONDS", 1)
    engine = connect(line.past.url)
    with run_lock(engine):  # its next sign of life is a minute away
        threading.Event().wait(2.1)
        with run_lock(line.past):
            pass
    engine.dispose()


def test_the_lock_of_a_long_run_is_not_closed_for_idleness(
    line: Line, mariadb_server: MariaDb
) -> None:
    """Risk: the server closes the idle connection that holds the lock, and two runs are at work."""
    with mariadb_server.variable("wait_timeout", 1):
        engine = connect(line.past.url)
        with run_lock(engine):
            threading.Event().wait(2.1)
            with pytest.raises(BusyError), run_lock(line.past):
                pass
        engine.dispose()
