"""At-least-once delivery: a post stays in the database, pending, until the target takes it or it is given up.

The database is the outbox: the record ``pending`` that goes before every message. What fits is kept in memory as well
and posted from there; what does not, and what an earlier process left behind, is read back call by call. A call's
posts go one after another, and wait while its first one fails; other calls go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

from gateway.config import WebhookSettings
from gateway.delivery.backoff import Backoff
from gateway.delivery.lanes import Lane, OutboxStore, OutboxWriter
from gateway.delivery.payload import stored_body
from gateway.delivery.posts import Post, Unsent
from gateway.delivery.target import PostResult, Target
from gateway.delivery.webhook import FailureLog, count_delivered, result_label
from gateway.errors import StoreError
from gateway.metrics import (
    WEBHOOK_OUTBOX,
    WEBHOOK_OUTBOX_SECONDS,
    WEBHOOK_POSTS,
    WEBHOOK_QUEUE,
    WEBHOOK_RETRIES,
)
from gateway.store.outbox import StoredPost
from gateway.store.records import DeliveryRecord

__all__ = ["PERMANENT", "Outbox"]

logger = logging.getLogger(__name__)

PERMANENT = frozenset({400, 405, 410, 413, 414, 415, 422, 431, 501})
"""Statuses that say that this request will never do; what else is not 2xx may be mended meanwhile, and is retried."""

# How often the database is asked how much is pending, and whether there are calls that no lane is open for.
_SWEEP_SECONDS = 15.0

# Calls, and posts of one call, that are read back at once.
_LANES = 32
_PAGE = 64


class Outbox:
    """Posts to the target until each post is taken; a :class:`~gateway.delivery.delivery.Publisher`.

    Args:
        settings: the target and the bounds: in memory are ``queue_items`` posts, of as many calls, or ``queue_bytes``.
        store: where pending posts are read back from.
        writer: what became of a post goes there.
        backoff: how long a call waits after a failure.
        sweep_seconds: how often the database is looked at.
        target: None: made from the settings.

    Raises:
        ConfigError: the settings cannot work.
    """

    def __init__(
        self,
        settings: WebhookSettings,
        store: OutboxStore,
        writer: OutboxWriter,
        *,
        backoff: Backoff | None = None,
        sweep_seconds: float = _SWEEP_SECONDS,
        target: Target | None = None,
    ) -> None:
        self.unsent = Unsent()
        self._target = target or Target(settings)
        self._log = FailureLog(self._target.origin)
        self._settings = settings
        self._store = store
        self._writer = writer
        self._backoff = backoff or Backoff()
        self._sweep_seconds = sweep_seconds
        self._lanes: dict[str, Lane] = {}
        # Posts in memory, in number and bytes.
        self._items = 0
        self._bytes = 0
        self._ready: deque[Lane] = deque()
        self._to_load: deque[Lane] = deque()
        self._in_flight: dict[asyncio.Task[float | None], Lane] = {}
        # The database may have posts of calls without a lane: at first those of an earlier process.
        self._unlisted = True
        self._overflowed = False
        # Loop time before which nothing is sent: the target asked for it.
        self._held_until = float("-inf")
        self._wanted = asyncio.Event()
        self._room = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def waiting(self) -> int:
        """Posts in memory."""
        return self._items

    @property
    def held(self) -> bool:
        """Whether nothing is sent because the target asked for that."""
        return asyncio.get_running_loop().time() < self._held_until

    def start(self) -> None:
        """Take up what is pending in the database; once, when no earlier process uses it any more."""
        self._tasks = [
            asyncio.create_task(self._load_lanes(), name="outbox-load"),
            asyncio.create_task(self._sweep(), name="outbox-sweep"),
        ]

    def publish(self, post: Post) -> None:
        """Send the post when its turn comes; its record is on its way into the database."""
        if self._closed:
            return
        lane = self._lanes.get(post.call_id)
        if lane is None:
            if len(self._lanes) >= self._settings.queue_items:
                self._unlisted = self._overflowed = True
                return
            lane = self._lanes[post.call_id] = Lane(post.call_id, more=self._unlisted)
        if lane.more or lane.loading or self._full:
            lane.more = True
        else:
            self._keep(lane, post)
        self._advance(lane)

    @property
    def _full(self) -> bool:
        return self._items >= self._settings.queue_items or self._bytes >= self._settings.queue_bytes

    def _keep(self, lane: Lane, post: Post) -> None:
        lane.posts.append(post)
        self._items += 1
        self._bytes += post.size
        WEBHOOK_QUEUE.set(self._items)

    def _advance(self, lane: Lane) -> None:
        """What the lane does next, unless it is at something."""
        if lane.busy:
            return
        if lane.posts:
            lane.busy = True
            self._ready.append(lane)
            self._idle.clear()
            self._pump()
        elif lane.more:
            lane.busy = True
            self._to_load.append(lane)
            self._wanted.set()
        else:
            del self._lanes[lane.call_id]

    def _pump(self) -> None:
        while self._ready and len(self._in_flight) < self._settings.connections and not self.held:
            lane = self._ready.popleft()
            task = asyncio.create_task(self._post(lane), name="outbox-post")
            self._in_flight[task] = lane
            task.add_done_callback(self._posted)
        if not self._in_flight and not self._ready:
            self._idle.set()

    async def _post(self, lane: Lane) -> float | None:
        """Send the first post; seconds until it is tried again, None if it is done with."""
        post = lane.posts[0]
        if self._time_left(post) <= 0:
            # No reset of the failures: the next one is most likely as old.
            self._end(lane, post, "failed", f"expired after {post.reason}" if post.reason else "expired")
            return None
        result = await self._target.post(post.body, post.message_id)
        if result.ok:
            count_delivered(post)
            self._end(lane, post, "delivered", "")
        elif result.status in PERMANENT:
            self._end(lane, post, "failed", result.reason)
        else:
            return self._retry(lane, post, result)
        lane.failures = 0
        return None

    def _time_left(self, post: Post) -> float:
        return self._settings.retry_for - (datetime.now(UTC) - post.created_at).total_seconds()

    def _posted(self, task: asyncio.Task[float | None]) -> None:
        lane = self._in_flight.pop(task)
        if task.cancelled():
            # Closing: it stays pending.
            return
        error = task.exception()
        if error is not None:
            logger.error("webhook: post failed by our own mistake", exc_info=error)
        wait = task.result() if error is None else self._retry(lane, lane.posts[0], PostResult(None, 0.0, "internal"))
        if wait is None:
            lane.busy = False
            self._advance(lane)
        else:
            lane.timer = asyncio.get_running_loop().call_later(wait, self._resume, lane)
        self._pump()

    def _retry(self, lane: Lane, post: Post, result: PostResult) -> float:
        """Seconds for which its call waits, and with it the call's later posts."""
        lane.failures += 1
        post.reason = result.reason
        if result.retry_after:
            self._hold(result.retry_after)
        WEBHOOK_RETRIES.labels(result_label(result.reason)).inc()
        wait = min(max(self._backoff.delay(lane.failures), result.retry_after), max(0.0, self._time_left(post)))
        self._log.warn(f"failed ({result.reason}), next try in {wait:.1f} s")
        self._record(post, "pending", result.reason, post.created_at)
        return wait

    def _resume(self, lane: Lane) -> None:
        lane.timer = None
        lane.busy = False
        if not self._closed:
            self._advance(lane)

    def _hold(self, seconds: float) -> None:
        """Send nothing for a while: what the target says of one post it says of its own state."""
        loop = asyncio.get_running_loop()
        if loop.time() + seconds > self._held_until:
            self._held_until = loop.time() + seconds
            loop.call_at(self._held_until, self._pump)

    def _end(self, lane: Lane, post: Post, outcome: str, reason: str) -> None:
        lane.posts.popleft()
        self._items -= 1
        self._bytes -= post.size
        WEBHOOK_QUEUE.set(self._items)
        if not self._full:
            self._room.set()
        if reason:
            WEBHOOK_POSTS.labels(result_label(reason)).inc()
            self._log.warn(f"{outcome} ({reason})")
        self._record(post, outcome, reason, datetime.now(UTC))

    def _record(self, post: Post, outcome: str, reason: str, at: datetime) -> None:
        self._writer.submit(
            DeliveryRecord(post.delivery_id, post.call_id, post.message_id, post.sequence, outcome, reason, at)
        )

    # Reading back

    async def _load_lanes(self) -> None:
        """Some lanes at a time; not more than there is room for."""
        failures = 0
        while True:
            while not self._to_load:
                self._wanted.clear()
                await self._wanted.wait()
            while self._full:
                self._room.clear()
                await self._room.wait()
            try:
                await self._load(list(islice(self._to_load, _LANES)))
                failures = 0
            except Exception as error:
                failures += 1
                _log_store("pending posts cannot be read back", error)
                await asyncio.sleep(self._backoff.delay(failures))

    async def _load(self, lanes: list[Lane]) -> None:
        """The lanes that stand first; those that find no room stay there."""
        for lane in lanes:
            lane.loading, lane.more = True, False
        try:
            # Else posts just delivered would still be pending there, and be sent again; and new ones not there yet.
            # One wait for all of the lanes: it is a commit's time, the reading is not.
            await self._settled()
            for lane in lanes:
                if self._full:
                    break
                await self._fill(lane)
        finally:
            for lane in lanes:
                if lane.loading:
                    lane.loading, lane.more = False, True

    async def _fill(self, lane: Lane) -> None:
        # Calls that stand in line share the room: many calls with a post each go out faster than few with many.
        room = self._settings.queue_items - self._items
        limit = max(1, min(_PAGE, room // len(self._to_load)))
        found = await self._store.pending_posts(lane.call_id, limit)
        if len(found) == limit:
            lane.more = True
        for one in found:
            if lane.posts and self._full:
                lane.more = True
                break
            self._take_up(lane, one)
        self._to_load.popleft()
        lane.loading = lane.busy = False
        self._advance(lane)

    def _take_up(self, lane: Lane, one: StoredPost) -> None:
        record = one.delivery
        if one.message is None:
            WEBHOOK_POSTS.labels(one.lost).inc()
            self._writer.submit(replace(record, outcome="dropped", reason=one.lost, at=datetime.now(UTC)))
            return
        body = stored_body(one.guid, one.message)
        of = (record.delivery_id, record.call_id, record.message_id, record.sequence)
        redacted = not one.message.show_unredacted
        post = Post(*of, body, None, record.at, redacted=redacted, reason=record.reason)
        self.unsent.add(post)
        self._keep(lane, post)

    async def _settled(self) -> None:
        with suppress(StoreError):
            await asyncio.shield(self._writer.barrier())

    async def _sweep(self) -> None:
        """Open lanes for calls of which only the database knows; measure."""
        while True:
            try:
                if self._unlisted and len(self._lanes) < self._settings.queue_items:
                    await self._list()
                await self._measure()
            except Exception as error:
                _log_store("pending posts cannot be looked at", error)
            await asyncio.sleep(self._sweep_seconds)

    async def _list(self) -> None:
        limit = self._settings.queue_items
        self._overflowed = False
        await self._settled()
        call_ids = await self._store.pending_calls(limit)
        for call_id in call_ids:
            if call_id in self._lanes:
                continue
            if len(self._lanes) >= limit:
                return
            lane = self._lanes[call_id] = Lane(call_id, more=True)
            self._advance(lane)
        # Until here a new call's posts were left to the database as well, for it may have had earlier ones.
        self._unlisted = self._overflowed or len(call_ids) == limit

    async def _measure(self) -> None:
        count, oldest = await self._store.pending_size()
        WEBHOOK_OUTBOX.set(count)
        WEBHOOK_OUTBOX_SECONDS.set(0.0 if oldest is None else (datetime.now(UTC) - oldest).total_seconds())

    async def close(self, deadline: float = 0.0) -> None:
        """Send what is in memory and not waiting for a next try, for ``deadline`` seconds; the rest stays pending."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        with suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        for lane in self._lanes.values():
            if lane.timer is not None:
                lane.timer.cancel()
        self._ready.clear()
        for post in self._in_flight:
            post.cancel()
        if self._in_flight:
            await asyncio.wait(list(self._in_flight))
        await self._target.close()
        if self._lanes:
            logger.info("webhook: posts of %d calls stay pending for the next start", len(self._lanes))
        WEBHOOK_QUEUE.set(0)


def _log_store(what: str, error: Exception) -> None:
    """Only the store's own words are known to quote nothing."""
    logger.warning("webhook: %s: %s", what, error if isinstance(error, StoreError) else type(error).__name__)
