"""Messages by the time they were made, chunk by chunk."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.dialects import sqlite

from gateway.ids import first_ulid, new_ulid
from gateway.store.feeds import FeedQueries, _spoken
from gateway.store.records import CallRecord, MessageRecord
from gateway.store.store import Store
from gateway.store.writer import Writer

from .samples import NOON, call, message

HOUR = timedelta(hours=1)


async def kept(store: Store, of: CallRecord, *minutes: float) -> list[MessageRecord]:
    """A call in the store with messages made so many minutes after noon."""
    await store.open_call(of)
    writer = Writer(store)
    writer.start()
    made = []
    for n, minute in enumerate(minutes):
        at = NOON + timedelta(minutes=minute)
        one = replace(
            message(of.call_id, n, f"At {minute}."), created_timestamp=at, message_id=new_ulid(at.timestamp())
        )
        await writer.submit(one)
        made.append(one)
    await writer.close()
    return made


async def spoken(
    store: Store, account_id: str, chunk: int = 500, *, unredacted: bool = False
) -> list[tuple[CallRecord, MessageRecord]]:
    queries = FeedQueries(store)
    chunks = [said async for said in queries.spoken(account_id, NOON, NOON + HOUR, unredacted=unredacted, chunk=chunk)]
    assert all(0 < len(said) <= chunk for said in chunks)
    return [one for said in chunks for one in said]


@pytest.fixture
async def account_id(store: Store) -> str:
    return (await store.create_key("test")).account_id


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 500])
async def test_from_start_to_before_end(store: Store, account_id: str, chunk: int) -> None:
    made = await kept(store, call(account_id), -0.001, 0, 20, 40, 59.999, 60)
    found = await spoken(store, account_id, chunk)
    assert [one for _, one in found] == made[1:5]


async def test_in_the_order_of_their_ids(store: Store, account_id: str) -> None:
    await kept(store, call(account_id, "CA1"), 1, 3, 5)
    await kept(store, call(account_id, "CA2"), 2, 4)
    texts = [one.text for _, one in await spoken(store, account_id, 2)]
    assert texts == ["At 1.", "At 2.", "At 3.", "At 4.", "At 5."]


async def test_only_the_accounts_own(store: Store, account_id: str) -> None:
    other = (await store.create_key("test", "theirs")).account_id
    await kept(store, call(other), 1)
    assert await spoken(store, account_id) == []
    assert len(await spoken(store, other)) == 1


async def test_a_clock_that_was_set_between_id_and_time(store: Store, account_id: str) -> None:
    (one,) = await kept(store, call(account_id), 59)
    shifted = call(account_id, "CA2")
    await store.open_call(shifted)
    writer = Writer(store)
    writer.start()
    early = new_ulid((NOON - timedelta(minutes=9)).timestamp())
    await writer.submit(replace(one, call_id=shifted.call_id, message_id=early, created_timestamp=NOON))
    await writer.close()
    assert {found.message_id for _, found in await spoken(store, account_id)} == {early, one.message_id}


async def test_the_sessions_of_a_conversation_have_one_id(store: Store, account_id: str) -> None:
    """A gateway that was started anew makes a new session of the same call."""
    first = call(account_id, "CA1", started_at=NOON - HOUR)
    second = call(account_id, "CA1", started_at=NOON)
    await kept(store, first, 1)
    await kept(store, second, 2)
    conversations = [conversation for conversation, _ in await spoken(store, account_id)]
    assert {one.call_id for one in conversations} == {first.call_id}
    assert {one.started_at for one in conversations} == {first.started_at}
    assert {one.guid for one in conversations} == {"CA1"}


async def test_unredacted_texts_are_opened_only_when_asked_for(store: Store, account_id: str) -> None:
    of = call(account_id)
    await store.open_call(of)
    writer = Writer(store)
    writer.start()
    secret = replace(
        message(of.call_id, 1, "PIN ####.", unredacted="PIN 1234."),
        message_id=new_ulid(NOON.timestamp()),
        created_timestamp=NOON,
    )
    await writer.submit(secret)
    await writer.close()
    ((_, plain),) = await spoken(store, account_id)
    assert (plain.shown, plain.unredacted) == ("PIN ####.", None)
    ((_, opened),) = await spoken(store, account_id, unredacted=True)
    assert opened.shown == "PIN 1234."


async def test_accounts_are_listed(store: Store, account_id: str) -> None:
    other = (await store.create_key("test", "theirs")).account_id
    found = await FeedQueries(store).accounts()
    assert [(one.account_id, one.name) for one in found] == [(account_id, "default"), (other, "theirs")]
    assert found[0].created_at <= found[1].created_at


async def test_a_day_is_read_by_the_ids_of_its_messages(store: Store, account_id: str) -> None:
    """Not through every call that the account ever had, nor sorted."""
    await kept(store, call(account_id), 1)
    query = _spoken(account_id, NOON, NOON + HOUR, first_ulid(0), unredacted=True).limit(500)
    sql = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
    async with store._read() as connection:
        plan = [str(detail) for *_, detail in await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}")]
    assert plan[0] == "SEARCH messages USING INDEX sqlite_autoindex_messages_1 (message_id>? AND message_id<?)"
    assert not any("SCAN" in step or "TEMP B-TREE" in step for step in plan)
