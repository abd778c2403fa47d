"""Opens what a command works with: the object store, the database, the workspace."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ingestion.publication.places import Prefixes
from ingestion.publication.publish import Sinks
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ingestion.config.settings import Settings
    from ingestion.database.run_lock import StillAlone
    from ingestion.s3.object_store import ObjectStore


@dataclasses.dataclass(frozen=True)
class Services:
    """Connected services of one command."""

    settings: Settings
    workspace: Workspace
    engine: Engine
    store: ObjectStore

    @property
    def prefixes(self) -> Prefixes:
        """Where publications go."""
        return Prefixes(
            marts={
                "customer": self.settings.customer_mart_prefix,
                "sales": self.settings.sales_mart_prefix,
                "reports": f"{self.settings.publication_prefix}reports/",
                "quarantine": f"{self.settings.publication_prefix}quarantine/",
            },
            publications=self.settings.publication_prefix,
        )

    def clear_scratch(self) -> None:
        """Removes what killed commands have left in the workspace, servers of theirs included."""
        from ingestion.s3.embedded_s3 import stop

        self.workspace.clear_scratch(stop)

    def sinks(self, still_alone: StillAlone) -> Sinks:
        """What a publication writes to; ``still_alone`` is what the run lock gave."""
        return Sinks(
            store=self.store,
            engine=self.engine,
            prefixes=self.prefixes,
            scratch=self.workspace.make_scratch(),
            threads=self.settings.s3_threads,
            still_alone=still_alone,
        )


def open_database(settings: Settings) -> Engine:
    """The database of the settings, by default in the workspace, with the pipeline's own tables."""
    from ingestion.database import batches  # noqa: F401 - they define tables
    from ingestion.database.engine import connect, repeated
    from ingestion.database.staging_table import metadata
    from ingestion.publication import publications  # noqa: F401 - they define tables

    Workspace(settings.workspace).create()
    engine = connect(settings.database)
    repeated(engine, lambda: metadata.create_all(engine))
    return engine


def open_store(settings: Settings, environ: Mapping[str, str]) -> ObjectStore:
    """The bucket of the settings; starts the embedded server where no other is named."""
    from ingestion.s3 import connection

    endpoint = None
    if settings.uses_embedded_s3:
        from ingestion.s3.embedded_s3 import ensure_running

        endpoint = ensure_running(settings.workspace, settings.bucket)
    return connection.connect(settings, settings.aws_credentials(environ), endpoint)


@contextlib.contextmanager
def open_services(settings: Settings, environ: Mapping[str, str]) -> Iterator[Services]:
    """Workspace, database and bucket; everything is closed at the end."""
    engine = open_database(settings)
    try:
        workspace = Workspace(settings.workspace)
        yield Services(settings, workspace, engine, open_store(settings, environ))
    finally:
        engine.dispose()
