"""Building days: exactly once, and whatever dies in between."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from gateway.config import ExportSettings
from gateway.errors import StoreError, UsageError
from gateway.export.build import SPOOL, Builder, Plan, alone
from gateway.export.partitions import Day
from gateway.export.rows import FEEDS, Terms
from gateway.export.storage import Folder, Storage, open_storage
from gateway.store.feeds import FeedQueries
from gateway.store.records import CallRecord, MessageRecord
from gateway.store.store import Store

from .samples import DAY, NINE, a_call, a_message, keep, opened, three_days, unredacted

ROOT = Path(__file__).parents[2]
PLAN = Plan()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "feeds"


@pytest.fixture
def storage(folder: Path) -> Folder:
    return Folder(folder)


async def build(
    store: Store, storage: Storage, folder: Path, account_id: str, day: date = DAY, plan: Plan = PLAN
) -> int:
    """Build a day; the rows of all files."""
    async with alone(folder):
        built = await Builder(FeedQueries(store), storage, folder).build(account_id, day, plan)
    assert {one.day for one in built} == {Day(account_id, f, form, day) for f in plan.feeds for form in plan.formats}
    assert not (folder / SPOOL).exists() or not any((folder / SPOOL).iterdir())
    return sum(one.rows for one in built)


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but the lock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "feeds.lock"
    }


def rows_of(folder: Path, page: Day) -> list[dict[str, object]]:
    files = sorted((folder / page.prefix).glob("hr=*/*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


class TestADay:
    async def test_its_partitions(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id)
        page = Day(account_id, "utterances", "jsonl", DAY)
        assert storage.keys(page.prefix) == [
            page.success,
            *(page.key(hour, name) for hour in (9, 10, 11, 23) for name in ("_SUCCESS", "utterances.jsonl")),
        ]
        assert len(storage.keys(f"{account_id}/")) == 6 * 9

    async def test_each_message_is_in_one_day(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = await three_days(store)
        texts = {}
        for n in (1, 2, 3, 4):
            day = date(2026, 3, n)
            await build(store, storage, folder, account_id, day)
            texts[n] = [row["utterance"] for row in rows_of(folder, Day(account_id, "utterances", "jsonl", day))]
        lines = [f"Line {i}." for i in range(1, 5)]
        assert texts == {1: lines, 2: [*lines, "Before."], 3: ["After.", *lines], 4: []}

    async def test_only_its_accounts_messages(self, store: Store, storage: Folder, folder: Path) -> None:
        mine, theirs = await three_days(store), await three_days(store, "theirs")
        await build(store, storage, folder, mine)
        page = Day(mine, "utterances", "jsonl", DAY)
        assert len(rows_of(folder, page)) == 5
        assert storage.keys(f"{theirs}/") == []

    async def test_without_messages_is_complete_and_empty(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = (await store.create_key("test")).account_id
        assert await build(store, storage, folder, account_id) == 0
        assert sorted(storage.keys(f"{account_id}/")) == sorted(
            Day(account_id, feed, form, DAY).success for feed in FEEDS for form in PLAN.formats
        )

    async def test_the_state_feeds_go_with_it(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id)
        said = rows_of(folder, Day(account_id, "utterances", "jsonl", DAY))
        states = rows_of(folder, Day(account_id, "staging_utterance_state", "jsonl", DAY))
        assert [row["message_id"] for row in said] == [row["message_id"] for row in states]
        conversations = rows_of(folder, Day(account_id, "staging_conversation_state", "jsonl", DAY))
        counts = sum(
            int(str(row["customer_utterance_ct"])) + int(str(row["agent_utterance_ct"])) for row in conversations
        )
        assert counts == len(said)
        assert {row["conversation_id"] for row in conversations} == {row["conversation_id"] for row in said}

    async def test_unredacted_where_the_terms_say_so(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = (await store.create_key("test")).account_id
        call = a_call(account_id=account_id)
        await keep(store, call, unredacted(a_message(call, 1, text="PIN ####."), "PIN 1234."))
        page = Day(account_id, "utterances", "jsonl", DAY)
        await build(store, storage, folder, account_id)
        assert [row["utterance"] for row in rows_of(folder, page)] == ["PIN ####."]
        await build(store, storage, folder, account_id, plan=replace(PLAN, terms=Terms(unredacted=True)))
        assert [row["utterance"] for row in rows_of(folder, page)] == ["PIN 1234."]

    async def test_that_is_not_over_has_no_marker(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id)
        await build(store, storage, folder, account_id, plan=replace(PLAN, complete=False))
        keys = storage.keys(f"{account_id}/")
        assert len(keys) == 6 * 4
        assert not any(key.endswith("_SUCCESS") for key in keys)


class TestAgain:
    @pytest.mark.parametrize("formats", [("jsonl", "csv"), ("parquet",)])
    async def test_it_comes_out_the_same(
        self, store: Store, storage: Folder, folder: Path, formats: tuple[str, ...]
    ) -> None:
        account_id = await three_days(store)
        plan = Plan(formats=formats, gzip=True)
        await build(store, storage, folder, account_id, plan=plan)
        first = snapshot(folder)
        # A message of another day, and a call that went on, change nothing.
        call = a_call("CA77", account_id, NINE + timedelta(days=1))
        await keep(store, call, a_message(call, 1, NINE + timedelta(days=1)))
        await build(store, storage, folder, account_id, plan=plan)
        assert snapshot(folder) == first
        assert len(first) > 6

    async def test_files_of_another_plan_go(self, store: Store, storage: Folder, folder: Path) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id, plan=replace(PLAN, gzip=True))
        await build(store, storage, folder, account_id)
        assert not [name for name in snapshot(folder) if name.endswith(".gz")]
        fresh = Folder(folder.parent / "fresh")
        await build(store, fresh, fresh.root, account_id)
        assert snapshot(fresh.root) == snapshot(folder)

    async def test_a_bucket_has_what_a_folder_has(
        self, store: Store, storage: Folder, folder: Path, s3: ExportSettings
    ) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id)
        bucket = open_storage(s3, folder)
        await build(store, bucket, folder.parent / "spool", account_id)
        await build(store, bucket, folder.parent / "spool", account_id, plan=replace(PLAN, gzip=True))
        await build(store, bucket, folder.parent / "spool", account_id)
        assert bucket.keys(f"{account_id}/") == storage.keys(f"{account_id}/")


class TestCrash:
    @pytest.mark.parametrize("files", [1, 3, 24])
    async def test_kill_9_leaves_no_marker_and_the_next_run_repairs(self, tmp_path: Path, files: int) -> None:
        async with opened(tmp_path) as store:
            account_id = await three_days(store)
            whole = Folder(tmp_path / "whole")
            await build(store, whole, whole.root, account_id)
        await killed_after(files, tmp_path, account_id)
        folder = tmp_path / "feeds"
        left = snapshot(folder)
        page = Day(account_id, "utterances", "jsonl", DAY)
        pages = [Day(account_id, feed, form, DAY) for feed in PLAN.feeds for form in PLAN.formats]
        assert sum(len(Folder(folder).keys(one.prefix)) for one in pages) > 0
        # Of what was not all put in place nobody sees anything; what had been done is whole.
        done = [one for one in pages if one.success in left]
        assert len(done) == (files - 1) // 4
        assert page.success not in left or files > 4
        assert any(name.startswith(SPOOL) for name in left) == (files < 24)
        async with opened(tmp_path) as store:
            await build(store, Folder(folder), folder, account_id)
        assert snapshot(folder) == snapshot(whole.root)

    async def test_a_rebuild_that_dies_hides_the_day_until_it_is_repaired(self, tmp_path: Path) -> None:
        folder = tmp_path / "feeds"
        async with opened(tmp_path) as store:
            account_id = await three_days(store)
            await build(store, Folder(folder), folder, account_id)
        before = snapshot(folder)
        await killed_after(2, tmp_path, account_id)
        assert Day(account_id, "utterances", "jsonl", DAY).success not in snapshot(folder)
        async with opened(tmp_path) as store:
            await build(store, Folder(folder), folder, account_id)
        assert snapshot(folder) == before

    async def test_a_database_that_fails_half_way_leaves_the_old_day(
        self, store: Store, storage: Folder, folder: Path
    ) -> None:
        account_id = await three_days(store)
        await build(store, storage, folder, account_id)
        before = snapshot(folder)

        class Failing(FeedQueries):
            async def spoken(
                self, account_id: str, start: datetime, end: datetime, *, unredacted: bool = False, chunk: int = 1
            ) -> AsyncIterator[list[tuple[CallRecord, MessageRecord]]]:
                async for said in super().spoken(account_id, start, end, unredacted=unredacted, chunk=chunk):
                    yield said
                    raise StoreError("the database is away")

        async with alone(folder):
            with pytest.raises(StoreError, match="away"):
                await Builder(Failing(store), storage, folder).build(account_id, DAY, PLAN)
        assert snapshot(folder) == before

    async def test_a_cancelled_build_leaves_nothing_running(self, store: Store, folder: Path) -> None:
        account_id = await three_days(store)
        loop = asyncio.get_running_loop()
        reached, puts = asyncio.Event(), []

        class Slow(Folder):
            def put(self, key: str, source: Path) -> None:
                asyncio.run_coroutine_threadsafe(cancel(), loop).result()
                super().put(key, source)
                puts.append(key)

        async def cancel() -> None:
            reached.set()
            task.cancel()

        async def work() -> None:
            async with alone(folder):
                await Builder(FeedQueries(store), Slow(folder), folder).build(account_id, DAY, PLAN)

        task = asyncio.ensure_future(work())
        await reached.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
        # The file that was being put is there, and no other came after it.
        assert len(puts) == 1
        assert list(snapshot(folder)) == puts


async def killed_after(files: int, path: Path, account_id: str) -> None:
    command = (sys.executable, "-m", "tests.export.victim", str(path), account_id, str(files))
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"put\n"
    finally:
        process.kill()
        await process.wait()


class TestAlone:
    async def test_one_builder_at_a_time(self, folder: Path) -> None:
        async with alone(folder):
            with pytest.raises(UsageError, match="right now"):
                async with alone(folder):
                    pytest.fail("two builders at once")
        async with alone(folder):
            pass

    async def test_what_a_dead_builder_left_is_cleared(self, folder: Path) -> None:
        (folder / SPOOL / "01ACC.2026-03-02").mkdir(parents=True)
        (folder / SPOOL / "01ACC.2026-03-02" / "00.utterances.jsonl").write_text("half a")
        async with alone(folder):
            assert not (folder / SPOOL).exists()

    async def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="feeds cannot be made here"):
            async with alone(tmp_path / "file"):
                pytest.fail("a file was taken for a folder")

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
    @pytest.mark.parametrize(
        "plan",
        [PLAN, Plan(formats=("jsonl",), gzip=True), Plan(formats=("parquet",))],
        ids=["plain", "gzip", "parquet"],
    )
    async def test_a_full_disk_is_told(
        self, store: Store, storage: Folder, folder: Path, monkeypatch: pytest.MonkeyPatch, plan: Plan
    ) -> None:
        account_id = await three_days(store)
        real = os.open

        def full(path: str | Path, flags: int, mode: int = 0o777, **more: int | None) -> int:
            return real("/dev/full", os.O_WRONLY) if flags & os.O_EXCL else real(path, flags, mode, **more)

        monkeypatch.setattr("gateway.export.formats.os.open", full)
        with pytest.raises(StoreError, match="feeds cannot be made here"):
            await build(store, storage, folder, account_id, plan=plan)
        assert storage.keys(f"{account_id}/") == []
        assert not any((folder / SPOOL).iterdir())
