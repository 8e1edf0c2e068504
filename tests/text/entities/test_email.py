from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.entities.email import begins_with_domain, find_addresses, local_at_end
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redacted import Hidden
from gateway.text.redaction import Redactor

WITH_EMAIL = Policy(DEFAULT.active | {Entity.EMAIL})


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
        "ann at north dash wind dash supply dot example",
        "a n n at a c m e dot com",
        "ann lee, at, example, dot, com",
        "ann at sign example dot com",
        "ann at the rate gmail dot com",
        "a, n, n, dot, w, at gmail, dot, com",
        "k. lopez at big river supply dot net",
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
        "Meet us at the store next to dot com street",
        "I looked at eight, at nine, at ten.",
    ],
)
def test_other_talk_is_no_address(text: str) -> None:
    assert [address for address in found(text) if "." in address or " dot " in address] == []


def test_several_addresses_are_told_apart() -> None:
    assert found("ann@example.com or bob@example.org") == ["ann@example.com", "bob@example.org"]


def shown(*said: str, asked: str = "What's your email?") -> list[str]:
    """What is shown at last of texts that the customer says one after the other."""
    redactor = Redactor(WITH_EMAIL)
    redactor.redact(asked, Role.AGENT)
    texts = []
    for text in said:
        done = redactor.redact(text, Role.CUSTOMER)
        texts.append(done.text)
        for revised in done.revised:
            texts[revised.utterance - 1] = revised.text
    return texts


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("jane underscore doe", "#### ########## ###"),
        ("Sure. It's jane doe 42.", "Sure. It's #### ### ##."),
        ("It's j, a, n, e.", "It's ## ## ## #."),
        ("Yes, it's bob dot lee, please.", "Yes, it's ### ### ###, please."),
        ("I don't have one.", "I don't have one."),
        ("It's on the account.", "It's on the account."),
        ("Jane.", "Jane."),
    ],
)
def test_an_answer_needs_no_second_part(said: str, left: str) -> None:
    assert shown(said) == [left]
    assert shown(said, asked="How are you?") == [said]


def test_a_first_part_that_is_told_needs_no_second() -> None:
    assert shown("My email is jane dot doe.", asked="Hello.") == ["My email is #### ### ###."]
    assert shown("My email is broken.", asked="Hello.") == ["My email is broken."]


def test_the_second_part_hides_the_first_that_was_shown() -> None:
    assert shown("My email is jane doe", "at outlook dot com", asked="Hello.") == [
        "My email is #### ###",
        "## ####### ### ###",
    ]
    assert shown("It's Jane.", "Doe.", "At example.com.") == ["It's ####.", "###.", "## ###########."]


def test_a_second_part_alone_is_told_by_a_request_or_its_provider() -> None:
    assert shown("It was Tuesday.", "At amazon dot com.", asked="Where?") == ["It was Tuesday.", "At amazon dot com."]
    assert shown("Mary Jones.", "At gmail dot com.", asked="Where?") == ["#### #####.", "## ##### ### ###."]
    assert shown("I think so, yes.", "At gmail dot com.")[0] == "I think so, yes."


def test_halves() -> None:
    text = "so jane doe"
    tokens = tokenize(text)
    assert local_at_end(text, tokens, []) == (3, 11)
    assert local_at_end("", [], []) is None
    text = "at example dot com"
    tokens = tokenize(text)
    assert begins_with_domain(text, tokens, [Hidden(0, len(text), Entity.EMAIL)])
    assert not begins_with_domain(text, tokens, [])


PARTS = ["ann", "bob", "at", "dot", "com", "example", ".", "@", "-", "_", ",", "7", "is", "gmail", "um", "a"]


@given(st.lists(st.sampled_from(PARTS), max_size=20))
def test_spans_lie_in_order_inside_the_text(words: list[str]) -> None:
    for text in (" ".join(words), "".join(words)):
        tokens = tokenize(text)
        at = 0
        for start, end in find_addresses(text, tokens, elements(text, tokens)):
            assert at <= start < end <= len(text)
            at = end
