"""The webhook publisher: each post once, in order within a call, bounded on the whole.

A post that fails is not repeated (reference: "no retry ever"); its outcome goes to ``on_outcome`` with a word for the
reason. Neither the text of a post nor the target's answer is ever logged.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from gateway.config import WebhookSettings
from gateway.delivery.posts import Post, Unsent
from gateway.delivery.target import PostResult, Target
from gateway.ids import new_stream_id, new_ulid
from gateway.metrics import DELIVERY_SECONDS, WEBHOOK_DROPPED, WEBHOOK_POSTS, WEBHOOK_QUEUE

__all__ = ["FailureLog", "OnOutcome", "PostResult", "WebhookPublisher", "count_delivered", "result_label"]

logger = logging.getLogger(__name__)

# A dead target would otherwise fill the log as fast as people talk.
_LOG_SECONDS = 1.0


OnOutcome = Callable[[Post, str, str], None]
"""Called with the post, ``delivered``, ``failed`` or ``dropped``, and the reason (empty when delivered)."""


def result_label(reason: str) -> str:
    """A reason as a label: of a status its hundred only, of ``expired after …`` the first word; it keeps series few."""
    reason = reason.partition(" after ")[0]
    word, status, number = reason.partition("status ")
    return f"{word}{status}{number[:1]}xx" if status else reason


def count_delivered(post: Post) -> None:
    """For the metrics: the target took the post just now."""
    WEBHOOK_POSTS.labels("delivered").inc()
    if post.endpoint_at is not None:
        DELIVERY_SECONDS.observe(asyncio.get_running_loop().time() - post.endpoint_at)


class FailureLog:
    """Log lines about a target, by its origin: one a second at the most, which tells how many more there were."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._logged_at = float("-inf")
        self._unlogged = 0

    def warn(self, what: str) -> None:
        """A post did not arrive."""
        now = asyncio.get_running_loop().time()
        if now - self._logged_at < _LOG_SECONDS:
            self._unlogged += 1
            return
        more = f", and {self._unlogged} more since the last line" if self._unlogged else ""
        logger.warning("webhook %s: post %s%s", self._origin, what, more)
        self._logged_at, self._unlogged = now, 0


class WebhookPublisher:
    """Posts to the target: one in flight a call, ``connections`` in all, the oldest waiting dropped first.

    Args:
        settings: the target and the bounds.
        on_outcome: told once about each post, on the loop.

    Raises:
        ConfigError: the settings cannot work.
    """

    def __init__(self, settings: WebhookSettings, *, on_outcome: OnOutcome) -> None:
        self.unsent = Unsent()
        self._target = Target(settings)
        self._on_outcome = on_outcome
        self._max_items = settings.queue_items
        self._max_bytes = settings.queue_bytes
        self._max_in_flight = settings.connections
        # What waits, oldest first, on the whole and by call.
        self._waiting: OrderedDict[str, Post] = OrderedDict()
        self._by_call: dict[str, deque[Post]] = {}
        self._bytes = 0
        # Calls with posts waiting and none in flight; each in turn.
        self._ready: deque[str] = deque()
        self._in_flight: dict[asyncio.Task[None], Post] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self._closed = False
        self._log = FailureLog(self._target.origin)

    @property
    def waiting(self) -> int:
        """Posts that wait for their turn."""
        return len(self._waiting)

    def publish(self, post: Post) -> None:
        """Send the post when its turn comes; the oldest waiting ones are dropped for it when there is no room."""
        if self._closed:
            self._drop(post, "shutdown")
            return
        self._idle.clear()
        self._waiting[post.delivery_id] = post
        self._bytes += post.size
        queue = self._by_call.get(post.call_id)
        if queue is None:
            self._by_call[post.call_id] = deque((post,))
            self._ready.append(post.call_id)
        else:
            queue.append(post)
        self._pump()
        while len(self._waiting) > 1 and (len(self._waiting) > self._max_items or self._bytes > self._max_bytes):
            self._drop_oldest("queue_full")
        WEBHOOK_QUEUE.set(len(self._waiting))

    def _pump(self) -> None:
        while self._ready and len(self._in_flight) < self._max_in_flight:
            call_id = self._ready.popleft()
            queue = self._by_call[call_id]
            if not queue:
                del self._by_call[call_id]
                continue
            post = queue.popleft()
            del self._waiting[post.delivery_id]
            self._bytes -= post.size
            task = asyncio.create_task(self._send(post), name="webhook-post")
            self._in_flight[task] = post
            task.add_done_callback(self._sent)
        WEBHOOK_QUEUE.set(len(self._waiting))

    async def _send(self, post: Post) -> None:
        result = await self._target.post(post.body, post.message_id)
        if result.ok:
            count_delivered(post)
            self._on_outcome(post, "delivered", "")
        else:
            self._fail(post, result.reason)

    def _sent(self, task: asyncio.Task[None]) -> None:
        """A post has ended: the call's next one stands in line."""
        post = self._in_flight.pop(task)
        if task.cancelled():
            self._fail(post, "shutdown")
        elif (error := task.exception()) is not None:
            logger.error("webhook: post failed by our own mistake", exc_info=error)
            self._fail(post, "internal")
        if self._by_call[post.call_id]:
            self._ready.append(post.call_id)
        else:
            del self._by_call[post.call_id]
        self._pump()
        if not self._in_flight and not self._waiting:
            self._idle.set()

    def _fail(self, post: Post, reason: str) -> None:
        WEBHOOK_POSTS.labels(result_label(reason)).inc()
        self._log.warn(f"failed ({reason})")
        self._on_outcome(post, "failed", reason)

    def _drop_oldest(self, reason: str) -> None:
        _, post = self._waiting.popitem(last=False)
        # Within a call the oldest is the first; its queue stays listed until `_pump` or `_sent` finds it empty.
        self._by_call[post.call_id].popleft()
        self._bytes -= post.size
        self._drop(post, reason)

    def _drop(self, post: Post, reason: str) -> None:
        WEBHOOK_DROPPED.labels(reason).inc()
        self._log.warn(f"dropped ({reason})")
        self._on_outcome(post, "dropped", reason)

    async def send_test(self) -> PostResult:
        """Post one transcript that says it is a test; for ``gateway webhook test``."""
        body = {
            "type": "transcript",
            "externalConversationId": "gateway-webhook-test",
            "streamId": new_stream_id(),
            "sender": {"externalId": "gateway", "role": "agent"},
            "autotranscribeResponse": {
                "message": "transcript",
                "start": 0,
                "end": 0,
                "utterance": [{"text": f"Test of the webhook, {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}."}],
            },
        }
        return await self._target.post(orjson.dumps(body), new_ulid())

    async def close(self, deadline: float = 0.0) -> None:
        """Send what waits, for ``deadline`` seconds at most; what is left then is dropped (``shutdown``)."""
        self._closed = True
        try:
            async with asyncio.timeout(deadline):
                await self._idle.wait()
        except TimeoutError:
            while self._waiting:
                self._drop_oldest("shutdown")
            in_flight = list(self._in_flight)
            for task in in_flight:
                task.cancel()
            if in_flight:
                await asyncio.wait(in_flight)
        await self._target.close()
        WEBHOOK_QUEUE.set(0)
