"""One track of a stream, its media clock and PCM queue. The rules are in the twin's docstring, ``track_py``.

The clock (:func:`place_media`) runs without the GIL inside a plane's tick; all else belongs to the thread that ticks,
which is checked.
"""

cimport cython
cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from gateway._native.mulaw cimport add_sums, decode_into

from gateway.errors import InternalError

cnp.import_array()

__all__ = ["JITTER", "MAX_AHEAD", "MAX_FILL", "MAX_JUMPS", "MAX_TIMESTAMP_MS", "REANCHOR", "Track", "live"]

cdef enum:
    ANCHOR_WINDOW = 8000
    SEGMENTS = MAX_JUMPS + 1
    # 4 KiB: a quarter second, several ticks. A gated track has none.
    FIRST_ALLOCATION = 2048
    # Who empties the queue by so little has caught up.
    FEW = FIRST_ALLOCATION // 2

cdef long long _MAX_TIMESTAMP_MS = 999_999_999_999_999
cdef long long _MAX_POSITION = 1LL << 60
MAX_TIMESTAMP_MS = _MAX_TIMESTAMP_MS

# Ticks that run without the GIL just now, in any thread. Read and written with the GIL held only.
cdef int _ticking = 0


# Tracks that exist; with the GIL held only.
cdef Py_ssize_t _live = 0


def live():
    """Tracks that exist in this process, which the collector cannot tell: they are none of its objects."""
    return _live


cdef void enter_tick() noexcept:
    global _ticking
    _ticking += 1


cdef void leave_tick() noexcept:
    global _ticking
    _ticking -= 1


cdef int check_not_ticking() except -1:
    """Refuse to touch what a tick in another thread may be writing."""
    if _ticking:
        raise InternalError("tracks and readers belong to the thread that ticks, and a tick is running in another")
    return 0


cdef Segment* _segment(TrackState* track, int index) noexcept nogil:
    return &track.segments[(track.first_segment + index) % SEGMENTS]


cdef void _release(TrackState* track) noexcept nogil:
    free(track.ring)
    track.ring = NULL
    track.allocated = track.head = 0


cdef inline bint _oversized(TrackState* track, Py_ssize_t count) noexcept nogil:
    """Whether a queue that a read of ``count`` has emptied is larger than what now comes at once needs."""
    return track.allocated > 4 * FIRST_ALLOCATION or (track.allocated > FIRST_ALLOCATION and count <= FEW)


cdef bint _reserve(TrackState* track, Py_ssize_t more) noexcept nogil:
    """Room for ``more`` samples, which the capacity is known to allow; false without memory."""
    cdef Py_ssize_t needed = track.stored + more
    cdef Py_ssize_t size = track.allocated * 2 if track.allocated else FIRST_ALLOCATION
    cdef Py_ssize_t run
    cdef int16_t* ring
    if needed <= track.allocated:
        return True
    while size < needed:
        size *= 2
    size = min(size, track.capacity)
    ring = <int16_t*>malloc(size * sizeof(int16_t))
    if ring == NULL:
        return False
    run = min(track.stored, track.allocated - track.head)
    if track.stored:
        memcpy(ring, track.ring + track.head, run * sizeof(int16_t))
        memcpy(ring + run, track.ring, (track.stored - run) * sizeof(int16_t))
    free(track.ring)
    track.ring = ring
    track.allocated = size
    track.head = 0
    return True


cdef inline void _write(int16_t* out, const unsigned char* ulaw, Py_ssize_t size) noexcept nogil:
    """Decoded samples, or zeros for NULL."""
    if ulaw == NULL:
        memset(out, 0, size * sizeof(int16_t))
    else:
        decode_into(ulaw, size, out)


cdef void _enqueue(TrackState* track, const unsigned char* ulaw, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t tail = (track.head + track.stored) % track.allocated
    cdef Py_ssize_t run = min(size, track.allocated - tail)
    _write(track.ring + tail, ulaw, run)
    if run < size:
        _write(track.ring, ulaw if ulaw == NULL else &ulaw[run], size - run)
    track.stored += size
    _segment(track, track.segment_count - 1).count += size


cdef void _sum(TrackState* track, const unsigned char* ulaw, Py_ssize_t size) noexcept nogil:
    if ulaw == NULL:
        track.sum_b += <uint64_t>size * track.sum_a
    else:
        add_sums(ulaw, size, &track.sum_a, &track.sum_b)


cdef Py_ssize_t _put(TrackState* track, const unsigned char* ulaw, Py_ssize_t size) noexcept nogil:
    """Sum and queue audio (NULL: zeros) at the position, which moves on; the number of samples that did not fit."""
    cdef long long at = track.position
    cdef Py_ssize_t fits
    cdef Segment* segment
    track.position += size
    if track.checksum:
        _sum(track, ulaw, size)
    if not track.keep_pcm or size == 0:
        return 0
    if track.lost:
        if track.segment_count == SEGMENTS or track.stored == track.capacity:
            return size
        segment = _segment(track, track.segment_count)
        segment.start = at
        segment.count = 0
        track.segment_count += 1
        track.lost = False
    fits = min(size, track.capacity - track.stored)
    if fits and not _reserve(track, fits):
        fits = 0
    if fits:
        _enqueue(track, ulaw, fits)
    track.lost = fits < size
    return size - fits


cdef void _skip(TrackState* track, long long samples) noexcept nogil:
    """Move over a gap: by zeros, or by a jump."""
    if not track.gate_open:
        track.position += samples
    elif samples <= MAX_FILL:
        track.filled_samples += samples
        _put(track, NULL, samples)
    else:
        track.position += samples
        track.lost = True


cdef void _anchor(TrackState* track, long long start, long long now_ms, bint first) noexcept nogil:
    cdef long long candidate = now_ms - start // 8
    if max(start, track.position) - track.first_position >= ANCHOR_WINDOW:
        return
    if first or candidate < track.anchor_ms:
        track.anchor_ms = candidate


cdef void _begin(TrackState* track, long long start) noexcept nogil:
    """The first media sets the clock."""
    track.started = True
    track.first_position = track.position = start
    track.segments[track.first_segment].start = start


cdef void place_media(
    TrackState* track, long long timestamp_ms, const unsigned char* ulaw, Py_ssize_t size, long long now_ms
) noexcept nogil:
    """Put one message's audio on the clock.

    A timestamp outside 0..MAX_TIMESTAMP_MS, or more than MAX_AHEAD ahead, is as good as none.
    """
    cdef long long start = track.position
    cdef long long ahead
    cdef bint first = not track.started
    track.messages += 1
    track.last_media_ms = now_ms
    if 0 <= timestamp_ms <= _MAX_TIMESTAMP_MS and timestamp_ms * 8 <= _MAX_POSITION - track.base:
        start = timestamp_ms * 8 + track.base
    if first:
        _begin(track, start)
    ahead = start - track.position
    if ahead > MAX_AHEAD:
        start = track.position
        ahead = 0
    elif ahead < -REANCHOR:
        track.base -= ahead
        track.reanchors += 1
        start = track.position
        ahead = 0
    _anchor(track, start, now_ms, first)
    if ahead < -JITTER:
        track.overlap_samples += min(-ahead, size)
    elif ahead > JITTER:
        _skip(track, ahead)
    if track.gate_open:
        track.received_samples += size
        track.dropped_samples += _put(track, ulaw, size)
    else:
        track.gated_samples += size
        track.position += size


@cython.final
@cython.no_gc
cdef class Track:
    """The media clock and PCM queue of one track; owned by the thread that ticks."""

    def __cinit__(self, Py_ssize_t capacity_samples=64_000, bint checksum=False, bint keep_pcm=True):
        global _live
        # First of all: what fails below is deallocated too.
        _live += 1
        if capacity_samples < 1:
            raise ValueError(f"capacity_samples must be at least 1, not {capacity_samples}")
        memset(&self.state, 0, sizeof(TrackState))
        self.state.capacity = min(capacity_samples, 1 << 40)
        self.state.checksum = checksum
        self.state.keep_pcm = keep_pcm
        self.state.segment_count = 1

    def __dealloc__(self):
        global _live
        _live -= 1
        _release(&self.state)

    def __sizeof__(self):
        return object.__sizeof__(self) + self.state.allocated * sizeof(int16_t)

    def place(self, timestamp_ms, bytes ulaw not None, long long now_ms):
        """Put one message's audio on the clock; TypeError if ``ulaw`` is not bytes."""
        cdef long long timestamp = timestamp_ms if 0 <= timestamp_ms <= _MAX_TIMESTAMP_MS else -1
        check_not_ticking()
        place_media(
            &self.state, timestamp, <const unsigned char*>PyBytes_AS_STRING(ulaw), PyBytes_GET_SIZE(ulaw), now_ms
        )

    def open_gate(self):
        """Take audio from the current position on, with an empty queue and the per-start counters at zero."""
        check_not_ticking()
        self.state.gate_open = True
        self.state.received_samples = self.state.filled_samples = 0
        self.state.sum_a = self.state.sum_b = 0
        self.state.lost = False
        self.state.first_segment = 0
        self.state.segment_count = 1
        self.state.segments[0].start = self.state.position
        self.state.segments[0].count = 0
        self.state.stored = 0
        _release(&self.state)

    def close_gate(self):
        """Take no more audio; what is queued stays readable."""
        check_not_ticking()
        self.state.gate_open = False
        if self.state.stored == 0:
            _release(&self.state)

    def available(self):
        """Samples that can be read before the next jump."""
        check_not_ticking()
        return _segment(&self.state, 0).count

    def read(self, Py_ssize_t count):
        """The next ``count`` samples, a copy; ValueError if negative or more than :meth:`available`."""
        check_not_ticking()
        cdef TrackState* track = &self.state
        cdef Segment* segment = _segment(track, 0)
        if not 0 <= count <= segment.count:
            raise ValueError(f"can read 0..{segment.count} samples, not {count}")
        cdef cnp.npy_intp size = count
        cdef cnp.ndarray pcm = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT16)
        cdef int16_t* out = <int16_t*>cnp.PyArray_DATA(pcm)
        cdef Py_ssize_t run = min(count, track.allocated - track.head)
        if count:
            memcpy(out, track.ring + track.head, run * sizeof(int16_t))
            memcpy(out + run, track.ring, (count - run) * sizeof(int16_t))
            track.head = (track.head + count) % track.allocated
        segment.start += count
        segment.count -= count
        track.stored -= count
        # A burst, or a reader that was late, must not cost memory for the rest of the call.
        if track.stored == 0 and (not track.gate_open or _oversized(track, count)):
            _release(track)
        return pcm

    def take_jump(self):
        """Go over the jump that lies next; the new :attr:`read_position`. ValueError if no jump is pending."""
        check_not_ticking()
        if not self.jump_pending:
            raise ValueError("no jump is pending")
        self.state.first_segment = (self.state.first_segment + 1) % SEGMENTS
        self.state.segment_count -= 1
        return self.read_position

    def checksum_hex(self):
        """Sum of the PCM placed since the gate opened, 32 hex digits; the twin's docstring has the formula."""
        check_not_ticking()
        return "{:016x}{:016x}".format(self.state.sum_a, self.state.sum_b)

    @property
    def read_position(self):
        """Position of the next sample that :meth:`read` gives."""
        return _segment(&self.state, 0).start

    @property
    def jump_pending(self):
        """Whether nothing can be read before a jump is taken."""
        return self.state.segment_count > 1 and _segment(&self.state, 0).count == 0

    @property
    def jump_queued(self):
        """Whether a jump lies behind what is available; audio may still stand before it."""
        return self.state.segment_count > 1

    @property
    def position(self):
        """The next write position."""
        return self.state.position

    @property
    def newest_ms(self):
        """The next write position in ms of stream time."""
        return self.state.position // 8

    @property
    def first_position(self):
        """Where the first media lay, None before it."""
        return self.state.first_position if self.state.started else None

    @property
    def anchor_ms(self):
        """Least (arrival − stream time) of the first second, ms; None before the first media."""
        return self.state.anchor_ms if self.state.started else None

    @property
    def last_media_ms(self):
        """When the last message arrived, 0 if none did."""
        return self.state.last_media_ms

    @property
    def gate_open(self):
        """Whether audio is taken."""
        return bool(self.state.gate_open)

    @property
    def messages(self):
        """Messages placed."""
        return self.state.messages

    @property
    def received_samples(self):
        """Samples that came since the gate opened."""
        return self.state.received_samples

    @property
    def filled_samples(self):
        """Zeros put into gaps since the gate opened."""
        return self.state.filled_samples

    @property
    def overlap_samples(self):
        """Samples whose own time was covered already."""
        return self.state.overlap_samples

    @property
    def gated_samples(self):
        """Samples that came while the gate was closed."""
        return self.state.gated_samples

    @property
    def dropped_samples(self):
        """Samples that did not fit into the queue."""
        return self.state.dropped_samples

    @property
    def reanchors(self):
        """How often the timestamps jumped back."""
        return self.state.reanchors
