"""Who reads along: partial and final texts of a call as they come, for the live view.

A subscription sees one call of one account from then on. It never holds anybody up: of each participant only the
newest partial waits for a slow reader, and of the finals the newest :data:`WAITING_FINALS`; what goes is counted.
Nothing here is stored or posted, and nothing unredacted comes here that the call's terms do not show.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from gateway.delivery.delivery import Delivered
from gateway.errors import RequestError
from gateway.metrics import LIVE_DROPPED, LIVE_STREAMS
from gateway.participants import Role
from gateway.store.records import MessageRecord

__all__ = [
    "MOST_STREAMS",
    "WAITING_FINALS",
    "LiveEnded",
    "LiveEvent",
    "LiveFinal",
    "LivePartial",
    "LiveView",
    "Subscription",
]

MOST_STREAMS = 256
"""Subscriptions at one time, of all accounts: each costs decodes."""

WAITING_FINALS = 256
"""Finals that wait for one reader: a quarter of an hour of a lively call."""


@dataclass(frozen=True, slots=True)
class LivePartial:
    """What a participant is saying; it stands until the next event of its stream.

    ``start_ms`` is on the call's clock. The first ``stable`` characters stay as they are until the final text, but for
    what has to be hidden after all. ``revision`` counts from 1 in each utterance. An empty text takes back what was
    shown: nothing was said.
    """

    role: Role
    external_id: str
    stream_id: str
    start_ms: int
    text: str
    stable: int
    revision: int


@dataclass(frozen=True, slots=True)
class LiveFinal:
    """An utterance, as it was stored: ``message.shown`` is its text. The same message again: more of it is hidden.

    It replaces the partial of its stream that began before ``message.end_ms``. ``late`` if later ones went before it.
    """

    message: MessageRecord
    late: bool


@dataclass(frozen=True, slots=True)
class LiveEnded:
    """The call has ended, or the gateway ends; the last event."""

    reason: str


LiveEvent = LivePartial | LiveFinal | LiveEnded

_Key = tuple[str, str]


class Subscription:
    """The events of one call, an async iterator; use it as a context manager, so that it is given up in the end.

    Made by :meth:`LiveView.subscribe`; used on the event loop, by one reader.
    """

    def __init__(self, view: LiveView, call: _Key) -> None:
        self._view = view
        self._call = call
        # In order of arrival: partials by their stream, finals by their id.
        self._waiting: dict[_Key, LiveEvent] = {}
        self._finals = 0
        self._over = False
        self._news = asyncio.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LiveEvent:
        while not self._waiting:
            if self._over:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        key = next(iter(self._waiting))
        event = self._waiting.pop(key)
        self._finals -= isinstance(event, LiveFinal)
        return event

    def close(self) -> None:
        """No more events; a second time nothing happens."""
        self._over = True
        self._waiting.clear()
        self._news.set()
        self._view._drop(self._call, self)

    def _put(self, event: LiveEvent) -> None:
        if self._over:
            return
        if isinstance(event, LivePartial):
            key = "partial", event.stream_id
            if self._waiting.pop(key, None) is not None:
                LIVE_DROPPED.labels("partial").inc()
        elif isinstance(event, LiveFinal):
            key = "final", event.message.message_id
            self._supersede(event.message)
            self._finals += key not in self._waiting
            if self._finals > WAITING_FINALS:
                self._drop_oldest_final()
        else:
            key = "ended", ""
            self._over = True
        self._waiting[key] = event
        self._news.set()

    def _supersede(self, message: MessageRecord) -> None:
        partial = self._waiting.get(("partial", message.stream_id))
        if isinstance(partial, LivePartial) and partial.start_ms < message.end_ms:
            del self._waiting["partial", message.stream_id]

    def _drop_oldest_final(self) -> None:
        oldest = next(key for key, event in self._waiting.items() if isinstance(event, LiveFinal))
        del self._waiting[oldest]
        self._finals -= 1
        LIVE_DROPPED.labels("final").inc()


class LiveView:
    """All subscriptions, by account and guid of their call. Everything is called on the event loop."""

    def __init__(self) -> None:
        self._readers: dict[_Key, set[Subscription]] = {}
        self._count = 0

    def subscribe(self, account_id: str, guid: str) -> Subscription:
        """Read along from now on. Whether the account has that call is the caller's to say.

        Raises:
            RequestError: 429-01, there are too many readers.
        """
        if self._count >= MOST_STREAMS:
            raise RequestError(429, "429-01", f"Too many requests: {MOST_STREAMS} live views are open; close one first")
        call = account_id, guid
        subscription = Subscription(self, call)
        self._readers.setdefault(call, set()).add(subscription)
        self._count += 1
        LIVE_STREAMS.set(self._count)
        return subscription

    def watched(self, account_id: str, guid: str) -> bool:
        """Whether somebody reads along."""
        return (account_id, guid) in self._readers

    def partial(self, account_id: str, guid: str, event: LivePartial) -> None:
        """Somebody is saying something; its text is already fit to be shown."""
        self._tell((account_id, guid), event)

    def message(self, delivered: Delivered) -> None:
        """An utterance was stored; for :class:`~gateway.delivery.delivery.Delivery`."""
        call = delivered.call
        self._tell((call.account_id, call.guid), LiveFinal(delivered.message, delivered.late))

    def end(self, account_id: str, guid: str, reason: str) -> None:
        """The call has ended: the last event of its readers."""
        call = account_id, guid
        self._tell(call, LiveEnded(reason))
        for reader in list(self._readers.get(call, ())):
            self._drop(call, reader)

    def close(self) -> None:
        """The gateway ends."""
        for account_id, guid in list(self._readers):
            self.end(account_id, guid, "shutdown")

    def _tell(self, call: _Key, event: LiveEvent) -> None:
        for reader in self._readers.get(call, ()):
            reader._put(event)

    def _drop(self, call: _Key, reader: Subscription) -> None:
        readers = self._readers.get(call)
        if readers is None or reader not in readers:
            return
        readers.discard(reader)
        if not readers:
            del self._readers[call]
        self._count -= 1
        LIVE_STREAMS.set(self._count)
