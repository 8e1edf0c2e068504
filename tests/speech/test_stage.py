"""The stage with loudness for a voice and an engine that says how long an utterance was."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway import metrics
from gateway._native import mulaw, track
from gateway.clock import monotonic_ms
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Kind, Pcm, Session
from gateway.speech.partials import Partial
from gateway.speech.recognizer import Recognizer
from gateway.speech.stage import OpenTrack, SpeechStage
from gateway.speech.track import Ending, Segment


def tone(ms: int) -> NDArray[np.int16]:
    wave: NDArray[np.int16] = (8000 * np.sin(np.arange(ms * 8) * 0.7)).astype(np.int16)
    return wave


def quiet(ms: int) -> NDArray[np.int16]:
    return np.zeros(ms * 8, np.int16)


class Loudness:
    """Speech is what is loud; slots are handed out and taken back."""

    def __init__(self) -> None:
        self.used: set[int] = set()
        self.broken = False
        self.resets = 0

    def acquire(self) -> int:
        slot = next(number for number in range(1000) if number not in self.used)
        self.used.add(slot)
        return slot

    def reset(self, slot: int) -> None:
        assert slot in self.used
        self.resets += 1

    def release(self, slot: int) -> None:
        self.used.remove(slot)

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        assert set(slots.tolist()) <= self.used
        if self.broken:
            raise RuntimeError("the model is gone")
        loud: NDArray[np.float32] = (np.abs(frames.astype(np.int32)).mean(axis=1) > 1000).astype(np.float32)
        return loud


class Heard:
    """A session of the engine below."""

    def __init__(self) -> None:
        self.pcm = np.empty(0, np.int16)

    def accept(self, pcm: Pcm) -> None:
        self.pcm = np.concatenate([self.pcm, pcm])

    @property
    def duration_ms(self) -> int:
        return len(self.pcm) // 8


class Counting:
    """An engine whose text is the loud part's length in 100 ms; sixteen cannot be decoded."""

    name = "counting"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.kinds: list[Kind] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        # Instead of a length.
        self.says = ""

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return Heard()

    def warm_up(self) -> None:
        return

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        self.entered.set()
        self.gate.wait()
        self.kinds += [job.kind for job in jobs]
        return [Hypothesis(self._text(job.session), final=True) for job in jobs]

    def _text(self, session: Session) -> str:
        assert isinstance(session, Heard)
        loud = round(float((np.abs(session.pcm.astype(np.int32)) > 1000).sum()) / 8 / 0.93 / 100)
        if loud == 16:
            raise ValueError("no")
        return self.says or str(loud)


class Listener:
    def __init__(self) -> None:
        self.segments: list[Segment] = []
        self.texts: list[str | None] = []
        self.told = asyncio.Condition()
        self.wants_partials = False
        self.partials: list[Partial] = []

    def on_partial(self, partial: Partial) -> None:
        self.partials.append(partial)

    def on_segment(self, segment: Segment) -> object:
        self.segments.append(segment)
        return len(self.segments)

    def on_text(self, mark: object, segment: Segment, hypothesis: Hypothesis | None) -> None:
        assert self.segments[int(str(mark)) - 1] is segment
        self.texts.append(None if hypothesis is None else hypothesis.text)


class Rig:
    """A stage that runs, and lines into it."""

    def __init__(self) -> None:
        self.voice, self.engine = Loudness(), Counting()
        self.recognizer = Recognizer(self.engine, threads=1, max_batch=4, queue=16, loop=asyncio.get_running_loop())
        self.vad = VadSettings.model_validate({})
        self.endpoint = EndpointSettings.model_validate({"silence_ms": 512})
        self.stage = SpeechStage(self.voice, self.engine, self.recognizer, self.vad, self.endpoint)

    def line(self) -> tuple[track.Track, OpenTrack, Listener]:
        media, listener = track.Track(), Listener()
        media.open_gate()
        return media, self.stage.open(media, listener), listener


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    rig.recognizer.start()
    rig.stage.start()
    yield rig
    rig.engine.gate.set()
    await rig.stage.close()
    await rig.recognizer.close()


def say(media: track.Track, *parts: NDArray[np.int16]) -> None:
    media.place(-1, mulaw.encode(np.concatenate(parts)), monotonic_ms())


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def test_utterances_of_several_tracks_get_their_texts(rig: Rig) -> None:
    lines = [rig.line() for _ in range(5)]
    for number, (media, _, _) in enumerate(lines):
        say(media, quiet(320), tone(500 + 200 * number), quiet(640))
    for media, opened, _ in lines:
        media.close_gate()
        await rig.stage.finish(opened)
    for number, (_, _, listener) in enumerate(lines):
        await until(lambda listener=listener: listener.texts)
        assert listener.texts == [str(5 + 2 * number)]
        assert listener.segments[0].ending is Ending.SILENCE
    assert rig.voice.used == set()


async def test_finish_waits_for_what_is_open(rig: Rig) -> None:
    media, opened, listener = rig.line()
    say(media, quiet(320), tone(800))
    media.close_gate()
    await rig.stage.finish(opened)
    assert [segment.ending for segment in listener.segments] == [Ending.FINISH]
    await until(lambda: listener.texts == ["8"])


async def test_the_text_of_a_pause_is_the_text_of_the_endpoint(rig: Rig) -> None:
    media, _, listener = rig.line()
    say(media, quiet(320), tone(800), quiet(192))
    await until(lambda: rig.engine.kinds == [Kind.SPECULATIVE])
    assert listener.segments == []
    say(media, quiet(256))
    await until(lambda: listener.texts == ["8"])
    assert rig.engine.kinds == [Kind.SPECULATIVE]


async def test_speech_after_a_pause_makes_the_guess_void(rig: Rig) -> None:
    media, _, listener = rig.line()
    say(media, quiet(320), tone(800), quiet(192))
    await until(lambda: rig.engine.kinds == [Kind.SPECULATIVE])
    say(media, tone(400), quiet(640))
    await until(lambda: listener.texts)
    assert listener.texts == ["12"]


@pytest.mark.parametrize(
    ("says", "silence"), [("That is all I know.", 320), ("It is all", 512), ("And my name is", 1248)]
)
async def test_the_text_of_a_pause_decides_when_the_utterance_ends(rig: Rig, says: str, silence: int) -> None:
    rig.engine.says = says
    media, _, listener = rig.line()
    say(media, quiet(320), tone(800), quiet(1600))
    await until(lambda: listener.texts == [says])
    assert listener.segments[0].decided == (320 + 800 + silence) * 8
    assert rig.engine.kinds == [Kind.SPECULATIVE]


async def test_an_engine_of_another_language_is_not_asked_about_sentences(rig: Rig) -> None:
    rig.engine.languages = frozenset({"ja"})
    rig.stage = SpeechStage(rig.voice, rig.engine, rig.recognizer, rig.vad, rig.endpoint)
    rig.stage.start()
    rig.engine.says = "And my name is"
    media, _, listener = rig.line()
    say(media, quiet(320), tone(800), quiet(640))
    await until(lambda: listener.texts)
    assert listener.segments[0].decided == (320 + 800 + 512) * 8


async def test_an_utterance_ends_though_nobody_answers(rig: Rig) -> None:
    rig.engine.gate.clear()
    lines = [rig.line() for _ in range(3)]
    for media, _, _ in lines:
        say(media, quiet(320), tone(800), quiet(640))
    await until(rig.engine.entered.is_set)
    await until(lambda: all(listener.segments for _, _, listener in lines))
    assert [listener.texts for _, _, listener in lines] == [[], [], []]
    rig.engine.gate.set()
    await until(lambda: [listener.texts for _, _, listener in lines] == [["8"], ["8"], ["8"]])
    # Each was decoded once: the guess was the text, promoted to a final where it still waited.
    assert len(rig.engine.kinds) == 3


async def test_a_guess_that_was_shed_is_no_answer(rig: Rig) -> None:
    """The queue is full of finals: there is no room for guesses, and the utterance still ends and is read."""
    rig.engine.gate.clear()
    blocked = rig.recognizer.submit(rig.engine.open(), Kind.FINAL, 0.0)
    await until(rig.engine.entered.is_set)
    waiting = [rig.recognizer.submit(rig.engine.open(), Kind.FINAL, 0.0) for _ in range(12)]
    media, _, listener = rig.line()
    say(media, quiet(320), tone(800), quiet(640))
    await until(lambda: listener.segments)
    rig.engine.gate.set()
    await until(lambda: listener.texts == ["8"])
    await asyncio.gather(blocked, *waiting)
    assert set(rig.engine.kinds) == {Kind.FINAL}


async def test_one_utterance_that_cannot_be_decoded_disturbs_no_other(rig: Rig) -> None:
    bad, good = rig.line(), rig.line()
    say(bad[0], quiet(320), tone(1600), quiet(640))
    say(good[0], quiet(320), tone(800), quiet(640))
    await until(lambda: bad[2].texts and good[2].texts)
    assert (bad[2].texts, good[2].texts) == ([None], ["8"])


async def test_a_jump_in_the_media_makes_the_model_forget(rig: Rig) -> None:
    media, _, listener = rig.line()
    media.place(0, mulaw.encode(tone(800)), monotonic_ms())
    media.place(60_000, mulaw.encode(np.concatenate([tone(800), quiet(640)])), monotonic_ms())
    await until(lambda: len(listener.texts) == 2)
    assert [segment.ending for segment in listener.segments] == [Ending.JUMP, Ending.SILENCE]
    assert rig.voice.resets == 1


async def test_a_track_that_fails_ends_alone(rig: Rig) -> None:
    bad, good = rig.line(), rig.line()

    def fail(segment: Segment) -> object:
        raise RuntimeError("our bug")

    bad[2].on_segment = fail  # type: ignore[method-assign]  # a listener that fails
    for media, _, _ in (bad, good):
        say(media, quiet(320), tone(800), quiet(640))
    await until(lambda: good[2].texts == ["8"])
    await asyncio.wait_for(bad[1].done, 10)
    assert len(rig.voice.used) == 1


async def test_a_track_that_cannot_be_followed_ends_alone(rig: Rig) -> None:
    failures: list[BaseException] = []
    rig.stage.on_failure = failures.append
    bad, good = rig.line(), rig.line()

    def fail() -> None:
        raise RuntimeError("our bug")

    bad[1].follower.look = fail  # type: ignore[method-assign]  # a follower that fails
    for media, _, _ in (bad, good):
        say(media, quiet(320), tone(800), quiet(640))
    await until(lambda: bad[1].done.done() and good[2].texts == ["8"])
    assert len(rig.voice.used) == 1
    assert failures == []


async def test_a_stage_that_fails_says_so(rig: Rig) -> None:
    failures: list[BaseException] = []
    rig.stage.on_failure = failures.append
    media, _, _ = rig.line()
    rig.voice.broken = True
    say(media, tone(800))
    await until(lambda: failures)
    assert isinstance(failures[0], RuntimeError)
    task = rig.stage._task
    assert task is not None
    await asyncio.wait({task})
    assert task.exception() is failures[0]
    rig.stage._task = None


def decodes(kind: str) -> float:
    return metrics.REGISTRY.get_sample_value("gateway_partials_total", {"result": kind}) or 0.0


async def test_an_open_utterance_is_read_while_it_is_spoken(rig: Rig) -> None:
    media, _, listener = rig.line()
    listener.wants_partials = True
    say(media, quiet(320), tone(1000))
    await until(lambda: rig.engine.kinds == [Kind.PARTIAL])
    await until(lambda: listener.partials)
    say(media, tone(800))
    await until(lambda: len(listener.partials) == 2)
    assert listener.segments == []
    say(media, quiet(640))
    await until(lambda: listener.texts == ["18"])
    assert [partial.revision for partial in listener.partials[:2]] == [1, 2]
    assert listener.partials[0].text in ("9", "10")
    assert {partial.start for partial in listener.partials} == {listener.segments[0].start}


async def test_nothing_is_decoded_for_nobody(rig: Rig) -> None:
    media, _, listener = rig.line()
    say(media, quiet(320), tone(3000))
    await until(lambda: media.available() < 256)
    say(media, quiet(640))
    await until(lambda: listener.texts)
    assert listener.partials == []
    assert Kind.PARTIAL not in rig.engine.kinds


async def test_one_decode_of_a_track_is_under_way_and_its_end_ends_it(rig: Rig) -> None:
    rig.engine.gate.clear()
    late = decodes("late")
    media, _, listener = rig.line()
    listener.wants_partials = True
    say(media, quiet(320), tone(1000))
    await until(rig.engine.entered.is_set)
    say(media, tone(3000))
    await until(lambda: media.available() < 256)
    assert rig.recognizer.depth == 0
    say(media, quiet(640))
    await until(lambda: listener.segments)
    rig.engine.gate.set()
    await until(lambda: listener.texts == ["40"])
    assert rig.engine.kinds.count(Kind.PARTIAL) == 1
    assert listener.partials == []
    assert decodes("late") == late + 1


async def test_no_partials_while_finals_wait(rig: Rig) -> None:
    rig.engine.gate.clear()
    finals = [rig.recognizer.submit(rig.engine.open(), Kind.FINAL, time.monotonic() + 60)]
    await until(rig.engine.entered.is_set)
    finals.append(rig.recognizer.submit(rig.engine.open(), Kind.FINAL, time.monotonic() + 60))
    skipped = decodes("skipped")
    media, _, listener = rig.line()
    listener.wants_partials = True
    say(media, quiet(320), tone(1000))
    await until(lambda: decodes("skipped") == skipped + 1)
    assert rig.recognizer.depth == 1
    rig.engine.gate.set()
    await asyncio.gather(*finals)
    say(media, tone(800))
    await until(lambda: listener.partials)


async def test_the_text_of_a_pause_is_shown_at_once(rig: Rig) -> None:
    rig.engine.says = "And my name is"
    media, _, listener = rig.line()
    listener.wants_partials = True
    say(media, quiet(320), tone(500), quiet(192))
    await until(lambda: listener.partials)
    assert rig.engine.kinds == [Kind.SPECULATIVE]
    assert (listener.partials[0].text, listener.partials[0].stable) == ("And my name is", 0)
    assert listener.segments == []


async def test_what_would_not_be_believed_is_not_shown(rig: Rig) -> None:
    rig.engine.says = "la la la la la la la la la la la la"
    media, _, listener = rig.line()
    listener.wants_partials = True
    say(media, quiet(320), tone(1000))
    await until(lambda: rig.engine.kinds)
    say(media, quiet(640))
    await until(lambda: listener.texts)
    assert listener.texts == [""]
    assert listener.partials == []
