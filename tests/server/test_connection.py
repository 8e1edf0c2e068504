"""What a media socket gets for what it sends."""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from gateway.calls.model import CallState
from gateway.errors import StoreError
from gateway.server import life
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for
from tests.server.conftest import Dial
from tests.server.test_front import upgrade_raw


async def close_code(twilio: Twilio) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        while True:
            await twilio.socket.recv()
    received = caught.value.rcvd
    assert received is not None
    return received.code


async def send_raw(twilio: Twilio, data: bytes) -> None:
    twilio.socket.transport.write(data)


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, rsv: int = 0) -> bytes:
    """A client frame, right or wrong."""
    head = bytes([(0x80 if fin else 0) | rsv | opcode])
    mask = b"\x37\xfa\x21\x3d"
    size = len(payload)
    flag = 0x80 if masked else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    return head + mask + bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"{}", masked=False), 1002),
        (frame(1, b"{}", rsv=0x40), 1002),
        (frame(3, b"{}"), 1002),
        (frame(0, b"{}"), 1002),
        (frame(9, b"x" * 126), 1002),
        (frame(9, b"x", fin=False), 1002),
        (frame(1, b"a", fin=False) + frame(1, b"b"), 1002),
        (frame(1, b'{"event":"\xff"}'), 1007),
        (frame(1, b'{"event":', fin=False) + frame(0, b'"\xff"}'), 1007),
        (frame(1, b" " * 65537), 1009),
        (frame(1, b"a" * 40000, fin=False) + frame(0, b"b" * 40000), 1009),
        (b"\x81\xff" + struct.pack("!Q", 100 * 1024 * 1024) + b"mask" + b"a" * 4096, 1009),
        (b"\x81\xff" + b"\xff" * 8 + b"mask", 1009),
        (b"\x81\xfe\x00\x05maskhello", 1002),
        (b"\xc1\xff" + struct.pack("!Q", 1000) + b"mask", 1002),
    ],
    ids=[
        "unmasked",
        "rsv",
        "opcode-3",
        "continuation-first",
        "long-ping",
        "fragmented-ping",
        "two-starts",
        "utf8",
        "utf8-fragments",
        "over-64k",
        "fragments-over-64k",
        "100-MB",
        "negative-length",
        "overlong-length",
        "rsv-before-payload",
    ],
)
async def test_frames_that_close_the_socket(customer: Customer, data: bytes, code: int) -> None:
    url = await customer.stream_url()
    async with Twilio.connected(url) as bystander, Twilio.connected(url) as twilio:
        await send_raw(twilio, data)
        assert await close_code(twilio) == code
        # Nobody else is disturbed.
        await bystander.settle()
        assert await customer.call(bystander.call_sid) is not None
        assert await customer.call(twilio.call_sid) is None


async def test_a_second_start_closes_with_1008(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.start(["inbound"], {})
        assert await close_code(twilio) == 1008


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("not json", "bad_json"),
        ({"event": "media", "media": {"payload": "!"}}, "bad_base64"),
        ({"event": "surprise"}, "unknown_event"),
        ({"event": "media", "media": {"payload": "/w=="}, "streamSid": "MZother"}, "wrong_stream_sid"),
        ({"event": "stop", "stop": {}, "streamSid": "MZother"}, "wrong_stream_sid"),
        (b"\x00\x01", "binary"),
    ],
)
async def test_messages_that_are_skipped(customer: Customer, message: Any, reason: str) -> None:
    from gateway.metrics import WIRE_SKIPPED

    async with Twilio.connected(await customer.stream_url()) as twilio:
        before = WIRE_SKIPPED.labels(reason)._value.get()
        await twilio.send(message)
        await twilio.settle()
        assert WIRE_SKIPPED.labels(reason)._value.get() == before + 1
        assert await customer.call(twilio.call_sid) is not None


async def test_media_before_start_is_skipped(customer: Customer) -> None:
    from gateway.metrics import WIRE_SKIPPED

    before = WIRE_SKIPPED.labels("media_before_start")._value.get()
    async with Twilio.connected(await customer.stream_url(), start=False) as twilio:
        await twilio.media(100)
        await twilio.settle()
        assert WIRE_SKIPPED.labels("media_before_start")._value.get() == before + 1
        await twilio.start(["inbound"], {})
        await twilio.media(120)
        await twilio.settle()
        assert await customer.call(twilio.call_sid) is not None


async def test_media_of_a_foreign_stream_is_not_taken(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        foreign = twilio.media_message(100)
        foreign["streamSid"] = new_sid("MZ")
        await twilio.send(foreign)
        await twilio.media(120)
        await twilio.settle()
        (track,) = (await customer.call(twilio.call_sid)).tracks
        assert track.received_ms == 20


async def test_a_fragmented_message_is_read(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
        await twilio.settle()
        await customer.start(twilio.call_sid)
        whole = json.dumps(twilio.media_message(100), separators=(",", ":")).encode()
        for cut in (1, 100, len(whole) - 1):
            await send_raw(twilio, frame(1, whole[:cut], fin=False))
            await send_raw(twilio, frame(9, b"ping"))
            await send_raw(twilio, frame(0, whole[cut:]))
        await twilio.media(160)
        await twilio.settle()
        (track,) = (await customer.call(twilio.call_sid)).tracks
        assert track.received_ms == 80


async def test_pings_are_answered_in_order(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        for number in range(20):
            pong = await twilio.socket.ping(f"{number}")
            await twilio.media(100 + 20 * number)
            await pong


async def test_the_token_may_come_as_a_custom_parameter(customer: Customer) -> None:
    base, _, token = (await customer.stream_url()).rpartition("/")
    async with Twilio.connected(base, custom={"token": token}, tracks=["inbound"]) as twilio:
        await twilio.media(100)
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        await twilio.media(120)
        await twilio.settle()
        (track,) = (await customer.call(twilio.call_sid)).tracks
        assert track.received_ms == 20


@pytest.mark.parametrize("custom", [{}, {"token": "eyJhbGciOiJIUzI1NiJ9.e30.AAAA"}])
async def test_a_start_without_a_good_token_closes_with_1008(customer: Customer, custom: dict[str, str]) -> None:
    base = (await customer.stream_url()).rpartition("/")[0]
    async with Twilio.connected(base, custom=custom) as twilio:
        assert await close_code(twilio) == 1008
        assert await customer.call(twilio.call_sid) is None


async def test_an_unauthenticated_socket_gets_64_kib(customer: Customer) -> None:
    base = (await customer.stream_url()).rpartition("/")[0]
    async with connect(base, compression=None) as socket:
        with pytest.raises(ConnectionClosed) as caught:
            for _ in range(100):
                await socket.send('{"event":"connected","padding":"' + "x" * 2000 + '"}')
                await (await socket.ping())
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1008


async def test_a_socket_that_sends_nothing_is_closed(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "UNAUTHENTICATED_S", 0.0)
    monkeypatch.setattr(life, "START_S", 0.0)
    url = await customer.stream_url()
    for target in (url, url.rpartition("/")[0]):
        async with connect(target, compression=None) as socket:
            with pytest.raises(ConnectionClosed) as caught:
                await socket.recv()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1008


async def test_a_silent_wire_is_pinged_and_then_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(life, "IDLE_S", 0.0)
    monkeypatch.setattr(life, "PONG_S", 0.0)
    async with gateway_running(settings_for(tmp_path)) as customer:
        url = await customer.stream_url()
        reader, writer = await asyncio.open_connection("127.0.0.1", customer.gateway.port)
        await upgrade_raw(url, reader, writer)
        call_sid = new_sid("CA")
        start = {"event": "start", "start": {"streamSid": "MZ1", "callSid": call_sid, "tracks": ["inbound"]}}
        writer.write(frame(1, json.dumps(start).encode()))
        # A ping comes; it is not answered; the socket is given up.
        data = await reader.read()
        assert data.startswith(Frame(Opcode.PING, b"").serialize(mask=False))
        assert await customer.call(call_sid) is None
        writer.close()


async def test_a_socket_that_lingers_after_its_stop_is_closed(
    customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        monkeypatch.setattr(life, "IDLE_S", 0.0)
        await twilio.stop()
        assert await close_code(twilio) == 1000


async def test_a_store_that_is_away_is_no_bad_token(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    base, _, token = (await customer.stream_url()).rpartition("/")

    def away() -> None:
        raise StoreError("the database cannot be read")

    monkeypatch.setattr(customer.gateway.store, "_read", away)
    async with Twilio.connected(base, custom={"token": token}) as twilio:
        assert await close_code(twilio) == 1011


@pytest.mark.parametrize("ending", ["stop", "close", "reset", "eof"])
async def test_hang_up_in_every_form_completes_the_call(customer: Customer, ending: str) -> None:
    registry = customer.gateway.registry
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.media(100)
        await twilio.settle()
        assert (await customer.start(twilio.call_sid))[0] == 200
        await twilio.media(120)
        await twilio.settle()
        call = registry._calls.take(customer.key.account_id, twilio.call_sid)
        if ending == "stop":
            await twilio.stop()
            await twilio.settle()
        elif ending == "close":
            await twilio.socket.close()
        elif ending == "eof":
            twilio.socket.transport.write_eof()
        else:
            sock = twilio.socket.transport.get_extra_info("socket")
            sock.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER 0: close() sends a reset
            twilio.socket.transport.abort()
        async with asyncio.timeout(10):
            while call.state is not CallState.COMPLETED:
                await asyncio.sleep(0)
        status, body = await customer.stop(twilio.call_sid)
        assert status == 200
        assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 20
        status, body = await customer.stop(twilio.call_sid)
        assert (status, body["error"]["code"]) == (409, "409-201")


async def test_a_peer_that_never_reads_its_pongs_is_cut_off(customer: Customer, dial: Dial) -> None:
    reader, writer = await dial()
    await upgrade_raw(await customer.stream_url(), reader, writer)
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a transport of the standard library
    ping = frame(9, b"x" * 125) * 2000
    with pytest.raises(ConnectionError):
        async with asyncio.timeout(30):
            while True:
                writer.write(ping)
                await writer.drain()
