"""Files are withdrawn and come back."""

from __future__ import annotations

from decimal import Decimal

import pytest
import sqlalchemy as sa

from ingestion.commands.withdrawal import file_versions, restore_file, retract_file
from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.errors import UsageError
from ingestion.run.services import Services
from tests.run_without_spark import (
    HEADER,
    LINES,
    TOTALS,
    new_run,
    run,
    s3_rows,
    sale,
    take_files,
)
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
    retract_file(services, "b.csv", "run cut short")
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

    for _ in range(2):  # the command may be ended before its run begins
        restore_file(services, "b.csv")
    assert take_files(new_run(services))
    run(services, lambda there, _: restore_file(there, "b.csv"))
    assert totals(services) == {(2, "2024-03"): 104, (16, "2024-04"): 140}
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert [row.status for row in rows] == ["I", "S", "S", "I"]
    assert s3_bucket.keys("sales_data/") == []


def test_a_key_is_found_however_its_accents_are_written(
    mariadb_services: Services, s3_bucket: Bucket
) -> None:
    """Risk: a file that a Mac sent cannot be withdrawn by its name; or another one is for it."""
    services = mariadb_services
    apart, joined, mixed = "cafe\u0301\u0301.csv", "caf\u00e9\u0301.csv", "e\u0323\u0301.csv"
    for name in (apart, "cafes.csv"):
        s3_bucket.put(f"sales_data/{name}", (HEADER + sale(len(name), "2024-03-05", 5)).encode())
    run(services)
    for given in (joined, apart, f"sales_data/{joined}"):
        key, rows = file_versions(services, given)
        assert (key, [row.file_name for row in rows]) == (f"sales_data/{apart}", [key])

    s3_bucket.put(f"sales_data/{joined}", (HEADER + sale(9, "2024-03-05", 5)).encode())
    s3_bucket.put("sales_data/e\u0301\u0323.csv", (HEADER + sale(8, "2024-03-05", 5)).encode())
    s3_bucket.put("sales_data/\u00e9\u0323.csv", (HEADER + sale(7, "2024-03-05", 5)).encode())
    run(services)
    assert file_versions(services, joined)[0] == f"sales_data/{joined}"
    for given, found in (
        (mixed, "sales_data/e\u0301\u0323.csv, sales_data/\u00e9\u0323.csv"),
        ("CAFE\u0301", None),
        ("caf", f"sales_data/cafes.csv, sales_data/{apart}, sales_data/{joined}"),
    ):
        with pytest.raises(UsageError) as refused:
            file_versions(services, given)
        near = f" Found: files whose names contain it: {found}." if found else ""
        assert str(refused.value) == (
            f"There is no file {given}.{near} python run_pipeline.py status TEXT lists the files "
            "whose key contains TEXT."
        )
