"""What is put before an utterance: the one before it, or the last of the piece before a cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.speech.engine import Engine, Hypothesis, Job, Past, Pcm, Session
from gateway.speech.memory import Memory
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
    attempt = memory.read(engine, one.pcm)
    memory.ended(one)
    memory.told(one, attempt, FIRST)
    return memory


def test_the_first_utterance_is_read_alone() -> None:
    attempt = Memory().read(Opener(), pcm(500, 2))
    assert isinstance(attempt.session, Mindful)
    assert attempt.session.past is None
    assert np.array_equal(attempt.session.pcm(), pcm(500, 2))
    assert attempt.text(FIRST) is FIRST


def test_the_utterance_before_is_recalled() -> None:
    attempt = after(Ending.SILENCE, Opener()).read(Opener(), pcm(500, 2))
    assert isinstance(attempt.session, Mindful)
    assert attempt.session.past is not None
    assert np.array_equal(attempt.session.past.pcm, pcm(3000, 1))
    assert attempt.session.past.said == FIRST.said
    assert np.array_equal(attempt.session.pcm(), pcm(500, 2))
    assert attempt.text(FIRST) is FIRST


def test_an_engine_without_a_memory_is_told_nothing() -> None:
    attempt = after(Ending.SILENCE, Opener(Plain)).read(Opener(Plain), pcm(500, 2))
    assert isinstance(attempt.session, Plain)
    assert np.array_equal(attempt.session.pcm(), pcm(500, 2))


def test_behind_a_cut_the_last_of_the_piece_before_is_heard_and_its_words_go() -> None:
    attempt = after(Ending.CUT, Opener()).read(Opener(), pcm(500, 2))
    assert isinstance(attempt.session, Mindful)
    assert attempt.session.past is None
    assert np.array_equal(attempt.session.pcm(), np.concatenate([pcm(OVERLAP_MS, 1), pcm(500, 2)]))
    heard = Hypothesis("all going direct to heaven.", final=True, confidence=0.8)
    assert attempt.text(heard).text == "direct to heaven."


def test_of_two_cuts_each_is_joined_to_the_piece_before() -> None:
    memory = after(Ending.CUT, Opener())
    middle = segment(pcm(2000, 2), Ending.CUT)
    attempt = memory.read(Opener(), middle.pcm)
    memory.ended(middle)
    memory.told(middle, attempt, Hypothesis("all going direct to", final=True))
    last = memory.read(Opener(), pcm(500, 3))
    assert isinstance(last.session, Mindful)
    assert np.array_equal(last.session.pcm(), np.concatenate([pcm(OVERLAP_MS, 2), pcm(500, 3)]))
    assert last.text(Hypothesis("direct to heaven", final=True)).text == "heaven"


def test_a_text_that_is_not_there_yet_is_not_waited_for() -> None:
    memory = after(Ending.SILENCE, Opener())
    late = segment(pcm(2000, 2), Ending.CUT)
    attempt = memory.read(Opener(), late.pcm)
    memory.ended(late)
    following = memory.read(Opener(), pcm(500, 3))
    assert isinstance(following.session, Mindful)
    assert following.session.past is None
    assert np.array_equal(following.session.pcm(), pcm(500, 3))
    # Told at last, it is good for what is read from then on, and nothing if another utterance has ended meanwhile.
    newer = segment(pcm(500, 3))
    memory.ended(newer)
    memory.told(late, attempt, FIRST)
    alone = memory.read(Opener(), pcm(500, 4))
    assert isinstance(alone.session, Mindful)
    assert alone.session.past is None
    assert np.array_equal(alone.session.pcm(), pcm(500, 4))


def test_an_utterance_without_words_is_not_recalled() -> None:
    memory = after(Ending.SILENCE, Opener())
    cough = segment(pcm(300, 2))
    attempt = memory.read(Opener(), cough.pcm)
    memory.ended(cough)
    memory.told(cough, attempt, Hypothesis("", final=True))
    following = memory.read(Opener(), pcm(500, 3))
    assert isinstance(following.session, Mindful)
    assert following.session.past is None
