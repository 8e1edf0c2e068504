"""Following a call over HTTP: its events on the wire, and who may."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientResponse

from gateway.api import auth
from gateway.api import live as module
from gateway.delivery.delivery import Delivered
from gateway.delivery.live import MOST_STREAMS, LivePartial
from gateway.participants import Role
from gateway.store.records import CallRecord, MessageRecord, NewKey
from gateway.store.store import Store
from tests.api.conftest import Client, Desk, error_of

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATH = "/gateway/v1/calls/CA1/live"
PARTIAL = LivePartial(Role.CUSTOMER, "C", "S1", 400, "I need\nhelp", 6, 2)


async def block(response: ClientResponse) -> list[str]:
    """The lines up to the next empty one."""
    lines = []
    async with asyncio.timeout(10):
        while line := (await response.content.readline()).decode().rstrip("\n"):
            lines.append(line)
    return lines


async def event(response: ClientResponse) -> tuple[str, Any]:
    kind, data = await block(response)
    assert kind.startswith("event: ")
    assert data.startswith("data: ")
    return kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))


@pytest.fixture
def account(desk: Desk, key: NewKey) -> str:
    desk.connect(key.account_id, "CA1")
    return key.account_id


def final(account: str, *, show_unredacted: bool = False) -> Delivered:
    call = CallRecord("call", account, "CA1", "en-US", "C", "G", NOON)
    message = MessageRecord(
        "01", "call", 0, "S1", "customer", "C", 400, 3968, "It is ##", NOON, NOON, "It is 42", show_unredacted
    )
    return Delivered(call, message, late=False)


async def test_the_events_of_a_call(client: Client, desk: Desk, account: str) -> None:
    async with client.get(PATH) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Server"] == "gateway"
        assert response.headers["X-Request-Id"]
        assert await block(response) == [": reading along"]
        desk.live.partial(account, "CA1", PARTIAL)
        assert await event(response) == (
            "partial",
            {
                "streamId": "S1",
                "sender": {"role": "customer", "externalId": "C"},
                "start": 400,
                "text": "I need\nhelp",
                "stable": 6,
                "revision": 2,
            },
        )
        desk.live.message(final(account))
        assert await event(response) == (
            "final",
            {
                "streamId": "S1",
                "sender": {"role": "customer", "externalId": "C"},
                "start": 400,
                "end": 3968,
                "text": "It is ##",
                "messageId": "01",
                "clientTimestamp": "2026-03-01T12:00:00.000Z",
            },
        )
        desk.live.message(final(account, show_unredacted=True))
        assert (await event(response))[1]["text"] == "It is 42"
        desk.live.end(account, "CA1", "hangup")
        assert await event(response) == ("ended", {"reason": "hangup"})
        assert await response.content.read() == b""
    assert not desk.live.watched(account, "CA1")


async def test_only_the_calls_own_account(client: Client, desk: Desk, stranger: Client, store: Store) -> None:
    desk.connect("somebody else", "CA1")
    await error_of(await client.get(PATH), 404, "404-01")
    await error_of(await stranger.get(PATH), 401, "401-01")
    assert not desk.live.watched("somebody else", "CA1")


async def test_no_more_readers_than_the_bound(client: Client, desk: Desk, account: str) -> None:
    for _ in range(MOST_STREAMS):
        desk.live.subscribe(account, "CA2")
    await error_of(await client.get(PATH), 429, "429-01")


async def test_a_head_request_reads_nothing(client: Client, desk: Desk, account: str) -> None:
    async with client.head(PATH) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
    assert not desk.live.watched(account, "CA1")


async def test_silence_is_filled_and_a_revoked_key_ends_it(
    client: Client, account: str, key: NewKey, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    async with client.get(PATH) as response:
        assert await block(response) == [": reading along"]
        assert await block(response) == [": "]
        await store.revoke_key(key.api_id)
        # At most two seconds later, by the cache of keys.
        async with asyncio.timeout(10):
            assert set((await response.content.read()).split(b"\n\n")) <= {b": ", b""}


async def test_a_revoked_key_ends_a_view_that_is_never_silent(
    client: Client, desk: Desk, account: str, key: NewKey, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than a busy machine lets the loop below wait, so that no silence comes into it.
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.5)
    monkeypatch.setattr(auth, "_CACHE_SECONDS", 0.0)
    async with client.get(PATH) as response:
        assert await block(response) == [": reading along"]
        await store.revoke_key(key.api_id)
        async with asyncio.timeout(10):
            while desk.live.watched(account, "CA1"):
                desk.live.partial(account, "CA1", PARTIAL)
                await asyncio.sleep(0.01)
        assert b": \n" not in (await response.content.read())


async def test_a_reader_that_goes_is_let_go(
    client: Client, desk: Desk, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.05)
    response = await client.get(PATH)
    assert await block(response) == [": reading along"]
    assert desk.live.watched(account, "CA1")
    response.close()
    async with asyncio.timeout(10):
        while desk.live.watched(account, "CA1"):
            await asyncio.sleep(0.01)


async def test_a_reader_that_takes_nothing_is_given_up(
    client: Client, desk: Desk, account: str, key: NewKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WRITE_S", 0.1)
    assert client.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", client.port, limit=1024)
    head = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nasapp-api-id: {key.api_id}\r\nasapp-api-secret: {key.api_secret}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    long = replace(final(account).message, text="long " * 40_000)
    async with asyncio.timeout(20):
        for number in itertools.count():
            desk.live.message(replace(final(account), message=replace(long, message_id=str(number))))
            await asyncio.sleep(0.001)
            if not desk.live.watched(account, "CA1"):
                break
        # The connection is cut, not left to the reader.
        with suppress(ConnectionError):
            while await reader.read(65536):
                pass
    writer.close()
