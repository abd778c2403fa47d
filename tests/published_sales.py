"""What tests of publications share: sales of one customer each, and what readers see of them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import sqlalchemy as sa

from ingestion.run.services import Services
from tests.run_without_spark import HEADER, TOTALS, s3_rows, sale

POINTER = "publications/current.json"


def put(services: Services, key: str, customer: int, cost: int) -> None:
    """Puts a file with one sale into the inbox."""
    content = HEADER + sale(customer, "2024-03-05", cost)
    services.store.put_bytes(f"sales_data/{key}", content.encode())


def database_rows(services: Services) -> list[tuple[Any, ...]]:
    """Customers and totals as the database shows them."""
    query = sa.text("select customer_id, total_sales from customers_data_mart order by 1")
    with services.engine.begin() as connection:
        return [(row[0], int(float(row[1]))) for row in connection.execute(query)]


def check_pointer(services: Services) -> None:
    """The pointer names the manifest that was published, and S3 shows what the database shows."""
    pointer = json.loads(services.store.get_bytes(POINTER))
    content = services.store.get_bytes(pointer["manifest"])
    assert hashlib.sha256(content).hexdigest() == pointer["sha256"]
    on_s3 = [
        (row["customer_id"], int(row["total_sales"]))
        for row in s3_rows(services.store, TOTALS.name)
    ]
    assert sorted(on_s3) == database_rows(services)


def cut_short(*_: Any) -> None:
    """Ends the run."""
    raise KeyboardInterrupt
