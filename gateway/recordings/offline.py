"""A recording through the stages of a live call, as fast as the cores allow.

The audio takes the live way piece by piece: μ-law, the track's media clock, voice activity, endpointing, the text of
every pause. Where utterances end, what is decoded and in which order it is redacted is therefore what the gateway would
do with the call. Each participant has a thread; what one says is decided without the other, and put in order after.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from gateway.config import Settings
from gateway.delivery.delivery import mask as mask_all
from gateway.participants import Role
from gateway.recordings.listening import Audio, Found, Progress, blocks, listen
from gateway.speech.engine import (
    PLAIN,
    DecodeOptions,
    Engine,
    Hypothesis,
    Pcm,
    Token,
    VoiceActivity,
)
from gateway.speech.words import placed
from gateway.text.formatting import Formatter
from gateway.text.policy import DEFAULT, Policy
from gateway.text.redacted import Redacted
from gateway.text.redaction import Redactor

__all__ = [
    "Audio",
    "Found",
    "Pending",
    "Progress",
    "Terms",
    "Transcriber",
    "Transcription",
    "Utterance",
    "listen",
    "transcribe",
]

logger = logging.getLogger(__name__)

SHOW_S = 0.1
"""How often progress is told."""

_SAMPLES_PER_MS = 8


@dataclass(frozen=True, slots=True)
class Terms:
    """What a live call's account and start request would say."""

    policy: Policy = DEFAULT
    options: DecodeOptions = PLAIN
    language: str = "en-US"


PLAIN_TERMS = Terms()
"""An account that has set nothing, a start that asks for nothing."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """A transcript. Offsets are ms from the recording's first sample; ``text`` is as recognised and formatted.

    ``redacted`` hides what the whole recording shows to be secret. ``tokens`` are the words of ``text``, where asked.
    """

    role: Role
    start_ms: int
    end_ms: int
    text: str
    redacted: str
    confidence: float
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcription:
    """All of a recording, in the order in which the gateway would deliver it.

    ``failed`` counts utterances that the engine could not decode.
    """

    duration_ms: int
    utterances: tuple[Utterance, ...]
    failed: int


def transcribe(
    tracks: Mapping[Role, Audio],
    voice: VoiceActivity,
    engine: Engine,
    settings: Settings,
    progress: Progress | None = None,
    terms: Terms = PLAIN_TERMS,
) -> Transcription:
    """Transcribe a recording; blocking, on a thread for each participant (``asr.threads`` at the most).

    Args:
        tracks: what each participant says; they begin together.
        voice: the voice activity model; no one else may be judging with it.
        engine: the recognizer.
        settings: of the recognizer, voice activity and endpointing.
        progress: called from this thread, several times a second.
        terms: what is hidden, and what decodes are asked for.
    """
    jobs = min(settings.asr.threads or len(os.sched_getaffinity(0)), len(tracks))
    with Transcriber(voice, engine, settings, terms, max(1, jobs)) as transcriber:
        pending = transcriber.submit(tracks)
        shown = 0
        while not pending.wait(SHOW_S):
            at_ms = pending.at_ms
            if progress is not None and at_ms > shown:
                shown = at_ms
                progress(shown)
        done = pending.result()
    if progress is not None:
        progress(done.duration_ms)
    return done


class Transcriber:
    """Transcribes recordings, the participants of one or of many at a time; models are shared.

    A context manager: leaving it ends what is under way.

    Args:
        voice: the voice activity model; no one else may be judging with it.
        engine: the recognizer.
        settings: of the recognizer, voice activity and endpointing.
        terms: what is hidden, and what decodes are asked for.
        jobs: threads; each has one participant of a recording at a time.
    """

    def __init__(
        self, voice: VoiceActivity, engine: Engine, settings: Settings, terms: Terms = PLAIN_TERMS, jobs: int = 1
    ) -> None:
        self._work = _Work(_InTurn(voice), engine, settings, terms)
        self._formatter = Formatter(enabled=settings.text.formatting, language=terms.language)
        self._pool = ThreadPoolExecutor(jobs, thread_name_prefix="transcribe")
        self._under_way: WeakSet[Pending] = WeakSet()

    def submit(self, tracks: Mapping[Role, Audio]) -> Pending:
        """Begin with a recording as soon as a thread is free."""
        state = _State(dict.fromkeys(tracks, 0))
        futures = {role: self._pool.submit(self._work.listen, role, audio, state) for role, audio in tracks.items()}
        pending = Pending(futures, state, self._formatter, self._work.terms)
        self._under_way.add(pending)
        return pending

    def __enter__(self) -> Transcriber:
        return self

    def __exit__(self, *_: object) -> None:
        for pending in self._under_way:
            pending.cancel()
        self._pool.shutdown(wait=True, cancel_futures=True)


class Pending:
    """A recording that is being transcribed."""

    def __init__(
        self, futures: Mapping[Role, Future[list[_Place]]], state: _State, formatter: Formatter, terms: Terms
    ) -> None:
        self.futures = tuple(futures.values())
        self._state = state
        self._formatter = formatter
        self._terms = terms

    @property
    def at_ms(self) -> int:
        """How far it is, on the mean of its tracks."""
        return sum(self._state.at_ms.values()) // max(1, len(self._state.at_ms))

    @property
    def open_tracks(self) -> int:
        """Tracks that are not through."""
        return sum(not future.done() for future in self.futures)

    def wait(self, seconds: float) -> bool:
        """Whether all of it is done after that long at the most; True as well as soon as a track has failed."""
        done, pending = wait(self.futures, seconds, FIRST_EXCEPTION)
        return not pending or any(future.exception() is not None for future in done)

    def cancel(self) -> None:
        """Let it be, within a block of audio."""
        self._state.stopped.set()

    def result(self) -> Transcription:
        """The transcript; blocking.

        Raises:
            UsageError: its audio cannot be read.
        """
        try:
            wait(self.futures, None, FIRST_EXCEPTION)
            # A failure of one is raised at once, though another still works.
            for failure in filter(None, (future.exception() for future in self.futures if future.done())):
                raise failure
            # Of two that end at once the first track's comes first: the sort keeps the order.
            listened = (place for future in self.futures for place in future.result())
            places = sorted(listened, key=lambda place: place.decided)
        finally:
            self.cancel()
        failed = sum(place.hypothesis is None for place in places)
        duration_ms = max(self._state.samples.values(), default=0) // _SAMPLES_PER_MS
        return Transcription(duration_ms, tuple(_told(places, self._formatter, self._terms)), failed)


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
    pcm_start: int
    hypothesis: Hypothesis | None


class _Stopped(Exception):  # noqa: N818 - the way out of a thread whose result nobody wants, no failure
    """Another participant's thread has failed, or the user has had enough."""


@dataclass(slots=True)
class _State:
    """Of one recording: how far each track is, how much there was of it, and whether to go on."""

    at_ms: dict[Role, int]
    samples: dict[Role, int] = field(default_factory=dict)
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class _Work:
    """What the threads share."""

    voice: VoiceActivity
    engine: Engine
    settings: Settings
    terms: Terms

    def listen(self, role: Role, audio: Audio, state: _State) -> list[_Place]:
        """All of one participant's utterances."""

        def counted() -> Iterator[Pcm]:
            for block in blocks(audio):
                state.samples[role] = state.samples.get(role, 0) + len(block)
                yield block

        def listened(at_ms: int) -> None:
            if state.stopped.is_set():
                raise _Stopped
            state.at_ms[role] = at_ms

        vad, endpoint = self.settings.vad, self.settings.endpoint
        found = listen(counted(), self.voice, self.engine, vad, endpoint, listened, self.terms.options)
        return [_place(role, one) for one in found]


def _place(role: Role, one: Found) -> _Place:
    segment = one.segment
    return _Place(role, segment.start, segment.end, segment.decided, segment.pcm_start, one.hypothesis)


def _told(places: Sequence[_Place], formatter: Formatter, terms: Terms) -> Sequence[Utterance]:
    """Formatting, and redaction in the order of the endpoints over both speakers: one asks, the other answers.

    As in the store, what later utterances show to be secret is hidden in earlier ones, too.
    """
    redactor = Redactor(terms.policy)
    told: list[Utterance] = []
    ordinals: dict[int, int] = {}
    for one in places:
        if one.hypothesis is None or not one.hypothesis.text.strip():
            continue
        text = formatter.text(one.hypothesis.text).text
        start_ms = one.start // _SAMPLES_PER_MS
        end_ms = max(start_ms + 1, one.end // _SAMPLES_PER_MS)
        redacted = _redact(redactor, text, one.role)
        for revised in redacted.revised:
            earlier = ordinals[revised.utterance]
            told[earlier] = replace(told[earlier], redacted=revised.text)
        ordinals[redacted.utterance] = len(told)
        words: tuple[Token, ...] = ()
        if terms.options.word_times:
            pcm_start_ms = one.pcm_start // _SAMPLES_PER_MS
            words = formatter.tokens(placed(one.hypothesis.tokens, pcm_start_ms, start_ms, end_ms))
        told.append(Utterance(one.role, start_ms, end_ms, text, redacted.text, one.hypothesis.confidence, words))
    return told


def _redact(redactor: Redactor, text: str, role: Role) -> Redacted:
    try:
        return redactor.redact(text, role)
    except Exception as error:
        # As in a live call: the one wrong answer is the text itself, and an exception's message may quote it.
        logger.error("redaction failed (%s), an utterance is masked entirely", type(error).__name__)
        return Redacted(mask_all(text))
