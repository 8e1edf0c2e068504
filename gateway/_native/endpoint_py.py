"""When an utterance begins and ends: the specification of the compiled kernel ``endpoint``.

Time is counted in frames of 32 ms (256 samples at 8 kHz, what the voice-activity model takes). The machine
does no I/O, reads no clock, and its memory does not grow: a long silence or monologue costs as much as a
short one.
"""

from __future__ import annotations

__all__ = ["CUT", "ENDED", "RESUMED", "STARTED", "TENTATIVE", "Endpointer"]

STARTED = 1
TENTATIVE = 2
RESUMED = 4
ENDED = 8
CUT = 16

# A weak onset, a fricative say, lies between release and threshold for up to a quarter of a second.
_ONSET_FRAMES = 8
# A plosive's closure, 64 ms, does not break up speech that is not confirmed yet.
_GAP_FRAMES = 2
# Probabilities closer than 1/16 are equal for the choice of a cut; the level decides between them.
_BUCKETS = 16.0
# The model hears a vowel within a frame, but a fricative or a burst before it up to 190 ms late, and it lets
# go of speech some 100 ms after it is over: the level corrects both, over this many frames at the most.
_BORDER_FRAMES = 6
# Before the onset, what stands out of the noise by 8 dB and is at most 25 dB below the onset is speech; in
# the tail, what stands out of it by less than 6 dB is not.
_ONSET_OVER_FLOOR_DB = 8.0
_ONSET_BELOW_PEAK_DB = 25.0
_TAIL_OVER_FLOOR_DB = 6.0
# Where the ear hears the end, for how long it has been silent. Labels made by energy (benchmarks/speech/energy.py) go
# by the speaker's level as well: a telephone's tail lies 35 dB below the voice and 25 above the noise.
_TAIL_BELOW_PEAK_DB = 30.0
_TAIL_FRAMES = 8
_PEAK_FRAMES = 62
# The noise floor follows down at once and up slowly (a time constant of 0.6 s); digital silence says nothing of it.
_FLOOR_DOWN = 0.5
_FLOOR_UP = 0.05
_DIGITAL_SILENCE_DB = -90.0
_SILENCE_DB = -96.0


class Endpointer:
    """Turns a probability of speech and a level, frame by frame, into utterances.

    An utterance is ``[start_frame, end_frame)``, speech with pre-roll and post-roll. Utterances never
    overlap, come in order, and are never longer than ``max_frames``.

    Args:
        threshold: probability from which a frame is speech.
        release: probability from which a frame after speech still is speech; at most ``threshold``.
        min_speech_frames: speech frames that open an utterance; closures of two frames may lie between.
            After a pause inside an utterance two speech frames in a row resume it; one alone is a click.
        pause_frames: silence that makes a pause.
        silence_frames: silence that ends an utterance; may be changed between two pushes, when the text
            already says that the sentence is complete, or is not.
        pre_roll_frames: frames kept before the first speech frame.
        post_roll_frames: frames kept after the last speech frame.
        max_frames: an utterance of this length is cut at its quietest place; at least 2.

    Raises:
        ValueError: an argument is out of its range.
    """

    frame: int
    start_frame: int
    end_frame: int
    cut_frame: int
    speech_start_frame: int
    speech_end_frame: int
    silence_run: int
    _voiced: bool
    _pending: bool
    _tentative: bool
    _floor: float

    def __init__(
        self,
        threshold: float,
        release: float,
        min_speech_frames: int,
        pause_frames: int,
        silence_frames: int,
        pre_roll_frames: int,
        post_roll_frames: int,
        max_frames: int,
    ) -> None:
        if not 0.0 < release <= threshold <= 1.0:
            msg = "0 < release <= threshold <= 1 is needed"
            raise ValueError(msg)
        if not 1 <= min_speech_frames <= 1000 or min(pre_roll_frames, post_roll_frames) < 0:
            msg = "min_speech_frames must be 1 to 1000, the rolls at least 0"
            raise ValueError(msg)
        if min(pause_frames, silence_frames) < 1:
            msg = "pause_frames and silence_frames must be at least 1"
            raise ValueError(msg)
        if not 2 <= max_frames <= 1_000_000:
            msg = "max_frames must be 2 to 1,000,000"
            raise ValueError(msg)
        self._threshold = float(threshold)
        self._release = float(release)
        self._min_speech = min_speech_frames
        self._silence = silence_frames
        self._pause = pause_frames
        self._pre = pre_roll_frames
        self._post = post_roll_frames
        self._max = max_frames
        # The cut is looked for in the last two fifths, and two frames more for smoothing; the borders of
        # speech in what comes before it is confirmed.
        self._window = max(1, max_frames * 2 // 5)
        unconfirmed = (_GAP_FRAMES + 1) * min_speech_frames
        self._size = max(self._window + 2, unconfirmed + _ONSET_FRAMES + _BORDER_FRAMES)
        self._probabilities = [0.0] * self._size
        self._levels = [_SILENCE_DB] * self._size
        self._flags = [False] * self._size
        self.reset(0)

    def reset(self, frame: int = 0) -> None:
        """Forget everything; the next pushed frame is ``frame``, and no utterance reaches behind it.

        Raises:
            ValueError: ``frame`` is negative.
        """
        if frame < 0:
            msg = "frame must not be negative"
            raise ValueError(msg)
        self.frame = self._origin = frame
        self.start_frame = self.end_frame = self.cut_frame = frame
        self.speech_start_frame = self.speech_end_frame = frame
        self._open_start = self._open_speech = self._last_speech = self._flags_left = frame
        self._open = False
        self._floor = _SILENCE_DB
        self._forget()
        for slot in range(self._size):
            self._probabilities[slot] = 0.0
            self._levels[slot] = _SILENCE_DB
            self._flags[slot] = False

    def push(self, probability: float, level_db: float) -> int:
        """Take the next frame.

        Args:
            probability: of speech, 0…1 (NaN counts as 0).
            level_db: level of the frame in dBFS (NaN counts as silence).

        Returns:
            Events of this frame, a mask; where several are set they happened in the order of their values.

            * ``STARTED`` 1: speech is confirmed; ``start_frame`` and ``speech_start_frame`` are set.
            * ``TENTATIVE`` 2: a pause, ``pause_frames`` long so far.
            * ``RESUMED`` 4: speech again after ``TENTATIVE``.
            * ``ENDED`` 8: the utterance ``[start_frame, end_frame)`` is complete, its speech is
              ``[speech_start_frame, speech_end_frame)``; the machine is idle.
            * ``CUT`` 16: the utterance ``[start_frame, cut_frame)`` is complete, because it reached
              ``max_frames``; ``end_frame`` equals ``cut_frame`` and the speech frames are those of the piece.
              The next one is open from ``cut_frame`` on; from the next push on ``start_frame`` and
              ``speech_start_frame`` are its own.
        """
        if not probability >= 0.0:
            probability = 0.0
        elif probability > 1.0:
            probability = 1.0
        if not level_db >= _SILENCE_DB:
            level_db = _SILENCE_DB
        now = self.frame
        self.frame = now + 1
        if self._open:
            self.start_frame = self._open_start
            self.speech_start_frame = self._open_speech
        voiced = probability >= (self._release if self._voiced else self._threshold)
        self._voiced = voiced
        if probability < self._release:
            self._murmur = -1
            if level_db > _DIGITAL_SILENCE_DB and (not self._open or self.silence_run >= _GAP_FRAMES):
                self._follow_floor(level_db)
        elif self._murmur < 0:
            self._murmur = now
        self._remember(now, probability, level_db)
        return self._push_open(now, voiced) if self._open else self._push_idle(now, voiced)

    def flush(self) -> int:
        """End of the track, or a jump in it.

        Returns:
            ``ENDED`` if an utterance was open (its frames are set as by :meth:`push`), else 0. Speech that is
            not confirmed is too short to hold a word and is dropped. The machine is idle.
        """
        events = 0
        if self._open:
            self.start_frame = self._open_start
            self.speech_start_frame = self._open_speech
            if self._pending:
                self._last_speech = self.frame - 1
            events = self._close()
        self._forget()
        return events

    @property
    def open(self) -> bool:
        """Whether an utterance is open."""
        return self._open

    @property
    def in_speech(self) -> bool:
        """Whether the last frame is taken for speech, or for what may become speech."""
        return self._voiced

    @property
    def silence_frames(self) -> int:
        """Silence that ends an utterance, in frames."""
        return self._silence

    @silence_frames.setter
    def silence_frames(self, value: int) -> None:
        if value < 1:
            msg = "silence_frames must be at least 1"
            raise ValueError(msg)
        self._silence = value

    @property
    def tail_frames(self) -> int:
        """Frames at the end of the last speech that are speech to the model but not to the ear (0…8).

        They lie 30 dB and more below the loudest of the last 2 s: breath, room, the telephone's own tail. A noisy line
        has none, because its noise is louder than that.
        """
        if not self._open:
            return 0
        least = self._peak() - _TAIL_BELOW_PEAK_DB
        frame = self._last_speech
        lowest = max(self._open_speech, frame - _TAIL_FRAMES)
        while frame > lowest and self._levels[frame % self._size] < least:
            frame -= 1
        return self._last_speech - frame

    @property
    def prominence_db(self) -> float:
        """How far the loudest of the last 2 s of open speech stands out of the line's noise; 0 when idle."""
        return self._peak() - self._floor if self._open else 0.0

    @property
    def keep_frame(self) -> int:
        """The earliest frame that the open or any later utterance may begin with; older audio may go."""
        if self._open:
            return self._open_start
        onset = self._onset if self._count else self._murmur_onset(self.frame)
        return self._start_for(onset - _BORDER_FRAMES, self.frame)

    def _push_idle(self, now: int, voiced: bool) -> int:
        if not voiced:
            self.silence_run += 1
            if self.silence_run > _GAP_FRAMES:
                self._count = 0
            return 0
        if self._count == 0:
            self._onset = self._murmur_onset(now)
        self._count += 1
        self.silence_run = 0
        if self._count < self._min_speech:
            return 0
        self._open = True
        onset = self._audible_onset(now)
        self._open_start = self.start_frame = self._start_for(onset, now)
        self._open_speech = self.speech_start_frame = max(onset, self._open_start)
        self._last_speech = self._flags_left = now
        self._flags[now % self._size] = True
        return STARTED

    def _push_open(self, now: int, voiced: bool) -> int:
        events = 0
        if voiced and (self.silence_run == 0 or self._pending or self._min_speech == 1):
            if self._pending:
                self._flags[(now - 1) % self._size] = True
            if self._tentative:
                events = RESUMED
            self._tentative = self._pending = False
            self.silence_run = 0
            self._last_speech = now
            self._flags[now % self._size] = True
        elif voiced:
            # Speech or a click: the next frame tells, and until then nothing ends.
            self._pending = True
            self.silence_run += 1
        else:
            self._pending = False
            self.silence_run += 1
            if self.silence_run >= self._silence:
                return self._close()
            if not self._tentative and self.silence_run >= self._pause:
                self._tentative = True
                events = TENTATIVE
        if self.frame - self._open_start < self._max:
            return events
        cut = self._quietest()
        following = self._speech_from(cut)
        # Nothing but silence behind the quietest place: that is an end, not a cut.
        return self._close() if following < 0 else events | self._divide(cut, following)

    def _close(self) -> int:
        self.speech_end_frame = self._audible_end()
        self.end_frame = self._origin = min(self._last_speech + 1 + self._post, self.frame)
        self._open = self._pending = self._tentative = False
        self._count = 0
        self.silence_run = 0
        return ENDED

    def _divide(self, cut: int, following: int) -> int:
        speech = self._flags_left
        for frame in range(cut - 1, max(self._open_speech, self.frame - self._size) - 1, -1):
            if self._flags[frame % self._size]:
                speech = frame
                break
        self.speech_end_frame = speech + 1
        self.cut_frame = self.end_frame = self._origin = self._open_start = cut
        self._open_speech = self._flags_left = following
        # The pause, if there is one, is tentative anew for the new utterance.
        self._tentative = False
        return CUT

    def _forget(self) -> None:
        """What the past says about the frames to come."""
        self._count = 0
        self._onset = self.frame
        self._murmur = -1
        self._voiced = self._pending = self._tentative = False
        self.silence_run = 0

    def _remember(self, now: int, probability: float, level_db: float) -> None:
        slot = now % self._size
        if self._flags[slot]:
            self._flags_left = max(self._flags_left, now - self._size)
        self._probabilities[slot] = probability
        self._levels[slot] = level_db
        self._flags[slot] = False

    def _follow_floor(self, level_db: float) -> None:
        if self._floor <= _SILENCE_DB:
            self._floor = level_db
        else:
            self._floor += (level_db - self._floor) * (_FLOOR_DOWN if level_db < self._floor else _FLOOR_UP)

    def _audible_onset(self, now: int) -> int:
        """The onset, moved back over what is loud enough to be its first consonant."""
        peak = _SILENCE_DB
        for frame in range(self._onset, now + 1):
            peak = max(peak, self._levels[frame % self._size])
        least = max(self._floor + _ONSET_OVER_FLOOR_DB, peak - _ONSET_BELOW_PEAK_DB)
        lowest = max(self._origin, self._onset - _BORDER_FRAMES)
        frame = self._onset
        while frame > lowest and self._levels[(frame - 1) % self._size] >= least:
            frame -= 1
        return frame

    def _peak(self) -> float:
        # After a silence longer than what is remembered, what has taken the place of the last speech.
        kept = min(self.frame - self._size, self._last_speech)
        first = max(self._open_speech, self._last_speech - _PEAK_FRAMES, kept)
        return max(self._levels[frame % self._size] for frame in range(first, self._last_speech + 1))

    def _audible_end(self) -> int:
        """Frame after the last one of the utterance that is speech to the model and to the ear."""
        frame = self._last_speech
        if self._floor <= _SILENCE_DB:
            return frame + 1
        lowest = max(self._open_speech, frame - _BORDER_FRAMES, self.frame - self._size)
        while frame > lowest and self._levels[frame % self._size] < self._floor + _TAIL_OVER_FLOOR_DB:
            frame -= 1
        return frame + 1

    def _murmur_onset(self, now: int) -> int:
        return max(self._murmur, now - _ONSET_FRAMES) if self._murmur >= 0 else now

    def _start_for(self, onset: int, now: int) -> int:
        # An utterance begins with half its length used up at most: a cut lies behind its first speech.
        return max(self._origin, onset - self._pre, now + 1 - max(1, self._max // 2))

    def _quietest(self) -> int:
        """Frame of the window with the least smoothed probability, then the least level, then the latest."""
        newest = self.frame - 1
        best = newest
        best_bucket = 1 << 30
        best_level = 0.0
        for frame in range(newest, newest - self._window, -1):
            low = max(frame - 2, self._open_start)
            high = min(frame + 2, newest)
            total = 0.0
            for near in range(low, high + 1):
                total += self._probabilities[near % self._size]
            bucket = int(total / (high - low + 1) * _BUCKETS)
            level = self._levels[frame % self._size]
            if bucket < best_bucket or (bucket == best_bucket and level < best_level):
                best, best_bucket, best_level = frame, bucket, level
        return best

    def _speech_from(self, frame: int) -> int:
        for candidate in range(frame, self.frame):
            if self._flags[candidate % self._size]:
                return candidate
        return -1
