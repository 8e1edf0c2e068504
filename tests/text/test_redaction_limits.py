"""Redaction takes any text, in linear time, and remembers little: it stands between a recognizer and all readers."""

from __future__ import annotations

import gc
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.participants import Role
from gateway.text.memory import REMEMBERED, Said
from gateway.text.numbers import Element
from gateway.text.policy import Entity, Policy
from gateway.text.redacted import Hidden
from gateway.text.redaction import Redactor

# How places are found is looked at in test_addresses.
ALL = Policy(frozenset(Entity) - {Entity.ADDRESS})
LONGEST = 20_000
# What rules look for, over and over: a rule that looks from each of them to the text's end is quadratic.
REPEATED = (
    "my password is ", "what is your password? ", "that's my password ", "use a b c as ", "my PIN ", "4", "four ",
    "dot at dot ", "a at b dot ", "a.", "a'", "_", "@", "-", ", ", " ", "$4.", "two hundred and ", "12 Elm Street ",
    "my name is John ", "born on the 12th of July ", "first and ", "Aa ",
)  # fmt: skip
words = st.sampled_from([*REPEATED, "hello ", "no ", "it's ", "?", ". ", "é", "\u0663", "\ud800", "\n"])


def redact(text: str) -> Redactor:
    redactor = Redactor(ALL)
    redactor.redact("What's your password? And your date of birth, address and card number?", Role.AGENT)
    redactor.redact(text, Role.CUSTOMER)
    return redactor


@settings(max_examples=30, deadline=None)
@given(st.one_of(st.text(max_size=LONGEST), st.lists(words, max_size=1500).map("".join)), st.booleans())
def test_any_text_is_redacted(text: str, spoken: bool) -> None:
    redactor = redact(text[:LONGEST])
    redactor.preview(text[:LONGEST], Role.CUSTOMER if spoken else Role.AGENT)


@pytest.mark.parametrize("unit", REPEATED)
def test_the_time_is_linear(unit: str) -> None:
    """Eight times the text takes about eight times as long, not sixty-four."""

    def least(size: int, rounds: int) -> float:
        text = (unit * (size // len(unit) + 1))[:size]
        taken = []
        for _ in range(rounds):
            start = time.process_time()
            redact(text)
            taken.append(time.process_time() - start)
        return min(taken)

    assert least(24_000, 2) < 24 * least(3_000, 4)


def test_ten_thousand_utterances_are_not_remembered() -> None:
    said = [
        "My password is blue horse {0}.", "It's {0} {0} 41, and the card 4111 {0}", "My name is Ann {0}",
        "What was it?",
        "I live at {0} Elm Street", "no, sorry",
    ]  # fmt: skip
    redactor = Redactor(ALL)

    for number in range(10_000):
        role = Role.AGENT if number % 3 else Role.CUSTOMER
        redactor.redact(said[number % len(said)].format(number), role)
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, Said | Element | Hidden)]
    assert 0 < sum(isinstance(one, Said) for one in kept) <= REMEMBERED
    assert len(kept) < 20 * REMEMBERED
