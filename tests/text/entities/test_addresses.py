from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.entities.addresses import find_places
from gateway.text.entities.context import Context
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor

WITH_ADDRESSES = Policy(DEFAULT.active | {Entity.ADDRESS})
CUSTOMER, AGENT = Role.CUSTOMER, Role.AGENT


def places(text: str, asked: str = "How can I help?") -> list[str]:
    redactor = Redactor(WITH_ADDRESSES)
    redactor.redact(asked, AGENT)
    done = redactor.redact(text, CUSTOMER)
    return [text[one.start : one.end] for one in done.hidden if one.entity is Entity.ADDRESS]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("I live at 1420 Maple Street, apartment 3B.", ["1420 Maple Street", "3B"]),
        ("Send it to 905 North Jefferson Ave. Thanks.", ["905 North Jefferson Ave"]),
        ("It's nineteen Old Mill Road, Hanover, Vermont.", ["nineteen Old Mill Road, Hanover, Vermont"]),
        ("Four fifteen 42nd Street Northwest in Austin", ["Four fifteen 42nd Street Northwest in Austin"]),
        ("It's 350 Fifth Avenue, suite 1200, New York, NY", ["350 Fifth Avenue", "1200, New York, NY"]),
        ("It's 51 Oak Street, fifth floor, Boston, Texas", ["51 Oak Street", "fifth floor, Boston, Texas"]),
        ("P.O. Box 771, Cedar Falls, Iowa, please.", ["P.O. Box 771, Cedar Falls, Iowa"]),
        ("post office box four five six", ["post office box four five six"]),
        ("1200 Highway 61 South", ["1200 Highway 61 South"]),
        ("We're at 1,450 Ocean Drive.", ["1,450 Ocean Drive"]),
        ("I live on Maple Street.", ["Maple Street"]),
        ("22 Elm Court, and my name is Bob.", ["22 Elm Court"]),
        ("My address is twelve oak street in springfield illinois", ["twelve oak street in springfield illinois"]),
    ],
)
def test_an_address_is_told_by_its_shape(text: str, found: list[str]) -> None:
    assert places(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "I waited 20 minutes on Main Street for 2 dogs.",
        "It was 5 March, at 10 Monday. Take Exit 5.",
        "I ordered 2 Green Valley shirts and 3 Apple TVs.",
        "We're open 24 hours at the store in Portland, Maine.",
        "My email address is 42 Smith.",
        "The 5 Star Hotel has 2 ways to pay.",
        "",
    ],
)
def test_other_talk_stays(text: str) -> None:
    assert places(text) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1500 Broadway.", ["1500 Broadway"]),
        ("one two three oak street", ["one two three oak street"]),
        ("Unit four C.", ["four C"]),
        ("Austin, Texas.", ["Austin, Texas"]),
        ("I moved to Denver in 2011.", []),
        ("My order number is 55.", []),
    ],
)
def test_an_answer_needs_less(text: str, found: list[str]) -> None:
    assert places(text, "What's your address?") == found


def test_the_request_is_for_a_postal_address() -> None:
    assert places("42 Smith.", "What's your e-mail address?") == []


def test_addresses_are_shown_where_the_policy_says_so() -> None:
    text = "I live on Maple Street."
    assert Redactor().redact(text, CUSTOMER).text == text


@pytest.mark.parametrize(
    "text",
    [
        "I live at 1420 Maple Street, apartment 3B.",
        "It's nineteen Old Mill Road, Hanover, Vermont.",
        "I live on Oak Lane.",
    ],
)
def test_no_beginning_of_a_text_shows_an_address(text: str) -> None:
    final = {token.word for token in tokenize(Redactor(WITH_ADDRESSES).redact(text, CUSTOMER).text)}
    for token in tokenize(text):
        shown = tokenize(Redactor(WITH_ADDRESSES).preview(text[: token.end], CUSTOMER))
        assert {one.word for one in shown} <= final, text[: token.end]


PARTS = [
    "12",
    "four",
    "Oak",
    "oak",
    "Street",
    "Road",
    ",",
    ".",
    "in",
    "Austin",
    "Texas",
    "TX",
    "apt",
    "3B",
    "North",
    "PO box",
    "I",
]


@given(st.lists(st.sampled_from(PARTS), max_size=16), st.booleans())
def test_spans_lie_in_order_inside_the_text(words: list[str], unfinished: bool) -> None:
    for text in (" ".join(words), "".join(words)):
        tokens = tokenize(text)
        context = Context(CUSTOMER, unfinished=unfinished)
        at = 0
        for one in find_places(text, tokens, elements(text, tokens), context):
            assert at <= one.start < one.end <= len(text)
            at = one.end
