"""Fills an empty embedded workspace with the generated sample, so that the first run has work."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction, repeated, table_names

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ingestion.run.services import Services

_LOG = logging.getLogger(__name__)


def fill_first_demo(services: Services) -> bool:
    """On the embedded default, fills an empty set-up: dimensions into the database, sales files
    into the inbox. True if inbox, staging table and dimensions were all empty."""
    from ingestion.database.staging_table import files

    settings = services.settings
    if not settings.is_embedded:
        return False
    if _has_rows(services.engine, [files.name]):
        return False
    begun = services.workspace.sample_mark
    if not begun.exists():  # what is there is somebody's own
        if next(iter(services.store.list_objects(settings.inbox_prefix)), None) is not None:
            return False
        if _has_dimensions(services):
            return False

    from ingestion.commands.sample import load_sample
    from ingestion.sample.spec import SampleSpec

    begun.touch()
    sample = load_sample(services, SampleSpec())
    begun.unlink()
    _LOG.info("first run: a sample of %d files is in the inbox", len(sample.files))
    return True


def _has_dimensions(services: Services) -> bool:
    from ingestion.run.run_state import DIMENSION_CONTRACT
    from ingestion.warehouse.dimension_tables import read_dimension_contracts

    engine = services.engine
    there = repeated(engine, lambda: table_names(engine))
    declared = read_dimension_contracts(services.settings.project / DIMENSION_CONTRACT)
    return _has_rows(engine, [name for name in declared if name in there])


def _has_rows(engine: Engine, tables: Sequence[str]) -> bool:
    import sqlalchemy as sa

    queries = [sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1) for name in tables]
    return in_transaction(
        engine, lambda found: any(found.execute(query).first() for query in queries)
    )
