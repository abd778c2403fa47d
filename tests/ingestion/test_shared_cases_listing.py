"""The cases of the shared list that are about which objects a run takes from the bucket."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.database import staging_table
from ingestion.database.staging_table import FileRow
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, TOTALS, run, s3_rows

pytestmark = pytest.mark.slow


def recorded(services: Services) -> list[FileRow]:
    """The staging table."""
    with services.engine.begin() as connection:
        return staging_table.all_rows(connection)


def published(services: Services) -> Decimal:
    """The money that readers see on S3."""
    return sum((row["total_sales"] for row in s3_rows(services.store, TOTALS.name)), Decimal(0))


def test_sibling_prefixes_are_not_the_inbox(shared: Path, services: Services) -> None:
    """Risk (case 46): the error and processed folders are read back as sales."""
    root = shared / "cases" / "46" / "objects"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        services.store.put_bytes(path.relative_to(root).as_posix(), path.read_bytes())
    run(services)
    assert [row.file_name for row in recorded(services)] == ["sales_data/new.csv"]
    assert published(services) == Decimal("104.00")


def test_more_objects_than_one_page(services: Services) -> None:
    """Risk (case 51): the listing stops after 1000 keys and nobody notices."""
    for number in range(1205):
        row = f"{number % 20 + 1},122,pen,2024-03-{number % 28 + 1:02d},4,1,{number + 1}"
        content = f"{HEADER}{row},{number + 1}\n".encode()
        services.store.put_bytes(f"sales_data/part-{number:04d}.csv", content)
    run(services)
    rows = recorded(services)
    assert [row.status for row in rows] == ["I"] * 1205
    assert sum(row.rows_valid or 0 for row in rows) == 1205
    assert sum(row.amount_valid or 0 for row in rows) == Decimal("726615.00")
    assert published(services) == Decimal("726615.00")
    assert list(services.store.list_objects("sales_data/")) == []
    assert len(list(services.store.list_objects("sales_data_processed/"))) == 1205
