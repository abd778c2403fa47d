"""What one run works with and has found so far; the steps read and write it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ingestion.database.engine import in_transaction
from ingestion.database.run_lock import run_lock
from ingestion.run.services import Services, open_services
from ingestion.steps import Steps
from ingestion.warehouse.warehouse_state import logic_hash

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from rich.console import Console
    from sqlalchemy.engine import Connection

    from ingestion.config.settings import Settings
    from ingestion.database.batches import BatchState
    from ingestion.database.run_lock import StillAlone
    from ingestion.database.staging_table import FileRow
    from ingestion.reader.contract import Contract
    from ingestion.run.checking import CheckedFile

T = TypeVar("T")
SALES_CONTRACT = Path("models", "staging", "_pos__sources.yml")
DIMENSION_CONTRACT = Path("models", "staging", "_retail__sources.yml")


def read_sales_contract(settings: Settings) -> Contract:
    """The contract of sales files, which the file profiles fit. Raises ``UsageError``."""
    from ingestion.reader.contract import read_contract
    from ingestion.reader.profile_columns import check_columns

    contract = read_contract(settings.project / SALES_CONTRACT)
    if settings.profiles:
        check_columns(settings.profiles, contract)
    return contract


@dataclasses.dataclass(frozen=True)
class ParsedModels:
    """The project's models as dbt has read them in this run.

    ``project`` is what dbt's next command starts from, ``manifest`` the same as plain data (see
    ``dbt_manifest``). ``kept_logic`` is the hash of what makes the rows that outlast a build.
    """

    project: Manifest
    manifest: Mapping[str, Any]
    kept_logic: str


@dataclasses.dataclass
class RunState:
    """One run. ``batch_id`` is None until a batch is open, and where only the logic changed.

    ``logic`` is the hash of the models as the run has found them (see ``logic_hash``).
    ``still_alone`` is what the run lock gave. ``unreadable`` files stay in the inbox, for S3 does
    not give them out. ``archived`` are the files of the batches that it has finished: its own, and
    one that an earlier run had published. ``sets_published_rows_aside`` where rows of files
    published before are set aside now, as by a changed rule. ``lost_originals`` counts copies whose
    original counts no more.
    """

    run_id: str
    services: Services
    contract: Contract
    logic: str
    steps: Steps
    still_alone: StillAlone
    full_refresh: bool = False
    batch_id: int | None = None
    checked: Sequence[CheckedFile] = ()
    repeated: int = 0
    unreadable: int = 0
    changed_while_read: list[str] = dataclasses.field(default_factory=list)
    archived: list[FileRow] = dataclasses.field(default_factory=list)
    sets_published_rows_aside: bool = False
    lost_originals: int = 0
    warnings: list[str] = dataclasses.field(default_factory=list)

    def in_transaction(self, work: Callable[[Connection], T]) -> T:
        """What ``work`` returns; repeated where it failed in passing, so twice must be as once."""
        return in_transaction(self.services.engine, work)

    def move_to(self, state: BatchState) -> None:
        """Moves the run's batch, if it has one."""
        from ingestion.database.batches import move_batch

        batch_id = self.batch_id
        if batch_id is not None:
            self.in_transaction(
                lambda connection: move_batch(connection, batch_id, state, self.run_id)
            )

    def batch_rows(self) -> list[FileRow]:
        """The staging table's rows of the run's batch; none without a batch."""
        return [] if self.batch_id is None else self.rows_of_batches([self.batch_id])

    def rows_of_batches(self, batch_ids: Collection[int] | None) -> list[FileRow]:
        """The staging table's rows of these batches; None means of all."""
        from ingestion.database.staging_table import rows_of_batches

        return self.in_transaction(lambda connection: rows_of_batches(connection, batch_ids))


@contextlib.contextmanager
def open_run(
    settings: Settings, run_id: str, console: Console | None, full_refresh: bool = False
) -> Iterator[RunState]:
    """A new run, while no other is at work on its database; ``BusyError`` where one is.

    Its steps are shown on ``console``, if it is a terminal.
    """
    contract = read_sales_contract(settings)
    logic = logic_hash(settings.project, contract)
    with (
        open_services(settings, os.environ) as services,
        run_lock(services.engine) as still_alone,
    ):
        yield RunState(run_id, services, contract, logic, Steps(console), still_alone, full_refresh)
