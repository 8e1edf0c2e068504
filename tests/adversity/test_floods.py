"""A socket that floods the gateway with media as fast as TCP allows takes nothing from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway._native import plane as kernel
from gateway.server import plane as module
from gateway.server.connection import MediaConnection
from tests.adversity.wire import dialled, text
from tests.harness import Customer, Twilio, gateway_running, settings_for

pytestmark = pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick exists compiled only")

BUDGET = 32768
"""Of a socket in a round, as the plane has it."""

CALLS = 5
FRAMES = 100


def test_the_budget_is_the_planes() -> None:
    assert kernel.Plane().most == BUDGET


async def flood(customer: Customer, stop: asyncio.Event) -> None:
    """Say the same media message over and over, as fast as they are taken."""
    async with dialled(await customer.stream_url()) as bare:
        talker = Twilio(None, "CA" + "f" * 32, "MZ" + "f" * 32)  # type: ignore[arg-type]  # only makes messages here
        start = {"streamSid": talker.stream_sid, "callSid": talker.call_sid, "tracks": ["inbound"]}
        await bare.send(text({"event": "start", "start": start, "streamSid": talker.stream_sid}))
        message = text(talker.media_message(100)) * 100
        while not stop.is_set():
            await bare.send(message)
        bare.writer.transport.abort()


def count_bytes(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> list[dict[MediaConnection, int]]:
    """What each further tick takes, by socket."""
    plane = customer.gateway.plane
    taken: list[dict[MediaConnection, int]] = []
    read: Callable[..., None] = plane._read

    def counting(*limits: int) -> None:
        sockets = [socket for socket in plane.sockets if isinstance(socket, MediaConnection)]
        before = [socket._reader.bytes for socket in sockets]
        read(*limits)
        # The sweep at the gateway's end has no limits.
        if limits:
            taken.append({each: each._reader.bytes - had for each, had in zip(sockets, before, strict=True)})

    monkeypatch.setattr(plane, "_read", counting)
    return taken


@pytest.mark.parametrize("floods", [1, 4])
async def test_a_flood_leaves_the_others_their_media(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, floods: int
) -> None:
    # So that four who flood are too much for one tick.
    monkeypatch.setattr(module, "SLICE_BYTES", 2 * BUDGET)
    async with gateway_running(settings_for(tmp_path)) as customer, asyncio.TaskGroup() as tasks:
        stop = asyncio.Event()
        for _ in range(floods):
            tasks.create_task(flood(customer, stop))
        flooders: set[MediaConnection] = set()
        async with asyncio.timeout(10):
            while len(flooders) < floods:
                await asyncio.sleep(0.001)
                flooders = {
                    socket
                    for socket in customer.gateway.plane.sockets
                    if isinstance(socket, MediaConnection) and socket._reader.bytes > 1 << 17
                }
        taken = count_bytes(customer, monkeypatch)
        async with asyncio.timeout(30):
            await asyncio.gather(*(one_call(customer) for _ in range(CALLS)))
        stop.set()
    assert len(taken) > 10
    assert max(max(tick.values(), default=0) for tick in taken) <= BUDGET
    assert max(sum(tick.values()) for tick in taken) < module.SLICE_BYTES + BUDGET
    # They were there all the while, and were read all the while.
    assert all(sum(tick.get(flooder, 0) for tick in taken) > 10 * BUDGET for flooder in flooders)


async def one_call(customer: Customer) -> None:
    """A call whose every message arrives."""
    async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        for number in range(FRAMES):
            await twilio.media(100 + 20 * number)
            await asyncio.sleep(0)
        await twilio.settle()
        _, body = await customer.stop(twilio.call_sid)
        summary = body["autotranscribeResponse"]["customer"]["summary"]
        assert summary["audioDurationMs"] == 20 * FRAMES
