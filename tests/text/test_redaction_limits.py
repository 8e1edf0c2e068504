"""Redaction takes any text, in linear time, and remembers little: it stands between a recognizer and all readers."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.digits.numbers import Element, elements, tokenize
from gateway.text.entities.context import Context, Topic
from gateway.text.entities.finders import FINDERS
from gateway.text.entities.mentions import find_mentions
from gateway.text.memory import REMEMBERED, Said
from gateway.text.pieces import LONGEST, MOST_PIECES
from gateway.text.policy import Entity, Policy
from gateway.text.redacted import Hidden
from gateway.text.redaction import Redactor

ALL = Policy(frozenset(Entity))
MOST = 40_000
# What rules look for, over and over: a rule that looks from each of them to the text's end is quadratic.
REPEATED = (
    "my password is ", "what is your password? ", "that's my password ", "use a b c as ", "my PIN ", "4", "four ",
    "dot at dot ", "a at b dot ", "a.", "a'", "_", "@", "-", ", ", " ", "$4.", "two hundred and ", "12 Elm Street ",
    "my name is John ", "born on the 12th of July ", "first and ", "Aa ", "A", "seventy", "P.O. box 1 ", "apartment 4 ",
    "\t\n", "I live on Aa ", "what the ", "f**", "O'", "Ann-", "july 1 ",
)  # fmt: skip
words = st.sampled_from([*REPEATED, "hello ", "no ", "it's ", "?", ". ", "é", "\u0663", "\ud800", "\n"])


def redact(text: str) -> Redactor:
    redactor = Redactor(ALL)
    redactor.redact("What's your password? And your date of birth, address and card number?", Role.AGENT)
    redactor.redact(text, Role.CUSTOMER)
    return redactor


def least(rounds: int, action: Callable[[], object]) -> float:
    """Seconds of processor time, the least of some rounds."""
    taken = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        taken.append(time.process_time() - start)
    return min(taken)


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.text(max_size=MOST), st.lists(words, max_size=1500).map("".join)), st.booleans())
def test_any_text_is_redacted(text: str, spoken: bool) -> None:
    redactor = redact(text[:MOST])
    redactor.preview(text[:MOST], Role.CUSTOMER if spoken else Role.AGENT)


@pytest.mark.parametrize("asked", ["", "Your password, name, address and date of birth?"])
@pytest.mark.parametrize("unit", REPEATED)
def test_the_time_is_linear(unit: str, asked: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four; in one piece, and in many."""

    def taken(size: int, rounds: int, *, preview: bool) -> float:
        text = (unit * (size // len(unit) + 1))[:size]

        def act() -> None:
            redactor = Redactor(ALL)
            redactor.redact(asked, Role.AGENT)
            (redactor.preview if preview else redactor.redact)(text, Role.CUSTOMER)

        return least(rounds, act)

    for preview in (False, True):
        assert taken(LONGEST, 2, preview=preview) < 24 * taken(LONGEST // 8, 4, preview=preview) + 0.01
    assert taken(6 * LONGEST, 2, preview=False) < 24 * taken(LONGEST, 3, preview=False) + 0.01


@pytest.mark.parametrize("entity", FINDERS)
@given(st.lists(words, min_size=1, max_size=4).map("".join))
@settings(max_examples=15, deadline=None)
def test_every_finder_takes_what_is_said_over_and_over(entity: Entity, unit: str) -> None:
    def taken(size: int, rounds: int, *, unfinished: bool) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        tokens = tokenize(text)
        numbers = elements(text, tokens)
        topics = {one: Topic(Role.CUSTOMER, 1) for one in Entity}
        known = Context(Role.CUSTOMER, find_mentions(text), topics, (("blue", "horse"),), ("john",), unfinished)
        return least(rounds, lambda: FINDERS[entity](text, tokens, numbers, known))

    for unfinished in (False, True):
        long = taken(LONGEST, 1, unfinished=unfinished)
        assert long < 32 * taken(LONGEST // 8, 3, unfinished=unfinished) + 0.02


def test_a_secret_over_the_border_of_two_pieces_is_hidden() -> None:
    talk = "so I told him that it rained "
    for pad in range(40):
        said = (talk * LONGEST)[: LONGEST - 20 + pad] + " my PIN is four one one seven thanks. " + talk * 200
        text = Redactor().redact(said, Role.CUSTOMER).text
        assert not {"four", "seven"} & set(text.split()), pad
        assert text.count("#") == 4
        assert text.endswith(talk)


def test_what_is_longer_than_the_pieces_is_masked() -> None:
    said = "hello there " * LONGEST * MOST_PIECES
    redactor = Redactor()
    for text in (redactor.redact(said, Role.CUSTOMER).text, redactor.preview(said, Role.CUSTOMER)):
        assert len(text) == len(said)
        assert text.startswith("hello there")
        assert text.endswith("##### ##### ")


def test_a_long_text_is_revised_whole() -> None:
    talk = "so I told him that it rained all day. "
    redactor = Redactor()
    before = redactor.redact("hello", Role.AGENT)
    long = redactor.redact(talk * 200 + "It is 4 1", Role.CUSTOMER)
    assert long.text.endswith("It is 4 1")

    named = redactor.redact("1 7 is my PIN.", Role.CUSTOMER)
    assert before.utterance < long.utterance < named.utterance
    (revised,) = named.revised
    assert revised.utterance == long.utterance
    assert revised.text == talk * 200 + "It is ##"


def test_ten_thousand_utterances_are_not_remembered() -> None:
    said = [
        "My password is blue horse {0}.", "It's {0} {0} 41, and the card 4111 {0}", "My name is Ann {0}",
        "What was it?",
        "I live at {0} Elm Street", "no, sorry",
    ]  # fmt: skip

    def kept() -> tuple[int, int]:
        """Utterances, and what was read in them, of all redactors of this process."""
        gc.collect()
        found = [one for one in gc.get_objects() if isinstance(one, Said | Element | Hidden)]
        return sum(isinstance(one, Said) for one in found), len(found)

    # Other tests of this process have left theirs.
    said_before, all_before = kept()
    redactor = Redactor(ALL)
    for number in range(10_000):
        role = Role.AGENT if number % 3 else Role.CUSTOMER
        redactor.redact(said[number % len(said)].format(number), role)
    said_after, all_after = kept()
    assert 0 < said_after - said_before <= REMEMBERED
    assert all_after - all_before < 20 * REMEMBERED
