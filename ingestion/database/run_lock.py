"""The one lock of a database: two runs never work on it at the same time."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from typing import TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from ingestion.database.engine import repeated
from ingestion.database.errors import is_in_the_way
from ingestion.errors import BusyError, PipelineError

_SECONDS_TO_FREE = 5  # until the server frees the lock of a connection that broke
_SIGN_OF_LIFE_SECONDS = 60  # what stands between may close a connection that is idle for longer
_IDLE_SECONDS = 900  # without a sign of life, until the server frees the lock of a lost machine
StillAlone: TypeAlias = Callable[[], None]


@contextlib.contextmanager
def run_lock(engine: Engine) -> Iterator[StillAlone]:
    """Holds the one lock of this database; ``BusyError`` at once when another run has it.

    MySQL: ``GET_LOCK`` on a connection of its own. SQLite: an exclusive transaction on a file
    beside the database. Both free themselves when the process dies, and MySQL's a while after its
    machine has gone without a word.

    MySQL's also goes with its connection, and another run may begin. What the block gets is to be
    called before anything that would harm that run: it takes the lock again where only the
    connection broke, and raises ``BusyError`` where another run has it, or where the server still
    takes the broken connection for one. Whether one has come and gone meanwhile,
    ``publications.is_recorded`` and ``batches.move_batch`` find out.
    """
    busy = BusyError(
        "Another run is active on this database",
        action="Wait until it has finished; nothing was changed",
    )
    if engine.dialect.name == "sqlite":
        with _sqlite_lock(f"{engine.url.database}.lock", busy):
            yield lambda: None
    else:
        lock = _MySqlLock(engine)
        if not lock.take(0):
            raise busy
        try:
            yield lock.verify
        finally:
            lock.release()


@contextlib.contextmanager
def _sqlite_lock(path: str, busy: BusyError) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            holder = sqlite3.connect(path, timeout=0, isolation_level=None)
            stack.callback(holder.close)
            holder.execute("begin exclusive")
        except sqlite3.DatabaseError as error:
            if is_in_the_way(error):
                raise busy from error
            raise PipelineError(
                "The lock file that keeps two runs apart cannot be used",
                expected=f"an empty file {path} that is writable, or none",
                found=str(error),
                action="Remove it while no run is active",
            ) from error
        yield


class _MySqlLock:
    """A named lock of the server, and the connection that it lives and dies with."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = sa.func.concat(  # at most 64 characters; MySQL 9.6 has no sha1 any more
            "retail_mart:", sa.func.left(sa.func.sha2(sa.func.database(), 256), 32)
        )
        self._holder: Connection | None = None
        self._one_at_a_time = threading.Lock()
        self._is_released = threading.Event()
        self._keeper = threading.Thread(target=self._show_life, name="run lock", daemon=True)

    def take(self, seconds: int) -> bool:
        """Whether the lock is held now; waits ``seconds`` for it, and a retry a little longer."""
        waits = itertools.chain([seconds], itertools.repeat(_SECONDS_TO_FREE))

        def once() -> Connection | None:
            holder = self._engine.connect()
            try:
                holder.exec_driver_sql(f"set session wait_timeout = {_IDLE_SECONDS}")
                if (
                    holder.execute(sa.select(sa.func.get_lock(self._name, next(waits)))).scalar()
                    == 1
                ):
                    return holder
            except BaseException:
                holder.invalidate()
                raise
            holder.close()
            return None

        self._holder = repeated(self._engine, once)
        if self._holder is not None and not self._keeper.is_alive():
            self._keeper.start()
        return self._holder is not None

    def verify(self) -> None:
        """Takes the lock again where its connection broke; ``BusyError`` if another run has it."""
        with self._one_at_a_time:
            if self._is_held():
                return
            self._close()
            if not self.take(_SECONDS_TO_FREE):
                raise BusyError(
                    "This run has lost its lock on the database, and another run is active",
                    action="Run again when that has ended; the run continues where it stopped",
                )

    def release(self) -> None:
        """Frees the lock at once; should the server not hear of it, it does so later."""
        self._is_released.set()
        with self._one_at_a_time:
            if self._holder is not None:
                with contextlib.suppress(SQLAlchemyError):
                    self._holder.execute(sa.select(sa.func.release_lock(self._name)))
            self._close()
        self._keeper.join()

    def _show_life(self) -> None:
        while not self._is_released.wait(_SIGN_OF_LIFE_SECONDS):
            with self._one_at_a_time:
                self._is_held()

    def _is_held(self) -> bool:
        if self._holder is None:
            return False
        is_ours = sa.func.is_used_lock(self._name) == sa.func.connection_id()
        try:
            return self._holder.execute(sa.select(is_ours)).scalar() == 1
        except SQLAlchemyError:
            return False

    def _close(self) -> None:
        if self._holder is not None:
            self._holder.invalidate()
            self._holder.close()
            self._holder = None
