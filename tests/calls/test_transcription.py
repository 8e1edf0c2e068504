"""From a start to stored transcripts, with loudness for a voice and an engine that says how long an utterance was."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from gateway._native import mulaw
from gateway.calls.call import Call, Stream
from gateway.calls.configuration import AccountConfiguration
from gateway.calls.messages import Start
from gateway.calls.model import StartRequest, Status
from gateway.calls.registry import Registry
from gateway.calls.transcription import Conversations
from gateway.clock import monotonic_ms
from gateway.config import LimitSettings
from gateway.delivery.delivery import CallDelivery, Delivery, Transcript
from gateway.delivery.live import LiveEnded, LiveEvent, LiveFinal, LivePartial, LiveView, Subscription
from gateway.errors import RequestError
from gateway.participants import RedactionOutput, Track
from gateway.speech.engine import DecodeOptions, Hypothesis, Job, Session, Token
from gateway.speech.vocabulary import Phrase
from gateway.store.records import MessageRecord
from gateway.store.store import Store
from gateway.store.writer import Writer
from gateway.text.policy import DEFAULT, Entity, Policy
from gateway.text.redaction import Redactor
from tests.speech.test_stage import Heard, Rig, quiet, tone

GUID = "CA1"
TRACKS = frozenset(Track)


class Socket:
    """A media socket that is told nothing here."""

    def __init__(self) -> None:
        self.displaced = False

    def displace(self) -> None:
        self.displaced = True

    def read_now(self) -> None:
        """Nothing comes here: the tests place media themselves."""


class Desk:
    """A registry over a real store, and one account's call in it."""

    def __init__(self, rig: Rig, store: Store, account: str) -> None:
        self.rig, self.store, self.account = rig, store, account
        self.writer = Writer(store)
        live = LiveView()
        self.configuration = AccountConfiguration()
        conversations = Conversations(
            Delivery(self.writer, None, live.message),
            self.writer,
            Redactor,
            live,
            configured=lambda owner: self.configuration if owner == account else AccountConfiguration(),
        )
        self.registry = Registry(
            LimitSettings.model_validate({}),
            conversations,
            rig.stage,
            store_healthy=lambda: self.healthy,
        )
        self.healthy = True

    def attach(self) -> tuple[Call, Stream]:
        return self.registry.attach(self.account, Start("MZ1", GUID, None, TRACKS, {}), Socket())

    async def messages(self) -> list[MessageRecord]:
        found = await self.store.messages(self.account, GUID)
        assert found is not None
        return found


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    rig = Rig()
    rig.recognizer.start()
    rig.stage.start()
    store = await Store.open(f"sqlite:///{tmp_path / 'gateway.db'}", key=bytes(32))
    key = await store.create_key("test")
    desk = Desk(rig, store, key.account_id)
    yield desk
    await desk.registry.close()
    await rig.stage.close()
    await rig.recognizer.close()
    await desk.writer.close()
    await store.close()


def hear(stream: Stream, track: Track, timestamp_ms: int, *parts: np.ndarray) -> None:
    """Audio arrives when its last sample was spoken, as on a line without delay."""
    pcm = np.concatenate(parts)
    stream.tracks[track].place(timestamp_ms, mulaw.encode(pcm), monotonic_ms())


async def test_utterances_are_stored_with_their_place_and_their_time(desk: Desk) -> None:
    _, stream = desk.attach()
    for track in Track:
        hear(stream, track, 140, quiet(20))
    assert (await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))).ok
    before = datetime.now(UTC)
    hear(stream, Track.INBOUND, 160, quiet(480), tone(800), quiet(720))
    hear(stream, Track.OUTBOUND, 160, quiet(1600), tone(600), quiet(480))
    outcome = await desk.registry.stop(desk.account, GUID)
    summaries = [participant.summary for participant in outcome.participants.values()]
    assert [(one.audio_duration_ms, one.transcripts) for one in summaries if one] == [(2000, 1), (2680, 1)]
    customer, agent = await desk.messages()
    assert (customer.role, agent.role) == ("customer", "agent")
    assert (customer.external_id, agent.external_id) == ("C", "A")
    # Zero is the highest media time read when the start was accepted: 160 ms of stream time.
    assert customer.start_ms == pytest.approx(480, abs=40)
    assert customer.end_ms == pytest.approx(1280, abs=40)
    assert agent.start_ms == pytest.approx(1600, abs=40)
    assert abs(agent.client_timestamp - customer.client_timestamp - timedelta(milliseconds=1120)) < timedelta(
        milliseconds=80
    )
    assert customer.client_timestamp > before - timedelta(seconds=1)


async def test_texts_are_formatted_before_they_are_redacted(desk: Desk) -> None:
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    desk.rig.engine.says = "My PIN is four one one one and I paid twenty two dollars at three thirty."
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A", redaction=RedactionOutput.UNREDACTED))
    hear(stream, Track.INBOUND, 160, quiet(480), tone(800), quiet(720))
    await desk.registry.stop(desk.account, GUID)
    (message,) = await desk.messages()
    assert message.text.startswith("My PIN is #### and I paid $")
    assert message.unredacted == "My PIN is 4111 and I paid $22 at 3:30."


async def test_formatting_can_be_turned_off(desk: Desk) -> None:
    for enabled, written in ((True, "22"), (False, "twenty two")):
        conversations = Conversations(Delivery(desk.writer), desk.writer, Redactor, formatting=enabled)
        call = Call(desk.account, GUID, 0)
        call.begin(StartRequest(GUID, "C", "A"))
        conversations.begin(call)
        assert conversations.formatter(call).text("twenty two").text == written


async def test_what_the_start_asked_for_holds_from_then_on(desk: Desk) -> None:
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    hear(stream, Track.INBOUND, 160, quiet(320), tone(800), quiet(640))
    await desk.registry.stop(desk.account, GUID)
    request = StartRequest(GUID, "C", "A", redaction=RedactionOutput.UNREDACTED)
    await desk.registry.start(desk.account, request)
    hear(stream, Track.INBOUND, 1920, quiet(320), tone(700), quiet(640))
    await desk.registry.stop(desk.account, GUID)
    first, second = await desk.messages()
    assert (first.unredacted, second.unredacted) == (None, "7")
    assert first.call_id == second.call_id
    assert (first.sequence, second.sequence) == (0, 1)
    assert second.start_ms > first.end_ms


async def test_what_the_account_has_configured_holds_from_the_next_start_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[DecodeOptions] = set()
    opened = desk.rig.engine.open

    def open_with(options: DecodeOptions) -> Session:
        asked.add(options)
        return opened(options)

    monkeypatch.setattr(desk.rig.engine, "open", open_with)
    desk.rig.engine.says = "Write to john@example.com, please."
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    vocabulary = (Phrase("IEEE", ("I triple E",)),)
    desk.configuration = AccountConfiguration(Policy(DEFAULT.active | {Entity.EMAIL}), vocabulary)
    hear(stream, Track.INBOUND, 160, quiet(320), tone(800), quiet(640))
    await desk.registry.stop(desk.account, GUID)
    assert asked == {DecodeOptions()}
    asked.clear()
    request = StartRequest(GUID, "C", "A", detailed_token=True, redaction=RedactionOutput.UNREDACTED)
    await desk.registry.start(desk.account, request)
    hear(stream, Track.INBOUND, 1920, quiet(320), tone(700), quiet(640))
    await desk.registry.stop(desk.account, GUID)
    # An interim decode has no use for the words' times.
    assert DecodeOptions(word_times=True, vocabulary=vocabulary) in asked
    assert {options.vocabulary for options in asked} == {vocabulary}
    first, second = await desk.messages()
    assert first.text == desk.rig.engine.says == second.unredacted
    assert second.text == "Write to ################, please."


async def test_words_are_told_on_the_clock_of_the_call_where_the_start_asks_for_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine says where in an utterance's audio it is loud: that is where the tones were, whatever lies before."""
    heard, told = desk.rig.engine.step, list[Transcript]()
    deliver = CallDelivery.deliver

    def step(jobs: Sequence[Job]) -> list[Hypothesis]:
        found = []
        for job, hypothesis in zip(jobs, heard(jobs), strict=True):
            assert isinstance(job.session, Heard)
            loud = np.flatnonzero(np.abs(job.session.pcm.astype(np.int32)) > 1000) // 8
            words = (
                Token(hypothesis.text, int(loud[0]), int(loud[-1]), 0.5),
                Token("ends", int(loud[-1]), job.session.duration_ms, 0.5),
            )
            found.append(replace(hypothesis, text=f"{hypothesis.text} ends", tokens=words))
        return found

    def keep(self: CallDelivery, sequence: int, transcript: Transcript | None) -> None:
        assert transcript is not None
        told.append(transcript)
        deliver(self, sequence, transcript)

    monkeypatch.setattr(desk.rig.engine, "step", step)
    monkeypatch.setattr(CallDelivery, "deliver", keep)
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    for detailed, at_ms in ((True, 160), (False, 3000)):
        request = StartRequest(GUID, "C", "A", detailed_token=detailed, redaction=RedactionOutput.UNREDACTED)
        assert (await desk.registry.start(desk.account, request)).ok
        # Two utterances: the second one's audio does not begin with the track's.
        hear(stream, Track.INBOUND, at_ms, quiet(480), tone(800), quiet(800), tone(400), quiet(320))
        await desk.registry.stop(desk.account, GUID)
    first, second, *others = told
    assert [one.tokens for one in others] == [(), ()]
    # Zero of the call is where the stream was when it was started.
    for transcript, start_ms, end_ms in ((first, 480, 1280), (second, 2080, 2480)):
        word, rest = transcript.tokens
        assert [word.start_ms, word.end_ms] == pytest.approx([start_ms, end_ms], abs=10)
        # What the audio holds behind the utterance's end is not told as part of it.
        assert rest.end_ms == transcript.end_ms
        assert transcript.start_ms <= word.start_ms


async def test_a_hang_up_transcribes_what_was_open_and_a_stop_gets_its_summary_once(desk: Desk) -> None:
    call, stream = desk.attach()
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    hear(stream, Track.INBOUND, 140, quiet(320), tone(800))
    desk.registry.detach(call, stream)
    outcome = await desk.registry.stop(desk.account, GUID)
    assert [
        participant.summary.transcripts for participant in outcome.participants.values() if participant.summary
    ] == [
        1,
        0,
    ]
    assert [message.text for message in await desk.messages()] == ["8"]
    record = await desk.store.call(desk.account, GUID)
    assert record is not None
    async with asyncio.timeout(5):
        while record is None or record.completed_at is None:
            record = await desk.store.call(desk.account, GUID)
    assert record.completed_reason == "hangup"


async def test_what_was_asked_for_is_remembered_over_a_hang_up(desk: Desk) -> None:
    """Who was asked for a PIN may say it on the next stream of the call."""
    conversations = Conversations(Delivery(desk.writer), desk.writer, Redactor)
    calls = [Call(desk.account, guid, number) for number, guid in enumerate(("CA1", "CA1", "CA2"))]
    used = []
    for call in (calls[0], calls[0], calls[2]):
        call.begin(StartRequest(call.guid, "C", "A"))
        conversations.begin(call)
        used.append(conversations.of(call)._redactor)
        conversations.complete(call, "hangup")
    assert used[0] is used[1]
    assert used[0] is not used[2]


async def test_a_language_without_a_model_is_refused_and_the_call_stays_gated(desk: Desk) -> None:
    _, stream = desk.attach()
    outcome = await desk.registry.start(desk.account, StartRequest(GUID, "C", "A", language="es-US"))
    assert not outcome.ok
    assert {one.status for one in outcome.participants.values()} == {Status.LANGUAGE_NOT_SUPPORTED}
    assert not any(media.gate_open for media in stream.tracks.values())
    assert (await desk.registry.start(desk.account, StartRequest(GUID, "C", "A", language="en-GB"))).ok


async def test_no_new_starts_while_the_store_fails(desk: Desk) -> None:
    desk.attach()
    desk.healthy = False
    outcome = await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    assert {one.status for one in outcome.participants.values()} == {Status.NO_INSTANCES_AVAILABLE}
    desk.healthy = True
    assert (await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))).ok


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def read(reader: Subscription, into: list[LiveEvent]) -> None:
    async for event in reader:
        into.append(event)


async def test_who_reads_along_gets_partials_finals_and_the_end(desk: Desk) -> None:
    call, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    with desk.registry.watch(desk.account, GUID) as reader:
        events: list[LiveEvent] = []
        reading = asyncio.create_task(read(reader, events))
        desk.rig.engine.says = "I have a question about"
        hear(stream, Track.INBOUND, 160, quiet(480), tone(1000))
        await until(lambda: events)
        desk.rig.engine.says = "I have a question about my 2 bills."
        hear(stream, Track.INBOUND, 1640, tone(800))
        await until(lambda: len(events) == 2)
        hear(stream, Track.INBOUND, 2440, quiet(720))
        await until(lambda: isinstance(events[-1], LiveFinal))
        desk.registry.detach(call, stream)
        await asyncio.wait_for(reading, 10)
    first, *partials = [event for event in events if isinstance(event, LivePartial)]
    assert (first.role, first.external_id, first.stable, first.revision) == ("customer", "C", 0, 1)
    assert first.text == "I have a question about"
    # Numbers wait for the final text.
    assert {event.text for event in partials} == {"I have a question about my # bills."}
    assert partials[0].stable == len("I have a question about")
    *_, final, ended = events
    assert isinstance(final, LiveFinal)
    assert final.message.shown == "I have a question about my 2 bills."
    assert [final.message] == await desk.messages()
    assert {event.stream_id for event in (first, *partials)} == {final.message.stream_id}
    assert all(abs(event.start_ms - final.message.start_ms) < 10 for event in (first, *partials))
    assert ended == LiveEnded("hangup")


async def test_partials_know_what_was_asked_for_and_change_nothing_of_it(desk: Desk) -> None:
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    hear(stream, Track.OUTBOUND, 140, quiet(20))
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    with desk.registry.watch(desk.account, GUID) as reader:
        events: list[LiveEvent] = []
        reading = asyncio.create_task(read(reader, events))
        desk.rig.engine.says = "What is your PIN"
        hear(stream, Track.OUTBOUND, 160, quiet(480), tone(1000))
        await until(lambda: events)
        desk.rig.engine.says = "What is your name?"
        hear(stream, Track.OUTBOUND, 1640, quiet(1280))
        await until(lambda: isinstance(events[-1], LiveFinal))
        desk.rig.engine.says = "One of 2 dogs."
        hear(stream, Track.INBOUND, 160, quiet(480), tone(1000))
        await until(lambda: isinstance(events[-1], LivePartial))
        assert isinstance(events[-1], LivePartial)
        assert events[-1].text == "One of # dogs."
        hear(stream, Track.INBOUND, 1640, quiet(1280))
        await until(lambda: isinstance(events[-1], LiveFinal))
        reading.cancel()
    # The partial's request for a PIN was none in the end.
    assert [message.text for message in await desk.messages()] == ["What is your name?", "One of 2 dogs."]


async def test_a_partial_that_came_to_nothing_is_taken_back(desk: Desk) -> None:
    _, stream = desk.attach()
    hear(stream, Track.INBOUND, 140, quiet(20))
    await desk.registry.start(desk.account, StartRequest(GUID, "C", "A"))
    with desk.registry.watch(desk.account, GUID) as reader:
        events: list[LiveEvent] = []
        reading = asyncio.create_task(read(reader, events))
        desk.rig.engine.says = "Well"
        hear(stream, Track.INBOUND, 160, quiet(480), tone(1000))
        await until(lambda: events)
        desk.rig.engine.says = " "
        hear(stream, Track.INBOUND, 1640, quiet(1280))
        await until(lambda: isinstance(events[-1], LivePartial) and not events[-1].text.strip())
        reading.cancel()
    assert await desk.messages() == []


async def test_only_the_calls_own_account_reads_along(desk: Desk) -> None:
    with pytest.raises(RequestError, match="no such live call"):
        desk.registry.watch(desk.account, GUID)
    call, stream = desk.attach()
    with pytest.raises(RequestError) as refused:
        desk.registry.watch("somebody else", GUID)
    assert (refused.value.status, refused.value.code) == (404, "404-01")
    with desk.registry.watch(desk.account, GUID) as reader:
        # Never started: its end is told all the same.
        desk.registry.detach(call, stream)
        assert await asyncio.wait_for(anext(reader), 10) == LiveEnded("hangup")
