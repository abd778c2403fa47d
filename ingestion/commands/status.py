"""Reads and shows the staging table and the last publication."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from ingestion.plain_data import as_plain
from ingestion.printable import printable, printable_lines

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.config.settings import Settings
    from ingestion.database.staging_table import FileRow
    from ingestion.publication.publications import Publication

_SHOWN = 40


@dataclasses.dataclass(frozen=True)
class Status:
    """Every row of the staging table, oldest first, and the publication that readers see."""

    files: tuple[FileRow, ...]
    publication: Publication | None

    def to_json(self) -> dict[str, Any]:
        """Plain data: decimals are exact text, moments ISO 8601 in UTC."""
        content: Any = as_plain(self)
        return dict(content)


def read_status(settings: Settings) -> Status:
    """The present state; S3 and Spark are not asked."""
    from ingestion.database.engine import in_transaction
    from ingestion.database.staging_table import all_rows
    from ingestion.publication.publications import current_publication
    from ingestion.run.services import open_database

    engine = open_database(settings)
    return in_transaction(
        engine, lambda found: Status(tuple(all_rows(found)), current_publication(found))
    )


def shown_reason(reason: str) -> str:
    """A reason's first line, and what it announces to stand below it."""
    first_line = reason.partition("\n")[0]
    return reason if first_line.endswith(":") else first_line


def show_status(status: Status, console: Console, text: str | None = None) -> None:
    """Prints the rows whose keys hold ``text``, or without it the newest, and the publication.

    Case counts; how accents are written does not.
    """
    from rich.markup import escape
    from rich.table import Table

    from ingestion.config.profiles import composed

    part = composed(text or "")
    of_text = [row for row in status.files if part in composed(row.file_name)]
    shown = of_text[-_SHOWN:] if text is None else of_text
    total = f"{len(status.files)} file versions"
    if not status.files:
        console.print("The staging table is empty: no file has been taken yet.")
    elif not shown:
        console.print(f"None of {total} has {escape(repr(text))} in its key.")
    else:
        found = "" if text is None else f"{len(shown)} of "
        console.print(f"[bold]Staging table: {found}{total}[/bold]")
        table = Table(box=None, pad_edge=False)
        table.add_column("id", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for name in ("read", "valid", "quarantined", "amount valid"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("file", overflow="fold")
        for row in shown:
            numbers = (row.rows_read, row.rows_valid, row.rows_quarantined, row.amount_valid)
            cells = ("" if number is None else f"{number:,}" for number in numbers)
            table.add_row(str(row.id), row.status, *cells, escape(printable(row.file_name)))
        console.print(table)
        for row in shown:
            if row.reason:
                reason = printable_lines(shown_reason(row.reason))
                console.print(f"[dim]{row.id}: {escape(reason)}[/dim]")
        if len(shown) < len(of_text):
            console.print(
                f"[dim]The newest {_SHOWN} are shown; status TEXT shows those whose key "
                "contains TEXT, --json lists all in full.[/dim]"
            )
    if status.publication is None:
        console.print("Nothing is published yet.")
        return
    item = status.publication
    console.print(
        f"Version {item.version} of {item.published_at:%Y-%m-%d %H:%M:%S} UTC is published: "
        f"{item.rows_total:,} sales, {item.amount_total:,.2f}."
    )
