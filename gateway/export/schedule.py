"""When feeds are built: every day the day before, and days that were missed or have changed; old ones are removed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from gateway.errors import GatewayError, UsageError
from gateway.export.build import Built, Plan, alone, in_thread
from gateway.export.partitions import Day, parse
from gateway.export.storage import Storage
from gateway.metrics import FEED_DAYS_MISSING, FEED_ROWS, FEEDS_BUILT, FEEDS_FAILED
from gateway.store.feeds import AccountRecord

__all__ = ["Calendar", "DayBuilder", "Scheduler", "days_between"]

log = structlog.get_logger(__name__)

_Names = tuple[str, ...]

# The clock of the machine may be set: it is looked at once an hour, and again soon after something failed.
LOOK_S = 3600.0
AGAIN_S = 300.0

# So many days in a row that cannot be built: it is not the days.
_FAILURES_MOST = 3


def days_between(first: date, last: date) -> list[date]:
    """All days from the first to the last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are due, can still be built, and are to be forgotten.

    Args:
        at: time of day, UTC, from which the day before is due.
        messages_days: days that messages are kept after their call's end.
        feeds_days: days that feeds are kept.
    """

    at: time
    messages_days: int
    feeds_days: int

    def earliest(self, now: datetime) -> date:
        """The first day of which all messages are still there."""
        return (now - timedelta(days=self.messages_days)).astimezone(UTC).date() + timedelta(days=1)

    def due(self, now: datetime) -> list[date]:
        """The days that should have been built by now, and can be."""
        now = now.astimezone(UTC)
        newest = now.date() - timedelta(days=1 if now.time() >= self.at else 2)
        return days_between(max(self.earliest(now), self.oldest(now)), newest)

    def oldest(self, now: datetime) -> date:
        """The first day whose feeds are kept."""
        return now.astimezone(UTC).date() - timedelta(days=self.feeds_days)

    def seconds_to_next(self, now: datetime) -> float:
        """Until the next day is due."""
        now = now.astimezone(UTC)
        today = datetime.combine(now.date(), self.at, UTC)
        return (today + timedelta(days=now >= today) - now).total_seconds()


class FeedSource(Protocol):
    """Who has feeds, and which days have changed since; :class:`gateway.store.feeds.FeedQueries`."""

    async def accounts(self) -> list[AccountRecord]:
        """All accounts."""

    async def changed(self, account_id: str) -> dict[date, list[str]]:
        """Days whose feeds may lack what came or was redacted anew since, with the ids of these changes."""

    async def settle(self, change_ids: Sequence[str]) -> None:
        """Forget changes: they are in the feeds."""


@dataclass(frozen=True, slots=True)
class _Order:
    """A day to be built, with what; ``changes`` are in it then."""

    account_id: str
    day: date
    feeds: _Names
    formats: _Names
    changes: Sequence[str] = ()


class DayBuilder(Protocol):
    """Builds a day; :class:`gateway.export.build.Builder`, or :class:`gateway.export.aside.Aside`."""

    async def build(self, account_id: str, day: date, plan: Plan) -> list[Built]:
        """Build one day of one account."""


class Scheduler:
    """Builds what is due and missing or has changed, removes what is old; ``run`` does so for ever.

    Args:
        source: who has feeds, and what has changed in them.
        builder: builds.
        storage: where the builder puts files.
        folder: what the builder holds while it works.
        plan: what is built.
        calendar: when.
        now: the clock; UTC and aware.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        source: FeedSource,
        builder: DayBuilder,
        storage: Storage,
        folder: Path,
        plan: Plan,
        calendar: Calendar,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._source = source
        self._builder = builder
        self._storage = storage
        self._folder = folder
        self._plan = plan
        self._calendar = calendar
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Catch up, then wait for the next day; a failure is logged and tried again."""
        while True:
            good = await self._attempt()
            wait = min(self._calendar.seconds_to_next(self._now()), LOOK_S if good else AGAIN_S)
            await self._sleep(wait)

    async def _attempt(self) -> bool:
        try:
            await self.catch_up()
        except UsageError:
            log.info("feeds are being built by another process")
            return False
        except Exception as error:
            FEEDS_FAILED.inc()
            log.warning("building feeds failed", error=type(error).__name__, reason=_reason(error))
            return False
        return True

    async def catch_up(self) -> int:
        """Build every due day that is missing or has changed, remove days that are too old; the number of days built.

        A day that cannot be built holds up no other, unless several in a row cannot.

        Raises:
            UsageError: another builder is at work.
            StoreError: the database or the storage is away, or a day could not be built.
        """
        built = 0
        failures: list[Exception] = []
        async with alone(self._folder):
            due = self._calendar.due(self._now())
            orders = [one for account in await self._source.accounts() for one in await self._orders(account, due)]
            FEED_DAYS_MISSING.set(len(orders))
            in_a_row = 0
            for order in orders:
                try:
                    await self._build(order)
                except Exception as error:
                    failures.append(error)
                    in_a_row += 1
                    if in_a_row == _FAILURES_MOST:
                        break
                    continue
                in_a_row = 0
                built += 1
                FEED_DAYS_MISSING.set(len(orders) - built)
        if failures:
            raise failures[0]
        return built

    async def _build(self, order: _Order) -> None:
        plan = replace(self._plan, feeds=order.feeds, formats=order.formats)
        done = await self._builder.build(order.account_id, order.day, plan)
        # A change that came while the day was read has another id, and is built next time.
        await self._source.settle(order.changes)
        for one in done:
            FEEDS_BUILT.labels(one.day.feed).inc()
            FEED_ROWS.labels(one.day.feed).inc(one.rows)
        rows = sum(one.rows for one in done if one.day.format == order.formats[0])
        log.info("feeds built", account=order.account_id, day=str(order.day), rows=rows)

    async def _orders(self, account: AccountRecord, due: Sequence[date]) -> list[_Order]:
        """The due days to be built; what is too old is removed on the way."""
        there = await self._kept(account.account_id)
        changed = await self._source.changed(account.account_id)
        since = account.created_at.astimezone(UTC).date()
        orders = (
            self._order(account.account_id, day, there, changed[day])
            if day in changed
            else self._lacking(account.account_id, day, there)
            for day in due
            if day >= since
        )
        return [order for order in orders if order.feeds]

    async def _kept(self, account_id: str) -> set[Day]:
        """The complete days of the account's feeds, without those that are too old: these are removed."""
        keys = await in_thread(partial(self._storage.keys, f"{account_id}/"))
        places = [place for place in map(parse, keys) if place is not None]
        oldest = self._calendar.oldest(self._now())
        old = [place.key for place in places if place.day.date < oldest]
        if old:
            # Markers sort behind hours; first out, so that no day is shown with some of its files.
            old.sort(key=lambda key: not key.endswith("/_SUCCESS"))
            await in_thread(partial(self._storage.remove, old))
            log.info("old feeds removed", account=account_id, files=len(old))
        return {place.day for place in places if place.hour is None and place.day.date >= oldest}

    def _order(self, account_id: str, day: date, there: Set[Day], changes: Sequence[str]) -> _Order:
        """All of a day, in the formats of other settings, too, that it is kept in."""
        kept = sorted({one.format for one in there if one.date == day})
        formats = tuple(dict.fromkeys((*self._plan.formats, *kept)))
        return _Order(account_id, day, self._plan.feeds, formats, changes)

    def _lacking(self, account_id: str, day: date, there: Set[Day]) -> _Order:
        wanted = [(feed, form) for feed in self._plan.feeds for form in self._plan.formats]
        lacks = [(feed, form) for feed, form in wanted if Day(account_id, feed, form, day) not in there]
        # A feed that is there in one of the formats may be built again with the others; it comes out the same.
        feeds, formats = (tuple(dict.fromkeys(names)) for names in zip(*lacks, strict=True)) if lacks else ((), ())
        return _Order(account_id, day, feeds, formats)


def _reason(error: Exception) -> str | None:
    # Only ours promise to hold no transcript text.
    return str(error) if isinstance(error, GatewayError) else None
