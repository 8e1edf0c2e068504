"""Sends the media of many calls, each in its own time, without the GIL; the twin, ``sender_py``, tells what it does.

A message is rendered where it is sent from, masked, and given to the socket; nothing is allocated for it. What is due of
up to 256 lines is sent in one system call where the kernel allows (``ring.pxi``), else in one each. One lock keeps whoever
adds and removes lines apart from who sends.
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

from benchmarks import sender_py
from benchmarks.sender_py import DONE, LATE_BINS, LOST, PLAYING, STALLED, Outcome
from benchmarks.voice import CODED_BYTES, FRAME_BYTES, MAX_SID
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
    CHUNK = 32768
    TAIL = 65536
    # Lines whose messages are sent in one system call.
    BATCH = 256
    # How often a running sender wakes at the most: so much is done at once when there is much to do.
    GRAIN_US = 1000
    # How long it may be behind without a pause, and the pause.
    RESTLESS_US = 5000
    REST_US = 250
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
    raise ImportError("benchmarks.sender was built for other numbers than its twin has: build it again")
if (sender_py.SLOT_US, sender_py.SLOTS, sender_py.STRIDE, sender_py.CHUNK, sender_py.TAIL) != (
    SLOT_US, SLOTS, STRIDE, CHUNK, TAIL
) or (PLAYING, DONE, LOST, STALLED) != (S_PLAYING, S_DONE, S_LOST, S_STALLED):
    raise ImportError("benchmarks.sender was built for other numbers than its twin has: build it again")

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

ctypedef LineState* LinePointer

ctypedef struct Staged:
    LineState* line
    Py_ssize_t at
    Py_ssize_t[2] size
    long long[2] count
    long long due

ctypedef struct Place:
    LineState** lines
    Py_ssize_t count
    Py_ssize_t allocated


include "render.pxi"
include "ring.pxi"
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
    cdef unsigned char* arena
    cdef Py_ssize_t arena_size
    cdef Py_ssize_t worst
    cdef LinePointer[BATCH] waiting_lines
    cdef int waiting_count
    cdef Staged[BATCH] staged
    cdef int[BATCH] results
    cdef int[BATCH] asked
    cdef Ring ring_
    cdef long long now
    cdef bint live
    cdef bint coalesced
    cdef long long patience_us
    cdef long long at
    cdef long long total
    cdef long long next_number
    cdef int last_slot
    cdef int waiting
    cdef bint stopping

    def __cinit__(self, bint coalesced=False, long long patience_us=10_000_000, bint ring=True):
        memset(self.wheel, 0, sizeof(self.wheel))
        self.ring_.fd = -1
        if patience_us <= 0:
            raise ValueError(f"patience_us must be positive, not {patience_us}")
        self.coalesced, self.patience_us = coalesced, patience_us
        self.at = -1
        self.lines = {}
        self.lock = PyThread_allocate_lock()
        self.late = <int64_t*>calloc(BINS, sizeof(int64_t))
        self.worst = CHUNK + 2 * MESSAGE if coalesced else 2 * MESSAGE
        self.arena_size = BATCH * MESSAGE + self.worst
        self.arena = <unsigned char*>malloc(self.arena_size)
        if self.lock == NULL or self.late == NULL or self.arena == NULL:
            raise MemoryError("no memory for a sender")
        if ring:
            ring_open(&self.ring_, BATCH)

    def __dealloc__(self):
        for i in range(SLOTS):
            free(self.wheel[i].lines)
        free(self.news)
        free(self.late)
        free(self.arena)
        ring_close(&self.ring_)
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
    def ring(self):
        """Whether many sends are one system call."""
        return self.ring_.fd >= 0

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
                self.sweep(now_us)
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
                if self.at < now // SLOT_US:
                    self.sweep(now)
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

    cdef void sweep(self, long long now_us) noexcept nogil:
        """The next places of the wheel, until now or until there is enough for one system call."""
        cdef Place* place
        cdef LineState* line
        cdef Py_ssize_t i
        cdef int status
        cdef bint full = False
        self.now = now_us
        while self.at < now_us // SLOT_US and not full:
            self.at += 1
            place = &self.wheel[self.at % SLOTS]
            for i in range(place.count):
                line = place.lines[i]
                status = line.status
                if status == S_LOST or status == S_STALLED:
                    continue
                if line.tail_size and not self.flush(line):
                    self.judge(line, status, now_us)
                    continue
                if status != S_PLAYING:
                    continue
                self.waiting_lines[self.waiting_count] = line
                self.waiting_count += 1
                if self.waiting_count == BATCH:
                    self.send_due(now_us)
                    full = True
        self.send_due(now_us)

    cdef void send_due(self, long long now_us) noexcept nogil:
        """Send all that is due of the lines that wait for it, a write of each at a time."""
        cdef int i, filled, kept
        cdef Py_ssize_t at
        while self.waiting_count:
            at = filled = kept = 0
            while filled < self.waiting_count and at + self.worst <= self.arena_size:
                at = self.render(self.waiting_lines[filled], &self.staged[filled], at, now_us)
                filled += 1
            self.write(filled, 0)
            if not self.coalesced:
                self.write(filled, 1)
            for i in range(filled):
                if self.is_due(self.staged[i].line, now_us):
                    self.waiting_lines[kept] = self.staged[i].line
                    kept += 1
                else:
                    self.judge(self.staged[i].line, S_PLAYING, now_us)
            for i in range(filled, self.waiting_count):
                self.waiting_lines[kept] = self.waiting_lines[i]
                kept += 1
            self.waiting_count = kept

    cdef inline bint is_due(self, LineState* line, long long now_us) noexcept nogil:
        return line.status == S_PLAYING and not line.tail_size and line.sent < line.frames and _due(line) <= now_us

    cdef void judge(self, LineState* line, int before, long long now_us) noexcept nogil:
        """After all that could be sent: has the line come to an end?"""
        if line.status == S_PLAYING:
            if line.tail_size and now_us - _due(line) > self.patience_us:
                line.status = S_STALLED
            elif not line.tail_size and line.sent >= line.frames:
                line.status = S_DONE
        if line.status != before and not line.news:
            line.news = True
            self.news[self.news_count] = line
            self.news_count += 1

    cdef Py_ssize_t render(self, LineState* line, Staged* staged, Py_ssize_t at, long long now_us) noexcept nogil:
        """The next write of a line, or one for each track; where the next line's may begin."""
        cdef Py_ssize_t size
        cdef long long due, index
        cdef uint64_t dice, key
        cdef TrackState* track
        cdef int i, which
        cdef Py_ssize_t begin = at
        staged.line, staged.at, staged.due = line, at, 0
        staged.size[0] = staged.size[1] = 0
        staged.count[0] = staged.count[1] = 0
        while self.is_due(line, now_us):
            due = _due(line)
            index = (line.first + line.sent) % line.loop
            which = 0
            for i in range(line.tracks):
                track = &line.track[i]
                dice = _draw(&line.dice)
                key = _draw(&line.dice)
                if (dice & LOW32) < line.drop_limit or (not line.send_silence and track.quiet[index]):
                    continue
                line.sequence += 1
                track.chunk += 1
                if at == begin:
                    staged.due = due
                size = _render(line, track, index, dice, key, self.arena + at)
                at += size
                staged.size[which] += size
                staged.count[which] += 1
                which += not self.coalesced
            line.sent += 1
            if at - begin >= CHUNK or (at > begin and not self.coalesced):
                break
        return at

    cdef void write(self, int filled, int which) noexcept nogil:
        """Send the first or the second write of what is staged: at most one of a line, since one that falls short
        must be the last.
        """
        cdef Staged* staged
        cdef int i, count = 0
        for i in range(filled):
            staged = &self.staged[i]
            if not staged.size[which] or staged.line.status != S_PLAYING:
                continue
            if staged.line.tail_size:
                self.keep(staged, which, 0)
                continue
            self.asked[count] = i
            if self.ring_.fd >= 0 and staged.line.target == NULL:
                ring_put(&self.ring_, count, staged.line.fd, self.data(staged, which), staged.size[which])
                count += 1
            else:
                self.settle(staged, which, self.write_one(staged.line, self.data(staged, which), staged.size[which]))
        if count:
            ring_go(&self.ring_, count, self.results)
            if self.live:
                self.now = _now_us()
        for i in range(count):
            staged = &self.staged[self.asked[i]]
            if self.results[i] == INT_MIN:
                self.settle(staged, which, self.write_one(staged.line, self.data(staged, which), staged.size[which]))
            else:
                self.settle(staged, which, _taken(staged.line, self.results[i]))

    cdef inline const unsigned char* data(self, Staged* staged, int which) noexcept nogil:
        return self.arena + staged.at + (staged.size[0] if which else 0)

    cdef Py_ssize_t write_one(self, LineState* line, const unsigned char* data, Py_ssize_t size) noexcept nogil:
        cdef Py_ssize_t taken = _write(line, data, size)
        if self.live:
            self.now = _now_us()
        return taken

    cdef void settle(self, Staged* staged, int which, Py_ssize_t taken) noexcept nogil:
        if taken == staged.size[which]:
            self.count(staged.line, staged.count[which], staged.due)
        elif staged.line.status == S_PLAYING:
            staged.line.tail_due = staged.due
            self.keep(staged, which, taken)

    cdef void keep(self, Staged* staged, int which, Py_ssize_t taken) noexcept nogil:
        """Keep what a socket has not taken."""
        if _keep(staged.line, self.data(staged, which) + taken, staged.size[which] - taken):
            staged.line.tail_messages += staged.count[which]
        else:
            staged.line.status = S_STALLED

    cdef bint flush(self, LineState* line) noexcept nogil:
        cdef Py_ssize_t taken = self.write_one(line, line.tail + line.tail_at, line.tail_size)
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
