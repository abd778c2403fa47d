"""The pointer on S3: one small object, which names the version that the database shows."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction, repeated
from ingestion.publication import mart_tables, publications
from ingestion.publication.places import Prefixes, run_tag

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ingestion.s3.object_store import ObjectStore

_LOG = logging.getLogger(__name__)


def finish_pointer(store: ObjectStore, engine: Engine, prefixes: Prefixes) -> None:
    """Makes the pointer name the version that the database shows, and removes the tables that were
    loaded for it.

    It is looked at each time: somebody may have deleted it, or brought an older database back.
    """
    current = in_transaction(engine, publications.current_publication)
    if current is None:
        return
    content = json.dumps(
        {
            "version": current.version,
            "manifest": current.manifest_key,
            "sha256": current.manifest_sha256,
        },
        indent=1,
    ).encode()
    # a listing, since the answer to HEAD does not tell a missing bucket from a missing object
    if current.pointer_written and not any(store.list_objects(current.manifest_key)):
        _LOG.warning(
            "the manifest of version %d is missing; the pointer is left as it is", current.version
        )
        return
    there = store.head(prefixes.pointer_key)
    shown = None if there is None else store.get_bytes(prefixes.pointer_key)
    if shown != content:
        if there is None:
            store.put_bytes(prefixes.pointer_key, content, if_none_match="*")
        else:
            store.put_bytes(prefixes.pointer_key, content, if_match=there.etag)
        if shown is not None and _version_in(shown) > current.version:
            _LOG.warning(
                "S3 showed version %d, the database shows version %d: it was restored from an"
                " older backup. Sales of files taken since then no longer count: send these files "
                "again; their objects are in the processed and error folders",
                _version_in(shown),
                current.version,
            )
        elif current.pointer_written:
            _LOG.warning("the pointer on S3 named a version other than %d", current.version)
    if not current.pointer_written:
        repeated(engine, lambda: mart_tables.drop_loaded(engine, run_tag(current.run_id)))
        in_transaction(engine, lambda found: publications.record_pointer(found, current.version))


def _version_in(pointer: bytes) -> int:
    """The version that a pointer names; 0 where somebody has made something else of it."""
    try:
        return int(json.loads(pointer)["version"])
    except (ValueError, TypeError, KeyError):
        return 0
