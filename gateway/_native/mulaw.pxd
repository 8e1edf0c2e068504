"""G.711 μ-law: what other kernels may use."""

from libc.stdint cimport int16_t, uint64_t

cdef void decode_into(const unsigned char* data, Py_ssize_t size, int16_t* pcm) noexcept nogil
cdef void add_sums(const unsigned char* data, Py_ssize_t size, uint64_t* a, uint64_t* b) noexcept nogil
