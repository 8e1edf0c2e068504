"""What is put before an utterance: the one before it, or the last of the piece before a cut."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from gateway._native import mulaw
from gateway.speech import search
from gateway.speech.engine import PLAIN, DecodeOptions, Engine, Hypothesis, Job, Past, Pcm, Session, Ulaw
from gateway.speech.kept import Stretch
from gateway.speech.memory import LONGEST_MS, Memory
from gateway.speech.seams import OVERLAP_MS
from gateway.speech.track import Ending, Segment

FIRST = Hypothesis("we were all going", final=True, confidence=0.9, said=(5, 6, 7))


class Plain:
    """A session that takes audio, and no more."""

    def __init__(self) -> None:
        self.chunks: list[Pcm] = []

    def accept(self, pcm: Pcm) -> None:
        self.chunks.append(pcm)

    @property
    def duration_ms(self) -> int:
        return sum(map(len, self.chunks)) // 8

    def pcm(self) -> Pcm:
        return np.concatenate(self.chunks)


class Mindful(Plain):
    """One that also takes what was before."""

    past: Past | None = None

    def recall(self, past: Past) -> None:
        assert not self.chunks
        self.past = past

    def again(self, first: Hypothesis) -> Session | None:
        return None


class Thrifty(Mindful):
    """One that takes audio as it came."""

    def accept_ulaw(self, data: Ulaw) -> None:
        self.ulaw = data
        self.accept(mulaw.decode(bytes(data)))


class Opener:
    """The part of an engine that a memory asks: it opens sessions."""

    name = "opener"
    languages = frozenset({"en"})

    def __init__(self, kind: type[Plain] = Mindful) -> None:
        self.kind = kind

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return self.kind()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        raise AssertionError

    def warm_up(self) -> None:
        raise AssertionError


def pcm(ms: int, seed: int) -> Pcm:
    """Noise as a telephone carries it."""
    codes = np.random.default_rng(seed).integers(0, 256, ms * 8, np.uint8)
    return mulaw.decode(codes.tobytes())


def segment(audio: Pcm, ending: Ending = Ending.SILENCE) -> Segment:
    return Segment(0, len(audio), Stretch.of(mulaw.encode(audio)), ending)


def after(ending: Ending, engine: Engine) -> Memory:
    """A memory of one utterance of 3 s."""
    memory = Memory()
    one = segment(pcm(3000, 1), ending)
    memory.read(engine, one.ulaw)
    memory.ended(one)
    memory.told(one, FIRST)
    return memory


def mindful(memory: Memory, audio: Pcm) -> Mindful:
    session = memory.read(Opener(), mulaw.encode(audio))
    assert isinstance(session, Mindful)
    assert np.array_equal(session.pcm(), audio)
    return session


def test_the_first_utterance_is_read_alone() -> None:
    assert mindful(Memory(), pcm(500, 2)).past is None


@pytest.mark.parametrize("ending", list(Ending))
def test_the_utterance_before_is_recalled(ending: Ending) -> None:
    past = mindful(after(ending, Opener()), pcm(500, 2)).past
    assert past is not None
    # Of one that was cut, what the next piece is read with.
    kept = pcm(3000, 1)[-OVERLAP_MS * 8 :] if ending is Ending.CUT else pcm(3000, 1)
    assert np.array_equal(past.pcm, kept)
    assert past.hypothesis is FIRST
    assert past.cut is (ending is Ending.CUT)


def test_audio_goes_on_as_it_came_where_that_is_wanted() -> None:
    audio = mulaw.encode(pcm(500, 2))
    session = Memory().read(Opener(Thrifty), audio)
    assert isinstance(session, Thrifty)
    assert session.ulaw is audio
    assert np.array_equal(session.pcm(), pcm(500, 2))


def test_an_engine_without_a_memory_is_told_nothing() -> None:
    session = after(Ending.SILENCE, Opener(Plain)).read(Opener(Plain), mulaw.encode(pcm(500, 2)))
    assert isinstance(session, Plain)
    assert np.array_equal(session.pcm(), pcm(500, 2))


def test_a_text_that_is_not_there_yet_is_not_waited_for() -> None:
    memory = after(Ending.SILENCE, Opener())
    late, newer = segment(pcm(2000, 2), Ending.CUT), segment(pcm(500, 3))
    memory.ended(late)
    assert mindful(memory, pcm(500, 3)).past is None
    # Told when another utterance has ended, it is of no use any more.
    memory.ended(newer)
    memory.told(late, FIRST)
    assert mindful(memory, pcm(500, 4)).past is None


def test_an_utterance_without_words_is_recalled_only_at_a_cut() -> None:
    for ending in (Ending.SILENCE, Ending.CUT):
        memory = after(Ending.SILENCE, Opener())
        cough = segment(pcm(300, 2), ending)
        memory.ended(cough)
        memory.told(cough, Hypothesis("", final=True))
        assert (mindful(memory, pcm(500, 3)).past is not None) is (ending is Ending.CUT)


@pytest.mark.parametrize("more_ms", [0, 1])
def test_what_is_too_long_for_a_second_hearing_is_not_kept(more_ms: int) -> None:
    assert LONGEST_MS >= search.LONGEST_MS
    memory = Memory()
    long = segment(pcm(LONGEST_MS - 500 + more_ms, 2))
    memory.ended(long)
    memory.told(long, FIRST)
    assert (mindful(memory, pcm(500, 3)).past is None) is bool(more_ms)


@pytest.mark.parametrize("ending", [Ending.SILENCE, Ending.CUT])
def test_the_audio_that_is_kept_is_bounded(ending: Ending) -> None:
    """A call may take 0.5 MiB at the worst; its two tracks keep 0.2 of what was said last."""
    tracemalloc.start()
    try:
        memory = Memory()
        for ms in (LONGEST_MS, 20_000):
            before, _ = tracemalloc.get_traced_memory()
            memory.ended(segment(pcm(ms, 2), ending))
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
            assert after - before < 101_000
    finally:
        tracemalloc.stop()
