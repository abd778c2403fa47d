"""Checks the files of a batch side by side and decides which of them count."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from ingestion.config.profiles import FileProfile, profile_for
from ingestion.database.staging_table import FileRow, FileStatus, Verdict, counting_row
from ingestion.errors import PipelineError
from ingestion.local_paths import local_path
from ingestion.reader.bronze_file import usable_processors
from ingestion.reader.contract import Contract
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import BadRow, FileReport, Reason
from ingestion.run.intake import is_csv_name, not_csv_reason
from ingestion.warehouse.raw_tables import batch_folder, bronze_path

if TYPE_CHECKING:
    from ingestion.run.run_state import RunState

_MOST_THREADS = 8
_LARGE_FILE = 4 << 20  # bytes; one such file at a time, so that memory does not grow with threads
_ONE_AT_A_TIME = threading.Lock()
_LOG = logging.getLogger(__name__)
_UNREADABLE = (
    "unreadable: checking the file failed. The file itself may be fine: report this, with the file "
    "and the cause logged with RETAIL_LOG_LEVEL=DEBUG. Found:"
)
_GONE = (
    "gone: the object was replaced or removed in the inbox before it could be read. "
    "A newer version is taken by the next run; otherwise send the file again"
)


@dataclasses.dataclass(frozen=True)
class CheckedFile:
    """A file's row, its verdict, and the reader's report."""

    row: FileRow
    verdict: Verdict
    report: FileReport


@dataclasses.dataclass(frozen=True)
class Checker:
    """What is needed to check a file: contract, profiles, and where files lie."""

    contract: Contract
    profiles: Sequence[FileProfile]
    inbox_prefix: str
    downloads: Path
    bronze: Path

    def check(self, row: FileRow) -> FileReport:
        """The report on one file; accepted files are bronze Parquet afterwards."""
        if not is_csv_name(row.file_name, self.inbox_prefix, self.profiles):
            return _refused(Reason("name", not_csv_reason(row.file_name)))
        path = local_path(self.downloads, row.file_name, row.etag)
        if not path.exists():
            return _refused(Reason("gone", _GONE))
        relative = row.file_name.removeprefix(self.inbox_prefix)
        destination = bronze_path(self.bronze, row.batch_id, row.id)
        destination.parent.mkdir(parents=True, exist_ok=True)
        return check_file(
            path,
            key=relative,
            file_id=row.id,
            contract=self.contract,
            profile=profile_for(relative, self.profiles),
            destination=destination,
        )


def checker(state: RunState) -> Checker:
    """What checks a file of this run."""
    settings, workspace = state.services.settings, state.services.workspace
    return Checker(
        state.contract,
        settings.profiles,
        settings.inbox_prefix,
        workspace.downloads,
        workspace.bronze,
    )


def recall_report(row: FileRow, bad_rows: Sequence[BadRow] = ()) -> FileReport:
    """The report on a file that was set aside, as far as its row in the staging table tells: the
    reason, and the counts if the models refused it; ``bad_rows`` are the first rejected ones."""
    code, _, _ = (row.reason or "").partition(":")
    return dataclasses.replace(
        _refused(Reason(code, row.reason or "")),
        rows_read=row.rows_read or 0,
        rows_faulty=row.rows_quarantined or 0,
        first_bad_rows=tuple(bad_rows),
    )


def _refused(reason: Reason) -> FileReport:
    return FileReport(
        accepted=False,
        reasons=(reason,),
        rows_read=0,
        rows_faulty=0,
        content_sha256="",
        first_bad_rows=(),
        hints=(),
    )


def check_batch(
    checker: Checker,
    rows: Sequence[FileRow],
    history: Mapping[str, Sequence[FileRow]],
    counted_elsewhere: Callable[[Collection[str]], Mapping[str, FileRow]],
    progress: Callable[[int], None] | None = None,
) -> list[CheckedFile]:
    """Checks the batch's planned files; their verdicts come in the order of their rows.

    ``history`` has the rows of their keys; ``counted_elsewhere`` finds, for content hashes, the row
    that counts. A file with the content of another that counts becomes 'D', one that fails the
    check 'E', one with a newer good version in the batch 'S'; any other stays 'A' and replaces what
    counted under its key. ``progress`` is called with 1 after each file, from several threads.
    """
    reports = _check_all(checker, rows, progress)
    planned_ids = {row.id for row in rows}
    newest = {row.file_name: row for row, report in reports if report.accepted}
    hashes = [report.content_sha256 for _, report in reports if report.accepted]
    counted = {  # what a newer version of this batch replaces makes room for its content elsewhere
        content: row
        for content, row in counted_elsewhere(hashes).items()
        if row.id not in planned_ids and row.file_name not in newest
    }
    checked = []
    for row, report in reports:
        earlier = [
            known
            for known in history.get(row.file_name, ())
            if known.id not in planned_ids and known.id < row.id
        ]
        verdict = _decide(row, report, counted, counting_row(earlier), newest.get(row.file_name))
        if verdict.status == FileStatus.PLANNED:
            counted[report.content_sha256] = row
        elif verdict.status != FileStatus.SUPERSEDED:  # a run cut short may have built its months
            bronze_path(checker.bronze, row.batch_id, row.id).unlink(missing_ok=True)
        checked.append(CheckedFile(row, verdict, report))
    return checked


def _check_all(
    checker: Checker, rows: Sequence[FileRow], progress: Callable[[int], None] | None
) -> list[tuple[FileRow, FileReport]]:
    """Each row with its report, read on as many threads as there are cores.

    An error ends it: files at work are read to their end, and no other is begun.
    """

    def check(row: FileRow) -> tuple[FileRow, FileReport]:
        found = row, check_one(checker, row)
        if progress:
            progress(1)
        return found

    threads = min(usable_processors(), _MOST_THREADS)
    with concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="check") as pool:
        checked = list(pool.map(check, rows))
    pa.default_memory_pool().release_unused()  # the JVM and the publication are still to come
    return checked


def check_one(checker: Checker, row: FileRow) -> FileReport:
    """The report on one file, which is bronze afterwards if it is accepted; from any thread.

    An error that nobody foresaw is the reason why the file is set aside.
    """
    is_large = row.size_bytes > _LARGE_FILE
    try:
        with _ONE_AT_A_TIME if is_large else contextlib.nullcontext():
            return checker.check(row)
    except (PipelineError, OSError, MemoryError):
        raise
    except Exception as error:
        # its words may hold values of persons
        _LOG.warning("%s (id %d) cannot be read", row.file_name, row.id)
        _LOG.debug("the cause", exc_info=True)
        return _refused(Reason("unreadable", f"{_UNREADABLE} {type(error).__name__}"))


def _decide(
    row: FileRow,
    report: FileReport,
    counted: Mapping[str, FileRow],
    current: FileRow | None,
    newest: FileRow | None,
) -> Verdict:
    if not report.accepted or newest is None:
        return Verdict(
            row.id,
            FileStatus.ERROR,
            reason=" | ".join(reason.message for reason in report.reasons),
            rows_read=report.rows_read,
            content_sha256=report.content_sha256 or None,
        )
    verdict = Verdict(
        row.id,
        FileStatus.SUPERSEDED,
        reason=f"superseded before it was published (id {newest.id})",
        rows_read=report.rows_read,
        content_sha256=report.content_sha256,
    )
    if newest.id != row.id:
        return verdict
    verdict = dataclasses.replace(verdict, replaces_id=None if current is None else current.id)
    first = counted.get(report.content_sha256)
    if first is None:
        hints = " | ".join(report.hints) or None
        return dataclasses.replace(verdict, status=FileStatus.PLANNED, reason=hints)
    return dataclasses.replace(
        verdict,
        status=FileStatus.DUPLICATE,
        reason=f"duplicate: the content of {first.file_name} (id {first.id})",
        duplicate_of_id=first.id,
    )


def remove_strays(bronze: Path, batch_id: int, rows: Iterable[FileRow]) -> None:
    """Deletes bronze files of the batch that belong to none of these rows."""
    wanted = {bronze_path(bronze, batch_id, row.id) for row in rows}
    for path in batch_folder(bronze, batch_id).glob("*"):
        if path not in wanted:
            path.unlink()
