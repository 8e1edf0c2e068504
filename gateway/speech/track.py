"""One open track: PCM in 32 ms frames, its endpointer, and the audio of the utterance that is open.

Sans-I/O: :meth:`SpeechTrack.take` hands out frames, :meth:`SpeechTrack.judge` takes their speech probabilities back in
the same order and yields what they show. A :class:`Pause` is a question: what does the text so far say about the
sentence? :meth:`SpeechTrack.advise` answers it. Until then the frames that the answer could decide about are held, so
that a recording ends its utterances where a live call does, however long the answer takes.

Positions are samples of stream time, so that offsets survive gaps.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from gateway import metrics
from gateway._native import endpoint, level, mulaw
from gateway.config import EndpointSettings, VadSettings
from gateway.speech.engine import Pcm
from gateway.speech.guards import SpeechEvidence
from gateway.speech.kept import Kept, Stretch
from gateway.speech.patience import FRAME_MS, Patience
from gateway.speech.sentence import Verdict

if TYPE_CHECKING:
    from gateway._native.track_py import Track as TrackMedia

__all__ = ["FRAME", "FRAME_MS", "Ending", "Found", "Pause", "Resumption", "Segment", "SpeechTrack"]

FRAME = 256
"""Samples in a frame: what Silero judges at 8 kHz."""

MAX_FRAMES_A_PASS = 64
"""Two seconds: a track that has fallen behind must not hold up the others' batch."""

GATE_HOLD_FRAMES = 31
"""Quiet frames (1 s) that the model still judges: shorter pauses are its business (benchmarks/bench_vad.py)."""

QUIET_DB = 30.0
"""A line is quiet whose noise is so far below the voice. Telephone speech as it comes: 31 dB and more in 95 of 100
utterances; with noise at 15 dB of signal to noise: 22 dB at the most."""

LATE_MEDIA_MS = 100
"""Beyond the endpoint silence, how long missing media are waited for before they count as silence."""


class Ending(StrEnum):
    """Why an utterance ended; the label of ``gateway_utterances_total``."""

    SILENCE = "silence"
    CUT = "cut"  # it reached the longest an utterance may be
    JUMP = "jump"  # a gap in the media too long to fill
    MISSING = "missing"  # silence that was not sent
    FINISH = "finish"  # stop request or hang-up


@dataclass(frozen=True, slots=True)
class Segment:
    """An utterance's audio and place.

    ``start`` and ``end`` are the audible speech, in samples of stream time; ``ulaw`` reaches beyond it on both sides
    (pre-roll and post-roll) so that no word is cut, and begins at ``pcm_start``. It stays as it came and where the
    track kept it, since it may have to wait for the recognizer. ``decided`` is how far had been heard when it was found
    to be over; ``speech`` is what voice activity knows of it.
    """

    start: int
    end: int
    ulaw: Stretch
    ending: Ending
    decided: int = 0
    speech: SpeechEvidence | None = None
    pcm_start: int = 0

    @property
    def pcm(self) -> Pcm:
        """Its audio, shape ``(samples,)``; decoded each time."""
        return mulaw.decode(bytes(self.ulaw))

    @property
    def speech_ms(self) -> int:
        """The length of the audible speech."""
        return (self.end - self.start) * FRAME_MS // FRAME


@dataclass(frozen=True, slots=True)
class Pause:
    """The speaker has paused: ``ulaw`` is the open utterance, which may well be all of it.

    ``number`` tells the track's pauses apart; it goes back to :meth:`SpeechTrack.advise`. ``quiet`` tells whether the
    voice stands well out of the line's noise.
    """

    number: int
    ulaw: Stretch
    quiet: bool

    @property
    def pcm(self) -> Pcm:
        """Its audio, shape ``(samples,)``; decoded each time."""
        return mulaw.decode(bytes(self.ulaw))


@dataclass(frozen=True, slots=True)
class Resumption:
    """The speaker goes on: the pause was none of the endpoint's."""


Found = Segment | Pause | Resumption


@dataclass(slots=True)
class _Batch:
    """Frames handed out and not judged yet; ``closing`` ends the utterance behind them."""

    levels: list[float]
    closing: Ending | None


class SpeechTrack:
    """Voice activity and endpointing of one open track."""

    def __init__(self, media: TrackMedia, vad: VadSettings, settings: EndpointSettings, slot: int) -> None:
        self.media = media
        # Row of the voice activity model's state.
        self.slot = slot
        self.finishing = False
        self.finished = False
        self._gate = level.LevelGate(vad.gate_dbfs, GATE_HOLD_FRAMES)
        self._patience = Patience.of(settings)
        self._endpointer = endpoint.Endpointer(
            threshold=vad.threshold,
            release=vad.release,
            min_speech_frames=max(1, settings.min_speech_ms // FRAME_MS),
            pause_frames=self._patience.pause,
            silence_frames=self._patience.usual,
            pre_roll_frames=settings.pre_roll_ms // FRAME_MS,
            post_roll_frames=settings.post_roll_ms // FRAME_MS,
            max_frames=settings.max_utterance_ms // FRAME_MS,
        )
        # The pause that the utterance is in, and what its text says. Frames are held while that is `_asked`.
        self._pauses = 0
        self._asked = False
        self._verdict = Verdict.OPEN
        self._tail = 0
        self._held: deque[tuple[float, float]] = deque()
        # Audio that an utterance may still need, as the μ-law it came as: half the memory. Begins at `_kept_from`.
        self._kept = Kept()
        self._kept_from = 0
        # What was judged of it: of each frame that the endpointer had, the probability and the level.
        self._threshold = vad.threshold
        self._probabilities = array("f")
        self._levels = array("f")
        # A gap in the media was jumped over: the voice activity model has to forget what was before it.
        self.jumped = False
        self._dropped = media.dropped_samples
        # Stream position of frame 0.
        self._origin = media.read_position
        self._batch: _Batch | None = None

    def take(self, now_ms: int) -> tuple[Pcm, list[bool]] | None:
        """The frames that wait, and which of them the voice activity model has to judge.

        Returns:
            Frames of shape ``(n, 256)`` and a mask of n; None when there is nothing to do. A mask of False is a frame
            in a long quiet: silence without asking the model.
        """
        media = self.media
        if len(self._held) >= MAX_FRAMES_A_PASS:
            return None
        if self._endpointer.frame == 0:
            # Only now: a track that was opened before its first media learns from them where it begins.
            self._origin = media.read_position
        frames = min(media.available() // FRAME, MAX_FRAMES_A_PASS)
        pcm = media.read(frames * FRAME).reshape(frames, FRAME) if frames else np.empty((0, FRAME), np.int16)
        closing = self._closing(now_ms)
        if closing is not None and (rest := media.available()):
            last = np.zeros((1, FRAME), np.int16)
            last[0, :rest] = media.read(rest)
            pcm = np.concatenate([pcm, last])
        if not len(pcm) and closing is None:
            return None
        if media.dropped_samples != self._dropped:
            metrics.AUDIO_DROPPED.inc(media.dropped_samples - self._dropped)
            self._dropped = media.dropped_samples
        levels, asked = self._gate.look(pcm)
        self._batch = _Batch(levels, closing)
        self._kept.append(mulaw.encode(pcm.ravel()))
        return pcm, asked

    def _closing(self, now_ms: int) -> Ending | None:
        """Whether the utterance ends behind what can be read now, whatever the frames say."""
        media = self.media
        if media.available() >= FRAME:
            return None
        if media.jump_queued:
            return Ending.JUMP
        if self.finishing:
            return Ending.FINISH
        # The cheap question first: of a track with media it is all that is asked, at every pass.
        late_ms = now_ms - media.last_media_ms - LATE_MEDIA_MS
        if late_ms > 0 and media.last_media_ms and self._endpointer.open:
            return Ending.MISSING if late_ms > self._enough(self._verdict) * FRAME_MS else None
        return None

    def judge(self, probabilities: Iterable[float]) -> Iterator[Found]:
        """Take the probabilities of the frames that :meth:`take` handed out; yield what they show, in order."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        self._held.extend(zip(probabilities, batch.levels, strict=True))
        yield from self._push()
        if batch.closing is not None:
            # Nobody waits for an answer any more.
            while self._held:
                self._asked = False
                yield from self._push()
            yield from self._close(batch.closing)

    def advise(self, pause: int, verdict: Verdict) -> Iterator[Found]:
        """What the text of a pause says, ``OPEN`` if there is none; yield what the frames held for it show.

        An answer that comes when the speaker already goes on is ignored, and so is a second one.
        """
        if pause == self._pauses and self._asked:
            self._asked, self._verdict = False, verdict
            yield from self._push()

    @property
    def waiting(self) -> bool:
        """Whether frames are held for the answer to a pause."""
        return self._asked and bool(self._held)

    def _push(self) -> Iterator[Found]:
        """Give the endpointer the frames that it may have; what they show."""
        machine = self._endpointer
        while self._held and not self._decisive():
            if machine.silence_run and machine.open:
                machine.silence_frames = self._enough(self._verdict)
            probability, level_db = self._held.popleft()
            self._probabilities.append(probability)
            self._levels.append(level_db)
            events = machine.push(probability, level_db)
            if events & (endpoint.RESUMED | endpoint.ENDED | endpoint.CUT):
                self._asked, self._verdict = False, Verdict.OPEN
            if events & endpoint.RESUMED:
                yield Resumption()
            if events & endpoint.CUT:
                yield self._segment(machine.start_frame, machine.cut_frame, Ending.CUT)
            if events & endpoint.TENTATIVE and not events & (endpoint.ENDED | endpoint.CUT):
                self._pauses += 1
                self._asked, self._tail = True, machine.tail_frames
                quiet = machine.prominence_db >= QUIET_DB
                yield Pause(self._pauses, self._ulaw(machine.start_frame, machine.frame), quiet)
            if events & endpoint.ENDED:
                yield self._segment(machine.start_frame, machine.end_frame, Ending.SILENCE)
        self._drop_before(machine.keep_frame)

    def _decisive(self) -> bool:
        """Whether the next frame could end the utterance if its text were complete, which is not known yet."""
        return self._asked and self._endpointer.silence_run + 1 >= self._enough(Verdict.COMPLETE)

    def _enough(self, verdict: Verdict) -> int:
        machine = self._endpointer
        return self._patience.frames(verdict, machine.frame - machine.start_frame, self._tail)

    def _close(self, reason: Ending) -> Iterator[Segment]:
        machine = self._endpointer
        if machine.flush() & endpoint.ENDED:
            yield self._segment(machine.start_frame, machine.end_frame, reason)
        if self.media.jump_pending:
            self.media.take_jump()
            self.jumped = True
        elif reason is Ending.FINISH:
            self.finished = True
        machine.reset(0)
        machine.silence_frames = self._patience.usual
        self._asked, self._verdict = False, Verdict.OPEN
        self._gate.reset()
        self._kept.clear()
        del self._probabilities[:], self._levels[:]
        self._kept_from = 0
        self._origin = self.media.read_position

    def _drop_before(self, frame: int) -> None:
        if frame > self._kept_from:
            gone = frame - self._kept_from
            self._kept.drop(gone * FRAME)
            del self._probabilities[:gone], self._levels[:gone]
            self._kept_from = frame

    def _segment(self, start: int, end: int, ending: Ending) -> Segment:
        machine = self._endpointer
        if ending is Ending.CUT:
            speech_start, speech_end = max(start, machine.speech_start_frame), end
        else:
            speech_start, speech_end = machine.speech_start_frame, machine.speech_end_frame
        places = (speech_start, speech_end, machine.frame, max(start, self._kept_from))
        at = [self._origin + frame * FRAME for frame in places]
        return Segment(at[0], at[1], self._ulaw(start, end), ending, at[2], self._evidence(start, end), at[3])

    def _evidence(self, start: int, end: int) -> SpeechEvidence:
        frames = slice(max(0, start - self._kept_from), max(0, end - self._kept_from))
        return SpeechEvidence.of(self._probabilities[frames], self._levels[frames], self._threshold)

    def _ulaw(self, start: int, end: int) -> Stretch:
        """The audio of the frames ``start`` to ``end`` (exclusive), as far as it is kept."""
        first, last = max(0, start - self._kept_from), max(0, end - self._kept_from)
        return self._kept.read(first * FRAME, last * FRAME)

    @property
    def open(self) -> bool:
        """Whether an utterance is open."""
        return bool(self._endpointer.open)

    @property
    def spoken(self) -> tuple[int, int] | None:
        """The open utterance: the sample of stream time at which its speech begins, and its ms up to its latest speech.

        None while none is open, and between the cut of a long one and its next frame.
        """
        machine = self._endpointer
        if not machine.open or machine.cut_frame > machine.start_frame:
            return None
        start = max(machine.start_frame, machine.speech_start_frame)
        length = machine.frame - machine.silence_run - machine.start_frame
        return self._origin + start * FRAME, length * FRAME_MS

    def open_utterance(self) -> Stretch:
        """The audio of the open utterance up to its latest speech, μ-law."""
        machine = self._endpointer
        return self._ulaw(machine.start_frame, machine.frame - machine.silence_run)

    def evidence(self) -> SpeechEvidence:
        """What voice activity knows of the open utterance so far."""
        return self._evidence(self._endpointer.start_frame, self._endpointer.frame)
