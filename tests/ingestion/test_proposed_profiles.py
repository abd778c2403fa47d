"""A proposed profile takes the files of its sender, of all days, and no others."""

from __future__ import annotations

import json
import re
import tomllib

import pytest

from ingestion.config.profiles import FileProfile, profile_for
from tests.reader_bench import BESAN, HEADER, Bench, text


def test_a_proposed_profile_takes_the_files_of_its_sender_alone(bench: Bench) -> None:
    """Risk: a profile that is pasted for one store reads the files of all others."""
    content = text(HEADER, BESAN).encode("utf-16")
    report = bench.check(content, None, "north/day_2024-03-05.csv")
    [pattern] = re.findall(r'pattern = "(.*)"', report.reasons[0].message)
    assert pattern == r"re:north/day_[0-9_.T:-]+\\.csv"
    assert re.fullmatch(json.loads(f'"{pattern}"').removeprefix("re:"), "north/day_2024-04-01.csv")

    for key in ("what?.csv", "*.csv", "[a].csv", "till (new/day_1.csv"):
        report = bench.check(content, None, key)
        message = report.reasons[0].message
        [proposed] = tomllib.loads(message[message.index("[[profiles]]") :])["profiles"]
        profiles = [FileProfile(**proposed)]
        assert profile_for(key, profiles) is not None
        for other in ("whats.csv", "b.csv", "a.csv"):
            assert profile_for(other, profiles) is None


def proposed_profile(bench: Bench, key: str) -> FileProfile:
    """What is proposed for a file of semicolons under this key."""
    report = bench.check(text(HEADER, BESAN).replace(",", ";"), None, key)
    message = report.reasons[0].message
    [proposed] = tomllib.loads(message[message.index("[[profiles]]") :])["profiles"]
    return FileProfile(**proposed)


@pytest.mark.parametrize(
    ("key", "others", "strangers"),
    [
        ("2024/03/05/till.csv", ["2024/3/6/till.csv", "2025/12/31/till.csv"], ["2024/till.csv"]),
        ("a/2024-03-05/till_7.csv", ["a/2025-12-31/till_8.csv"], ["b/2024-03-05/till_7.csv"]),
        ("20240305/a.csv", ["20251231/a.csv"], ["20251231/b.csv"]),
        ("y=2024/m=3/d=5/a.csv", ["y=2025/m=12/d=31/a.csv"], ["z=2025/m=12/d=31/a.csv"]),
        ("2024/03/a+b.csv", ["2025/12/a+b.csv"], ["2025/12/aab.csv"]),
        ("store_1/day.csv", [], ["store_2/day.csv"]),
        ("2001/day.csv", [], ["2002/day.csv"]),
        ("202455/day.csv", [], ["202456/day.csv"]),
    ],
)
def test_a_proposed_profile_takes_the_files_of_other_days(
    bench: Bench, key: str, others: list[str], strangers: list[str]
) -> None:
    """Risk: where each day has a folder of its own, the profile that was pasted reads that day
    alone; or it reads the files of other stores."""
    profile = proposed_profile(bench, key)
    assert [profile_for(other, [profile]) for other in (key, *others)] == [profile] * (
        1 + len(others)
    )
    assert [profile_for(stranger, [profile]) for stranger in strangers] == [None] * len(strangers)


def test_proposed_profiles_of_several_senders_have_several_names(bench: Bench) -> None:
    """Risk: the profiles that were proposed for two stores are pasted, and the next run ends, as
    both have one name."""
    keys = ("store_1/day_5.csv", "store_2/day_5.csv", "北/売上_5.csv", "南/売上_5.csv")
    names = [proposed_profile(bench, key).name for key in keys]
    assert names[:2] == ["store-1-day", "store-2-day"]
    assert len(set(names)) == len(keys)
    assert proposed_profile(bench, "store_1/day_6.csv").name == "store-1-day"
    assert proposed_profile(bench, "南/売上_6.csv").name == names[3]
    assert proposed_profile(bench, "till/2024/03/05/day.csv").name == "till-day"
