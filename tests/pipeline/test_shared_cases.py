"""Files that broke other pipelines give the right answer through the whole of this one."""

from __future__ import annotations

import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ingestion.database.staging_table import FileRow
from tests.pipeline.conftest import Pipeline

pytestmark = pytest.mark.slow

TREES = {"39", "41", "43", "45", "47", "49"}  # cases that come as keys below an inbox
ELSEWHERE = {"46", "51"}  # cases of the listing, in tests/ingestion/test_shared_cases_listing.py


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case: as ``expected.json`` counts it."""

    valid_rows: int
    quarantined_rows: int
    quarantined_file: bool
    sum_total_cost: Decimal


def objects_of(folder: Path) -> dict[str, bytes]:
    """The case's objects by the key that they get below the inbox."""
    if folder.name in TREES:
        root = folder / "objects" / "inbox"
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        return {f"{folder.name}/{path.relative_to(root)}": path.read_bytes() for path in files}
    files = sorted(folder.glob("*.csv"))
    return {f"{folder.name}/{path.name}": path.read_bytes() for path in files}


def told_apart(cases: Mapping[str, dict[str, bytes]]) -> dict[str, bytes]:
    """The objects of all cases, for one run; a content counts once in it, so that another case's
    copy ends in a blank line more, which is no row."""
    uses: collections.Counter[bytes] = collections.Counter()
    objects = {}
    for case in cases.values():
        objects.update({key: content + b"\n" * uses[content] for key, content in case.items()})
        uses.update(set(case.values()))
    return objects


def outcome(
    files: Sequence[FileRow], quarantined: Sequence[dict[str, Any]], number: str
) -> tuple[Outcome, str]:
    """The case's outcome and all reasons that were given in it."""
    rows = [row for row in files if row.file_name.startswith(f"sales_data/{number}/")]
    counted = [row for row in rows if row.status == "I"]
    ids = {row.id for row in counted}
    reasons = [row.reason or "" for row in rows]
    reasons += [row["reasons"] for row in quarantined if row["file_id"] in ids]
    found = Outcome(
        valid_rows=sum(row.rows_valid or 0 for row in counted),
        quarantined_rows=sum(row.rows_quarantined or 0 for row in counted),
        quarantined_file=any(row.status == "E" for row in rows),
        sum_total_cost=sum((row.amount_valid or Decimal(0) for row in counted), Decimal(0)),
    )
    return found, " | ".join(reasons).lower()


def right_answers(expected: dict[str, Any]) -> list[Outcome]:
    """The expected outcome and those that are right too."""
    return [
        Outcome(
            answer["valid_rows"],
            answer["quarantined_rows"],
            answer["quarantined_file"],
            Decimal(answer["sum_total_cost"]),
        )
        for answer in (expected, *expected.get("also_ok", ()))
    ]


def check_rows(rows: Sequence[dict[str, Any]], expected: dict[str, Any]) -> list[str]:
    """What differs in the values of the valid rows from those that ``expected.json`` names."""
    wrong = []
    names = [row["product_name"].replace("\r\n", "\n") for row in rows]
    if "product_names" in expected and len(names) == expected["valid_rows"]:
        wanted = [name.replace("\r\n", "\n") for name in expected["product_names"]]
        if names != wanted:
            wrong.append(f"product names {names}, expected {wanted}")
    if "additional" in expected:
        found = [json.loads(row["additional_column"]) for row in rows]
        if found != expected["additional"]:
            wrong.append(f"additional columns {found}")
    for row, wanted_row in zip(rows, expected.get("rows", ()), strict=False):
        values = {name: Decimal(row[name]) for name in ("price", "quantity", "customer_id")}
        if values != {name: Decimal(wanted_row[name]) for name in values}:
            wrong.append(f"values {values}")
    if any("\ufffd" in name for name in names):
        wrong.append("a replacement character in a product name")
    return wrong


def test_every_case_of_content_and_names(shared: Path, pipeline: Pipeline) -> None:
    """Risk: one of the ways in which real files are broken loses, doubles or invents a sale."""
    folders = {
        folder.name: folder
        for folder in sorted((shared / "cases").iterdir())
        if (folder / "expected.json").is_file() and folder.name not in ELSEWHERE
    }
    cases = {number: objects_of(folder) for number, folder in folders.items()}
    for key, content in told_apart(cases).items():
        pipeline.put(key, content)
    if "49" in cases:
        pipeline.put("49/", b"")
        pipeline.put("49/archive.csv/", b"")
    pipeline.run()
    files, quarantined = pipeline.files(), pipeline.table("fct_quarantined_sales")
    sales = pipeline.sql(
        "select f.file_name, s.product_name, s.additional_column, s.price, s.quantity, "
        "s.customer_id from retail.fct_sales s join raw.files f on s.file_id = f.file_id "
        "order by s.file_id, s.line_number"
    )
    wrong = []
    for number, folder in folders.items():
        expected = json.loads((folder / "expected.json").read_text())
        found, reasons = outcome(files, quarantined, number)
        if found not in right_answers(expected):
            wrong.append(f"case {number}: {found}, expected {right_answers(expected)[0]}")
        words = (expected["reason"] or "").lower().split("|")
        if found == right_answers(expected)[0] and not any(word in reasons for word in words):
            wrong.append(f"case {number}: no word of {words} in {reasons!r}")
        rows = [row for row in sales if row["file_name"].startswith(f"sales_data/{number}/")]
        wrong += [f"case {number}: {line}" for line in check_rows(rows, expected)]
    wrong += [f"{row.file_name} is left over" for row in files if row.status == "A"]
    assert not wrong, "\n".join(wrong)
