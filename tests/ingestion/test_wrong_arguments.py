"""What a file's or version's state does not allow is wrong usage; nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.commands import quarantine, rollback, withdrawal
from ingestion.commands.replay import replay
from ingestion.errors import UsageError
from ingestion.run.services import Services
from tests.run_without_spark import HEADER, run, sale
from tests.services import Bucket


def test_a_state_that_does_not_fit_is_wrong_usage(
    services: Services, s3_bucket: Bucket, tmp_path: Path
) -> None:
    """Risk: an alarm rings for a version that was mistyped, or a file that is withdrawn already."""
    s3_bucket.put("sales_data/a.csv", (HEADER + sale(1, "2024-03-05", 5)).encode())
    run(services)
    before = s3_bucket.keys()
    with pytest.raises(UsageError) as refused:
        withdrawal.restore_file(services, "a.csv")
    assert str(refused.value) == (
        "sales_data/a.csv cannot be restored. Expected: a file that was retracted, or a copy whose "
        "original no longer counts. Found: status I. python run_pipeline.py status "
        "sales_data/a.csv shows its versions."
    )
    with pytest.raises(UsageError) as refused:
        withdrawal.retract_file(services, ".csv", "run")
    assert str(refused.value) == (
        "There is no file .csv. Found: files whose names contain it: sales_data/a.csv. python "
        "run_pipeline.py status TEXT lists the files whose key contains TEXT."
    )
    with pytest.raises(UsageError, match=r"Version 1 cannot be shown again.*version 1 is current"):
        rollback.roll_back(services, 1, "run", lambda: None)
    withdrawal.retract_file(services, "a.csv", "run")
    with pytest.raises(UsageError, match=r"a\.csv cannot be read.*Found: status A, retracted by"):
        replay(services, (), "a.csv")
    (tmp_path / "1.csv").write_text("file_id,file_name,line_number,reasons,record\n1,,2,,\n")
    with pytest.raises(UsageError, match=r"cannot be replayed.* a newer version of"):
        replay(services, [tmp_path / "1.csv"])
    row = quarantine.QuarantinedRow(1, "sales_data/a.csv", 2, "", ())
    with pytest.raises(UsageError, match=r"cannot be exported to .* Found: 1\.csv"):
        quarantine.export_rows(services, [row], tmp_path)
    assert s3_bucket.keys() == before
