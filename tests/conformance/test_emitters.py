"""Speakers of the protocol that are not ours: Twilio's own library, pipecat's minimal form, captured messages."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import Start, Stream, VoiceResponse
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from gateway._native.track_py import Track as Twin
from tests.harness import Customer, Twilio, gateway_running, new_sid, settings_for

AUTH_TOKEN = "12345"
PUBLIC = "wss://calls.example.com"


async def test_pipecats_minimal_form(tmp_path: Path) -> None:
    """No tracks, no track, no chunk, no timestamp, no sequence numbers; 320 bytes a message; no stop."""
    twin = Twin(checksum=True)
    twin.open_gate()
    async with gateway_running(settings_for(tmp_path)) as customer:
        guid, stream_sid = new_sid("CA"), new_sid("MZ")
        async with connect(await customer.stream_url(), compression=None) as socket:
            twilio = Twilio(socket, guid, stream_sid)
            await twilio.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
            sids = {"streamSid": stream_sid, "callSid": guid}
            await twilio.send({"event": "start", **sids, "start": sids})
            await twilio.settle()
            assert (await customer.start(guid))[0] == 200
            for number in range(100):
                payload = bytes([number]) * 320
                media = {"payload": base64.b64encode(payload).decode()}
                await twilio.send({"event": "media", "streamSid": stream_sid, "media": media})
                twin.place(-1, payload, 0)
            await twilio.settle()
            heard = {track.track: track for track in (await customer.call(guid)).tracks}
            assert heard["inbound"].received_ms == 4000
            assert heard["inbound"].checksum == twin.checksum_hex()
            assert heard["outbound"].received_ms == 0
            status, body = await customer.stop(guid)
            assert status == 200
            assert body["autotranscribeResponse"]["customer"]["summary"]["audioDurationMs"] == 4000


async def test_messages_captured_on_the_real_wire(tmp_path: Path) -> None:
    """Key order, string numbers, a first timestamp of 155, and a grid that is not quite 20 ms (seq 74 = chunk 73)."""
    call_sid, stream_sid = new_sid("CA"), new_sid("MZ")
    idle = (
        "f39///////9/f39/f3//f3///v///////////39/f3///3//f39/f////3//f3///////39/f39//39/f39/f39//3//f////////39/fn9"
        "/f/9/f39/f3//f39/f/9//////3///////////39/f/////9/////////////f39/f39//39//3///3//////f39/f39///9/f39//39/fw=="
    )

    def media(sequence: int, chunk: int, timestamp: int) -> str:
        return (
            f'{{"event":"media","sequenceNumber":"{sequence}","media":{{"track":"inbound","chunk":"{chunk}",'
            f'"timestamp":"{timestamp}","payload":"{idle}"}},"streamSid":"{stream_sid}"}}'
        )

    twin = Twin(checksum=True)
    twin.open_gate()
    async with (
        gateway_running(settings_for(tmp_path)) as customer,
        connect(await customer.stream_url(), compression=None) as socket,
    ):
        twilio = Twilio(socket, call_sid, stream_sid)
        await twilio.send('{"event":"connected","protocol":"Call","version":"1.0.0"}')
        await twilio.send(
            '{"event":"start","sequenceNumber":"1","start":{"accountSid":"AC00000000000000000000000000000000",'
            f'"streamSid":"{stream_sid}","callSid":"{call_sid}","tracks":["inbound"],"mediaFormat":{{"encoding":'
            '"audio/x-mulaw","sampleRate":8000,"channels":1},"customParameters":{}},'
            f'"streamSid":"{stream_sid}"}}'
        )
        await twilio.settle()
        assert (await customer.start(call_sid))[0] == 200
        for chunk in range(1, 74):
            # 72 steps in 1438 ms, as captured: 155 first, 1593 last.
            timestamp = 155 + (1438 * (chunk - 1)) // 72
            await twilio.send(media(chunk + 1, chunk, timestamp))
            twin.place(timestamp, base64.b64decode(idle), 0)
        await twilio.settle()
        (track,) = (await customer.call(call_sid)).tracks
        assert (track.received_ms, track.filled_ms) == (73 * 20, 0)
        assert track.checksum == twin.checksum_hex()
        await twilio.send(
            f'{{"event":"stop","sequenceNumber":"378","stop":{{"accountSid":"AC00000000000000000000000000000000",'
            f'"callSid":"{call_sid}"}},"streamSid":"{stream_sid}"}}'
        )
        await twilio.settle()
        assert await customer.call(call_sid) is None


async def test_the_stream_url_survives_twiml(tmp_path: Path) -> None:
    """Twilio drops a query string: the URL has none, and TwiML neither changes nor escapes it."""
    async with gateway_running(settings_for(tmp_path, public_url=PUBLIC)) as customer:
        url = await customer.stream_url()
        assert url.startswith(f"{PUBLIC}/twilio-media/")
        assert "?" not in url
        response, start = VoiceResponse(), Start()
        start.append(Stream(url=url, track="both_tracks"))
        response.append(start)
        assert f'url="{url}"' in str(response)
        # A token given as a <Parameter> has to stay under 500 characters.
        assert len(url.rpartition("/")[2]) < 500


async def signed_upgrade(customer: Customer, signature: str | None) -> None:
    """Connect as Twilio would through a proxy: to the public URL's path, with its signature."""
    path = (await customer.stream_url()).removeprefix(PUBLIC)
    headers = {} if signature is None else {"X-Twilio-Signature": signature}
    url = f"ws://127.0.0.1:{customer.gateway.port}{path}"
    async with connect(url, compression=None, additional_headers=headers) as socket:
        await (await socket.ping())


@pytest.mark.parametrize("policy", ["off", "log", "require"])
async def test_twilios_signature(tmp_path: Path, policy: str) -> None:
    twilio = {"auth_token": AUTH_TOKEN, "signature": policy}
    async with gateway_running(settings_for(tmp_path, public_url=PUBLIC, twilio=twilio)) as customer:
        path = (await customer.stream_url()).removeprefix(PUBLIC)
        signature = RequestValidator(AUTH_TOKEN).compute_signature(PUBLIC + path, {})
        url = f"ws://127.0.0.1:{customer.gateway.port}{path}"
        async with connect(url, compression=None, additional_headers={"X-Twilio-Signature": signature}) as socket:
            await (await socket.ping())
        for wrong in (None, RequestValidator("another").compute_signature(PUBLIC + path, {})):
            if policy == "require":
                with pytest.raises(InvalidStatus) as caught:
                    await signed_upgrade(customer, wrong)
                assert caught.value.response.status_code == 401
            else:
                await signed_upgrade(customer, wrong)
