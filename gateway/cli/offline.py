"""A recording through the stages of a live call, as fast as the cores allow.

The audio takes the live way piece by piece: μ-law, the tracks' media clock, voice activity of both tracks in one batch,
endpointing. What is decoded, and in which order it is redacted, is therefore what the gateway would do with the call.
Only the recognizer works otherwise: nobody waits for an utterance, so utterances of like length share a batch, on
all cores, while the next ones are being found.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from gateway._native import mulaw, track
from gateway.config import EndpointSettings, Settings, VadSettings
from gateway.delivery.delivery import mask as mask_all
from gateway.participants import Role
from gateway.speech.engine import Engine, Hypothesis, Job, Kind, Pcm, VoiceActivity
from gateway.speech.track import Segment, SpeechTrack
from gateway.text.redaction import Redactor

__all__ = ["Found", "Progress", "Transcription", "Utterance", "batches", "listen", "transcribe"]

logger = logging.getLogger(__name__)

PIECE_MS = 20
"""Audio of one of Twilio's messages."""

_SAMPLES_PER_MS = 8

# Utterances among which like lengths are sought: enough to fill batches, few enough to give the cores work early on
# (about five minutes of a call).
_WINDOW = 64

# Audio of a batch, padding counted. Small enough that a call of a minute keeps every core at work.
_BATCH_AUDIO_MS = 32_000

Progress = Callable[[int], None]
"""Told how many ms of the recording are worked through; never less than before."""


@dataclass(frozen=True, slots=True)
class Found:
    """An utterance's audio, and who speaks."""

    role: Role
    segment: Segment

    @property
    def duration_ms(self) -> int:
        """Audio that is decoded, pre-roll and post-roll included."""
        return len(self.segment.pcm) // _SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class Utterance:
    """A transcript. Offsets are ms from the recording's first sample; ``text`` is as recognised."""

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
    """Transcribe a recording; blocking, on ``asr.threads`` worker threads (unset: one a core).

    Args:
        tracks: linear PCM of each participant, 8 kHz; they begin together.
        voice: the voice activity model; no one else may be judging with it.
        engine: the recognizer.
        settings: of the recognizer, voice activity and endpointing.
        progress: called from this thread, about once a second of audio and whenever a batch is done.
    """
    duration_ms = max((len(pcm) for pcm in tracks.values()), default=0) // _SAMPLES_PER_MS
    places: list[_Place] = []
    threads = settings.asr.threads or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads, thread_name_prefix="decode") as pool:
        work = _Work(engine, pool, settings.asr.max_batch, len(tracks), progress)
        try:
            for one in listen(tracks, voice, settings.vad, settings.endpoint, work.listened):
                places.append(_Place(one.role, one.segment.start, one.segment.end))
                work.add(one)
            hypotheses = work.finish(duration_ms)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Transcription(duration_ms, tuple(_redacted(places, hypotheses)), hypotheses.count(None))


@dataclass(slots=True)
class _Line:
    """One participant's audio on its way through the stage."""

    role: Role
    ulaw: bytes
    media: track.Track
    speech: SpeechTrack

    def place(self, at_ms: int) -> None:
        """The next message, if there is one; it arrives when it is spoken."""
        at = at_ms * _SAMPLES_PER_MS
        if payload := self.ulaw[at : at + PIECE_MS * _SAMPLES_PER_MS]:
            self.media.place(at_ms, payload, at_ms)


def listen(
    tracks: Mapping[Role, Pcm],
    voice: VoiceActivity,
    vad: VadSettings,
    endpoint: EndpointSettings,
    listened: Progress | None = None,
) -> Iterator[Found]:
    """The utterances of a recording in the order of their endpoints; of two at once the first track's comes first.

    Args:
        tracks: linear PCM of each participant, 8 kHz; they begin together.
        voice: the voice activity model.
        vad: its thresholds.
        endpoint: when an utterance begins and ends.
        listened: told once a second of audio how far it is.
    """
    lines: list[_Line] = []
    try:
        for role, pcm in tracks.items():
            media = track.Track()
            media.open_gate()
            lines.append(_Line(role, mulaw.encode(pcm), media, SpeechTrack(media, vad, endpoint, voice.acquire())))
        duration_ms = max((len(line.ulaw) for line in lines), default=0) / _SAMPLES_PER_MS
        at_ms = 0
        while at_ms < duration_ms:
            for line in lines:
                line.place(at_ms)
            yield from _pass(lines, voice, at_ms)
            at_ms += PIECE_MS
            if listened is not None and at_ms % 1000 == 0:
                listened(at_ms)
        for line in lines:
            line.speech.finishing = True
        while waiting := [line for line in lines if not line.speech.finished]:
            yield from _pass(waiting, voice, at_ms)
    finally:
        for line in lines:
            voice.release(line.speech.slot)


def _pass(lines: Sequence[_Line], voice: VoiceActivity, now_ms: int) -> Iterator[Found]:
    """Take and judge what waits: a frame of each track at the most, because a piece is shorter than a frame."""
    taken = [(line, *handed) for line in lines if (handed := line.speech.take(now_ms)) is not None]
    judged = [np.zeros(len(frames), np.float32) for _, frames, _ in taken]
    asked = [row for row, (_, _, mask) in enumerate(taken) if mask.any()]
    if asked:
        slots = np.array([taken[row][0].speech.slot for row in asked], np.int64)
        probabilities = voice.judge(slots, np.concatenate([taken[row][1] for row in asked]))
        for row, probability in zip(asked, probabilities, strict=True):
            judged[row][:] = probability
    for (line, _, _), probabilities in zip(taken, judged, strict=True):
        for found in line.speech.judge(probabilities):
            if isinstance(found, Segment):
                yield Found(line.role, found)
        if line.speech.jumped:
            line.speech.jumped = False
            voice.reset(line.speech.slot)


@dataclass(slots=True)
class _Work:
    """Decodes under way. Everything but the engine runs on the caller's thread."""

    engine: Engine
    pool: ThreadPoolExecutor
    max_batch: int
    tracks: int
    progress: Progress | None
    _window: list[tuple[int, Found]] = field(default_factory=list)
    _running: dict[Future[list[Hypothesis | None]], list[tuple[int, Found]]] = field(default_factory=dict)
    _texts: dict[int, Hypothesis | None] = field(default_factory=dict)
    _count: int = 0
    _listened_ms: int = 0
    _shown_ms: int = 0

    def add(self, one: Found) -> None:
        """Take an utterance; it is decoded when there is enough to choose from."""
        self._window.append((self._count, one))
        self._count += 1
        if len(self._window) == _WINDOW:
            self._submit()

    def listened(self, at_ms: int) -> None:
        """Voice activity has come so far."""
        self._listened_ms = at_ms
        for future in [future for future in self._running if future.done()]:
            self._collect(future)
        self._show()

    def finish(self, duration_ms: int) -> list[Hypothesis | None]:
        """Decode what is left; the hypotheses in the order of :meth:`add`, None for what could not be decoded."""
        self._submit()
        self._listened_ms = duration_ms
        # In the order of submission, which is about that of completion.
        for future in list(self._running):
            self._collect(future)
            self._show()
        return [self._texts[index] for index in range(self._count)]

    def _submit(self) -> None:
        for batch in batches(self._window, self.max_batch):
            self._running[self.pool.submit(_decode, self.engine, [one for _, one in batch])] = batch
        self._window = []

    def _collect(self, future: Future[list[Hypothesis | None]]) -> None:
        results = future.result()
        for (index, _), hypothesis in zip(self._running.pop(future), results, strict=True):
            self._texts[index] = hypothesis

    def _show(self) -> None:
        if self.progress is None:
            return
        unread = sum(one.duration_ms for batch in (self._window, *self._running.values()) for _, one in batch)
        self._shown_ms = max(self._shown_ms, self._listened_ms - unread // self.tracks)
        self.progress(self._shown_ms)


def batches(window: Sequence[tuple[int, Found]], most: int) -> list[list[tuple[int, Found]]]:
    """Utterances of like length together, the longest first, so that no core ends with the longest alone."""
    result: list[list[tuple[int, Found]]] = []
    for item in sorted(window, key=lambda item: -item[1].duration_ms):
        # The first of a batch is its longest, and every row costs as much.
        if (
            result
            and len(result[-1]) < most
            and result[-1][0][1].duration_ms * (len(result[-1]) + 1) <= _BATCH_AUDIO_MS
        ):
            result[-1].append(item)
        else:
            result.append([item])
    return result


def _decode(engine: Engine, batch: Sequence[Found]) -> list[Hypothesis | None]:
    """Decode a batch; if it fails, its utterances one by one, so that a bad one fails alone. On a worker thread."""
    jobs = []
    for one in batch:
        session = engine.open()
        session.accept(one.segment.pcm)
        jobs.append(Job(session, Kind.FINAL))
    try:
        return list(engine.step(jobs))
    except Exception as error:
        if len(batch) > 1:
            return [hypothesis for one in batch for hypothesis in _decode(engine, [one])]
        # The message may hold what was said; its type does not.
        logger.error("an utterance of %d ms could not be decoded (%s)", batch[0].duration_ms, type(error).__name__)
        return [None]


@dataclass(frozen=True, slots=True)
class _Place:
    """What is kept of an utterance until it has its text: not its audio. Samples from the recording's first one."""

    role: Role
    start: int
    end: int


def _redacted(places: Sequence[_Place], hypotheses: Sequence[Hypothesis | None]) -> Iterator[Utterance]:
    """Redaction in the order of the endpoints over both speakers: what one asks for, the other answers."""
    redactor = Redactor()
    for one, hypothesis in zip(places, hypotheses, strict=True):
        if hypothesis is None or not hypothesis.text.strip():
            continue
        start_ms = one.start // _SAMPLES_PER_MS
        end_ms = max(start_ms + 1, one.end // _SAMPLES_PER_MS)
        text = hypothesis.text
        yield Utterance(one.role, start_ms, end_ms, text, _redact(redactor, text, one.role), hypothesis.confidence)


def _redact(redactor: Redactor, text: str, role: Role) -> str:
    try:
        return redactor.redact(text, role)
    except Exception as error:
        # As in a live call: the one wrong answer is the text itself, and an exception's message may quote it.
        logger.error("redaction failed (%s), an utterance is masked entirely", type(error).__name__)
        return mask_all(text)
