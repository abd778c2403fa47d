"""What a run did, as data (for ``--json``) and as a page that a person enjoys."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ingestion.config.aws_credentials import EMBEDDED_CREDENTIALS
from ingestion.database.errors import describe
from ingestion.database.staging_table import FileStatus
from ingestion.plain_data import as_plain
from ingestion.printable import printable, printable_lines
from ingestion.publication.manifest import touched_months
from ingestion.steps import shown_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.database.staging_table import FileRow
    from ingestion.publication.publish import Published
    from ingestion.run.run_state import RunState
    from ingestion.warehouse.ledger import LedgerEntry
    from ingestion.warehouse.top_sellers import Seller

DONE, PARTLY = 0, 3

_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class SetAside:
    """A file that was set aside, with its reason and where it lies now."""

    file_name: str
    reason: str
    location: str


@dataclasses.dataclass(frozen=True)
class Money:
    """Exact sums of ``total_cost``: what could be read as money, what counts, what does not."""

    read: decimal.Decimal = decimal.Decimal(0)
    valid: decimal.Decimal = decimal.Decimal(0)
    quarantined: decimal.Decimal = decimal.Decimal(0)

    @property
    def balance(self) -> decimal.Decimal:
        """What is unaccounted for; anything but zero blocks publishing."""
        return self.read - self.valid - self.quarantined


@dataclasses.dataclass(frozen=True)
class RunSummary:
    """One run. Rows and money are those of the files that this run took; ``objects_uploaded``,
    ``bytes_uploaded`` and ``rows_loaded`` (into the database) are what its publication moved."""

    run_id: str
    outcome: str
    exit_code: int
    files: Mapping[str, int] = dataclasses.field(default_factory=dict)
    rows_read: int = 0
    rows_valid: int = 0
    rows_quarantined: int = 0
    money: Money = Money()
    months: Sequence[str] = ()
    top_sellers: Sequence[Seller] = ()
    set_aside: Sequence[SetAside] = ()
    warnings: Sequence[str] = ()
    version: int | None = None
    objects_uploaded: int = 0
    bytes_uploaded: int = 0
    rows_loaded: int = 0
    marts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    seconds: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; decimals are exact text."""
        content: Any = as_plain(self)
        content["money"]["balance"] = as_plain(self.money.balance)
        return dict(content)


def summarise(
    state: RunState,
    entries: Sequence[LedgerEntry] = (),
    published: Published | None = None,
    sellers: Sequence[Seller] = (),
) -> RunSummary:
    """The summary of a run that has ended well."""
    taken = {item.row.id for item in state.checked if item.verdict.status == FileStatus.PLANNED}
    mine = [entry for entry in entries if entry.count.file_id in taken]
    zero = decimal.Decimal(0)
    valid = sum((entry.count.amount_valid for entry in mine), zero)
    quarantined = sum((entry.amount_quarantined for entry in mine), zero)
    read = sum((entry.amount_read for entry in mine), zero)
    rows_quarantined = sum(entry.count.rows_quarantined for entry in mine)
    copies = {item.row.id for item in state.checked if item.verdict.status == FileStatus.DUPLICATE}
    refused = [row for row in state.archived if row.status == FileStatus.ERROR]
    is_partly = (
        bool(refused)
        or any(row.rows_quarantined for row in state.archived)
        or state.sets_published_rows_aside
        or state.unreadable > 0
        or state.lost_originals > 0
    )
    refused_ids = {row.id for row in refused}  # some of them by the models
    files = {
        "accepted": len(taken - refused_ids),
        "set aside": len(refused),
        "duplicate": len(copies - refused_ids),
        "already loaded": state.repeated,
        "changed while read": len(state.changed_while_read),
        "not given out": state.unreadable,
    }
    if published is not None:
        outcome = f"Published version {published.version}"
    elif any(files.values()):
        outcome = "No new sales to publish"
    else:
        outcome = "Nothing to do: the inbox has no new files"
    return RunSummary(
        run_id=state.run_id,
        outcome=outcome,
        exit_code=PARTLY if is_partly else DONE,
        files=files,
        rows_read=sum(entry.count.rows_read for entry in mine),
        rows_valid=sum(entry.count.rows_valid for entry in mine),
        rows_quarantined=rows_quarantined,
        money=Money(read=read, valid=valid, quarantined=quarantined),
        months=() if published is None else touched_months(published.changed),
        top_sellers=sellers,
        set_aside=[SetAside(row.file_name, row.reason or "", _lies(state, row)) for row in refused],
        warnings=state.warnings,
        version=None if published is None else published.version,
        objects_uploaded=0 if published is None else published.objects_uploaded,
        bytes_uploaded=0 if published is None else published.bytes_uploaded,
        rows_loaded=0 if published is None else published.rows_loaded,
        marts={} if published is None else _places(state, published),
        seconds=dict(state.steps.seconds),
    )


def _lies(state: RunState, row: FileRow) -> str:
    location = row.file_location
    if location == state.services.store.location(row.file_name):
        return f"replaced or removed by its sender: {location}"
    return location


def _places(state: RunState, published: Published) -> dict[str, str]:
    settings, prefixes = state.services.settings, state.services.prefixes
    bucket = f"s3://{settings.bucket}/"
    embedded = {
        "embedded S3": f"{state.services.store.client.meta.endpoint_url} "
        f"(key {EMBEDDED_CREDENTIALS.access_key_id}, "
        f"secret {EMBEDDED_CREDENTIALS.secret_access_key})"
    }
    return {
        **(embedded if settings.uses_embedded_s3 else {}),
        "current version": f"{bucket}{prefixes.pointer_key}",
        "customer mart": f"{bucket}{settings.customer_mart_prefix}",
        "sales mart": f"{bucket}{settings.sales_mart_prefix}",
        "tables": f"{', '.join(published.database_tables)} in {describe(settings.database)}",
    }


def show(summary: RunSummary, console: Console) -> None:
    """Prints the summary."""
    from rich.markup import escape
    from rich.table import Table

    console.print()
    if not any(summary.files.values()) and summary.version is None:
        console.print(f"[bold]{escape(summary.outcome)}[/bold]")
        _show_warnings(summary, console)
        return
    console.rule(f"[bold]{escape(summary.outcome)}[/bold]", align="left")
    numbers = Table(box=None, show_header=False, pad_edge=False)
    numbers.add_column(style="dim")
    numbers.add_column()
    files = "  ".join(f"{count} {name}" for name, count in summary.files.items() if count)
    numbers.add_row("Files", files or "none new")
    for name, number, amount in (
        ("Rows read", summary.rows_read, summary.money.read),
        ("  valid", summary.rows_valid, summary.money.valid),
        ("  quarantined", summary.rows_quarantined, summary.money.quarantined),
        (
            "  balance",
            summary.rows_read - summary.rows_valid - summary.rows_quarantined,
            summary.money.balance,
        ),
    ):
        numbers.add_row(name, f"{number:>12,}  {amount:>20,.2f}")
    if summary.months:
        months = ", ".join(summary.months[:_SHOWN])
        more = len(summary.months) - _SHOWN
        numbers.add_row("Months touched", months + (f" and {more} more" if more > 0 else ""))
    if summary.version is not None:
        numbers.add_row(
            "Sent",
            f"{summary.objects_uploaded:,} objects with {summary.bytes_uploaded:,} bytes to S3, "
            f"{summary.rows_loaded:,} rows to the database",
        )
    console.print(numbers)
    _show_set_aside(summary, console)
    _show_sellers(summary, console)
    if summary.marts:
        console.print("\n[bold]Where the marts are[/bold]")
        places = Table(box=None, show_header=False, pad_edge=False)
        places.add_column(style="dim")
        places.add_column(overflow="fold")
        for name, place in summary.marts.items():
            places.add_row(name, escape(place))
        console.print(places)
    _show_warnings(summary, console)
    console.print(f"\n[dim]{shown_seconds(summary.seconds)}[/dim]")


def _show_warnings(summary: RunSummary, console: Console) -> None:
    from rich.markup import escape

    for warning in summary.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(printable_lines(warning))}")


def _show_set_aside(summary: RunSummary, console: Console) -> None:
    from rich.markup import escape
    from rich.padding import Padding

    if not summary.set_aside:
        return
    console.print("\n[bold]Set aside[/bold]")
    for item in summary.set_aside[:_SHOWN]:
        name, reason = printable(item.file_name), printable_lines(item.reason)
        lines = (
            f"[red]{escape(name)}[/red]",
            escape(reason),
            f"[dim]{escape(printable(item.location))}[/dim]",
        )
        console.print(Padding("\n".join(lines), (0, 0, 0, 2), expand=False))
    if len(summary.set_aside) > _SHOWN:
        console.print(f"  and {len(summary.set_aside) - _SHOWN} more; see: run_pipeline.py status")


def _show_sellers(summary: RunSummary, console: Console) -> None:
    from rich.markup import escape
    from rich.table import Table

    if not summary.top_sellers:
        return
    month = max(seller.month for seller in summary.top_sellers)
    table = Table(title=f"Top sellers of {month}", title_justify="left", title_style="bold")
    table.add_column("store", justify="right")
    table.add_column("seller")
    table.add_column("total sales", justify="right")
    table.add_column("incentive", justify="right")
    for seller in summary.top_sellers:
        if seller.month == month:
            table.add_row(
                str(seller.store_id),
                escape(printable(seller.full_name)),
                f"{seller.total_sales:,.2f}",
                f"{seller.incentive:,.2f}",
            )
    console.print()
    console.print(table)
