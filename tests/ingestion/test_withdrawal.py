"""Files are withdrawn and come back."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from ingestion.commands.withdrawal import restore_file, retract_file
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.errors import UsageError
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, LINES, TOTALS, run, s3_rows, sale
from tests.services import Bucket


def totals(services: Services) -> dict[tuple[int, str], Decimal]:
    """Month totals by customer, which the database and S3 show alike."""
    query = "select customer_id, sales_month, total_sales from customers_data_mart"
    with services.engine.begin() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(query))]
    on_s3 = s3_rows(services.store, TOTALS.name)
    assert sorted(rows) == sorted(
        (row["customer_id"], row["sales_month"], row["total_sales"]) for row in on_s3
    )
    return {(customer, month): total for customer, month, total in rows}


def test_a_retracted_file_is_gone_from_every_month_and_comes_back(
    mariadb_services: Services, s3_bucket: Bucket
) -> None:
    """Risk: a withdrawn file leaves a month behind, or counts twice once it is restored."""
    services = mariadb_services
    s3_bucket.put("sales_data/a.csv", (HEADER + sale(2, "2024-03-05", 104)).encode())
    s3_bucket.put("sales_data/b.csv", (HEADER + sale(16, "2024-04-12", 140)).encode())
    run(services)
    summary = run(services, lambda there, run_id: retract_file(there, "b.csv", run_id))
    assert list(summary.months) == ["2024-04"]
    assert totals(services) == {(2, "2024-03"): 104}
    assert {row["sales_month"] for row in s3_rows(services.store, LINES.name)} == {"2024-03"}
    with pytest.raises(UsageError) as refused:
        retract_file(services, "b.csv", "run")
    assert str(refused.value) == (
        "sales_data/b.csv cannot be retracted. Expected: a file that counts. Found: status I, "
        "retracted by hand. python run_pipeline.py status sales_data/b.csv shows its versions."
    )

    run(services, lambda there, _: restore_file(there, "b.csv"))
    assert totals(services) == {(2, "2024-03"): 104, (16, "2024-04"): 140}
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert [row.status for row in rows] == ["I", "S", "S", "I"]
    assert s3_bucket.keys("sales_data/") == []
