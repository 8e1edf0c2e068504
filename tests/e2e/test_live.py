"""Following a real call over HTTP: media socket, voice activity, recognizer, redaction, store, server-sent events."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.adversity.speech import say, spoken
from tests.harness import MODELS, SILENCE, Twilio, gateway_running, settings_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not (MODELS / "silero-vad").is_dir(), reason="the models are not fetched (`make models`)"),
]


async def event(response: aiohttp.ClientResponse) -> tuple[str, Any]:
    """The next event."""
    kind = ""
    async with asyncio.timeout(30):
        while line := (await response.content.readline()).decode():
            if line.startswith("event: "):
                kind = line.removeprefix("event: ").strip()
            elif line.startswith("data: "):
                return kind, json.loads(line.removeprefix("data: "))
    return "over", None


async def test_a_call_is_read_while_it_is_spoken(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, asr={"model": "moonshine-tiny-en"})
    async with gateway_running(settings) as customer, aiohttp.ClientSession() as session:
        headers = {"asapp-api-id": customer.key.api_id, "asapp-api-secret": customer.key.api_secret}
        async with Twilio.connected(await customer.stream_url()) as twilio:
            await twilio.media(0, track="inbound")
            assert (await customer.start(twilio.call_sid))[0] == 200
            url = f"{customer.gateway.public_url_of('http')}/gateway/v1/calls/{twilio.call_sid}/live"
            async with session.get(url, headers=headers) as response:
                assert response.status == 200
                # The first sentence of the agent: over three seconds.
                ulaw = spoken(seconds=3.2)
                at_ms = await say(twilio, 20, ulaw[: 8 * 2000])
                kind, partial = await event(response)
                assert kind == "partial"
                assert partial["revision"] == 1
                assert partial["sender"] == {"role": "customer", "externalId": "C1"}
                at_ms = await say(twilio, at_ms, ulaw[8 * 2000 :] + SILENCE * 75)
                while kind == "partial":
                    kind, final = await event(response)
                assert kind == "final"
                assert final["streamId"] == partial["streamId"]
                assert partial["start"] < final["end"]
                first = partial["text"].lower().split()
                assert len(first) >= 2
                assert first[0].strip(",.") == final["text"].lower().split()[0].strip(",.")
                _, messages = await customer.messages(twilio.call_sid)
                assert [one["messageId"] for one in messages["items"]][:1] == [final["messageId"]]
                await twilio.stop()
                while kind != "ended":
                    kind, body = await event(response)
                assert body == {"reason": "hangup"}
                assert await event(response) == ("over", None)
