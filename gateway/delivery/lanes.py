"""What the outbox works with: the lane of each call, and what it needs of the store and its writer."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.delivery.delivery import RecordWriter
from gateway.delivery.posts import Post
from gateway.store.outbox import StoredPost

__all__ = ["Lane", "OutboxStore", "OutboxWriter"]


class OutboxStore(Protocol):
    """What the outbox needs of :class:`gateway.store.store.Store`."""

    async def pending_calls(self, limit: int) -> list[str]:
        """Sessions with posts pending, the longest waiting first."""

    async def pending_posts(self, call_id: str, limit: int) -> list[StoredPost]:
        """The first pending posts of a session, in their order."""

    async def pending_size(self) -> tuple[int, datetime | None]:
        """How many posts are pending, and since when the oldest is."""


class OutboxWriter(RecordWriter, Protocol):
    """What the outbox needs of :class:`gateway.store.writer.Writer`."""

    def barrier(self) -> asyncio.Future[None]:
        """Done when all that was submitted before is committed."""


@dataclass(slots=True, eq=False)
class Lane:
    """The posts of one call: those in memory, and whether the database has ``more`` behind them.

    ``busy`` while it stands in a line, posts, is read back, or waits for its next try.
    """

    call_id: str
    posts: deque[Post] = field(default_factory=deque)
    more: bool = False
    loading: bool = False
    busy: bool = False
    failures: int = 0
    timer: asyncio.TimerHandle | None = None
