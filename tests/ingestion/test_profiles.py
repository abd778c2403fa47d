"""File profiles: the right one is found for a key, and no mistake in one goes unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingestion.config.profiles import FileProfile, constants_for, profile_for
from ingestion.config.settings import load_settings
from ingestion.errors import UsageError
from ingestion.reader.contract import Contract, ContractColumn
from ingestion.reader.profile_columns import check_columns


def mistakes(project: Path, *tables: dict[str, object]) -> list[str]:
    """Return the mistakes in the profiles of pipeline.toml, as the user reads them."""
    text = f"profiles = [{', '.join(toml(table) for table in tables)}]"
    (project / "pipeline.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(project, {})
    return [line.removeprefix("- ") for line in str(caught.value).splitlines()[1:]]


def toml(value: object) -> str:
    """Return the value as TOML, of which JSON is a part, save for tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def profile(**values: object) -> FileProfile:
    """Return a profile with a name, a pattern that fits everything, and ``values``."""
    return FileProfile.model_validate({"name": "a", "pattern": "*", **values})


def test_what_is_left_out_is_the_contract() -> None:
    """Risk: a profile for one habit of a sender changes how the rest is read."""
    made = profile()
    assert (made.delimiter, made.encoding, made.quote) == (",", "utf-8", '"')
    assert (made.decimal_mark, made.thousands_mark, made.currency_signs) == (".", "", ())
    assert (made.date_format, made.skip_lines) == ("%Y-%m-%d", 0)
    assert (made.aliases, made.constants, made.derived) == ({}, {}, {})


def test_values_are_brought_to_one_form() -> None:
    """Risk: the reader meets three spellings of one rule."""
    made = profile(
        encoding="CP1252", derived={"total_cost": "price * quantity"}, quote="", delimiter="\t"
    )
    assert (made.encoding, made.quote, made.delimiter) == ("cp1252", "", "\t")
    assert made.derived == {"total_cost": "price*quantity"}


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("north/*.csv", "north/a.csv", True),
        ("north/*.csv", "north/2024/a.csv", True),
        ("north/*.csv", "north/a.csv.gz", False),
        ("north/*.csv", "far/north/a.csv", False),
        ("*.CSV", "a.csv", False),
        ("a?.csv", "a1.csv", True),
        (r"re:store_\d+\.csv", "store_12.csv", True),
        (r"re:store_\d+\.csv", "store_12.csv.bak", False),
        (r"re:store_\d+\.csv", "x/store_12.csv", False),
        ("caf\u00e9/*.csv", "cafe\u0301/a.csv", True),
        ("cafe\u0301/*.csv", "caf\u00e9/a.csv", True),
        ("re:caf\u00e9/.*", "cafe\u0301/a.csv", True),
        ("re:cafe\u0301?/.*", "cafe\u0301/a.csv", True),
        ("cafe/*.csv", "cafe\u0301/a.csv", False),
    ],
)
def test_a_pattern_fits_the_whole_key(pattern: str, key: str, fits: bool) -> None:
    """Risk: a profile takes files of another sender."""
    made = profile(pattern=pattern)
    assert profile_for(key, [made]) == (made if fits else None)


def test_the_first_fitting_profile_is_taken() -> None:
    """Risk: a general profile hides the special one written above it."""
    special, general = profile(name="s", pattern="north/*"), profile(name="g")
    assert profile_for("north/a.csv", [special, general]) == special
    assert profile_for("south/a.csv", [special, general]) == general
    assert profile_for("a.csv", []) is None


def test_constants_come_from_the_key() -> None:
    """Risk: the store in the file's name is lost, or braces in a text are."""
    made = profile(
        pattern=r"re:store_(?P<store>\d+)(_(?P<till>\w+))?\.csv",
        constants={"store_id": "{store}", "till": "T-{till}", "note": "{} plain"},
    )
    assert constants_for("store_0121_b.csv", made) == {
        "store_id": "0121",
        "till": "T-b",
        "note": "{} plain",
    }
    assert constants_for("store_0121.csv", made)["till"] == "T-"
    of_cafe = profile(pattern="re:caf\u00e9_(?P<store>.*)", constants={"store_id": "{store}"})
    assert constants_for("cafe\u0301_7", of_cafe) == {"store_id": "7"}
    assert constants_for("a.csv", profile(constants={"store_id": "7"})) == {"store_id": "7"}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("name", "a b", "Wrong value. Expected: letters, digits, '_', '.' and '-'. Found: 'a b'."),
        (
            "pattern",
            "re:(",
            "The regular expression is invalid: missing ), unterminated subpattern",
        ),
        ("delimiter", ";;", "Wrong value. Expected: one ASCII character, such as ;. Found: ';;'."),
        ("delimiter", "x", "A delimiter or quote must not be a letter, a digit or a line break."),
        ("delimiter", "\n", "A delimiter or quote must not be a letter, a digit or a line break."),
        ("quote", '""', "Wrong value. Expected: one ASCII character, or empty where values are"),
        ("encoding", "latin-9000", "Unknown text encoding. Expected: a Python encoding name"),
        ("encoding", "base64", "Unknown text encoding."),
        ("encoding", "punycode", "Unknown text encoding."),
        ("encoding", "idna", "Unknown text encoding."),
        ("decimal_mark", ";", "Wrong value. Expected: '.' or ','. Found: ';'."),
        ("thousands_mark", "x", "Wrong value. Expected: ',', '.', an apostrophe"),
        ("currency_signs", ["€", "5"], "A currency sign must not be blank or contain a digit"),
        (
            "negatives",
            ["-5"],
            "Wrong value. Expected: ways to write -5 besides -5 itself: '(5)', '5-'",
        ),
        ("date_format", "%d/%m", "The year is missing. Expected: year, month and day as strptime"),
        ("date_format", "dd/mm/yyyy", "The year is missing."),
        ("date_format", "%d %b %m %Y", "The month is given twice."),
        ("date_format", "%Y-%m-%d %Q", "Unknown directive %Q."),
        ("date_format", "%Y-%m-%d%", "Unknown directive %."),
        ("skip_lines", -1, "Wrong value. Expected: the lines above the header, from 0 to 1000."),
        ("aliases", {"Store": "Store ID"}, "Wrong value. Expected: the sender's header = the"),
        ("aliases", {" ": "store_id"}, "Wrong value. Expected: the sender's header = the"),
        ("derived", {"total_cost": "price+1"}, "Wrong value. Expected: a column = price*quantity"),
        ("decimal_marc", ",", "There is no such setting. Perhaps you meant decimal_mark."),
        (
            "thousands_mark",
            ".",
            "The same as the decimal mark. Give a different one, or leave it empty for none.",
        ),
        (
            "quote",
            ",",
            "The same as the delimiter. Give a different one, or leave it empty for none.",
        ),
        (
            "aliases",
            {"A": "price", "a ": "quantity"},
            "More than once here: 'a'. Keep one of",
        ),
        (
            "constants",
            {"store_id": "{store}"},
            "store_id asks for {store}, which the pattern does not name. "
            "Write (?P<name>…) in a pattern that begins with re:.",
        ),
        ("derived", {"price": "price*quantity"}, "price is derived from itself."),
    ],
)
def test_a_mistake_is_told_where_it_stands(
    tmp_path: Path, field: str, value: object, told: str
) -> None:
    """Risk: a profile that cannot work fails late, in the middle of a file."""
    (line,) = mistakes(tmp_path, {"name": "a", "pattern": "*", field: value})
    title = value if field == "name" else "a"
    assert line.startswith(f"profile {title}, {field} (pipeline.toml): {told}")


def test_a_default_can_be_the_wrong_one(tmp_path: Path) -> None:
    """Risk: only marks that are both given are compared."""
    assert mistakes(tmp_path, {"name": "a", "pattern": "*", "delimiter": '"'}) == [
        "profile a, quote (pipeline.toml): The same as the delimiter. "
        "Give a different one, or leave it empty for none."
    ]


def test_derived_columns_do_not_go_in_circles_or_fight_constants(tmp_path: Path) -> None:
    """Risk: a column is worked out from nothing, or one rule silently beats another."""
    circle = {"total_cost": "price*quantity", "price": "total_cost/quantity"}
    table = {"name": "a", "pattern": "*", "derived": circle, "constants": {"price": "1"}}
    assert mistakes(tmp_path, table) == [
        "profile a, derived (pipeline.toml): price is also a constant; price and total_cost are "
        "derived from each other. Remove one of the rules."
    ]


def test_all_mistakes_of_all_profiles_come_together(tmp_path: Path) -> None:
    """Risk: the user mends one mistake per run, or a later profile hides behind an earlier one."""
    good = {"name": "twice", "pattern": "*"}
    lines = mistakes(tmp_path, {"pattern": "*", "skip_lines": -1, "quote": "x"}, good, good)
    assert [line.split(". ")[0] for line in lines] == [
        "profile twice (pipeline.toml): 2 profiles have this name",
        "profile 1, name (pipeline.toml): Wrong value",
        "profile 1, quote (pipeline.toml): A delimiter or quote must not be a letter, a digit or a "
        "line break",
        "profile 1, skip_lines (pipeline.toml): Wrong value",
    ]


@pytest.mark.parametrize(
    ("text", "name", "found"),
    [
        ('[profiles]\nname = "a"\n', "profiles", "{'name': 'a'}"),
        ('profiles = ["a"]\n', "profile 1", "'a'"),
    ],
)
def test_profiles_are_a_list_of_tables(tmp_path: Path, text: str, name: str, found: str) -> None:
    """Risk: [profiles] in place of [[profiles]] shows as a stack trace."""
    (tmp_path / "pipeline.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(tmp_path, {})
    assert str(caught.value).splitlines()[1:] == [
        f"- {name} (pipeline.toml): Wrong value. Expected: [[profiles]] before each profile in "
        f"pipeline.toml. Found: {found}."
    ]


def test_a_profile_names_no_column_that_sales_do_not_have() -> None:
    """Risk: the values of a misspelt column are claimed for nothing, and are lost."""
    columns = (ContractColumn("price", "decimal(18,4)"), ContractColumn("total_cost", "int"))
    contract = Contract(columns, Path("models", "_pos__sources.yml"))
    till = FileProfile(name="till", pattern="*", aliases={"Preis": "price", "PRICE": "price"})
    check_columns([till], contract)
    wrong = FileProfile(
        name="shop",
        pattern="*",
        aliases={"Bon": "receipt", "Price": "total_cost"},
        constants={"chanel": "web"},
        derived={"margin": "price*quantity"},
    )
    with pytest.raises(UsageError) as caught:
        check_columns([till, wrong], contract)
    assert str(caught.value) == (
        "The file profiles do not match the contract. Expected: rules for price, total_cost. Found:"
        " profile shop: an alias for 'receipt'; profile shop: a constant for 'chanel'; profile"
        " shop: a formula for 'margin'; profile shop: an alias of total_cost for 'Price', the name"
        " of a column itself. Correct the profiles, or declare the columns in _pos__sources.yml; a"
        " column without a rule goes to additional_column under its own name."
    )
