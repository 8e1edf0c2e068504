from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.harness import Customer, gateway_running, settings_for

Dial = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets are looked after more often than in life, and a peer that does not close is waited for less long."""
    monkeypatch.setattr("gateway.server.plane.CHECK_S", 0.05)
    monkeypatch.setattr("gateway.server.life.CLOSE_S", 0.5)


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    """A customer of a gateway without models: audio ends in a checksum."""
    async with gateway_running(settings_for(tmp_path)) as customer:
        yield customer


@pytest.fixture
async def dial(customer: Customer) -> AsyncIterator[Dial]:
    """Opens bare connections to the gateway, and closes them in the end."""
    writers: list[asyncio.StreamWriter] = []

    async def dial() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", customer.gateway.port)
        writers.append(writer)
        return reader, writer

    yield dial
    for writer in writers:
        writer.transport.abort()
