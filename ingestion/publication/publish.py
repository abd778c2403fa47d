"""Publishes the audited marts to S3 and the database as one version.

The order makes a crash harmless: new objects and the manifest are invisible until the pointer
names them; the database's tables, the staging table and the publication change in one
transaction; the pointer moves last, and a run that finds it behind finishes the move.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import decimal
import hashlib
import json
import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import in_transaction, repeated
from ingestion.database.staging_table import FileStatus, files, utc_now
from ingestion.publication import mart_tables, publications
from ingestion.publication.manifest import (
    Manifest,
    MartTable,
    changed_partitions,
    from_json,
)
from ingestion.publication.mart_copies import MartCopies
from ingestion.publication.mart_files import ScannedTable
from ingestion.publication.publications import Publication
from ingestion.s3.object_store import ObjectChanged, ObjectGone

if TYPE_CHECKING:
    from ingestion.s3.object_store import ObjectStore

_LOG = logging.getLogger(__name__)
POINTER = "current.json"
Scan: TypeAlias = Callable[[int, Mapping[str, MartTable]], Mapping[str, ScannedTable]]


@dataclasses.dataclass(frozen=True)
class Prefixes:
    """Where each kind of mart goes, and where manifests and the pointer lie; all end with '/'."""

    marts: Mapping[str, str]
    publications: str

    def manifest_key(self, version: int) -> str:
        """The key of a version's manifest."""
        return f"{self.publications}manifests/v{version:06d}.json"

    @property
    def pointer_key(self) -> str:
        """The key of the one object that names the current version."""
        return f"{self.publications}{POINTER}"


@dataclasses.dataclass(frozen=True)
class Published:
    """What a publication wrote."""

    version: int
    changed: Mapping[str, tuple[str, ...]]
    objects_uploaded: int
    bytes_uploaded: int
    rows_loaded: int
    database_tables: tuple[str, ...]


def read_current(store: ObjectStore, current: Publication | None) -> Manifest | None:
    """The manifest of the version that the database shows."""
    return None if current is None else from_json(store.get_bytes(current.manifest_key))


def publish(
    store: ObjectStore,
    engine: Engine,
    scan: Scan,
    prefixes: Prefixes,
    *,
    run_id: str,
    logic_hash: str,
    finish: Callable[[Connection], None],
    threads: int,
    progress: Callable[[int], Callable[[int], None]],
) -> Published:
    """Publishes a new version. ``finish`` runs in the transaction that makes it visible, and again
    where that is repeated.

    ``scan`` gives the built tables by name, for a version's number and the tables published last.
    ``progress`` is called with the number of objects to upload; what it returns is called with 1
    after each of them, from several threads.
    """
    current = in_transaction(engine, publications.current_publication)
    version = in_transaction(engine, publications.new_version)
    last = read_current(store, current)
    before = {} if last is None else last.tables
    scanned = scan(version, before)
    uploaded = _upload(store, list(scanned.values()), threads, progress)
    moment = utc_now()
    tables = {name: item.table for name, item in scanned.items()}
    manifest = Manifest(version, run_id, f"{moment:%Y-%m-%dT%H:%M:%SZ}", tables)

    def record(connection: Connection) -> Publication:
        finish(connection)
        rows, amount = _totals(connection)
        return Publication(
            version=version,
            run_id=run_id,
            published_at=moment,
            manifest_key=prefixes.manifest_key(version),
            manifest_sha256="",
            logic_hash=logic_hash,
            rows_total=rows,
            amount_total=amount,
        )

    local = {key: path for item in scanned.values() for key, path in item.local.items()}
    rows_loaded = show_version(store, engine, prefixes, last, manifest, local, record)
    return Published(
        version=version,
        changed={
            name: changed_partitions(before.get(name), table) for name, table in tables.items()
        },
        objects_uploaded=len(uploaded),
        bytes_uploaded=sum(uploaded.values()),
        rows_loaded=rows_loaded,
        database_tables=tuple(name for name, table in tables.items() if table.in_database),
    )


def show_version(
    store: ObjectStore,
    engine: Engine,
    prefixes: Prefixes,
    last: Manifest | None,
    manifest: Manifest,
    local: Mapping[str, Path],
    record: Callable[[Connection], Publication],
) -> int:
    """Makes ``manifest`` the version that readers see, in the database and then on S3.

    Its objects are on S3 already; ``local`` are the copies that are at hand, by object key.
    ``record`` runs in the one transaction and returns the publication (its manifest's hash is
    filled in here). Returns the rows loaded into the database.
    """
    content = manifest.to_json()
    store.put_bytes(prefixes.manifest_key(manifest.version), content)
    before = {} if last is None else last.tables
    marts = [table for table in manifest.tables.values() if table.in_database]
    repeated(engine, lambda: mart_tables.ensure_live_tables(engine, marts))
    with tempfile.TemporaryDirectory() as folder:
        copies = MartCopies(store, Path(folder), local)
        loaded = [_load_beside(engine, before.get(mart.name), mart, copies) for mart in marts]
    changes = [change for change in loaded if change is not None]

    def swap(connection: Connection) -> None:
        if publications.is_recorded(connection, manifest.version, manifest.run_id):
            return  # done already; only the answer to the commit was lost
        for change in changes:
            mart_tables.swap_in(connection, change)
        publication = record(connection)
        publications.add_publication(
            connection,
            dataclasses.replace(publication, manifest_sha256=hashlib.sha256(content).hexdigest()),
        )

    in_transaction(engine, swap)
    repeated(engine, lambda: mart_tables.drop_loaded(engine, changes))
    finish_pointer(store, engine, prefixes)  # last: should it fail, the next run does it
    return sum(change.row_count for change in changes)


def _load_beside(
    engine: Engine, old: MartTable | None, new: MartTable, copies: MartCopies
) -> mart_tables.LoadedChange | None:
    def load(before: MartTable | None) -> mart_tables.LoadedChange | None:
        return repeated(engine, lambda: mart_tables.load_beside(engine, before, new, copies.path))

    try:
        return load(old)
    except (ObjectChanged, ObjectGone) as error:
        _LOG.warning("%s; the table %s is loaded whole", error, new.name)
        return load(None)


def finish_pointer(store: ObjectStore, engine: Engine, prefixes: Prefixes) -> bool:
    """Makes the pointer name the version that the database shows; true if it had to move."""
    current = in_transaction(engine, publications.current_publication)
    if current is None or current.pointer_written:
        return False
    content = json.dumps(
        {
            "version": current.version,
            "manifest": current.manifest_key,
            "sha256": current.manifest_sha256,
        },
        indent=1,
    ).encode()
    there = store.head(prefixes.pointer_key)
    if there is None:
        store.put_bytes(prefixes.pointer_key, content, if_none_match="*")
    elif store.get_bytes(prefixes.pointer_key) != content:
        store.put_bytes(prefixes.pointer_key, content, if_match=there.etag)
    in_transaction(engine, lambda found: publications.record_pointer(found, current.version))
    return True


def _upload(
    store: ObjectStore,
    scanned: Sequence[ScannedTable],
    threads: int,
    progress: Callable[[int], Callable[[int], None]],
) -> dict[str, int]:
    """Uploads the new files; what an interrupted run left in this version's folders goes first."""
    fresh = {key: path for item in scanned for key, path in item.fresh_files().items()}
    for item in scanned:
        for leftover in store.list_objects(item.key_prefix):
            if leftover.key not in fresh:
                _LOG.info("removing %s, left by an interrupted run", leftover.key)
                store.delete(leftover.key)
    advance = progress(len(fresh))

    def put(key: str, path: Path) -> None:
        store.put_file(key, path)
        advance(1)

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, fresh.keys(), fresh.values()))
    return {key: path.stat().st_size for key, path in fresh.items()}


def _totals(connection: Connection) -> tuple[int, decimal.Decimal]:
    query = sa.select(files.c.rows_valid, files.c.amount_valid).where(
        files.c.status == FileStatus.INACTIVE.value
    )
    rows, amount = 0, decimal.Decimal(0)
    for row in connection.execute(query):
        rows += row.rows_valid or 0
        amount += row.amount_valid or decimal.Decimal(0)
    return rows, amount
