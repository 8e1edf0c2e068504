"""Garbage on many sockets while one good call streams: it is not disturbed, and nothing grows."""

from __future__ import annotations

import asyncio
import random
import ssl
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.frames import Frame, Opcode

from gateway.calls.model import StartRequest
from gateway.metrics import WIRE_SKIPPED
from gateway.server import connection as module
from gateway.server import life
from tests.adversity.server import Server, serving
from tests.adversity.wire import Bare, Talk, dialled, ping, text
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for
from tests.server.test_front import make_certificate

GROWTH = 24 * 1024 * 1024
"""Memory that a battery may add: buffers at their bounds, and what the allocator keeps of them."""

_JSON = (
    b"null", b"[]", b'""', b"{}", b"1e999", b"[" * 5000, b'{"event":{}}', b'{"event":"start"}', b'{"event":"media"}',
    b'{"event":"start","start":{"streamSid":[],"callSid":1}}',
    b'{"event":"start","start":{"streamSid":"","callSid":""}}',
    b'{"event":"media","media":{"payload":"AAA","timestamp":"-5","track":{}}}', b'{"event":"media","media":[]}',
    b'{"event":"media","media":{"payload":"/w==","timestamp":1e30,"chunk":{}},"streamSid":"x"}',
    b'{"event":"dtmf"}', b'{"event":"mark","mark":7}', b'{"event":"connected","protocol":[]}', b'{"event":"\\ud800"}',
)  # fmt: skip


def fragment(opcode: Opcode, data: bytes, fin: bool = False) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=True)


async def random_bytes(bare: Bare, dice: random.Random) -> None:
    for _ in range(64):
        await bare.send(dice.randbytes(4096))


async def random_json(bare: Bare, dice: random.Random) -> None:
    for _ in range(40):
        await bare.send(b"".join(text(dice.choice(_JSON)) for _ in range(50)))


async def huge_header(bare: Bare, dice: random.Random) -> None:
    await bare.send(b"\x81\xff" + (100 << 20).to_bytes(8, "big") + b"mask")
    for _ in range(256):
        await bare.send(bytes(65536))


async def half_a_frame(bare: Bare, dice: random.Random) -> None:
    whole = text({"event": "media", "media": {"payload": "A" * 60_000}})
    await bare.send(whole[: dice.randrange(1, len(whole))])


async def control_frames(bare: Bare, dice: random.Random) -> None:
    for _ in range(10):
        await bare.send(b"".join(ping(b"x") for _ in range(1000)))


async def endless_fragments(bare: Bare, dice: random.Random) -> None:
    await bare.send(fragment(Opcode.TEXT, b"{"))
    for _ in range(20):
        await bare.send(fragment(Opcode.CONT, b"") * 1000 + fragment(Opcode.CONT, b"x" * 2000))


async def a_stream_then_noise(bare: Bare, dice: random.Random) -> None:
    talk = Talk(dice.randrange(1 << 30))
    await bare.send(talk.opening())
    await bare.send(b"".join(talk.chunks(50)) + text(b'{"event":"stop"}') * 3 + talk.opening())
    await random_bytes(bare, dice)


Attack = Callable[[Bare, random.Random], Awaitable[None]]
ATTACKS: tuple[Attack, ...] = (
    random_bytes, random_json, huge_header, half_a_frame, control_frames, endless_fragments, a_stream_then_noise,
)  # fmt: skip


async def shout(url: str, attack: Attack, seed: int, keep: asyncio.Event, **options: object) -> None:
    """One attacker; it stays on the line, reading, until ``keep`` is set."""
    async with dialled(url, **options) as bare:
        reading = asyncio.ensure_future(bare.end())
        with suppress(ConnectionError):
            await attack(bare, random.Random(seed))
        await keep.wait()
        reading.cancel()


async def slow_loris(url: str, keep: asyncio.Event) -> None:
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(b"GET /twilio-media/x HTTP/1.1\r\nHost: g\r\nX-Slow: ")
    with suppress(ConnectionError):
        while not keep.is_set() and not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.05)
    writer.transport.abort()


async def test_a_good_call_does_not_notice(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        await good_call_amid_noise(customer, await customer.stream_url())


async def test_a_good_call_does_not_notice_under_tls(tmp_path: Path) -> None:
    cert, key = make_certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(cert))
    async with gateway_running(settings_for(tmp_path, tls={"cert": cert, "key": key})) as customer:
        token = customer.gateway.tokens.issue(customer.key.account_id, customer.key.api_id)
        url = f"{customer.gateway.public_url}/twilio-media/{token}"
        await good_call_amid_noise(customer, url, ssl=context)


async def good_call_amid_noise(customer: Customer, url: str, **options: object) -> None:
    talk, keep, registry = Talk(1), asyncio.Event(), customer.gateway.registry
    async with asyncio.TaskGroup() as group, dialled(url, **options) as good:
        await good.send(talk.opening())
        await good.settle()
        assert (await registry.start(customer.key.account_id, StartRequest(talk.call_sid, "C1", "A1"))).ok
        for seed in range(2 * len(ATTACKS)):
            group.create_task(shout(url, ATTACKS[seed % len(ATTACKS)], seed, keep, **options))
        group.create_task(slow_loris(url, keep))
        for chunk in talk.chunks(2000):
            await good.send(chunk)
            await asyncio.sleep(0)
        await good.settle()
        call = await customer.call(talk.call_sid)
        assert {track.track: (track.samples, track.checksum) for track in call.tracks} == talk.expected()
        keep.set()


async def attack_waves(server: Server, waves: int) -> None:
    url = await server.stream_url()
    for wave in range(waves):
        keep = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            attackers = [
                group.create_task(shout(url, ATTACKS[number % len(ATTACKS)], 100 * wave + number, keep))
                for number in range(28)
            ]
            group.create_task(slow_loris(url, keep))
            # A request answered in their midst.
            assert (await server.request("GET", "/healthz"))[0] == 200
            keep.set()
        assert all(task.done() for task in attackers)


@pytest.mark.slow
async def test_garbage_takes_no_memory(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await attack_waves(server, 2)
        before = server.rss()
        await attack_waves(server, 10)
        assert server.rss() - before < GROWTH


async def test_empty_fragments_take_no_memory(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer, dialled(await customer.stream_url()) as bare:
        await bare.send(fragment(Opcode.TEXT, b"{") + fragment(Opcode.CONT, b"") * 5000)
        await bare.settle()
        (socket,) = customer.gateway.plane.sockets
        assert isinstance(socket, module.MediaConnection)
        assert sys.getsizeof(socket._fragments) < 1024


async def test_one_sockets_flood_leaves_turns_to_the_others(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url = await customer.stream_url()
        async with dialled(url) as noisy, Twilio.connected(url) as quiet:
            # A gated call would be read seldom in any case.
            assert (await customer.start(quiet.call_sid))[0] == 200
            (flooded,) = (
                socket
                for socket in customer.gateway.plane.sockets
                if isinstance(socket, module.MediaConnection) and socket._call is None
            )
            count = 50 * module.MAX_EVENTS
            noisy.writer.write(text(b"{}") * count)
            turns = 0
            while flooded._reader.messages < count:
                before = flooded._reader.messages
                await quiet.settle()
                taken = flooded._reader.messages - before
                turns += bool(taken)
                assert taken <= 8 * module.MAX_EVENTS
            assert turns > 5


async def test_a_binary_message_in_fragments_is_no_text(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer, dialled(await customer.stream_url()) as bare:
        talk = Talk(1)
        start = talk.opening()
        before = WIRE_SKIPPED.labels("binary")._value.get()
        await bare.send(fragment(Opcode.BINARY, b"") + fragment(Opcode.CONT, b'{"event":"stop"}', True))
        await bare.send(start)
        await bare.settle()
        payload = b'{"event":"stop"}'
        await bare.send(fragment(Opcode.BINARY, b"") + fragment(Opcode.CONT, payload, True))
        await bare.settle()
        assert WIRE_SKIPPED.labels("binary")._value.get() == before + 2
        assert (await customer.call(talk.call_sid)).sockets == 1


async def test_nothing_is_taken_behind_our_close(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "CLOSE_S", 0.0)
    async with gateway_running(settings_for(tmp_path)) as customer, dialled(await customer.stream_url()) as bare:
        talk = Talk(1)
        await bare.send(text(b'{"event":"\xff"}') + talk.opening())
        end = await bare.end()
        assert end[2:4] == (1007).to_bytes(2, "big")
        assert customer.gateway.registry._calls.get(customer.key.account_id, talk.call_sid) is None


async def test_what_follows_a_start_waits_for_the_token_within_bounds(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        base, _, token = (await customer.stream_url()).rpartition("/")
        answered, principal = asyncio.Event(), customer.gateway.media._services.authenticate

        async def slow(shown: str) -> object:
            await answered.wait()
            return await principal(shown)

        services = customer.gateway.media._services
        object.__setattr__(services, "authenticate", slow)
        async with dialled(base) as bare:
            sid = new_sid("CA")
            start = {"streamSid": "MZ1", "callSid": sid, "tracks": ["inbound"], "customParameters": {"token": token}}
            bare.writer.write(text({"event": "start", "start": start}) + ping(b"x" * 100) * 30_000)
            (socket,) = customer.gateway.plane.sockets
            assert isinstance(socket, module.MediaConnection)
            while not socket._reader.buffered:
                await asyncio.sleep(0)
            for _ in range(20):
                customer.gateway.plane.sweep()
            assert socket._reader.buffered <= 256 * 1024
            answered.set()
            await bare.reader.readuntil(b"x" * 100)
            assert await customer.call(sid) is not None
