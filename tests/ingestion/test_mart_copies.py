"""The last version is read again to send only what differs; where it is lost, all is sent."""

from __future__ import annotations

import json
import logging
import os

import pytest
import sqlalchemy as sa

from ingestion.config.settings import Settings
from ingestion.run.services import open_services
from ingestion.s3.object_store import ObjectStore
from tests.run_without_spark import HEADER, TOTALS, run, s3_rows, sale


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_lost_object_of_the_last_version_costs_no_row(
    s3_settings: Settings, store: ObjectStore, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    """Risk: somebody tidies up the bucket, and no later run can publish, or publishes a mix."""
    day = HEADER + sale(2, "2024-01-05", 5) + sale(3, "2024-01-06", 6)
    with open_services(s3_settings, os.environ) as services:
        store.put_bytes("sales_data/day.csv", day.encode())
        run(services)
        pointer = json.loads(store.get_bytes("publications/current.json"))
        tables = json.loads(store.get_bytes(pointer["manifest"]))["tables"]
        [key] = [t["files"][0]["key"] for t in tables if t["name"] == TOTALS.name]
        if damage == "gone":
            store.delete(key)
        else:
            store.put_bytes(key, b"tidied up")
        store.put_bytes("sales_data/day.csv", (day + sale(3, "2024-01-07", 1)).encode())
        with caplog.at_level(logging.WARNING):
            run(services)
        assert f"the table {TOTALS.name} is loaded in full" in caplog.text
        with services.engine.connect() as connection:
            query = f"select customer_id, total_sales from {TOTALS.name} order by 1"
            rows = [(row[0], float(row[1])) for row in connection.execute(sa.text(query))]
        assert rows == [(2, 5), (3, 7)]
        assert sorted(row["total_sales"] for row in s3_rows(store, TOTALS.name)) == [5, 7]
