"""The reader of one media socket, and the tick that reads many in one call.

The way of a byte: ``recv`` into the plane's scratch; frames parsed there; a plain text frame unmasked into the message
scratch, scanned, its audio decoded and placed on a track. Only what is left over is kept: the rest of a frame, or all
from the first thing on that is for Python. The twin, ``plane_py``, tells what a reader does.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport EAGAIN, EINTR, ENOMEM, errno
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcmp, memcpy, memmove, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from gateway._native.frames cimport (
    OPCODE_TEXT, VERDICT_BROKEN, VERDICT_NEED, VERDICT_WHOLE, FrameHeader, Verdict, parse_frame, unmask,
)
from gateway._native.scanner cimport MediaFields, check_base64, decode_base64, scan_fields
from gateway._native.track cimport Track, check_not_ticking, enter_tick, leave_tick, place_media

from gateway._native.plane_py import BROKEN, EOF, FRAME, MAX_MESSAGE, TEXT

cdef extern from *:
    """
    #define GATEWAY_PREFETCH(address) __builtin_prefetch((address), 1)
    """
    void prefetch "GATEWAY_PREFETCH"(void* address) noexcept nogil

cdef extern from "sys/socket.h" nogil:
    ssize_t recv(int fd, void* buffer, size_t size, int flags)
    int MSG_DONTWAIT

__all__ = ["BROKEN", "EOF", "FRAME", "HAS_PLANE", "MAX_MESSAGE", "TEXT", "Plane", "Reader"]

HAS_PLANE = True

cdef enum:
    # The largest header of a masked frame.
    HEADER = 14
    # A reader's buffer is given back when it is this much larger than what it holds.
    SLACK = 4096
    # How many sockets ahead their tracks are asked for: a turn takes a microsecond, memory a tenth of one.
    AHEAD = 2

cdef Py_ssize_t _ALL = 1 << 60

# Where a message is unmasked: one at a time, in a tick (which excludes all else) or with the GIL held.
cdef unsigned char* _message = NULL
cdef Py_ssize_t _message_size = 0


cdef int _message_room(Py_ssize_t size) except -1:
    global _message, _message_size
    cdef void* grown
    if size > _message_size:
        grown = realloc(_message, size)
        if grown == NULL:
            raise MemoryError(f"no memory for a message of {size} bytes")
        _message = <unsigned char*>grown
        _message_size = size
    return 0


cdef bint _take_media(ReaderState* state, const unsigned char* frame, FrameHeader* header) noexcept nogil:
    """Whether a text frame was media of the bound stream, now on its track.

    Audio that a closed gate keeps out is judged and counted, and not decoded.
    """
    cdef MediaFields fields
    cdef Py_ssize_t size
    cdef TrackState* track
    cdef unsigned char* ulaw
    if state.sid_size == 0:
        return False
    unmask(frame + header.body, header.length, frame + header.body - 4, _message)
    if not scan_fields(_message, header.length, &fields):
        return False
    if fields.sid_size != state.sid_size or memcmp(_message + fields.sid, state.sid, state.sid_size):
        return False
    track = state.tracks[fields.track]
    if track == NULL:
        return False
    ulaw = _message + fields.payload
    if track.gate_open:
        size = decode_base64(ulaw, fields.payload_size, ulaw)
    else:
        size = check_base64(ulaw, fields.payload_size)
    if size < 0:
        return False
    place_media(track, fields.timestamp_ms, ulaw, size, state.last_bytes_ms)
    return True


cdef Verdict _consume(
    ReaderState* state, const unsigned char* data, Py_ssize_t size, Py_ssize_t* consumed, FrameHeader* header
) noexcept nogil:
    """Place media until something else comes: WHOLE, a frame for Python at ``consumed``; NEED; or BROKEN."""
    cdef Py_ssize_t at = 0
    cdef Verdict verdict
    while True:
        verdict = parse_frame(data + at, size - at, state.max_message, header)
        if verdict != VERDICT_WHOLE:
            break
        if state.fragmented or not header.fin or header.opcode != OPCODE_TEXT:
            break
        if not _take_media(state, data + at, header):
            break
        state.messages += 1
        state.media += 1
        at += header.body + header.length
    consumed[0] = at
    return verdict


cdef void _drop_buffer(ReaderState* state) noexcept nogil:
    free(state.buffer)
    state.buffer = NULL
    state.allocated = state.offset = state.size = 0


cdef bint _append(ReaderState* state, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    """Keep bytes behind those that are kept; false without memory."""
    cdef unsigned char* grown
    if size == 0:
        return True
    if state.offset:
        memmove(state.buffer, state.buffer + state.offset, state.size)
        state.offset = 0
    if state.size + size > state.allocated:
        grown = <unsigned char*>realloc(state.buffer, state.size + size)
        if grown == NULL:
            return False
        state.buffer = grown
        state.allocated = state.size + size
    memcpy(state.buffer + state.size, data, size)
    state.size += size
    return True


cdef void _skip(ReaderState* state, Py_ssize_t size) noexcept nogil:
    """Forget the first bytes of the buffer, and most of its memory if little remains."""
    cdef unsigned char* shrunk
    state.offset += size
    state.size -= size
    if state.size == 0:
        _drop_buffer(state)
    elif state.allocated - state.size > SLACK and state.offset:
        memmove(state.buffer, state.buffer + state.offset, state.size)
        state.offset = 0
        shrunk = <unsigned char*>realloc(state.buffer, state.size)
        if shrunk != NULL:
            state.buffer = shrunk
            state.allocated = state.size


cdef void _take_bytes(
    ReaderState* state, const unsigned char* data, Py_ssize_t size, long long now_ms
) noexcept nogil:
    """Parse what a tick received; keep what is left over."""
    cdef Py_ssize_t consumed = 0
    cdef FrameHeader header
    cdef Verdict verdict = VERDICT_NEED
    cdef bint kept
    state.bytes += size
    state.last_bytes_ms = now_ms
    if state.size:
        kept = _append(state, data, size)
        if kept:
            verdict = _consume(state, state.buffer + state.offset, state.size, &consumed, &header)
            _skip(state, consumed)
    else:
        verdict = _consume(state, data, size, &consumed, &header)
        kept = _append(state, data + consumed, size - consumed)
    if not kept:
        # As if the peer had gone: this call ends, the others go on.
        _drop_buffer(state)
        state.error = ENOMEM
        state.pending = True
    elif verdict != VERDICT_NEED:
        state.pending = True


cdef Py_ssize_t _read_socket(
    int fd, ReaderState* state, unsigned char* scratch, Py_ssize_t budget, long long now_ms
) noexcept nogil:
    """One ``recv``, for more would mostly find the socket empty; the bytes that came."""
    cdef ssize_t got = recv(fd, scratch, budget, MSG_DONTWAIT)
    if got > 0:
        _take_bytes(state, scratch, got, now_ms)
        return got
    if got == 0:
        state.error = 0
        state.pending = True
    elif errno != EAGAIN and errno != EINTR:
        state.error = errno
        state.pending = True
    return 0


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


# The state holds pointers into the tracks, so the collector must not clear the references to them.
@cython.final
@cython.no_gc_clear
cdef class Reader:
    """Turns the bytes of one socket into audio on its tracks, and into events for all the rest."""

    def __cinit__(self, Py_ssize_t max_message=65536):
        if not 1 <= max_message <= MAX_MESSAGE:
            raise ValueError(f"max_message must lie in 1..{MAX_MESSAGE}, not {max_message}")
        check_not_ticking()
        memset(&self.state, 0, sizeof(ReaderState))
        _message_room(max_message)
        self.state.max_message = max_message
        self.state.error = -1
        self.state.slot = -1

    def __dealloc__(self):
        _drop_buffer(&self.state)

    def __sizeof__(self):
        return object.__sizeof__(self) + self.state.allocated

    def bind(self, bytes stream_sid not None, Track inbound, Track outbound):
        """Place media of this stream on these tracks; media of a track that is None are events."""
        check_not_ticking()
        cdef Py_ssize_t size = PyBytes_GET_SIZE(stream_sid)
        self.inbound = inbound
        self.outbound = outbound
        self.state.tracks[0] = NULL if inbound is None else &inbound.state
        self.state.tracks[1] = NULL if outbound is None else &outbound.state
        # The scanner never sees a longer one, so that such a stream's media are events.
        self.state.sid_size = size if size <= MAX_SID else 0
        memcpy(self.state.sid, PyBytes_AS_STRING(stream_sid), self.state.sid_size)

    def unbind(self):
        """From now on all media are events."""
        check_not_ticking()
        self.state.sid_size = 0
        self.state.tracks[0] = self.state.tracks[1] = NULL
        self.inbound = self.outbound = None

    def feed(self, bytes data not None, long long now_ms):
        """Append bytes that arrived at ``now_ms`` (monotonic); the owner drains the events first."""
        check_not_ticking()
        if self.state.dead:
            return
        if not _append(&self.state, <const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)):
            raise MemoryError(f"no memory for {PyBytes_GET_SIZE(data)} bytes")
        self.state.bytes += PyBytes_GET_SIZE(data)
        self.state.last_bytes_ms = now_ms
        self.state.pending = True

    def set_eof(self, int errno):
        """The peer sends no more: ``errno`` of a failing read, 0 for an orderly end."""
        check_not_ticking()
        if self.state.error < 0:
            self.state.error = errno
            self.state.pending = not self.state.dead

    def close(self):
        """Free the buffer; the reader is dead."""
        self.unbind()
        self.state.dead = True
        self.state.pending = False
        _drop_buffer(&self.state)

    def next_event(self):
        """The next thing for Python, or None when what is buffered gives none."""
        check_not_ticking()
        cdef ReaderState* state = &self.state
        cdef FrameHeader header
        cdef Py_ssize_t consumed = 0
        cdef Verdict verdict
        if state.dead:
            return None
        verdict = _consume(state, state.buffer + state.offset, state.size, &consumed, &header)
        _skip(state, consumed)
        if verdict == VERDICT_WHOLE:
            state.messages += 1
            return self.take_frame(&header)
        if verdict == VERDICT_BROKEN:
            raw = PyBytes_FromStringAndSize(<char*>state.buffer + state.offset, state.size)
            self.close()
            return BROKEN, raw
        if state.error >= 0:
            self.close()
            return EOF, str(state.error).encode() if state.error else b""
        state.pending = False
        return None

    cdef tuple take_frame(self, FrameHeader* header):
        """The event of the whole frame at the start of the buffer, which is taken out."""
        cdef ReaderState* state = &self.state
        cdef const unsigned char* frame = state.buffer + state.offset
        cdef Py_ssize_t size = header.body + header.length
        cdef bytes payload
        cdef int kind
        if state.fragmented or not header.fin or header.opcode != OPCODE_TEXT:
            kind = FRAME
            payload = PyBytes_FromStringAndSize(<const char*>frame, size)
        else:
            kind = TEXT
            payload = PyBytes_FromStringAndSize(NULL, header.length)
            unmask(
                frame + header.body, header.length, frame + header.body - 4,
                <unsigned char*>PyBytes_AS_STRING(payload),
            )
        _skip(state, size)
        return kind, payload

    @property
    def fragmented(self):
        """Set by Python while a fragmented message is under way: every frame is an event then."""
        return bool(self.state.fragmented)

    @fragmented.setter
    def fragmented(self, bint value):
        check_not_ticking()
        self.state.fragmented = value

    @property
    def dead(self):
        """Whether the reader came to its end (broken, end of file, closed)."""
        return bool(self.state.dead)

    @property
    def pending(self):
        """Whether an event waits, or may wait."""
        return bool(self.state.pending)

    @property
    def buffered(self):
        """Bytes not parsed yet."""
        return self.state.size

    @property
    def messages(self):
        """Whole frames parsed."""
        return self.state.messages

    @property
    def media(self):
        """Messages placed on a track."""
        return self.state.media

    @property
    def bytes(self):
        """Bytes taken in."""
        return self.state.bytes

    @property
    def last_bytes_ms(self):
        """When bytes came last, 0 if none did."""
        return self.state.last_bytes_ms


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

    def tick(self, long long now_ms, Py_ssize_t sockets=_ALL, Py_ssize_t most=_ALL):
        """Read on in the round; the readers that have events, which the caller takes until there are none.

        A reader whose events were not taken is returned again when its turn comes, and its socket is not read.

        Args:
            now_ms: the monotonic clock.
            sockets: how many have their turn, from where the last tick ended; at least 1.
            most: bytes after which no other socket is read, at least 1. So a tick takes at most these and one budget.
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
                if not state.pending and not state.dead:
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
