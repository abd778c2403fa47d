"""The contract is what analysts edit: it must be read whole, and a slip must say where it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.errors import UsageError
from ingestion.reader.contract import Contract, ContractColumn, read_contract

PROJECT = Path(__file__).resolve().parents[2]
MEND = "Correct the source definition and run again."
SMALL = """\
sources:
  - name: pos
    tables:
      - name: sales
        columns:
          - name: file_id
            data_type: bigint
            config: {meta: {written_by: pipeline}}
          - name: store_id
            description: The store that sold.
            data_type: int
            config:
              meta:
                required: true
                aliases: [Shop]
          - name: price
            data_type: decimal(18, 4)
            config:
              meta:
                minimum: "0"
                maximum: 1000
                personal: true
                key: true
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "sources.yml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_projects_contract_names_the_columns_of_a_sale_in_order() -> None:
    """Ingestion and the staging model would part ways if the file lost a column."""
    contract = read_contract(PROJECT / "models" / "staging" / "_pos__sources.yml")

    assert [(column.name, column.data_type) for column in contract.columns] == [
        ("customer_id", "int"),
        ("store_id", "int"),
        ("product_name", "string"),
        ("sales_date", "date"),
        ("sales_person_id", "int"),
        ("price", "decimal(18,4)"),
        ("quantity", "int"),
        ("total_cost", "decimal(18,2)"),
    ]
    assert all(column.required for column in contract.columns)
    bounds = {column.name: column.minimum for column in contract.columns if column.minimum}
    assert bounds == {"sales_date": "1990-01-01", "price": "0", "quantity": "1", "total_cost": "0"}


def test_a_column_carries_all_that_the_yaml_says(tmp_path: Path) -> None:
    """A meta key that is read and then dropped would be a rule that nobody keeps."""
    path = written(tmp_path, SMALL)

    assert read_contract(path) == Contract(
        columns=(
            ContractColumn("store_id", "int", required=True, aliases=("Shop",)),
            ContractColumn(
                "price", "decimal(18,4)", minimum="0", maximum="1000", key=True, personal=True
            ),
        ),
        path=path,
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "data_type: int\n",
            "data_type: integer\n",
            "line 11: column 'store_id' has an unknown data_type. Expected: int, bigint, string,"
            f" date, boolean or decimal(precision,scale). Found: integer. {MEND}",
        ),
        (
            "decimal(18, 4)",
            "decimal(4,18)",
            "line 17: column 'price' has an unknown data_type. Expected: int, bigint, string,"
            f" date, boolean or decimal(precision,scale). Found: decimal(4,18). {MEND}",
        ),
        (
            "required: true",
            'required: "yes"',
            f"line 14: column 'store_id': 'required' is not a boolean. Expected: true or false."
            f" Found: yes. {MEND}",
        ),
        (
            "required: true",
            "requierd: true",
            "line 14: column 'store_id' has an unknown meta key. Expected: required, aliases,"
            f" minimum, maximum, key, personal, judges_sales, written_by. Found: requierd. {MEND}",
        ),
        (
            "aliases: [Shop]",
            "aliases: Shop",
            f"line 15: 'aliases' is not a list. Expected: a list, each item after a dash. {MEND}",
        ),
        (
            "aliases: [Shop]",
            "aliases: [PRICE]",
            "line 16: the name 'price' of column 'price' already refers to 'store_id'. Expected:"
            " every name and alias once, ignoring case, spaces, hyphens and underscores."
            f" {MEND}",
        ),
        (
            'minimum: "0"',
            "minimum: low",
            "line 20: column 'price': 'minimum' is not usable. Expected: a plain decimal"
            f" of at most 14 digits and 4 decimals. Found: low. {MEND}",
        ),
        (
            "written_by: pipeline",
            "written_by: till",
            f"line 8: column 'file_id': 'written_by' is unknown. Expected: pipeline. {MEND}",
        ),
        (
            "            config:\n",
            "            meta: {required: true}\n            config:\n",
            "line 12: column 'store_id' has 'meta'. Expected: 'meta' under 'config'. " + MEND,
        ),
        (
            "- name: sales\n",
            "- name: sails\n",
            f"line 2: no table 'sales' among the sources. Found: sails. {MEND}",
        ),
        (
            "            data_type: int\n",
            "",
            "line 9: the data_type of column 'store_id' is missing or not text. Expected: text."
            f" {MEND}",
        ),
        (
            "name: store_id",
            "name: [store_id",
            "line 10: this is not valid YAML. Found: expected ',' or ']', but got ':'."
            " Fix the line; a value with a colon or a quote must be quoted.",
        ),
    ],
)
def test_a_mistake_is_told_with_file_and_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    """Without the line an analyst searches a long YAML; without an error a rule is lost."""
    assert old in SMALL
    path = written(tmp_path, SMALL.replace(old, new, 1))

    with pytest.raises(UsageError) as caught:
        read_contract(path)

    assert str(caught.value) == f"{path}, {message}"


def test_a_missing_contract_is_told(tmp_path: Path) -> None:
    """A checkout without the file must end in a sentence."""
    with pytest.raises(UsageError, match=r"none\.yml cannot be read"):
        read_contract(tmp_path / "none.yml")


def test_an_edit_of_the_contract_changes_what_is_read(tmp_path: Path) -> None:
    """An analyst changes the contract in one place; a second copy would make that a lie."""
    before = read_contract(written(tmp_path, SMALL))
    after = read_contract(written(tmp_path, SMALL.replace("[Shop]", "[Shop, Branch]")))

    assert before.columns[0].aliases == ("Shop",)
    assert after.columns[0].aliases == ("Shop", "Branch")


@pytest.mark.parametrize(
    ("data_type", "bound", "expected"),
    [
        ("int", "-5", None),
        ("int", "1e6", "a whole number from -2147483648 to 2147483647"),
        ("int", "0.5", "a whole number from -2147483648 to 2147483647"),
        ("int", "2147483648", "a whole number from -2147483648 to 2147483647"),
        ("bigint", "2147483648", None),
        ("decimal(5,2)", "-999.99", None),
        ("decimal(5,2)", "1000", "a plain decimal of at most 3 digits and 2 decimals"),
        ("decimal(5,2)", "0.125", "a plain decimal of at most 3 digits and 2 decimals"),
        ("date", "2024-02-29", None),
        ("date", "2024-02-30", "a valid date as yyyy-MM-dd"),
        ("date", "20240101", "a valid date as yyyy-MM-dd"),
        ("date", "2024-W01-1", "a valid date as yyyy-MM-dd"),
    ],
)
def test_a_bound_that_spark_would_not_read_is_told(
    tmp_path: Path, data_type: str, bound: str, expected: str | None
) -> None:
    """Risk: the bound is null in SQL, and a rule that somebody relies on never rejects a row."""
    small = SMALL.replace("decimal(18, 4)", data_type).replace("maximum: 1000", "")
    path = written(tmp_path, small.replace('minimum: "0"', f'minimum: "{bound}"'))
    if expected is None:
        assert read_contract(path).columns[-1].minimum == bound
        return
    with pytest.raises(UsageError) as caught:
        read_contract(path)
    assert str(caught.value) == (
        f"{path}, line 20: column 'price': 'minimum' is not usable. Expected: {expected}."
        f" Found: {bound}. {MEND}"
    )
