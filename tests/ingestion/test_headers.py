"""A header that is matched with the wrong column shifts money; one not matched loses a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.reader.contract import Contract, ContractColumn
from ingestion.reader.headers import match_header, normalised
from ingestion.reader.verdicts import Reason

CONTRACT = Contract(
    (
        ContractColumn("customer_id", "int", required=True),
        ContractColumn("sales_date", "date", required=True, aliases=("Order Date",)),
        ContractColumn("straße", "string"),
    ),
    Path("models/staging/_pos__sources.yml"),
)


@pytest.mark.parametrize(
    "header", ["CustomerID", " Customer ID ", "customer-id", "CUSTOMER_ID", "\ufeffcustomer_id"]
)
def test_spellings_of_one_name_are_one_column(header: str) -> None:
    """Senders write the same name in many ways; none of them means another column."""
    match = match_header([header, "sales_date"], CONTRACT)

    assert match.positions == {"customer_id": 0, "sales_date": 1}
    assert match.reasons == ()


def test_unicode_forms_of_one_name_are_one_column() -> None:
    """macOS writes decomposed letters, and a name in capitals has no sharp s."""
    assert normalised("Cafe\u0301") == normalised("CAFÉ")
    assert match_header(["customer_id", "Order date", "STRASSE"], CONTRACT).positions == {
        "customer_id": 0,
        "sales_date": 1,
        "straße": 2,
    }


def test_a_name_comes_before_an_alias_of_a_profile() -> None:
    """A profile must not turn a column of the contract into another one."""
    match = match_header(["customer_id", "When"], CONTRACT, {"when": "sales_date"})

    assert match.positions == {"customer_id": 0, "sales_date": 1}
    assert match_header(["sales_date"], CONTRACT, {"sales_date": "customer_id"}).positions == {
        "sales_date": 0
    }


def test_two_headers_for_one_column_are_a_reason() -> None:
    """Which of the two holds the truth is the sender's to say."""
    match = match_header(["customer_id", "Sales Date", "Order Date"], CONTRACT)

    assert match.reasons == (
        Reason(
            "duplicate_column",
            "duplicate column: 2 headers map to sales_date. Expected: one. Found: 'Sales Date'"
            " (column 2), 'Order Date' (column 3). Send the file with one of them, or rename the"
            " other, or have a file profile say which one counts, as in aliases = {"
            ' "Order Date" = "sales_date" }.',
        ),
    )


def test_a_profile_says_which_of_several_headers_counts() -> None:
    """Risk: no profile can read a sender that has an order's day and a delivery's; or one of two
    columns with the same header is taken."""
    headers = ["When", "customer_id", "Sales Date", "Order Date"]
    for header, place in (("order date", 3), ("SALES_DATE", 2), ("When", 0)):
        match = match_header(headers, CONTRACT, {header: "sales_date"})
        assert match.reasons == ()
        assert match.positions == {"customer_id": 1, "sales_date": place}
        assert sorted(match.extras) == sorted({0, 2, 3} - {place})
    headers = ["customer_id", "Order Date", "Order Date"]
    [reason] = match_header(headers, CONTRACT, {"Order Date": "sales_date"}).reasons
    assert reason.message.endswith("Send the file with one of them, or rename the other.")


def test_a_missing_column_names_the_nearest_header_and_the_line_to_paste() -> None:
    """The analyst who reads the reason must know what to do next."""
    match = match_header(["Date of Sales", "customer_id"], CONTRACT)

    assert match.reasons == (
        Reason(
            "missing_column",
            "missing column: sales_date. Expected: customer_id, sales_date, straße. Found: Date of"
            " Sales, customer_id. The nearest header to sales_date is 'Date of Sales'; if it means"
            " the same, paste into config.meta of sales_date in _pos__sources.yml:  aliases:"
            ' ["Order Date", "Date of Sales"]',
        ),
    )


def test_nothing_is_proposed_where_nothing_is_near() -> None:
    """A wild guess in a reason would be pasted by somebody."""
    match = match_header(["customer_id", "colour"], CONTRACT)

    assert [reason.message for reason in match.reasons] == [
        "missing column: sales_date. Expected: customer_id, sales_date, straße. Found:"
        " customer_id, colour. Send the file with these columns, or give the sender a file profile."
    ]


def test_a_column_that_a_profile_supplies_is_not_missing() -> None:
    """A constant or a derived column stands in for the header."""
    assert match_header(["sales_date"], CONTRACT, supplied=["customer_id"]).reasons == ()


def test_extra_columns_keep_their_names_and_none_is_lost() -> None:
    """Two extra columns of one name are two values; one without a name goes by its place."""
    headers = ["note", "customer_id", "note", "sales_date", "", " note_2 ", "Note"]

    match = match_header(headers, CONTRACT)

    assert match.extras == {6: "Note", 4: "column_5", 0: "note", 5: "note_2", 2: "note_3"}
    assert match.unnamed == {4}


def test_a_sender_knows_better_than_the_contract_what_a_header_means() -> None:
    """Risk: a sender's totals are taken for prices, because others call prices so."""
    assert match_header(["Order Date"], CONTRACT).positions == {"sales_date": 0}
    match = match_header(["Order Date"], CONTRACT, {"order date": "customer_id"})
    assert match.positions == {"customer_id": 0}


def test_a_line_of_a_million_numbers_is_told_at_once() -> None:
    """Risk: a file that is no CSV holds up every run, or its reason is too long for the table."""
    [reason] = match_header([str(number) for number in range(1_000_000)], CONTRACT).reasons
    assert str(reason.message) == (
        "too many columns: the first line has 1000000 values. Expected: a header of at most 10000"
        " columns. Found: 0, 1, 2, …. Send a CSV file with a header and one sale per line."
    )
    reason, _ = match_header(["customer_id"] * 3_000, CONTRACT).reasons
    assert "'customer_id' (column 10) and 2990 more. Send the file" in reason.message


def test_many_columns_of_one_name_are_numbered_in_no_time() -> None:
    """Risk: each name is looked up among all that came before it, which takes hours."""
    names = match_header(["customer_id", *["x"] * 4_000, "x_3", *[""] * 4_000], CONTRACT).extras
    assert len(set(names.values())) == 8_001
    assert (names[1], names[2], names[3]) == ("x", "x_2", "x_4")
