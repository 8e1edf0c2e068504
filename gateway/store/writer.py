"""The store's one writer: records are queued, committed in groups, and kept while the database is away.

The caller never waits for the disk unless it awaits the future that :meth:`Writer.submit` returns. While the
database fails the records stay in a bounded queue and are tried again; a record that is refused for itself
is set aside, so that it holds up nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import DatabaseError, DBAPIError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from gateway.errors import StoreError
from gateway.metrics import STORE_DROPPED, STORE_FAILED, STORE_QUEUE, STORE_SECONDS
from gateway.store.crypto import TextCipher
from gateway.store.database import explain
from gateway.store.records import DeliveryRecord, RevisionRecord
from gateway.store.rows import Record, size_of, write

if TYPE_CHECKING:
    from gateway.store.store import Store

__all__ = ["Writer"]

logger = logging.getLogger(__name__)

# Group commit: this many rows, or what comes within this time of the last commit (design, "Store").
GROUP_ROWS = 256
GROUP_SECONDS = 0.010

# That a post was delivered can wait for company: nobody does for it, and it saves every second commit.
LAZY_SECONDS = 0.1

# A commit that runs longer makes the store unhealthy.
SLOW_COMMIT_SECONDS = 1.0

_RETRY_FIRST = 0.1
_RETRY_MOST = 5.0


@dataclass(slots=True)
class _Waiting:
    record: Record
    size: int
    done: asyncio.Future[None]


class Writer:
    """One task that commits what is submitted, in order.

    Args:
        store: where to.
        max_rows: records that may wait; the oldest is dropped beyond, revisions last.
        max_bytes: about how many bytes they may hold.
    """

    def __init__(self, store: Store, *, max_rows: int = 50_000, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._store = store
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        # Something waits that is not lazy.
        self._urgent = asyncio.Event()
        self._closed = asyncio.Event()
        # Loop time at which the running commit began.
        self._commit_began: float | None = None
        self._last_commit = 0.0
        self._failed = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to write; on a running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="store-writer")

    @property
    def healthy(self) -> bool:
        """False while the last commit failed, or one has been running for over a second."""
        died = self._task is not None and self._task.done() and not self._closed.is_set()
        if self._failed or died:
            return False
        began = self._commit_began
        return began is None or asyncio.get_running_loop().time() - began <= SLOW_COMMIT_SECONDS

    @property
    def idle(self) -> bool:
        """Whether no commit is running."""
        return self._commit_began is None

    @property
    def backlog(self) -> int:
        """Records that are not committed yet."""
        return len(self._queue)

    def submit(self, record: Record) -> asyncio.Future[None]:
        """Queue a record; the future is done when it is committed.

        It ends in :class:`~gateway.errors.StoreError` if the record is refused or dropped; nobody has to
        await it.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        item = _Waiting(record, size_of(record), done)
        if self._closed.is_set():
            _refuse(item, "the store is closed")
            return done
        self.start()
        self._queue.append(item)
        self._bytes += item.size
        while len(self._queue) > 1 and (len(self._queue) > self._max_rows or self._bytes > self._max_bytes):
            self._drop_oldest()
        STORE_QUEUE.set(len(self._queue))
        self._arrived.set()
        if not _is_lazy(record) or len(self._queue) >= GROUP_ROWS:
            self._urgent.set()
        return done

    def barrier(self) -> asyncio.Future[None]:
        """Done when all that was submitted before is committed; ends in a StoreError if the last of it is not."""
        if self._queue:
            self._urgent.set()
            return self._queue[-1].done
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def close(self, timeout: float = 5.0) -> bool:
        """Commit what waits, for ``timeout`` seconds at most; False if records were lost."""
        self._closed.set()
        self._arrived.set()
        self._urgent.set()
        if self._task is not None:
            _, late = await asyncio.wait({self._task}, timeout=timeout)
            if late:
                self._task.cancel()
                await asyncio.wait({self._task})
        lost = len(self._queue)
        while self._queue:
            self._drop(self._queue.popleft(), "the store was closed")
        if lost:
            logger.error("store closed with %d records not committed", lost)
        return lost == 0

    def _drop_oldest(self) -> None:
        """Revisions go last: without them the database would keep showing what has been found to be a secret."""
        but_the_newest = enumerate(islice(self._queue, len(self._queue) - 1))
        oldest = next((at for at, item in but_the_newest if not isinstance(item.record, RevisionRecord)), 0)
        item = self._queue[oldest]
        del self._queue[oldest]
        self._drop(item, "the queue of the store is full")

    def _drop(self, item: _Waiting, reason: str) -> None:
        self._bytes -= item.size
        STORE_DROPPED.inc()
        STORE_QUEUE.set(len(self._queue))
        _refuse(item, reason)

    async def _run(self) -> None:
        delay = _RETRY_FIRST
        while True:
            batch = await self._gather()
            if not batch:
                return
            try:
                refused = await self._commit(batch)
            except Exception as error:
                STORE_FAILED.inc()
                if not self._failed:
                    logger.error("store: commit failed, %d records wait: %s", len(self._queue), _why(error))
                self._failed = True
                self._urgent.set()
                await self._pause(delay)
                delay = _RETRY_FIRST if self._closed.is_set() else min(delay * 2, _RETRY_MOST)
                continue
            if self._failed:
                logger.info("store: commits again")
            self._failed = False
            delay = _RETRY_FIRST
            self._settle(batch, refused)

    async def _gather(self) -> list[_Waiting]:
        """The next group; stays in the queue until it is committed. Empty at the end."""
        while not self._queue:
            if self._closed.is_set():
                return []
            self._arrived.clear()
            await self._arrived.wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(LAZY_SECONDS):
                await self._urgent.wait()
        # A lone record goes at once; under load a commit takes what came since the last one.
        wait = self._last_commit + GROUP_SECONDS - asyncio.get_running_loop().time()
        if wait > 0 and len(self._queue) < GROUP_ROWS and not self._closed.is_set():
            await asyncio.sleep(wait)
        batch = list(islice(self._queue, GROUP_ROWS))
        if _is_pending(batch[-1].record) and len(self._queue) > len(batch):
            # Its message is next: alone it would look, to who reads the database now, as if that one were lost.
            batch.append(self._queue[len(batch)])
        if len(batch) == len(self._queue) and not self._closed.is_set():
            self._urgent.clear()
        return batch

    async def _pause(self, delay: float) -> None:
        """Wait before the next try; closing cuts the wait short."""
        if self._closed.is_set():
            await asyncio.sleep(_RETRY_FIRST)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._closed.wait()

    async def _commit(self, batch: Sequence[_Waiting]) -> dict[int, str]:
        """Commit a group; which of its records (by index) were refused for themselves, and why.

        Raises:
            SQLAlchemyError, OSError: the database is away; the same records can be written again.
            Exception: so they can after anything else, which is a bug of ours or of a driver.
        """
        loop = asyncio.get_running_loop()
        self._commit_began = loop.time()
        try:
            with STORE_SECONDS.time():
                try:
                    await self._write([item.record for item in batch])
                except Exception as error:
                    if _is_outage(error):
                        raise
                    return await self._write_singly(batch)
                return {}
        finally:
            self._commit_began = None
            self._last_commit = loop.time()

    async def _write(self, records: Sequence[Record]) -> None:
        await self._store.transactions.run(lambda connection: write(connection, records, self._store.cipher))

    async def _write_singly(self, batch: Sequence[_Waiting]) -> dict[int, str]:
        records = [item.record for item in batch]
        return await self._store.transactions.run(lambda connection: _each(connection, records, self._store.cipher))

    def _settle(self, batch: Sequence[_Waiting], refused: dict[int, str]) -> None:
        """Take a committed group out of the queue; records may have been dropped from its front meanwhile."""
        for index, item in enumerate(batch):
            if self._queue and self._queue[0] is item:
                self._queue.popleft()
                self._bytes -= item.size
            if index in refused:
                STORE_DROPPED.inc()
                kind = type(item.record).__name__
                logger.error("store: a %s was refused (%s) and is lost", kind, refused[index])
                _refuse(item, f"the database refused the record ({refused[index]})")
            elif not item.done.done():
                item.done.set_result(None)
        STORE_QUEUE.set(len(self._queue))


def _each(connection: Connection, records: Sequence[Record], cipher: TextCipher) -> dict[int, str]:
    """Write each record for itself; which ones were refused, and why."""
    refused: dict[int, str] = {}
    for index, record in enumerate(records):
        try:
            with connection.begin_nested():
                write(connection, [record], cipher)
        except Exception as error:
            if _is_outage(error):
                raise
            refused[index] = type(error).__name__
    return refused


def _is_outage(error: Exception) -> bool:
    """Whether the database failed, not the record: then everything waits instead of being refused."""
    if isinstance(error, (OSError, PoolTimeout)):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated or isinstance(error, (OperationalError, InternalError)):
        return True
    # SQLite says "malformed" and "not a database" with the base class itself.
    return type(error) is DatabaseError


def _why(error: Exception) -> str:
    """What the log says of a failed commit; only the database's own words are known to quote no record."""
    return explain(error) if isinstance(error, (SQLAlchemyError, OSError)) else type(error).__name__


def _is_lazy(record: Record) -> bool:
    return isinstance(record, DeliveryRecord) and record.outcome == "delivered"


def _is_pending(record: Record) -> bool:
    return isinstance(record, DeliveryRecord) and record.outcome == "pending"


def _refuse(item: _Waiting, reason: str) -> None:
    if not item.done.done():
        item.done.set_exception(StoreError(reason))
        # Marked as seen: the log has it already, and nobody has to await the future.
        item.done.exception()
