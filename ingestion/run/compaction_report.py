"""What a compaction did: files, bytes and batches of each layer, before and after."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.publication.publications import Publication
    from ingestion.warehouse.ledger import LedgerEntry


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
    layers = Table(box=None, pad_edge=False)
    layers.add_column("", style="dim")
    for name in ("files", "bytes", "batches"):
        layers.add_column(name, justify="right")
        layers.add_column("now", justify="right", style="bold")
    for name, before in done.before.items():
        layers.add_row(name, *_numbers(before, done.after[name]))
    console.print(layers)
    rows = sum(entry.count.rows_valid for entry in done.moved)
    amount = sum((entry.count.amount_valid for entry in done.moved), decimal.Decimal(0))
    numbers = Table(box=None, show_header=False, pad_edge=False)
    numbers.add_column(style="dim", no_wrap=True)
    numbers.add_column()
    numbers.add_row(
        "moved",
        f"{rows:,} sales, {amount:,.2f}: before and after the same, in every month and every row",
    )
    if done.publication is not None:
        item = done.publication
        numbers.add_row(
            "published",
            f"version {item.version} as it was: {item.rows_total:,} sales, "
            f"{item.amount_total:,.2f}",
        )
    console.print()
    console.print(numbers)
    steps = "  ".join(f"{name} {seconds:.1f}" for name, seconds in done.seconds.items())
    console.print(f"\n[dim]Seconds: {steps}  total {sum(done.seconds.values()):.1f}[/dim]")


def _numbers(before: Layer, after: Layer) -> list[str]:
    pairs = (
        (before.files, after.files),
        (before.size_bytes, after.size_bytes),
        (before.batches, after.batches),
    )
    return ["" if number is None else f"{number:,}" for pair in pairs for number in pair]
