"""A recording through the stages of a live call, as fast as the cores allow.

The audio takes the live way piece by piece: μ-law, the track's media clock, voice activity, endpointing, the text of
every pause. Where utterances end, what is decoded and in which order it is redacted is therefore what the gateway would
do with the call. Each participant has a thread; what one says is decided without the other, and put in order after.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway._native import mulaw, track
from gateway.config import EndpointSettings, Settings, VadSettings
from gateway.delivery.delivery import mask as mask_all
from gateway.participants import Role
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Pcm, Recalling, Session, VoiceActivity
from gateway.speech.guards import guard
from gateway.speech.memory import Memory
from gateway.speech.sentence import read
from gateway.speech.track import Ending, Pause, Resumption, Segment, SpeechTrack
from gateway.speech.track import Found as Shown
from gateway.text.formatting import Formatter
from gateway.text.redaction import Redactor

__all__ = ["Found", "Progress", "Transcription", "Utterance", "listen", "transcribe"]

logger = logging.getLogger(__name__)

PIECE_MS = 20
"""Audio of one of Twilio's messages."""

BLOCK_MS = 640
"""Audio that is worked through at once: frames follow each other without the media between them."""

SHOW_S = 0.1
"""How often progress is told."""

_SAMPLES_PER_MS = 8

Progress = Callable[[int], None]
"""Told how many ms of the recording are worked through; never less than before."""


@dataclass(frozen=True, slots=True)
class Found:
    """An utterance's audio, and what was understood; None if the engine could not decode it."""

    segment: Segment
    hypothesis: Hypothesis | None


@dataclass(frozen=True, slots=True)
class Utterance:
    """A transcript. Offsets are ms from the recording's first sample; ``text`` is as recognised and formatted."""

    role: Role
    start_ms: int
    end_ms: int
    text: str
    redacted: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Transcription:
    """All of a recording, in the order in which the gateway would deliver it.

    ``failed`` counts utterances that the engine could not decode.
    """

    duration_ms: int
    utterances: tuple[Utterance, ...]
    failed: int


def transcribe(
    tracks: Mapping[Role, Pcm],
    voice: VoiceActivity,
    engine: Engine,
    settings: Settings,
    progress: Progress | None = None,
) -> Transcription:
    """Transcribe a recording; blocking, on a thread for each participant (``asr.threads`` at the most).

    Args:
        tracks: linear PCM of each participant, 8 kHz; they begin together.
        voice: the voice activity model; no one else may be judging with it.
        engine: the recognizer.
        settings: of the recognizer, voice activity and endpointing.
        progress: called from this thread, several times a second.
    """
    duration_ms = max((len(pcm) for pcm in tracks.values()), default=0) // _SAMPLES_PER_MS
    work = _Work(_InTurn(voice), engine, settings)
    threads = min(settings.asr.threads or len(os.sched_getaffinity(0)), len(tracks))
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="transcribe") as pool:
        futures = [pool.submit(work.listen, role, pcm) for role, pcm in tracks.items()]
        try:
            _watch(futures, work, progress or (lambda _ms: None))
            # Of two that end at once the first track's comes first: the sort keeps the order.
            places = sorted((place for future in futures for place in future.result()), key=lambda place: place.decided)
        finally:
            work.stopped.set()
    if progress is not None:
        progress(duration_ms)
    failed = sum(place.hypothesis is None for place in places)
    formatter = Formatter(enabled=settings.text.formatting)
    return Transcription(duration_ms, tuple(_told(places, formatter)), failed)


def _watch(futures: Sequence[Future[list[_Place]]], work: _Work, progress: Progress) -> None:
    """Tell progress until all are done; a failure of one is raised at once."""
    shown = 0
    while futures:
        done, pending = wait(futures, SHOW_S, FIRST_EXCEPTION)
        for failure in filter(None, (future.exception() for future in done)):
            raise failure
        if not pending:
            return
        # A track that has not begun is as far as nothing; one that has ended holds nobody up.
        at_ms = min(work.at_ms.values(), default=0) if len(work.at_ms) == len(futures) else 0
        if at_ms > shown:
            shown = at_ms
            progress(shown)


class _InTurn:
    """The voice activity model for several threads: one at a time."""

    def __init__(self, voice: VoiceActivity) -> None:
        self._voice = voice
        self._lock = threading.Lock()

    def acquire(self) -> int:
        with self._lock:
            return self._voice.acquire()

    def reset(self, slot: int) -> None:
        with self._lock:
            self._voice.reset(slot)

    def release(self, slot: int) -> None:
        with self._lock:
            self._voice.release(slot)

    def judge(self, slots: NDArray[np.int64], frames: NDArray[np.int16]) -> NDArray[np.float32]:
        with self._lock:
            return self._voice.judge(slots, frames)


@dataclass(frozen=True, slots=True)
class _Place:
    """What is kept of an utterance: not its audio. Samples from the recording's first one."""

    role: Role
    start: int
    end: int
    decided: int
    hypothesis: Hypothesis | None


class _Stopped(Exception):  # noqa: N818 - the way out of a thread whose result nobody wants, no failure
    """Another participant's thread has failed, or the user has had enough."""


@dataclass(slots=True)
class _Work:
    """What the threads share; ``at_ms`` is how far each is."""

    voice: VoiceActivity
    engine: Engine
    settings: Settings
    at_ms: dict[Role, int] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)

    def listen(self, role: Role, pcm: Pcm) -> list[_Place]:
        """All of one participant's utterances."""

        def listened(at_ms: int) -> None:
            if self.stopped.is_set():
                raise _Stopped
            self.at_ms[role] = at_ms

        found = listen(pcm, self.voice, self.engine, self.settings.vad, self.settings.endpoint, listened)
        places = [
            _Place(role, one.segment.start, one.segment.end, one.segment.decided, one.hypothesis) for one in found
        ]
        # It holds up nobody's progress any more.
        self.at_ms[role] = 1 << 62
        return places


def listen(
    pcm: Pcm,
    voice: VoiceActivity,
    engine: Engine,
    vad: VadSettings,
    endpoint: EndpointSettings,
    listened: Progress | None = None,
) -> Iterator[Found]:
    """One participant's utterances in the order of their endpoints.

    Args:
        pcm: linear PCM, 8 kHz, shape ``(samples,)``.
        voice: the voice activity model.
        engine: the recognizer.
        vad: thresholds of voice activity.
        endpoint: when an utterance begins and ends.
        listened: told after every block how far it is.
    """
    media = track.Track()
    media.open_gate()
    slot = voice.acquire()
    try:
        line = _Line(SpeechTrack(media, vad, endpoint, slot), voice, engine)
        ulaw = mulaw.encode(pcm)
        duration_ms = -(-len(ulaw) // _SAMPLES_PER_MS)
        for block_ms in range(0, duration_ms, BLOCK_MS):
            for at_ms in range(block_ms, min(block_ms + BLOCK_MS, duration_ms), PIECE_MS):
                at = at_ms * _SAMPLES_PER_MS
                # It arrives when it is spoken.
                media.place(at_ms, ulaw[at : at + PIECE_MS * _SAMPLES_PER_MS], at_ms)
            yield from line.work(block_ms)
            if listened is not None:
                listened(block_ms + BLOCK_MS)
        line.speech.finishing = True
        while not line.speech.finished:
            yield from line.work(duration_ms)
    finally:
        voice.release(slot)


@dataclass(frozen=True, slots=True)
class _Heard:
    """What was heard at first of an open or ended utterance; None if the engine could not decode it."""

    session: Session
    kind: Kind
    first: Hypothesis | None


@dataclass(slots=True)
class _Line:
    """One participant's audio on its way through the stage; ``guess`` is the text of the pause it is in."""

    speech: SpeechTrack
    voice: VoiceActivity
    engine: Engine
    memory: Memory = field(default_factory=Memory)
    guess: _Heard | None = None

    def work(self, now_ms: int) -> Iterator[Found]:
        """Take and judge what waits."""
        taken = self.speech.take(now_ms)
        if taken is None:
            return
        frames, mask = taken
        probabilities = np.zeros(len(frames), np.float32)
        slots = np.array([self.speech.slot], np.int64)
        for row in np.flatnonzero(mask):
            probabilities[row] = self.voice.judge(slots, frames[row : row + 1])[0]
        yield from self._hear(self.speech.judge(probabilities))
        if self.speech.jumped:
            self.speech.jumped = False
            self.voice.reset(self.speech.slot)

    def _hear(self, shown: Iterable[Shown]) -> Iterator[Found]:
        """As the stage of a live call does it (:mod:`gateway.speech.stage`), but nobody has to wait."""
        for one in shown:
            if isinstance(one, Pause):
                self.guess = self._heard(one.pcm, Kind.SPECULATIVE)
                verdict = read(self.guess.first, quiet=one.quiet, languages=self.engine.languages)
                yield from self._hear(self.speech.advise(one.number, verdict))
            elif isinstance(one, Resumption):
                self.guess = None
            else:
                # The guess before a cut was of another piece, and one that failed is tried again on all of it.
                guess, self.guess = self.guess, None
                if guess is None or guess.first is None or one.ending is Ending.CUT:
                    guess = self._heard(one.pcm, Kind.FINAL)
                yield self._found(one, self._surer(guess))

    def _heard(self, pcm: Pcm, kind: Kind) -> _Heard:
        session = self.memory.read(self.engine, pcm)
        return _Heard(session, kind, _decode(self.engine, session, kind))

    def _surer(self, heard: _Heard) -> Hypothesis | None:
        """What is told: after a second hearing (:mod:`gateway.speech.hearing`), where that may be of use."""
        session, first = heard.session, heard.first
        again = session.again(first) if first is not None and isinstance(session, Recalling) else None
        return (again and _decode(self.engine, again, heard.kind)) or first

    def _found(self, segment: Segment, hypothesis: Hypothesis | None) -> Found:
        self.memory.ended(segment)
        if hypothesis is None:
            return Found(segment, None)
        told = guard(hypothesis, segment.speech_ms, segment.speech)
        if told.text:
            self.memory.told(segment, hypothesis)
        return Found(segment, told)


def _decode(engine: Engine, session: Session, kind: Kind) -> Hypothesis | None:
    """What is said; None if the engine could not decode it."""
    try:
        return engine.step([Job(session, kind)])[0]
    except Exception as error:
        # The message may hold what was said; its type does not.
        logger.error("an utterance of %d ms could not be decoded (%s)", session.duration_ms, type(error).__name__)
        return None


def _told(places: Sequence[_Place], formatter: Formatter) -> Iterator[Utterance]:
    """Formatting, and redaction in the order of the endpoints over both speakers: one asks, the other answers."""
    redactor = Redactor()
    for one in places:
        if one.hypothesis is None or not one.hypothesis.text.strip():
            continue
        text = formatter.text(one.hypothesis.text).text
        start_ms = one.start // _SAMPLES_PER_MS
        end_ms = max(start_ms + 1, one.end // _SAMPLES_PER_MS)
        redacted = _redact(redactor, text, one.role)
        yield Utterance(one.role, start_ms, end_ms, text, redacted, one.hypothesis.confidence)


def _redact(redactor: Redactor, text: str, role: Role) -> str:
    try:
        return redactor.redact(text, role).text
    except Exception as error:
        # As in a live call: the one wrong answer is the text itself, and an exception's message may quote it.
        logger.error("redaction failed (%s), an utterance is masked entirely", type(error).__name__)
        return mask_all(text)
