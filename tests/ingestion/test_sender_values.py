"""Values in a sender's form are read as its profile says."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader.profile_values import BLANKS
from tests.conftest import PROJECT
from tests.reader_bench import BESAN, COLUMNS, HEADER, Bench, dated, text


def test_offsets_of_summer_and_winter_are_one_form(bench: Bench) -> None:
    """Risk: a shop's file needs two profiles in the month in which the clocks change."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%m-%d %H:%M:%S %z")
    bench.check(dated("2024-03-10 00:30:00 -0500", "2024-03-10 23:30:00 -0400"), profile)
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-10"] * 2


def test_blanks_around_values_are_those_of_the_models() -> None:
    """Risk: a profile reads a value that the models set aside, or the reverse."""
    macro = (PROJECT / "macros" / "without_blanks.sql").read_text(encoding="utf-8")
    literals = macro[macro.index("set blanks") :].partition("-%}")[0]
    escaped = "".join(re.findall(r"'([^']*)'", literals)).replace("\\\\", "\\")
    assert escaped.encode().decode("unicode_escape") == BLANKS


@pytest.mark.parametrize("blank", ["\t", "\u00a0", "\u3000"])
def test_blanks_around_values_are_none_of_their_form(bench: Bench, blank: str) -> None:
    """Risk: a till pads its columns, and a profile that reads its numbers leaves them all aside."""
    profile = FileProfile(
        name="p",
        pattern="*",
        decimal_mark=",",
        date_format="%d/%m/%Y",
        negatives=("(5)",),
        derived={"total_cost": "price*quantity"},
    )
    header = HEADER.removesuffix(",total_cost")
    values = ("2", "122", "besan", "05/03/2024", "4", '"(1,50)"', "2")
    sale = ",".join(value if '"' in value else f"{blank}{value}{blank}" for value in values)
    padded = sale.replace('"(1,50)"', f'"{blank}(1,50){blank}"')
    bench.check(text(header, padded), profile)
    [row] = bench.rows()
    assert (row["customer_id"], row["sales_date"], row["quantity"]) == ("2", "2024-03-05", "2")
    assert (row["price"], row["total_cost"]) == ("-1.50", "-3.00")


def test_a_control_character_is_no_blank(bench: Bench) -> None:
    """Risk: a day or a number is read out of a value that was damaged on its way."""
    profile = FileProfile(name="p", pattern="*", decimal_mark=",", date_format="%d/%m/%Y")
    sale = "2,122,besan,\x1f05/03/2024,4,52\x1f,\x1c2,104"
    bench.check(text(HEADER, sale), profile)
    assert bench.values() == [sale.split(",")]


def test_public_shape_with_capitals_mark_and_money(bench: Bench) -> None:
    """CustomerID headers, byte order mark, CRLF and quoted money, as public exports have them."""
    profile = FileProfile(
        name="p",
        pattern="*",
        thousands_mark=",",
        currency_signs=("$", "USD"),
        date_format="%m/%d/%Y %H:%M",
        aliases={"InvoiceDate": "sales_date", "Seller": "sales_person_id", "Amount": "total_cost"},
    )
    bench.check(
        "\ufeffCustomerID,StoreID,Product Name,InvoiceDate,Seller,UnitPrice,Quantity,Amount\r\n"
        '5,122,"Rug, red",12/1/2023 8:26,4,"$ 1,963.10",2,"3,926.20 USD"\r\n'
        '6,122,Rug,2/30/2023 8:26,4,"19,63.10",1,-$1963.10\r\n',
        profile,
    )

    assert bench.values() == [
        ["5", "122", "Rug, red", "2023-12-01", "4", "1963.10", "2", "3926.20"],
        ["6", "122", "Rug", "2/30/2023 8:26", "4", "19,63.10", "1", "-1963.10"],
    ]


def test_semicolons_with_decimal_commas(bench: Bench) -> None:
    """What most of Europe exports; a plain decimal point there has another meaning."""
    profile = FileProfile(
        name="p",
        pattern="*",
        delimiter=";",
        encoding="cp1252",
        decimal_mark=",",
        thousands_mark=".",
        currency_signs=("€",),
        date_format="%d.%m.%Y",
    )
    lines = (
        HEADER.replace(",", ";"),
        "2;122;Käse;05.03.2024;4;1.234,50 €;2;€ 2.469",
        "3;122;Brot;29.02.2023;4;1.5;1;1,5",
    )
    bench.check("\r\n".join(lines).encode("cp1252"), profile)

    assert bench.values()[0] == ["2", "122", "Käse", "2024-03-05", "4", "1234.50", "2", "2469"]
    assert (bench.rows()[1]["row_fault"], bench.rows()[1]["row_fault_detail"]) == (
        "dialect",
        "dialect: price '1.5' is not in the format of the file profile",
    )


def test_quotes_of_a_sender_that_never_quotes_are_text(bench: Bench) -> None:
    """Risk: an inch mark opens a value and swallows the sales behind it, or names lose letters."""
    profile = FileProfile(name="p", pattern="*", delimiter="\t", quote="")
    rows = ['2\t122\t"24\t2024-03-05\t4\t52\t2\t104', '2\t122\t32"\t2024-03-05\t4\t52\t2\t104']
    report = bench.check(text(HEADER.replace(",", "\t"), *rows), profile)
    assert (report.rows_read, report.rows_faulty) == (2, 0)
    assert bench.values() == [row.split("\t") for row in rows]


def test_a_thousand_does_not_begin_with_zero(bench: Bench) -> None:
    """Risk: half a kilo's price, 0.500, among amounts like 1.500,00 counts as five hundred."""
    profile = FileProfile(
        name="p",
        pattern="*",
        delimiter=";",
        decimal_mark=",",
        thousands_mark=".",
        currency_signs=("€",),
    )
    amounts = ("0.500", "€ 0.500", "012.500", "0,50", "1.500", "10.500,25")
    header = HEADER.replace(",", ";")
    rows = [f"2;122;rug;2024-03-05;4;1;1;{amount}" for amount in amounts]
    bench.check(text(header, *rows), profile)
    assert [row["row_fault"] for row in bench.rows()] == ["dialect", None, "dialect", *[None] * 3]
    assert [row["total_cost"] for row in bench.rows()] == [
        *(None, "€ 0.500", None),
        *("0.50", "1500", "10500.25"),
    ]


@pytest.mark.parametrize(
    ("marks", "pieces", "expected"),
    [
        ({"decimal_mark": ","}, "2,0", "2"),
        ({"decimal_mark": ",", "thousands_mark": "."}, "1.002,000", "1002"),
        ({"thousands_mark": ","}, "2.000", "2"),
        ({"decimal_mark": "."}, "-2.00", "-2"),
        ({"decimal_mark": ","}, "2,000", "2"),
        ({"currency_signs": ("$",)}, "2.0", "2"),
        ({"currency_signs": ("$",)}, "2.000", "2.000"),  # may be two thousand
        ({"decimal_mark": "."}, "2.50", "2.50"),
        ({}, "2.0", "2.0"),
    ],
)
def test_a_fraction_of_zeros_is_none_where_the_profile_tells_its_mark(
    bench: Bench, marks: dict[str, Any], pieces: str, expected: str
) -> None:
    """Risk: no row of a till that writes 2.0 pieces can be read; or 2.5 are cut to 2."""
    profile = FileProfile(name="p", pattern="*", delimiter=";", **marks)
    content = text(HEADER.replace(",", ";"), f"2,0;122;rug;2024-03-05;4;1;{pieces};1")
    report = bench.check(content, profile)
    assert bench.rows()[0]["quantity"] == expected
    other = bench.check(content, FileProfile(name="p", pattern="*", delimiter=";"))
    assert (report.content_sha256 != other.content_sha256) == (expected != pieces)


def test_thousands_by_lakh(bench: Bench) -> None:
    """India groups 12,34,567."""
    profile = FileProfile(name="p", pattern="*", thousands_mark=",", currency_signs=("₹",))
    bench.check(text(HEADER, '2,122,gold,2024-03-05,4,"₹12,34,567.50",1,"1,23,456"'), profile)

    assert bench.values()[0][5:] == ["1234567.50", "1", "123456"]


def test_year_day_month_never_passes_for_a_plain_date(bench: Bench) -> None:
    """2024-05-31 is no day of a sender who writes the day before the month."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%d-%m")
    bench.check(dated("2024-31-05", "2024-05-31"), profile)

    rows = bench.rows()
    assert rows[0]["sales_date"] == "2024-05-31"
    assert (rows[1]["row_fault"], rows[1]["row_fault_detail"]) == (
        "dialect",
        "dialect: sales_date '2024-05-31' is not in the format of the file profile",
    )


def test_a_value_of_another_form_is_told_of_its_own_row(bench: Bench) -> None:
    """Risk: below a row that is none, the good row before it is set aside in its place."""
    profile = FileProfile(name="p", pattern="*", date_format="%Y-%d-%m")
    bench.check(dated("2024-31-05,", "2024-31-05", "2024-05-31"), profile)
    assert [row["row_fault"] for row in bench.rows()] == ["column_count", None, "dialect"]


def test_constants_and_derived_columns_stand_in_for_missing_ones(bench: Bench) -> None:
    """A till that knows neither its store nor the total still sends sales."""
    profile = FileProfile(
        name="p",
        pattern=r"re:store_(?P<store>\d+)/.*",
        constants={"store_id": "{store}", "sales_person_id": "4"},
        derived={"total_cost": "price*quantity"},
    )
    report = bench.check(
        text(
            "customer_id,product_name,sales_date,price,quantity",
            "2,besan,2024-03-05,0.1,3",
            "3,besan,2024-03-05,1.0005,1",
            "4,besan,2024-03-05,free,1",
        ),
        profile,
        key="store_122/day.csv",
    )

    assert report.accepted
    assert [row[1:2] + row[4:5] + row[7:] for row in bench.values()] == [
        ["122", "4", "0.30"],
        ["122", "4", "1.00"],
        ["122", "4", ""],
    ]


def test_a_price_derived_from_the_total_is_rounded_half_up(bench: Bench) -> None:
    """Binary fractions would give another last digit; a quantity of zero gives no price."""
    profile = FileProfile(name="p", pattern="*", derived={"price": "total_cost/quantity"})
    header = HEADER.replace(",price", "")
    rows = ["1.00005,1", "1,8", "2,3", "5,0"]
    bench.check(
        text(header, *("2,122,x,2024-03-05,4,{1},{0}".format(*row.split(",")) for row in rows)),
        profile,
    )

    assert [row[5] for row in bench.values()] == ["1.0001", "0.1250", "0.6667", ""]


def test_a_derived_column_needs_its_operands(bench: Bench) -> None:
    """Without a quantity there is nothing to multiply."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"})
    code, message = bench.reason(text(HEADER.replace(",quantity,total_cost", ""), "x"), profile)

    assert code == "missing_column"
    assert message.startswith("missing column: quantity. ")


def test_a_column_in_the_file_is_not_replaced(bench: Bench) -> None:
    """A total that the sender sends is the sender's; the row rules compare it."""
    profile = FileProfile(
        name="p", pattern="*", constants={"store_id": "9"}, derived={"total_cost": "price*quantity"}
    )
    bench.check(text(HEADER, "2,122,besan,2024-03-05,4,52,2,100"), profile)

    assert bench.values() == [["2", "122", "besan", "2024-03-05", "4", "52", "2", "100"]]


def test_a_file_of_which_all_is_constant_but_the_number_of_its_lines(bench: Bench) -> None:
    """Risk: it ends every run."""
    values = dict(
        zip(COLUMNS, ["2", "122", "besan", "2024-03-05", "4", "52", "1", "52"], strict=True)
    )
    profile = FileProfile(name="p", pattern="*", constants=values)
    assert bench.check(text("till", "7", "8"), profile).accepted
    assert bench.values() == [list(values.values())] * 2


def test_dates_without_signs_need_all_their_digits(bench: Bench) -> None:
    """Risk: a spreadsheet drops the zero of 01112024, and November's sale counts in January."""
    profile = FileProfile(name="p", pattern="*", date_format="%d%m%Y")
    days = ("01112024", "1112024")
    bench.check(text(HEADER, *(BESAN.replace("2024-03-05", day) for day in days)), profile)
    assert [row["sales_date"] for row in bench.rows()] == ["2024-11-01", "1112024"]


@pytest.mark.parametrize(
    ("date_format", "day"),
    [
        ("%d%b%Y", "05MAR2024"),
        ("%m/%d/%Y %I:%M%p", "3/5/2024 2:30PM"),
        ("%Y%m%d%H%M%S%f", "20240305143000123"),
        ("%Y%m%d", "20240305"),
        ("%d.%m.%Y %H%M", "5.3.2024 0930"),
        ("%mY%d-%Y", "3Y5-2024"),
    ],
)
def test_only_numbers_without_signs_need_all_their_digits(
    bench: Bench, date_format: str, day: str
) -> None:
    """Risk: every row of a sender who writes 05MAR2024 is set aside."""
    profile = FileProfile(name="p", pattern="*", date_format=date_format)
    bench.check(text(HEADER, BESAN.replace("2024-03-05", day)), profile)
    assert bench.rows()[0]["sales_date"] == "2024-03-05"


def test_a_day_of_the_week_has_to_be_right(bench: Bench) -> None:
    """Risk: of two days in one value, which contradict each other, one is taken."""
    days = ("Tuesday, March 5, 2024", "Wednesday, March 5, 2024", "tuesday, march 05, 2024")
    profile = FileProfile(name="p", pattern="*", date_format="%A, %B %d, %Y")
    bench.check(dated(*(f'"{day}"' for day in days)), profile)
    assert [row["sales_date"] for row in bench.rows()] == ["2024-03-05", days[1], "2024-03-05"]


def test_operands_may_stand_between_blanks(bench: Bench) -> None:
    """Risk: every row of a file is told to have no total."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"})
    bench.check(text(HEADER.replace(",total_cost", ""), "2,122,besan,2024-03-05,4, 52 ,2"), profile)
    assert bench.rows()[0]["total_cost"] == "104.00"


def test_a_personal_value_of_another_form_is_not_told(bench: Bench) -> None:
    """Risk: the report beside a file shows what the rows beside it mask."""
    profile = FileProfile(name="p", pattern="*", delimiter=";", decimal_mark=",")
    report = bench.check(
        text(HEADER, BESAN.replace("2,122", "99887.0,122")).replace(",", ";"), profile
    )
    assert report.first_bad_rows[0].reason == (
        "dialect: customer_id '***' is not in the format of the file profile"
    )


@pytest.mark.parametrize("sign", ["(", ")", "($", " "])
def test_a_bracket_is_no_currency_sign(sign: str) -> None:
    """Risk: a profile makes sales of what is written as negative."""
    with pytest.raises(ValueError, match="contain a digit, plus, minus or bracket"):
        FileProfile(name="p", pattern="*", currency_signs=(sign,))


@pytest.mark.parametrize(
    ("marks", "price", "total"),
    [
        ({}, "15.000", "15.000 * 2"),
        ({"thousands_mark": ","}, "15.000", "30.00"),
        ({"decimal_mark": ","}, '"15,000"', "30.00"),
        ({}, "0.125", "0.25"),
        ({}, " 15.000 ", " 15.000  * 2"),
        ({}, "9" * 80, ""),
        ({"constants": {"price": "1.250"}}, None, "2.50"),
    ],
)
def test_an_amount_is_not_derived_from_what_may_be_thousands(
    bench: Bench, marks: dict[str, Any], price: str | None, total: str
) -> None:
    """Risk: fifteen thousand count as fifteen, and no rule sees it; or a number that is too long
    to reckon with ends every run."""
    profile = FileProfile(name="p", pattern="*", derived={"total_cost": "price*quantity"}, **marks)
    header = "customer_id,store_id,product_name,sales_date,sales_person_id,quantity"
    row = "2,122,rug,2024-03-05,4,2"
    if price is not None:
        header, row = f"{header},price", f"{row},{price}"
    bench.check(text(header, row), profile)
    assert bench.rows()[0]["total_cost"] == total


def test_formulas_of_texts_are_read_as_the_texts_and_others_stay(bench: Bench) -> None:
    """Risk: a guarded number is set aside, or something else than a formula loses its signs."""
    profile = FileProfile(name="p", pattern="*", formula_texts=True, date_format="%d/%m/%Y")
    content = text(
        f"{HEADER},till",
        '="007",="122",="rug",="31/01/2024",="4","=""5.00""",2,="10.00",="0042"',
        '=8,"=""9",ru="g","=""05/01/2024"" ",4,"=""5"".""00""",2,=10,=""',
        "9,122,rug,05/01/2024,4,5,2,10,1",
    )
    report = bench.check(content, profile)
    assert (report.rows_read, report.rows_faulty) == (3, 0)
    assert bench.values() == [
        ["007", "122", "rug", "2024-01-31", "4", "5.00", "2", "10.00"],
        ["=8", '="9', 'ru="g"', '="05/01/2024" ', "4", '="5"."00"', "2", "=10"],
        ["9", "122", "rug", "2024-01-05", "4", "5", "2", "10"],
    ]
    extras = [row["additional_column"] for row in bench.rows()]
    assert extras == ['{"till":"0042"}', '{"till":""}', '{"till":"1"}']


def test_letters_are_composed_where_a_profile_says_so(bench: Bench) -> None:
    """Risk: a till that writes a letter and its accent apart sells an unknown product; or a name
    is changed of which nobody has said so."""
    apart, whole, nukta = "cafe\u0301", "caf\u00e9", "\u0958lam"
    sales = [BESAN.replace("besan", name) for name in (apart, whole, nukta)]
    content = text(f"{HEADER},note", *(f"{sale},{apart}" for sale in sales))
    plain = bench.check(content)
    assert [row["product_name"] for row in bench.rows()] == [apart, whole, nukta]
    [hint] = plain.hints
    assert hint.split("\n")[0] == (
        "product_name: 1 of the first 3 values have letters apart from their accents (Unicode NFD),"
        " and so are other texts than they look like. If the same names are in one piece elsewhere,"
        " paste this file profile:"
    )
    [proposed] = tomllib.loads(hint[hint.index("[[profiles]]") :])["profiles"]
    report = bench.check(content, FileProfile(**proposed))
    assert [row["product_name"] for row in bench.rows()] == [whole, whole, "\u0915\u093clam"]
    assert {row["additional_column"] for row in bench.rows()} == {f'{{"note":"{whole}"}}'}
    assert report.hints == ()
    assert report.content_sha256 == plain.content_sha256, "it is the same day, sent again"


def test_without_its_profile_a_formula_is_no_value(bench: Bench) -> None:
    """Values are never guessed: they stay, for the row rules to set aside."""
    bench.check(text(HEADER, '="2",122,besan,2024-03-05,4,52,2,="104"'))
    assert bench.values()[0][0] == '="2"'
    assert bench.values()[0][-1] == '="104"'
