"""Whatever is sent, corrected, copied, withdrawn, restored and cut short: what is published is the
sum of the files that count."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import random
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingestion.commands import withdrawal
from ingestion.config.settings import load_settings
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.run.services import Services, open_services
from tests.plain_shop import Content, Cut, Sale, Shop, is_cut_short, text
from tests.run_without_spark import LINES, TOTALS, run, s3_rows
from tests.services import new_bucket

pytestmark = pytest.mark.slow

SEQUENCES = 24
KEYS = ("a.csv", "b.csv", "c.csv", "north/a.csv", "z.csv")
STEPS = "ingestion.run.delivery_steps"
CUTS = (
    Cut("ingestion.run.intake.download_all"),
    Cut(f"{STEPS}.check_files", is_before=True),  # the files are planned
    Cut("ingestion.run.checking.check_batch"),  # bronze is written, no verdict noted
    Cut(f"{STEPS}.move_uncounted_files", is_before=True),
    Cut("ingestion.run.archive.move_all"),  # moved, the new places are not noted
    Cut(f"{STEPS}.move_uncounted_files"),
    Cut("tests.run_without_spark.scan"),
    Cut("ingestion.publication.publish._upload"),
    Cut("ingestion.publication.mart_tables.load_beside"),
    Cut("ingestion.publication.mart_tables.swap_in"),  # in the transaction
    Cut("ingestion.publication.pointer.finish_pointer", is_before=True, call=2),  # committed
    Cut("ingestion.publication.publications.record_pointer", is_before=True),
    Cut("ingestion.publication.publications.record_pointer"),
    Cut(f"{STEPS}.archive_batch", is_before=True),
)
WHAT = ("send", "correct", "take back", "copy", "retract", "retract", "restore")

DAYS = ("2024-01-31", "2024-02-01", "2024-02-29", "2024-03-05")


def draw_content(chance: random.Random) -> Content:
    """A few sales."""
    return tuple(
        Sale(
            customer_id=chance.choice([2, 16, 999]),
            store_id=chance.choice([121, 122]),
            seller_id=4,
            day=chance.choice(DAYS),
            cents=chance.randint(1, 99_999),
        )
        for _ in range(chance.randint(1, 4))
    )


class World:
    """One sequence: the pipeline, and beside it the shop that is kept by hand."""

    def __init__(
        self, services: Services, chance: random.Random, met: collections.Counter[object]
    ) -> None:
        self.services = services
        self.chance = chance
        self.met = met
        self.shop = Shop()
        self.inbox: dict[str, Content] = {}  # sent, and in no publication yet
        self.change: tuple[str, str] | None = None  # a command and its key, for the next run
        self.sent = 0

    def prepare(self) -> None:
        """Sends a few files, and may choose a command that the run begins with."""
        was_cut_short, self.change = bool(self.inbox), None
        for _ in range(self.chance.randint(1, 4)):
            what = self.chance.choice(WHAT)
            keys = sorted(self.keys_for(what, was_cut_short))
            if not keys:
                continue
            key = self.chance.choice(keys)
            if what in ("retract", "restore"):
                self.change = (what, key)
            elif what == "copy":
                self.put(key, self.chance.choice(list(self.shop.last_sent.values())))
            elif what == "take back":
                self.put(key, self.published()[key])
            else:
                self.send(key)
            self.met[what, was_cut_short] += 1

    def keys_for(self, what: str, was_cut_short: bool) -> set[str]:
        """The keys with which this may be done now.

        After a run that was cut short nothing is copied or restored: which of two equal files came
        first is not ours to say then.
        """
        commanded = set() if self.change is None else {self.change[1]}
        if what in ("send", "correct"):
            return set(KEYS if what == "send" else self.shop.counting) - commanded
        if what == "take back":  # a copy of it that is pending under another key would be the first
            pending = self.inbox.items()
            return {
                key
                for key, content in self.published().items()
                if key in self.inbox and all(name == key or new != content for name, new in pending)
            } - commanded
        if was_cut_short and what != "retract":
            return set()
        if what == "copy":
            return set(KEYS) - commanded if self.shop.last_sent else set()
        files = self.shop.counting if what == "retract" else self.shop.retracted
        return set() if commanded else set(files) - set(self.inbox)

    def published(self) -> dict[str, Content]:
        """What the last publication had of each file, withdrawn since or not."""
        return self.shop.retracted | self.shop.counting

    def send(self, key: str) -> None:
        """Puts a file into the inbox that is like no other."""
        self.sent += 1
        content = draw_content(self.chance)
        first = dataclasses.replace(content[0], cents=100_000 + self.sent)
        self.put(key, (first, *content[1:]))

    def put(self, key: str, content: Content) -> None:
        self.services.store.put_bytes(f"sales_data/{key}", text(content).encode())
        self.inbox[key] = self.shop.last_sent[key] = content

    def run(self) -> None:
        """One run, which begins with the command."""

        def change(services: Services, run_id: str) -> None:
            match self.change:
                case "retract", key:
                    withdrawal.retract_file(services, key, run_id)
                    self.shop.retract(key)
                case "restore", key:
                    withdrawal.restore_file(services, key)
                    self.inbox[key] = self.shop.last_sent[key] = self.shop.retracted[key]

        run(self.services, change)

    def run_round(self, cut: Cut | None) -> None:
        """One run, perhaps cut short; what is published is right then, or after its end."""
        is_cut, before = False, self.published_batches()
        if cut is None:
            self.run()
        else:
            is_cut = is_cut_short(cut, self.run)
            self.met[cut] += is_cut and bool(self.inbox)
        if not is_cut or self.published_batches() > before:
            self.shop.take(self.inbox)
            self.inbox.clear()
        if not is_cut:
            self.check()

    def published_batches(self) -> int:
        """How many batches are in a publication."""
        query = "select count(*) from pipeline_batches where state in ('published', 'archived')"
        with self.services.engine.begin() as connection:
            return int(connection.execute(sa.text(query)).scalar_one())

    def check(self) -> None:
        """The database and S3 show the shop's sums, and every object is in its place."""
        services, customers = self.services, self.shop.customers()
        assert list(services.store.list_objects("sales_data/")) == []
        rows = in_transaction(services.engine, staging_table.all_rows)
        locations = [row.file_location for row in rows if not row.is_withdrawal]
        for location in set(locations):
            assert services.store.head(services.store.key_at(location)) is not None, location
        counting = {
            row.file_name.removeprefix("sales_data/")
            for row in rows
            if row.status == "I" and not row.is_withdrawal
        }
        assert counting == set(self.shop.counting)
        if not list(services.store.list_objects("publications/")):
            assert customers == {}
            return
        with services.engine.begin() as connection:
            query = "select customer_id, sales_month, total_sales from customers_data_mart"
            shown = [tuple(row) for row in connection.execute(sa.text(query))]
        assert len(shown) == len(customers), "no key is there twice"
        assert {(row[0], row[1]): Decimal(row[2]) for row in shown} == customers
        on_s3 = s3_rows(services.store, TOTALS.name)
        assert len(on_s3) == len(customers)
        assert {
            (row["customer_id"], row["sales_month"]): row["total_sales"] for row in on_s3
        } == customers
        amounts = sorted(row["total_cost"] for row in s3_rows(services.store, LINES.name))
        assert amounts == sorted(Decimal(sale.cents) / 100 for sale in self.shop.lines())


def test_what_is_published_is_the_sum_of_the_files_that_count(
    s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: some order of corrections, copies, withdrawals and crashes leaves wrong totals."""
    met: collections.Counter[object] = collections.Counter()
    for seed in range(SEQUENCES):
        chance = random.Random(seed)
        cuts = itertools.islice(itertools.cycle(CUTS), seed, None)
        with new_bucket(s3_endpoint) as bucket, contextlib.ExitStack() as stack:
            environ = bucket.environment | {"RETAIL_WORKSPACE": str(tmp_path / str(seed))}
            for name, value in environ.items():
                monkeypatch.setenv(name, value)
            settings = load_settings(tmp_path, environ)
            services = stack.enter_context(open_services(settings, environ))
            world = World(services, chance, met)
            try:
                for key in KEYS[:3]:
                    world.send(key)
                world.run_round(None)
                for _ in range(chance.randint(3, 6)):
                    world.prepare()
                    world.run_round(next(cuts) if chance.random() < 0.6 else None)
                world.change = None
                world.run_round(None)
            except Exception as error:
                error.add_note(f"in the sequence with the seed {seed}")
                raise
    assert [cut for cut in CUTS if not met[cut]] == [], "no files were pending at these"
    wanted = {(what, False) for what in WHAT} | {
        (what, True) for what in ("send", "correct", "take back", "retract")
    }
    assert wanted - set(met) == set(), "these were not done, or not after a run that was cut short"
