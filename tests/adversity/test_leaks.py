"""Calls that come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from pathlib import Path

import pytest
from websockets.frames import Close, Frame, Opcode

from gateway._native import reader as reader_kernel
from gateway._native import track as track_kernel
from gateway.calls.call import Stream
from gateway.calls.registry import Registry
from gateway.calls.transcription import Transcription
from gateway.server.connection import MediaConnection
from tests.adversity.server import Server, serving
from tests.adversity.wire import Bare, Talk, dialled, text
from tests.harness import Customer, Twilio, gateway_running, settings_for

KINDS = (MediaConnection, Stream, Transcription, reader_kernel.Reader)


def live() -> Counter[str]:
    gc.collect()
    held = Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KINDS))
    # The collector does not see these.
    return held + Counter(NativeTrack=track_kernel.live())


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def cycle(customer: Customer, url: str, number: int) -> None:
    """A call that ends in one of the ways that calls end in."""
    async with Twilio.connected(url) as twilio:
        await twilio.settle()
        if number % 3:
            assert (await customer.start(twilio.call_sid))[0] == 200
        await twilio.media(100)
        await twilio.media(100, track="outbound")
        match number % 5:
            case 0:
                await twilio.stop()
            case 1:
                twilio.socket.transport.abort()
            case 2:
                await twilio.send(b"\x00")
                await twilio.start(["inbound"], {})
            case 3:
                async with Twilio.connected(url, twilio.call_sid) as newer:
                    await newer.settle()
            case _:
                pass


async def emptied(registry: Registry) -> None:
    while registry._tasks or registry._sockets:
        await asyncio.sleep(0)


async def test_300_calls_leave_nothing_behind(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url, registry = await customer.stream_url(), customer.gateway.registry
        plane = customer.gateway.plane
        for number in range(30):
            await cycle(customer, url, number)
        await emptied(registry)
        while len(plane):
            await asyncio.sleep(0)
        objects, files = live(), descriptors()
        for batch in range(30):
            await asyncio.gather(*(cycle(customer, url, 10 * batch + number) for number in range(10)))
        await emptied(registry)
        while len(plane):
            await asyncio.sleep(0)
        assert live() == objects
        # The client's pool of connections may have grown to the number of requests at once.
        assert descriptors() <= files + 2 * 10 + 4
        assert not registry._transcriptions
        assert not registry._arrivals
        assert not registry._flushing
        assert not registry._partings
        assert not customer.gateway.registry._conversations._open
        assert registry.snapshots(customer.key.account_id) == []


# Ten thousand, in a process of its own.

CALLS = 100
"""So many calls come again and again: completed calls are remembered, and are none of this test's business."""

GROWTH = 1024 * 1024
"""Bytes of memory by which the last 5,000 cycles may differ from the 5,000 before: 200 a cycle.

A reader alone holds more. What does grow is SQLite's page cache, until it has filled its 2 MiB.
"""

CLOSE = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True)


async def hang_up(bare: Bare, talk: Talk, number: int) -> None:
    """End a stream in one of its ways; those that the gateway ends are waited for."""
    match number % 8:
        case 0:
            await bare.send(text({"event": "stop"}) + CLOSE)
            await bare.end()
        case 1:
            await bare.send(CLOSE)
            await bare.end()
        case 2:
            bare.writer.write_eof()
            await bare.end()
        case 3:
            # A second start.
            await bare.send(talk.opening())
            await bare.reader.read(1)
        case 4:
            # No mask.
            await bare.send(b"\x81\x05hello")
            await bare.reader.read(1)
        case 5:
            # In the midst of a frame.
            await bare.send(talk.message()[:100])
        case 6:
            await bare.send(Frame(Opcode.TEXT, b"{", fin=False).serialize(mask=True))
        case _:
            pass


async def connect_and_hang_up(server: Server, url: str, number: int) -> None:
    talk = Talk(number % CALLS, call_sid=f"CA{number % CALLS:032x}")
    async with dialled(url) as bare:
        if number % 16 == 15:
            # Not even a start.
            return
        await bare.send(talk.opening())
        if number % 10 == 0:
            await bare.settle()
            assert (await server.start(talk.call_sid))[0] in (200, 409)
        await bare.send(talk.message() + talk.message())
        await hang_up(bare, talk, number)


async def cycles(server: Server, url: str, first: int, count: int) -> None:
    """So many, 20 at a time; return when none of them is left."""

    async def line(start: int) -> None:
        for number in range(start, first + count, 20):
            await connect_and_hang_up(server, url, number)

    async with asyncio.TaskGroup() as group:
        for start in range(first, first + 20):
            group.create_task(line(start))
    while await server.metric("gateway_sockets") != {"": 0.0} or (await server.held())["Transcription"]:
        pass


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_10000_cycles_leave_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path, GATEWAY_LIMITS__TICK_MS="5") as server:
        url = await server.stream_url()
        await cycles(server, url, 0, 3000)
        files = server.descriptors()
        sizes = []
        for batch in range(10):
            await cycles(server, url, 1000 * batch, 1000)
            sizes.append(server.rss())
            held = await server.held()
            assert held.pop("Call") <= CALLS
            assert not any(held.values()), held
        assert min(sizes[5:]) - min(sizes[:5]) < GROWTH, sizes
        assert server.descriptors() <= files + 4
