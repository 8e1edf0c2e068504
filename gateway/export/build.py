"""Builds a day of an account's feeds: written aside, then put in place, marked complete last.

Exactly once: a day's rows are the messages created on it (UTC), in the order of their ids, so a day that is built again
comes out byte for byte the same, and a message is in one day only. Crash-safe: what is half written lies in a folder of
its own that the next run clears; while files are put in place the day has no marker, and a day without its marker is
not there for readers and is built again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.errors import StoreError, UsageError
from gateway.export.formats import RowWriter, file_name, open_rows
from gateway.export.partitions import SUCCESS, Day
from gateway.export.rows import FEEDS, ConversationStates, Row, Terms, utterance_rows, utterance_state_rows
from gateway.export.storage import Storage
from gateway.store.records import CallRecord, MessageRecord

__all__ = ["Builder", "Built", "Plan", "Spoken", "alone", "in_thread"]

T = TypeVar("T")

LOCK_FILE = "feeds.lock"
SPOOL = ".building"

Said = Sequence[tuple[CallRecord, MessageRecord]]


class Spoken(Protocol):
    """Where messages come from; :class:`gateway.store.feeds.FeedQueries`."""

    def spoken(
        self, account_id: str, start: datetime, end: datetime, *, unredacted: bool = False
    ) -> AsyncIterator[list[tuple[CallRecord, MessageRecord]]]:
        """The account's messages created in a stretch of time, chunk by chunk."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is built: feeds by format; gzip; how rows are made. ``complete`` false: a day that is not over, unmarked."""

    feeds: tuple[str, ...] = tuple(FEEDS)
    formats: tuple[str, ...] = ("jsonl", "csv")
    gzip: bool = False
    terms: Terms = field(default_factory=Terms)
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one day of one feed in one format."""

    day: Day
    rows: int
    files: int
    bytes: int


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work on a worker thread; a cancelled caller waits for its end, so that nothing is left running."""
    done = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        await asyncio.wait({done})
        raise


@asynccontextmanager
async def alone(folder: Path) -> AsyncIterator[None]:
    """Hold the folder that feeds are made in, against other builders of this machine; a kill lets go of it, too.

    Raises:
        UsageError: another one builds.
        StoreError: the folder cannot be made or locked.
    """
    descriptor = await in_thread(partial(_lock, folder))
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # What a builder that died has left behind.
        shutil.rmtree(folder / SPOOL, ignore_errors=True)
    except BlockingIOError:
        os.close(descriptor)
        msg = f"feeds are being built in {folder} right now; try again when that is done"
        raise UsageError(msg, exit_code=1) from None
    except OSError as error:
        os.close(descriptor)
        raise _unwritable(folder, error) from error
    return descriptor


class Builder:
    """Builds days.

    Args:
        source: the messages.
        storage: where finished files go.
        folder: where files are made: of the same file system, if storage is a folder; held with :func:`alone`.
    """

    def __init__(self, source: Spoken, storage: Storage, folder: Path) -> None:
        self._source = source
        self._storage = storage
        self._folder = folder

    async def build(
        self, account_id: str, day: date, plan: Plan, on_hour: Callable[[], None] = lambda: None
    ) -> list[Built]:
        """Build, or build again, one day of one account.

        Args:
            account_id: whose.
            day: UTC.
            plan: what.
            on_hour: called after each of the day's 24 hours.

        Raises:
            StoreError: the database or the storage is away; the day has no marker then, or its old one and old files.
        """
        spool = self._folder / SPOOL / f"{account_id}.{day}"
        pages = [Day(account_id, feed, form, day) for feed in plan.feeds for form in plan.formats]
        work = _Work(spool, plan, pages)
        try:
            await in_thread(work.begin)
            midnight = datetime.combine(day, time(), UTC)
            for hour in range(24):
                start = midnight + timedelta(hours=hour)
                end = start + timedelta(hours=1)
                async for said in self._source.spoken(account_id, start, end, unredacted=plan.terms.unredacted):
                    await in_thread(partial(work.write, hour, said))
                await in_thread(partial(work.end_hour, hour))
                on_hour()
            return [await self._publish(page, work) for page in pages]
        finally:
            await in_thread(work.abandon)

    async def _publish(self, page: Day, work: _Work) -> Built:
        """Put a day's files in place. In steps, so that a cancelled build ends after the file that it is at."""
        storage, files = self._storage, work.files(page)
        there = await in_thread(partial(storage.keys, page.prefix))
        markers = [key for key in there if key.endswith(f"/{SUCCESS}")]
        # The day's own first: from here to the end the day is not there for readers.
        markers.sort(key=lambda key: key != page.success)
        await in_thread(partial(storage.remove, markers))
        sizes = [await in_thread(partial(_put, storage, key, path)) for key, path in files.items()]
        await in_thread(partial(storage.remove, set(there) - set(files) - set(markers)))
        if work.plan.complete:
            hours = [f"{key.rpartition('/')[0]}/{SUCCESS}" for key in files]
            for marker in (*hours, page.success):
                await in_thread(partial(storage.mark, marker))
        return Built(page, work.counts[page], len(files), sum(sizes))


def _put(storage: Storage, key: str, path: Path) -> int:
    size = path.stat().st_size
    storage.put(key, path)
    return size


class _Work:
    """Files in the making. For one worker thread at a time."""

    def __init__(self, spool: Path, plan: Plan, pages: Sequence[Day]) -> None:
        self.plan = plan
        self.counts = dict.fromkeys(pages, 0)
        self._spool = spool
        self._open: dict[Day, RowWriter] = {}
        self._made: dict[Day, dict[str, Path]] = {page: {} for page in pages}
        self._states = ConversationStates(plan.terms)

    def begin(self) -> None:
        try:
            self._spool.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise _unwritable(self._spool.parent.parent, error) from error

    def write(self, hour: int, said: Said) -> None:
        terms = self.plan.terms
        if "utterances" in self.plan.feeds:
            self._append("utterances", hour, [row for c, m in said for row in utterance_rows(c, (m,), terms)])
        if "staging_utterance_state" in self.plan.feeds:
            states = [row for c, m in said for row in utterance_state_rows(c, (m,), terms)]
            self._append("staging_utterance_state", hour, states)
        if "staging_conversation_state" in self.plan.feeds:
            for call, message in said:
                self._states.add(call, message)

    def end_hour(self, hour: int) -> None:
        if rows := list(self._states.rows()):
            self._append("staging_conversation_state", hour, rows)
        while self._open:
            _, writer = self._open.popitem()
            try:
                writer.close()
            except OSError as error:
                raise _unwritable(self._spool.parent.parent, error) from error

    def _append(self, feed: str, hour: int, rows: Sequence[Row]) -> None:
        for page in self.counts:
            if page.feed != feed:
                continue
            try:
                if page not in self._open:
                    self._open[page] = self._new(page, hour)
                self._open[page].write(rows)
            except OSError as error:
                raise _unwritable(self._spool.parent.parent, error) from error
            self.counts[page] += len(rows)

    def _new(self, page: Day, hour: int) -> RowWriter:
        name = file_name(page.feed, page.format, compressed=self.plan.gzip)
        path = self._spool / f"{hour:02}.{name}"
        self._made[page][page.key(hour, name)] = path
        return open_rows(path, page.format, FEEDS[page.feed], compressed=self.plan.gzip)

    def files(self, page: Day) -> dict[str, Path]:
        """The finished files by their keys."""
        return self._made[page]

    def abandon(self) -> None:
        """Close what is open and remove what was not put in place."""
        for writer in self._open.values():
            with contextlib.suppress(OSError):
                writer.close()
        shutil.rmtree(self._spool, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    return StoreError(f"{folder}: feeds cannot be made here ({reason}); it must be a folder we may write, with room")
