"""What a compaction did: files, bytes and batches of each layer, before and after."""

from __future__ import annotations

import dataclasses
import decimal
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.plain_data import as_plain
from ingestion.steps import shown_seconds

if TYPE_CHECKING:
    from rich.console import Console

    from ingestion.publication.publications import Publication
    from ingestion.warehouse.ledger import LedgerEntry


NOTHING_TO_COMPACT = "Nothing to compact: closed months have no batches to merge"


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

    @property
    def rows_moved(self) -> int:
        """Sales whose rows have moved."""
        return sum(entry.count.rows_valid for entry in self.moved)

    @property
    def amount_moved(self) -> decimal.Decimal:
        """Exact sum of their ``total_cost``."""
        return sum((entry.count.amount_valid for entry in self.moved), decimal.Decimal(0))

    @property
    def outcome(self) -> str:
        """The one sentence for it."""
        before, after = self.before["bronze"].batches, self.after["bronze"].batches
        return f"Compacted {before:,} batches into {after:,}"

    def to_json(self) -> dict[str, Any]:
        """Plain data; decimals are exact text."""
        content = {
            "outcome": self.outcome,
            "before": self.before,
            "after": self.after,
            "rows_moved": self.rows_moved,
            "amount_moved": self.amount_moved,
            "version": None if self.publication is None else self.publication.version,
            "seconds": self.seconds,
        }
        return {name: as_plain(value) for name, value in content.items()}


def measured(folders: Iterable[Path], batches: int | None) -> Layer:
    """The layer that lies in these folders."""
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*.parquet")]
    return Layer(len(sizes), sum(sizes), batches)


def show(done: Compaction, console: Console) -> None:
    """Prints the layers before and after, and the numbers that have stayed."""
    from rich.table import Table

    console.print()
    console.rule(f"[bold]{done.outcome}[/bold]", align="left")
    layers = Table(box=None, pad_edge=False)
    layers.add_column("", style="dim")
    for name in ("files", "bytes", "batches"):
        layers.add_column(name, justify="right")
        layers.add_column("now", justify="right", style="bold")
    for name, before in done.before.items():
        layers.add_row(name, *_numbers(before, done.after[name]))
    console.print(layers)
    numbers = Table(box=None, show_header=False, pad_edge=False)
    numbers.add_column(style="dim", no_wrap=True)
    numbers.add_column()
    numbers.add_row(
        "moved",
        f"{done.rows_moved:,} sales, {done.amount_moved:,.2f}: before and after the same, in every "
        "month and every row",
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
    console.print(f"\n[dim]{shown_seconds(done.seconds)}[/dim]")


def _numbers(before: Layer, after: Layer) -> list[str]:
    pairs = (
        (before.files, after.files),
        (before.size_bytes, after.size_bytes),
        (before.batches, after.batches),
    )
    return ["" if number is None else f"{number:,}" for pair in pairs for number in pair]
