"""Names of partitions: there is one way to write a key, and none leads anywhere else."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.export.formats import FORMATS
from gateway.export.partitions import Day, Place, bare, parse, parse_date, parse_hour
from gateway.export.rows import FEEDS

DAY = Day("01ACC", "utterances", "jsonl", date(2026, 3, 2))


def test_the_documented_layout() -> None:
    key = DAY.key(4, "utterances.jsonl")
    assert key == "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl"
    assert DAY.success == "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/_SUCCESS"


@given(
    feed=st.sampled_from(sorted(FEEDS)),
    form=st.sampled_from(FORMATS),
    day=st.dates(min_value=date(1000, 1, 1)),
    hour=st.integers(0, 23),
    name=st.sampled_from(["", ".gz"]),
)
def test_keys_are_read_back(feed: str, form: str, day: date, hour: int, name: str) -> None:
    page = Day("01ACC", feed, form, day)
    for key in (page.key(hour, f"{feed}.{form}{name}"), page.key(hour, "_SUCCESS"), page.success):
        place = parse(key)
        assert place is not None
        assert place.key == key
        assert place.day == page
    assert parse(page.success) == Place(page, None, "_SUCCESS")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/etc/passwd",
        "../utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl",
        "01ACC/../version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/../../secret",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/..",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/../utterances.jsonl",
        "01ACC/utterances/version=2/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/jsonl/dt=2026-03-02/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/2026-03-02/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-3-2/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-02-30/hr=04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=24/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/04/utterances.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.csv",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/staging_utterance_state.jsonl",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/utterances.jsonl",
        "01ACC/autosummary_feedback/version=1/format=jsonl/dt=2026-03-02/_SUCCESS",
        "01ACC//utterances/version=1/format=jsonl/dt=2026-03-02/_SUCCESS",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/_SUCCESS/",
        "01ACC/utterances/version=1/format=jsonl/dt=2026-03-02/hr=04/utterances.jsonl\n",
    ],
)
def test_what_no_builder_writes_is_no_key(key: str) -> None:
    assert parse(key) is None


@given(text=st.text(st.sampled_from("01AC/.=_utterances-jsonldthr version\\%\x00"), max_size=90))
def test_whatever_is_a_key_stays_below_its_folder(text: str) -> None:
    place = parse(text)
    if place is not None:
        assert place.key == text
        assert ".." not in text.split("/")


def test_both_spellings() -> None:
    assert bare("version", "version=1") == bare("version", "1") == "1"
    assert parse_date("dt=2026-03-02") == parse_date("2026-03-02") == date(2026, 3, 2)
    assert parse_hour("hr=23") == parse_hour("23") == 23


@pytest.mark.parametrize(
    "text", ["", "2026", "20260302", "2026-13-01", "dt=dt=2026-03-02", "２０２６-03-02", "2026-W10-1"]
)
def test_no_dates(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize("text", ["", "24", "7", "hr=07/mi=00", "+7", "٠٧"])
def test_no_hours(text: str) -> None:
    assert parse_hour(text) is None
