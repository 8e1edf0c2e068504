"""Sends the media of many calls, each in its own time, without the GIL; the twin, ``sender_py``, tells what it does.

A message is rendered where it is sent from, masked, and given to the socket; nothing is allocated for it. One lock keeps
whoever adds and removes lines apart from who sends.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.pythread cimport (
    PyThread_acquire_lock, PyThread_allocate_lock, PyThread_free_lock, PyThread_release_lock, PyThread_type_lock,
)
from cpython.ref cimport PyObject
from libc.errno cimport EAGAIN, EINTR, EPIPE, errno
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcpy, memmove, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, nanosleep, timespec

import numpy as np

from benchmarks.load import sender_py
from benchmarks.load.sender_py import DONE, LATE_BINS, LOST, PLAYING, STALLED, Outcome
from benchmarks.load.voice import CODED_BYTES, FRAME_BYTES, MAX_SID
from gateway.errors import UsageError

cdef extern from "sys/socket.h" nogil:
    ssize_t send(int fd, const void* data, size_t size, int flags)
    int MSG_DONTWAIT
    int MSG_NOSIGNAL

__all__ = ["DONE", "HAS_THREAD", "LATE_BINS", "LOST", "PLAYING", "STALLED", "Outcome", "Sender"]

HAS_THREAD = True

cdef enum:
    FRAME_US = 20_000
    SLOT_US = 250
    SLOTS = 80
    STRIDE = 27
    BINS = 10_001
    # How often a running sender wakes at the most, and for how long it keeps its lock.
    GRAIN_US = 1000
    # How long it may be behind without a pause, and the pause: more than the 5 % that Linux gives to all who are not in
    # real time, in one piece a second, if they get less.
    RESTLESS_US = 4000
    REST_US = 300
    CHUNK = 32768
    TAIL = 65536
    SID = 64
    FRAME = 160
    CODED = 216
    ODD = 320
    # A message is at most 34 + 20 + 11 + 15 + 13 + 16 + 2 of words, four times 20 of digits and names, 428 and a SID.
    MESSAGE = 1024
    S_PLAYING = 0
    S_DONE = 1
    S_LOST = 2
    S_STALLED = 3

if (FRAME_BYTES, CODED_BYTES, MAX_SID) != (FRAME, CODED, SID) or LATE_BINS != BINS:
    raise ImportError("benchmarks.load.sender was built for other numbers than its twin has: build it again")
if (sender_py.SLOT_US, sender_py.SLOTS, sender_py.STRIDE, sender_py.CHUNK, sender_py.TAIL) != (
    SLOT_US, SLOTS, STRIDE, CHUNK, TAIL
) or (PLAYING, DONE, LOST, STALLED) != (S_PLAYING, S_DONE, S_LOST, S_STALLED):
    raise ImportError("benchmarks.load.sender was built for other numbers than its twin has: build it again")

cdef uint64_t LOW32 = <uint64_t>0xFFFFFFFF
cdef const char* ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

ctypedef struct TrackState:
    const unsigned char* ulaw
    const unsigned char* coded
    const unsigned char* quiet
    long long chunk
    char[24] name
    int name_size

ctypedef struct LineState:
    long long number
    int fd
    PyObject* target
    int status
    int error
    int slot
    int tracks
    bint send_silence
    bint odd
    bint news
    TrackState[2] track
    long long begin_us
    long long first
    long long loop
    long long frames
    long long together
    long long sent
    long long stamp
    long long jitter_ms
    long long stall_at_ms
    long long stall_ms
    long long sequence
    long long messages
    uint64_t dice
    uint64_t drop_limit
    unsigned char* tail
    Py_ssize_t tail_at
    Py_ssize_t tail_size
    long long tail_messages
    long long tail_due
    unsigned char[SID] sid
    Py_ssize_t sid_size

ctypedef struct Place:
    LineState** lines
    Py_ssize_t count
    Py_ssize_t allocated


include "render.pxi"
include "line.pxi"


@cython.final
cdef class Sender:
    """All lines of a run; any thread may call it while another one runs it."""

    cdef PyThread_type_lock lock
    cdef dict lines
    cdef Place[SLOTS] wheel
    cdef LineState** news
    cdef Py_ssize_t news_count
    cdef Py_ssize_t news_allocated
    cdef int64_t* late
    cdef unsigned char* scratch
    cdef bint live
    cdef bint coalesced
    cdef long long now
    cdef long long patience_us
    cdef long long together
    cdef long long at
    cdef long long total
    cdef long long next_number
    cdef int last_slot
    cdef int waiting
    cdef bint stopping

    def __cinit__(self, bint coalesced=False, long long patience_us=10_000_000, long long together=1):
        memset(self.wheel, 0, sizeof(self.wheel))
        if patience_us <= 0:
            raise ValueError(f"patience_us must be positive, not {patience_us}")
        if not 1 <= together <= sender_py.MAX_TOGETHER:
            raise ValueError(f"together must be 1 to {sender_py.MAX_TOGETHER}, not {together}")
        self.coalesced, self.patience_us, self.together = coalesced or together > 1, patience_us, together
        self.at = -1
        self.lines = {}
        self.lock = PyThread_allocate_lock()
        self.late = <int64_t*>calloc(BINS, sizeof(int64_t))
        self.scratch = <unsigned char*>malloc(CHUNK + 2 * MESSAGE)
        if self.lock == NULL or self.late == NULL or self.scratch == NULL:
            raise MemoryError("no memory for a sender")

    def __dealloc__(self):
        for i in range(SLOTS):
            free(self.wheel[i].lines)
        free(self.news)
        free(self.late)
        free(self.scratch)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef void hold(self) noexcept:
        """Take the lock from a running sender, which gives way to who waits."""
        self.waiting += 1
        with nogil:
            PyThread_acquire_lock(self.lock, 1)
        self.waiting -= 1

    @property
    def messages(self):
        """Messages written whole, of all lines."""
        return self.total

    @property
    def lateness(self):
        """Messages by how late they left, in bins of 0.1 ms."""
        found = np.empty(BINS, np.int64)
        cdef int64_t[::1] view = found
        memcpy(&view[0], self.late, BINS * sizeof(int64_t))
        return found

    def __len__(self):
        return len(self.lines)

    def add(self, target, script not None, long long now_us):
        """Play a script on a socket from its next place on the wheel on: the line's number, and when it begins."""
        cdef _Line line = _Line()
        cdef long long first = now_us // SLOT_US + 1
        line.set(script)
        line.state.together = self.together
        if callable(target):
            line.state.fd = -1
            line.target = target
            line.state.target = <PyObject*>target
        elif target < 0:
            raise UsageError(f"a descriptor is not negative: {target}")
        else:
            line.state.fd = target
        self.hold()
        try:
            line.state.slot = self.emptiest()
            self.grow(line.state.slot)
            line.state.begin_us = (first + (line.state.slot - first % SLOTS + SLOTS) % SLOTS) * SLOT_US
            line.state.number = self.next_number
            self.next_number += 1
            self.last_slot = line.state.slot
            self.wheel[line.state.slot].lines[self.wheel[line.state.slot].count] = &line.state
            self.wheel[line.state.slot].count += 1
            self.lines[line.state.number] = line
        finally:
            PyThread_release_lock(self.lock)
        return line.state.number, line.state.begin_us

    cdef int emptiest(self) noexcept:
        cdef int step, place, best = (self.last_slot + STRIDE) % SLOTS
        for step in range(1, SLOTS):
            place = (self.last_slot + STRIDE + step) % SLOTS
            if self.wheel[place].count < self.wheel[best].count:
                best = place
        return best

    cdef int grow(self, int slot) except -1:
        """Room for one line more."""
        cdef Place* place = &self.wheel[slot]
        cdef Py_ssize_t size
        cdef void* grown
        if place.count == place.allocated:
            size = max(2 * place.allocated, 16)
            grown = realloc(place.lines, size * sizeof(LineState*))
            if grown == NULL:
                raise MemoryError(f"no memory for {size} lines")
            place.lines = <LineState**>grown
            place.allocated = size
        if len(self.lines) + 1 > self.news_allocated:
            size = max(2 * self.news_allocated, 64)
            grown = realloc(self.news, size * sizeof(LineState*))
            if grown == NULL:
                raise MemoryError(f"no memory for {size} lines")
            self.news = <LineState**>grown
            self.news_allocated = size
        return 0

    def control(self, long long number, bytes data not None):
        """Send a control frame between two messages."""
        cdef _Line line = self.lines[number]
        self.hold()
        try:
            if _keep(&line.state, <const unsigned char*>PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data)):
                line.state.tail_messages += 1
        finally:
            PyThread_release_lock(self.lock)

    def remove(self, long long number):
        """Send nothing more on a line; what became of it."""
        cdef _Line line
        cdef LineState* state
        cdef Py_ssize_t i, kept
        self.hold()
        try:
            line = self.lines.pop(number)
            state = &line.state
            _take_out(self.wheel[state.slot].lines, &self.wheel[state.slot].count, state)
            if state.news:
                _take_out(self.news, &self.news_count, state)
        finally:
            PyThread_release_lock(self.lock)
        tail = PyBytes_FromStringAndSize(<char*>state.tail + state.tail_at, state.tail_size) if state.tail_size else b""
        return Outcome(state.status, state.error, state.messages, state.sequence, tail, state.tail_messages)

    def ended(self):
        """Lines that have come to an end since this was asked last: number, status, errno."""
        cdef Py_ssize_t i
        found = []
        self.hold()
        try:
            for i in range(self.news_count):
                self.news[i].news = False
                found.append((self.news[i].number, self.news[i].status, self.news[i].error))
            self.news_count = 0
        finally:
            PyThread_release_lock(self.lock)
        return found

    def step(self, long long now_us):
        """Send all that is due; when something may be due next."""
        self.hold()
        with nogil:
            self.begin_at(now_us)
            while self.at < now_us // SLOT_US:
                self.turn(now_us)
            PyThread_release_lock(self.lock)
        return (self.at + 1) * SLOT_US

    def run(self):
        """Step and sleep, without the GIL, until :meth:`stop`."""
        cdef long long now, began, rested = _now_us()
        self.stopping = False
        self.live = True
        with nogil:
            while not self.stopping:
                PyThread_acquire_lock(self.lock, 1)
                began = now = _now_us()
                self.begin_at(now)
                while self.at < began // SLOT_US and now - began < GRAIN_US:
                    self.turn(began)
                    now = _now_us()
                # Who is behind goes on at once, but not for ever: in real time nobody else would have the core.
                if (self.at + 1) * SLOT_US > now:
                    now = max((self.at + 1) * SLOT_US, began + GRAIN_US) - now
                else:
                    now = REST_US if now - rested > RESTLESS_US else 0
                PyThread_release_lock(self.lock)
                if now > 0 or self.waiting:
                    _sleep_us(now if now > 20 else 20)
                    rested = _now_us()
        self.live = False

    def stop(self):
        """Let :meth:`run` return."""
        self.stopping = True

    cdef void begin_at(self, long long now_us) noexcept nogil:
        """After a long wait one turn of the wheel sees every line, and each catches up by itself."""
        cdef long long first = now_us // SLOT_US - SLOTS
        if self.at < first:
            self.at = first

    cdef void turn(self, long long now_us) noexcept nogil:
        """The next place of the wheel."""
        cdef Place* place
        cdef Py_ssize_t i
        self.at += 1
        self.now = now_us
        place = &self.wheel[self.at % SLOTS]
        for i in range(place.count):
            self.play(place.lines[i], now_us)

    cdef void play(self, LineState* line, long long now_us) noexcept nogil:
        cdef int status = line.status
        if status == S_LOST or status == S_STALLED:
            return
        if not line.tail_size or self.flush(line):
            self.play_due(line, now_us)
        if line.status == S_PLAYING:
            if line.tail_size and now_us - _due(line) > self.patience_us:
                line.status = S_STALLED
            elif not line.tail_size and line.sent >= line.frames:
                line.status = S_DONE
        if line.status != status and not line.news:
            line.news = True
            self.news[self.news_count] = line
            self.news_count += 1

    cdef void play_due(self, LineState* line, long long now_us) noexcept nogil:
        cdef Py_ssize_t size = 0
        cdef long long due, since = 0, count = 0, index
        cdef uint64_t dice, key
        cdef TrackState* track
        cdef int i
        while line.status == S_PLAYING and not line.tail_size and line.sent < line.frames:
            due = _due(line)
            if due > now_us:
                break
            index = (line.first + line.sent) % line.loop
            for i in range(line.tracks):
                track = &line.track[i]
                dice = _draw(&line.dice)
                key = _draw(&line.dice)
                if (dice & LOW32) < line.drop_limit or (not line.send_silence and track.quiet[index]):
                    continue
                line.sequence += 1
                track.chunk += 1
                if count == 0:
                    since = due
                size += _render(line, track, index, dice, key, self.scratch + size)
                count += 1
                if not self.coalesced:
                    self.write(line, size, count, since)
                    size = count = 0
            line.sent += 1
            if size >= CHUNK:
                self.write(line, size, count, since)
                size = count = 0
        if count:
            self.write(line, size, count, since)

    cdef void write(self, LineState* line, Py_ssize_t size, long long count, long long due_us) noexcept nogil:
        cdef Py_ssize_t taken = 0
        if line.status != S_PLAYING:
            return
        if line.tail_size:
            if _keep(line, self.scratch, size):
                line.tail_messages += count
            else:
                line.status = S_STALLED
            return
        taken = self.put(line, self.scratch, size)
        if taken == size:
            self.count(line, count, due_us)
        elif line.status != S_PLAYING:
            return
        elif _keep(line, self.scratch + taken, size - taken):
            line.tail_messages = count
            line.tail_due = due_us
        else:
            line.status = S_STALLED

    cdef Py_ssize_t put(self, LineState* line, const unsigned char* data, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t taken = _write(line, data, size)
        if self.live:
            self.now = _now_us()
        return taken

    cdef bint flush(self, LineState* line) noexcept nogil:
        cdef Py_ssize_t taken = self.put(line, line.tail + line.tail_at, line.tail_size)
        line.tail_at += taken
        line.tail_size -= taken
        if line.tail_size or line.status == S_LOST:
            return False
        free(line.tail)
        line.tail = NULL
        self.count(line, line.tail_messages, line.tail_due)
        line.tail_messages = 0
        line.tail_due = -1
        return True

    cdef void count(self, LineState* line, long long count, long long due_us) noexcept nogil:
        cdef long long late = (self.now - due_us) // 100
        line.messages += count
        self.total += count
        if due_us >= 0:
            self.late[0 if late < 0 else late if late < BINS - 1 else BINS - 1] += count
