"""What a run does about older versions: says that readers see one again, removes those not kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction
from ingestion.publication import publications
from ingestion.publication.manifest import UnknownFormat, from_json
from ingestion.s3.object_store import ObjectGone

if TYPE_CHECKING:
    from ingestion.run.services import Services

_LOG = logging.getLogger(__name__)


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

    Returns how many objects went. The current version always stays. The database gives a version up
    first, and its manifest is removed last: while the manifest is there, the next call finishes one
    that was cut short. A manifest that is damaged, or of another format, brings a warning: if a
    kept version has it, nothing is removed; if a version that was given up has it, the manifest
    stays, with the objects that only it names.
    """
    kept = in_transaction(services.engine, publications.kept_publications)
    old, staying = [item.version for item in kept[:-keep]], kept[-keep:]
    if old:
        in_transaction(services.engine, lambda found: publications.forget_publications(found, old))
    store = services.store
    not_kept = in_transaction(services.engine, publications.given_up_manifests)
    there = [info.key for info in store.list_objects(services.prefixes.manifests)]
    given_up = {key: not_kept[key] for key in there if key in not_kept}
    if not given_up:
        return 0
    needed, unknown = _objects(
        services, {item.manifest_key: item.manifest_sha256 for item in staying}
    )
    if unknown:
        return 0
    objects, unknown = _objects(services, given_up)
    gone = [key for key in given_up if key not in unknown]
    threads = services.settings.s3_threads
    store.delete_all(objects - needed, threads)
    store.delete_all(gone, threads)
    _LOG.info("removed %d older versions with %d objects", len(gone), len(objects - needed))
    return len(objects - needed)


def _objects(services: Services, manifests: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The objects that these manifests name, and the keys of those that cannot be read, each with a
    warning. ``manifests`` has the SHA-256 of each, by key.

    A manifest that is gone names nothing: its version cannot be shown again.
    """
    objects: set[str] = set()
    unknown: set[str] = set()
    for key, sha256 in manifests.items():
        try:
            manifest = from_json(services.store.get_bytes(key), key, sha256)
        except ObjectGone:
            continue
        except UnknownFormat as error:
            unknown.add(key)
            _LOG.warning("no object is removed that this version may need: %s", error)
            continue
        objects |= {file.key for table in manifest.tables.values() for file in table.files}
    return objects, unknown
