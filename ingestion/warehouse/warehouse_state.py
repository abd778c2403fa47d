"""Knows whether the warehouse still is what the last run left, and under which logic it was built.

The warehouse is a cache: bronze and the models can make it anew at any time. An increment is
only right on top of tables that the same logic built and that nobody changed since.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import operator
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from ingestion.reader.contract import Contract
from ingestion.warehouse.project_files import add_files

_FILE = "warehouse.json"
_LOG = logging.getLogger(__name__)
_ALL_MODELS = "models/**/*.sql"
_RULES = ("macros/**/*.sql", "seeds/**/*", "dbt_project.yml")


@dataclasses.dataclass(frozen=True)
class PublishedTables:
    """The tables are those that a publication was made from.

    ``logic_hash`` is of what made the rows that outlast a build. ``judged_by`` tells those values
    of dimensions and settings that decide which sales count. ``publication`` is the hash of the
    manifest, ``files`` that of the tables' file list. ``dimensions`` are the versions of the
    dimension tables that the marts show, by table.

    While batches are merged, ``merging`` has the old ones of each new one, and ``files`` leaves out
    the tables that hold batches.
    """

    logic_hash: str
    judged_by: str
    publication: str
    files: str
    dimensions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    merging: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class NotedFile:
    """What decides which rows a file brings or replaces: ``reading`` is the hash of its content and
    of all by which it is read, the others are of its row in the staging table."""

    reading: str
    status: str
    replaces_id: int | None


@dataclasses.dataclass(frozen=True)
class BegunBuild:
    """The run ``run_id`` has begun to change the tables, and has not published them.

    ``logic_hash`` and ``judged_by`` are as in ``PublishedTables``. ``base`` is the hash of the
    manifest published before, '' where there is none. ``is_increment`` is true if the run adds to
    those tables, false if it makes all of them anew. ``files`` are those of its batch, by id;
    ``dimensions`` the versions of the dimension tables that it writes. ``built_before`` is who had
    built the tables last when it began.
    """

    logic_hash: str
    judged_by: str
    run_id: str
    base: str
    is_increment: bool
    files: Mapping[int, NotedFile]
    dimensions: Mapping[str, str]
    built_before: str


WarehouseState: TypeAlias = PublishedTables | BegunBuild


def logic_hash(project: Path, contract: Contract, models: Iterable[str] = (_ALL_MODELS,)) -> str:
    """The hash of the SQL of models and macros, the seeds, ``dbt_project.yml``, and what the sales
    contract says of each column. ``models`` are patterns of paths.

    The models' other YAML and the contract of the dimensions are not in it. What else decides which
    sales count, values of dimensions and settings, is in ``judged_by``.
    """
    digest = hashlib.sha256()
    add_files(digest, project, (*models, *_RULES))
    for column in contract.columns:
        rules = (column.name, column.data_type, column.required, column.minimum, column.maximum)
        digest.update(repr((*rules, column.personal)).encode())
    return digest.hexdigest()


def read_state(workspace: Path) -> WarehouseState | None:
    """What the last run noted; None where there was none, or where it cannot be read any more."""
    path = workspace / _FILE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        if "is_increment" in content:
            noted = {int(file): NotedFile(**found) for file, found in content["files"].items()}
            return BegunBuild(**{**content, "files": noted})
        merging = {int(batch): old_ids for batch, old_ids in content["merging"].items()}
        # older versions noted more; of a build that they began, no ``files``: all is built anew
        names = [field.name for field in dataclasses.fields(PublishedTables)]
        return PublishedTables(**{name: content[name] for name in names} | {"merging": merging})
    except (ValueError, TypeError, AttributeError, KeyError):
        _LOG.warning("%s is of another version of the pipeline, or damaged: all is rebuilt", path)
        return None


def read_published(workspace: Path) -> PublishedTables | None:
    """The same if the tables are those of a publication; None if a build has begun since."""
    known = read_state(workspace)
    return known if isinstance(known, PublishedTables) else None


def write_state(workspace: Path, state: WarehouseState) -> None:
    """Notes the state; a reader never meets half a file."""
    fresh = workspace / f"{_FILE}.new"
    fresh.write_text(json.dumps(dataclasses.asdict(state)))
    fresh.replace(workspace / _FILE)


def list_hash(warehouse: Path, without: Collection[Path] = ()) -> str:
    """The hash of the names and sizes of the warehouse's files, ``without`` those below these
    folders."""
    digest = hashlib.sha256()
    if warehouse.is_dir():
        for name, size in _sizes(str(warehouse), "", {str(folder) for folder in without}):
            digest.update(f"{name} {size}\n".encode())
    return digest.hexdigest()


def _sizes(folder: str, prefix: str, left_out: Collection[str]) -> Iterator[tuple[str, int]]:
    """The files below the folder in the order of their names, from ``prefix`` on, and their bytes.

    A directory entry knows what it is, so that a file costs one look at its size.
    """
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=operator.attrgetter("name")):
            name = f"{prefix}{entry.name}"
            if entry.is_dir(follow_symlinks=False):
                if entry.path not in left_out:
                    yield from _sizes(entry.path, f"{name}/", left_out)
            elif entry.is_file():
                yield name, entry.stat().st_size


def is_as_built(known: PublishedTables, warehouse: Path) -> bool:
    """Whether nobody has changed the tables since they were published."""
    return not known.merging and known.files == list_hash(warehouse)
