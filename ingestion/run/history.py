"""Keeps, lists and removes older publications, and shows one of them again."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction
from ingestion.database.staging_table import utc_now
from ingestion.errors import PipelineError
from ingestion.publication import publications, publish
from ingestion.publication.manifest import Manifest, from_json
from ingestion.publication.publications import Publication

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.engine import Connection

    from ingestion.run.services import Services

_LOG = logging.getLogger(__name__)


def list_publications(services: Services) -> list[Publication]:
    """The versions that can be shown again, oldest first; the last one is current."""
    return in_transaction(services.engine, publications.kept_publications)


def roll_back(services: Services, version: int | None, run_id: str) -> Publication:
    """Shows an older version again, in the database and on S3, as a new version of its own.

    Without ``version``, the one before the current. Files keep their status: the next run that has
    something to publish publishes all of them again.
    """
    kept = list_publications(services)
    target = _chosen(kept, version)
    store, prefixes = services.store, services.prefixes
    current = kept[-1]
    last, old = manifest_of(services, current), manifest_of(services, target)
    moment = utc_now()
    manifest = Manifest(current.version + 1, run_id, f"{moment:%Y-%m-%dT%H:%M:%SZ}", old.tables)
    shown = dataclasses.replace(
        target,
        version=manifest.version,
        run_id=run_id,
        published_at=moment,
        manifest_key=prefixes.manifest_key(manifest.version),
        logic_hash=current.logic_hash,
        pointer_written=False,
        rolled_back_to=target.rolled_back_to or target.version,
    )

    def record(_: Connection) -> Publication:
        return shown

    publish.show_version(store, services.engine, prefixes, last, manifest, {}, record)
    return shown


def manifest_of(services: Services, item: Publication) -> Manifest:
    """The manifest of a kept version."""
    return from_json(services.store.get_bytes(item.manifest_key))


def _chosen(kept: list[Publication], version: int | None) -> Publication:
    by_version = {item.version: item for item in kept[:-1]}
    wanted = version if version is not None else max(by_version, default=None)
    if wanted is None or wanted not in by_version:
        raise PipelineError(
            "There is no earlier version to go back to"
            if wanted is None
            else f"Version {wanted} cannot be shown again",
            expected=f"one of {', '.join(map(str, by_version))}" if by_version else None,
            found=f"version {kept[-1].version} is current" if kept else "nothing is published yet",
            action="python run_pipeline.py publications lists them",
        )
    return by_version[wanted]


def rollback_notices(services: Services) -> list[str]:
    """What a run says while readers see an older version again; else nothing."""
    current = in_transaction(services.engine, publications.current_publication)
    if current is None or current.rolled_back_to is None:
        return []
    return [
        f"readers see version {current.rolled_back_to} again since the rollback of "
        f"{current.published_at:%Y-%m-%d %H:%M:%S} UTC; the next publication shows all files"
    ]


def remove_old(services: Services, keep: int) -> int:
    """Removes the objects that only versions older than the last ``keep`` need.

    Returns how many objects went. The current version always stays. A crash in the middle leaves
    objects that the next call removes.
    """
    kept = list_publications(services)
    old, staying = kept[:-keep], kept[-keep:]
    if not old:
        return 0
    store = services.store
    needed = {key for item in staying for key in _objects(services, item)}
    removed = 0
    for item in old:
        for key in _objects(services, item) - needed:
            store.delete(key)
            removed += 1
        store.delete(item.manifest_key)
    versions = [item.version for item in old]
    in_transaction(services.engine, lambda found: publications.forget_publications(found, versions))
    _LOG.info("versions up to %d are gone, with %d objects", old[-1].version, removed)
    return removed


def _objects(services: Services, item: Publication) -> set[str]:
    from ingestion.s3.object_store import ObjectGone

    try:
        manifest = manifest_of(services, item)
    except ObjectGone:  # removed by a call that was cut short
        return set()
    return {file.key for table in manifest.tables.values() for file in table.files}


def show_publications(kept: list[Publication], console: Console) -> None:
    """Prints the versions, newest first."""
    from rich.table import Table

    if not kept:
        console.print("Nothing is published yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("version", "published (UTC)", "sales", "total", ""):
        table.add_column(name, justify="left" if name in ("published (UTC)", "") else "right")
    for item in reversed(kept):
        remarks = ["current"] if item is kept[-1] else []
        if item.rolled_back_to is not None:
            remarks.append(f"shows version {item.rolled_back_to} again")
        table.add_row(
            str(item.version),
            f"{item.published_at:%Y-%m-%d %H:%M:%S}",
            f"{item.rows_total:,}",
            f"{item.amount_total:,.2f}",
            ", ".join(remarks),
        )
    console.print(table)
