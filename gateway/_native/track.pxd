"""One track of a stream: its state, and what the plane may do with it."""

from libc.stdint cimport int16_t, uint64_t

cpdef enum:
    JITTER = 80
    MAX_FILL = 16000
    MAX_AHEAD = 691200000
    REANCHOR = 8000
    MAX_JUMPS = 32

cdef struct Segment:
    long long start        # position of its first queued sample
    Py_ssize_t count

# What every message touches comes first: a cache line for a closed gate, two for an open one.
cdef struct TrackState:
    long long position     # samples of stream time, as all positions
    long long base         # shift of the timestamps after re-anchoring, samples
    long long first_position
    long long anchor_ms
    long long last_media_ms
    long long messages
    long long gated_samples
    bint started           # first_position and anchor_ms hold values
    bint gate_open
    long long received_samples
    bint keep_pcm
    bint checksum
    uint64_t sum_a
    uint64_t sum_b
    int16_t* ring          # the queue: `allocated` samples long, `stored` of them used from `head` on
    Py_ssize_t allocated
    Py_ssize_t head
    Py_ssize_t stored
    Py_ssize_t capacity
    bint lost              # the next sample that is queued begins a new segment
    int first_segment
    int segment_count
    long long filled_samples
    long long overlap_samples
    long long dropped_samples
    long long reanchors
    Segment[33] segments   # MAX_JUMPS + 1, a ring; between two lies a jump; there is always one

cdef void place_media(
    TrackState* track, long long timestamp_ms, const unsigned char* ulaw, Py_ssize_t size, long long now_ms
) noexcept nogil

cdef void enter_tick() noexcept
cdef void leave_tick() noexcept
cdef int check_not_ticking() except -1

cdef class Track:
    cdef TrackState state
