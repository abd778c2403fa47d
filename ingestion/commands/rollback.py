"""Lists the versions that are kept, and shows an older one again."""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction, repeated, table_names
from ingestion.database.staging_table import utc_now
from ingestion.errors import PipelineError, UsageError
from ingestion.publication import mart_tables, publications, publish
from ingestion.publication.manifest import Manifest, from_json
from ingestion.publication.publications import Publication
from ingestion.s3.object_store import ObjectGone

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.engine import Connection

    from ingestion.database.run_lock import StillAlone
    from ingestion.run.services import Services

_LOG = logging.getLogger(__name__)


def list_publications(services: Services) -> list[Publication]:
    """The versions that can be shown again, oldest first; the last one is current."""
    return in_transaction(services.engine, publications.kept_publications)


def show_publications(kept: list[Publication], console: Console) -> None:
    """Prints the versions, newest first."""
    from rich.table import Table

    if not kept:
        console.print("Nothing is published yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("version", "published (UTC)", "sales", "total"):
        table.add_column(name, justify="left" if "UTC" in name else "right", no_wrap=True)
    table.add_column("")
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


def roll_back(
    services: Services, version: int | None, run_id: str, still_alone: StillAlone
) -> Publication:
    """Shows an older version again, in the database and on S3, as a new version of its own.

    Without ``version``, the one before the current. Tables in the database that the current version
    has and the older one lacks are emptied with it, for their rows are of no version that is shown.
    Files keep their status: the next run that has something to publish publishes all of them again.
    Raises ``UsageError`` for a version that is not there, or is current.
    """
    kept = list_publications(services)
    target = _chosen(kept, version)
    current, prefixes = kept[-1], services.prefixes
    last, old = publish.read_current(services.store, current), manifest_of(services, target)
    _check_complete(services, target, old)
    moment = utc_now()
    manifest = Manifest(current.version + 1, run_id, f"{moment:%Y-%m-%dT%H:%M:%SZ}", old.tables)
    shown = dataclasses.replace(
        target,
        version=manifest.version,
        run_id=run_id,
        published_at=moment,
        manifest_key=prefixes.manifest_key(manifest.version, run_id),
        logic_hash=current.logic_hash,
        pointer_written=False,
        rolled_back_to=target.rolled_back_to or target.version,
    )

    emptied = _tables_to_empty(services, last, old)

    def record(connection: Connection) -> Publication:
        mart_tables.empty(connection, emptied)
        return shown

    still_alone()
    names = {*(last.tables if last else ()), *old.tables}
    folders = {f"{prefix}{name}/" for prefix in prefixes.marts.values() for name in names}
    sinks = services.sinks(still_alone)
    publish.remove_leftovers(sinks, manifest.version, folders)
    publish.show_version(sinks, current.version, last, manifest, {}, record)
    if emptied:
        _LOG.warning(
            "version %s does not have %s: emptied until a version with it is published",
            shown.rolled_back_to,
            ", ".join(emptied),
        )
    return shown


def _chosen(kept: list[Publication], version: int | None) -> Publication:
    by_version = {item.version: item for item in kept[:-1]}
    wanted = version if version is not None else max(by_version, default=None)
    if wanted is None or wanted not in by_version:
        raise UsageError(
            "There is no earlier version to go back to"
            if wanted is None
            else f"Version {wanted} cannot be shown again",
            expected=f"one of {', '.join(map(str, by_version))}" if by_version else None,
            found=f"version {kept[-1].version} is current" if kept else "nothing is published yet",
            action="python run_pipeline.py publications lists them",
        )
    return by_version[wanted]


def _tables_to_empty(services: Services, last: Manifest | None, old: Manifest) -> list[str]:
    """The tables in the database of the version ``last`` that ``old`` does not have, by name."""
    before, after = (
        {table.name for table in tables.values() if table.in_database}
        for tables in ({} if last is None else last.tables, old.tables)
    )
    there = repeated(services.engine, lambda: table_names(services.engine))
    return sorted((before - after) & there)  # somebody may have dropped one


def _check_complete(services: Services, item: Publication, manifest: Manifest) -> None:
    """``PipelineError`` where S3 lacks an object of this version."""
    there = {
        (info.key, info.size)
        for prefix in services.prefixes.marts.values()
        for info in services.store.list_objects(prefix)
    }
    files = [file for table in manifest.tables.values() for file in table.files]
    missing = [file.key for file in files if (file.key, file.size) not in there]
    if missing:
        raise PipelineError(
            f"Version {item.version} cannot be shown again",
            expected=f"its {len(files)} objects on S3",
            found=f"{len(missing)} are missing or changed, such as {missing[0]}",
            action="Restore them, or choose another version",
        )


def manifest_of(services: Services, item: Publication) -> Manifest:
    """The manifest of a kept version; ``PipelineError`` where it is gone or cannot be read."""
    try:
        content = services.store.get_bytes(item.manifest_key)
        return from_json(content, item.manifest_key, item.manifest_sha256)
    except ObjectGone as error:
        raise PipelineError(
            f"Version {item.version} cannot be shown again",
            expected=f"its manifest {item.manifest_key}",
            found="no such object",
            action="Restore it, or choose another version",
        ) from error
