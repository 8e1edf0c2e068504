"""What redaction hides: entities, each on or off by an account's policy.

The names are those of AutoTranscribe's redaction entities; the rules about runs of digits are entities of their own,
because a run says nothing about what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["DEFAULT", "ENTITIES", "Entity", "EntityInfo", "Policy"]


class Entity(StrEnum):
    """Something that can be hidden; the value is its id in the configuration API."""

    CREDIT_CARD_NUMBER = "CREDIT_CARD_NUMBER"
    CVV = "CVV"
    PASSWORD = "PASSWORD"  # noqa: S105 - the name of an entity
    PIN = "PIN"
    SSN = "SSN"
    EMAIL = "EMAIL"
    PHONE_NUMBER = "PHONE_NUMBER"
    DOB = "DOB"
    PROFANITY = "PROFANITY"
    NAME = "NAME"
    ADDRESS = "ADDRESS"
    ZIP = "ZIP"
    DIGITS_3 = "DIGITS_3"
    DIGITS_4 = "DIGITS_4"
    DIGITS_9 = "DIGITS_9"
    DIGITS_10 = "DIGITS_10"
    DIGITS_LONG = "DIGITS_LONG"


@dataclass(frozen=True, slots=True)
class EntityInfo:
    """An entity as it is listed; a ``locked`` one cannot be turned off."""

    description: str
    default: bool
    locked: bool = False


ENTITIES: Mapping[Entity, EntityInfo] = {
    Entity.CREDIT_CARD_NUMBER: EntityInfo("Payment card numbers, spoken or written", default=True, locked=True),
    Entity.CVV: EntityInfo("Card security codes", default=True, locked=True),
    Entity.PASSWORD: EntityInfo("Passwords that are told or spelled", default=True),
    Entity.PIN: EntityInfo("Personal identification numbers", default=True),
    Entity.SSN: EntityInfo("US social security numbers, their last four digits too", default=True),
    Entity.EMAIL: EntityInfo("E-mail addresses, spoken or written", default=False),
    Entity.PHONE_NUMBER: EntityInfo("Telephone numbers", default=False),
    Entity.DOB: EntityInfo("Dates of birth", default=False),
    Entity.PROFANITY: EntityInfo("Profane words", default=False),
    Entity.NAME: EntityInfo("Names of persons", default=False),
    Entity.ADDRESS: EntityInfo("Postal addresses", default=False),
    Entity.ZIP: EntityInfo("Postal codes", default=False),
    Entity.DIGITS_3: EntityInfo("Runs of three digits", default=True),
    Entity.DIGITS_4: EntityInfo("Runs of four digits", default=True),
    Entity.DIGITS_9: EntityInfo("Runs of nine digits", default=True),
    Entity.DIGITS_10: EntityInfo("Runs of ten digits", default=True),
    Entity.DIGITS_LONG: EntityInfo("Runs of five digits or more of any other length", default=True),
}
"""Every entity. The defaults are AutoTranscribe's documented ones (entities, and the policy for runs of digits).

``DIGITS_LONG`` is ours: a run of 6 or 16 digits that nothing explains is likelier a secret than not.
"""


@dataclass(frozen=True, slots=True)
class Policy:
    """The entities that are hidden; locked ones always are."""

    active: frozenset[Entity]

    def __post_init__(self) -> None:
        locked = {entity for entity, info in ENTITIES.items() if info.locked}
        object.__setattr__(self, "active", self.active | locked)

    def __contains__(self, entity: Entity) -> bool:
        return entity in self.active


DEFAULT = Policy(frozenset(entity for entity, info in ENTITIES.items() if info.default))
"""What an account that has set nothing hides."""
