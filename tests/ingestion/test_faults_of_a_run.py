"""Whichever call of a run fails: the run goes on, or ends with one sentence and the next one ends
with the right totals, nothing lost and nothing twice."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import decimal
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

from ingestion.config.settings import load_settings
from ingestion.database.engine import connect
from ingestion.errors import PipelineError
from ingestion.run import old_versions
from ingestion.run.services import Services, open_services
from ingestion.s3.object_store import ObjectStore
from tests.failing_proxies import (
    CUT,
    NO_ANSWER,
    RESET,
    Fault,
    Proxy,
    database_proxy,
    each_first,
    from_nth,
    s3_proxy,
)
from tests.run_without_spark import (
    HEADER,
    KEPT_VERSIONS,
    LINES,
    TOTALS,
    objects_of_marts,
    run,
    s3_rows,
    sale,
)
from tests.services import Bucket, MariaDb

pytestmark = pytest.mark.slow

MOST_CALLS = 1000
PING = ""
PARTS = 8
MONTHS = ("2024-03", "2024-04")
EXPIRED = (
    "the AWS session token has expired. Found: ExpiredToken. Get new credentials and run again; "
    "the run continues where it stopped."
)


@dataclasses.dataclass
class Shop:
    """A pipeline whose S3 server and database lie behind proxies; the test looks past them."""

    services: Services
    s3: Proxy
    database: Proxy
    bucket: Bucket
    store: ObjectStore
    engine: Engine
    days: int = 0

    def deliver(self) -> None:
        """A corrected day and a broken file."""
        self.days += 1
        day = HEADER + sale(2, f"{MONTHS[self.days % 2]}-05", self.days)
        self.bucket.put("sales_data/a_day.csv", (day + sale(3, "2024-05-01", 7)).encode())
        self.bucket.put(f"sales_data/broken_{self.days}.csv", b"customer_id;day\n1;1\n")

    def run(self) -> None:
        """One run through the proxies."""
        run(self.services)

    def error_of_run(self) -> str:
        """The sentence that a run ends with; empty when all is well."""
        try:
            self.run()
        except PipelineError as error:
            return str(error)
        return ""

    def check(self) -> None:
        """All that was delivered has its place and is counted once, on both sides."""
        month = MONTHS[self.days % 2]
        expected = [
            (2, month, decimal.Decimal(self.days)),
            (3, "2024-05", decimal.Decimal(7)),
        ]
        with self.engine.connect() as connection:
            query = "select customer_id, sales_month, total_sales from customers_data_mart"
            totals = connection.execute(sa.text(f"{query} order by 1")).all()
            query = "select substr(file_name, 12, 6), status from product_staging_table"
            files = collections.Counter(tuple(row) for row in connection.execute(sa.text(query)))
            states = connection.execute(sa.text("select state from pipeline_batches")).scalars()
            assert set(states) == {"archived"}
            query = "select rows_total, amount_total from publications order by version desc"
            assert tuple(connection.execute(sa.text(query)).first() or ()) == (2, self.days + 7)
        assert [tuple(row) for row in totals] == expected
        rows = s3_rows(self.store, TOTALS.name)
        assert [(row["customer_id"], row["sales_month"], row["total_sales"]) for row in rows] == (
            expected
        )
        assert [row["total_cost"] for row in s3_rows(self.store, LINES.name)] == [self.days, 7]
        assert files == +collections.Counter(
            {
                ("a_day.", "I"): 1,
                ("a_day.", "S"): self.days - 1,
                ("broken", "E"): self.days,
            }
        )
        assert self.bucket.keys("sales_data/") == []
        assert len(self.bucket.keys("sales_data_processed/")) == self.days
        assert len(self.bucket.keys("sales_data_error/")) == 2 * self.days
        assert not [name for name in sa.inspect(self.engine).get_table_names() if "__load" in name]
        self.check_objects()

    def check_objects(self) -> None:
        """S3 holds the objects of the versions that are kept, and no others."""
        stored, needed = objects_of_marts(self.bucket)
        assert set(stored) == needed


@pytest.fixture
def shop(
    s3_bucket: Bucket,
    store: ObjectStore,
    mariadb_server: MariaDb,
    mariadb_url: str,
    tmp_path: Path,
) -> Iterator[Shop]:
    """A shop that has delivered and published one day."""
    with contextlib.ExitStack() as stack:
        s3_url, s3 = stack.enter_context(s3_proxy(s3_bucket.endpoint))
        port, database = stack.enter_context(database_proxy(mariadb_server.port))
        environ = {
            **s3_bucket.environment,
            "RETAIL_S3_ENDPOINT_URL": s3_url,
            "RETAIL_DATABASE_URL": mariadb_url.replace(f":{mariadb_server.port}/", f":{port}/"),
            "RETAIL_WORKSPACE": str(tmp_path / "workspace"),
            "RETAIL_S3_THREADS": "1",  # the calls of each run come in the same order
        }
        engine = connect(make_url(mariadb_url))
        stack.callback(engine.dispose)
        settings = load_settings(tmp_path, environ)
        services = stack.enter_context(open_services(settings, environ))
        made = Shop(services, s3, database, s3_bucket, store, engine)
        made.deliver()
        made.run()
        made.check()
        yield made


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between tries that were asked for; none takes more than a moment."""
    asked: list[float] = []
    real, here = time.sleep, threading.current_thread()

    def sleep(seconds: float) -> None:
        if threading.current_thread() is here:
            asked.append(seconds)
        real(min(seconds, 0.005))

    monkeypatch.setattr(time, "sleep", sleep)
    return asked


def test_every_s3_call_may_fail_once(shop: Shop, pauses: list[float]) -> None:
    """Risk: one passing failure of S3 ends a night's run, or a repeated write counts twice."""
    for kind in ("SlowDown", "InternalError", RESET, NO_ANSWER, CUT):
        shop.deliver()
        shop.s3.plan(each_first(kind))
        pauses.clear()
        shop.run()
        calls = shop.s3.calls
        shop.s3.plan(None)
        assert len(calls) > 40, "each call was made twice"
        assert pauses, kind
        assert len(set(pauses)) == len(pauses), "pauses are drawn by chance"
        shop.check()


def test_an_expired_token_ends_the_run_and_the_next_one_ends_right(shop: Shop) -> None:
    """Risk: a token that expires in the middle of a run loses a file, or counts one twice."""
    for number in range(1, MOST_CALLS):
        shop.deliver()
        shop.s3.plan(from_nth("ExpiredToken", number))
        error = shop.error_of_run()
        failed = shop.s3.failed
        shop.s3.plan(None)
        if not failed:
            break
        assert error.endswith(EXPIRED), (number, failed)
        assert max(collections.Counter(failed).values()) <= 2, "it is not tried again"
        assert shop.error_of_run() == ""
        # what a run that finds all published leaves to the next one
        old_versions.remove_old(shop.services, KEPT_VERSIONS)
        shop.check()
    assert number > 20


def test_any_command_of_the_database_may_be_cut(shop: Shop, pauses: list[float]) -> None:
    """Risk: a lost connection ends the run, or a commit whose answer was lost is made twice.

    In each run several commands are carried out and their answers lost: an eighth of all kinds of
    commands, each when it first comes, and every eighth commit.
    """
    shop.deliver()
    shop.database.plan(None)
    shop.run()
    commits = shop.database.calls.count("COMMIT")
    made = sorted({shape(command) for command in shop.database.calls} - {PING, "COMMIT"})
    cut: collections.Counter[str] = collections.Counter()
    for part in range(PARTS):
        shop.deliver()
        shop.database.plan(Fault(NO_ANSWER, first_of({*made[part::PARTS]})))
        shop.run()
        cut.update(map(shape, shop.database.failed))
        shop.database.plan(None)
        shop.check()
        shop.deliver()
        shop.database.plan(Fault(NO_ANSWER, every_commit(PARTS, part)))
        shop.run()
        cut.update(shop.database.failed)
        shop.database.plan(None)
        shop.check()
    assert set(made) - set(cut) == set()
    assert cut["COMMIT"] >= commits > PARTS
    assert len(pauses) > len(made)


def shape(command: str) -> str:
    """A command without its values."""
    return re.sub(r"(?<=__load_|__gone_)\w{8}|'[^']*'|\d+", "?", command)


def first_of(shapes: set[str]) -> Callable[[int, bool, str], bool]:
    """The first command of each of these shapes."""

    def is_first(_: int, __: bool, command: str) -> bool:
        is_wanted = shape(command) in shapes
        shapes.discard(shape(command))
        return is_wanted

    return is_first


def every_commit(step: int, first: int) -> Callable[[int, bool, str], bool]:
    """Of the commits that number, and each one so many steps later."""
    numbers = itertools.count()
    return lambda _, __, command: command == "COMMIT" and next(numbers) % step == first
