"""When an utterance begins and ends; ``gateway/_native/endpoint_py.py`` specifies it, and says what the events mean."""

from libc.stdlib cimport calloc, free

cdef enum:
    E_STARTED = 1
    E_TENTATIVE = 2
    E_RESUMED = 4
    E_ENDED = 8
    E_CUT = 16

STARTED = E_STARTED
TENTATIVE = E_TENTATIVE
RESUMED = E_RESUMED
ENDED = E_ENDED
CUT = E_CUT

cdef enum:
    ONSET_FRAMES = 8
    GAP_FRAMES = 2
    BORDER_FRAMES = 6
    TAIL_FRAMES = 8
    PEAK_FRAMES = 62
    # No count of frames needs more; the sums of two of them stay far from overflow.
    MOST_FRAMES = 1000000

cdef double BUCKETS = 16.0
cdef double SILENCE_DB = -96.0
cdef double ONSET_OVER_FLOOR_DB = 8.0
cdef double ONSET_BELOW_PEAK_DB = 25.0
cdef double TAIL_OVER_FLOOR_DB = 6.0
cdef double TAIL_BELOW_PEAK_DB = 30.0
cdef double FLOOR_DOWN = 0.5
cdef double FLOOR_UP = 0.05
cdef double DIGITAL_SILENCE_DB = -90.0


cdef inline long long at_least(long long value, long long least) noexcept nogil:
    return value if value > least else least


cdef inline long long at_most(long long value, long long most) noexcept nogil:
    return value if value < most else most


cdef class Endpointer:
    """Turns a probability of speech and a level, frame by frame, into utterances."""

    # Settings.
    cdef double _threshold
    cdef double _release
    cdef long long _min_speech
    cdef long long _silence
    cdef long long _pause
    cdef long long _pre
    cdef long long _post
    cdef long long _max
    cdef long long _window
    cdef long long _size
    # The last `_size` frames, by frame number modulo `_size`: one allocation, `_probabilities` owns it.
    cdef double* _probabilities
    cdef double* _levels
    cdef unsigned char* _flags
    # State; names as in the specification.
    cdef long long _origin
    cdef long long _open_start
    cdef long long _open_speech
    cdef long long _last_speech
    cdef long long _flags_left
    cdef long long _count
    cdef long long _onset
    cdef long long _murmur
    cdef double _floor
    cdef bint _open
    cdef bint _voiced
    cdef bint _pending
    cdef bint _tentative
    # What is told.
    cdef readonly long long frame
    cdef readonly long long start_frame
    cdef readonly long long end_frame
    cdef readonly long long cut_frame
    cdef readonly long long speech_start_frame
    cdef readonly long long speech_end_frame
    cdef readonly long long silence_run

    def __cinit__(
        self,
        double threshold,
        double release,
        long long min_speech_frames,
        long long pause_frames,
        long long silence_frames,
        long long pre_roll_frames,
        long long post_roll_frames,
        long long max_frames,
    ):
        if not 0.0 < release <= threshold <= 1.0:
            raise ValueError("0 < release <= threshold <= 1 is needed")
        if not 1 <= min_speech_frames <= 1000 or pre_roll_frames < 0 or post_roll_frames < 0:
            raise ValueError("min_speech_frames must be 1 to 1000, the rolls at least 0")
        if pause_frames < 1 or silence_frames < 1:
            raise ValueError("pause_frames and silence_frames must be at least 1")
        if not 2 <= max_frames <= MOST_FRAMES:
            raise ValueError("max_frames must be 2 to 1,000,000")
        self._threshold = threshold
        self._release = release
        self._min_speech = min_speech_frames
        self._silence = silence_frames
        self._pause = pause_frames
        self._pre = at_most(pre_roll_frames, MOST_FRAMES)
        self._post = at_most(post_roll_frames, MOST_FRAMES)
        self._max = max_frames
        self._window = at_least(1, max_frames * 2 // 5)
        self._size = at_least(
            self._window + 2, (GAP_FRAMES + 1) * min_speech_frames + ONSET_FRAMES + BORDER_FRAMES
        )
        self._probabilities = <double*>calloc(<size_t>self._size, 2 * sizeof(double) + 1)
        if self._probabilities == NULL:
            raise MemoryError
        self._levels = self._probabilities + self._size
        self._flags = <unsigned char*>(self._levels + self._size)
        self._reset(0)

    def __dealloc__(self):
        free(self._probabilities)

    def reset(self, long long frame=0):
        """Forget everything; the next pushed frame is ``frame``."""
        if frame < 0:
            raise ValueError("frame must not be negative")
        self._reset(frame)

    def push(self, double probability, double level_db):
        """Take the next frame; the mask of its events."""
        return self.advance(probability, level_db)

    def flush(self):
        """End of the track, or a jump in it: ``ENDED`` or 0."""
        return self.finish()

    @property
    def open(self):
        """Whether an utterance is open."""
        return self._open

    @property
    def in_speech(self):
        """Whether the last frame is taken for speech, or for what may become speech."""
        return self._voiced

    @property
    def silence_frames(self):
        """Silence that ends an utterance, in frames."""
        return self._silence

    @silence_frames.setter
    def silence_frames(self, long long value):
        if value < 1:
            raise ValueError("silence_frames must be at least 1")
        self._silence = value

    @property
    def tail_frames(self):
        """Frames at the end of the last speech that are speech to the model but not to the ear."""
        cdef long long frame = self._last_speech
        cdef long long lowest
        cdef double least
        if not self._open:
            return 0
        least = self._peak() - TAIL_BELOW_PEAK_DB
        lowest = at_least(self._open_speech, frame - TAIL_FRAMES)
        while frame > lowest and self._levels[frame % self._size] < least:
            frame -= 1
        return self._last_speech - frame

    @property
    def prominence_db(self):
        """How far the loudest of the last 2 s of open speech stands out of the line's noise; 0 when idle."""
        return self._peak() - self._floor if self._open else 0.0

    @property
    def keep_frame(self):
        """The earliest frame that the open or any later utterance may begin with."""
        if self._open:
            return self._open_start
        cdef long long onset = self._onset if self._count else self._murmur_onset(self.frame)
        return self._start_for(onset - BORDER_FRAMES, self.frame)

    cdef void _reset(self, long long frame) noexcept nogil:
        cdef long long slot
        self.frame = self._origin = frame
        self.start_frame = self.end_frame = self.cut_frame = frame
        self.speech_start_frame = self.speech_end_frame = frame
        self._open_start = self._open_speech = self._last_speech = self._flags_left = frame
        self._open = False
        self._floor = SILENCE_DB
        self._forget()
        for slot in range(self._size):
            self._probabilities[slot] = 0.0
            self._levels[slot] = SILENCE_DB
            self._flags[slot] = 0

    cdef int advance(self, double probability, double level_db) noexcept nogil:
        cdef long long now = self.frame
        cdef bint voiced
        # Written so that NaN counts as 0 and as silence.
        if not probability >= 0.0:
            probability = 0.0
        elif probability > 1.0:
            probability = 1.0
        if not level_db >= SILENCE_DB:
            level_db = SILENCE_DB
        self.frame = now + 1
        if self._open:
            self.start_frame = self._open_start
            self.speech_start_frame = self._open_speech
        voiced = probability >= (self._release if self._voiced else self._threshold)
        self._voiced = voiced
        if probability < self._release:
            self._murmur = -1
            if level_db > DIGITAL_SILENCE_DB and (not self._open or self.silence_run >= GAP_FRAMES):
                self._follow_floor(level_db)
        elif self._murmur < 0:
            self._murmur = now
        self._remember(now, probability, level_db)
        return self._push_open(now, voiced) if self._open else self._push_idle(now, voiced)

    cdef int finish(self) noexcept nogil:
        cdef int events = 0
        if self._open:
            self.start_frame = self._open_start
            self.speech_start_frame = self._open_speech
            if self._pending:
                self._last_speech = self.frame - 1
            events = self._close()
        self._forget()
        return events

    cdef int _push_idle(self, long long now, bint voiced) noexcept nogil:
        cdef long long onset
        if not voiced:
            self.silence_run += 1
            if self.silence_run > GAP_FRAMES:
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
        self._open_speech = self.speech_start_frame = at_least(onset, self._open_start)
        self._last_speech = self._flags_left = now
        self._flags[now % self._size] = 1
        return E_STARTED

    cdef int _push_open(self, long long now, bint voiced) noexcept nogil:
        cdef int events = 0
        cdef long long cut, following
        if voiced and (self.silence_run == 0 or self._pending or self._min_speech == 1):
            if self._pending:
                self._flags[(now - 1) % self._size] = 1
            if self._tentative:
                events = E_RESUMED
            self._tentative = self._pending = False
            self.silence_run = 0
            self._last_speech = now
            self._flags[now % self._size] = 1
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
                events = E_TENTATIVE
        if self.frame - self._open_start < self._max:
            return events
        cut = self._quietest()
        following = self._speech_from(cut)
        # Nothing but silence behind the quietest place: that is an end, not a cut.
        return self._close() if following < 0 else events | self._divide(cut, following)

    cdef int _close(self) noexcept nogil:
        self.speech_end_frame = self._audible_end()
        self.end_frame = self._origin = at_most(self._last_speech + 1 + self._post, self.frame)
        self._open = self._pending = self._tentative = False
        self._count = 0
        self.silence_run = 0
        return E_ENDED

    cdef int _divide(self, long long cut, long long following) noexcept nogil:
        cdef long long speech = self._flags_left
        cdef long long lowest = at_least(self._open_speech, self.frame - self._size)
        cdef long long frame = cut - 1
        while frame >= lowest:
            if self._flags[frame % self._size]:
                speech = frame
                break
            frame -= 1
        self.speech_end_frame = speech + 1
        self.cut_frame = self.end_frame = self._origin = self._open_start = cut
        self._open_speech = self._flags_left = following
        # The pause, if there is one, is tentative anew for the new utterance.
        self._tentative = False
        return E_CUT

    cdef void _forget(self) noexcept nogil:
        self._count = 0
        self._onset = self.frame
        self._murmur = -1
        self._voiced = self._pending = self._tentative = False
        self.silence_run = 0

    cdef void _remember(self, long long now, double probability, double level_db) noexcept nogil:
        cdef long long slot = now % self._size
        if self._flags[slot]:
            self._flags_left = at_least(self._flags_left, now - self._size)
        self._probabilities[slot] = probability
        self._levels[slot] = level_db
        self._flags[slot] = 0

    cdef void _follow_floor(self, double level_db) noexcept nogil:
        if self._floor <= SILENCE_DB:
            self._floor = level_db
        else:
            self._floor += (level_db - self._floor) * (FLOOR_DOWN if level_db < self._floor else FLOOR_UP)

    cdef long long _audible_onset(self, long long now) noexcept nogil:
        cdef double peak = SILENCE_DB
        cdef double least, below
        cdef long long lowest = at_least(self._origin, self._onset - BORDER_FRAMES)
        cdef long long frame
        for frame in range(self._onset, now + 1):
            if self._levels[frame % self._size] > peak:
                peak = self._levels[frame % self._size]
        least = self._floor + ONSET_OVER_FLOOR_DB
        below = peak - ONSET_BELOW_PEAK_DB
        if below > least:
            least = below
        frame = self._onset
        while frame > lowest and self._levels[(frame - 1) % self._size] >= least:
            frame -= 1
        return frame

    cdef double _peak(self) noexcept nogil:
        cdef long long frame = at_least(
            at_least(self._open_speech, self._last_speech - PEAK_FRAMES), self.frame - self._size
        )
        cdef double peak = self._levels[self._last_speech % self._size]
        while frame < self._last_speech:
            if self._levels[frame % self._size] > peak:
                peak = self._levels[frame % self._size]
            frame += 1
        return peak

    cdef long long _audible_end(self) noexcept nogil:
        cdef long long frame = self._last_speech
        cdef long long lowest
        if self._floor <= SILENCE_DB:
            return frame + 1
        lowest = at_least(at_least(self._open_speech, frame - BORDER_FRAMES), self.frame - self._size)
        while frame > lowest and self._levels[frame % self._size] < self._floor + TAIL_OVER_FLOOR_DB:
            frame -= 1
        return frame + 1

    cdef long long _murmur_onset(self, long long now) noexcept nogil:
        return at_least(self._murmur, now - ONSET_FRAMES) if self._murmur >= 0 else now

    cdef long long _start_for(self, long long onset, long long now) noexcept nogil:
        return at_least(self._origin, at_least(onset - self._pre, now + 1 - at_least(1, self._max // 2)))

    cdef long long _quietest(self) noexcept nogil:
        cdef long long newest = self.frame - 1
        cdef long long best = newest
        cdef long long frame, low, high, near, bucket
        cdef long long best_bucket = 1 << 30
        cdef double best_level = 0.0
        cdef double total, level
        frame = newest
        while frame > newest - self._window:
            low = at_least(frame - 2, self._open_start)
            high = at_most(frame + 2, newest)
            total = 0.0
            for near in range(low, high + 1):
                total += self._probabilities[near % self._size]
            bucket = <long long>(total / <double>(high - low + 1) * BUCKETS)
            level = self._levels[frame % self._size]
            if bucket < best_bucket or (bucket == best_bucket and level < best_level):
                best = frame
                best_bucket = bucket
                best_level = level
            frame -= 1
        return best

    cdef long long _speech_from(self, long long frame) noexcept nogil:
        cdef long long candidate
        for candidate in range(frame, self.frame):
            if self._flags[candidate % self._size]:
                return candidate
        return -1
