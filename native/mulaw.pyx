"""G.711 μ-law to 16-bit PCM and back."""

cimport numpy as cnp
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

import numpy as np

cnp.import_array()

__all__ = ["decode", "encode"]


cdef enum:
    # ITU-T G.711 table 2a, on the 14-bit scale, which is the 16-bit one over four.
    BIAS = 33
    CLIP = 8158
    SUM_RUN = 256

cdef int16_t[256] _DECODE
# How often each sample of a run is counted in the second of :func:`add_sums`' sums.
cdef int16_t[SUM_RUN] _WEIGHTS


cdef void _fill_table() noexcept nogil:
    cdef int byte, code, magnitude
    for byte in range(256):
        code = ~byte & 0xFF
        magnitude = (((((code & 15) << 1) + BIAS) << ((code >> 4) & 7)) - BIAS) * 4
        _DECODE[byte] = <int16_t>(-magnitude if code & 0x80 else magnitude)
    for byte in range(SUM_RUN):
        _WEIGHTS[byte] = <int16_t>(SUM_RUN - byte)

_fill_table()


cdef void decode_into(const unsigned char* data, Py_ssize_t size, int16_t* pcm) noexcept nogil:
    """Decode ``size`` bytes into as many samples."""
    cdef Py_ssize_t i
    for i in range(size):
        pcm[i] = _DECODE[data[i]]


cdef void add_sums(const unsigned char* data, Py_ssize_t size, uint64_t* a, uint64_t* b) noexcept nogil:
    """``a += sample; b += a`` for each sample, a run at a time, so that no step waits for the one before."""
    cdef int16_t[SUM_RUN] pcm
    cdef const int16_t* weights
    cdef Py_ssize_t done = 0, run, i
    # 2^15 × (256 + 255 + … + 1) is less than 2^31.
    cdef int plain, weighted
    while done < size:
        run = min(size - done, <Py_ssize_t>SUM_RUN)
        decode_into(data + done, run, pcm)
        weights = &_WEIGHTS[SUM_RUN - run]
        plain = weighted = 0
        for i in range(run):
            plain += pcm[i]
            weighted += <int>pcm[i] * <int>weights[i]
        b[0] += <uint64_t>run * a[0] + <uint64_t>weighted
        a[0] += <uint64_t>plain
        done += run


cdef inline unsigned char _encode_sample(int16_t sample) noexcept nogil:
    cdef int value = sample >> 2
    cdef int mask = 0xFF
    cdef int segment = 0
    if value < 0:
        value = -value
        mask = 0x7F
    value = (CLIP if value > CLIP else value) + BIAS
    while value >> (segment + 6):
        segment += 1
    return <unsigned char>(((segment << 4) | ((value >> (segment + 1)) & 15)) ^ mask)


def decode(bytes data not None):
    """PCM of μ-law bytes, one sample a byte; both zeros (0xFF, 0x7F) give 0. TypeError if not bytes."""
    cdef cnp.npy_intp size = PyBytes_GET_SIZE(data)
    cdef cnp.ndarray pcm = cnp.PyArray_SimpleNew(1, &size, cnp.NPY_INT16)
    decode_into(<const unsigned char*>PyBytes_AS_STRING(data), size, <int16_t*>cnp.PyArray_DATA(pcm))
    return pcm


def encode(cnp.ndarray pcm not None):
    """μ-law bytes of 16-bit PCM, one byte a sample; TypeError if not a one-dimensional int16 array."""
    if cnp.PyArray_TYPE(pcm) != cnp.NPY_INT16 or cnp.PyArray_NDIM(pcm) != 1:
        raise TypeError("PCM must be a one-dimensional int16 array")
    cdef cnp.ndarray dense = np.ascontiguousarray(pcm, dtype="=i2")
    cdef Py_ssize_t size = cnp.PyArray_SIZE(dense)
    cdef const int16_t* samples = <const int16_t*>cnp.PyArray_DATA(dense)
    cdef bytes data = PyBytes_FromStringAndSize(NULL, size)
    cdef unsigned char* out = <unsigned char*>PyBytes_AS_STRING(data)
    cdef Py_ssize_t i
    for i in range(size):
        out[i] = _encode_sample(samples[i])
    return data
