"""Fills an empty embedded workspace with the generated sample, so that the first run has work."""

from __future__ import annotations

import datetime as dt
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database.engine import in_transaction, repeated, table_names
from ingestion.errors import UsageError
from ingestion.run.run_state import DIMENSION_CONTRACT

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ingestion.config.settings import Settings
    from ingestion.run.services import Services
    from ingestion.sample.spec import SampleSpec, SampleSummary

_LOG = logging.getLogger(__name__)


def fill_first_demo(services: Services) -> bool:
    """On the embedded default, where inbox, staging table and dimensions are all empty: dimensions
    into the database, sales files into the inbox. True if it did."""
    from ingestion.database.staging_table import files

    settings = services.settings
    if not is_embedded(settings):
        return False
    if _has_rows(services.engine, [files.name]):
        return False
    begun = services.workspace.sample_mark
    if not begun.exists():  # what is there is somebody's own
        if next(iter(services.store.list_objects(settings.inbox_prefix)), None) is not None:
            return False
        if _has_dimensions(services.engine):
            return False

    from ingestion.sample.spec import SampleSpec

    begun.touch()
    sample = load_sample(services, SampleSpec())
    begun.unlink()
    _LOG.info("first run: a sample of %d files is in the inbox", len(sample.files))
    return True


def is_embedded(settings: Settings) -> bool:
    """Whether nothing but the workspace can be touched."""
    return settings.uses_embedded_s3 and settings.database.get_backend_name() == "sqlite"


def _has_dimensions(engine: Engine) -> bool:
    from ingestion.warehouse.dimensions import DIMENSION_TABLES

    there = repeated(engine, lambda: table_names(engine))
    return _has_rows(engine, [name for name in DIMENSION_TABLES if name in there])


def _has_rows(engine: Engine, tables: Sequence[str]) -> bool:
    import sqlalchemy as sa

    queries = [sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1) for name in tables]
    return in_transaction(
        engine, lambda found: any(found.execute(query).first() for query in queries)
    )


def dimension_columns(settings: Settings) -> dict[str, list[str]]:
    """The columns of each dimension table by its contract."""
    from ingestion.warehouse.dimensions import read_dimension_contracts

    contracts = read_dimension_contracts(settings.project / DIMENSION_CONTRACT)
    return {
        name: [column.name for column in contract.columns] for name, contract in contracts.items()
    }


def load_sample(services: Services, spec: SampleSpec) -> SampleSummary:
    """Puts a sample's sales files into the inbox and its dimensions into the database."""
    from ingestion.sample.files import write_sample
    from ingestion.warehouse.dimensions import load_dimensions

    settings, store = services.settings, services.store
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        made = write_sample(Path(folder), spec, dimension_columns(settings))
        load_dimensions(
            services.engine, Path(folder) / "dimensions", settings.project / DIMENSION_CONTRACT
        )
        sales = Path(folder) / "sales"
        for path in sorted(path for path in sales.rglob("*") if path.is_file()):
            store.put_file(f"{settings.inbox_prefix}{path.relative_to(sales).as_posix()}", path)
    return made


def _share(text: str) -> tuple[str, float]:
    kind, equals, share = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} without =")
    return kind, float(share)


def sample_spec(shares: Sequence[str] | None, first_month: str, **sizes: int) -> SampleSpec:
    """The spec of these command-line words: shares as ``kind=share``, the month as ``yyyy-mm``."""
    from ingestion.sample.spec import DEFAULT_SHARES, SampleSpec

    try:
        given = dict(_share(item) for item in shares or ())
        month = dt.datetime.strptime(first_month, "%Y-%m").date()
    except ValueError as error:
        raise UsageError(
            "The sample cannot be generated",
            expected=(
                "--first-month as yyyy-mm and each --share as kind=share, such as bad_date=0.01"
            ),
            found=str(error),
        ) from error
    return SampleSpec(first_month=month, shares={**DEFAULT_SHARES, **given}, **sizes)
