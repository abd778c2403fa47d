"""A run that finds nothing new changes nothing, and starts no Spark."""

from __future__ import annotations

import gzip

from ingestion.database import staging_table
from ingestion.database.engine import in_transaction
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, run, sale
from tests.services import Bucket

NOTHING = "Nothing to do: the inbox has no new files"
CONTENT = (HEADER + sale(2, "2024-03-05", 104) + sale(16, "2024-03-12", 140)).encode()


def test_a_quiet_day_changes_nothing_and_the_same_file_again_counts_once(
    services: Services, s3_bucket: Bucket
) -> None:
    """Risk: a quiet day empties the marts or leaves an empty Parquet folder; or a till that sends a
    day twice doubles the day."""
    s3_bucket.put("sales_data/", b"")
    summary = run(services)
    assert (summary.exit_code, summary.outcome) == (0, NOTHING)
    assert "Spark" not in summary.seconds
    assert s3_bucket.keys() == ["sales_data/"]
    s3_bucket.put("sales_data/a.csv", CONTENT)
    assert "Spark" in run(services).seconds
    published = s3_bucket.objects()
    unfinished = services.workspace.bronze / "unfinished"
    assert unfinished.read_text() == "", "the next run would read the batch again"
    assert run(services).outcome == NOTHING
    assert s3_bucket.objects() == published

    s3_bucket.put("sales_data/a.csv", CONTENT)
    s3_bucket.put("sales_data/copy.csv", CONTENT)
    s3_bucket.put("sales_data/copy.csv.gz", gzip.compress(CONTENT))
    summary = run(services)
    assert (summary.exit_code, summary.version) == (0, None)
    assert summary.outcome == "No new sales to publish"
    assert "Spark" not in summary.seconds
    rows = in_transaction(services.engine, staging_table.all_rows)
    assert [(row.file_name, row.status, row.reason) for row in rows] == [
        ("sales_data/a.csv", "I", "already loaded: sent again, counted once"),
        ("sales_data/copy.csv", "D", "duplicate: the content of sales_data/a.csv (id 1)"),
        ("sales_data/copy.csv.gz", "D", "duplicate: the content of sales_data/a.csv (id 1)"),
    ]
    copies = ["sales_data_processed/copy.csv", "sales_data_processed/copy.csv.gz"]
    assert s3_bucket.keys() == sorted([*published, *copies])
