"""What is put before an utterance: the one before it, or the last of the piece before a cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from gateway.speech.engine import Engine, Hypothesis, Job, Past, Pcm, Session
from gateway.speech.memory import Memory
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


class Opener:
    """The part of an engine that a memory asks: it opens sessions."""

    name = "opener"
    languages = frozenset({"en"})

    def __init__(self, kind: type[Plain] = Mindful) -> None:
        self.kind = kind

    def open(self) -> Session:
        return self.kind()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        raise AssertionError

    def warm_up(self) -> None:
        raise AssertionError


def pcm(ms: int, value: int) -> Pcm:
    return np.full(ms * 8, value, np.int16)


def segment(audio: Pcm, ending: Ending = Ending.SILENCE) -> Segment:
    return Segment(0, len(audio), audio, ending)


def after(ending: Ending, engine: Engine) -> Memory:
    """A memory of one utterance of 3 s."""
    memory = Memory()
    one = segment(pcm(3000, 1), ending)
    memory.read(engine, one.pcm)
    memory.ended(one)
    memory.told(one, FIRST)
    return memory


def mindful(memory: Memory, audio: Pcm) -> Mindful:
    session = memory.read(Opener(), audio)
    assert isinstance(session, Mindful)
    assert np.array_equal(session.pcm(), audio)
    return session


def test_the_first_utterance_is_read_alone() -> None:
    assert mindful(Memory(), pcm(500, 2)).past is None


@pytest.mark.parametrize("ending", list(Ending))
def test_the_utterance_before_is_recalled(ending: Ending) -> None:
    past = mindful(after(ending, Opener()), pcm(500, 2)).past
    assert past is not None
    assert np.array_equal(past.pcm, pcm(3000, 1))
    assert past.hypothesis is FIRST
    assert past.cut is (ending is Ending.CUT)


def test_an_engine_without_a_memory_is_told_nothing() -> None:
    session = after(Ending.SILENCE, Opener(Plain)).read(Opener(Plain), pcm(500, 2))
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
