from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.numbers import tokenize
from gateway.text.entities.context import Context
from gateway.text.entities.profanity import find_profanity
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor


def found(text: str, *, unfinished: bool = False) -> list[str]:
    spans = find_profanity(text, tokenize(text), [], Context(Role.CUSTOMER, unfinished=unfinished))
    return [text[one.start : one.end] for one in spans]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Well, damn, that's some bullshit.", ["damn", "bullshit"]),
        ("Goddammit, it's shitty.", ["Goddammit", "shitty"]),
        ("What the hell is this crap?", ["hell", "crap"]),
        ("Get the hell out of here.", ["hell"]),
        ("That is bull****, f*** it.", ["bull****", "f***"]),
        ("He is a dick.", ["dick"]),
        ("The jackass's car", ["jackass's"]),
    ],
)
def test_words_are_found_whole_and_inflected(text: str, words: list[str]) -> None:
    assert found(text) == words


@pytest.mark.parametrize(
    "text",
    [
        "The class in Scunthorpe was about Hancock, the cockpit and Dickens.",
        "An escort took the pot to Essex; assess the analysis of the document.",
        "Kung fu, and Moby Dick. She graduated summa cum laude.",
        "My sex is female.",
        "I'm with Dick Fuller.",
        "2**3 and 5 ** 4",
        "Hell, Michigan",
        "",
    ],
)
def test_other_words_stay(text: str) -> None:
    assert found(text) == []


def test_an_unfinished_text_hides_what_the_next_word_makes_an_oath() -> None:
    assert found("get the hell", unfinished=True) == ["hell"]
    assert found("get the hell") == []


def test_it_is_hidden_where_the_policy_says_so() -> None:
    text = "The damn thing broke."
    assert Redactor().redact(text, Role.CUSTOMER).text == text
    policy = Policy(DEFAULT.active | {Entity.PROFANITY})
    assert Redactor(policy).redact(text, Role.CUSTOMER).text == "The #### thing broke."
    assert Redactor(policy).preview("The damn", Role.CUSTOMER) == "The ####"
