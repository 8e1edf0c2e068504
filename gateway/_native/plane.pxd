"""The tick over many sockets."""

from gateway._native.reader cimport ReaderState

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
