"""Files that broke other pipelines give the right answer through the whole of this one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.conftest import HEADER, Pipeline

pytestmark = pytest.mark.slow

TREES = {"39", "41", "43", "45", "47", "49"}  # cases that come as keys below an inbox
ELSEWHERE = {"46", "51"}  # cases that need an inbox of their own


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


def in_rounds(cases: Iterable[dict[str, bytes]]) -> Iterator[dict[str, bytes]]:
    """The cases in as few runs as possible; equal content in one run would count only once."""
    rounds: list[tuple[dict[str, bytes], set[str]]] = []
    for objects in cases:
        hashes = {hashlib.sha256(content).hexdigest() for content in objects.values()}
        for together, seen in rounds:
            if not hashes & seen:
                together.update(objects)
                seen |= hashes
                break
        else:
            rounds.append((dict(objects), hashes))
    return (together for together, _ in rounds)


def outcome(pipeline: Pipeline, number: str) -> tuple[Outcome, str]:
    """The case's outcome and all reasons that were given in it."""
    rows = [row for row in pipeline.files() if row.file_name.startswith(f"sales_data/{number}/")]
    counted = [row for row in rows if row.status == "I"]
    reasons = [row.reason or "" for row in rows]
    for row in counted:
        quarantined = pipeline.sql(
            f"select reasons from retail.fct_quarantined_sales where file_id = {row.id}"
        )
        reasons += [found["reasons"] for found in quarantined]
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


def check_rows(pipeline: Pipeline, number: str, expected: dict[str, Any]) -> list[str]:
    """What differs in the values of the valid rows from those that ``expected.json`` names."""
    rows = pipeline.sql(
        "select s.product_name, s.additional_column, s.price, s.quantity, s.customer_id "
        "from retail.fct_sales s join raw.files f on s.file_id = f.file_id "
        f"where f.file_name like 'sales_data/{number}/%' order by s.file_id, s.line_number"
    )
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
    wrong = []
    for together in in_rounds(objects_of(folder) for folder in folders.values()):
        pipeline.restart()
        for key, content in together.items():
            pipeline.put(key, content)
        if any(key.startswith("49/") for key in together):
            pipeline.put("49/", b"")
            pipeline.put("49/archive.csv/", b"")
        pipeline.run()
        for number in sorted({key.partition("/")[0] for key in together}):
            expected = json.loads((folders[number] / "expected.json").read_text())
            found, reasons = outcome(pipeline, number)
            if found not in right_answers(expected):
                wrong.append(f"case {number}: {found}, expected {right_answers(expected)[0]}")
            words = (expected["reason"] or "").lower().split("|")
            if found == right_answers(expected)[0] and not any(word in reasons for word in words):
                wrong.append(f"case {number}: no word of {words} in {reasons!r}")
            wrong += [f"case {number}: {line}" for line in check_rows(pipeline, number, expected)]
            wrong += [
                f"case {number}: {row.file_name} is left over"
                for row in pipeline.files()
                if row.status == "A"
            ]
    assert not wrong, "\n".join(wrong)


def test_sibling_prefixes_are_not_the_inbox(shared: Path, pipeline: Pipeline) -> None:
    """Risk (case 46): the error and processed folders are read back as sales."""
    root = shared / "cases" / "46" / "objects"
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        pipeline.store.put_bytes(path.relative_to(root).as_posix(), path.read_bytes())
    pipeline.run()
    assert [row.file_name for row in pipeline.files()] == ["sales_data/new.csv"]
    assert sum(pipeline.totals().values()) == Decimal("104.00")


def test_more_objects_than_one_page(pipeline: Pipeline) -> None:
    """Risk (case 51): the listing stops after 1000 keys and nobody notices."""
    for number in range(1205):
        row = f"{number % 20 + 1},122,pen,2024-03-{number % 28 + 1:02d},4,1,{number + 1}"
        pipeline.put(f"part-{number:04d}.csv", f"{HEADER}{row},{number + 1}\n")
    summary = pipeline.run()
    assert (summary.files["accepted"], summary.rows_valid) == (1205, 1205)
    assert summary.money.valid == Decimal("726615.00")
    assert pipeline.keys("sales_data/") == []
