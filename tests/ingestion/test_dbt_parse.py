"""What dbt has parsed serves the same files only."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from dbt.cli.main import dbtRunner, dbtRunnerResult

from ingestion.errors import PipelineError
from ingestion.warehouse import dbt_parse
from ingestion.warehouse.dbt_build import DbtProject, parse, run_command
from ingestion.warehouse.dbt_manifest import read_manifest
from ingestion.warehouse.dbt_parse import parse_options
from tests.conftest import PROJECT

QUANTITY = "source.retail_mart.pos.sales"
KEYS_OF_A_RULE = "no keys but code, severity, when and words"


def highest_quantity(dbt: DbtProject) -> str | None:
    """Parses as a run does, and returns the contract's maximum as the models would see it."""
    with parse_options(dbt.project, dbt.target) as options:
        run_command(dbt, ("parse",), *options)
    columns = read_manifest(dbt.target)["sources"][QUANTITY]["columns"]
    maximum: str | None = columns["quantity"]["meta"].get("maximum")
    return maximum


@pytest.fixture
def dbt(tmp_path: Path) -> DbtProject:
    """A copy of the project, to be edited."""
    project, profiles = tmp_path / "project", tmp_path / "profiles"
    for name in ("models", "macros", "seeds", "tests/data"):
        shutil.copytree(PROJECT / name, project / name)
    shutil.copy(PROJECT / "dbt_project.yml", project)
    profiles.mkdir()
    shutil.copyfile(PROJECT / "profiles.example.yml", profiles / "profiles.yml")
    return DbtProject(project, profiles, tmp_path / "target", tmp_path / "logs")


def test_a_mistake_in_a_model_is_told_with_its_place(dbt: DbtProject) -> None:
    """Risk: an analyst's slip ends in a traceback, or what was half parsed is kept."""
    model = dbt.project / "models" / "marts" / "core" / "dim_stores.sql"
    model.write_text("select {{ ref( }}\n", encoding="utf-8")
    with pytest.raises(PipelineError) as refused:
        parse(dbt)
    told = str(refused.value)
    assert told.startswith("dbt cannot build the models. Found: Compilation Error in model dim_")
    assert "models/marts/core/dim_stores.sql" in told
    assert not list(dbt.target.rglob("*.msgpack"))
    shutil.copy(PROJECT / "models" / "marts" / "core" / "dim_stores.sql", model)
    assert "model.retail_mart.dim_stores" in parse(dbt).nodes


def test_options_of_dbt_in_the_environment_are_passed_over(
    dbt: DbtProject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Risk: a variable for another project leaves the tests out, and the marts are published."""
    kept = {"DBT_TARGET": "embedded", "DBT_LOG_FORMAT_FILE": "json", "DBT_SHOP_PASSWORD": "x"}
    options = {
        "DBT_RESOURCE_TYPES": "model",
        "DBT_ENGINE_EMPTY": "1",
        "DBT_WARN_ERROR": "1",
        "DBT_STATE": "/nowhere",
    }
    for name, value in (kept | options).items():
        monkeypatch.setenv(name, value)
    assert parse(dbt).nodes
    left = {name: value for name, value in os.environ.items() if name.startswith("DBT_")}
    assert left == kept
    assert sorted(caplog.messages) == [
        f"{name} is set; a run ignores it" for name in sorted(options)
    ]


def test_rules_that_cannot_be_used_are_named(dbt: DbtProject) -> None:
    """Risk: a misspelt rule is left out, and rows count that it was to set aside, or its reason is
    there without code or words."""
    model = dbt.project / "models" / "intermediate" / "int_sales_checked.sql"
    text = model.read_text(encoding="utf-8")
    assert text.count("\n] -%}") == 1
    rules = """
        {'code': 'of_no_severity', 'when': 'true', 'words': "''"},
        {'code': 'of_another', 'severity': 'error', 'when': 'true', 'words': "''"},
        {'cod': 'misspelt', 'severity': 'reject', 'when': 'true', 'words': "''"},
        {'code': 'misspelt', 'severity': 'warn', 'when': 'true', 'word': "''"},
        {'code': 'empty', 'severity': 'warn', 'when': ' ', 'words': none},
        {'code': "it's", 'severity': 'warn', 'when': 'true', 'words': "''"},
        {'code': 'empty', 'severity': 'warn', 'when': 'true', 'words': "''"},
    """
    model.write_text(text.replace("\n] -%}", f"{rules}] -%}}"), encoding="utf-8")
    with pytest.raises(PipelineError) as refused:
        parse(dbt)
    told = str(refused.value)
    assert told.startswith(
        "dbt cannot build the models. Found: Compilation Error in model int_sales_"
    )
    assert re.findall(r"The rule (.*) cannot be used\. Expected: (.*)\. Found: (.*)\n", told) == [
        ("of_no_severity", KEYS_OF_A_RULE, "code, when, words"),
        ("of_no_severity", "severity reject or warn", "none"),
        ("of_another", "severity reject or warn", "error"),
        ("number 6", KEYS_OF_A_RULE, "cod, severity, when, words"),
        ("number 6", "a code of letters, digits and _", "none"),
        ("misspelt", KEYS_OF_A_RULE, "code, severity, when, word"),
        ("misspelt", "SQL as words", "none"),
        ("empty", "SQL as when", " "),
        ("empty", "SQL as words", "none"),
        ("it's", "a code of letters, digits and _", "it's"),
        ("empty", "a code that no other rule has", "empty"),
    ]


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("unknown_label", ['" "', "0"], "a text that is not blank"),
        ("empty_words", ['"null"', "[null]"], "a list of texts"),
        ("total_cost_tolerance", ['"-0.01"', "a cent"], "a decimal of at least 0"),
        ("future_days_allowed", ["-1", "1.5"], "a whole number of at least 0"),
        ("reject_sales_before_opening", ['"false"', "0"], "true or false, without quotes"),
        ("too_bad_min_rows", ["true"], "a whole number of at least 0"),
        ("too_bad_share", ["50", "1.01", '"50%"'], "a decimal from 0 to 1"),
        ("other_share", ["1"], "a name that rule_variable knows"),
    ],
)
def test_a_variable_that_no_rule_can_use_is_named(
    dbt: DbtProject, name: str, values: list[str], expected: str
) -> None:
    """Risk: a rule never fires, or does what its variable forbids, and nobody is told."""
    shutil.rmtree(dbt.project / "models")
    shutil.rmtree(dbt.project / "tests")
    (dbt.project / "models").mkdir()
    (dbt.project / "models" / "one.sql").write_text(f"select {{{{ rule_variable('{name}') }}}}")
    for value in values:
        with pytest.raises(PipelineError) as refused:
            run_command(dbt, ("parse",), "--vars", f"{name}: {value}")
        found = json.dumps(yaml.safe_load(value))
        assert (
            f"The variable {name} of dbt_project.yml cannot be used. Expected: {expected}."
            f" Found: {found}\n"
        ) in str(refused.value)


def test_a_contract_that_comes_back_with_its_old_time_is_parsed_anew(dbt: DbtProject) -> None:
    """Risk: after a rule is taken back, rows are still judged by it."""
    project = dbt.project
    contract = project / "models" / "staging" / "_pos__sources.yml"
    text, times = contract.read_text(encoding="utf-8"), contract.stat()
    assert highest_quantity(dbt) is None
    with parse_options(project, dbt.target) as options:
        assert "--partial-parse-file-path" in options
    assert highest_quantity(dbt) is None

    before, after = text.split("- name: quantity", 1)
    after = after.replace('minimum: "1"', 'minimum: "1"\n                maximum: "5"', 1)
    contract.write_text(f"{before}- name: quantity{after}", encoding="utf-8")
    assert highest_quantity(dbt) == "5"

    contract.write_text(text, encoding="utf-8")
    os.utime(contract, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert highest_quantity(dbt) is None

    contract.write_text(f"{before}- name: quantity{after}", encoding="utf-8")
    with parse_options(project, dbt.target) as options:
        run_command(dbt, ("parse",), *options)
        contract.write_text(f"{text}\n# edited while dbt was at work\n", encoding="utf-8")
    with parse_options(project, dbt.target) as options:
        assert options == ["--no-partial-parse"], "which of the two was parsed is not known"


def test_what_dbt_takes_no_more_is_parsed_anew(
    dbt: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: after a change of the profile, or in another workspace, dbt builds a project without
    models, in each run, and calls that success."""
    models = set(parse(dbt).nodes)
    profile = dbt.profiles / "profiles.yml"
    text = profile.read_text(encoding="utf-8")
    profile.write_text(text.replace("schema: retail", "schema: shop"), encoding="utf-8")
    assert {node.schema for node in parse(dbt).nodes.values()} == {"shop"}
    monkeypatch.setenv("RETAIL_WORKSPACE", "elsewhere")
    assert set(parse(dbt).nodes) == models
    with parse_options(dbt.project, dbt.target) as options:
        assert "--partial-parse-file-path" in options


def test_another_version_of_an_adapter_parses_anew(
    dbt: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: after an upgrade the models still run with the macros of the old adapter."""
    parse(dbt)
    with parse_options(dbt.project, dbt.target) as options:
        assert "--partial-parse-file-path" in options
    monkeypatch.setattr(dbt_parse, "version", lambda _: "1.11.99")
    with parse_options(dbt.project, dbt.target) as options:
        assert options == ["--no-partial-parse"]


def test_an_interruption_that_dbt_catches_is_no_mistake_of_the_models(
    dbt: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Risk: who stops a run is told to mend the models."""
    caught = dbtRunnerResult(success=False, exception=KeyboardInterrupt())
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_, **__: caught)
    with pytest.raises(KeyboardInterrupt):
        parse(dbt)
