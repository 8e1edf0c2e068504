"""Which text is told, and when, of an utterance that is heard once or twice."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest

from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Kind, Past, Pcm, Session
from gateway.speech.hearing import Hearing
from gateway.speech.recognizer import Recognizer


class Heard:
    """A session of the engine below: what it says, and what a second hearing would."""

    duration_ms = 1000

    def __init__(self, text: str, again: str = "") -> None:
        self.text = text
        self.second = again

    def accept(self, pcm: Pcm) -> None:
        raise AssertionError

    def recall(self, past: Past) -> None:
        raise AssertionError

    def again(self, first: Hypothesis) -> Session | None:
        assert first.text == self.text
        return Heard(self.second) if self.second else None


class Echo:
    """Says what its sessions hold; "bad" cannot be decoded. Each step waits to be let through."""

    name = "echo"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.turns = threading.Semaphore(0)
        self.kinds: list[Kind] = []

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        raise AssertionError

    def warm_up(self) -> None:
        raise AssertionError

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        self.turns.acquire()
        texts = [job.session.text for job in jobs if isinstance(job.session, Heard)]
        if "bad" in texts:
            raise ValueError("no")
        self.kinds += [job.kind for job in jobs]
        return [Hypothesis(text, final=True) for text in texts]


@pytest.fixture
def engine() -> Echo:
    return Echo()


@pytest.fixture
async def recognizer(engine: Echo) -> AsyncIterator[Recognizer]:
    recognizer = Recognizer(engine, threads=1, max_batch=1, queue=8, loop=asyncio.get_running_loop())
    recognizer.start()
    yield recognizer
    engine.turns.release(100)
    await recognizer.close()


def hear(recognizer: Recognizer, text: str, again: str = "", kind: Kind = Kind.SPECULATIVE) -> Hearing:
    return Hearing(recognizer, Heard(text, again), kind, 0.0)


async def test_what_is_sure_is_heard_once(engine: Echo, recognizer: Recognizer) -> None:
    hearing = hear(recognizer, "sure")
    engine.turns.release()
    assert (await hearing.first).text == (await hearing.final).text == "sure"


async def test_the_first_text_is_there_before_the_second(engine: Echo, recognizer: Recognizer) -> None:
    hearing = hear(recognizer, "first", "second")
    engine.turns.release()
    assert (await hearing.first).text == "first"
    assert not hearing.final.done()
    hearing.promote(0.0)
    engine.turns.release()
    assert (await hearing.final).text == "second"
    assert engine.kinds[0] is Kind.SPECULATIVE


async def test_a_second_hearing_that_fails_leaves_the_first(engine: Echo, recognizer: Recognizer) -> None:
    hearing = hear(recognizer, "first", "bad")
    engine.turns.release(2)
    assert (await hearing.final).text == "first"


async def test_there_is_no_second_hearing_while_others_wait(engine: Echo, recognizer: Recognizer) -> None:
    hearing = hear(recognizer, "first", "second")
    async with asyncio.timeout(10):
        while recognizer.depth:
            await asyncio.sleep(0)
    others = [recognizer.submit(Heard("other"), Kind.FINAL, 0.0) for _ in range(3)]
    engine.turns.release(2)
    assert (await hearing.final).text == "first"
    engine.turns.release(2)
    await asyncio.gather(*others)


async def test_a_failure_is_told(engine: Echo, recognizer: Recognizer) -> None:
    hearing = hear(recognizer, "bad", "second")
    engine.turns.release()
    with pytest.raises(Exception, match="could not decode"):
        await hearing.final


@pytest.mark.parametrize("early", [True, False])
async def test_what_is_cancelled_is_told_nobody(engine: Echo, recognizer: Recognizer, *, early: bool) -> None:
    hearing = hear(recognizer, "first", "second")
    if not early:
        engine.turns.release()
        await hearing.first
    hearing.cancel()
    engine.turns.release(2)
    with pytest.raises(asyncio.CancelledError):
        await hearing.final
    other = hear(recognizer, "other", kind=Kind.FINAL)
    engine.turns.release(2)
    assert (await other.final).text == "other"
