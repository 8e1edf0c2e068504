"""The reader of one media socket, and the tick over many."""

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

# One registered socket; the slot owns a reference to the reader.
cdef struct Slot:
    int fd
    ReaderState* state
    void* reader

cdef class Plane:
    cdef Slot* slots
    cdef Py_ssize_t* ready
    cdef Py_ssize_t count
    cdef Py_ssize_t allocated
    cdef Py_ssize_t cursor     # those before it have had their turn in this round
    cdef unsigned char* scratch
    cdef Py_ssize_t budget
    cdef long long tick_us

    cdef int grow(self) except -1
    cdef void move(self, Py_ssize_t old, Py_ssize_t new) noexcept
