"""What is set aside can be found, mended and sent in again, and then counts once."""

from __future__ import annotations

import csv
import json
from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.commands import quarantine
from ingestion.commands.replay import replay
from ingestion.errors import PipelineError
from ingestion.run.quarantined_rows import read_rows
from ingestion.run.services import Services
from ingestion.workspace import Workspace
from tests.pipeline.conftest import HEADER, Pipeline

pytestmark = pytest.mark.slow

GOOD = "2,122,besan,2024-03-05,4,52,2,104\n"
BAD_DATE = '16,122,"maida, fine",05/03/2024,6,20,7,140\n'
BAD_QUOTE = '3,122,"24"" TV" flat,2024-03-06,4,90,1,90\n'
BAD_COUNT = "16,122,soap, large,2024-03-06,6,20,1,20\n"


def services(pipeline: Pipeline) -> Services:
    """What the commands work with."""
    workspace = Workspace(pipeline.settings.workspace)
    return Services(pipeline.settings, workspace, pipeline.engine, pipeline.store)


def mend(path: Path, line: str, **values: str) -> None:
    """Edits one exported row, as an analyst does."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
        names = list(rows[0])
    for row in rows:
        if row["line_number"] == line:
            row.update(values)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def test_mended_rows_count_once_and_lead_back_to_their_file(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: mending a row by hand counts it twice, or disturbs its neighbours."""
    pipeline.put("a.csv", HEADER + GOOD + BAD_DATE + "\r\n" + BAD_COUNT + GOOD + BAD_QUOTE)
    pipeline.run()
    found = services(pipeline)
    groups = {group.code: group for group in quarantine.group_by_reason(found)}
    assert {code: group.rows for code, group in groups.items()} == {
        "invalid_sales_date": 1,
        "column_count": 1,
        "quote": 1,
    }
    assert "line 3 of sales_data/a.csv" in groups["invalid_sales_date"].examples[0]

    with quarantine.rows_to_export(found, "invalid_sales_date", "a.csv") as rows:
        assert [row.line_number for row in rows] == [3]
    for reason, key, message in (
        ("nosuch", None, r"No row is quarantined for nosuch. Found: column_count"),
        (None, "nosuch", "There is no file nosuch"),
    ):
        with (
            pytest.raises(PipelineError, match=message),
            quarantine.rows_to_export(found, reason, key),
        ):
            pass
    with read_rows(found) as rows:
        [path] = quarantine.export_rows(found, rows, tmp_path / "export")
        with pytest.raises(PipelineError, match=r"cannot be exported .* Found: 1.csv"):
            quarantine.export_rows(found, rows, tmp_path / "export")
    mend(path, "3", sales_date="2024-03-05")
    mend(path, "5", record='16,122,"soap, large",2024-03-06,6,20,1,20')
    with path.open(encoding="utf-8", newline="") as file:
        [quoted] = [row for row in csv.DictReader(file) if row["line_number"] == "7"]
    assert quoted["record"] == BAD_QUOTE.strip()
    mend(path, "7", record='2,122,"24"" TV flat",2024-03-06,4,90,1,90')
    summary = pipeline.run(change=lambda services, _: replay(services, [path]))
    assert (summary.exit_code, summary.rows_quarantined) == (0, 0)
    old, new = pipeline.files()
    assert (old.status, new.status, new.replaces_id) == ("S", "I", old.id)
    assert new.amount_valid == Decimal("458.00")
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("298.00"),
        (16, "2024-03"): Decimal("160.00"),
    }
    with read_rows(found) as rows:
        assert [*rows] == []
    with pytest.raises(PipelineError, match="cannot be replayed"):
        replay(found, [path])


def test_a_file_too_bad_to_trust_is_set_aside_whole_and_its_old_version_stays(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: a broken correction counts half, or takes the good version out of the marts."""
    pipeline.put("a.csv", HEADER + GOOD)
    pipeline.run()
    pipeline.put("a.csv", HEADER + GOOD * 10 + GOOD.replace("2024-03-05", "someday") * 20)
    summary = pipeline.run()
    assert summary.exit_code == 3
    assert (summary.files["accepted"], summary.files["set aside"]) == (0, 1)
    assert [row.status for row in pipeline.files()] == ["I", "E"]
    assert "file_too_bad: 20 of 30 rows" in (pipeline.file("a.csv").reason or "")
    assert pipeline.totals() == {(2, "2024-03"): Decimal("104.00")}
    [key] = [key for key in pipeline.keys("sales_data_error/") if key.endswith(".json")]
    reasons = json.loads(pipeline.store.get_bytes(key))
    assert reasons["reasons"][0]["code"] == "file_too_bad"
    assert len(reasons["first_bad_rows"]) == 10
    assert "sales_date" in reasons["first_bad_rows"][0]["reason"]

    found = services(pipeline)
    [group] = [group for group in quarantine.group_by_reason(found) if not group.rows]
    assert (group.code, group.files) == ("file_too_bad (whole file)", ("sales_data/a.csv",))
    with quarantine.rows_to_export(found, "invalid_sales_date", None) as rows:
        [path] = quarantine.export_rows(found, rows, tmp_path)
    for line in range(12, 32):
        mend(path, str(line), sales_date="2024-03-05")
    summary = pipeline.run(change=lambda services, _: replay(services, [path]))
    assert summary.exit_code == 0
    assert pipeline.totals() == {(2, "2024-03"): Decimal("3120.00")}
    assert quarantine.group_by_reason(found) == []


def test_a_correction_that_copies_a_refused_file_ends_one_run_only(pipeline: Pipeline) -> None:
    """Risk: two equal broken files, one of them a correction, take good sales out of the marts; or
    nothing is published any more until somebody has sent another one; or the sender of a third is
    not told."""
    pipeline.put("b.csv", HEADER + GOOD)
    pipeline.run()
    broken = HEADER + GOOD + GOOD.replace("2024-03-05", "someday") * 20
    for name in ("a.csv", "b.csv", "d.csv"):
        pipeline.put(name, broken)
    pipeline.put("c.csv", HEADER + GOOD.replace("2,122", "16,122"))
    with pytest.raises(PipelineError, match=r"^Sales would be lost; nothing is published"):
        pipeline.run()
    assert pipeline.totals() == {(2, "2024-03"): Decimal("104.00")}
    summary = pipeline.run()
    assert summary.exit_code == 3
    assert pipeline.totals() == {
        (2, "2024-03"): Decimal("104.00"),
        (16, "2024-03"): Decimal("104.00"),
    }
    assert [row.status for row in pipeline.files()] == ["I", "E", "E", "I", "E"]
    assert (summary.files["set aside"], summary.files["duplicate"]) == (3, 0)
    told = "file_too_bad: a copy of sales_data/a.csv (id 2), which has too many bad rows"
    for name in ("b.csv", "d.csv"):
        assert pipeline.file(name).reason == told
        reasons = pipeline.store.get_bytes(f"sales_data_error/{name}.reasons.json")
        assert json.loads(reasons)["reasons"] == [{"code": "file_too_bad", "message": told}]
