"""A recognizer that raises or hangs, and a voice-activity model that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.metrics import ASR_FAILED
from tests.adversity.engine import SECRET, FaultyEngine, hearing
from tests.adversity.speech import say, spoken
from tests.harness import Twilio, gateway_running, settings_for, webhook_receiver

pytestmark = pytest.mark.slow  # the voice-activity model is the real one


async def test_an_utterance_that_cannot_be_decoded_disturbs_no_other(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    engine, short = FaultyEngine(), spoken(seconds=1.5)
    engine.bad = lambda duration_ms: duration_ms > 2500
    async with webhook_receiver() as receiver:
        settings = settings_for(tmp_path, webhook={"url": receiver.url})
        async with gateway_running(settings) as customer, hearing(customer, engine):
            url = await customer.stream_url()
            failed = ASR_FAILED._value.get()
            async with Twilio.connected(url) as bad, Twilio.connected(url) as good:
                for twilio in (bad, good):
                    await twilio.settle()
                    assert (await customer.start(twilio.call_sid))[0] == 200
                # In one call a bad utterance and a good one; in the other only good ones.
                await say(bad, 100, spoken(seconds=4.0))
                await say(bad, 100, short, "outbound")
                await say(good, 100, short)
                for twilio in (bad, good):
                    await twilio.settle()
                (_, body), (_, other) = await asyncio.gather(*map(customer.stop, (bad.call_sid, good.call_sid)))
            posts = await receiver.wait_for(2)
            assert ASR_FAILED._value.get() > failed
            streams = body["autotranscribeResponse"], other["autotranscribeResponse"]
            assert [roles["customer"]["summary"]["transcripts"] for roles in streams] == [0, 1]
            assert streams[0]["agent"]["summary"]["transcripts"] == 1
            assert sorted(post["externalConversationId"] for post in posts) == sorted([bad.call_sid, good.call_sid])
    captured = capfd.readouterr()
    assert SECRET not in captured.out + captured.err


async def test_a_recognizer_that_hangs_holds_up_neither_media_nor_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.calls.registry.STOP_WAIT_S", 0.2)
    engine = FaultyEngine()
    async with webhook_receiver() as receiver:
        settings = settings_for(tmp_path, webhook={"url": receiver.url})
        async with gateway_running(settings) as customer, hearing(customer, engine):
            engine.gate.clear()
            async with Twilio.connected(await customer.stream_url(), tracks=["inbound"]) as twilio:
                await twilio.settle()
                assert (await customer.start(twilio.call_sid))[0] == 200
                await say(twilio, 100, spoken(seconds=2.0))
                await twilio.settle()
                # It answers although nothing was decoded; what comes later is delivered outside the summary.
                status, body = await customer.stop(twilio.call_sid)
                assert status == 200
                summary = body["autotranscribeResponse"]["customer"]["summary"]
                assert (summary["audioDurationMs"], summary["transcripts"]) == (2000, 0)
                assert (await customer.start(twilio.call_sid))[0] == 200
                end = await say(twilio, 10_000, spoken(seconds=2.0))
                await twilio.settle()
                assert not receiver.posts
                engine.gate.set()
                _, body = await customer.stop(twilio.call_sid)
                assert end == 12_000
                posts = await receiver.wait_for(2)
                starts = [post["autotranscribeResponse"]["start"] for post in posts]
                assert starts == sorted(starts)
                status, stored = await customer.messages(twilio.call_sid)
                assert [item["text"] for item in stored["items"]] == [
                    post["autotranscribeResponse"]["utterance"][0]["text"] for post in posts
                ]


async def test_a_voice_activity_model_that_fails_ends_the_gateway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async with gateway_running(settings_for(tmp_path)) as customer:
        gateway = customer.gateway
        with pytest.raises(RuntimeError, match="no more"):
            async with hearing(customer, FaultyEngine()) as stage:

                def broken(*_: object) -> None:
                    raise RuntimeError("no more")

                monkeypatch.setattr(stage._voice, "judge", broken)
                async with Twilio.connected(await customer.stream_url()) as twilio:
                    await twilio.settle()
                    assert (await customer.start(twilio.call_sid))[0] == 200
                    await say(twilio, 100, spoken(seconds=1.0))
                    await gateway.stopping.wait()
                assert isinstance(gateway.failed, RuntimeError)
        gateway.registry._speech = None
    assert "speech stage failed" in capfd.readouterr().out
