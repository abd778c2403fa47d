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

from ingestion.reader.contract import Contract
from ingestion.warehouse.project_files import add_files

_FILE = "warehouse.json"
_LOG = logging.getLogger(__name__)
_ALL_MODELS = "models/**/*.sql"
_RULES = ("macros/**/*.sql", "seeds/**/*", "dbt_project.yml")


@dataclasses.dataclass(frozen=True)
class WarehouseState:
    """``logic_hash`` is of what made the rows that outlast a build. ``files`` is the hash of the
    tables' file list, '' while a run is changing them; ``is_whole`` is false while all of them are
    being built anew.

    ``dimensions`` are the versions of the dimension tables that the marts show, by table; empty
    where that is not known. ``merging`` is filled while batches are merged: the old ones of each
    new one. ``files`` leaves the tables out that hold batches then.

    ``publication`` is the hash of the manifest that was published from these tables, of the one
    before while the run ``run_id`` is changing them; ``verdicts`` are then those on the files of
    its batch, by id, ``begun_with`` the versions of the dimension tables that it writes, and
    ``built_before`` is who had built the tables last when it began.

    ``judged_by`` tells those values of dimensions and settings that decide which sales count.
    """

    logic_hash: str
    files: str
    is_whole: bool
    dimensions: Mapping[str, str] = dataclasses.field(default_factory=dict)
    merging: Mapping[int, Sequence[int]] = dataclasses.field(default_factory=dict)
    publication: str = ""
    run_id: str = ""
    verdicts: Mapping[int, str] = dataclasses.field(default_factory=dict)
    begun_with: Mapping[str, str] = dataclasses.field(default_factory=dict)
    built_before: str = ""
    judged_by: str = ""


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
        merging = {int(batch): ids for batch, ids in content.pop("merging", {}).items()}
        verdicts = {int(file): verdict for file, verdict in content.pop("verdicts", {}).items()}
        return WarehouseState(**content, merging=merging, verdicts=verdicts)
    except (ValueError, TypeError, AttributeError):
        _LOG.warning("%s is of another version of the pipeline, or damaged: all is rebuilt", path)
        return None


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


def is_as_built(state: WarehouseState, warehouse: Path) -> bool:
    """Whether the tables are whole, and nobody has changed them since the last build."""
    if not state.is_whole or state.merging or not state.files:
        return False
    return state.files == list_hash(warehouse)
