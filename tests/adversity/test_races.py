"""Starts, stops, hang-ups and reconnects that cross each other."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.calls.model import CallState
from tests.adversity.engine import FaultyEngine, hearing
from tests.adversity.speech import say, spoken
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for, webhook_receiver


def codes(answers: list[tuple[int, Any]]) -> Counter[str]:
    return Counter(body["error"]["code"] if status != 200 else "200" for status, body in answers)


def transcripts(body: Any, role: str = "customer") -> int:
    return int(body["autotranscribeResponse"][role]["summary"]["transcripts"])


@pytest.mark.parametrize("connected", [True, False], ids=["stream-there", "stream-comes"])
async def test_of_many_starts_one_is_taken(tmp_path: Path, connected: bool) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url, sid = await customer.stream_url(), new_sid("CA")
        if connected:
            async with Twilio.connected(url, sid) as twilio:
                await twilio.settle()
                answers = await asyncio.gather(*(customer.start(sid) for _ in range(20)))
        else:
            starts = [asyncio.ensure_future(customer.start(sid)) for _ in range(20)]
            # All but the one that waits for the stream are answered at once.
            while sum(start.done() for start in starts) < 19:
                await asyncio.sleep(0)
            async with Twilio.connected(url, sid):
                answers = await asyncio.gather(*starts)
        found = codes(answers)
        assert found.pop("200") == 1
        assert set(found) <= {"409-201", "409-202"}


async def test_a_start_whose_stream_never_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0.05)
    async with gateway_running(settings_for(tmp_path)) as customer:
        sid = new_sid("CA")
        assert codes([await customer.start(sid)]) == {"400-203": 1}
        assert not customer.gateway.registry._arrivals
        # The start that was given up is no obstacle to a later one.
        async with Twilio.connected(await customer.stream_url(), sid) as twilio:
            await twilio.settle()
            assert (await customer.start(sid))[0] == 200


async def test_another_accounts_call_does_not_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.arrivals.START_WAIT_S", 0.05)
    async with gateway_running(settings_for(tmp_path)) as customer:
        stranger = Customer(
            customer.gateway, await customer.gateway.store.create_key("other", "other"), customer._session
        )
        async with Twilio.connected(await customer.stream_url()) as twilio:
            await twilio.settle()
            sid = twilio.call_sid
            assert codes([await stranger.start(sid)]) == {"400-203": 1}
            assert (await customer.start(sid))[0] == 200
            assert codes([await stranger.stop(sid)]) == {"400-203": 1}
            assert (await stranger.request("GET", f"/gateway/v1/calls/{sid}"))[0] == 404
            assert (await stranger.messages(sid))[0] == 404
            # The same guid under the other account is another call; neither takes the other's tracks.
            async with Twilio.connected(await stranger.stream_url(), sid) as theirs:
                await theirs.settle()
                assert (await stranger.start(sid))[0] == 200
                await twilio.media(100)
                await twilio.settle()
                (mine, _), (other, _) = (await customer.call(sid)).tracks, (await stranger.call(sid)).tracks
                assert (mine.received_ms, other.received_ms) == (20, 0)


async def test_a_storm_of_starts_and_stops_leaves_a_call_that_works(tmp_path: Path) -> None:
    dice = random.Random(7)
    async with (
        gateway_running(settings_for(tmp_path)) as customer,
        Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio,
    ):
        await twilio.settle()
        sid = twilio.call_sid

        async def one(number: int) -> tuple[int, Any]:
            await twilio.media(100 + 20 * number)
            return await (customer.start(sid) if dice.random() < 0.5 else customer.stop(sid))

        found = codes([answer for _ in range(10) for answer in await asyncio.gather(*map(one, range(30)))])
        assert set(found) <= {"200", "409-201", "409-202"}
        assert found["200"] > 1
        await customer.stop(sid)
        assert (await customer.start(sid))[0] == 200
        await twilio.media(60_000)
        await twilio.media(60_020)
        await twilio.settle()
        status, body = await customer.stop(sid)
        assert status == 200
        assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 40


@pytest.mark.parametrize("first", ["hang-up", "stop"])
async def test_stop_and_hang_up_at_once_give_one_summary(tmp_path: Path, first: str) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url = await customer.stream_url()
        for _ in range(20):
            async with Twilio.connected(url, tracks=["inbound"]) as twilio:
                await twilio.settle()
                sid = twilio.call_sid
                assert (await customer.start(sid))[0] == 200
                await twilio.media(100)
                if first == "hang-up":
                    await twilio.stop()
                stop = asyncio.ensure_future(customer.stop(sid))
                if first == "stop":
                    await asyncio.sleep(0)
                    await twilio.stop()
                status, body = await stop
                assert status == 200, body
                assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 20
                await twilio.settle()
                assert codes([await customer.stop(sid)]) == {"409-201": 1}


async def test_two_sockets_are_one_call_until_the_last_has_gone(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url, sid = await customer.stream_url(), new_sid("CA")
        async with Twilio.connected(url, sid, ["inbound"]) as one:
            async with Twilio.connected(url, sid, ["outbound"]) as two:
                await one.settle()
                await two.settle()
                assert (await customer.start(sid))[0] == 200
                await one.media(100, track="inbound")
                await two.media(5000, track="outbound")
                await one.settle()
                await two.settle()
                call = await customer.call(sid)
                assert call.sockets == 2
                assert {track.track: track.received_ms for track in call.tracks} == {"inbound": 20, "outbound": 20}
                await two.stop()
                await two.settle()
            call = await customer.call(sid)
            assert (call.state, call.sockets) == (CallState.TRANSCRIBING, 1)
            status, body = await customer.stop(sid)
            assert status == 200
            roles = body["autotranscribeResponse"]
            assert {roles[role]["summary"]["audioDurationMs"] for role in ("customer", "agent")} == {20}
        assert await customer.call(sid) is None


async def closed_with(twilio: Twilio) -> int:
    with pytest.raises(ConnectionClosed) as caught:
        await twilio.socket.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code


async def test_a_reconnect_gates_the_call_and_closes_the_older_stream(tmp_path: Path) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        url, sid = await customer.stream_url(), new_sid("CA")
        async with Twilio.connected(url, sid) as old:
            await old.settle()
            status, body = await customer.start(sid)
            assert status == 200
            stream_id = body["autotranscribeResponse"]["customer"]["streamId"]
            async with Twilio.connected(url, sid) as new:
                assert await closed_with(old) == 1000
                await new.media(100)
                await new.settle()
                call = await customer.call(sid)
                assert (call.state, call.sockets) == (CallState.GATED, 1)
                assert {track.received_ms for track in call.tracks} == {0}
                status, body = await customer.start(sid)
                assert status == 200
                assert body["autotranscribeResponse"]["customer"]["streamId"] == stream_id


@pytest.mark.slow
async def test_a_reconnect_in_mid_utterance_loses_nothing_that_was_said(tmp_path: Path) -> None:
    async with webhook_receiver() as receiver:
        settings = settings_for(tmp_path, webhook={"url": receiver.url})
        async with gateway_running(settings) as customer, hearing(customer, FaultyEngine()):
            url, sid = await customer.stream_url(), new_sid("CA")
            async with (
                Twilio.connected(url, sid, ["outbound"]) as other,
                Twilio.connected(url, sid, ["inbound"]) as old,
            ):
                await other.settle()
                await old.settle()
                assert (await customer.start(sid))[0] == 200
                await say(old, 100, spoken(seconds=2.0))
                await say(other, 100, spoken(seconds=2.0), "outbound")
                await old.settle()
                await other.settle()
                async with Twilio.connected(url, sid, ["inbound"]) as new:
                    assert await closed_with(old) == 1000
                    # Both were in mid-utterance; the start that follows at once cuts nothing off.
                    assert (await customer.start(sid))[0] == 200
                    await say(new, 100, spoken(seconds=2.0))
                    await say(other, 4000, spoken(seconds=2.0), "outbound")
                    await new.settle()
                    await other.settle()
                    status, body = await customer.stop(sid)
                    assert status == 200
                    assert (transcripts(body), transcripts(body, "agent")) == (1, 1)
                    posts = await receiver.wait_for(4)
                    assert Counter(post["sender"]["role"] for post in posts) == {"customer": 2, "agent": 2}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["one-socket", "two-sockets"])
async def test_a_stop_behind_a_hang_up_has_the_last_words_in_its_summary(tmp_path: Path, how: str) -> None:
    engine = FaultyEngine()
    async with gateway_running(settings_for(tmp_path)) as customer, hearing(customer, engine):
        url, sid = await customer.stream_url(), new_sid("CA")
        tracks = (["inbound", "outbound"],) if how == "one-socket" else (["inbound"], ["outbound"])
        async with (
            Twilio.connected(url, sid, tracks[0]) as first,
            Twilio.connected(url, sid if how == "two-sockets" else new_sid("CA"), tracks[-1]) as second,
        ):
            carrier = second if how == "two-sockets" else first
            await first.settle()
            await second.settle()
            assert (await customer.start(sid))[0] == 200
            await say(first, 100, spoken(), "inbound")
            await say(carrier, 100, spoken(), "outbound")
            # The recognizer is not done when the call ends.
            engine.gate.clear()
            await first.stop()
            await carrier.stop()
            await first.settle()
            await carrier.settle()
            stop = asyncio.ensure_future(customer.stop(sid))
            while not customer.gateway.registry._calls.take(customer.key.account_id, sid).pending:
                await asyncio.sleep(0)
            engine.gate.set()
            status, body = await stop
            assert status == 200
            assert (transcripts(body), transcripts(body, "agent")) == (1, 1)
