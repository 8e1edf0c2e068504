from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.text.email import find_addresses
from gateway.text.numbers import elements, tokenize


def found(text: str) -> list[str]:
    tokens = tokenize(text)
    return [text[start:end] for start, end in find_addresses(text, tokens, elements(text, tokens))]


@pytest.mark.parametrize(
    "address",
    [
        "ann@example.com",
        "ann.lee+shop@mail.example.co.uk",
        "o'brien@example.org",
        "a_b-c@my-host.example",
        "42ann7@example.com",
        "ann at example dot com",
        "Ann Dot Lee at example.com",
        "ann underscore lee at example dot co dot uk",
        "a n n at example dot net",
        "ann seven seven at gmail dot com",
        "ann at gmail",
        "ann dot lee@example.com",
        "ann at big company dot com",
    ],
)
def test_addresses_are_found_whole(address: str) -> None:
    assert found(f"My email is {address}, thanks.") == [address]


@pytest.mark.parametrize(
    "text",
    [
        "look at example.com",
        "meet me at the dot on the map",
        "We were at home. In the evening we left.",
        "I work at amazon dot com",
        "@ home",
        "at",
        "ann@",
        "the price @ five",
    ],
)
def test_other_talk_is_no_address(text: str) -> None:
    assert [address for address in found(text) if "." in address or " dot " in address] == []


def test_several_addresses_are_told_apart() -> None:
    assert found("ann@example.com or bob@example.org") == ["ann@example.com", "bob@example.org"]


PARTS = ["ann", "bob", "at", "dot", "com", "example", ".", "@", "-", "_", ",", "7", "is", "gmail", "um", "a"]


@given(st.lists(st.sampled_from(PARTS), max_size=20))
def test_spans_lie_in_order_inside_the_text(words: list[str]) -> None:
    for text in (" ".join(words), "".join(words)):
        tokens = tokenize(text)
        at = 0
        for start, end in find_addresses(text, tokens, elements(text, tokens)):
            assert at <= start < end <= len(text)
            at = end
