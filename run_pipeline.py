#!/usr/bin/env python3
"""The command line of the pipeline, and the one place that knows the order of its steps."""

from __future__ import annotations

import os
import re
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ingestion.commands.failures import FAILED, told_failures
from ingestion.commands.streams import open_streams, write_json
from ingestion.config.settings import Settings, load_secret_key, load_settings

if TYPE_CHECKING:
    from ingestion.run.compaction_report import Compaction
    from ingestion.run.run_state import RunState
    from ingestion.run.services import Services
    from ingestion.run.summary import RunSummary

PROJECT = Path(__file__).resolve().parent

app = typer.Typer(
    help="Brings sales files from an S3 inbox to audited marts on S3 and in the database.",
    add_completion=False,
    pretty_exceptions_enable=False,
)
secrets_app = typer.Typer(help="Makes keys and encrypted values for the settings.")
app.add_typer(secrets_app, name="secrets")
quarantine_app = typer.Typer(help="Quarantined rows: list, export, correct and replay.")
app.add_typer(quarantine_app, name="quarantine")


def check_key(key: str | None) -> str | None:
    """The key; ``BadParameter`` where it is no text, as every key on S3 is."""
    try:
        (key or "").encode()
    except UnicodeEncodeError as error:
        raise typer.BadParameter("expected a key in UTF-8") from error
    return key


Key = Annotated[
    str,
    typer.Argument(help="The file's key, with or without the inbox prefix.", callback=check_key),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
FullRefresh = Annotated[
    bool, typer.Option("--full-refresh", help="Rebuild every mart from bronze.")
]


@app.callback(invoke_without_command=True)
def default(
    context: typer.Context, as_json: Json = False, full_refresh: FullRefresh = False
) -> None:
    """Without a command, run."""
    if context.invoked_subcommand is None:
        run(as_json, full_refresh)
    elif as_json or full_refresh:
        raise typer.BadParameter("put the option after the command")


@app.command()
def run(as_json: Json = False, full_refresh: FullRefresh = False) -> None:
    """Take the inbox through check, build, audit and publication (the default command)."""
    from ingestion.commands.demo import fill_first_demo

    run_after(lambda services, _: fill_first_demo(services), as_json, full_refresh)


def run_after(
    change: Callable[[Services, str], object], as_json: bool = False, full_refresh: bool = False
) -> None:
    """One run, which begins with ``change``, and what it says."""
    from rich.console import Console

    from ingestion.run.run_state import open_run
    from ingestion.run.summary import show

    with command() as (settings, run_id):
        console = Console()
        with open_run(settings, run_id, None if as_json else console, full_refresh) as state:
            summary = execute(state, change)
        if as_json:
            write_json(summary.to_json())
        else:
            show(summary, console)
    raise typer.Exit(summary.exit_code)


def execute(state: RunState, change: Callable[[Services, str], object]) -> RunSummary:
    """The steps in their order; what an earlier run left unfinished comes first."""
    from ingestion.publication.pointer import finish_pointer
    from ingestion.run import (
        bronze_recovery,
        build_scope,
        compact_steps,
        intake_steps,
        old_versions,
    )
    from ingestion.run import delivery_steps as deliveries
    from ingestion.run import mart_steps as marts
    from ingestion.run.summary import summarise

    services, step = state.services, state.steps.step
    with step("recover"):
        services.clear_scratch()
        finish_pointer(services.store, services.engine, services.prefixes)
        deliveries.archive_last_batch(state)
    change(services, state.run_id)
    with step("list inbox"):
        listing = intake_steps.list_inbox(state)
    if listing is not None:
        with step("download"):
            planned = intake_steps.download(state, listing)
        intake_steps.plan_batch(state, listing, planned)
    if state.batch_id is not None:
        with step("check files"):
            deliveries.check_files(state)
            deliveries.move_uncounted_files(state)

    if not build_scope.must_build(state):
        bronze_recovery.unmark(state, [state.batch_id])
        deliveries.archive_batch(state)
        state.warnings += old_versions.rollback_notices(services)
        return summarise(state)
    with step("dimensions"):
        dimensions = marts.export_dimensions(state)
    with step("Spark"):
        dbt = marts.dbt_project(services.settings)
        size = build_scope.work_size(state)
        parsing = marts.parse_models(state, dbt)
        session = marts.start_spark(dbt, services.workspace, size)
        models = parsing.result()
        marts.check_live_tables(state, models)
    with step("raw tables"):
        compact_steps.settle(state, session, models.kept_logic)
        builder = marts.read_builder(models, session)
        batch_ids = build_scope.batches_to_build(state, models, builder)
        bronze_recovery.read_missing_files(state, batch_ids)
        marts.register_raw_tables(state, session, dimensions)
    unchanged = build_scope.unchanged_dimensions(state)
    build_scope.note_begun(state, models, builder, is_increment=batch_ids is not None)
    with step("models and tests"):
        marts.build(state, dbt, models, session, batch_ids, unchanged)
    with step("audit"):
        entries = marts.audit(state, models, session, batch_ids)
    with step("publish"):
        published = marts.publish_marts(state, models, session, entries)
    build_scope.note_published(state, models)
    bronze_recovery.unmark(state, [state.batch_id])
    with step("archive"):
        deliveries.archive_batch(state)
        old_versions.remove_old(services, services.settings.keep_publications)
    sellers = marts.read_top_sellers(state, models, session, published)
    return summarise(state, entries, published, sellers)


@app.command()
def compact(
    before: Annotated[
        str | None,
        typer.Option(
            metavar="YYYY-MM",
            help="Months before this one count as closed (default: the current month).",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Merge the many small files and batches of closed months into a few large ones."""
    from rich.console import Console

    from ingestion.run.compaction_report import NOTHING_TO_COMPACT, show
    from ingestion.run.run_state import open_run

    if before is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", before):
        raise typer.BadParameter(f"--before: expected a month such as 2024-03, found {before!r}")
    with command() as (settings, run_id):
        console = Console()
        with open_run(settings, run_id, None if as_json else console) as state:
            done = merge_batches(state, before)
        if as_json:
            write_json({"outcome": NOTHING_TO_COMPACT} if done is None else done.to_json())
        elif done is None:
            console.print(NOTHING_TO_COMPACT)
        else:
            show(done, console)


def merge_batches(state: RunState, before: str | None) -> Compaction | None:
    """The steps of a compaction in their order; one that was cut short is brought to its end.

    None where there is nothing to compact.
    """
    from ingestion.publication.pointer import finish_pointer
    from ingestion.publication.publications import current_publication
    from ingestion.run import build_scope, compact_steps
    from ingestion.run import delivery_steps as deliveries
    from ingestion.run import mart_steps as marts
    from ingestion.run.compaction_report import Compaction

    services, step = state.services, state.steps.step
    dbt = marts.dbt_project(services.settings)
    logic = compact_steps.last_kept_logic(state)
    size = build_scope.work_size(state)
    with step("recover"):
        services.clear_scratch()
        finish_pointer(services.store, services.engine, services.prefixes)
        deliveries.archive_last_batch(state)
        compact_steps.refuse_unfinished(state)
    if compact_steps.is_cut_short(state):
        with step("Spark"):
            session = marts.start_spark(dbt, services.workspace, size)
        with step("settle"):
            compact_steps.settle(state, session, logic)
    merges = compact_steps.plan(state, logic, before or f"{services.settings.today():%Y-%m}")
    if not merges:
        return None
    sizes = compact_steps.measure(state)
    with step("bronze"):
        compact_steps.merge_bronze(state, merges)
    with step("Spark"):
        session = marts.start_spark(dbt, services.workspace, size)
    with step("facts"):
        moved = compact_steps.merge_facts(state, session, merges)
    with step("settle"):
        compact_steps.record(state, merges)
        marts.register_raw_tables(state, session, marts.dimension_contracts(services.settings))
        compact_steps.settle(state, session, logic)
    after = compact_steps.measure(state)
    publication = state.in_transaction(current_publication)
    return Compaction(sizes, after, moved, publication, dict(state.steps.seconds))


@app.command()
def status(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT",
            help="Show all versions of the files whose keys hold it; without it, the newest.",
            callback=check_key,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the staging table and the last publication."""
    from rich.console import Console

    from ingestion.commands.status import read_status, show_status

    if as_json and text is not None:
        raise typer.BadParameter("--json lists all file versions: leave TEXT out")
    with command() as (settings, _):
        found = read_status(settings)
        if as_json:
            write_json(found.to_json())
        else:
            show_status(found, Console(), text)


@app.command()
def publications() -> None:
    """List the published versions that can be shown again."""
    from rich.console import Console

    from ingestion.commands.rollback import list_publications, show_publications
    from ingestion.run.services import open_services

    with command() as (settings, _), open_services(settings, os.environ) as services:
        show_publications(list_publications(services), Console())


@app.command()
def rollback(
    version: Annotated[
        int | None, typer.Argument(help="The version to show (default: the previous one).")
    ] = None,
) -> None:
    """Show an older version again, in the database and on S3, in one step."""
    from ingestion.commands.rollback import roll_back
    from ingestion.database.run_lock import run_lock
    from ingestion.publication.pointer import finish_pointer
    from ingestion.run.services import open_services

    with (
        command() as (settings, run_id),
        open_services(settings, os.environ) as services,
        run_lock(services.engine) as still_alone,
    ):
        finish_pointer(services.store, services.engine, services.prefixes)
        shown = roll_back(services, version, run_id, still_alone)
        typer.echo(
            f"Version {shown.version} shows version {shown.rolled_back_to} again: "
            f"{shown.rows_total:,} sales, {shown.amount_total:,.2f}"
        )


@app.command()
def retract(key: Key) -> None:
    """Withdraw a file from every table and month, as if it had never been sent."""
    from ingestion.commands.withdrawal import retract_file

    run_after(lambda services, run_id: retract_file(services, key, run_id))


@app.command()
def restore(key: Key) -> None:
    """Bring a retracted file back, or count a copy whose original counts no more."""
    from ingestion.commands.withdrawal import restore_file

    run_after(lambda services, _: restore_file(services, key))


@app.command("load-dimensions")
def load_dimensions(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="DIR", help="Folder of the CSV files.", exists=True, file_okay=False
        ),
    ],
) -> None:
    """Load a CSV file for each dimension table into the database, by key."""
    from ingestion.database.run_lock import run_lock
    from ingestion.run.run_state import DIMENSION_CONTRACT
    from ingestion.run.services import open_database
    from ingestion.warehouse.dimensions import load_dimensions as load

    with command() as (settings, _):
        engine = open_database(settings)
        with run_lock(engine):
            loads = load(engine, folder, settings.project / DIMENSION_CONTRACT)
        for item in loads:
            typer.echo(
                f"{item.table}: {item.rows} rows read, {item.inserted} new, {item.updated} updated"
            )


@app.command()
def sample(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Output folder (default: the inbox and the dimension tables).",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(help="Total rows of all good files.")] = 12_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 42,
    months: Annotated[int, typer.Option(help="Number of months.")] = 6,
    first_month: Annotated[str, typer.Option(help="The first month, as yyyy-mm.")] = "2024-01",
    stores: Annotated[int, typer.Option(help="Number of stores; each sends its own files.")] = 4,
    files_per_store: Annotated[int, typer.Option(help="Number of files per store.")] = 2,
    bad_files: Annotated[
        int, typer.Option(help="Number of files that lack a mandatory column.")
    ] = 1,
    share: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND=SHARE", help="Share of rows with this damage; may be repeated."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Without DIR, load the sample even into real services.")
    ] = False,
) -> None:
    """Generate a sample star schema, into a folder or into the pipeline's own inbox and tables."""
    from ingestion.commands.sample import make_sample, sample_spec

    with command() as (settings, _):
        spec = sample_spec(
            share,
            first_month,
            rows=rows,
            seed=seed,
            months=months,
            stores=stores,
            files_per_store=files_per_store,
            bad_files=bad_files,
        )
        made = make_sample(settings, spec, folder, force=force)
        typer.echo(
            f"{len(made.files)} files with {made.rows} rows in {folder or settings.inbox_prefix}; "
            f"of these {made.valid_rows} are valid and add up to {made.amount}"
        )


@app.command()
def docs() -> None:
    """Write the models' documentation with lineage as one HTML file."""
    from ingestion.commands.docs import write_docs

    with command() as (settings, _):
        typer.echo(f"Documentation: {write_docs(settings)}")


@app.command()
def doctor() -> None:
    """Check settings, Java, S3, database and Spark, one by one."""
    from rich.console import Console

    from ingestion.commands.doctor import examine

    with command() as (settings, _):
        is_well = examine(settings, Console())
    raise typer.Exit(0 if is_well else FAILED)


@app.command("warm-up")
def warm_up() -> None:
    """Record the JVM's classes once, so that each later run starts faster."""
    from ingestion.commands.warm_up import record
    from ingestion.warehouse.class_archive import archive_file

    with command() as (settings, _):
        archive = archive_file(settings.workspace, os.environ)
        if archive.is_file():
            typer.echo(f"The classes are already recorded in {archive}")
            return
        archive = record(Path(__file__).resolve(), settings)
        typer.echo(f"Recorded {archive.stat().st_size / 1e6:.0f} MB of classes in {archive}")


@app.command(hidden=True)
def rehearse(folder: Path) -> None:
    """Make two small runs in a workspace of their own."""
    from ingestion.commands import warm_up
    from ingestion.run.run_state import open_run

    with command() as (settings, run_id):
        os.environ["RETAIL_WORKSPACE"] = str(folder)
        rehearsal = warm_up.rehearsal_settings(settings.project, folder)
        for change in warm_up.rehearsal_changes():
            with open_run(rehearsal, run_id, None) as state:
                execute(state, change)


@quarantine_app.command("list")
def list_quarantine() -> None:
    """List why rows were quarantined and files set aside, with counts and an example."""
    from rich.console import Console

    from ingestion.commands.quarantine import group_by_reason, show_groups
    from ingestion.run.services import open_services

    with command() as (settings, _), open_services(settings, os.environ) as services:
        show_groups(group_by_reason(services), Console(soft_wrap=True))


@quarantine_app.command("export")
def export_quarantine(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder for the CSV files.", file_okay=False)
    ],
    reason: Annotated[str | None, typer.Option(help="Only rows with this reason code.")] = None,
    file: Annotated[
        str | None,
        typer.Option(help="Only rows of the file with this key.", callback=check_key),
    ] = None,
) -> None:
    """Export quarantined rows, one CSV per file, to be corrected and replayed."""
    from ingestion.commands.quarantine import export_rows, rows_to_export
    from ingestion.run.services import open_services

    with (
        command() as (settings, _),
        open_services(settings, os.environ) as services,
        rows_to_export(services, reason, file) as rows,
    ):
        exports = export_rows(services, rows, folder)
        for path in exports:
            typer.echo(path)
        typer.echo(f"{sum(exports.values())} rows exported")


@quarantine_app.command("replay")
def replay_quarantine(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[CSV]...", help="Corrected exports.")
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(help="Read the whole file with this key again, as it is.", callback=check_key),
    ] = None,
) -> None:
    """Send corrected rows in again, or a whole file after a rule or profile has changed."""
    from ingestion.commands.replay import replay

    if not paths and file is None:
        raise typer.BadParameter("give corrected CSV files, or a file with --file")
    for path in paths or ():
        if not path.is_file():
            raise typer.BadParameter(f"{path} is not a file")
    run_after(lambda services, _: replay(services, paths or (), file))


@secrets_app.command("generate-key")
def generate_key() -> None:
    """Print a new key for RETAIL_SECRET_KEY or a key file."""
    from ingestion.config import secrets

    typer.echo(secrets.generate_key())


@secrets_app.command("encrypt")
def encrypt() -> None:
    """Encrypt a value (from a hidden prompt or stdin) with the key from the settings."""
    from ingestion.config import secrets

    with told_failures():
        key = load_secret_key(PROJECT)
        if sys.stdin.isatty():
            value = typer.prompt("Value", hide_input=True)
        else:
            value = secrets.single_line(sys.stdin.buffer.read())
        typer.echo(secrets.encrypt(value, key))


@contextmanager
def command() -> Iterator[tuple[Settings, str]]:
    """Settings and log of one command; a failure ends with one sentence and its exit code."""
    from ingestion.logs import configure_logging

    run_id = str(uuid.uuid4())
    # pyarrow's own allocator keeps what it has freed, beside what Python keeps
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    with told_failures() as failures:
        settings = load_settings(PROJECT)
        failures.secrets = settings.secret_values(os.environ)
        configure_logging(settings.log_level, settings.log_format, run_id, failures.secrets)
        failures.are_logged = settings.log_format == "json"
        os.environ.update(settings.dbt_variables)
        os.environ["RETAIL_WORKSPACE"] = str(settings.workspace)
        yield settings, run_id


if __name__ == "__main__":
    open_streams()
    # a scheduler's stop ends the run as one by hand does, and nothing temporary is left
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app()
