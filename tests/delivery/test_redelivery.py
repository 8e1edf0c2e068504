from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp import web

from gateway.config import WebhookSettings
from gateway.delivery.redelivery import Tally, redeliver
from gateway.delivery.target import Target
from gateway.store.outbox import StoredPost, Undelivered
from gateway.store.records import RevisionRecord
from gateway.store.rows import Record, write
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.store.samples import KEY, delivery, message, opened_call

from .hook import Hook, serving

ALL = Undelivered()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=KEY)
    yield store
    await store.close()


async def failed(store: Store, calls: int, turns: int) -> None:
    """So many posts that failed or were dropped, and one that arrived."""
    for number in range(calls):
        call = await opened_call(store, f"CA{number}")
        records: list[Record] = []
        for turn in range(turns):
            said = message(call.call_id, turn, f"{number} {turn}")
            outcome, reason = ("failed", "status 503") if turn % 2 else ("dropped", "queue_full")
            records += [said, delivery(said, outcome, reason)]
        arrived = message(call.call_id, turns, "arrived")
        records += [arrived, delivery(arrived, "delivered")]
        async with store.engine.begin() as connection:
            await connection.run_sync(write, records, store.cipher)


@pytest.fixture
async def writer(store: Store) -> AsyncIterator[Writer]:
    writer = Writer(store)
    yield writer
    await writer.close()


@asynccontextmanager
async def aimed(hook: Hook) -> AsyncIterator[Target]:
    target = Target(WebhookSettings.model_validate({"url": hook.url}))
    try:
        yield target
    finally:
        await target.close()


async def test_each_is_posted_once_in_the_order_of_its_call(store: Store, writer: Writer) -> None:
    await failed(store, 5, 120)
    seen: list[int] = []
    crowded = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        if hook.in_flight == 4:
            crowded.set()
        await crowded.wait()
        return web.Response()

    async with serving(answer) as hook, aimed(hook) as target:
        tally = await redeliver(
            store, writer, target, ALL, connections=4, on_progress=lambda tally: seen.append(tally.done)
        )
        assert (tally.delivered, tally.failed, tally.lost, tally.gave_up) == (600, 0, 0, "")
        assert seen == sorted(seen)
        assert (len(seen), seen[-1]) == (600, 600)
        by_call = defaultdict(list)
        for text in hook.texts:
            number, turn = text.split()
            by_call[number].append(int(turn))
        assert dict(by_call) == {str(number): list(range(120)) for number in range(5)}
        assert hook.most_in_flight == 4
        assert len({request.headers["X-Gateway-Message-Id"] for request in hook.requests}) == 600
    assert await store.count_undelivered(ALL) == 0


async def test_the_record_says_what_became_of_it(store: Store, writer: Writer) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        text = (await request.json())["autotranscribeResponse"]["utterance"][0]["text"]
        return web.Response(status=500 if text == "0 1" else 200)

    await failed(store, 1, 3)
    before = {record.sequence: record for _, record in await store.undelivered(ALL, 10)}
    named: list[tuple[str, str]] = []

    def name(post: StoredPost, reason: str) -> None:
        named.append((post.guid, reason))

    async with serving(answer) as hook, aimed(hook) as target:
        tally = await redeliver(store, writer, target, ALL, connections=1, on_failure=name)
        assert tally == Tally(delivered=2, failed=1)
        assert named == [("CA0", "status 500")]
    [(_, left)] = await store.undelivered(ALL, 10)
    assert left == dataclasses.replace(before[1], reason="status 500", outcome="failed", at=left.at)
    assert left.at > before[1].at


async def test_what_is_redacted_or_delivered_meanwhile_is_seen(store: Store, writer: Writer) -> None:
    await failed(store, 1, 3)
    [third, second, _] = [record for _, record in await store.undelivered(ALL, 10)]

    async def answer(_request: web.Request) -> web.StreamResponse:
        if len(hook.bodies) == 1:
            records: list[Record] = [
                RevisionRecord(second.message_id, "####"),
                dataclasses.replace(third, outcome="delivered"),
            ]
            async with store.engine.begin() as connection:
                await connection.run_sync(write, records, store.cipher)
        return web.Response()

    async with serving(answer) as hook, aimed(hook) as target:
        tally = await redeliver(store, writer, target, ALL, connections=1)
        assert hook.texts == ["0 0", "####"]
    assert (tally.delivered, tally.gone, tally.done) == (2, 1, 3)


async def test_what_has_no_message_is_lost(store: Store, writer: Writer) -> None:
    call = await opened_call(store)
    await store.record_delivery(delivery(message(call.call_id, 0), "dropped", "queue_full"))
    async with serving() as hook, aimed(hook) as target:
        tally = await redeliver(store, writer, target, ALL, connections=1)
        assert (tally.lost, hook.bodies) == (1, [])
    [(_, record)] = await store.undelivered(ALL, 10)
    assert record.reason == "queue_full"


async def test_a_target_that_is_not_there_is_not_asked_for_ever(
    store: Store, writer: Writer, unused_tcp_port: int
) -> None:
    await failed(store, 3, 40)
    target = Target(WebhookSettings.model_validate({"url": f"http://127.0.0.1:{unused_tcp_port}/"}))
    tally = await redeliver(store, writer, target, ALL, connections=2)
    await target.close()
    assert tally.gave_up == "connect"
    # Those in flight end by themselves.
    assert 20 <= tally.failed <= 22
    assert await store.count_undelivered(ALL) == 120


async def test_a_target_that_refuses_is_asked_for_all(store: Store, writer: Writer) -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    await failed(store, 2, 30)
    async with serving(refuse) as hook, aimed(hook) as target:
        tally = await redeliver(store, writer, target, ALL, connections=2)
        assert (tally.failed, tally.gave_up) == (60, "")
    reasons = Counter(record.reason for _, record in await store.undelivered(ALL, 100))
    assert reasons == {"status 500": 60}


async def test_only_those_named_are_posted(store: Store, writer: Writer) -> None:
    await failed(store, 3, 2)
    async with serving() as hook, aimed(hook) as target:
        await redeliver(store, writer, target, Undelivered(guid="CA1"), connections=2)
        assert hook.texts == ["1 0", "1 1"]
        nothing = await redeliver(store, writer, target, Undelivered(since=datetime.now(UTC)), connections=2)
        assert nothing.done == 0
