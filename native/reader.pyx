"""The reader of one media socket: its bytes to audio on its tracks, and to events for all the rest.

The way of a byte: frames are parsed where it was received; a plain text frame is unmasked into the message scratch,
scanned, its audio decoded and placed on a track. Only what is left over is kept: the rest of a frame, or all from the
first thing on that is for Python. The twin, ``reader_py``, is the specification.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport ENOMEM
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memcpy, memmove, memset

from gateway._native.frames cimport (
    OPCODE_TEXT, VERDICT_BROKEN, VERDICT_NEED, VERDICT_WHOLE, FrameHeader, Verdict, parse_frame, unmask,
)
from gateway._native.scanner cimport MediaFields, check_base64, decode_base64, scan_fields
from gateway._native.track cimport Track, check_not_ticking, place_media

from gateway._native.reader_py import BROKEN, EOF, FRAME, MAX_MESSAGE, TEXT

__all__ = ["BROKEN", "EOF", "FRAME", "MAX_MESSAGE", "TEXT", "Reader"]

cdef enum:
    # A reader's buffer is given back when it is this much larger than what it holds.
    SLACK = 4096

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


cdef void take_bytes(
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
