"""What one call's earlier utterances leave behind for the next: requests, topics, runs that are still open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from gateway.participants import Role
from gateway.text.digits.recognise import is_card
from gateway.text.entities import names as persons
from gateway.text.entities.context import Topic
from gateway.text.entities.mentions import SECRETS, Mention
from gateway.text.entities.password import TOPIC_UTTERANCES, topic_after
from gateway.text.policy import Entity, Policy

__all__ = [
    "MAX_UTTERANCES",
    "QUIET_UTTERANCES",
    "Chain",
    "Conversation",
    "Piece",
    "Request",
    "names_after",
    "topics_after",
]

QUIET_UTTERANCES = 6
"""So many utterances without a number end the time after a request."""

MAX_UTTERANCES = 40
"""A request is forgotten after so many utterances, whatever they held."""

AFTER_UTTERANCES = 2
"""Once the secret is told completely, so many utterances without a number end that time."""

CARD_UTTERANCES = 6
"""So long is a card a matter of the talk that was only spoken of."""

_NEEDED = {Entity.CREDIT_CARD_NUMBER: 16, Entity.CVV: 3, Entity.PIN: 4, Entity.SSN: 9}
_LAST_FOUR = 4
_NAMES = 24
# Whether their mention asks for them is their finders' matter.
_TOLD_OTHERWISE = frozenset({Entity.PASSWORD, Entity.NAME})


@dataclass(frozen=True, slots=True)
class Request:
    """A secret that is asked for or named.

    ``needed`` digits make it complete; ``given`` are those that were told. ``quiet``: utterances that it still lasts
    without a number; ``left``: utterances that it lasts at most.
    """

    entity: Entity
    needed: int
    given: str = ""
    quiet: int = QUIET_UTTERANCES
    left: int = MAX_UTTERANCES

    @property
    def complete(self) -> bool:
        """Whether all of it was told."""
        return len(self.given) >= self.needed or is_card(self.given)

    def told(self, digits: str) -> Request:
        """The request after these digits."""
        return replace(self, given=self.given + digits)

    @staticmethod
    def of(mention: Mention) -> Request:
        """The request that a mention is."""
        return Request(mention.entity, _LAST_FOUR if mention.part else _NEEDED[mention.entity])


@dataclass(frozen=True, slots=True)
class Piece:
    """Numbers of one utterance that belong to a run over several: a span of that utterance's text."""

    utterance: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chain:
    """The run that is open at the end of a role's last utterance."""

    digits: str = ""
    pieces: tuple[Piece, ...] = ()


@dataclass(frozen=True, slots=True)
class Conversation:
    """The state between two utterances. ``card`` counts the utterances for which a card stays a matter."""

    request: Request | None = None
    card: int = 0
    topics: Mapping[Entity, Topic] = field(default_factory=lambda: MappingProxyType({}))
    chains: Mapping[Role, Chain] = field(default_factory=lambda: MappingProxyType({}))
    passwords: tuple[tuple[str, ...], ...] = ()
    names: tuple[str, ...] = ()

    def chain(self, role: Role) -> Chain:
        """The open run of a role."""
        return self.chains.get(role, _NO_CHAIN)


_NO_CHAIN = Chain()


def request_after(request: Request | None, *, named: bool, numbers: bool) -> Request | None:
    """A request after an utterance; ``named`` if it was (again) asked for, ``numbers`` if some were hidden."""
    if request is None:
        return None
    lasts = AFTER_UTTERANCES if request.complete else QUIET_UTTERANCES
    quiet = lasts if named or numbers else request.quiet - 1
    request = replace(request, quiet=quiet, left=request.left - 1)
    return request if request.quiet > 0 and request.left > 0 else None


def topics_after(
    topics: Mapping[Entity, Topic],
    text: str,
    role: Role,
    mentions: Sequence[Mention],
    found: frozenset[Entity],
) -> Mapping[Entity, Topic]:
    """The topics after an utterance in which ``found`` were hidden."""
    following: dict[Entity, Topic] = {
        entity: replace(topic, ago=topic.ago + 1, answered=topic.answered or entity in found)
        for entity, topic in topics.items()
        if topic.ago < TOPIC_UTTERANCES and entity is not Entity.PASSWORD
    }
    other = Role.AGENT if role is Role.CUSTOMER else Role.CUSTOMER
    for mention in mentions:
        if mention.entity not in _TOLD_OTHERWISE and mention.entity not in SECRETS:
            asks = "?" in text[mention.end :] or role is Role.AGENT
            following[mention.entity] = Topic(other if asks else role, 1, mention.entity in found, mention.firm)
    before, named = topics.get(Entity.PASSWORD), any(one.entity is Entity.PASSWORD for one in mentions)
    if before is not None or named or Entity.PASSWORD in found:
        password = topic_after(before, text, role, named=named, found=Entity.PASSWORD in found)
        if password is not None:
            following[Entity.PASSWORD] = password
    teller = persons.expected_of(text, role)
    if teller is not None:
        following[Entity.NAME] = Topic(teller, 1)
    return MappingProxyType(following) if following or topics else topics


def names_after(names: tuple[str, ...], learned: Sequence[str]) -> tuple[str, ...]:
    """The words of names that are known after ``learned`` were told: the last :data:`_NAMES`."""
    if not learned:
        return names
    return tuple(dict.fromkeys([*(one for one in names if one not in learned), *learned]))[-_NAMES:]


def opens(mention: Mention, policy: Policy) -> bool:
    """Whether every number after a mention is to be hidden."""
    return mention.firm and mention.entity in SECRETS and mention.entity in policy
