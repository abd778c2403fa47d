"""The content cases of the shared list, as far as the check of one file decides them."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.reader.contract import read_contract
from ingestion.reader.file_check import check_file
from ingestion.reader.verdicts import FileReport

PROJECT = Path(__file__).resolve().parents[2]
CASES = PROJECT.parent / "shared" / "cases"
CONTENT_CASES = sorted(path for path in CASES.glob("[0-3]*") if path.is_dir() and path.name < "39")
DECIDED_BY_SQL = {"19", "21", "23", "25", "26", "38"}

pytestmark = pytest.mark.skipif(not CONTENT_CASES, reason="the shared cases are not here")


def read_case(folder: Path, work: Path) -> list[tuple[str, FileReport, list[dict[str, Any]]]]:
    contract = read_contract(PROJECT / "models" / "staging" / "_pos__sources.yml")
    results = []
    for number, path in enumerate(sorted(folder.glob("*.csv"))):
        destination = work / f"{number}.parquet"
        report = check_file(
            path,
            key=path.name,
            file_id=number,
            contract=contract,
            profile=None,
            destination=destination,
        )
        rows = pq.read_table(destination).to_pylist() if report.accepted else []
        results.append((path.name, report, rows))
    return results


def total(rows: list[dict[str, Any]]) -> Decimal:
    result = Decimal(0)
    for row in rows:
        try:
            result += Decimal(row["total_cost"])
        except (TypeError, InvalidOperation):
            assert row["row_fault"] is not None
    return result


@pytest.mark.parametrize(
    "folder",
    [folder for folder in CONTENT_CASES if folder.name not in DECIDED_BY_SQL],
    ids=lambda folder: folder.name,
)
def test_a_case_has_the_verdict_of_its_list(folder: Path, tmp_path: Path) -> None:
    """Each case is a report of lost or doubled sales in another pipeline."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    results = read_case(folder, tmp_path)

    good = [row for _, _, rows in results for row in rows if row["row_fault"] is None]
    faulty = [row for _, _, rows in results for row in rows if row["row_fault"] is not None]
    aside = [name for name, report, _ in results if not report.accepted]
    assert (len(good), len(faulty)) == (expected["valid_rows"], expected["quarantined_rows"])
    assert bool(aside) == expected["quarantined_file"]
    assert aside == expected.get("quarantined_files", aside)
    assert total(good) == Decimal(expected["sum_total_cost"])
    if expected["reason"]:
        texts = [f"{reason.code} {reason.message}" for _, r, _ in results for reason in r.reasons]
        texts += [f"{row['row_fault']} {row['row_fault_detail']}" for row in faulty]
        assert texts
        assert all(expected["reason"] in text for text in texts)
    if "product_names" in expected:
        assert [row["product_name"] for row in good] == expected["product_names"]
    if "additional" in expected:
        assert [json.loads(row["additional_column"]) for row in good] == expected["additional"]


@pytest.mark.parametrize(
    "folder",
    [folder for folder in CONTENT_CASES if folder.name in DECIDED_BY_SQL],
    ids=lambda folder: folder.name,
)
def test_a_case_for_the_row_rules_reaches_them_whole(folder: Path, tmp_path: Path) -> None:
    """A row that the check drops or repairs by itself is one that no rule can judge."""
    expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    results = read_case(folder, tmp_path)

    rows = [row for _, _, found in results for row in found]
    assert all(report.accepted and not report.rows_faulty for _, report, _ in results)
    assert len(rows) == expected["valid_rows"] + expected["quarantined_rows"]
    assert all(row["row_fault"] is None for row in rows)
