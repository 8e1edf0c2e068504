"""The scheduler with a small real engine: its text is computed from the PCM, and a latch holds its workers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gateway import metrics
from gateway.errors import InternalError
from gateway.speech.engine import PLAIN, DecodeOptions, Hypothesis, Job, Kind, Pcm, Session
from gateway.speech.moonshine import Moonshine
from gateway.speech.recognizer import Recognizer, RecognizerFull, Shed

ROOT = Path(__file__).parents[2]
POISON = 666

# A deadline that no test reaches.
SOON = time.monotonic() + 3600


class SumSession:
    def __init__(self) -> None:
        self.samples: Pcm = np.zeros(0, np.int16)

    def accept(self, pcm: Pcm) -> None:
        self.samples = np.concatenate([self.samples, pcm])

    @property
    def duration_ms(self) -> int:
        return len(self.samples) // 8


class SumEngine:
    """Hears the sum of the samples; a sample of POISON makes the whole batch fail.

    While ``latch`` is clear a step waits after it has begun, so that a test can fill the queue behind it.
    """

    name = "sum"
    languages = frozenset({"en"})

    def __init__(self) -> None:
        self.latch = threading.Event()
        self.latch.set()
        self.begun = threading.Event()
        self.batches: list[list[str]] = []
        self.threads: set[str] = set()
        self.mute = False  # break the contract: answer nothing

    def open(self, options: DecodeOptions = PLAIN) -> Session:
        return SumSession()

    def step(self, jobs: Sequence[Job]) -> list[Hypothesis]:
        self.threads.add(threading.current_thread().name)
        sessions = [job.session for job in jobs]
        texts = [str(int(session.samples.sum())) for session in sessions if isinstance(session, SumSession)]
        self.batches.append(texts)
        self.begun.set()
        assert self.latch.wait(30)
        if any(POISON in session.samples for session in sessions if isinstance(session, SumSession)):
            msg = "what was said must not leave the engine"
            raise ValueError(msg)
        if self.mute:
            return []
        return [Hypothesis(text, job.kind is Kind.FINAL) for text, job in zip(texts, jobs, strict=True)]

    def warm_up(self) -> None:
        """Nothing is lazy."""


Build = Callable[..., Recognizer]


def session(engine: SumEngine, number: int, duration_ms: int = 1000) -> Session:
    """A session whose text is ``number``."""
    opened = engine.open()
    pcm = np.zeros(duration_ms * 8, np.int16)
    pcm[0] = number
    opened.accept(pcm)
    return opened


@pytest.fixture
def engine() -> SumEngine:
    return SumEngine()


@pytest.fixture
async def build(engine: SumEngine) -> AsyncIterator[Build]:
    built: list[Recognizer] = []

    def start(threads: int = 1, max_batch: int = 8, queue: int = 16) -> Recognizer:
        loop = asyncio.get_running_loop()
        recognizer = Recognizer(engine, threads=threads, max_batch=max_batch, queue=queue, loop=loop)
        recognizer.start()
        built.append(recognizer)
        return recognizer

    yield start
    engine.latch.set()
    for recognizer in built:
        await recognizer.close()


async def occupy(recognizer: Recognizer, engine: SumEngine) -> asyncio.Future[Hypothesis]:
    """Have the only worker begin a step and hold it there."""
    engine.latch.clear()
    future = recognizer.submit(session(engine, 0), Kind.FINAL, SOON)
    await asyncio.to_thread(engine.begun.wait, 30)
    engine.batches.clear()
    return future


def shed_count(kind: str) -> float:
    return metrics.REGISTRY.get_sample_value("gateway_asr_shed_total", {"kind": kind}) or 0.0


async def test_results_reach_their_futures(engine: SumEngine, build: Build) -> None:
    recognizer = build(threads=2)
    futures = [recognizer.submit(session(engine, number), Kind.FINAL, SOON) for number in range(10)]
    assert [(await future).text for future in futures] == [str(number) for number in range(10)]
    assert all(future.result().final for future in futures)
    assert all(name.startswith("recognizer-") for name in engine.threads)
    assert recognizer.depth == 0


async def test_finals_go_first_then_deadlines(engine: SumEngine, build: Build) -> None:
    recognizer = build(max_batch=1)
    first = await occupy(recognizer, engine)
    order = [
        (Kind.PARTIAL, 1.0, 6), (Kind.SPECULATIVE, 2.0, 5), (Kind.FINAL, 9.0, 3),
        (Kind.FINAL, 3.0, 1), (Kind.FINAL, 9.0, 4), (Kind.FINAL, 3.5, 2),
    ]  # fmt: skip
    futures = [recognizer.submit(session(engine, number), kind, deadline) for kind, deadline, number in order]
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["1"], ["2"], ["3"], ["4"], ["5"], ["6"]]


async def test_waiting_decodes_share_a_batch(engine: SumEngine, build: Build) -> None:
    recognizer = build(max_batch=3)
    first = await occupy(recognizer, engine)
    futures = [recognizer.submit(session(engine, number), Kind.FINAL, SOON) for number in range(1, 6)]
    assert recognizer.depth == 5
    assert metrics.REGISTRY.get_sample_value("gateway_asr_queue", {"kind": "final"}) == 5
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["1", "2", "3"], ["4", "5"]]
    assert metrics.REGISTRY.get_sample_value("gateway_asr_queue", {"kind": "final"}) == 0


async def test_lengths_far_apart_do_not_share_a_batch(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    first = await occupy(recognizer, engine)
    lengths = {1: 1000, 2: 8000, 3: 2900, 4: 6000}
    futures = [recognizer.submit(session(engine, n, ms), Kind.FINAL, float(n)) for n, ms in lengths.items()]
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["1", "3"], ["2", "4"]]


async def test_a_batch_has_bounded_audio(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    first = await occupy(recognizer, engine)
    futures = [recognizer.submit(session(engine, number, 8000), Kind.FINAL, SOON) for number in (1, 2, 3)]
    futures.append(recognizer.submit(session(engine, 4, 40_000), Kind.FINAL, SOON + 2.0))
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["1", "2"], ["3"], ["4"]]


async def test_partials_hold_a_worker_for_less_long(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    first = await occupy(recognizer, engine)
    futures = [recognizer.submit(session(engine, number, 4000), Kind.PARTIAL, SOON) for number in (1, 2, 3)]
    futures.append(recognizer.submit(session(engine, 4, 15_000), Kind.PARTIAL, SOON + 2.0))
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["1", "2"], ["3"], ["4"]]


async def test_partials_do_not_ride_along(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    first = await occupy(recognizer, engine)
    kinds = (Kind.PARTIAL, Kind.SPECULATIVE, Kind.FINAL, Kind.PARTIAL)
    futures = [recognizer.submit(session(engine, n), kind, SOON + n) for n, kind in enumerate(kinds, 1)]
    engine.latch.set()
    await asyncio.gather(first, *futures)
    assert engine.batches == [["3", "2"], ["1", "4"]]


async def test_a_bad_utterance_fails_alone(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    failed = metrics.REGISTRY.get_sample_value("gateway_asr_failed_total") or 0.0
    first = await occupy(recognizer, engine)
    futures = [recognizer.submit(session(engine, number), Kind.FINAL, SOON) for number in (1, POISON, 3)]
    engine.latch.set()
    await first
    results = await asyncio.gather(*futures, return_exceptions=True)
    assert [result.text for result in results if isinstance(result, Hypothesis)] == ["1", "3"]
    assert isinstance(results[1], InternalError)
    assert str(results[1]) == "the engine could not decode this utterance (ValueError)"
    assert metrics.REGISTRY.get_sample_value("gateway_asr_failed_total") == failed + 1
    assert (await recognizer.submit(session(engine, 7), Kind.FINAL, SOON)).text == "7"  # the worker lives on


async def test_a_final_takes_the_place_of_optional_work(engine: SumEngine, build: Build) -> None:
    recognizer = build(queue=3)
    first = await occupy(recognizer, engine)
    before = shed_count("partial"), shed_count("speculative")
    speculative = recognizer.submit(session(engine, 1), Kind.SPECULATIVE, SOON + 1.0)
    partial = recognizer.submit(session(engine, 2), Kind.PARTIAL, SOON + 1.0)
    finals = [recognizer.submit(session(engine, 3), Kind.FINAL, SOON)]
    finals.append(recognizer.submit(session(engine, 4), Kind.FINAL, SOON))
    with pytest.raises(Shed):
        await speculative
    assert not partial.done()
    finals.append(recognizer.submit(session(engine, 5), Kind.FINAL, SOON))
    with pytest.raises(Shed):
        await partial
    with pytest.raises(RecognizerFull, match="all 3 places"):
        recognizer.submit(session(engine, 6), Kind.FINAL, SOON)
    assert (shed_count("partial"), shed_count("speculative")) == (before[0] + 1, before[1] + 1)
    engine.latch.set()
    assert [hypothesis.text for hypothesis in await asyncio.gather(*finals)] == ["3", "4", "5"]
    await first


async def test_optional_work_is_shed_under_overload(engine: SumEngine, build: Build) -> None:
    recognizer = build(queue=4)
    first = await occupy(recognizer, engine)
    finals = [recognizer.submit(session(engine, n), Kind.FINAL, SOON) for n in (1, 2)]
    states = [recognizer.overloaded]
    finals.append(recognizer.submit(session(engine, 3), Kind.FINAL, SOON))
    states.append(recognizer.overloaded)
    with pytest.raises(Shed, match="no room for optional work"):
        await recognizer.submit(session(engine, 4), Kind.SPECULATIVE, SOON)
    engine.latch.set()
    await asyncio.gather(first, *finals)
    assert [*states, recognizer.overloaded] == [False, True, False]


async def test_guesses_go_first_then_partials_then_new_starts(engine: SumEngine, build: Build) -> None:
    recognizer = build(queue=16)
    first = await occupy(recognizer, engine)
    finals, refused = [], []
    for finals_waiting in range(13):
        for kind in (Kind.SPECULATIVE, Kind.PARTIAL):
            future = recognizer.submit(session(engine, 1), kind, SOON)
            await asyncio.sleep(0)
            refused.append((finals_waiting, kind)) if future.done() else future.cancel()
        await asyncio.sleep(0)  # the loop's turn in which a cancelled future tells
        if recognizer.overloaded:
            break
        finals.append(recognizer.submit(session(engine, 2), Kind.FINAL, SOON))
    begins = {kind: min(at for at, one in refused if one is kind) for kind in (Kind.SPECULATIVE, Kind.PARTIAL)}
    assert (begins[Kind.SPECULATIVE], begins[Kind.PARTIAL], len(finals)) == (8, 10, 12)
    engine.latch.set()
    await asyncio.gather(first, *finals)


async def test_no_guesses_beside_a_final_that_is_late(engine: SumEngine, build: Build) -> None:
    recognizer = build(queue=16)
    first = await occupy(recognizer, engine)
    late = recognizer.submit(session(engine, 2), Kind.FINAL, time.monotonic() - 0.1)
    assert recognizer.behind
    with pytest.raises(Shed):
        await recognizer.submit(session(engine, 1), Kind.SPECULATIVE, SOON)
    partial = recognizer.submit(session(engine, 1), Kind.PARTIAL, SOON)
    assert not recognizer.overloaded
    engine.latch.set()
    assert (await partial).text == "1"
    assert (await late).text == "2"
    await first
    assert not recognizer.behind


async def test_a_full_queue_takes_a_partial_for_a_guess_and_no_guess_for_a_partial(
    engine: SumEngine, build: Build
) -> None:
    recognizer = build(queue=2)
    first = await occupy(recognizer, engine)
    guess = recognizer.submit(session(engine, 1), Kind.SPECULATIVE, SOON)
    partials = [recognizer.submit(session(engine, 2), Kind.PARTIAL, SOON) for _ in range(2)]
    with pytest.raises(Shed):
        await guess
    with pytest.raises(Shed):
        await recognizer.submit(session(engine, 1), Kind.SPECULATIVE, SOON)
    with pytest.raises(Shed):
        await recognizer.submit(session(engine, 3), Kind.PARTIAL, SOON + 1)
    engine.latch.set()
    assert [one.text for one in await asyncio.gather(*partials)] == ["2", "2"]
    await first


async def test_a_cancelled_decode_leaves_the_queue(engine: SumEngine, build: Build) -> None:
    recognizer = build(max_batch=1)
    first = await occupy(recognizer, engine)
    futures = [recognizer.submit(session(engine, number), Kind.FINAL, SOON) for number in (1, 2, 3)]
    futures[1].cancel()
    await asyncio.sleep(0)  # the loop's turn in which a cancelled future tells
    assert recognizer.depth == 2
    engine.latch.set()
    await asyncio.gather(first, futures[0], futures[2])
    assert engine.batches == [["1"], ["3"]]


async def test_a_decode_cancelled_while_it_runs_is_unread(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    running = await occupy(recognizer, engine)
    running.cancel()
    engine.latch.set()
    assert (await recognizer.submit(session(engine, 7), Kind.FINAL, SOON)).text == "7"
    assert running.cancelled()


async def test_close_finishes_what_runs_and_sheds_what_waits(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    running = await occupy(recognizer, engine)
    waiting = recognizer.submit(session(engine, 1), Kind.FINAL, SOON)
    closing = asyncio.create_task(recognizer.close())
    with pytest.raises(Shed, match="closing"):
        await waiting
    engine.latch.set()
    await closing
    assert (await running).text == "0"
    with pytest.raises(InternalError, match="not running"):
        recognizer.submit(session(engine, 2), Kind.FINAL, SOON)


async def test_a_wrong_number_of_hypotheses_is_a_failure(build: Build, engine: SumEngine) -> None:
    recognizer = build()
    engine.mute = True
    with pytest.raises(InternalError, match="could not decode"):
        await recognizer.submit(session(engine, 1), Kind.FINAL, SOON)


@pytest.mark.slow
async def test_real_speech_through_the_real_engine() -> None:
    moonshine = Moonshine(ROOT / "models" / "cache" / "moonshine-tiny-en")
    pcm, _ = soundfile.read(ROOT / "samples" / "support-call.wav", dtype="int16", frames=8 * 8000)
    loop = asyncio.get_running_loop()
    recognizer = Recognizer(moonshine, threads=1, max_batch=4, queue=8, loop=loop)
    recognizer.start()
    try:
        futures = []
        for channel in (0, 1):
            opened = moonshine.open()
            opened.accept(np.ascontiguousarray(pcm[:, channel]))
            futures.append(recognizer.submit(opened, Kind.FINAL, loop.time()))
        texts = [(await future).text for future in futures]
    finally:
        await recognizer.close()
    assert any(len(text.split()) > 5 for text in texts)


async def test_a_final_that_waits_too_long_means_overload(engine: SumEngine, build: Build) -> None:
    recognizer = build()
    first = await occupy(recognizer, engine)
    states = [recognizer.overloaded]
    late = recognizer.submit(session(engine, 1), Kind.FINAL, time.monotonic() - 1)
    states.append(recognizer.overloaded)
    engine.latch.set()
    await asyncio.gather(first, late)
    # It lasts: one late final says that more would be.
    assert [*states, recognizer.overloaded] == [False, True, True]


async def test_a_promoted_decode_goes_with_the_finals(engine: SumEngine, build: Build) -> None:
    recognizer = build(max_batch=1)
    first = await occupy(recognizer, engine)
    guess = recognizer.submit(session(engine, 1), Kind.SPECULATIVE, SOON)
    final = recognizer.submit(session(engine, 2), Kind.FINAL, SOON + 2)
    recognizer.promote(guess, SOON + 1)
    engine.latch.set()
    await asyncio.gather(first, guess, final)
    assert engine.batches[-2:] == [["1"], ["2"]]
