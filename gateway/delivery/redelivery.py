"""Posting again what failed or was dropped; beside a gateway that runs, on the same database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Protocol

from gateway.delivery.lanes import OutboxWriter
from gateway.delivery.payload import stored_body
from gateway.delivery.target import PostResult
from gateway.store.outbox import StoredPost, Undelivered
from gateway.store.records import DeliveryRecord

__all__ = ["REDELIVERED", "Poster", "RedeliveryStore", "Tally", "redeliver"]

REDELIVERED = "redelivered"
"""The reason of a record that was made ``delivered`` this way."""

# Records read at once. A body is made when its turn has come: the message may be redacted anew meanwhile.
_PAGE = 500

# So many posts in a row without any answer: the target is not there, and the rest would only take as many timeouts.
_SILENT_MOST = 20


class RedeliveryStore(Protocol):
    """What redelivery reads of :class:`gateway.store.store.Store`."""

    async def undelivered_page(
        self, which: Undelivered, limit: int, after: DeliveryRecord | None = None
    ) -> list[DeliveryRecord]:
        """A page of failed and dropped posts, by session and order in it."""

    async def undelivered_post(self, delivery_id: str) -> StoredPost | None:
        """One of them with its message as it is now; None if it is one no more."""


class Poster(Protocol):
    """What redelivery needs of :class:`gateway.delivery.target.Target`."""

    async def post(self, body: bytes, message_id: str | None = None) -> PostResult:
        """POST once."""


@dataclass(slots=True)
class Tally:
    """How it went: posts ``delivered``, ``failed`` again, and ``lost`` (there is nothing left to post).

    ``gone`` are those that somebody else delivered meanwhile, or that were removed with their call.
    ``gave_up`` is the reason of the last failure if the target stopped answering, else empty.
    """

    delivered: int = 0
    failed: int = 0
    lost: int = 0
    gone: int = 0
    gave_up: str = ""
    silent: int = 0

    @property
    def done(self) -> int:
        """Posts that were gone through."""
        return self.delivered + self.failed + self.lost + self.gone


async def redeliver(
    store: RedeliveryStore,
    writer: OutboxWriter,
    target: Poster,
    which: Undelivered,
    *,
    connections: int,
    on_progress: Callable[[Tally], None] = lambda _tally: None,
    on_failure: Callable[[StoredPost, str], None] = lambda _post, _reason: None,
) -> Tally:
    """Post them again: in order within a call, ``connections`` calls at a time, each post once.

    Outcomes are written down as they come. A failure does not hold the call's later posts back: they are late already.

    Raises:
        StoreError: the database cannot be read, or refused an outcome.
    """
    tally = Tally()
    lines = asyncio.Semaphore(connections)

    async def one_call(records: list[DeliveryRecord]) -> None:
        async with lines:
            for record in records:
                if tally.gave_up:
                    return
                post = await store.undelivered_post(record.delivery_id)
                if post is None:
                    tally.gone += 1
                elif reason := await _again(writer, target, post, tally):
                    on_failure(post, reason)
                on_progress(tally)

    after: DeliveryRecord | None = None
    while not tally.gave_up and (page := await store.undelivered_page(which, _PAGE, after)):
        after = page[-1]
        async with asyncio.TaskGroup() as group:
            for records in _by_call(page):
                group.create_task(one_call(records))
        await writer.barrier()
    return tally


def _by_call(page: Iterable[DeliveryRecord]) -> list[list[DeliveryRecord]]:
    return [list(records) for _, records in groupby(page, key=lambda one: one.call_id)]


async def _again(writer: OutboxWriter, target: Poster, post: StoredPost, tally: Tally) -> str:
    """Post once; the reason if that failed."""
    if post.message is None:
        tally.lost += 1
        return post.lost
    result = await target.post(stored_body(post.guid, post.message), post.delivery.message_id)
    now = datetime.now(UTC)
    if result.ok:
        tally.delivered += 1
        tally.silent = 0
        writer.submit(replace(post.delivery, outcome="delivered", reason=REDELIVERED, at=now))
        return ""
    tally.failed += 1
    tally.silent = 0 if result.status is not None else tally.silent + 1
    if tally.silent >= _SILENT_MOST:
        tally.gave_up = result.reason
    writer.submit(replace(post.delivery, outcome="failed", reason=result.reason, at=now))
    return result.reason
