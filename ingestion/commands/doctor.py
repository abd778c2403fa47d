"""Checks settings, Java, database, S3 and Spark, one by one, in plain words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ingestion.errors import PipelineError, local_error
from ingestion.workspace import Workspace

if TYPE_CHECKING:
    from rich.console import Console
    from sqlalchemy.engine import Engine

    from ingestion.config.settings import Settings
    from ingestion.s3.object_store import ObjectStore


def examine(settings: Settings, console: Console) -> bool:
    """Runs every check even after one has failed; true if all is well."""
    from rich.markup import escape

    checks: dict[str, Callable[[Settings], str]] = {
        "Settings": _read_settings,
        "Workspace": _workspace,
        "Contract": _contract,
        "Java": _java,
        "Database": examine_database,
        "S3": _object_store,
        "Spark": _spark,
    }
    is_well = True
    for name, check in checks.items():
        try:
            console.print(f"[green]OK[/green]      {name}: {escape(check(settings))}")
        except (PipelineError, OSError) as failure:
            is_well = False
            error = failure if isinstance(failure, PipelineError) else local_error(failure)
            console.print(f"[red]FAILED[/red]  {name}: {escape(str(error))}")
    return is_well


def _read_settings(settings: Settings) -> str:
    store = "embedded server" if settings.uses_embedded_s3 else f"bucket {settings.bucket}"
    return f"read; S3: {store}, file profiles: {len(settings.profiles)}"


def _workspace(settings: Settings) -> str:
    Workspace(settings.workspace).create()
    return f"{settings.workspace} can be written"


def _contract(settings: Settings) -> str:
    from ingestion.run.run_state import read_sales_contract

    contract = read_sales_contract(settings)
    required = [column.name for column in contract.columns if column.required]
    return f"{len(required)} mandatory columns: {', '.join(required)}"


def _java(_settings: Settings) -> str:
    from ingestion.warehouse.java import find_java

    return f"found in {find_java(os.environ)}"


def examine_database(settings: Settings) -> str:
    """What the database answers; ``PipelineError`` where it cannot be read or written."""
    import sqlalchemy as sa

    from ingestion.database.engine import in_transaction, repeated, table_names
    from ingestion.database.errors import describe
    from ingestion.run.run_state import DIMENSION_CONTRACT
    from ingestion.run.services import open_database
    from ingestion.warehouse.dimension_tables import read_dimension_contracts

    engine = open_database(settings)
    write_a_table(engine)
    present = repeated(engine, lambda: table_names(engine))
    declared = read_dimension_contracts(settings.project / DIMENSION_CONTRACT)
    names = [name for name in declared if name in present]
    counts = in_transaction(
        engine,
        lambda found: {
            name: found.scalar(sa.select(sa.func.count()).select_from(sa.table(name)))
            for name in names
        },
    )
    rows = (
        ", ".join(f"{name} {count}" for name, count in counts.items())
        or "no dimension tables yet; load them with load-dimensions"
    )
    return f"{describe(settings.database)} answers and can be written; rows: {rows}"


def write_a_table(engine: Engine) -> None:
    """Makes, fills and drops a table of its own, with each right that a run needs."""
    import sqlalchemy as sa

    from ingestion.database.engine import define_table, translated_errors

    name, metadata = "retail_mart_doctor", sa.MetaData()
    columns = sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer, index=True)
    table = define_table(metadata, name, *columns)  # a server may want a primary key
    with translated_errors(engine):
        metadata.drop_all(engine)
        metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(table.insert().values(id=1))
            connection.execute(table.update().values(id=2))
            connection.execute(sa.select(table))
            connection.execute(table.delete())
        metadata.drop_all(engine)


def _object_store(settings: Settings) -> str:
    from ingestion.run.intake import list_inbox
    from ingestion.run.services import open_store

    store = open_store(settings, os.environ)
    waiting = len(list_inbox(store, settings.inbox_prefix))
    key = f"{settings.publication_prefix}doctor"
    write_an_object(store, key)
    found = (
        f"bucket {settings.bucket} can be listed, read, written (also conditionally) and deleted "
        f"from; {waiting} objects are waiting in {settings.inbox_prefix}"
    )
    if not keeps_a_newer_object(store, key):
        found += (
            ". The server ignores If-Match on deletes: a correction that arrives under its file's "
            "key at the moment in which that file is archived is lost; have senders give each "
            "version a name of its own"
        )
    return found


def write_an_object(store: ObjectStore, key: str) -> None:
    """Writes, reads and removes an object of its own, with each right that a run needs.

    Raises ``PipelineError``, also where the server refuses conditions, or passes them over.
    """
    from ingestion.s3.object_store import ObjectChanged

    store.put_bytes(key, b"written by the doctor")
    try:
        store.get_bytes(key)
        first = store.head(key)
        etag = "" if first is None else first.etag
        store.put_bytes(key, b"written on a condition", if_match=etag)
        for condition in ({"if_none_match": "*"}, {"if_match": etag}):
            with contextlib.suppress(ObjectChanged):
                store.put_bytes(key, b"written all the same", **condition)
                raise PipelineError(
                    f"The S3 server at {store.client.meta.endpoint_url} ignores conditions on "
                    "writes",
                    expected="a write with If-Match or If-None-Match that is refused if the "
                    "object has changed, so that two writers cannot overwrite each other's object",
                    found="a write that was carried out anyway",
                    action="Upgrade the server, or name another in RETAIL_S3_ENDPOINT_URL",
                )
    finally:
        store.delete(key)


def keeps_a_newer_object(store: ObjectStore, key: str) -> bool:
    """Whether the server keeps a newer object when a delete names the version before it; no object
    is left at ``key``."""
    from botocore.exceptions import ClientError

    from ingestion.s3.errors import PRECONDITION, error_code

    store.put_bytes(key, b"a newer version")
    try:
        store.client.delete_object(Bucket=store.bucket, Key=key, IfMatch='"0"')
    except ClientError as error:
        return error_code(error) in PRECONDITION
    else:
        return False
    finally:
        store.delete(key)


def _spark(settings: Settings) -> str:
    from ingestion.run.mart_steps import dbt_project, start_spark

    dbt = dbt_project(settings)
    session = start_spark(dbt, Workspace(settings.workspace))
    return f"version {session.version}, profile {dbt.profiles / 'profiles.yml'}"
