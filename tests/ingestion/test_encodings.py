"""Bytes that are not UTF-8 bring the texts that they may be, and a profile that reads them."""

from __future__ import annotations

import tomllib

import pytest

from ingestion.config.profiles import FileProfile
from ingestion.reader.encodings import ENCODINGS, readings
from tests.reader_bench import BESAN, HEADER, Bench, text


@pytest.mark.parametrize(
    ("written", "encoding"),
    [
        ("L\u2019eau \u2013 œuf «x» 5² ½ ® €", "cp1252"),
        ("Käse", "cp850"),
        ("Crème brûlée", "mac_roman"),
        ("Żółć", "cp852"),
        ("Чай", "cp866"),
        ("Żółć, Łosoś", "cp1250"),
        ("Чай чёрный", "cp1251"),
        ("Τσάι", "cp1253"),
        ("Şeftali, Ağaç", "cp1254"),
        ("תה", "cp1255"),
        ("شاي", "cp1256"),
        ("Šaldi", "cp1257"),
        ("ชา", "cp874"),
        ("緑茶, ソース, ﾍﾞｻﾝ, Tシャツ, USBメモリ", "cp932"),
        ("绿茶", "gb18030"),
        ("綠茶", "big5"),
        ("녹차", "cp949"),
    ],
)
def test_the_right_text_is_among_those_that_bytes_may_be(written: str, encoding: str) -> None:
    """Risk: the one encoding in which a sender's products are right is not told."""
    found = readings(written.encode(encoding))
    assert found[encoding] == written
    assert len(set(found.values())) == len(found)


@pytest.mark.parametrize("size", [4095, 4096, 100_000])
def test_a_long_sample_may_be_cut_within_a_letter(size: int) -> None:
    """Risk: half a letter speaks against the right encoding; or a long header takes minutes."""
    found = readings("ソース".encode("cp932") * size)
    assert found["cp932"].startswith("ソースソース")
    assert len(found["cp932"]) <= 4096


def test_a_long_name_is_not_cut_within_a_letter(bench: Bench) -> None:
    """Risk: half a letter of a product's name speaks against the right encoding."""
    name = "a" + "ソース" * 20
    content = text(HEADER, BESAN.replace("besan", name)).encode("cp932")
    [hint] = bench.check(content).hints
    assert f"'{name[:59]}…' in cp932 (Windows, Japanese)" in hint


def test_what_nobody_writes_is_left_out() -> None:
    """Risk: the right text is lost among ten others."""
    assert readings("Käse, Öl, Brötchen".encode("cp1252")) == {"cp1252": "Käse, Öl, Brötchen"}
    assert "cp932" not in readings("Käse".encode("cp1252")), "K舐e"
    assert "mac_roman" not in readings("Käse".encode("cp850")), "KÑse"
    assert readings("Żółć, Łosoś".encode("cp1250")) == {"cp1250": "Żółć, Łosoś"}
    assert readings(b"a\xb0b\xb1") == {}
    assert next(iter(ENCODINGS)) == "cp1252"


def test_rows_of_another_code_page_bring_their_readings(bench: Bench) -> None:
    """Risk: Turkish products load as Þeftali, as the profile that was proposed says so."""
    names = ("Şeftali", "Ağaç", "Şeftali", "Çay", "Ayşe")
    rows = [BESAN.replace("besan", name) for name in names]
    [hint] = bench.check(text(HEADER, *rows).encode("cp1254")).hints
    assert hint.split("\n")[0] == (
        "5 of 5 rows have bytes that are not UTF-8. They may be 'Þeftali, Aðaç, Çay' in cp1252"
        " (Windows, Western Europe), 'Ţeftali, Ađaç, Çay' in cp1250 (Windows, Central Europe),"
        " 'Şeftali, Ağaç, Çay' in cp1254 (Windows, Turkish) or 'Žeftali, Ašaē, Ēay' in cp1257"
        " (Windows, Baltic). Paste this file profile with the encoding in which they are right:"
    )


def test_wrong_bytes_of_an_extra_column_may_be_personal_and_are_not_shown(bench: Bench) -> None:
    """Risk: the message about a file's encoding names its customers."""
    content = text(f"{HEADER},full_name", f"{BESAN},Ayşe Çağ").encode("cp1254")
    [hint] = bench.check(content).hints
    assert hint.split("\n")[0] == (
        "1 of 1 rows have bytes that are not UTF-8. The most likely encoding of such files is"
        " cp1252 (Windows, Western Europe); ask the sender, and if so paste this file profile:"
    )


def test_a_header_of_another_encoding_brings_the_profile_that_reads_it(bench: Bench) -> None:
    """Risk: a till whose headers have umlauts is told to get a profile, and not which."""
    content = text(HEADER.replace("sales_person_id", "Verkäufer"), BESAN).replace(",", ";")
    code, message = bench.reason(content.encode("cp1252"))
    assert code == "encoding"
    words, _, proposal = message.partition("\n")
    assert words == (
        "encoding: the header in line 1 has a byte that is not a character. Expected: utf-8. Found:"
        " 'customer_id;store_id;product_name;sales_date;Verk\\xe4ufer;price;quantity;total_cost'."
        " It may be 'Verkäufer' in cp1252 (Windows, Western Europe), 'Verkõufer' in cp850 (DOS) or"
        " 'Verkńufer' in cp852 (DOS, Central Europe). Send the file as UTF-8, or with the encoding"
        " in which the header is right, paste this file profile into pipeline.toml:"
    )
    [proposed] = tomllib.loads(proposal)["profiles"]
    assert (proposed["encoding"], proposed["delimiter"]) == ("cp1252", ";")
    profile = FileProfile(**proposed, aliases={"Verkäufer": "sales_person_id"})
    assert bench.check(content.encode("cp1252"), profile).accepted


def test_a_header_that_its_profile_reads_wrongly_is_told_of_that_profile(bench: Bench) -> None:
    """Risk: the proposed profile comes behind the one that is there, and is never used."""
    content = text(HEADER.replace("sales_person_id", "Verkäufer"), BESAN).encode("cp850")
    _, message = bench.reason(content, FileProfile(name="north", pattern="*", skip_lines=0))
    assert message.endswith(
        "It may be 'Verkäufer' in cp850 (DOS). Send the file as UTF-8, or with the encoding in"
        " which the header is right, set in the file profile north, or in a copy placed above it"
        ' with a pattern for such files:\nencoding = "cp850"'
    )
    _, message = bench.reason(content, FileProfile(name="north", pattern="*", encoding="ascii"))
    assert message.endswith("'. Correct the encoding of the file profile north.")
