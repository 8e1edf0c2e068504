from __future__ import annotations

import pytest

from gateway.text.digits.numbers import elements, tokenize
from gateway.text.digits.recognise import is_card, length_rule, of_topic, recognise
from gateway.text.policy import Entity


def read(text: str, before: str = "") -> Entity | None:
    numbers = elements(text, tokenize(text))
    return recognise(numbers, before + "".join(one.digits for one in numbers))


@pytest.mark.parametrize(
    "digits",
    ["4111111111111111", "5555555555554444", "378282246310005", "6011111111111117", "30569309025904",
     "3530111333300000", "2223003122003222", "4222222222222"],
)  # fmt: skip
def test_cards_of_every_issuer(digits: str) -> None:
    assert is_card(digits)
    assert not is_card(digits[:-1] + str((int(digits[-1]) + 1) % 10))


@pytest.mark.parametrize("digits", ["0000000000000000", "9111111111111111", "41111111", "4111111111111111" * 2, "4?11"])
def test_other_strings_are_none(digits: str) -> None:
    assert not is_card(digits)


@pytest.mark.parametrize(
    ("text", "before", "entity"),
    [
        ("4111 1111 1111 1111", "", Entity.CREDIT_CARD_NUMBER),
        ("one one one one one one one one", "41111111", Entity.CREDIT_CARD_NUMBER),
        # Begun twice, and followed by its expiry date.
        ("4242 4243 4242 4242 4242 4242", "", Entity.CREDIT_CARD_NUMBER),
        ("4111 1111 1111 1111 0927", "", Entity.CREDIT_CARD_NUMBER),
        ("219-09-4417", "", Entity.SSN),
        ("two one nine, oh nine, forty four seventeen", "", Entity.SSN),
        ("000-12-3456", "", None),
        ("219094417", "", None),
        ("212-555-1234", "", Entity.PHONE_NUMBER),
        ("1 800 555 1234", "", Entity.PHONE_NUMBER),
        ("555 1234", "", None),
        ("1234567890", "", None),
    ],
)
def test_digits_tell_what_they_are(text: str, before: str, entity: Entity | None) -> None:
    assert read(text, before) is entity


@pytest.mark.parametrize(
    ("digits", "topic", "entity"),
    [
        ("90210", Entity.ZIP, Entity.ZIP),
        ("902101234", Entity.ZIP, Entity.ZIP),
        ("9021", Entity.ZIP, None),
        ("03041985", Entity.DOB, Entity.DOB),
        ("99999999", Entity.DOB, None),
        ("5551234", Entity.PHONE_NUMBER, Entity.PHONE_NUMBER),
        ("555", Entity.PHONE_NUMBER, None),
        ("5551234", Entity.NAME, None),
    ],
)
def test_what_is_talked_of_tells_it_where_the_digits_agree(digits: str, topic: Entity, entity: Entity | None) -> None:
    assert of_topic(digits, {topic}) is entity


def test_the_rule_for_every_length() -> None:
    assert [length_rule(count) for count in range(3)] == [None] * 3
    named = {3: Entity.DIGITS_3, 4: Entity.DIGITS_4, 9: Entity.DIGITS_9, 10: Entity.DIGITS_10}
    assert {count: length_rule(count) for count in range(3, 40)} == {
        count: named.get(count, Entity.DIGITS_LONG) for count in range(3, 40)
    }
