"""The use case that the implemented document ends with: a call with a PIN, redacted, put on hold and stopped.

Everything is real: sockets, models, voice activity, redaction, store, webhook. What is said is the project's own.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.peers.emitter import Identity, TwilioEmitter
from gateway.peers.recording import load
from tests.harness import MODELS, SAMPLE, Customer, Receiver, gateway_running, settings_for, webhook_receiver

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120),
    pytest.mark.skipif(not (MODELS / "silero-vad").is_dir(), reason="the models are not fetched (`make models`)"),
]

HOLD_CALL = SAMPLE.with_name("hold-call.wav")
REFERENCE = json.loads(HOLD_CALL.with_suffix(".json").read_text())
CALL_SID = "CA5b040e075515c424391012acc5a870cf"
OFFSET_MS = 200


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def customer(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Customer]:
    settings = settings_for(tmp_path, asr={"model": "moonshine-tiny-en"}, webhook={"url": receiver.url})
    async with gateway_running(settings) as customer:
        yield customer


def start_request() -> dict[str, Any]:
    """Step 3, with every field that the document gives."""
    return {
        "namespace": "twilio",
        "guid": CALL_SID,
        "customerId": "TT9833237",
        "agentId": "RE223444211993",
        "autotranscribeParams": {"language": "en-US"},
        "twilioParams": {"trackMap": {"inbound": "customer", "outbound": "agent"}},
    }


async def test_a_call_with_a_pin_is_redacted_put_on_hold_and_stopped(customer: Customer, receiver: Receiver) -> None:
    # 1. A stream URL for the account.
    status, body = await customer.request("GET", "/mg-autotranscribe/v1/twilio-media-stream-url")
    assert status == 200
    assert set(body) == {"streamingUrl"}
    # 2. Twilio forks the call to it.
    on_hold = asyncio.Event()

    def progress(at_ms: int) -> None:
        if at_ms >= REFERENCE["holdMs"]:
            on_hold.set()

    call = TwilioEmitter(
        body["streamingUrl"], load(HOLD_CALL), identity=Identity.random(CALL_SID), on_progress=progress
    )
    await call.connect()
    playing = asyncio.create_task(call.play())
    # 3. Customer and agent are connected: start.
    status, started = await customer.request("POST", "/mg-autotranscribe/v1/start-streaming", json=start_request())
    assert status == 200
    assert set(started) == {"isOk", "autotranscribeResponse"}
    assert started["isOk"] is True
    streams = started["autotranscribeResponse"]
    assert set(streams) == {"customer", "agent"}
    for participant in streams.values():
        assert participant == {"streamId": participant["streamId"], "status": {"code": 1000, "description": "OK"}}
    # 5. The agent puts the customer on hold: stop.
    await on_hold.wait()
    stop_request = {"namespace": "twilio", "guid": CALL_SID}
    status, stopped = await customer.request("POST", "/mg-autotranscribe/v1/stop-streaming", json=stop_request)
    assert status == 200
    assert stopped["isOk"] is True
    for role, participant in stopped["autotranscribeResponse"].items():
        assert participant["streamId"] == streams[role]["streamId"]
        assert participant["status"] == {"code": 1000, "description": "OK"}
        assert_sums_up(participant["summary"])
    # Music and promotion are streamed on, and nothing of them comes out.
    await playing
    await call.close()
    summaries = {role: one["summary"] for role, one in stopped["autotranscribeResponse"].items()}
    posts = await receiver.wait_for(sum(summary["transcripts"] for summary in summaries.values()))
    for role, summary in summaries.items():
        assert summary["transcripts"] == sum(of(post) == role for post in posts) > 0
    assert_transcripts(posts, streams)
    await assert_messages(customer, posts)


def of(post: dict[str, Any]) -> str:
    role: str = post["sender"]["role"]
    return role


def assert_sums_up(summary: dict[str, int]) -> None:
    assert set(summary) == {"totalAudioBytes", "audioDurationMs", "streamingSeconds", "transcripts"}
    assert summary["totalAudioBytes"] == 16 * summary["audioDurationMs"]
    assert summary["streamingSeconds"] == -(-summary["audioDurationMs"] // 1000)
    assert abs(summary["audioDurationMs"] - REFERENCE["holdMs"]) <= 1000


def assert_transcripts(posts: list[dict[str, Any]], streams: dict[str, Any]) -> None:
    """4. Each utterance was posted, in the document's form, with the PIN as hash marks."""
    senders = {
        "customer": {"externalId": "TT9833237", "role": "customer"},
        "agent": {"externalId": "RE223444211993", "role": "agent"},
    }
    said = {"customer": "", "agent": ""}
    for post in posts:
        assert set(post) == {"type", "externalConversationId", "streamId", "sender", "autotranscribeResponse"}
        assert (post["type"], post["externalConversationId"]) == ("transcript", CALL_SID)
        role = of(post)
        assert post["sender"] == senders[role]
        assert post["streamId"] == streams[role]["streamId"]
        response = post["autotranscribeResponse"]
        assert set(response) == {"message", "start", "end", "utterance"}
        assert response["message"] == "transcript"
        assert 0 <= response["start"] < response["end"] <= REFERENCE["holdMs"] + OFFSET_MS
        ((text,),) = [utterance.values() for utterance in response["utterance"]]
        said[role] += f" {text}"
    words = re.findall(r"[a-z]+|#+", said["customer"].lower())
    assert words[-3:] == ["number", "is", "####"]
    assert not re.search(r"\d|seven|three|nine|two", said["customer"].lower())
    assert "put you on hold" in said["agent"].lower()
    assert "phone" not in said["agent"].lower()


async def assert_messages(customer: Customer, posts: list[dict[str, Any]]) -> None:
    """After the call every message is there, once, in the order it was spoken."""
    status, body = await customer.messages(CALL_SID)
    assert status == 200
    spoken = sorted(posts, key=lambda post: post["autotranscribeResponse"]["start"])
    texts = [post["autotranscribeResponse"]["utterance"][0]["text"] for post in spoken]
    assert [message["text"] for message in body["items"]] == texts
    times = [datetime.fromisoformat(message["clientTimestamp"]) for message in body["items"]]
    assert times == sorted(times)
