"""Calls and messages of known days, as records and in a store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from gateway.ids import new_ulid
from gateway.store.records import CallRecord, MessageRecord
from gateway.store.store import Store
from gateway.store.writer import Writer
from tests.store.samples import KEY

DAY = date(2026, 3, 2)
NINE = datetime(2026, 3, 2, 9, 15, 30, 250000, tzinfo=UTC)


def a_call(guid: str = "CA01", account_id: str = "01ACC", at: datetime = NINE) -> CallRecord:
    return CallRecord(new_ulid(at.timestamp()), account_id, guid, "en-US", "cust-7", "agent-9", at)


def a_message(call: CallRecord, sequence: int, at: datetime = NINE, text: str = "Hello.") -> MessageRecord:
    """The even ones are the agent's; spoken 2 s before they were made, for 900 ms."""
    agent = sequence % 2 == 0
    return MessageRecord(
        message_id=new_ulid(at.timestamp()),
        call_id=call.call_id,
        sequence=sequence,
        stream_id="5ce2b755-3f38-11ed-b755-7aed4b5c38d5",
        role="agent" if agent else "customer",
        external_id=call.agent_id if agent else call.customer_id,
        start_ms=sequence * 1000,
        end_ms=sequence * 1000 + 900,
        text=text,
        client_timestamp=at - timedelta(seconds=2),
        created_timestamp=at,
    )


def unredacted(message: MessageRecord, text: str) -> MessageRecord:
    return replace(message, unredacted=text, show_unredacted=True)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(f"sqlite:///{path / 'gateway.db'}", key=KEY)
    try:
        yield store
    finally:
        await store.close()


async def keep(store: Store, call: CallRecord, *messages: MessageRecord) -> None:
    """Write a call with its messages."""
    await store.open_call(call)
    writer = Writer(store)
    writer.start()
    done = [writer.submit(message) for message in messages]
    await asyncio.gather(*done)
    await writer.close()


async def three_days(store: Store, account: str | None = None) -> str:
    """An account with a call on 1, 2 and 3 March, the last one across midnight; the account's id."""
    account_id = (await store.create_key("test", account)).account_id
    for n in range(3):
        call = a_call(f"CA0{n}", account_id, NINE + timedelta(days=n - 1))
        said = [a_message(call, i, call.started_at + timedelta(minutes=40 * i), f"Line {i}.") for i in range(1, 5)]
        await keep(store, call, *said)
    late = datetime(2026, 3, 2, 23, 59, 59, 999000, tzinfo=UTC)
    call = a_call("CA09", account_id, late)
    await keep(
        store, call, a_message(call, 1, late, "Before."), a_message(call, 2, late + timedelta(0, 0, 1000), "After.")
    )
    return account_id
