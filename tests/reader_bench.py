"""Checks single files with the contract of the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ingestion.config.profiles import FileProfile
from ingestion.reader.contract import Contract
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import FileReport

PROJECT = Path(__file__).resolve().parents[1]
COLUMNS = (
    "customer_id",
    "store_id",
    "product_name",
    "sales_date",
    "sales_person_id",
    "price",
    "quantity",
    "total_cost",
)
HEADER = ",".join(COLUMNS)
BESAN = "2,122,besan,2024-03-05,4,52,2,104"
MAIDA = "16,122,maida,2024-03-12,6,20,7,140"


class Bench:
    """Checks one file in a folder of its own."""

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.destination = folder / "bronze" / "batch_id=1" / "7.parquet"
        self._path = folder / "download"
        self._contract = contract

    def check(
        self,
        content: bytes | str,
        profile: FileProfile | None = None,
        key: str = "north/day.csv",
        **sizes: int,
    ) -> FileReport:
        self._path.write_bytes(content.encode() if isinstance(content, str) else content)
        report = check_file(
            self._path,
            key=key,
            file_id=7,
            contract=self._contract,
            profile=profile,
            destination=self.destination,
            **sizes,
        )
        folder = self.destination.parent
        left = [path.name for path in folder.iterdir()] if folder.exists() else []
        assert left == (["7.parquet"] if report.accepted else [])
        return report

    def rows(self) -> list[dict[str, Any]]:
        return pq.ParquetFile(self.destination).read().to_pylist()

    def values(self) -> list[list[str | None]]:
        return [[row[name] for name in COLUMNS] for row in self.rows()]

    def reason(self, content: bytes | str, profile: FileProfile | None = None) -> tuple[str, str]:
        report = self.check(content, profile)
        assert not report.accepted
        assert len(report.reasons) == 1
        return report.reasons[0].code, report.reasons[0].message


def text(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def dated(*days: str) -> str:
    """A file with the sale of BESAN on each of these days."""
    return text(HEADER, *(BESAN.replace("2024-03-05", day) for day in days))
