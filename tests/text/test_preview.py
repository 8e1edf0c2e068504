"""Nothing of a text that stops anywhere may be shown that the whole text hides."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import NUMBER_WORDS, tokenize
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


@pytest.mark.parametrize(
    "text",
    [
        "my password is blue horse seven",
        "The password's Rosebud22, with a capital R.",
        "I changed it, so the password is r, o, s, e, two",
    ],
)
def test_no_beginning_of_a_password_is_shown(text: str) -> None:
    final = {token.word for token in tokenize(Redactor().redact(text, CUSTOMER).text)}
    for prefix in prefixes(text):
        shown = {token.word for token in tokenize(Redactor().preview(prefix, CUSTOMER))}
        assert shown <= final, prefix


def test_an_answer_that_may_become_a_password_is_hidden() -> None:
    redactor = Redactor()
    redactor.redact("What's your password?", Role.AGENT)
    assert redactor.preview("sure, it's blue", CUSTOMER) == "sure, it's ####"
    assert redactor.preview("blue", CUSTOMER) == "####"
    assert redactor.preview("thanks", Role.AGENT) == "thanks"


EVERYTHING = Policy(frozenset(Entity))
SAID = st.sampled_from(
    [
        *("my", "your", "that's", "password", "pin", "is", "was", "born", "in", "it's", "what's", "and", "zip", "code"),
        *(
            "blue",
            "horse",
            "ann",
            "at",
            "example",
            "dot",
            "com",
            "four",
            "1",
            "2019",
            "dollars",
            "march",
            "oh",
            ",",
            ".",
        ),
    ]
)


@given(st.lists(SAID, max_size=3), st.lists(SAID, max_size=8))
def test_a_preview_of_the_whole_text_never_shows_more_than_the_final(before: list[str], said: list[str]) -> None:
    redactor = Redactor(EVERYTHING)
    redactor.redact(" ".join(before), Role.AGENT)
    text = " ".join(said)
    preview = redactor.preview(text, CUSTOMER)
    final = redactor.redact(text, CUSTOMER).text
    assert _words(preview) <= _words(final)


def _words(text: str) -> Counter[str]:
    return Counter(token.word for token in tokenize(text))


def test_after_a_password_was_told_turns_are_shown_again() -> None:
    redactor = Redactor(EVERYTHING)
    redactor.redact("What's your password?", Role.AGENT)
    assert redactor.redact("It's blue horse.", CUSTOMER).text == "It's #### #####."
    redactor.redact("Thanks, I have that.", Role.AGENT)
    assert redactor.preview("my router broke down last", CUSTOMER) == "my router broke down last"
    assert redactor.preview("no, it's green", CUSTOMER) == "no, it's #####"
    assert redactor.preview("g r e", CUSTOMER) == "# # #"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        # The recognizer may still write "street".
        ("I live at 12 maple streets.", "I live at ## ##### #######."),
        ("my address is twelve oak tree", "my address is ## ### ####"),
        ("I live at 12 maple, so please hurry", "I live at ## #####, so please hurry"),
        # Without a cue only what the final text would hide.
        ("it weighs 12 something", "it weighs ## something"),
    ],
)
def test_words_behind_a_house_number_are_hidden_where_an_address_is_told(text: str, shown: str) -> None:
    assert Redactor(EVERYTHING).preview(text, CUSTOMER) == shown
