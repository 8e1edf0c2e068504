"""Rows as the rest of the gateway sees them: plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

__all__ = [
    "CallRecord",
    "ConfigurationRecord",
    "DeliveryRecord",
    "KeyRecord",
    "MessageRecord",
    "NewKey",
    "PhraseRecord",
    "Principal",
    "RevisionRecord",
]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an account, by one of its keys."""

    account_id: str
    key_id: str


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made; the only time its secret is seen."""

    api_id: str
    api_secret: str
    account_id: str
    name: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key as it is listed."""

    api_id: str
    account_id: str
    name: str
    created_at: datetime
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One account's call of one guid, as one process saw it. Times are UTC and aware.

    The conversation is all that share (account, guid); ``call_id`` is new after a restart, and the sequence
    numbers and the clock of its messages with it. Shown is the conversation, by the ``call_id`` of its first session.
    """

    call_id: str
    account_id: str
    guid: str
    language: str
    customer_id: str
    agent_id: str
    started_at: datetime
    completed_at: datetime | None = None
    completed_reason: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """One utterance, as it is kept and shown.

    ``text`` is always the redacted one; ``unredacted`` is filled only where the start asked for it, and
    stands encrypted in the database. ``shown`` is what the messages endpoint answers with, by the call's
    setting. ``client_timestamp`` is the wall time at which the utterance began. Offsets are ms on the
    call's clock. ``tokens`` is the JSON of the words with their times, where it is posted; encrypted as well, and
    filled only for a post.
    """

    message_id: str
    call_id: str
    sequence: int
    stream_id: str
    role: str
    external_id: str
    start_ms: int
    end_ms: int
    text: str
    client_timestamp: datetime
    created_timestamp: datetime
    unredacted: str | None = None
    show_unredacted: bool = False
    tokens: str | None = None

    @property
    def shown(self) -> str:
        """The text that the messages endpoint answers with."""
        return self.unredacted if self.show_unredacted and self.unredacted is not None else self.text


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """A message's text, redacted anew: a later utterance showed that it held a secret.

    It comes after its message in the order of writing; where that one was lost, nothing is changed.
    """

    message_id: str
    text: str


@dataclass(frozen=True, slots=True)
class DeliveryRecord:
    """A post of one message and how it ended.

    ``outcome`` is ``pending`` (stored with its message, before it is sent), ``delivered``, ``failed`` (sent,
    and refused or unanswered) or ``dropped`` (never sent). A later record of the same ``delivery_id``
    replaces the earlier one. ``reason`` is empty or one of a small set of words (``timeout``, ``status 503``,
    ``queue_full``, ``gateway_restart`` …); never text from the transcript or the target's answer.
    """

    delivery_id: str
    call_id: str
    message_id: str
    sequence: int
    outcome: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class PhraseRecord:
    """An entry of an account's custom vocabulary; ``phrase_id`` is a ULID, so that ids sort by age."""

    phrase_id: str
    phrase: str
    sounds_like: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigurationRecord:
    """What an account has configured.

    ``redaction``: entities (their ids) that it turned on or off; ``phrases``: oldest first; ``revision`` counts its
    changes, 0 for none.
    """

    revision: int = 0
    redaction: Mapping[str, bool] = field(default_factory=dict)
    phrases: tuple[PhraseRecord, ...] = ()
