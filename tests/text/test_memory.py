from __future__ import annotations

from gateway.participants import Role
from gateway.text.digits.numbers import elements, tokenize
from gateway.text.digits.runs import find_runs
from gateway.text.memory import REMEMBERED, Memory, Said, is_mostly_numbers
from gateway.text.policy import Entity
from gateway.text.redacted import Revised

AGENT, CUSTOMER = Role.AGENT, Role.CUSTOMER


def remember(memory: Memory, *turns: tuple[Role, str], first: int = 0) -> None:
    for number, (role, text) in enumerate(turns, first):
        tokens = tokenize(text)
        numbers = elements(text, tokens)
        runs = find_runs(text, tokens, numbers, [], eager=True)
        memory.add(Said(number, role, text, tokens, numbers, runs, [], [], is_mostly_numbers(tokens, numbers)))


def test_the_last_numbers_are_named() -> None:
    memory = Memory()
    remember(memory, (CUSTOMER, "I have 2 dogs and 3 cats"), (CUSTOMER, "4 1"), (AGENT, "okay"), (CUSTOMER, "9 2"))
    memory.name_numbers(Entity.PIN)
    assert memory.revised() == (Revised(1, "##"), Revised(3, "##"))
    assert memory.revised() == ()


def test_words_between_end_the_search() -> None:
    memory = Memory()
    remember(memory, (CUSTOMER, "4 1"), (CUSTOMER, "that is all that I can tell you now"))
    memory.name_numbers(Entity.PIN)
    assert memory.revised() == ()


def test_the_last_words_are_named() -> None:
    memory = Memory()
    remember(memory, (CUSTOMER, "blue horse seven"), (AGENT, "okay"))
    assert memory.name_words() == ("blue", "horse", "seven")
    assert memory.revised() == (Revised(0, "#### ##### #"),)
    # It is named once.
    assert memory.name_words() == ()


def test_a_long_utterance_is_no_password() -> None:
    memory = Memory()
    remember(memory, (CUSTOMER, "I have been waiting for an hour now and nobody came"))
    assert memory.name_words() == ()


def test_a_card_is_put_together_from_utterances() -> None:
    memory = Memory()
    pieces = [(CUSTOMER, "it's 4111"), (AGENT, "okay"), (CUSTOMER, "then 1111"), (CUSTOMER, "and 1111")]
    remember(memory, *pieces)
    assert not memory.find_card(CUSTOMER, "1112")
    assert not memory.find_card(AGENT, "1111")
    assert memory.find_card(CUSTOMER, "1111")
    assert [one.text for one in memory.revised()] == ["it's ####", "then ####", "and ####"]


def test_what_is_far_back_is_forgotten() -> None:
    memory = Memory()
    remember(memory, (CUSTOMER, "4 1"))
    remember(memory, *[(AGENT, "ok")] * REMEMBERED, first=1)
    memory.name_numbers(Entity.PIN)
    assert memory.revised() == ()


def test_mostly_numbers() -> None:
    def mostly(text: str) -> bool:
        tokens = tokenize(text)
        return is_mostly_numbers(tokens, elements(text, tokens))

    assert mostly("it's four one")
    assert mostly("4 1 1 1 was the first group")
    assert not mostly("I have been waiting for 2 hours")
    assert not mostly("okay")
