"""WebSocket frames of a client (RFC 6455 §5.2): header and unmasking."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from gateway._native.frames_py import BINARY, BROKEN, CLOSE, CONTINUATION, NEED, PING, PONG, TEXT, Frame

__all__ = ["BINARY", "BROKEN", "CLOSE", "CONTINUATION", "NEED", "PING", "PONG", "TEXT", "Frame", "parse", "unmasked"]

cdef enum:
    FIN = 0x80
    RESERVED = 0x70
    MASKED = 0x80
    # A bit for each opcode that RFC 6455 §11.8 defines.
    KNOWN_OPCODES = (1 << 0) | (1 << 1) | (1 << 2) | (1 << 8) | (1 << 9) | (1 << 10)


cdef Verdict parse_frame(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t max_payload, FrameHeader* header
) noexcept nogil:
    """Judge the frame that begins at ``data``; ``header`` is set only for a whole one."""
    cdef uint64_t length
    cdef int width = 0
    cdef int i
    cdef Py_ssize_t body
    if size < 2:
        return VERDICT_NEED
    header.opcode = data[0] & 0x0F
    header.fin = (data[0] & FIN) != 0
    length = data[1] & 0x7F
    if data[0] & RESERVED or not data[1] & MASKED or not (KNOWN_OPCODES >> header.opcode) & 1:
        return VERDICT_BROKEN
    if header.opcode & 8 and (length > 125 or not header.fin):
        return VERDICT_BROKEN
    if length > 125:
        width = 2 if length == 126 else 8
        if size < 2 + width:
            return VERDICT_NEED
        length = 0
        for i in range(width):
            length = (length << 8) | data[2 + i]
        if length < <uint64_t>(126 if width == 2 else 65536):
            return VERDICT_BROKEN
    if length > <uint64_t>max_payload:
        return VERDICT_BROKEN
    body = 6 + width
    if size < body or <uint64_t>(size - body) < length:
        return VERDICT_NEED
    header.body = body
    header.length = <Py_ssize_t>length
    return VERDICT_WHOLE


cdef void unmask(
    const unsigned char* data, Py_ssize_t size, const unsigned char* key, unsigned char* out
) noexcept nogil:
    """Unmask ``size`` bytes of ``data`` into ``out``; the two do not overlap."""
    cdef uint64_t key8 = 0, word
    cdef Py_ssize_t i = 0
    memcpy(&key8, key, 4)
    memcpy(<unsigned char*>&key8 + 4, key, 4)
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= key8
        memcpy(out + i, &word, 8)
        i += 8
    while i < size:
        out[i] = data[i] ^ key[i & 3]
        i += 1


def unmasked(bytes data not None, bytes key not None):
    """``data`` under a masking key of four bytes; the twin's docstring has the details."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    cdef bytes out
    if PyBytes_GET_SIZE(key) != 4:
        raise ValueError(f"a masking key has 4 bytes, not {PyBytes_GET_SIZE(key)}")
    out = PyBytes_FromStringAndSize(NULL, size)
    unmask(
        <const unsigned char*>PyBytes_AS_STRING(data), size,
        <const unsigned char*>PyBytes_AS_STRING(key), <unsigned char*>PyBytes_AS_STRING(out),
    )
    return out


def parse(bytes buffer not None, Py_ssize_t offset, Py_ssize_t max_payload):
    """The frame that begins at ``offset``, NEED, or BROKEN; the twin's docstring has the details."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(buffer)
    cdef const unsigned char* data = <const unsigned char*>PyBytes_AS_STRING(buffer) + offset
    cdef FrameHeader header
    cdef Verdict verdict
    cdef bytes payload
    if not 0 <= offset <= size:
        raise ValueError(f"the offset must lie in 0..{size}, not {offset}")
    if max_payload < 0:
        raise ValueError(f"max_payload must not be negative, not {max_payload}")
    verdict = parse_frame(data, size - offset, max_payload, &header)
    if verdict != VERDICT_WHOLE:
        return <int>verdict
    payload = PyBytes_FromStringAndSize(NULL, header.length)
    unmask(data + header.body, header.length, data + header.body - 4, <unsigned char*>PyBytes_AS_STRING(payload))
    return Frame(header.fin, header.opcode, payload, offset, offset + header.body + header.length)
