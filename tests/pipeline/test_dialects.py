"""Senders of other dialects, and a changed contract, from the inbox to the marts."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from ingestion.commands.replay import replay
from ingestion.run.run_state import SALES_CONTRACT
from ingestion.run.services import Services
from tests.pipeline.conftest import HEADER, Pipeline

pytestmark = pytest.mark.slow

PROFILES = r"""
[[profiles]]
name = "export"
pattern = "export/*"
thousands_mark = ","
currency_signs = ["$"]
date_format = "%m/%d/%Y %H:%M"
[profiles.aliases]
InvoiceDate = "sales_date"
Seller = "sales_person_id"

[[profiles]]
name = "day-first"
pattern = "uk/*"
date_format = "%d/%m/%Y"

[[profiles]]
name = "europe"
pattern = "eu/*"
delimiter = ";"
encoding = "cp1252"
decimal_mark = ","
thousands_mark = "."
currency_signs = ["€"]
date_format = "%d.%m.%Y"

[[profiles]]
name = "wide"
pattern = "wide/*"
encoding = "utf-16"
delimiter = "\t"

[[profiles]]
name = "tabs"
pattern = "tabs/*"
delimiter = "\t"

[[profiles]]
name = "till"
pattern = 're:till_(?P<store>\d+)/.*'
constants = {store_id = "{store}"}
derived = {total_cost = "price*quantity"}
"""
TABS = HEADER.replace(",", "\t")
DELIVERIES: dict[str, bytes] = {
    "export/december.csv": (
        "\ufeffCustomerID,StoreID,Product Name,InvoiceDate,Seller,UnitPrice,Quantity,TotalCost\r\n"
        '2,122,"besan, red",12/1/2023 8:26,4,"1,963.10",2,"$3,926.20"\r\n'
    ).encode(),
    "uk/march.csv": (
        HEADER + "".join(f"2,121,besan,0{day}/03/2024,4,52,1,52\n" for day in (5, 6, 7))
    ).encode(),
    "eu/märz.csv": (
        HEADER.replace(",", ";") + "16;122;Käse;13.03.2024;6;1.234,50 €;2;2.469,00 €\n"
    ).encode("cp1252"),
    "wide/day.csv": (TABS + "16\t121\tmaida 🫖\t2024-04-02\t6\t20\t7\t140\n").encode("utf-16"),
    "tabs/day.tsv": (TABS + "2\t122\tbesan\t2024-04-03\t4\t52\t1\t52.50\n").encode(),
    "tabs/day.tsv.gz": gzip.compress((TABS + "2\t122\tbesan\t2024-04-04\t4\t9\t1\t9\n").encode()),
    "till_121/day.csv": (
        b"customer_id,product_name,sales_date,sales_person_id,price,quantity\n"
        b"2,besan,2024-05-05,4,0.105,3\n"
    ),
}


def test_every_dialect_is_set_aside_with_a_proposal_and_read_again_under_its_profile(
    pipeline: Pipeline,
) -> None:
    """Risk: another dialect is guessed value by value, or set aside without a way back; or it is
    read right by the reader and wrongly, or not at all, by the models."""
    rows_alone = "uk/march.csv"  # the file would be accepted, and each of its rows set aside
    refused = [key for key in DELIVERIES if key != rows_alone]
    for key in refused:
        pipeline.put(key, DELIVERIES[key])
    summary = pipeline.run()
    assert (summary.exit_code, summary.files["set aside"]) == (3, len(refused))
    assert "Spark" not in summary.seconds
    reasons = {key: pipeline.file(key).reason or "" for key in refused}
    assert "missing column" in reasons["export/december.csv"]
    assert 'delimiter = ";"' in reasons["eu/märz.csv"]
    assert 'encoding = "utf-16' in reasons["wide/day.csv"]
    assert 'delimiter = "\\t"' in reasons["tabs/day.tsv"]
    assert 'delimiter = "\\t"' in reasons["tabs/day.tsv.gz"]
    assert "missing columns: store_id, total_cost" in reasons["till_121/day.csv"]
    told = json.loads(pipeline.store.get_bytes("sales_data_error/eu/märz.csv.reasons.json"))
    assert 'delimiter = ";"' in told["reasons"][0]["message"]

    def read_all_again(services: Services, _: str) -> None:
        for key in refused:
            replay(services, (), key)

    pipeline.use_profiles(PROFILES)
    pipeline.put(rows_alone, DELIVERIES[rows_alone])
    summary = pipeline.run(change=read_all_again)
    assert (summary.exit_code, summary.rows_valid, summary.rows_quarantined) == (0, 9, 0)
    assert {key: pipeline.file(key).status for key in DELIVERIES} == dict.fromkeys(DELIVERIES, "I")
    assert pipeline.table("fct_quarantined_sales") == []
    assert pipeline.totals() == {
        (2, "2023-12"): Decimal("3926.20"),
        (2, "2024-03"): Decimal("156.00"),
        (2, "2024-04"): Decimal("61.50"),
        (2, "2024-05"): Decimal("0.32"),
        (16, "2024-03"): Decimal("2469.00"),
        (16, "2024-04"): Decimal("140.00"),
    }
    sales = pipeline.sql(
        "select product_name, store_id, cast(sales_date as string) as day from "
        "retail.fct_sales order by day"
    )
    assert [tuple(row.values()) for row in sales] == [
        ("besan, red", 122, "2023-12-01"),
        ("besan", 121, "2024-03-05"),
        ("besan", 121, "2024-03-06"),
        ("besan", 121, "2024-03-07"),
        ("Käse", 122, "2024-03-13"),
        ("maida 🫖", 121, "2024-04-02"),
        ("besan", 122, "2024-04-03"),
        ("besan", 122, "2024-04-04"),
        ("besan", 121, "2024-05-05"),
    ]


def test_a_changed_contract_changes_what_is_accepted_and_what_the_models_make_of_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    """Risk: the contract is kept in two places, and an edit reaches one of them."""
    pipeline.put(
        "a.csv", (HEADER + "2,122,besan,2024-03-05,4,52,2,104\n").replace("price", "Preis")
    )
    pipeline.put("b.csv", HEADER + "16,122,maida,2024-03-12,6,20,7,140\n")
    assert pipeline.run().exit_code == 3
    assert "missing column: price" in (pipeline.file("a.csv").reason or "")

    contract = pipeline.copy_project(tmp_path / "project") / SALES_CONTRACT
    text = contract.read_text(encoding="utf-8")
    text = text.replace('["Unit Price", ', '["Preis", "Unit Price", ', 1)
    before, after = text.split("- name: quantity", 1)
    changed = after.replace('minimum: "1"', 'minimum: "1"\n                maximum: "5"', 1)
    contract.write_text(f"{before}- name: quantity{changed}", encoding="utf-8")
    summary = pipeline.run(change=lambda services, _: replay(services, (), "a.csv"))
    assert pipeline.totals() == {(2, "2024-03"): Decimal("104.00")}
    assert summary.warnings == [
        "the rules have changed since sales_data/b.csv was published: "
        "rows quarantined 0 -> 1, sales that count 140.00 -> 0.00"
    ]
    assert summary.exit_code == 3, "only a row of a file published before is set aside"
    [row] = pipeline.table("fct_quarantined_sales")
    assert row["reasons"] == "out_of_range_quantity: quantity: expected at most 5, found '7'"
