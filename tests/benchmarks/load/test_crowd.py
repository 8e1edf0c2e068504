"""A crowd is admitted, played and gone in each way, and everything that failed is named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from benchmarks.load.crowd import Crowd, Ending
from benchmarks.load.pacer import Pacer
from benchmarks.load.voice import FRAME_BYTES, Sound
from gateway.calls.model import CallState
from gateway.peers.client import GatewayClient
from tests.harness import Customer, gateway_running, settings_for

SOUND = Sound.of(("inbound", "outbound"), [b"\x7f" * FRAME_BYTES * 10] * 2)


@asynccontextmanager
async def crowd_of(folder: Path, **settings: object) -> AsyncIterator[tuple[Crowd, Customer]]:
    async with gateway_running(settings_for(folder, **settings)) as customer:
        gateway, key = customer.gateway, customer.key
        async with GatewayClient(gateway.url, key.api_id, key.api_secret) as client, Pacer() as pacer:
            yield Crowd(client, pacer), customer


@pytest.mark.parametrize("ending", Ending)
async def test_all_come_and_all_go(tmp_path: Path, ending: Ending) -> None:
    async with crowd_of(tmp_path) as (crowd, customer):
        registry, plane = customer.gateway.registry, customer.gateway.plane
        callers = await crowd.open(5, 0.05)
        assert len(await crowd.start(callers)) == 5
        assert registry.transcribing == 5
        crowd.play(callers, SOUND, 0.1)
        for caller in callers:
            assert caller.line is not None
            await caller.line.over
        await crowd.hang_up(callers, ending)
        while len(plane):
            await asyncio.sleep(0)
        # connected, start, 5 frames of both tracks; with a stop, that and the close frame.
        assert crowd.sent == 5 * (2 + 10 + (2 if ending is Ending.STOP else 0))
        assert crowd.errors == {}
        assert len(crowd.upgrades_ms) == len(crowd.late_ms) == 5
        states = {call.state for call in registry.snapshots(customer.key.account_id)}
        assert states <= {CallState.COMPLETED}


async def test_who_is_refused_is_counted(tmp_path: Path) -> None:
    async with crowd_of(tmp_path, limits={"sockets": 2, "calls": 1}) as (crowd, _):
        callers = await crowd.open(4)
        await crowd.start(callers)
        assert len(callers) == 2
        assert crowd.errors == {"upgrade 503": 2, "start refused": 1}
        await crowd.hang_up(callers, Ending.STOP)
