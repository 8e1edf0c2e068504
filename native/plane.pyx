"""The tick: many sockets read in one call, without the GIL, each into its reader's hands.

``recv`` into the plane's scratch, which the reader takes its messages from; see ``reader.pyx``.
"""

cimport cython
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdlib cimport free, malloc, realloc
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gateway._native.reader cimport Reader, ReaderState, take_bytes
from gateway._native.track cimport check_not_ticking, enter_tick, leave_tick

cdef extern from *:
    """
    #define GATEWAY_PREFETCH(address) __builtin_prefetch((address), 1)
    """
    void prefetch "GATEWAY_PREFETCH"(void* address) noexcept nogil

cdef extern from "sys/socket.h" nogil:
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    int MSG_DONTWAIT

__all__ = ["HAS_PLANE", "Plane"]

HAS_PLANE = True

cdef enum:
    # How many sockets ahead their tracks are asked for: a turn takes a microsecond, memory a tenth of one.
    AHEAD = 2

cdef Py_ssize_t _ALL = 1 << 60


cdef Py_ssize_t _read_socket(
    int fd, ReaderState* state, unsigned char* scratch, Py_ssize_t budget, long long now_ms
) noexcept nogil:
    """One ``recv``, for more would mostly find the socket empty; the bytes that came."""
    cdef ssize_t got = recv(fd, scratch, budget, MSG_DONTWAIT)
    if got > 0:
        take_bytes(state, scratch, got, now_ms)
        return got
    if got == 0:
        state.error = 0
        state.pending = True
    elif errno != EAGAIN and errno != EINTR:
        state.error = errno
        state.pending = True
    return 0


cdef inline bint _may_wait(ReaderState* state, long long now_ms, long long patience_ms) noexcept nogil:
    """Whether bytes came lately, and nobody hears what they say."""
    if state.sid_size == 0 or now_ms - state.last_bytes_ms >= patience_ms:
        return False
    if state.tracks[0] != NULL and state.tracks[0].gate_open:
        return False
    return state.tracks[1] == NULL or not state.tracks[1].gate_open


cdef inline void _fetch_ahead(Slot* slots, Py_ssize_t at, Py_ssize_t end) noexcept nogil:
    """Ask for what a socket's turn will touch: it was thrown out of the caches since its last one."""
    cdef ReaderState* state
    if at + 2 * AHEAD < end:
        state = slots[at + 2 * AHEAD].state
        prefetch(state)
        prefetch(<char*>state + 64)
        prefetch(<char*>state + 128)
    if at + AHEAD < end:
        state = slots[at + AHEAD].state
        # A prefetch of NULL does nothing.
        prefetch(state.tracks[0])
        prefetch(<char*>state.tracks[0] + 64)
        prefetch(state.tracks[1])
        prefetch(<char*>state.tracks[1] + 64)


cdef long long _now_us() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000 + now.tv_nsec // 1000


@cython.final
@cython.no_gc
cdef class Plane:
    """Reads many sockets in one call, without the GIL.

    .. DANGER::
       A descriptor must be unregistered before it is closed: the kernel gives its number to the next socket at once,
       and the plane would read that one's bytes for this one's reader.

    A registered reader is kept alive until it is unregistered.

    Sockets are read in rounds: each once, in one tick or in several.

    Args:
        budget: most bytes taken from a socket in one round. The default holds 90 messages of 20 ms, so that a tick of
            20 ms catches up with a wire that stalled at 20 times its pace, and a socket that is flooded costs the
            others 50 µs.

    Raises:
        ValueError: the budget is not in 1..2^24.
    """

    def __cinit__(self, Py_ssize_t budget=32768):
        if not 1 <= budget <= 1 << 24:
            raise ValueError(f"budget must lie in 1..{1 << 24}, not {budget}")
        self.budget = budget
        self.scratch = <unsigned char*>malloc(budget)
        if self.scratch == NULL:
            raise MemoryError(f"no memory for a scratch of {budget} bytes")

    def __dealloc__(self):
        cdef Py_ssize_t i
        for i in range(self.count):
            self.slots[i].state.slot = -1
            self.slots[i].state.plane = NULL
            Py_DECREF(<object>self.slots[i].reader)
        free(self.slots)
        free(self.ready)
        free(self.scratch)

    def register(self, int fd, Reader reader not None):
        """Read this descriptor at every tick; ValueError if it is negative, or the reader has one already."""
        check_not_ticking()
        if fd < 0:
            raise ValueError(f"a descriptor is not negative: {fd}")
        if reader.state.slot >= 0:
            raise ValueError("the reader is registered already")
        if self.count == self.allocated:
            self.grow()
        self.slots[self.count].fd = fd
        self.slots[self.count].state = &reader.state
        self.slots[self.count].reader = <void*>reader
        Py_INCREF(reader)
        reader.state.slot = self.count
        reader.state.plane = <void*>self
        self.count += 1

    cdef int grow(self) except -1:
        cdef Py_ssize_t size = max(2 * self.allocated, 64)
        cdef void* slots = realloc(self.slots, size * sizeof(Slot))
        if slots == NULL:
            raise MemoryError(f"no memory for {size} sockets")
        self.slots = <Slot*>slots
        cdef void* ready = realloc(self.ready, size * sizeof(Py_ssize_t))
        if ready == NULL:
            raise MemoryError(f"no memory for {size} sockets")
        self.ready = <Py_ssize_t*>ready
        self.allocated = size
        return 0

    def unregister(self, Reader reader not None):
        """Read it no more; nothing happens if it is not registered here."""
        check_not_ticking()
        cdef Py_ssize_t slot = reader.state.slot
        if slot < 0 or reader.state.plane != <void*>self:
            return
        if slot < self.cursor:
            # Those that were read in this round stay before those that were not.
            self.cursor -= 1
            self.move(self.cursor, slot)
            slot = self.cursor
        self.count -= 1
        self.move(self.count, slot)
        if self.cursor == self.count:
            self.cursor = 0
        reader.state.slot = -1
        reader.state.plane = NULL
        Py_DECREF(reader)

    cdef void move(self, Py_ssize_t old, Py_ssize_t new) noexcept:
        self.slots[new] = self.slots[old]
        self.slots[new].state.slot = new

    def tick(self, long long now_ms, Py_ssize_t sockets=_ALL, Py_ssize_t most=_ALL, long long patience_ms=0):
        """Read on in the round; the readers that have events, which the caller takes until there are none.

        A reader whose events were not taken is returned again when its turn comes, and its socket is not read.

        Args:
            now_ms: the monotonic clock.
            sockets: how many have their turn, from where the last tick ended; at least 1.
            most: bytes after which no other socket is read, at least 1. So a tick takes at most these and one budget.
            patience_ms: how long after its last bytes a bound socket is left alone whose gates are closed.
        """
        check_not_ticking()
        cdef Py_ssize_t at = self.cursor, count = 0, i
        cdef Py_ssize_t end = self.count if sockets >= self.count - at else at + max(sockets, 1)
        cdef Py_ssize_t taken = 0
        cdef ReaderState* state
        cdef long long began
        enter_tick()
        with nogil:
            began = _now_us()
            while at < end:
                _fetch_ahead(self.slots, at, end)
                state = self.slots[at].state
                if not state.pending and not state.dead and not _may_wait(state, now_ms, patience_ms):
                    taken += _read_socket(self.slots[at].fd, state, self.scratch, self.budget, now_ms)
                if state.pending:
                    self.ready[count] = at
                    count += 1
                at += 1
                if taken >= most:
                    break
            self.cursor = at if at < self.count else 0
            self.tick_us = _now_us() - began
        leave_tick()
        return [<object>self.slots[self.ready[i]].reader for i in range(count)]

    def read(self, Reader reader not None, long long now_ms):
        """Read one socket out of its turn, its budget at the most; the bytes that came.

        0 if it is not registered here, or has events, which the caller takes first.
        """
        check_not_ticking()
        cdef ReaderState* state = &reader.state
        if state.slot < 0 or state.plane != <void*>self or state.pending or state.dead:
            return 0
        return _read_socket(self.slots[state.slot].fd, state, self.scratch, self.budget, now_ms)

    @property
    def under_way(self):
        """Whether a round has begun and is not over."""
        return self.cursor > 0

    @property
    def most(self):
        """The budget of a socket, bytes."""
        return self.budget

    @property
    def sockets(self):
        """Sockets registered."""
        return self.count

    @property
    def last_tick_us(self):
        """Wall time of the last tick, microseconds."""
        return self.tick_us
