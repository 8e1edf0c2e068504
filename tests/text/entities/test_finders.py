from __future__ import annotations

import pytest

from gateway.participants import Role
from gateway.text.digits.numbers import Element, Token, elements, tokenize
from gateway.text.entities import addresses, finders, names, password_cues
from gateway.text.entities.context import Context, Finder
from gateway.text.entities.finders import FINDERS, find, make_ready
from gateway.text.entities.mentions import find_mentions
from gateway.text.patterns import Lazy
from gateway.text.policy import ENTITIES, Entity, Policy
from gateway.text.redacted import Hidden


def found(text: str, *entities: Entity) -> list[tuple[str, Entity]]:
    tokens = tokenize(text)
    context = Context(Role.CUSTOMER, find_mentions(text))
    spans = find(text, tokens, elements(text, tokens), context, Policy(frozenset(entities)))
    return [(text[one.start : one.end], one.entity) for one in spans]


def test_only_what_the_policy_hides_is_looked_for() -> None:
    text = "my password is ann@example.com"
    assert found(text) == []
    assert found(text, Entity.EMAIL) == [("ann@example.com", Entity.EMAIL)]


def test_where_two_meet_the_first_of_the_table_names_it() -> None:
    assert found("my password is ann@example.com", *ENTITIES) == [("ann@example.com", Entity.PASSWORD)]


def test_findings_are_ordered_and_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    def spans(entity: Entity, *places: tuple[int, int]) -> Finder:
        def finder(_text: str, _tokens: object, _numbers: object, _context: Context) -> list[Hidden]:
            return [Hidden(start, end, entity) for start, end in places]

        return finder

    table = {
        Entity.NAME: spans(Entity.NAME, (8, 12)),
        Entity.ADDRESS: spans(Entity.ADDRESS, (0, 2), (6, 9), (11, 14)),
    }
    monkeypatch.setattr(finders, "FINDERS", table)
    tokens: list[Token] = []
    numbers: list[Element] = []
    policy = Policy(frozenset(table))
    assert find("x" * 20, tokens, numbers, Context(Role.AGENT), policy) == [
        Hidden(0, 2, Entity.ADDRESS),
        Hidden(6, 14, Entity.NAME),
    ]


def test_every_finder_takes_any_text() -> None:
    for text in ("", "####", "@", "my password is", "born", "\x00"):
        tokens = tokenize(text)
        for finder in FINDERS.values():
            finder(text, tokens, elements(text, tokens), Context(Role.AGENT, find_mentions(text)))


def test_what_a_policy_needs_is_compiled_before_the_first_text() -> None:
    make_ready(Policy(frozenset({Entity.PASSWORD, Entity.NAME, Entity.ADDRESS})))
    for module in (password_cues, names, addresses):
        patterns = [one for one in vars(module).values() if isinstance(one, Lazy)]
        assert patterns
        assert all("compiled" in vars(one) for one in patterns)
