"""The dbt project keeps its promises, as far as its files tell: without Spark, in seconds."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.warehouse.dbt_build import DbtProject, parse
from ingestion.warehouse.dbt_manifest import read_manifest
from tests.conftest import PROJECT
from tests.project_rules import (
    check_attributes,
    check_consumers,
    check_dimensions,
    check_layers,
    check_links,
    check_marts,
    check_unit_tests,
    check_wrong_rows,
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What dbt makes of the project's files."""
    folder = tmp_path_factory.mktemp("dbt")
    (folder / "profiles.yml").write_bytes((PROJECT / "profiles.example.yml").read_bytes())
    parse(DbtProject(PROJECT, folder, folder / "target", folder / "logs"))
    return read_manifest(folder / "target")


def test_every_model_with_logic_has_an_example(manifest: dict[str, Any]) -> None:
    """Risk: a join or a window is changed, and no example says what it was for."""
    check_unit_tests(manifest)


def test_layers_point_one_way(manifest: dict[str, Any]) -> None:
    """Risk: a report reads sales past the marts, and no longer agrees with them."""
    check_layers(manifest)


def test_an_attribute_that_is_shown_is_compared(manifest: dict[str, Any]) -> None:
    """Risk: a month without new sales shows an old address for ever."""
    check_attributes(manifest)


def test_each_dimension_has_its_key_tested_and_its_unknown_member(manifest: dict[str, Any]) -> None:
    """Risk: a key that is there twice multiplies sales, or an unknown member has a column's place
    taken by the next one."""
    check_dimensions(manifest)


def test_every_data_test_has_wrong_rows_to_find(manifest: dict[str, Any]) -> None:
    """Risk: a new data test never fails, or a removed one is still believed to guard something."""
    check_wrong_rows(manifest)


def test_published_money_is_held_against_that_of_the_files(manifest: dict[str, Any]) -> None:
    """Risk: a new mart loses sales, or stays without a month that a killed build has dropped."""
    check_marts(manifest)


def test_what_is_published_is_described_bound_and_has_a_consumer(manifest: dict[str, Any]) -> None:
    """Risk: nobody knows what a column means, or whom its change concerns."""
    check_consumers(manifest)


def test_the_links_of_the_documentation_lead_somewhere(manifest: dict[str, Any]) -> None:
    """Risk: a model is renamed, and the first page sends its readers to an empty one."""
    check_links(manifest)
