# Part of sender.pyx: a line, what it has still to send, and how bytes of it are written.


cdef inline long long _due(LineState* line) noexcept nogil:
    # What is written together is due with the last of it.
    cdef long long last = (line.sent // line.together + 1) * line.together
    cdef long long at = 20 * (line.sent if line.sent >= line.frames else min(last, line.frames) - 1)
    cdef long long end = line.stall_at_ms + line.stall_ms
    return line.begin_us + 1000 * (end if line.stall_at_ms <= at < end else at)


cdef inline Py_ssize_t _taken(LineState* line, Py_ssize_t result) noexcept nogil:
    """Bytes that a send took, from them or from -errno; an error that will not pass is the line's end."""
    if result >= 0:
        return result
    if result != -EAGAIN and result != -EINTR:
        line.status = S_LOST
        line.error = <int>-result
    return 0


cdef inline Py_ssize_t _write(LineState* line, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef ssize_t taken
    if line.target != NULL:
        return _call(line, data, size)
    taken = send(line.fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
    return _taken(line, taken if taken >= 0 else -errno)


cdef Py_ssize_t _call(LineState* line, const unsigned char* data, Py_ssize_t size) noexcept with gil:
    """Write to a function; one that fails in a way that no socket does has lost its line too."""
    cdef Py_ssize_t taken
    try:
        taken = (<object>line.target)(PyBytes_FromStringAndSize(<const char*>data, size))
    except BlockingIOError:
        return 0
    except Exception as error:
        number = error.errno if isinstance(error, OSError) else None
        return _taken(line, -<Py_ssize_t>(number or EPIPE))
    return min(max(taken, 0), size)


cdef bint _keep(LineState* line, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    """Add to what the socket has not taken; false without room or memory."""
    if line.tail == NULL:
        line.tail = <unsigned char*>malloc(TAIL)
        line.tail_at = line.tail_size = 0
        if line.tail == NULL:
            return False
    if line.tail_at:
        memmove(line.tail, line.tail + line.tail_at, line.tail_size)
        line.tail_at = 0
    if line.tail_size + size > TAIL:
        return False
    memcpy(line.tail + line.tail_size, data, size)
    line.tail_size += size
    return True


@cython.final
@cython.no_gc_clear
cdef class _Line:
    """A line and what its pointers point into."""

    cdef LineState state
    cdef object sound
    cdef object target

    def __cinit__(self):
        memset(&self.state, 0, sizeof(LineState))
        self.state.tail_due = -1

    def __dealloc__(self):
        free(self.state.tail)

    cdef int set(self, script) except -1:
        cdef LineState* state = &self.state
        cdef bytes name
        cdef int i
        self.sound = script.sound
        state.tracks = len(self.sound.tracks)
        for i in range(state.tracks):
            name = self.sound.tracks[i].encode()
            if len(name) > 20:
                raise UsageError(f"a track's name has at most 20 letters: {self.sound.tracks[i]}")
            memcpy(state.track[i].name, PyBytes_AS_STRING(name), len(name))
            state.track[i].name_size = len(name)
            state.track[i].ulaw = <const unsigned char*>PyBytes_AS_STRING(self.sound.ulaw[i])
            state.track[i].coded = <const unsigned char*>PyBytes_AS_STRING(self.sound.coded[i])
            state.track[i].quiet = <const unsigned char*>PyBytes_AS_STRING(self.sound.quiet[i])
        state.sid_size = len(script.stream_sid)
        memcpy(state.sid, PyBytes_AS_STRING(script.stream_sid), state.sid_size)
        state.first, state.loop, state.frames = script.first, self.sound.frames, script.frames
        state.stamp, state.jitter_ms = script.stamp, script.jitter_ms
        state.stall_at_ms, state.stall_ms = script.stall_at_ms, script.stall_ms
        state.dice = script.seed & 0xFFFFFFFFFFFFFFFF
        state.drop_limit = script.drop_limit
        state.send_silence, state.odd = script.send_silence, script.odd
        state.sequence = 1
        return 0


cdef void _take_out(LineState** lines, Py_ssize_t* count, LineState* line) noexcept:
    """Remove one, keeping the order of the others, which is the order of their sending."""
    cdef Py_ssize_t i = 0
    while i < count[0] and lines[i] != line:
        i += 1
    if i < count[0]:
        count[0] -= 1
        memmove(&lines[i], &lines[i + 1], (count[0] - i) * sizeof(LineState*))


cdef long long _now_us() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <long long>now.tv_sec * 1000000 + now.tv_nsec // 1000


cdef void _sleep_us(long long us) noexcept nogil:
    cdef timespec wait
    wait.tv_sec = 0
    wait.tv_nsec = us * 1000
    nanosleep(&wait, NULL)
