"""When days are built, with a clock that the test turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from gateway.errors import StoreError, UsageError
from gateway.export.build import Builder, Built, Plan, alone
from gateway.export.partitions import Day, parse
from gateway.export.schedule import AGAIN_S, LOOK_S, Calendar, Scheduler, days_between
from gateway.export.storage import Folder
from gateway.store.feeds import AccountRecord, FeedQueries
from gateway.store.records import RevisionRecord
from gateway.store.rows import Record, write
from gateway.store.schema import accounts
from gateway.store.store import Store

from .samples import a_call, a_message, opened, three_days

CALENDAR = Calendar(time(2), messages_days=7, feeds_days=32)

ONE = Plan(feeds=("utterances",), formats=("jsonl",))


def at(day: int, hour: int = 2, minute: int = 0) -> datetime:
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


class TestCalendar:
    def test_yesterday_is_due_at_two(self) -> None:
        assert CALENDAR.due(at(10, 1, 59))[-1] == date(2026, 3, 8)
        assert CALENDAR.due(at(10, 2, 0))[-1] == date(2026, 3, 9)

    def test_it_reaches_as_far_back_as_messages_do(self) -> None:
        # A call that ended on the 3rd at 00:30 is removed on the 10th at 00:30.
        assert CALENDAR.due(at(10))[0] == CALENDAR.earliest(at(10)) == date(2026, 3, 4)
        assert CALENDAR.due(at(10)) == days_between(date(2026, 3, 4), date(2026, 3, 9))

    def test_the_least_retention_still_has_yesterday(self) -> None:
        for late in (time(0), time(23, 59)):
            now = datetime.combine(date(2026, 3, 10), late, UTC)
            assert Calendar(late, 2, 32).due(now) == [date(2026, 3, 9)]

    def test_no_day_is_built_that_would_be_removed(self) -> None:
        assert Calendar(time(2), 100, 3).due(at(10)) == days_between(date(2026, 3, 7), date(2026, 3, 9))

    def test_seconds_to_next(self) -> None:
        assert CALENDAR.seconds_to_next(at(10, 1, 59)) == 60
        assert CALENDAR.seconds_to_next(at(10, 2, 0)) == 86_400

    def test_times_of_other_zones_are_utc(self) -> None:
        from datetime import timezone

        there = at(10, 2).astimezone(timezone(timedelta(hours=-8)))
        assert CALENDAR.due(there) == CALENDAR.due(at(10, 2))
        assert CALENDAR.seconds_to_next(there) == 86_400


class Clock:
    """A clock that only a sleep turns; the sleeper is stopped when it has slept often enough."""

    def __init__(self, now: datetime, sleeps: int = 1) -> None:
        self.now = now
        self.slept: list[float] = []
        self._sleeps = sleeps

    def __call__(self) -> datetime:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += timedelta(seconds=seconds)
        if len(self.slept) >= self._sleeps:
            raise asyncio.CancelledError


class Scene:
    """A store with three days of two accounts, made on 1 March, and a folder."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self.folder = folder
        self.storage = Folder(folder)
        self.accounts: list[str] = []

    def scheduler(self, clock: Clock, plan: Plan | None = None, builder: Builder | None = None) -> Scheduler:
        queries = FeedQueries(self.store)
        builder = builder or Builder(queries, self.storage, self.folder)
        plan = plan or ONE
        return Scheduler(queries, builder, self.storage, self.folder, plan, CALENDAR, now=clock, sleep=clock.sleep)

    def days(self, account: int = 0) -> list[int]:
        """The days of March that are complete."""
        places = filter(None, map(parse, self.storage.keys(f"{self.accounts[account]}/utterances/")))
        dates = (place.day.date for place in places if place.hour is None)
        return sorted(day.day for day in dates if day.month == 3)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path) as store:
        scene = Scene(store, tmp_path / "feeds")
        scene.accounts = [await three_days(store), await three_days(store, "theirs")]
        async with store._write() as connection:
            await connection.execute(update(accounts).values(created_at=at(1, 8)))
        yield scene


class TestScheduler:
    async def test_each_day_at_two(self, scene: Scene) -> None:
        clock = Clock(at(2, 1, 30), sleeps=27)
        with pytest.raises(asyncio.CancelledError):
            await scene.scheduler(clock).run()
        # Half an hour to 2 March 02:00, then looks every hour, to 3 March 02:00 and one on.
        assert clock.slept[:2] == [1800.0, LOOK_S]
        assert scene.days(0) == scene.days(1) == [1, 2]

    async def test_missed_days_are_caught_up_as_far_as_messages_go(self, scene: Scene) -> None:
        assert await scene.scheduler(Clock(at(8, 5))).catch_up() == 2 * 6
        assert scene.days() == [2, 3, 4, 5, 6, 7]
        assert await scene.scheduler(Clock(at(8, 6))).catch_up() == 0

    async def test_no_days_before_the_account(self, scene: Scene) -> None:
        await scene.scheduler(Clock(at(4))).catch_up()
        assert scene.days() == [1, 2, 3]

    async def test_a_day_without_its_marker_is_built_again(self, scene: Scene) -> None:
        await scene.scheduler(Clock(at(4))).catch_up()
        (lost,) = [
            key
            for key in scene.storage.keys(f"{scene.accounts[0]}/utterances/")
            if key.endswith("dt=2026-03-02/_SUCCESS")
        ]
        scene.storage.remove([lost])
        assert await scene.scheduler(Clock(at(4, 3))).catch_up() == 1
        assert scene.days() == [1, 2, 3]

    async def test_a_format_that_is_new_is_built_for_days_gone_by(self, scene: Scene) -> None:
        await scene.scheduler(Clock(at(4))).catch_up()
        both = replace(ONE, formats=("jsonl", "csv"))
        assert await scene.scheduler(Clock(at(4, 3)), both).catch_up() == 2 * 3
        assert await scene.scheduler(Clock(at(4, 4)), both).catch_up() == 0

    async def test_a_day_is_built_again_for_what_changed_afterwards(self, scene: Scene) -> None:
        """A text redacted anew, and a message that the database took late."""
        both = replace(ONE, formats=("jsonl", "csv"))
        await scene.scheduler(Clock(at(4)), both).catch_up()
        assert await scene.scheduler(Clock(at(4, 3))).catch_up() == 0
        spoken = FeedQueries(scene.store).spoken(scene.accounts[0], at(2), at(3))
        [(call, said), *_] = [one async for some in spoken for one in some]
        late = a_call("CA77", call.account_id, at(2, 22))
        async with scene.store.engine.begin() as connection:
            records: list[Record] = [
                late,
                RevisionRecord(said.message_id, "#### ####"),
                a_message(late, 1, at(2, 22), "Late."),
            ]
            await connection.run_sync(write, records, scene.store.cipher)
        # Also in the format that is not built any more.
        assert await scene.scheduler(Clock(at(4, 4))).catch_up() == 1
        for form in ("jsonl", "csv"):
            keys = scene.storage.keys(Day(call.account_id, "utterances", form, date(2026, 3, 2)).prefix)
            texts = "".join(scene.storage.path(key).read_text() for key in keys)
            assert "Late." in texts
            assert "#### ####" in texts
            assert said.text not in texts
        assert await scene.scheduler(Clock(at(4, 5))).catch_up() == 0

    async def test_a_day_that_cannot_be_built_holds_up_no_other(self, scene: Scene) -> None:
        class Poor(Builder):
            async def build(
                self, account_id: str, day: date, plan: Plan, on_hour: Callable[[], None] = lambda: None
            ) -> list[Built]:
                if account_id == scene.accounts[0] and day.day == 2:
                    raise StoreError("an unredacted text does not open")
                return await super().build(account_id, day, plan, on_hour)

        builder = Poor(FeedQueries(scene.store), scene.storage, scene.folder)
        with pytest.raises(StoreError, match="does not open"):
            await scene.scheduler(Clock(at(4)), builder=builder).catch_up()
        assert (scene.days(0), scene.days(1)) == ([1, 3], [1, 2, 3])

    async def test_old_days_are_removed(self, scene: Scene) -> None:
        await scene.scheduler(Clock(at(4))).catch_up()
        await scene.scheduler(Clock(datetime(2026, 4, 3, 1, tzinfo=UTC))).catch_up()
        # 32 days: from 2 March on.
        assert [day for day in scene.days() if day < 20] == [2, 3]

    async def test_another_builder_is_waited_for(self, scene: Scene) -> None:
        clock = Clock(at(4, 12))
        async with alone(scene.folder):
            with pytest.raises(UsageError):
                await scene.scheduler(clock).catch_up()
            with pytest.raises(asyncio.CancelledError):
                await scene.scheduler(clock).run()
        assert clock.slept == [AGAIN_S]

    async def test_a_failure_is_tried_again(self, scene: Scene) -> None:
        class Failing(FeedQueries):
            times = 0

            async def accounts(self) -> list[AccountRecord]:
                self.times += 1
                if self.times == 1:
                    raise StoreError("the database is away")
                return await super().accounts()

        clock = Clock(at(4, 12), sleeps=2)
        queries = Failing(scene.store)
        builder = Builder(queries, scene.storage, scene.folder)
        plan = ONE
        scheduler = Scheduler(
            queries, builder, scene.storage, scene.folder, plan, CALENDAR, now=clock, sleep=clock.sleep
        )
        with pytest.raises(asyncio.CancelledError):
            await scheduler.run()
        assert clock.slept == [AGAIN_S, LOOK_S]
        assert scene.days() == [1, 2, 3]
