"""Who speaks, on which track, and which texts of it are shown: values that every stage shares."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["RedactionOutput", "Role", "Track"]


class Role(StrEnum):
    """A participant of a call."""

    CUSTOMER = "customer"
    AGENT = "agent"


class Track(StrEnum):
    """A direction of a call leg, seen from Twilio."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class RedactionOutput(StrEnum):
    """Which texts a transcript carries."""

    REDACTED = "redacted"
    UNREDACTED = "unredacted"
    BOTH = "redacted_and_unredacted"
