from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.conversation import (
    AFTER_UTTERANCES,
    MAX_UTTERANCES,
    QUIET_UTTERANCES,
    Request,
    opens,
    request_after,
    topics_after,
)
from gateway.text.entities.context import Topic
from gateway.text.entities.mentions import find_mentions
from gateway.text.entities.password import TOPIC_UTTERANCES
from gateway.text.policy import DEFAULT, Entity, Policy

AGENT, CUSTOMER = Role.AGENT, Role.CUSTOMER


def asked(text: str) -> Request:
    return Request.of(find_mentions(text)[0])


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("your PIN", "4192"),
        ("the CVV", "318"),
        ("your social security number", "219094417"),
        ("the last four of your social", "4417"),
        ("the card number", "4111111111111111"),
        ("the card number", "378282246310005"),
    ],
)
def test_a_secret_is_complete_with_its_last_digit(text: str, digits: str) -> None:
    assert asked(text).told(digits).complete
    assert not asked(text).told(digits[:-1]).complete


def test_a_request_lasts_while_numbers_come() -> None:
    request: Request | None = asked("your card number")
    for _ in range(QUIET_UTTERANCES - 1):
        request = request_after(request, named=False, numbers=False)
    assert request is not None
    request = request_after(request, named=False, numbers=True)
    assert request is not None
    assert request.quiet == QUIET_UTTERANCES
    for _ in range(MAX_UTTERANCES):
        request = request_after(request, named=False, numbers=True)
    assert request is None


def test_a_complete_one_ends_sooner() -> None:
    request = request_after(asked("your PIN").told("4192"), named=False, numbers=True)
    assert request is not None
    assert request.quiet == AFTER_UTTERANCES


def test_topics_wait_for_an_answer_and_pass() -> None:
    text = "What's your zip code?"
    topics = topics_after({}, text, AGENT, find_mentions(text), frozenset())
    assert dict(topics) == {Entity.ZIP: Topic(CUSTOMER, 1)}
    topics = topics_after(topics, "hm", CUSTOMER, (), frozenset({Entity.ZIP}))
    assert dict(topics) == {Entity.ZIP: Topic(CUSTOMER, 2, answered=True)}
    for _ in range(TOPIC_UTTERANCES):
        topics = topics_after(topics, "hm", CUSTOMER, (), frozenset())
    assert not topics


def test_a_password_is_a_topic_only_where_it_is_asked_for() -> None:
    for text, waits in (("What is your password?", True), ("I forgot my password", False)):
        topics = topics_after({}, text, AGENT, find_mentions(text), frozenset())
        assert topics[Entity.PASSWORD].firm is waits


def test_what_the_policy_does_not_hide_is_no_request() -> None:
    (mention,) = find_mentions("your PIN")
    assert opens(mention, DEFAULT)
    assert not opens(mention, Policy(frozenset()))
    (card,) = find_mentions("the card number")
    assert opens(card, Policy(frozenset()))
