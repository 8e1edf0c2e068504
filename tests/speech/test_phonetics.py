"""Keys of words: what sounds alike is near, what does not is far."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from gateway.speech.phonetics import key, spoken


def apart(one: str, other: str) -> float:
    return float(Levenshtein.normalized_distance(key(one), key(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Brixwell", "bricks well"),
        ("knight", "night"),
        ("phone", "fone"),
        ("Wright", "right"),
        ("Quinn", "kwin"),
        ("Xantheon", "zan theon"),
        ("table", "tabul"),
        ("George", "Jeorj"),
        ("Müller", "Muller"),
        ("Łódź", "Lodz"),
        ("4", "for"),
    ],
)
def test_what_sounds_the_same_has_one_key(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("phrase", "like", "unlike"),
    [
        ("Fennimore", "Fennemore", "furthermore"),
        ("Seagate", "see cate", "relegate"),
        ("Helixor", "helixer", "vaccinate"),
        ("Baxendale", "Paxandale", "accidental"),
    ],
)
def test_what_sounds_alike_is_nearer(phrase: str, like: str, unlike: str) -> None:
    assert apart(phrase, like) < 0.2 < 0.35 < apart(phrase, unlike)


def test_a_like_sound_costs_half_of_another_one() -> None:
    assert Levenshtein.distance(key("bat"), key("pat")) == 1
    assert Levenshtein.distance(key("bat"), key("sat")) == 2


def test_capitals_are_letters_too() -> None:
    assert spoken("IEEE") == (key("IEEE"), "aiiii")
    assert spoken("ATM") == (key("ATM"), key("ATM", letters=True))
    assert key("ATM", letters=True) == "e" + key("T") + key("M")
    assert spoken("Atm") == (key("atm"),)
    # Too long to be spelled out.
    assert spoken("BROADBAND") == (key("broadband"),)


@pytest.mark.parametrize("text", ["", "…", "漢字", "♪ ?"])
def test_what_has_no_sounds_has_no_key(text: str) -> None:
    assert key(text) == ""
    assert spoken(text) == ()


@given(st.text(max_size=60))
def test_any_text_has_a_key(text: str) -> None:
    assert key(text).isascii()
    assert key(text) == key(text)


@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), max_size=5))
def test_the_key_of_words_is_that_of_each(words: list[str]) -> None:
    assert key(" ".join(words)) == "".join(map(key, words))
