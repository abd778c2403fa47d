"""What a compaction did: files, bytes and batches of each layer, before and after."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.ledger import LedgerEntry
    from ingestion.publications import Publication


@dataclasses.dataclass(frozen=True)
class Layer:
    """The Parquet files of one layer; ``batches`` is None where it does not hold batches."""

    files: int
    size_bytes: int
    batches: int | None


@dataclasses.dataclass(frozen=True)
class Compaction:
    """One compaction that has ended well, and the files whose rows have moved."""

    before: Mapping[str, Layer]
    after: Mapping[str, Layer]
    moved: Sequence[LedgerEntry]
    publication: Publication | None
    seconds: Mapping[str, float]


def measured(folders: Iterable[Path], batches: int | None) -> Layer:
    """The layer that lies in these folders."""
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*.parquet")]
    return Layer(len(sizes), sum(sizes), batches)


def show(done: Compaction, console: Console) -> None:
    """Prints the layers before and after, and the numbers that have stayed."""
    from rich.table import Table

    batches = [done.before["bronze"].batches, done.after["bronze"].batches]
    console.print()
    console.rule(f"[bold]Compacted {batches[0]:,} batches into {batches[1]:,}[/bold]", align="left")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in ("files", "", "bytes", "", "batches", ""):
        table.add_column(name, justify="right")
    for name, before in done.before.items():
        after = done.after[name]
        table.add_row(
            name,
            *_pair(before.files, after.files),
            *_pair(before.size_bytes, after.size_bytes),
            *_pair(before.batches, after.batches),
        )
    console.print(table)
    rows = sum(entry.count.rows_valid for entry in done.moved)
    amount = sum((entry.count.amount_valid for entry in done.moved), decimal.Decimal(0))
    console.print(
        f"\nMoved      {rows:,} sales, {amount:,.2f}: each row, and rows and money of each month, "
        "are the same as before"
    )
    if done.publication is not None:
        item = done.publication
        console.print(
            f"Published  version {item.version} stays, no object and no row of it was touched: "
            f"{item.rows_total:,} sales, {item.amount_total:,.2f}"
        )
    steps = "  ".join(f"{name} {seconds:.1f}" for name, seconds in done.seconds.items())
    console.print(f"\n[dim]Seconds: {steps}  total {sum(done.seconds.values()):.1f}[/dim]")


def _pair(before: int | None, after: int | None) -> tuple[str, str]:
    if before is None or after is None:
        return "", ""
    return f"{before:,}", f"-> {after:,}" if after != before else "as is"
