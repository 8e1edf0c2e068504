"""Nothing of a text that stops anywhere may be shown that the whole text hides."""

from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.numbers import NUMBER_WORDS, tokenize
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor
from tests.text.labelled import ADDRESSES, SENTENCES

HIDDEN = [text for text, expected in SENTENCES if expected != "=" and "@" not in text]
CUSTOMER = Role.CUSTOMER
WITH_EMAIL = Policy(DEFAULT.active | {Entity.EMAIL})


def prefixes(text: str) -> list[str]:
    """What a listener has heard after each word, and after each chunk of written digits."""
    return [text[: token.end] for token in tokenize(text)]


@pytest.mark.parametrize("text", HIDDEN)
def test_no_beginning_of_a_hidden_text_shows_a_digit(text: str) -> None:
    redactor = Redactor()
    for prefix in prefixes(text):
        shown = redactor.preview(prefix, CUSTOMER)
        assert not any(character.isdigit() for character in shown), (prefix, shown)
        assert not {token.word for token in tokenize(shown)} & NUMBER_WORDS, (prefix, shown)


@pytest.mark.parametrize("text", [text for text, expected in SENTENCES + ADDRESSES if expected != "="])
def test_what_the_whole_text_hides_its_preview_hides(text: str) -> None:
    final = tokenize(Redactor(WITH_EMAIL).redact(text, CUSTOMER).text)
    shown = tokenize(Redactor(WITH_EMAIL).preview(text, CUSTOMER))
    assert {token.word for token in shown} <= {token.word for token in final}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        # The number came first, and only later is it said to be a secret.
        ("4 1", "##"),
        ("4 1 is my", "## is my"),
        ("a hundred and", "a # and"),
        ("double", "#"),
        ("the code is oh", "the code is #"),
        ("seven four for", "## #"),
        ("one six eight by", "### #"),
        ("three nine eight seven ball", "#### #"),
        ("four two and um", "## and um"),
        # Numbers wait for the final text, harmless ones as well.
        ("I have two dogs", "I have # dogs"),
        ("the 22nd", "the ##nd"),
        ("it was x²", "it was x#"),
        # What is no number stays.
        ("one of them said oh I see", "one of them said oh I see"),
        ("a double espresso for me", "a double espresso for me"),
        ("We arrived at home", "We arrived at home"),
        ("", ""),
    ],
)
def test_what_stays_and_what_goes(text: str, shown: str) -> None:
    assert Redactor(WITH_EMAIL).preview(text, CUSTOMER) == shown


@pytest.mark.parametrize(
    "text", ["my email is mary", "my email is mary at", "my e-mail is mary at example", "email mary at example dot"]
)
def test_an_address_that_is_announced_is_hidden_from_its_beginning(text: str) -> None:
    shown = Redactor(WITH_EMAIL).preview(text, CUSTOMER)
    assert "mary" not in shown
    assert "mail" in shown


@pytest.mark.parametrize("text", ["john dot", "john dot smith", "john dot smith at", "john dot smith at example dot"])
def test_a_spoken_dot_hides_what_it_joins(text: str) -> None:
    shown = Redactor(WITH_EMAIL).preview(text, CUSTOMER)
    assert "smith" not in shown
    assert "john" not in shown or text == "john dot"


def test_numbers_in_an_address_are_hidden_by_their_digits() -> None:
    text = "kim one twenty three at example dot com"
    assert Redactor(WITH_EMAIL).preview(text, CUSTOMER) == Redactor(WITH_EMAIL).redact(text, CUSTOMER).text
