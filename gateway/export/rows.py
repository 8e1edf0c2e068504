"""What the rows of the feeds hold: columns as data, made of calls and messages, without I/O.

Names and meanings are those of the File Exporter's feeds (reference §3.1). ``utterances`` has its nine columns exactly;
of the two ``staging_`` feeds those columns are there that a gateway can fill, and when an utterance was spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, Literal, TypeVar

from gateway.participants import Role
from gateway.store.records import CallRecord, MessageRecord

__all__ = [
    "CONVERSATION_STATE",
    "FEEDS",
    "UTTERANCES",
    "UTTERANCE_STATE",
    "Column",
    "ConversationStates",
    "Row",
    "Terms",
    "conversation_state_rows",
    "utterance_rows",
    "utterance_state_rows",
]

Value = str | int | None
Row = dict[str, Value]
Of = TypeVar("Of")


@dataclass(frozen=True, slots=True)
class Terms:
    """How rows are made: ``company_marker`` (None: the account's id), and whether calls started ``unredacted``
    stand so, as the messages API shows them.
    """

    company_marker: str | None = None
    unredacted: bool = False


@dataclass(frozen=True, slots=True)
class Column(Generic[Of]):
    """A column: its name, what it holds, and how it is told from a subject."""

    name: str
    value: Callable[[Of], Value]
    kind: Literal["string", "integer"] = "string"


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A message with its conversation: ``call.call_id`` is the conversation's id, ``started_at`` its beginning."""

    call: CallRecord
    message: MessageRecord
    terms: Terms

    @property
    def text(self) -> str:
        return self.message.shown if self.terms.unredacted else self.message.text

    @property
    def ended_at(self) -> datetime:
        return self.message.client_timestamp + timedelta(milliseconds=self.message.end_ms - self.message.start_ms)


@dataclass(slots=True)
class _Side:
    """What one participant said in an hour."""

    count: int = 0
    first: datetime | None = None
    last: datetime | None = None

    def add(self, at: datetime) -> None:
        self.count += 1
        self.first = at if self.first is None else min(self.first, at)
        self.last = at if self.last is None else max(self.last, at)


@dataclass(slots=True)
class _State:
    """A conversation in one hour."""

    call: CallRecord
    hour: datetime
    terms: Terms
    customer: _Side = field(default_factory=_Side)
    agent: _Side = field(default_factory=_Side)
    agents: dict[str, None] = field(default_factory=dict)

    def add(self, message: MessageRecord) -> None:
        if message.role == Role.AGENT:
            self.agent.add(message.client_timestamp)
            # Taken out first, so that the last of the dict is who spoke last.
            self.agents.pop(message.external_id, None)
            self.agents[message.external_id] = None
        else:
            self.customer.add(message.client_timestamp)


def _hour(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _window(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H:%M:%S.%f}+00:00"


def _seconds(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _milliseconds(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(" ", "milliseconds")


def _marker(call: CallRecord, terms: Terms) -> str:
    return terms.company_marker or call.account_id


def _of_created(form: str) -> Callable[[_Spoken], str]:
    return lambda one: one.message.created_timestamp.astimezone(UTC).strftime(form)


def _begun(state: _State) -> str | None:
    """When the conversation began; empty if that was on an earlier day, as documented."""
    began = state.call.started_at.astimezone(UTC)
    return _seconds(began) if began.date() == state.hour.date() else None


_WHO: tuple[Column[_Spoken], ...] = (
    Column("conversation_id", lambda one: one.call.call_id),
    Column("message_id", lambda one: one.message.message_id),
    Column("instance_ts", lambda one: _window(_hour(one.message.created_timestamp))),
    Column("chat_message_event_ts", lambda one: _seconds(one.message.created_timestamp)),
    Column("external_conversation_id", lambda one: one.call.guid),
)
_WHERE: tuple[Column[_Spoken], ...] = (
    Column("company_marker", lambda one: _marker(one.call, one.terms)),
    Column("dt", _of_created("%Y-%m-%d")),
    Column("hr", _of_created("%H")),
)

UTTERANCES: tuple[Column[_Spoken], ...] = (*_WHO, Column("utterance", lambda one: one.text), *_WHERE)

UTTERANCE_STATE: tuple[Column[_Spoken], ...] = (
    *_WHO,
    Column("sender_type", lambda one: f"SENDER_{one.message.role.upper()}"),
    Column("sender_id", lambda one: one.message.external_id),
    Column("private_message_ct", lambda _one: 0, "integer"),
    Column("tags", lambda _one: "{}"),
    Column("utterance_length", lambda one: len(one.text), "integer"),
    Column("utterance_start_ts", lambda one: _milliseconds(one.message.client_timestamp)),
    Column("utterance_end_ts", lambda one: _milliseconds(one.ended_at)),
    *_WHERE,
)

CONVERSATION_STATE: tuple[Column[_State], ...] = (
    Column("conversation_id", lambda one: one.call.call_id),
    Column("instance_ts", lambda one: _window(one.hour)),
    Column("first_event_ts", lambda one: _seconds(one.call.started_at)),
    Column("conversation_start_ts", _begun),
    Column("external_conversation_id", lambda one: one.call.guid),
    Column("customer_id", lambda one: one.call.customer_id),
    Column("last_agent_id", lambda one: next(reversed(one.agents), None)),
    Column("all_agent_ids", lambda one: f"[{','.join(sorted(one.agents))}]"),
    Column("customer_utterance_ct", lambda one: one.customer.count, "integer"),
    Column("agent_utterance_ct", lambda one: one.agent.count, "integer"),
    Column("customer_first_utterance_ts", lambda one: _seconds(one.customer.first)),
    Column("agent_first_utterance_ts", lambda one: _seconds(one.agent.first)),
    Column("customer_last_utterance_ts", lambda one: _seconds(one.customer.last)),
    Column("agent_last_utterance_ts", lambda one: _seconds(one.agent.last)),
    Column("company_marker", lambda one: _marker(one.call, one.terms)),
    Column("dt", lambda one: f"{one.hour:%Y-%m-%d}"),
    Column("hr", lambda one: f"{one.hour:%H}"),
)

FEEDS: dict[str, tuple[tuple[str, str], ...]] = {
    "utterances": tuple((column.name, column.kind) for column in UTTERANCES),
    "staging_utterance_state": tuple((column.name, column.kind) for column in UTTERANCE_STATE),
    "staging_conversation_state": tuple((column.name, column.kind) for column in CONVERSATION_STATE),
}
"""The feeds by name: their columns and what these hold, ``string`` or ``integer``."""


def _row(columns: Sequence[Column[Of]], subject: Of) -> Row:
    return {column.name: column.value(subject) for column in columns}


_PLAIN = Terms()


def utterance_rows(call: CallRecord, messages: Iterable[MessageRecord], terms: Terms = _PLAIN) -> Iterator[Row]:
    """Rows of ``utterances``, one a message; ``call.call_id`` becomes the ``conversation_id``."""
    return (_row(UTTERANCES, _Spoken(call, message, terms)) for message in messages)


def utterance_state_rows(call: CallRecord, messages: Iterable[MessageRecord], terms: Terms = _PLAIN) -> Iterator[Row]:
    """Rows of ``staging_utterance_state``: who spoke, when, how much; no text. Lengths are in characters."""
    return (_row(UTTERANCE_STATE, _Spoken(call, message, terms)) for message in messages)


def conversation_state_rows(
    call: CallRecord, messages: Iterable[MessageRecord], terms: Terms = _PLAIN
) -> Iterator[Row]:
    """Rows of ``staging_conversation_state``: one for each hour in which the call has messages."""
    states = ConversationStates(terms)
    for message in messages:
        states.add(call, message)
    return states.rows()


class ConversationStates:
    """Gathers the rows of ``staging_conversation_state``: a conversation and hour each, with what was said in it.

    Holds as many states as there are conversations, not messages.
    """

    def __init__(self, terms: Terms = _PLAIN) -> None:
        self._terms = terms
        self._states: dict[tuple[datetime, str], _State] = {}

    def add(self, call: CallRecord, message: MessageRecord) -> None:
        """Count a message of a conversation in."""
        hour = _hour(message.created_timestamp)
        state = self._states.get((hour, call.call_id))
        if state is None:
            state = self._states[hour, call.call_id] = _State(call, hour, self._terms)
        state.add(message)

    def rows(self) -> Iterator[Row]:
        """The rows by hour and conversation; the states are forgotten."""
        states, self._states = self._states, {}
        return (_row(CONVERSATION_STATE, states[key]) for key in sorted(states))
