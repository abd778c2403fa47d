"""Publishes the audited marts to S3 and the database as one version.

The order makes a crash harmless: new objects and the manifest are invisible until the pointer
names them; the database's tables, the staging table and the publication change in one
transaction; the pointer moves last, and a run that finds it behind finishes the move.
"""

from __future__ import annotations

import concurrent.futures
import dataclasses
import hashlib
import logging
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection, Engine

from ingestion.database.engine import in_transaction, repeated
from ingestion.database.run_lock import StillAlone
from ingestion.database.staging_table import published_totals, utc_now
from ingestion.publication import mart_tables, pointer, publications
from ingestion.publication.manifest import (
    Manifest,
    MartTable,
    changed_partitions,
    from_json,
)
from ingestion.publication.mart_copies import MartCopies
from ingestion.publication.mart_files import ScannedTable
from ingestion.publication.places import Prefixes, run_tag, version_name, version_prefix
from ingestion.publication.publications import Publication
from ingestion.s3.object_store import ObjectChanged, ObjectGone

if TYPE_CHECKING:
    from ingestion.s3.object_store import ObjectStore
    from ingestion.steps import Steps

_LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Sinks:
    """Where versions are shown, and what it takes to write there.

    Copies of objects lie in ``scratch`` for a while; ``threads`` objects are written or removed at
    a time. ``still_alone`` is what the run lock gave.
    """

    store: ObjectStore
    engine: Engine
    prefixes: Prefixes
    scratch: Path
    threads: int
    still_alone: StillAlone


@dataclasses.dataclass(frozen=True)
class Draft:
    """A version that a run is about to publish, on top of the version ``base`` (0: none) with its
    manifest ``last``, where that is there."""

    version: int
    run_id: str
    base: int
    last: Manifest | None

    @property
    def name(self) -> str:
        """The part of its objects' keys that no other version has."""
        return version_name(self.version, self.run_id)

    @property
    def before(self) -> Mapping[str, MartTable]:
        """The tables published last, by name, of which unchanged files stay where they are."""
        return {} if self.last is None else self.last.tables


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
    """The manifest of the version that the database shows; None, too, where it is gone, as that of
    a database from an old backup is: then nothing on S3 is known, and all is sent anew.

    Raises ``UnknownFormat`` where another version of the pipeline has published it, or it is no
    longer what was published."""
    if current is None:
        return None
    try:
        content = store.get_bytes(current.manifest_key)
        return from_json(content, current.manifest_key, current.manifest_sha256)
    except ObjectGone as error:
        _LOG.warning("%s; every table is uploaded and loaded in full", error.what)
        return None


def begin(sinks: Sinks, run_id: str) -> Draft:
    """The version that this run is to publish; nothing is written yet."""
    current = in_transaction(sinks.engine, publications.current_publication)
    version = in_transaction(sinks.engine, publications.new_version)
    base = 0 if current is None else current.version
    return Draft(version, run_id, base, read_current(sinks.store, current))


def publish(
    sinks: Sinks,
    draft: Draft,
    scanned: Mapping[str, ScannedTable],
    *,
    logic_hash: str,
    finish: Callable[[Connection], None],
    steps: Steps,
) -> Published:
    """Publishes the built tables, by name, as the version of the draft. ``finish`` runs in the
    transaction that makes it visible, and again where that is repeated.

    Raises ``PipelineError`` where another run has published since the draft was begun.
    """
    version, run_id, base = draft.version, draft.run_id, draft.base
    sinks.still_alone()
    in_transaction(
        sinks.engine, lambda found: publications.is_recorded(found, version, run_id, base)
    )
    number = version_prefix(version)
    folders = {item.key_prefix.rpartition(number)[0] for item in scanned.values()}
    remove_leftovers(sinks, version, folders)
    uploaded = _upload(sinks, list(scanned.values()), steps)
    moment = utc_now()
    tables = {name: item.table for name, item in scanned.items()}
    manifest = Manifest(version, run_id, f"{moment:%Y-%m-%dT%H:%M:%SZ}", tables)

    def record(connection: Connection) -> Publication:
        finish(connection)
        rows, amount = published_totals(connection)
        return Publication(
            version=version,
            run_id=run_id,
            published_at=moment,
            manifest_key=sinks.prefixes.manifest_key(version, run_id),
            manifest_sha256="",
            logic_hash=logic_hash,
            rows_total=rows,
            amount_total=amount,
        )

    local = {key: path for item in scanned.values() for key, path in item.local.items()}
    rows_loaded = show_version(sinks, base, draft.last, manifest, local, record)
    return Published(
        version=version,
        changed={
            name: changed_partitions(draft.before.get(name), table)
            for name, table in tables.items()
        },
        objects_uploaded=len(uploaded),
        bytes_uploaded=sum(uploaded.values()),
        rows_loaded=rows_loaded,
        database_tables=tuple(name for name, table in tables.items() if table.in_database),
    )


def show_version(
    sinks: Sinks,
    base: int,
    last: Manifest | None,
    manifest: Manifest,
    local: Mapping[str, Path],
    record: Callable[[Connection], Publication],
) -> int:
    """Makes ``manifest`` the version that readers see, in the database and then on S3, on top of
    the version ``base`` (0: none) and its manifest ``last``, where that is there.

    Its objects are on S3 already; ``local`` are the copies that are at hand, by object key.
    ``record`` runs in the one transaction and returns the publication (its manifest's hash is
    filled in here). Returns the rows loaded into the database.
    """
    store, engine, prefixes = sinks.store, sinks.engine, sinks.prefixes
    content = manifest.to_json()
    store.put_bytes(prefixes.manifest_key(manifest.version, manifest.run_id), content)
    before = {} if last is None else last.tables
    marts = [table for table in manifest.tables.values() if table.in_database]
    repeated(engine, lambda: mart_tables.ensure_live_tables(engine, marts))
    loaded = []
    with tempfile.TemporaryDirectory(dir=sinks.scratch) as folder:
        copies = MartCopies(store, Path(folder), local)
        for mart in marts:
            sinks.still_alone()
            old, tag = before.get(mart.name), run_tag(manifest.run_id)
            loaded.append(_load_beside(engine, old, mart, copies, tag))
    sinks.still_alone()
    changes = [change for change in loaded if change is not None]

    def swap(connection: Connection) -> None:
        if publications.is_recorded(connection, manifest.version, manifest.run_id, base):
            return  # done already; only the answer to the commit was lost
        for change in changes:
            mart_tables.swap_in(connection, change)
        publication = record(connection)
        publications.add_publication(
            connection,
            dataclasses.replace(publication, manifest_sha256=hashlib.sha256(content).hexdigest()),
        )

    in_transaction(engine, swap)
    pointer.finish_pointer(store, engine, prefixes)  # should it fail, the next run does it
    return sum(change.row_count for change in changes)


def _load_beside(
    engine: Engine, old: MartTable | None, new: MartTable, copies: MartCopies, tag: str
) -> mart_tables.LoadedChange | None:
    def load(before: MartTable | None) -> mart_tables.LoadedChange | None:
        return repeated(
            engine, lambda: mart_tables.load_beside(engine, before, new, copies.path, tag)
        )

    try:
        return load(old)
    except (ObjectChanged, ObjectGone) as error:
        _LOG.warning("%s; the table %s is loaded in full", error, new.name)
        return load(None)


def remove_leftovers(sinks: Sinks, version: int, folders: Collection[str]) -> None:
    """Removes what a run that was cut short has left under the number of this version, in these
    folders of marts and then among the manifests."""
    number = version_prefix(version)
    store = sinks.store
    for places in (folders, (sinks.prefixes.manifests,)):
        keys = [info.key for place in places for info in store.list_objects(f"{place}{number}")]
        for key in keys:
            _LOG.info("removing %s, left by an interrupted run", key)
        store.delete_all(keys, sinks.threads)


def _upload(sinks: Sinks, scanned: Sequence[ScannedTable], steps: Steps) -> dict[str, int]:
    """Uploads the new files; returns the bytes of each, by key."""
    fresh = {key: path for item in scanned for key, path in item.fresh_files().items()}
    advance = steps.progress(len(fresh), "objects")

    def put(key: str, path: Path) -> None:
        sinks.store.put_file(key, path)
        advance(1)

    with concurrent.futures.ThreadPoolExecutor(sinks.threads) as pool:
        list(pool.map(put, fresh.keys(), fresh.values()))
    return {key: path.stat().st_size for key, path in fresh.items()}
