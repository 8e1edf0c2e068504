from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.choice import Choice, choose
from gateway.text.conversation import Conversation, Request
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.digits.runs import find_runs
from gateway.text.entities.context import Topic
from gateway.text.entities.mentions import find_mentions
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor

PIN_ASKED = Conversation(Request(Entity.PIN, 4))


def made(text: str, before: Conversation | None = None, policy: Policy = DEFAULT) -> Choice:
    tokens = tokenize(text)
    runs = find_runs(text, tokens, elements(text, tokens), [], eager=before is not None)
    return choose(text, tokens, runs, find_mentions(text), before or Conversation(), Role.CUSTOMER, policy)


def chosen(text: str, before: Conversation | None = None, policy: Policy = DEFAULT) -> list[tuple[str, Entity]]:
    return [(text[one.start : one.end], one.entity) for one in made(text, before, policy).chosen]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my PIN is 8841 and I have had it since 2011", [("8841", Entity.PIN)]),
        ("41 is my PIN", [("41", Entity.PIN)]),
        ("3-1-8 on the back of the card", [("3-1-8", Entity.CREDIT_CARD_NUMBER)]),
        ("4 1 8, the CVV", [("4 1 8", Entity.CVV)]),
        ("the CVV is 4 and the PIN is 1", [("4", Entity.CVV), ("1", Entity.PIN)]),
        ("I'll need your PIN. It costs $25.99", []),
        ("the PIN has four digits", []),
        ("take 4111 from my card", [("4111", Entity.CREDIT_CARD_NUMBER)]),
    ],
)
def test_one_utterance(text: str, expected: list[tuple[str, Entity]]) -> None:
    assert chosen(text) == expected


def test_what_was_asked_for_before_hides_everything() -> None:
    choice = made("at 9 and $25", PIN_ASKED)
    assert [one.entity for one in choice.chosen] == [Entity.PIN] * len(choice.chosen)
    assert choice.told
    assert not choice.named
    assert choice.request is not None
    assert choice.request.given == "925"


def test_a_complete_request_lets_explained_numbers_through() -> None:
    before = Conversation(Request(Entity.PIN, 4, "8841"))
    assert chosen("it costs $25.99", before) == []
    assert chosen("so 12", before) == [("12", Entity.PIN)]
    assert chosen("the 2 of us", before) == []


def test_topics_name_a_run_where_their_policy_is_on() -> None:
    before = Conversation(topics={Entity.ZIP: Topic(Role.CUSTOMER, 1)})
    assert chosen("90210", before) == []
    assert chosen("90210", before, Policy(frozenset({Entity.ZIP}))) == [("90210", Entity.ZIP)]
    assert chosen("902101", before) == [("902101", Entity.DIGITS_LONG)]


def test_an_explained_run_is_told_apart() -> None:
    choice = made("since 2011")
    assert choice.chosen == ()
    assert len(choice.explained) == 1


def test_a_telephone_number_with_misheard_digits_may_have_ten() -> None:
    redactor = Redactor()
    redactor.redact("What's your phone number?", Role.AGENT)
    assert redactor.redact("555 1212", Role.CUSTOMER).text == "555 1212"
    redactor.redact("Your phone number?", Role.AGENT)
    shown = redactor.redact("Boom, one, zero, i, seven, zero, zero, i, seven.", Role.CUSTOMER).text
    assert shown == "Boom, ########."


def test_misheard_digits_are_digits_by_all_the_digits_before() -> None:
    said = "One, zero, zero, four, nine, take one, a, zero, seven."
    assert Redactor().redact(said, Role.CUSTOMER).text == "##########."
    said = "I had one cat, two dogs, one fish and one bird"
    assert Redactor().redact(said, Role.CUSTOMER).text == said
