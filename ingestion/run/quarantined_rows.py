"""Reads the rows that are set aside from the current publication in the database."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import json
import logging
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from ingestion.database import staging_table
from ingestion.database.engine import in_transaction, repeated
from ingestion.database.staging_table import FileStatus, counting_row
from ingestion.errors import PipelineError
from ingestion.publication.publications import current_publication
from ingestion.reader.file_check import SHOWN_BAD_ROWS
from ingestion.reader.masking import MASK, masked
from ingestion.reader.verdicts import BadRow
from ingestion.run.mart_steps import dbt_project
from ingestion.warehouse.dbt_build import parse
from ingestion.warehouse.dbt_manifest import last_manifest, read_manifest, table_with_role

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection, Engine

    from ingestion.reader.contract import Contract
    from ingestion.run.services import Services

_LOG = logging.getLogger(__name__)
_ROWS_AT_ONCE = 1_000
ROLE = "quarantined_rows"  # by which dbt's manifest tells the model, whatever its name
_ADDRESS = ("file_id", "file_name", "line_number", "reasons", "reason_codes")
# the code of every row of a file that is too bad to trust, after the row's own; a row that no rule
# rejects has it alone
FILE_REASON = "file_too_bad"


@dataclasses.dataclass(frozen=True)
class QuarantinedRow:
    """The address of a row set aside, and its reasons."""

    file_id: int
    file_name: str
    line_number: int
    reasons: str
    codes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class ReasonCount:
    """The rows set aside for one reason code: their number, their files, and the first of them."""

    code: str
    rows: int
    files: tuple[str, ...]
    first: QuarantinedRow


@dataclasses.dataclass(frozen=True)
class SavedRows:
    """Rows set aside, in the order of files and lines, in a file: there may be millions."""

    path: Path
    corrected: Set[int]  # the ids of files of which they are not wanted

    def __iter__(self) -> Iterator[QuarantinedRow]:
        with self.path.open(encoding="utf-8") as file:
            for line in file:
                file_id, file_name, line_number, reasons, codes = json.loads(line)
                row = QuarantinedRow(file_id, file_name, line_number, reasons, tuple(codes))
                if row.file_id not in self.corrected:
                    yield row


@contextlib.contextmanager
def read_rows(
    services: Services, key: str | None = None, reason: str | None = None
) -> Iterator[SavedRows]:
    """The rows set aside in the current publication, of all files or of one, for any reason or one.

    Rows of a file that was set aside whole are left out once a newer version of it counts. The rows
    can be read while the block lasts.
    """
    name = _published_table(services)
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        path = Path(folder) / "rows"
        path.touch()
        corrected: set[int] = set()
        if name is not None:
            corrected = in_transaction(
                services.engine,
                lambda found: _save_rows(found, _as_table(name, _ADDRESS), key, reason, path),
            )
        yield SavedRows(path, corrected)


def _save_rows(
    connection: Connection, table: sa.TableClause, key: str | None, reason: str | None, path: Path
) -> set[int]:
    """Writes the rows to ``path``; returns the ids of the files that have been corrected since."""
    query = _of_file(sa.select(table).order_by(table.c.file_id, table.c.line_number), table, key)
    keys: set[str] = set()
    with path.open("w", encoding="utf-8") as file:
        # there may be millions, and a driver keeps them all unless it is told not to
        for row in connection.execute(query.execution_options(yield_per=_ROWS_AT_ONCE)):
            codes = row.reason_codes.split(", ")
            if key in (None, row.file_name) and reason in (None, *codes):
                keys.add(row.file_name)
                values = (row.file_id, row.file_name, row.line_number, row.reasons)
                file.write(json.dumps([*values, codes]) + "\n")
    return _corrected(connection, keys)


def count_rows(services: Services, key: str | None = None) -> list[ReasonCount]:
    """The rows that :func:`read_rows` reads, counted by reason."""
    name = _published_table(services)
    if name is None:
        return []
    return in_transaction(
        services.engine, lambda connection: _counted(connection, _as_table(name, _ADDRESS), key)
    )


def _counted(connection: Connection, table: sa.TableClause, key: str | None) -> list[ReasonCount]:
    kinds = (table.c.file_id, table.c.file_name, table.c.reason_codes)
    rows, first_line = sa.func.count().label("rows"), sa.func.min(table.c.line_number)
    query = sa.select(*kinds, rows, first_line.label("first_line")).group_by(*kinds)
    query = _of_file(query.order_by(table.c.file_id), table, key)
    found = [kind for kind in connection.execute(query) if key in (None, kind.file_name)]
    corrected = _corrected(connection, {kind.file_name for kind in found})
    by_code: dict[str, list[sa.Row[Any]]] = collections.defaultdict(list)
    for kind in found:
        if kind.file_id not in corrected:
            for code in kind.reason_codes.split(", "):
                by_code[code].append(kind)
    return [
        ReasonCount(
            code,
            sum(kind.rows for kind in of_code),
            tuple(dict.fromkeys(kind.file_name for kind in of_code)),
            _row_at(connection, table, *min((kind.file_id, kind.first_line) for kind in of_code)),
        )
        for code, of_code in by_code.items()
    ]


def _row_at(
    connection: Connection, table: sa.TableClause, file_id: int, line_number: int
) -> QuarantinedRow:
    query = sa.select(table).where(table.c.file_id == file_id, table.c.line_number == line_number)
    row = connection.execute(query).one()
    codes = tuple(row.reason_codes.split(", "))
    return QuarantinedRow(row.file_id, row.file_name, row.line_number, row.reasons, codes)


def _of_file(query: sa.Select[Any], table: sa.TableClause, key: str | None) -> sa.Select[Any]:
    """The query for one file or all; MySQL finds others, too, see ``define_table``."""
    return query if key is None else query.where(table.c.file_name == key)


def _corrected(connection: Connection, keys: Collection[str]) -> set[int]:
    """The ids of file versions that were set aside whole and are older than the version of their
    key that counts."""
    ids: set[int] = set()
    for versions in staging_table.rows_by_key(connection, keys).values():
        current = counting_row(versions)
        if current is not None:
            ids |= {
                row.id for row in versions if row.status == FileStatus.ERROR and row.id < current.id
            }
    return ids


def _published_table(services: Services) -> str | None:
    """The table with the rows set aside; None, with a warning if need be, where there is none.

    Without a manifest, as on a machine that has made no run yet, or with one from before the model
    was renamed, dbt parses the project: into a folder of its own, since a run may be at work.
    """
    if in_transaction(services.engine, current_publication) is None:
        return None
    known = _known_table(services)
    if known is not None:
        return known
    dbt = dbt_project(services.settings)
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        fresh = dataclasses.replace(dbt, target=Path(folder))
        parse(fresh)
        name = table_with_role(read_manifest(fresh.target), ROLE)
    if not _columns(services.engine, name):
        _LOG.warning(
            "quarantined rows cannot be listed: the database has no table %s. Expected: the "
            "model with pipeline_role: %s, published with database: true. Run again with "
            "--full-refresh",
            *(name, ROLE),
        )
        return None
    return name


def _known_table(services: Services) -> str | None:
    """The table as the last manifest of this workspace names it, if the database has such a one."""
    manifest = last_manifest(services.workspace.dbt_target)
    if not manifest:
        return None
    try:
        name = table_with_role(manifest, ROLE)
    except PipelineError:  # of an older version of the project, say
        return None
    return name if _columns(services.engine, name) else None


def _columns(engine: Engine, name: str) -> set[str]:
    """The columns of a table in the database; none where it is not there."""

    def look() -> set[str]:
        inspector = sa.inspect(engine)
        if not inspector.has_table(name):
            return set()
        return {column["name"] for column in inspector.get_columns(name)}

    return repeated(engine, look)


def _as_table(name: str, columns: Iterable[str]) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns))


def first_bad_rows(
    services: Services, contract: Contract, file_id: int, lines: Mapping[int, str]
) -> list[BadRow]:
    """The first rows of a file that a rule rejects, personal values masked.

    Rows that are set aside only because their file is too bad to trust are not among them. The list
    is empty where they cannot be looked up: a run can do without them in its report. ``lines`` maps
    line numbers to what the reader shows of lines that are no rows: only the reader knows the
    file's dialect and header, and so where personal values are. A line that is no row and is not in
    ``lines`` is shown as ***.
    """
    names = [column.name for column in contract.columns]
    personal = [place for place, column in enumerate(contract.columns) if column.personal]
    fixed = ("file_id", "line_number", "reasons", "reason_codes", "raw_line")
    columns = [*fixed, *(f"raw_{name}" for name in names)]
    known = _known_table(services)
    if known is None or not _columns(services.engine, known).issuperset(columns):
        return []
    table = _as_table(known, columns)
    query = (
        sa.select(table)
        .where(table.c.file_id == file_id, table.c.reason_codes != FILE_REASON)
        .order_by(table.c.line_number)
    )
    found = in_transaction(
        services.engine,
        lambda connection: connection.execute(query.limit(SHOWN_BAD_ROWS)).mappings().all(),
    )
    return [
        BadRow(
            row["line_number"],
            row["reasons"],
            lines.get(row["line_number"], MASK)
            if row["raw_line"]
            else masked([row[f"raw_{name}"] or "" for name in names], len(names), personal, ","),
        )
        for row in found
    ]
