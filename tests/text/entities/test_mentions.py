from __future__ import annotations

import pytest

from gateway.text.entities.mentions import SECRETS, Mention, find_mentions


def find_request(text: str) -> Mention | None:
    """The first mention after which every number is hidden."""
    return next((one for one in find_mentions(text) if one.firm and one.entity in SECRETS), None)


@pytest.mark.parametrize(
    "text",
    [
        "What's your PIN?",
        "what is your pin",
        "your P.I.N. please",
        "Please enter your pen number",
        "the card number",
        "your card ending in",
        "may I have your card?",
        "Could I please get the card?",
        "the number on the back of your card",
        "the three digits on the back",
        "the last four of your social",
        "social security number",
        "SSN",
        "S.S.N.",
        "CVV2",
        "c.v.v.",
        "the security code",
        "your passcode",
        "the expiration date",
    ],
)
def test_requests_are_found(text: str) -> None:
    request = find_request(text)
    assert request is not None
    assert not request.backward


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Let me pin down the cause",
        "pinpoint",
        "a SIM card",
        "my business cards",
        "social media",
        "their social media team",
        "a social worker",
        "opinion",
        "I have a card from my aunt",
        "the code is ready",
    ],
)
def test_other_talk_is_none(text: str) -> None:
    assert find_request(text) is None


@pytest.mark.parametrize("text", ["4 1 is my PIN", "41 is the security code", "four two for your SSN"])
def test_a_number_may_come_first(text: str) -> None:
    request = find_request(text)
    assert request is not None
    assert request.backward


def test_the_position_is_behind_what_was_asked_for() -> None:
    text = "the four digit PIN is 4"
    request = find_request(text)
    assert request is not None
    assert text[request.end :] == " is 4"
