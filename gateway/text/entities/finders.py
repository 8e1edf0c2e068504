"""The table of finders: which function finds which entity that is more than a run of digits.

Numbers of cards, PINs and the like are no matter of a finder: they are told from runs, over utterances
(:mod:`gateway.text.choice`). A finder's spans are hidden character by character, words included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from gateway.text.digits.numbers import Element, Token
from gateway.text.entities import addresses, names, password_cues
from gateway.text.entities.addresses import find_places
from gateway.text.entities.births import find_births
from gateway.text.entities.context import Context, Finder
from gateway.text.entities.email import find_emails
from gateway.text.entities.names import find_names
from gateway.text.entities.password import find_passwords
from gateway.text.entities.profanity import find_profanity
from gateway.text.patterns import prepare
from gateway.text.policy import Entity, Policy
from gateway.text.redacted import Hidden

__all__ = ["FINDERS", "find", "make_ready"]

_PATTERNS = {Entity.PASSWORD: password_cues, Entity.ADDRESS: addresses, Entity.NAME: names}

FINDERS: Mapping[Entity, Finder] = MappingProxyType(
    {
        Entity.PASSWORD: find_passwords,
        Entity.EMAIL: find_emails,
        Entity.DOB: find_births,
        Entity.ADDRESS: find_places,
        Entity.NAME: find_names,
        Entity.PROFANITY: find_profanity,
    }
)
"""Where two finders meet, the one that stands first gives its name to what both hide."""


def make_ready(policy: Policy) -> None:
    """Compile what the finders of a policy's entities need: some 60 ms once, which no utterance should wait for."""
    for entity, module in _PATTERNS.items():
        if entity in policy:
            prepare(module)


def find(
    text: str, tokens: Sequence[Token], numbers: Sequence[Element], context: Context, policy: Policy
) -> list[Hidden]:
    """What the finders of a policy's entities find, left to right, without overlap."""
    found: list[Hidden] = []
    for entity, finder in FINDERS.items():
        if entity in policy:
            found += finder(text, tokens, numbers, context)
    found.sort(key=lambda one: one.start)
    merged: list[Hidden] = []
    for one in found:
        if merged and one.start < merged[-1].end:
            entity = min(merged[-1].entity, one.entity, key=list(FINDERS).index)
            merged[-1] = Hidden(merged[-1].start, max(merged[-1].end, one.end), entity)
        else:
            merged.append(one)
    return merged
