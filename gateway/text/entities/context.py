"""What a finder may know of the conversation around the text it looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from gateway.participants import Role
from gateway.text.digits.numbers import Element, Token
from gateway.text.entities.mentions import Mention
from gateway.text.policy import Entity
from gateway.text.redacted import Hidden

__all__ = ["Context", "Finder", "Topic"]


@dataclass(frozen=True, slots=True)
class Topic:
    """An entity that was asked for or announced, ``ago`` utterances before (1: by the last one).

    ``by`` is who is to tell it; ``answered`` whether something of it was hidden since; ``firm`` as in a mention;
    ``question``: of a password, that a security question was spoken of.
    """

    by: Role
    ago: int
    answered: bool = False
    firm: bool = True
    question: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The conversation, seen from one text.

    Attributes:
        role: who says it.
        mentions: what the text itself names or asks for.
        topics: what earlier utterances asked for.
        passwords: passwords told before, word by word.
        names: words of persons' names that were told before, in lower case.
        unfinished: the text may stop anywhere: hide what may become a finding.
    """

    role: Role
    mentions: tuple[Mention, ...] = ()
    topics: Mapping[Entity, Topic] = field(default_factory=lambda: MappingProxyType({}))
    passwords: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()
    unfinished: bool = False

    def named(self, entity: Entity) -> bool:
        """Whether the text itself names the entity."""
        return any(one.entity is entity for one in self.mentions)


Finder = Callable[[str, Sequence[Token], Sequence[Element], Context], list[Hidden]]
"""Finds one entity in a text: spans left to right, without overlap; never raises.

Its arguments are the text, its tokens, its numbers, and the context.
"""
