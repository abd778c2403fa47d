"""A run adds to the warehouse only where it is what the last run left, under the same logic."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.reader.contract import Contract, ContractColumn
from ingestion.warehouse.warehouse_state import (
    BegunBuild,
    NotedFile,
    PublishedTables,
    is_as_built,
    list_hash,
    logic_hash,
    read_published,
    read_state,
    write_state,
)


def published(tables: Path, **changes: Any) -> PublishedTables:
    """What a run notes that has published these tables."""
    built = PublishedTables("logic", "values", "manifest", list_hash(tables))
    return dataclasses.replace(built, **changes)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A warehouse of one file."""
    (tmp_path / "warehouse" / "fct_sales").mkdir(parents=True)
    (tmp_path / "warehouse" / "fct_sales" / "part-1.parquet").write_text("rows")
    return tmp_path / "warehouse"


def test_a_clean_warehouse_may_grow(tables: Path, tmp_path: Path) -> None:
    """Risk: every daily run pays for the whole history."""
    assert read_state(tmp_path) is None
    built = published(tables, dimensions={"store": "1"}, merging={3: [1, 2]})
    write_state(tmp_path, built)
    assert read_state(tmp_path) == read_published(tmp_path) == built
    assert is_as_built(published(tables), tables)


def test_a_build_that_was_begun_is_known_again(tmp_path: Path) -> None:
    """Risk: the run after a failed test pays for the whole history; or tables that a run was
    changing when it was killed pass for those of a publication."""
    files = {7: NotedFile("read so", "A", None), 8: NotedFile("read so", "D", 3)}
    begun = BegunBuild("logic", "values", "run", "base", True, files, {"store": "1"}, "dbt 1")
    write_state(tmp_path, begun)
    assert read_state(tmp_path) == begun
    assert read_published(tmp_path) is None


def test_an_upgrade_knows_published_tables_and_makes_half_built_ones_anew(
    tables: Path, tmp_path: Path
) -> None:
    """Risk: after an upgrade every workspace pays for the whole history; or a run adds to what
    another one, killed before the upgrade, has half built."""
    note = {
        "logic_hash": "logic",
        "files": list_hash(tables),
        "is_whole": True,
        "dimensions": {"store": "1"},
        "merging": {"3": [1, 2]},
        "publication": "manifest",
        "run_id": "run",
        "verdicts": {},
        "begun_with": {},
        "built_before": "",
        "judged_by": "values",
    }
    (tmp_path / "warehouse.json").write_text(json.dumps(note))
    assert read_state(tmp_path) == published(tables, dimensions={"store": "1"}, merging={3: [1, 2]})
    begun = {"files": "", "dimensions": {}, "merging": {}, "verdicts": {"7": "read A None"}}
    (tmp_path / "warehouse.json").write_text(json.dumps(note | begun))
    known = read_published(tmp_path)
    assert known is not None
    assert not is_as_built(known, tables)


def test_the_list_of_files_is_told_as_it_always_was(tables: Path, tmp_path: Path) -> None:
    """Risk: after an upgrade no workspace knows its own tables, and all of them are built anew."""
    for name in ("fct_sales/a.b/c", "fct_sales/a/b", "fct_sales/.c.crc", "fct_sales.old/ü", "z"):
        (tables / name).parent.mkdir(exist_ok=True)
        (tables / name).write_text(name)
    (tables / "empty").mkdir()
    (tables / "to_file").symlink_to(tables / "z")
    (tables / "to_folder").symlink_to(tables / "fct_sales")
    (tables / "to_nothing").symlink_to(tables / "nothing")
    for without in ([], [tables / "fct_sales", tables / "other"]):
        listed = "".join(
            f"{path.relative_to(tables)} {path.stat().st_size}\n"
            for path in sorted(tables.rglob("*"))
            if path.is_file() and not any(path.is_relative_to(folder) for folder in without)
        )
        assert list_hash(tables, without) == hashlib.sha256(listed.encode()).hexdigest()
    assert list_hash(tmp_path / "nothing") == hashlib.sha256(b"").hexdigest()


@pytest.mark.parametrize(
    "content", ["", "[]", '{"unknown": 1}', '{"merging": 3}', '{"is_increment": 1}']
)
def test_what_cannot_be_read_any_more_is_as_if_it_were_not_there(
    tmp_path: Path, content: str
) -> None:
    """Risk: a full disk or a power cut ends every run to come in a stack trace."""
    (tmp_path / "warehouse.json").write_text(content)
    assert read_state(tmp_path) is None


def test_tables_of_a_compaction_cut_short_are_not_as_built(tables: Path) -> None:
    """Risk: rows that were copied into a new batch, and are in the old one still, count twice."""
    assert not is_as_built(published(tables, merging={3: [1, 2]}), tables)


def test_a_table_that_somebody_else_built_is_not_published(tables: Path) -> None:
    """Risk: an analyst's trial build reaches the published marts with the next daily file."""
    built = published(tables)
    (tables / "fct_sales" / "part-1.parquet").rename(tables / "fct_sales" / "part-2.parquet")
    assert not is_as_built(built, tables)


def test_logic_changes_with_sql_seeds_and_the_contract(tmp_path: Path) -> None:
    """Risk: an analyst changes a rate and the old months keep the old one."""
    (tmp_path / "models" / "marts").mkdir(parents=True)
    (tmp_path / "seeds").mkdir()
    (tmp_path / "models" / "marts" / "mart.sql").write_text("select 1")
    (tmp_path / "models" / "marts" / "_models.yml").write_text("description: one")
    (tmp_path / "seeds" / "rates.csv").write_text("rate\n0.01\n")
    contract = Contract((ContractColumn("price", "decimal(18,4)", minimum="0"),), tmp_path)
    first = logic_hash(tmp_path, contract)
    (tmp_path / "models" / "marts" / "_models.yml").write_text("description: two")
    assert logic_hash(tmp_path, contract) == first
    hashes = [first]
    changes = ("seeds/rates.csv", "models/marts/mart.sql", "macros/rate.sql", "dbt_project.yml")
    for changed in changes:
        (tmp_path / changed).parent.mkdir(exist_ok=True)
        (tmp_path / changed).write_text("vars: of another rate")
        hashes.append(logic_hash(tmp_path, contract))
    rules: list[dict[str, Any]] = [
        {"minimum": "1"},
        {"minimum": "0", "maximum": "9"},
        {"minimum": "0", "required": True},
        {"minimum": "0", "personal": True},
    ]
    for rule in rules:
        column = ContractColumn("price", "decimal(18,4)", **rule)
        hashes.append(logic_hash(tmp_path, Contract((column,), tmp_path)))
    assert len(set(hashes)) == 9
