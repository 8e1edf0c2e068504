"""The reader of one media socket."""

from gateway._native.frames cimport FrameHeader
from gateway._native.track cimport Track, TrackState

cdef enum:
    MAX_SID = 64

# What every message touches comes first, and fills three cache lines.
cdef struct ReaderState:
    (TrackState*)[2] tracks    # inbound, outbound; owned by the Reader object
    Py_ssize_t sid_size        # 0: not bound
    Py_ssize_t size            # bytes not parsed yet: so many of `buffer` from `offset` on, in `allocated`
    Py_ssize_t max_message
    int error                  # errno of the end of file: -1 none yet, 0 an orderly one
    bint dead
    bint fragmented
    bint pending               # an event waits, or may wait, in the buffer
    long long messages
    unsigned char[MAX_SID] sid
    long long media
    long long bytes
    long long last_bytes_ms
    unsigned char* buffer
    Py_ssize_t allocated
    Py_ssize_t offset
    void* plane                # where it is registered, and at which index
    Py_ssize_t slot

cdef class Reader:
    cdef ReaderState state
    cdef Track inbound
    cdef Track outbound
    cdef public object owner

    cdef tuple take_frame(self, FrameHeader* header)

# Parse what was received at `now_ms`; what is left over is kept.
cdef void take_bytes(ReaderState* state, const unsigned char* data, Py_ssize_t size, long long now_ms) noexcept nogil
