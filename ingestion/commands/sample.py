"""Makes a sample, into a folder or into the pipeline's own inbox and dimension tables."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ingestion.database.run_lock import run_lock
from ingestion.errors import UsageError
from ingestion.run.run_state import DIMENSION_CONTRACT
from ingestion.run.services import open_services
from ingestion.sample.files import write_sample
from ingestion.sample.spec import DEFAULT_SHARES, SampleSpec
from ingestion.warehouse.dimension_tables import read_dimension_contracts
from ingestion.warehouse.dimensions import load_dimensions

if TYPE_CHECKING:
    from ingestion.config.settings import Settings
    from ingestion.run.services import Services
    from ingestion.sample.spec import SampleSummary


def make_sample(
    settings: Settings, spec: SampleSpec, folder: Path | None, *, force: bool
) -> SampleSummary:
    """Writes a sample to ``folder``; without one, loads it as :func:`load_sample` does.

    Into services other than the embedded ones only with ``force``, else ``UsageError``.
    """
    if folder is not None:
        return write_sample(folder, spec, _dimension_columns(settings))
    if not force and not settings.is_embedded:
        raise UsageError(
            "The sample would overwrite dimension rows with the same keys in your own services",
            action="Give a folder to write to, or --force",
        )
    with open_services(settings, os.environ) as services, run_lock(services.engine):
        return load_sample(services, spec)


def load_sample(services: Services, spec: SampleSpec) -> SampleSummary:
    """Puts the sample's sales files into the inbox and its dimensions into the database."""
    settings, store = services.settings, services.store
    with tempfile.TemporaryDirectory(dir=services.workspace.make_scratch()) as folder:
        made = write_sample(Path(folder), spec, _dimension_columns(settings))
        load_dimensions(
            services.engine, Path(folder) / "dimensions", settings.project / DIMENSION_CONTRACT
        )
        sales = Path(folder) / "sales"
        for path in sorted(path for path in sales.rglob("*") if path.is_file()):
            store.put_file(f"{settings.inbox_prefix}{path.relative_to(sales).as_posix()}", path)
    return made


def _dimension_columns(settings: Settings) -> dict[str, list[str]]:
    """The columns of each dimension table by its contract."""
    contracts = read_dimension_contracts(settings.project / DIMENSION_CONTRACT)
    return {
        name: [column.name for column in contract.columns] for name, contract in contracts.items()
    }


def sample_spec(shares: Sequence[str] | None, first_month: str, **sizes: int) -> SampleSpec:
    """The spec of these command-line words: shares as ``kind=share``, the month as ``yyyy-mm``."""
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


def _share(text: str) -> tuple[str, float]:
    kind, equals, share = text.partition("=")
    if not equals:
        raise ValueError(f"{text!r} without =")
    return kind, float(share)
