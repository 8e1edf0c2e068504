"""Records as a running gateway makes them."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

from gateway.ids import new_ulid
from gateway.store.records import CallRecord, DeliveryRecord, MessageRecord
from gateway.store.store import Store

KEY = bytes(range(32))
NOON = datetime(2026, 3, 2, 12, 0, 0, 123000, tzinfo=UTC)


def call(account_id: str, guid: str = "CA01", *, started_at: datetime = NOON) -> CallRecord:
    return CallRecord(new_ulid(), account_id, guid, "en-US", "cust-7", "agent-9", started_at)


def message(
    call_id: str, sequence: int, text: str = "Hello.", *, start_ms: int | None = None, unredacted: str | None = None
) -> MessageRecord:
    start = sequence * 1000 if start_ms is None else start_ms
    return MessageRecord(
        message_id=new_ulid(),
        call_id=call_id,
        sequence=sequence,
        stream_id="5ce2b755-3f38-11ed-b755-7aed4b5c38d5",
        role="customer",
        external_id="cust-7",
        start_ms=start,
        end_ms=start + 900,
        text=text,
        client_timestamp=NOON + timedelta(milliseconds=start),
        created_timestamp=NOON + timedelta(milliseconds=start + 1200),
        unredacted=unredacted,
        show_unredacted=unredacted is not None,
    )


def delivery(of: MessageRecord, outcome: str = "pending", reason: str = "") -> DeliveryRecord:
    return DeliveryRecord(new_ulid(), of.call_id, of.message_id, of.sequence, outcome, reason, NOON)


async def opened_call(store: Store, guid: str = "CA01", account: str | None = None) -> CallRecord:
    """A call of a (new) account that is in the store."""
    key = await store.create_key("test", account)
    record = call(key.account_id, guid)
    await store.open_call(record)
    return record


async def complete(store: Store, record: CallRecord, reason: str = "hangup", at: datetime = NOON) -> CallRecord:
    """Write down that a call has ended, as the gateway does it."""
    done = dataclasses.replace(record, completed_at=at, completed_reason=reason)
    await store.open_call(done)
    return done
