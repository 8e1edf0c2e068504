"""When feeds are built: every day the day before, and days that were missed; old ones are removed."""

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


class Accounts(Protocol):
    """Who has feeds; :class:`gateway.store.feeds.FeedQueries`."""

    async def accounts(self) -> list[AccountRecord]:
        """All accounts."""


class DayBuilder(Protocol):
    """Builds a day; :class:`gateway.export.build.Builder`, or :class:`gateway.export.aside.Aside`."""

    async def build(self, account_id: str, day: date, plan: Plan) -> list[Built]:
        """Build one day of one account."""


class Scheduler:
    """Builds what is due and missing, removes what is old; ``run`` does so for ever.

    Args:
        accounts: who has feeds.
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
        accounts: Accounts,
        builder: DayBuilder,
        storage: Storage,
        folder: Path,
        plan: Plan,
        calendar: Calendar,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._accounts = accounts
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
        """Build every due day that is missing, remove days that are too old; the number of days built.

        Raises:
            UsageError: another builder is at work.
            StoreError: the database or the storage is away.
        """
        built = 0
        async with alone(self._folder):
            due = self._calendar.due(self._now())
            missing = {
                account.account_id: await self._missing(account, due) for account in await self._accounts.accounts()
            }
            left = sum(map(len, missing.values()))
            FEED_DAYS_MISSING.set(left)
            for account_id, days in missing.items():
                for day, (feeds, formats) in days.items():
                    plan = replace(self._plan, feeds=feeds, formats=formats)
                    done = await self._builder.build(account_id, day, plan)
                    for one in done:
                        FEEDS_BUILT.labels(one.day.feed).inc()
                        FEED_ROWS.labels(one.day.feed).inc(one.rows)
                    rows = sum(one.rows for one in done if one.day.format == formats[0])
                    log.info("feeds built", account=account_id, day=str(day), rows=rows)
                    built += 1
                    FEED_DAYS_MISSING.set(left - built)
        return built

    async def _missing(self, account: AccountRecord, due: Sequence[date]) -> dict[date, tuple[_Names, _Names]]:
        """The due days that lack a feed in a format, with what they lack; removes what is too old on the way."""
        keys = await in_thread(partial(self._storage.keys, f"{account.account_id}/"))
        places = [place for place in map(parse, keys) if place is not None]
        oldest = self._calendar.oldest(self._now())
        old = [place.key for place in places if place.day.date < oldest]
        if old:
            # Markers sort behind hours; first out, so that no day is shown with some of its files.
            old.sort(key=lambda key: not key.endswith("/_SUCCESS"))
            await in_thread(partial(self._storage.remove, old))
            log.info("old feeds removed", account=account.account_id, files=len(old))
        there = {place.day for place in places if place.hour is None}
        since = account.created_at.astimezone(UTC).date()
        lacking = {day: self._lacking(account.account_id, day, there) for day in due if day >= since}
        return {day: what for day, what in lacking.items() if what[0]}

    def _lacking(self, account_id: str, day: date, there: Set[Day]) -> tuple[_Names, _Names]:
        wanted = [(feed, form) for feed in self._plan.feeds for form in self._plan.formats]
        lacks = [(feed, form) for feed, form in wanted if Day(account_id, feed, form, day) not in there]
        # A feed that is there in one of the formats may be built again with the others; it comes out the same.
        return tuple(dict.fromkeys(feed for feed, _ in lacks)), tuple(dict.fromkeys(form for _, form in lacks))


def _reason(error: Exception) -> str | None:
    # Only ours promise to hold no transcript text.
    return str(error) if isinstance(error, GatewayError) else None
