"""Many sockets, every sort of jitter, gap and chunking: each track comes to the very PCM its twin comes to."""

from __future__ import annotations

import asyncio
import random
import socket
import ssl
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from websockets.frames import Close, Frame, Opcode

from gateway.calls.model import StartRequest
from tests.adversity.misbehaviour import MISBEHAVIOURS, Script, written
from tests.adversity.server import Server, serving
from tests.adversity.wire import Bare, Talk, dialled, text
from tests.harness import Customer, gateway_running, new_sid, settings_for
from tests.server.test_front import make_certificate

Start = Callable[[str], Awaitable[tuple[int, Any]]]
Show = Callable[[str], Awaitable[dict[str, tuple[int, str]]]]


async def converse(url: str, start: Start, show: Show, seed: int, messages: int, **options: Any) -> None:
    """One call from its upgrade on, judged at its end."""
    talk = Talk(seed)
    async with dialled(url, **options) as bare:
        await bare.send(talk.opening())
        await bare.settle()
        assert (await start(talk.call_sid))[0] == 200
        for chunk in talk.chunks(messages):
            await bare.send(chunk)
            # Others get their turn in the middle of a frame.
            await asyncio.sleep(0)
        await bare.settle()
        assert await show(talk.call_sid) == talk.expected(), f"seed {seed}"


def tracks_of(customer: Customer) -> Show:
    async def show(guid: str) -> dict[str, tuple[int, str]]:
        call = await customer.call(guid)
        return {track.track: (track.samples, track.checksum) for track in call.tracks}

    return show


@pytest.mark.parametrize(("sockets", "messages"), [(20, 500), pytest.param(200, 1500, marks=pytest.mark.slow)])
async def test_every_track_comes_to_its_checksum(tmp_path: Path, sockets: int, messages: int) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer, asyncio.TaskGroup() as group:
        url = await customer.stream_url()
        for seed in range(sockets):
            group.create_task(converse(url, customer.start, tracks_of(customer), seed, messages))


async def test_every_track_comes_to_its_checksum_under_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        token = customer.gateway.tokens.issue(customer.key.account_id, customer.key.api_id)
        url = f"{customer.gateway.public_url}/twilio-media/{token}"

        async def start(guid: str) -> tuple[int, Any]:
            outcome = await customer.gateway.registry.start(customer.key.account_id, StartRequest(guid, "C1", "A1"))
            return (200 if outcome.ok else 500), outcome

        async with asyncio.TaskGroup() as group:
            for seed in range(10):
                group.create_task(converse(url, start, tracks_of(customer), seed, 500, ssl=context))


@pytest.mark.slow
@pytest.mark.parametrize("kernels", ["compiled", "twins"])
async def test_every_track_comes_to_its_checksum_in_a_process_of_its_own(tmp_path: Path, kernels: str) -> None:
    variables = {"GATEWAY_NO_EXTENSIONS": "1"} if kernels == "twins" else {}
    async with serving(tmp_path, **variables) as server, AsyncExitStack() as stack:
        assert ("twins" in server.log[-1]["kernels"]) == (kernels == "twins")

        async def show(guid: str) -> dict[str, tuple[int, str]]:
            live = (await server.call(guid))["live"]
            return {track["track"]: (track["samples"], track["checksum"]) for track in live["tracks"]}

        url = await server.stream_url()
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for seed in range(20):
            group.create_task(converse(url, server.start, show, 1000 + seed, 500))


# A million messages, under every misbehaviour at once.

ENDINGS = ("stop", "close", "eof", "reset")


def opening(script: Script, call_sid: str) -> bytes:
    sids = {"streamSid": script.stream_sid, "callSid": call_sid}
    return text({"event": "connected"}) + text({"event": "start", "start": {**sids, "tracks": ["inbound", "outbound"]}})


async def send_in_pieces(bare: Bare, data: bytearray, dice: random.Random) -> None:
    """Cut anywhere: now and then in the smallest pieces, else in large ones."""
    view, at = memoryview(data), 0
    while at < len(view):
        size = dice.randrange(1, 400) if dice.random() < 0.2 else dice.randrange(1, 60_000)
        await bare.send(bytes(view[at : at + size]))
        at += size
        await asyncio.sleep(0)


async def end(bare: Bare, ending: str) -> int:
    """End the stream in one of the ways that streams end in; frames sent for it."""
    close = Frame(Opcode.CLOSE, Close(1000, "").serialize()).serialize(mask=True)
    match ending:
        case "stop":
            await bare.send(text({"event": "stop"}) + close)
            await bare.end()
            return 2
        case "close":
            await bare.send(close)
            await bare.end()
            return 1
        case "eof":
            bare.writer.write_eof()
            await bare.end()
        case _:
            # No time to linger: the kernel resets the connection.
            peer = bare.writer.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return 0


class Crowd:
    """Many calls at a time; the stalled ones send all they have when the others are through."""

    def __init__(self, server: Server, url: str) -> None:
        self.server = server
        self.url = url
        self.frames = 0
        self.skipped: Counter[str] = Counter()
        self.quiet = asyncio.Event()
        self.busy = 0

    async def call(self, number: int, kind: str, script: Script) -> None:
        call_sid = new_sid("CA")
        async with dialled(self.url) as bare:
            await bare.send(opening(script, call_sid))
            await bare.settle()
            assert (await self.server.start(call_sid))[0] == 200
            if kind == "stall":
                await self.quiet.wait()
                await bare.send(bytes(script.data))
            else:
                await send_in_pieces(bare, script.data, random.Random(number))
            await bare.settle()
            live = (await self.server.call(call_sid))["live"]
            found = {track["track"]: (track["samples"], track["checksum"]) for track in live["tracks"]}
            assert found == script.tracks, f"{kind} {number}"
            self.skipped.update(script.skipped)
            last = await end(bare, ENDINGS[number % len(ENDINGS)])
            # Two frames open a stream, two pings were answered.
            self.frames += script.frames + 4 + last
        if kind != "stall":
            self.busy -= 1
            if not self.busy:
                self.quiet.set()

    async def run(self, sockets: int, messages: int, seeds: int) -> None:
        kinds = [MISBEHAVIOURS[number % len(MISBEHAVIOURS)] for number in range(sockets)]
        self.busy = sum(kind != "stall" for kind in kinds)
        async with asyncio.TaskGroup() as group:
            for number, kind in enumerate(kinds):
                seed = number // len(MISBEHAVIOURS) % seeds
                group.create_task(self.call(number, kind, written(kind, seed, messages)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("sockets", "messages", "seeds"), [(20, 300, 1), pytest.param(200, 5000, 3, marks=pytest.mark.slow)]
)
async def test_every_message_arrives_whole_under_every_misbehaviour(
    tmp_path: Path, sockets: int, messages: int, seeds: int
) -> None:
    async with serving(tmp_path) as server:
        crowd = Crowd(server, await server.stream_url())
        await crowd.run(sockets, messages, seeds)
        while await server.metric("gateway_sockets") != {"": 0.0}:
            pass
        assert crowd.frames > sockets * messages
        assert await server.metric("gateway_wire_messages_total") == {"": crowd.frames}
        skipped = await server.metric("gateway_wire_skipped_total")
        assert skipped == {f'{{reason="{reason}"}}': count for reason, count in crowd.skipped.items()}
