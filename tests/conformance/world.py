"""A gateway that knows the call of all examples: completed, with messages, failed posts and a day's feeds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.api.examples import CALL_SID
from gateway.export.build import Builder, Plan, alone
from gateway.export.rows import FEEDS
from gateway.export.storage import Folder
from gateway.ids import new_ulid
from gateway.store.feeds import FeedQueries
from gateway.store.records import DeliveryRecord, MessageRecord
from tests.export.samples import DAY, NINE, a_call, a_message
from tests.harness import Customer, gateway_running, settings_for

__all__ = ["known_call", "world"]

LINES = ("How can I help you?", "My PIN is ####.", "One moment, please.")


@asynccontextmanager
async def world(path: Path, **settings: Any) -> AsyncIterator[Customer]:
    """A gateway, and an account with the examples' call in it. Nothing is old enough to be forgotten."""
    kept = {"retention": {"messages_days": 3650}, "export": {"retention_days": 366}}
    async with gateway_running(settings_for(path, **kept, **settings)) as customer:
        await known_call(customer)
        yield customer


async def known_call(customer: Customer) -> list[MessageRecord]:
    """Write the call, its messages, a post that failed, and the feeds of its day."""
    store, writer = customer.gateway.store, customer.gateway.writer
    call = a_call(CALL_SID, customer.key.account_id)
    call = replace(call, customer_id="TT9833237", agent_id="RE223444211993")
    ended = replace(call, completed_at=NINE + timedelta(minutes=7), completed_reason="hangup")
    said = [replace(a_message(call, n, NINE + timedelta(seconds=n)), text=text) for n, text in enumerate(LINES)]
    await store.open_call(call)
    for message in said:
        await writer.submit(message)
    failed = DeliveryRecord(new_ulid(), call.call_id, said[1].message_id, 1, "failed", "timeout", NINE)
    await writer.submit(failed)
    await store.open_call(ended)
    folder = customer.gateway.settings.data_dir / "feeds"
    async with alone(folder):
        plan = Plan(feeds=tuple(FEEDS), formats=("jsonl", "csv"))
        await Builder(FeedQueries(store), Folder(folder), folder).build(customer.key.account_id, DAY, plan)
    return said
