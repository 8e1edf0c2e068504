"""One participant of a recording through the stages of a live call, piece by piece: utterances, and what they say.

What a live call's stage does (:mod:`gateway.speech.stage`) is done here in the same order, but nobody has to wait.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from gateway._native import mulaw, track
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import (
    PLAIN,
    DecodeOptions,
    Engine,
    Hypothesis,
    Job,
    Kind,
    Pcm,
    Recalling,
    Session,
    Ulaw,
    VoiceActivity,
)
from gateway.speech.guards import guard
from gateway.speech.memory import Memory
from gateway.speech.sentence import read
from gateway.speech.track import Ending, Pause, Resumption, Segment, SpeechTrack
from gateway.speech.track import Found as Shown

__all__ = ["BLOCK_MS", "PIECE_MS", "Audio", "Found", "Progress", "blocks", "listen"]

logger = logging.getLogger(__name__)

PIECE_MS = 20
"""Audio of one of Twilio's messages."""

BLOCK_MS = 640
"""Audio that is worked through at once: frames follow each other without the media between them."""

_SAMPLES_PER_MS = 8
_PIECE = PIECE_MS * _SAMPLES_PER_MS
_BLOCK = BLOCK_MS * _SAMPLES_PER_MS

Audio = Pcm | Iterable[Pcm]
"""Linear PCM of one participant, 8 kHz: all of it, or pieces of any length as they are read."""

Progress = Callable[[int], None]
"""Told how many ms of the recording are worked through; never less than before."""


@dataclass(frozen=True, slots=True)
class Found:
    """An utterance's audio, and what was understood; None if the engine could not decode it."""

    segment: Segment
    hypothesis: Hypothesis | None


def blocks(audio: Audio) -> Iterator[Pcm]:
    """The audio in blocks of ``BLOCK_MS``; the last one may be shorter."""
    rest = np.zeros(0, np.int16)
    for part in (audio,) if isinstance(audio, np.ndarray) else audio:
        rest = np.concatenate((rest, part))
        whole = len(rest) - len(rest) % _BLOCK
        for at in range(0, whole, _BLOCK):
            yield rest[at : at + _BLOCK]
        rest = rest[whole:]
    if len(rest):
        yield rest


def listen(
    audio: Audio,
    voice: VoiceActivity,
    engine: Engine,
    vad: VadSettings,
    endpoint: EndpointSettings,
    listened: Progress | None = None,
    options: DecodeOptions = PLAIN,
) -> Iterator[Found]:
    """One participant's utterances in the order of their endpoints.

    Args:
        audio: what the participant says.
        voice: the voice activity model.
        engine: the recognizer.
        vad: thresholds of voice activity.
        endpoint: when an utterance begins and ends.
        listened: told after every block how far it is.
        options: what the decodes are asked for.
    """
    media = track.Track()
    media.open_gate()
    slot = voice.acquire()
    samples = 0
    try:
        line = _Line(SpeechTrack(media, vad, endpoint, slot), voice, engine, Memory(options))
        for block in blocks(audio):
            ulaw = mulaw.encode(block)
            block_ms = samples // _SAMPLES_PER_MS
            for at in range(0, len(ulaw), _PIECE):
                at_ms = block_ms + at // _SAMPLES_PER_MS
                # It arrives when it is spoken.
                media.place(at_ms, ulaw[at : at + _PIECE], at_ms)
            samples += len(ulaw)
            yield from line.work(block_ms)
            if listened is not None:
                listened(block_ms + BLOCK_MS)
        line.speech.finishing = True
        duration_ms = -(-samples // _SAMPLES_PER_MS)
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
    memory: Memory
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
                self.guess = self._heard(one.ulaw, Kind.SPECULATIVE)
                verdict = read(self.guess.first, quiet=one.quiet, languages=self.engine.languages)
                yield from self._hear(self.speech.advise(one.number, verdict))
            elif isinstance(one, Resumption):
                self.guess = None
            else:
                # The guess before a cut was of another piece, and one that failed is tried again on all of it.
                guess, self.guess = self.guess, None
                if guess is None or guess.first is None or one.ending is Ending.CUT:
                    guess = self._heard(one.ulaw, Kind.FINAL)
                yield self._found(one, self._surer(guess))

    def _heard(self, ulaw: Ulaw, kind: Kind) -> _Heard:
        session = self.memory.read(self.engine, ulaw)
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
