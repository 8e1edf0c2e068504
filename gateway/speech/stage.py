"""All open tracks: frames to the voice activity model in batches, utterances to the recognizer, texts to listeners.

The stage's own loop runs a pass about every frame; the model runs on one worker thread, one batch at a time, so that
the event loop never waits for it. Order within a track is kept because only one pass is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
import structlog

from gateway import metrics
from gateway.clock import monotonic_ms
from gateway.config import EndpointSettings, VadSettings
from gateway.errors import GatewayError
from gateway.speech.engine import PLAIN, DecodeOptions, Engine, Hypothesis, Kind, Pcm, Session, Ulaw, VoiceActivity
from gateway.speech.follower import Follower, PartialListener
from gateway.speech.guards import guard
from gateway.speech.hearing import Hearing
from gateway.speech.memory import Memory, fill
from gateway.speech.patience import FRAME_MS
from gateway.speech.recognizer import Recognizer
from gateway.speech.sentence import Verdict, read
from gateway.speech.track import Ending, Found, Pause, Segment, SpeechTrack

if TYPE_CHECKING:
    from gateway._native.track_py import Track as TrackMedia

__all__ = ["OpenTrack", "SpeechListener", "SpeechStage"]

log = structlog.get_logger(__name__)

FINAL_DEADLINE_S = 0.12
"""What the recognizer may take after the endpoint decision (design mark, p95)."""

ANSWER_S = 0.25
"""How long a track waits for the text of a pause; later the silence ends the utterance as if there were none."""

AT_EVERY_TICK = 16
"""With no more tracks than these a pass follows every tick of the media plane, else every frame: a batch costs most of
a millisecond however few frames are in it, so with many tracks a fuller one is better than an earlier one."""

SLOW_PASS_S = 0.5
SLOW_HOLD_S = 5.0
"""A pass that takes longer keeps every track waiting: no new starts for a while."""


class SpeechListener(PartialListener, Protocol):
    """Who is told of a track's utterances; everything is called on the event loop."""

    def on_segment(self, segment: Segment) -> object:
        """An utterance has ended; what is returned comes back with its text."""

    def on_text(self, mark: object, segment: Segment, hypothesis: Hypothesis | None) -> None:
        """Its text is there; None if it could not be recognised."""


@dataclass(eq=False, slots=True)
class OpenTrack:
    """A track in the stage.

    ``speculation`` is the decode of the open utterance that was begun at its present pause;
    ``patience_ends`` when its text is no longer waited for, by ``time.monotonic()``.
    """

    speech: SpeechTrack
    listener: SpeechListener
    done: asyncio.Future[None]
    follower: Follower
    memory: Memory
    speculation: Hearing | None = None
    pause: int = 0
    patience_ends: float = 0.0


_Taken = tuple[OpenTrack, Pcm, list[bool]]
"""A track, its frames, and for each whether the model is asked about it."""


class SpeechStage:
    """Voice activity, endpointing and recognition of every open track."""

    def __init__(
        self,
        voice: VoiceActivity,
        engine: Engine,
        recognizer: Recognizer,
        vad: VadSettings,
        endpoint: EndpointSettings,
    ) -> None:
        self._voice = voice
        self._engine = engine
        self._recognizer = recognizer
        self._vad = vad
        self._endpoint = endpoint
        self._tracks: list[OpenTrack] = []
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # Until when new starts are refused because a pass took too long.
        self._slow_until = 0.0
        # Called when a pass fails, which is our bug: the process must not go on deaf.
        self.on_failure: Callable[[BaseException], None] | None = None

    @property
    def languages(self) -> frozenset[str]:
        """Language subtags that can be recognised."""
        return self._engine.languages

    @property
    def overloaded(self) -> bool:
        """Whether new starts should be refused so that admitted calls keep their latency."""
        return self._recognizer.overloaded or time.monotonic() < self._slow_until

    def start(self) -> None:
        """Begin to work; must be called on the event loop."""
        self._task = asyncio.create_task(self._run(), name="speech stage")

    async def close(self) -> None:
        """Stop working; what is open is given up, so finish the tracks first."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._worker.shutdown(wait=False, cancel_futures=True)

    def open(self, media: TrackMedia, listener: SpeechListener, options: DecodeOptions = PLAIN) -> OpenTrack:
        """Take up a track whose gate has just opened; its utterances are decoded as ``options`` ask."""
        speech = SpeechTrack(media, self._vad, self._endpoint, self._voice.acquire())
        # Nobody sees the words' times in an interim text.
        submit = partial(self._submit, options=replace(options, word_times=False))
        follower = Follower(speech, listener, self._recognizer, submit)
        done = asyncio.get_running_loop().create_future()
        track = OpenTrack(speech, listener, done, follower, Memory(options))
        self._tracks.append(track)
        metrics.OPEN_TRACKS.set(len(self._tracks))
        self._wake.set()
        return track

    def wake(self) -> None:
        """There may be new media: look at once, where that costs little."""
        if len(self._tracks) <= AT_EVERY_TICK:
            self._wake.set()

    async def finish(self, track: OpenTrack) -> None:
        """End a track whose gate has closed: returns when its last utterance was told to the listener."""
        track.speech.finishing = True
        self._wake.set()
        await asyncio.shield(track.done)

    async def _run(self) -> None:
        try:
            while True:
                if not self._tracks:
                    self._wake.clear()
                    await self._wake.wait()
                self._wake.clear()
                started = time.monotonic()
                await self._pass()
                # A frame takes 32 ms to fill; a shorter round would find nothing. A finishing track does not wait.
                took = time.monotonic() - started
                if took > SLOW_PASS_S:
                    self._slow_until = time.monotonic() + SLOW_HOLD_S
                rest = FRAME_MS / 1000 - took
                if rest > 0 and not any(track.speech.finishing for track in self._tracks):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(rest):
                            await self._wake.wait()
                else:
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            log.exception("speech stage failed")
            if self.on_failure is not None:
                self.on_failure(error)
            raise

    async def _pass(self) -> None:
        now, now_ms = time.monotonic(), monotonic_ms()
        taken: list[_Taken] = []
        for track in list(self._tracks):
            if track.speech.waiting and now > track.patience_ends:
                self._advise(track, track.pause, Verdict.OPEN)
                if track.done.done():
                    continue
            try:
                handed = track.speech.take(now_ms)
            except Exception:
                self._abandon(track)
                continue
            if handed is not None:
                taken.append((track, *handed))
        if not taken:
            return
        frames = sum(len(mask) for _, _, mask in taken)
        asked = sum(sum(mask) for _, _, mask in taken)
        if asked:
            loop = asyncio.get_running_loop()
            judged = await loop.run_in_executor(self._worker, self._judge, taken)
        else:
            judged = [[0.0] * len(mask) for _, _, mask in taken]
        metrics.VAD_FRAMES.labels("model").inc(asked)
        metrics.VAD_FRAMES.labels("gate").inc(frames - asked)
        for (track, _, _), probabilities in zip(taken, judged, strict=True):
            self._hear(track, track.speech.judge(probabilities))
            self._follow(track)

    def _hear(self, track: OpenTrack, shown: Iterable[Found]) -> None:
        """What the model's answer, or a text, shows on one track."""
        try:
            self._handle(track, shown)
        except Exception:
            self._abandon(track)

    def _follow(self, track: OpenTrack) -> None:
        """Some more was heard of a track that may be read along."""
        if track.done.done():
            return
        try:
            track.follower.look()
        except Exception:
            self._abandon(track)

    def _handle(self, track: OpenTrack, shown: Iterable[Found]) -> None:
        for found in shown:
            if isinstance(found, Segment):
                self._recognise(track, found)
            elif isinstance(found, Pause):
                self._speculate(track, found)
            else:
                self._give_up(track)
        if track.speech.jumped:
            track.speech.jumped = False
            self._voice.reset(track.speech.slot)
        if track.speech.finished:
            self._remove(track)

    def _abandon(self, track: OpenTrack) -> None:
        """A track has failed, which is our bug: it ends alone."""
        log.exception("track failed")
        metrics.TRACKS_FAILED.inc()
        self._give_up(track)
        self._remove(track)

    def _judge(self, taken: list[_Taken]) -> list[list[float]]:
        """Run the model over the frames that need it, a round for each frame of a track; on the worker thread."""
        started = time.perf_counter()
        judged = [[0.0] * len(mask) for _, _, mask in taken]
        # Numbers of the frames that each track asks about; most often it is one, the only one.
        wanted = [[at for at, ask in enumerate(mask) if ask] for _, _, mask in taken]
        for turn in range(max(map(len, wanted))):
            rows = [row for row, frames in enumerate(wanted) if len(frames) > turn]
            slots = np.array([taken[row][0].speech.slot for row in rows], np.int64)
            batch = np.concatenate([taken[row][1][wanted[row][turn] : wanted[row][turn] + 1] for row in rows])
            for row, probability in zip(rows, self._voice.judge(slots, batch).tolist(), strict=True):
                judged[row][wanted[row][turn]] = probability
        metrics.VAD_SECONDS.inc(time.perf_counter() - started)
        return judged

    def _remove(self, track: OpenTrack) -> None:
        if track.done.done():
            return
        self._tracks.remove(track)
        self._voice.release(track.speech.slot)
        metrics.OPEN_TRACKS.set(len(self._tracks))
        track.done.set_result(None)

    # Recognition

    def _speculate(self, track: OpenTrack, pause: Pause) -> None:
        """Decode the open utterance at its pause: the text tells whether the sentence is over.

        If the pause holds, that is also the text of the utterance, and there when the endpoint is.
        """
        self._give_up(track)
        asked = time.monotonic()
        track.pause, track.patience_ends = pause.number, asked + ANSWER_S
        try:
            hearing = self._listen(track.memory.read(self._engine, pause.ulaw), Kind.SPECULATIVE)
        except GatewayError:
            self._advise(track, pause.number, Verdict.OPEN)
        else:
            track.speculation = hearing
            first = hearing.first
            first.add_done_callback(lambda future: self._answer(track, pause, asked, future))
            # Behind the advice: a text that ends the utterance is shown as its final one.
            track.follower.at_pause(first)

    def _advise(self, track: OpenTrack, pause: int, verdict: Verdict) -> None:
        if not track.done.done():
            self._hear(track, track.speech.advise(pause, verdict))

    def _answer(self, track: OpenTrack, pause: Pause, asked: float, future: asyncio.Future[Hypothesis]) -> None:
        if future.cancelled():
            return
        metrics.ASR_ANSWER_SECONDS.observe(time.monotonic() - asked)
        first = future.result() if future.exception() is None else None
        self._advise(track, pause.number, read(first, quiet=pause.quiet, languages=self._engine.languages))

    def _give_up(self, track: OpenTrack) -> None:
        """The speaker went on: the guess is of no use."""
        speculation, track.speculation = track.speculation, None
        if speculation is not None:
            metrics.ASR_SPECULATED.labels("wasted").inc()
            speculation.cancel()

    def _submit(self, ulaw: Ulaw, kind: Kind, *, options: DecodeOptions) -> asyncio.Future[Hypothesis]:
        session = self._engine.open(options)
        fill(session, ulaw)
        return self._recognizer.submit(session, kind, time.monotonic() + FINAL_DEADLINE_S)

    def _listen(self, session: Session, kind: Kind) -> Hearing:
        return Hearing(self._recognizer, session, kind, time.monotonic() + FINAL_DEADLINE_S)

    def _recognise(self, track: OpenTrack, segment: Segment) -> None:
        """An utterance has ended: tell the listener, and tell it the text when that is there."""
        metrics.UTTERANCES.labels(segment.ending).inc()
        track.follower.stop()
        if segment.ending is Ending.CUT:
            # The guess was of another piece.
            self._give_up(track)
        speculation, track.speculation = track.speculation, None
        whole = track.memory.read(self._engine, segment.ulaw)
        track.memory.ended(segment)
        reading = _Reading(track, segment, track.listener.on_segment(segment), whole)
        if speculation is not None:
            speculation.promote(time.monotonic() + FINAL_DEADLINE_S)
            speculation.final.add_done_callback(lambda future: self._speculated(reading, future))
        else:
            self._decode(reading)

    def _speculated(self, reading: _Reading, future: asyncio.Future[Hypothesis]) -> None:
        if future.cancelled() or future.exception() is not None:
            # It was shed, or failed: the utterance itself is decoded all the same.
            metrics.ASR_SPECULATED.labels("failed").inc()
            self._decode(reading)
        else:
            metrics.ASR_SPECULATED.labels("used").inc()
            reading.tell(future.result())

    def _decode(self, reading: _Reading) -> None:
        try:
            hearing = self._listen(reading.whole, Kind.FINAL)
        except GatewayError as error:
            log.warning("utterance not recognised", reason=type(error).__name__)
            reading.tell(None)
        else:
            hearing.final.add_done_callback(reading.settle)


@dataclass(eq=False, slots=True)
class _Reading:
    """An utterance that waits for its text; ``whole`` is the decode of all of it."""

    track: OpenTrack
    segment: Segment
    mark: object
    whole: Session
    ended: float = field(default_factory=time.monotonic)

    def settle(self, future: asyncio.Future[Hypothesis]) -> None:
        failed = future.cancelled() or future.exception() is not None
        self.tell(None if failed else future.result())

    def tell(self, hypothesis: Hypothesis | None) -> None:
        told = hypothesis
        if hypothesis is not None:
            told = guard(hypothesis, self.segment.speech_ms, self.segment.speech)
            if told.text:
                self.track.memory.told(self.segment, hypothesis)
        metrics.ASR_WAIT_SECONDS.observe(time.monotonic() - self.ended)
        self.track.listener.on_text(self.mark, self.segment, told)
