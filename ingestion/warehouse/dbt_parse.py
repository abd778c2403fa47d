"""Keeps what dbt has parsed, and gives it back only to the same dbt for the same project files.

dbt alone goes by the files' times: a file that comes back with its old time, from a backup say,
would pass for unchanged, and the models would follow a contract that is no longer there.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

from ingestion.warehouse.project_files import add_files

_PARSED = ("models/**/*", "macros/**/*", "seeds/**/*", "tests/data/**/*", "dbt_project.yml")
_PACKAGES = ("dbt-core", "dbt-adapters", "dbt-spark")  # their macros are parsed too
_WRITTEN_BY_DBT = "partial_parse.msgpack"
_KEPT = "parsed"


@contextmanager
def parse_options(project: Path, target: Path) -> Iterator[list[str]]:
    """dbt's options for a command: start from what is kept for these files, else parse all.

    What the command parsed into ``target`` is kept at the end of the block, in place of what was
    kept before; not so where it failed, or where a file was edited meanwhile: then nobody can say
    which of the two dbt has read.
    """
    kept = _kept(project, target)
    if kept.is_file():
        yield ["--partial-parse-file-path", str(kept), "--no-partial-parse-file-diff"]
        return
    yield ["--no-partial-parse"]
    if _kept(project, target) == kept:
        forget(target)
        kept.parent.mkdir()
        fresh = kept.with_suffix(".new")
        shutil.copyfile(target / _WRITTEN_BY_DBT, fresh)
        fresh.replace(kept)


def forget(target: Path) -> None:
    """Has the next command parse all."""
    shutil.rmtree(target / _KEPT, ignore_errors=True)


def _kept(project: Path, target: Path) -> Path:
    digest = hashlib.sha256(str(project).encode())
    digest.update(repr([version(name) for name in _PACKAGES]).encode())
    add_files(digest, project, _PARSED)
    return target / _KEPT / f"{digest.hexdigest()}.msgpack"
