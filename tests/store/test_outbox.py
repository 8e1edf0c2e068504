from __future__ import annotations

import dataclasses
from datetime import timedelta

from sqlalchemy import func, select

from gateway.store.outbox import Undelivered
from gateway.store.records import CallRecord, DeliveryRecord, MessageRecord
from gateway.store.rows import write
from gateway.store.schema import message_tokens
from gateway.store.store import Store

from .samples import NOON, complete, delivery, message, opened_call


async def put(store: Store, of: MessageRecord, outcome: str = "pending", seconds: int = 0) -> DeliveryRecord:
    """A message and its post."""
    record = dataclasses.replace(delivery(of, outcome), at=NOON + timedelta(seconds=seconds))
    async with store.engine.begin() as connection:
        await connection.run_sync(write, [of, record], store.cipher)
    return record


async def test_calls_with_pending_posts_come_by_who_waits_longest(store: Store) -> None:
    calls = [await opened_call(store, f"CA{number}") for number in range(4)]
    for call, seconds in zip(calls[:3], (5, 1, 3), strict=True):
        await put(store, message(call.call_id, 0), seconds=seconds)
        await put(store, message(call.call_id, 1), seconds=9)
    await put(store, message(calls[3].call_id, 0), "delivered")
    expected = [calls[1].call_id, calls[2].call_id, calls[0].call_id]
    assert await store.pending_calls(10) == expected
    assert await store.pending_calls(2) == expected[:2]
    assert await store.pending_size() == (6, NOON + timedelta(seconds=1))


async def test_nothing_pending_has_no_age(store: Store) -> None:
    assert await store.pending_size() == (0, None)


async def test_pending_posts_come_in_their_order_with_all_they_are_made_of(store: Store) -> None:
    call = await opened_call(store)
    words = '[{"content":"PIN","start":0,"end":100,"confidence":0.9}]'
    kept = [
        message(call.call_id, 2, "third"),
        dataclasses.replace(message(call.call_id, 0, "PIN ####", unredacted="PIN 8765"), tokens=words),
        message(call.call_id, 1, "second", unredacted="the second"),
    ]
    for one in kept:
        await put(store, one)
    found = await store.pending_posts(call.call_id, 10)
    assert [one.message for one in found] == sorted(kept, key=lambda one: one.sequence)
    assert {one.guid for one in found} == {"CA01"}
    assert [one.delivery.sequence for one in await store.pending_posts(call.call_id, 2)] == [0, 1]


async def test_words_go_with_their_message(store: Store) -> None:
    call = await opened_call(store)
    await put(store, dataclasses.replace(message(call.call_id, 0, unredacted="x"), tokens="[]"))
    await complete(store, call)
    assert await store.purge(NOON + timedelta(days=1)) == 1
    async with store.engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(message_tokens)) == 0


async def test_failed_and_dropped_posts_are_found_by_call_and_time(store: Store) -> None:
    one, two = await opened_call(store, "CA1"), await opened_call(store, "CA2", "other")
    records = []
    ended = [(one, "failed"), (two, "dropped"), (one, "delivered"), (one, "dropped")]
    for seconds, (call, outcome) in enumerate(ended):
        records.append(await put(store, message(call.call_id, seconds), outcome, seconds))
    newest = [("CA1", records[3]), ("CA2", records[1]), ("CA1", records[0])]
    assert await store.undelivered(Undelivered(), 10) == newest
    assert await store.undelivered(Undelivered(), 1) == newest[:1]
    assert await store.undelivered(Undelivered(guid="CA1"), 10) == [newest[0], newest[2]]
    since = Undelivered(since=NOON + timedelta(seconds=1))
    assert await store.undelivered(since, 10) == newest[:2]
    assert await store.count_undelivered(since) == 2
    assert await store.count_undelivered(Undelivered()) == 3


async def test_pages_go_through_all_of_them_while_they_change(store: Store) -> None:
    calls: list[CallRecord] = [await opened_call(store, f"CA{number}") for number in range(3)]
    put_in = [await put(store, message(call.call_id, number), "failed") for number in range(4) for call in calls]
    seen: list[DeliveryRecord] = []
    after = None
    while page := await store.undelivered_page(Undelivered(), 5, after):
        after = page[-1]
        seen += page
        await store.record_delivery(dataclasses.replace(page[0], outcome="delivered"))
        assert await store.undelivered_post(page[0].delivery_id) is None
    assert seen == sorted(put_in, key=lambda record: (record.call_id, record.sequence))
