"""Start and stop over the real API and real media sockets, without models: audio ends in a checksum."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest
from websockets.frames import Frame, Opcode

from gateway._native import plane as kernel
from gateway._native.track_py import Track as Twin
from gateway.calls import ledger
from gateway.calls.call import Call
from gateway.calls.model import CallState
from gateway.server.connection import MediaConnection
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Customer]:
    async with gateway_running(settings_for(tmp_path)) as customer:
        yield customer


def participants(body: dict[str, dict[str, dict[str, object]]]) -> dict[str, object]:
    return {role: part["streamId"] for role, part in body["autotranscribeResponse"].items()}


async def test_audio_before_the_start_is_never_taken(customer: Customer) -> None:
    twin = Twin(checksum=True)
    async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
        for number in range(50):
            await twilio.media(100 + 20 * number, bytes([number] * 160))
        await twilio.settle()
        (before,) = (await customer.call(twilio.call_sid)).tracks
        assert (before.received_ms, before.samples) == (0, 0)
        assert (await customer.start(twilio.call_sid))[0] == 200
        twin.open_gate()
        for number in range(50, 100):
            payload = bytes([number] * 160)
            await twilio.media(100 + 20 * number, payload)
            twin.place(100 + 20 * number, payload, 0)
        await twilio.settle()
        (after,) = (await customer.call(twilio.call_sid)).tracks
        assert after.received_ms == 1000
        assert after.checksum == twin.checksum_hex()


async def write_now(customer: Customer, twilio: Twilio, timestamps: range) -> None:
    """Put media into the socket itself, past the client's buffers; return when the gateway's end holds them."""
    descriptor = twilio.socket.transport.get_extra_info("socket").fileno()
    size = 0
    for timestamp in timestamps:
        message = json.dumps(twilio.media_message(timestamp), separators=(",", ":")).encode()
        frame = Frame(Opcode.TEXT, message).serialize(mask=True)
        size += os.write(descriptor, frame)
    await arrived(customer, size)


def descriptors(customer: Customer) -> dict[int, MediaConnection]:
    """The gateway's media sockets by their descriptors."""
    found = {}
    for socket in customer.gateway.plane.sockets:
        assert isinstance(socket, MediaConnection)
        assert socket._transport is not None
        found[socket._transport.get_extra_info("socket").fileno()] = socket
    return found


async def arrived(customer: Customer, size: int) -> None:
    """Return when so many bytes lie in the gateway's one media socket; of several, in the one without a call."""
    found = descriptors(customer)
    (gateways,) = (fd for fd, socket in found.items() if len(found) == 1 or socket._call is None)
    async with asyncio.timeout(10):
        while int.from_bytes(fcntl.ioctl(gateways, termios.FIONREAD, bytes(4)), sys.byteorder) < size:
            await asyncio.sleep(0)


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="only the tick reads ahead of the transport")
async def test_start_and_stop_sweep_what_was_sent_before_them(customer: Customer) -> None:
    """Media that lie in the socket when the start is accepted are older than the start; so for the stop."""
    async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
        await twilio.settle()
        # The tick must not be what reads them: only the sweep can.
        plane = customer.gateway.plane
        assert plane._timer is not None
        plane._timer.cancel()
        await write_now(customer, twilio, range(100, 600, 20))
        assert (await customer.start(twilio.call_sid))[0] == 200
        (track,) = (await customer.call(twilio.call_sid)).tracks
        assert track.received_ms == 0
        await write_now(customer, twilio, range(600, 1100, 20))
        status, body = await customer.stop(twilio.call_sid)
        assert status == 200
        assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 500
        twilio.socket.transport.abort()


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="only the tick reads ahead of the transport")
async def test_a_start_right_behind_its_stream_does_not_wait_for_the_tick(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url(), start=False) as twilio:
        plane = customer.gateway.plane
        assert plane._timer is not None
        plane._timer.cancel()
        await twilio.start(["inbound"], {})
        await arrived(customer, 200)
        assert (await customer.start(twilio.call_sid))[0] == 200
        twilio.socket.transport.abort()


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="only the tick reads ahead of the transport")
@pytest.mark.parametrize("old", ["alive", "hung up"])
async def test_a_start_right_behind_a_new_connection_is_for_the_new_stream(customer: Customer, old: str) -> None:
    """Neither the old stream's end nor the new one's beginning is read when the start comes."""
    url = await customer.stream_url()
    async with Twilio.connected(url) as before:
        await before.settle()
        (descriptor,) = descriptors(customer)
        async with Twilio.connected(url, before.call_sid, start=False) as after:
            plane = customer.gateway.plane
            assert plane._timer is not None
            plane._timer.cancel()
            if old == "hung up":
                before.socket.transport.abort()
                async with asyncio.timeout(10):
                    while not select.select([descriptor], [], [], 0)[0]:
                        await asyncio.sleep(0)
            await after.start(["inbound", "outbound"], {})
            await arrived(customer, 200)
            assert (await customer.start(before.call_sid))[0] == 200
            call = await customer.call(before.call_sid)
            assert (call.state, {track.stream_sid for track in call.tracks}) == ("transcribing", {after.stream_sid})
            for twilio in (before, after):
                twilio.socket.transport.abort()


async def test_a_start_without_a_stream_looks_for_it_once(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1

    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0)
    monkeypatch.setattr(customer.gateway.registry, "_look", look)
    assert (await customer.start(new_sid("CA")))[0] == 400
    assert looks == 1


async def test_start_stop_resume_and_their_summaries(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        status, first = await customer.start(twilio.call_sid)
        assert (status, first["isOk"]) == (200, True)
        assert first["autotranscribeResponse"]["agent"]["status"] == {"code": 1000, "description": "OK"}
        for number in range(50):
            await twilio.media(100 + 20 * number)
        for number in range(25):
            await twilio.media(100 + 20 * number, track="outbound")
        await twilio.settle()
        status, stopped = await customer.stop(twilio.call_sid)
        assert status == 200
        assert participants(stopped) == participants(first)
        assert stopped["autotranscribeResponse"]["customer"]["summary"] == {
            "totalAudioBytes": 16_000,
            "audioDurationMs": 1000,
            "streamingSeconds": 1,
            "transcripts": 0,
        }
        assert stopped["autotranscribeResponse"]["agent"]["summary"]["audioDurationMs"] == 500
        status, resumed = await customer.start(twilio.call_sid)
        assert status == 200
        assert participants(resumed) == participants(first)
        await twilio.media(2000)
        await twilio.settle()
        status, again = await customer.stop(twilio.call_sid)
        assert again["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 20


async def test_a_changed_agent_gets_a_new_stream_id(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        _, first = await customer.start(twilio.call_sid)
        await customer.stop(twilio.call_sid)
        _, second = await customer.start(twilio.call_sid, agentId="A2")
        before, after = participants(first), participants(second)
        assert before["customer"] == after["customer"]
        assert before["agent"] != after["agent"]


async def test_twice_started_and_twice_stopped(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        status, body = await customer.stop(twilio.call_sid)
        assert (status, body["error"]["code"]) == (409, "409-201")
        await customer.start(twilio.call_sid)
        status, body = await customer.start(twilio.call_sid)
        assert (status, body["error"]["code"]) == (409, "409-201")
        await customer.stop(twilio.call_sid)
        status, body = await customer.stop(twilio.call_sid)
        assert (status, body["error"]["code"]) == (409, "409-201")


async def test_unknown_calls(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0.05)
    guid = new_sid("CA")
    for answer in (await customer.start(guid), await customer.stop(guid)):
        assert (answer[0], answer[1]["error"]["code"]) == (400, "400-203")


async def test_start_waits_for_its_stream(customer: Customer) -> None:
    guid = new_sid("CA")
    url = await customer.stream_url()
    early = asyncio.create_task(customer.start(guid))
    async with asyncio.timeout(10):
        while (customer.key.account_id, guid) not in customer.gateway.registry._arrivals:
            await asyncio.sleep(0)
    status, body = await customer.start(guid)
    assert (status, body["error"]["code"]) == (409, "409-202")
    async with Twilio.connected(url, guid):
        status, body = await early
        assert (status, body["isOk"]) == (200, True)


async def test_the_other_track_attaches_later(customer: Customer) -> None:
    url = await customer.stream_url()
    async with Twilio.connected(url, tracks=["inbound"]) as inbound:
        await inbound.settle()
        status, body = await customer.start(inbound.call_sid)
        assert status == 200
        assert set(body["autotranscribeResponse"]) == {"customer", "agent"}
        async with Twilio.connected(url, inbound.call_sid, tracks=["outbound"]) as outbound:
            await outbound.media(100, track="outbound")
            await outbound.settle()
            _, stopped = await customer.stop(inbound.call_sid)
            assert stopped["autotranscribeResponse"]["agent"]["summary"]["audioDurationMs"] == 20
            assert (
                stopped["autotranscribeResponse"]["agent"]["streamId"]
                == body["autotranscribeResponse"]["agent"]["streamId"]
            )


async def test_a_newer_stream_takes_its_tracks_over(customer: Customer) -> None:
    url = await customer.stream_url()
    async with Twilio.connected(url) as older:
        await older.settle()
        assert (await customer.start(older.call_sid))[0] == 200
        async with Twilio.connected(url, older.call_sid) as newer:
            await newer.settle()
            await older.socket.wait_closed()
            assert older.socket.close_code == 1000
            call = await customer.call(newer.call_sid)
            assert (call.state, call.sockets) == (CallState.GATED, 1)
            # Ended like a hang-up: one stop still gets the summary.
            assert (await customer.stop(newer.call_sid))[0] == 200
            assert (await customer.stop(newer.call_sid))[0] == 409
            assert (await customer.start(newer.call_sid))[0] == 200


async def test_a_later_stream_continues_a_completed_call(customer: Customer) -> None:
    url = await customer.stream_url()
    async with Twilio.connected(url) as first:
        await first.settle()
        _, started = await customer.start(first.call_sid)
    async with Twilio.connected(url, first.call_sid) as second:
        await second.settle()
        status, again = await customer.start(first.call_sid)
        assert status == 200
        assert participants(again) == participants(started)
    calls = await customer.gateway.store.calls(customer.key.account_id, 10)
    assert {call.guid for call in calls} == {first.call_sid}


async def test_another_account_does_not_see_the_call(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0.05)
    key = await customer.gateway.store.create_key("other", account="other")
    async with aiohttp.ClientSession() as session, Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        other = Customer(customer.gateway, key, session)
        assert (await other.start(twilio.call_sid))[1]["error"]["code"] == "400-203"
        assert (await other.stop(twilio.call_sid))[1]["error"]["code"] == "400-203"
        assert (await other.messages(twilio.call_sid))[0] == 404
        assert (await customer.start(twilio.call_sid))[0] == 200
        assert (await other.messages(twilio.call_sid))[0] == 404
        assert (await customer.messages(twilio.call_sid)) == (200, {"items": []})


async def test_a_full_gateway_refuses_inside_a_200(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, limits={"calls": 1, "tick_ms": 10})
    async with gateway_running(settings) as customer:
        url = await customer.stream_url()
        async with Twilio.connected(url) as one, Twilio.connected(url) as two:
            await one.settle()
            await two.settle()
            assert (await customer.start(one.call_sid))[1]["isOk"] is True
            status, body = await customer.start(two.call_sid)
            assert (status, body["isOk"]) == (200, False)
            assert body["autotranscribeResponse"]["customer"]["status"]["code"] == 5002
            assert (await customer.call(two.call_sid)).state is CallState.GATED
            await customer.stop(one.call_sid)
            assert (await customer.start(two.call_sid))[1]["isOk"] is True


async def test_a_draining_gateway_refuses_inside_a_200(customer: Customer) -> None:
    async with Twilio.connected(await customer.stream_url()) as twilio:
        await twilio.settle()
        customer.gateway.registry.draining = True
        status, body = await customer.start(twilio.call_sid)
        assert (status, body["isOk"]) == (200, False)
        assert body["autotranscribeResponse"]["agent"]["status"] == {
            "code": 5001,
            "description": "Service shutting down",
        }
        assert (await customer.request("GET", "/readyz"))[0] == 503


async def test_completed_calls_are_forgotten_in_time(customer: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "REMEMBER_S", -1.0)
    url = await customer.stream_url()
    for _ in range(5):
        async with Twilio.connected(url) as twilio:
            await twilio.settle()
    async with Twilio.connected(url) as twilio:
        await twilio.settle()
        assert [key[1] for key in customer.gateway.registry._calls._calls] == [twilio.call_sid]


@pytest.mark.skipif(not kernel.HAS_PLANE, reason="the tick exists compiled only")
@pytest.mark.parametrize("started", [False, True])
async def test_hang_ups_are_done_with_where_they_are_read(
    customer: Customer, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    """Nothing is left for another turn, where what thousands left would come at once."""
    monkeypatch.setattr("gateway.server.plane.DRAIN_S", 0.0)
    plane, registry = customer.gateway.plane, customer.gateway.registry
    completed: list[str] = []
    in_a_tick: list[int] = []
    left: list[int] = []
    complete, drain = registry._conversations.complete, plane._drain

    def on_complete(call: Call, reason: str) -> None:
        completed.append(call.guid)
        complete(call, reason)

    def on_drain() -> None:
        before = len(completed)
        drain()
        in_a_tick.append(len(completed) - before)
        left.append(len(registry._tasks))

    monkeypatch.setattr(registry._conversations, "complete", on_complete)
    monkeypatch.setattr(plane, "_drain", on_drain)
    async with AsyncExitStack() as stack:
        callers = [
            await stack.enter_async_context(Twilio.connected(await customer.stream_url(), tracks=["inbound"]))
            for _ in range(5)
        ]
        for twilio in callers:
            await twilio.settle()
            if started:
                assert (await customer.start(twilio.call_sid))[0] == 200
                await twilio.media(100)
                await twilio.settle()
        for twilio in callers:
            twilio.socket.transport.abort()
        await asyncio.wait_for(plane.emptied(), 10)
    assert sorted(completed) == sorted(twilio.call_sid for twilio in callers)
    assert (sum(in_a_tick), max(in_a_tick), max(left)) == (5, 1, 0)
    for twilio in callers:
        status, body = await customer.stop(twilio.call_sid)
        assert status == (200 if started else 409)
        if started:
            assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 20
