"""The strict reader of Twilio's ``media`` message; anything but the one known spelling is left to a JSON parser."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp

from gateway._native.scanner_py import Media

__all__ = ["INBOUND", "OUTBOUND", "Media", "decoded", "scan"]

INBOUND = 0
OUTBOUND = 1

cdef enum:
    MAX_DIGITS = 15
    MAX_SID = 64
    BAD = 0x80000000

# One table for each place in a group of four: the six bits where they belong in the three bytes, or BAD.
cdef uint32_t[4][256] _SEXTETS


cdef void _fill_tables() noexcept nogil:
    cdef const char* alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    cdef int place, i
    for place in range(4):
        for i in range(256):
            _SEXTETS[place][i] = BAD
        for i in range(64):
            _SEXTETS[place][<unsigned char>alphabet[i]] = <uint32_t>i << (18 - 6 * place)

_fill_tables()


cdef Py_ssize_t decode_base64(const unsigned char* text, Py_ssize_t size, unsigned char* out) noexcept nogil:
    """Bytes written to ``out``, or −1 if ``text`` is not strict base64; ``out`` may be ``text``."""
    cdef Py_ssize_t i = 0, n = 0
    cdef Py_ssize_t padding = 0
    cdef uint32_t group, seen = 0
    if size & 3:
        return -1
    if size and text[size - 1] == c"=":
        padding = 2 if text[size - 2] == c"=" else 1
    while i < size - (4 if padding else 0):
        group = (
            _SEXTETS[0][text[i]] | _SEXTETS[1][text[i + 1]] | _SEXTETS[2][text[i + 2]] | _SEXTETS[3][text[i + 3]]
        )
        seen |= group
        out[n] = <unsigned char>(group >> 16)
        out[n + 1] = <unsigned char>(group >> 8)
        out[n + 2] = <unsigned char>group
        i += 4
        n += 3
    if padding:
        group = _SEXTETS[0][text[i]] | _SEXTETS[1][text[i + 1]]
        if padding == 1:
            group |= _SEXTETS[2][text[i + 2]]
        seen |= group
        out[n] = <unsigned char>(group >> 16)
        n += 1
        if padding == 1:
            out[n] = <unsigned char>(group >> 8)
            n += 1
    return -1 if seen & BAD else n


cdef Py_ssize_t check_base64(const unsigned char* text, Py_ssize_t size) noexcept nogil:
    """What :func:`decode_base64` returns, without decoding."""
    cdef Py_ssize_t i
    cdef Py_ssize_t padding = 0
    cdef unsigned char char, bad = 0
    if size & 3:
        return -1
    if size and text[size - 1] == c"=":
        padding = 2 if text[size - 2] == c"=" else 1
    # No branch and no table, so that the compiler takes many characters at once. A letter's case is bit 0x20.
    for i in range(size - padding):
        char = text[i]
        bad |= not (
            (<unsigned char>((char | 0x20) - c"a") < 26)
            | (<unsigned char>(char - c"0") < 10)
            | (char == c"+")
            | (char == c"/")
        )
    return -1 if bad else size // 4 * 3 - padding


# Where a scan stands in a message, and how much there is.
cdef struct Cursor:
    const unsigned char* data
    Py_ssize_t size
    Py_ssize_t at


cdef inline bint _literal(Cursor* cursor, const char* text, Py_ssize_t length) noexcept nogil:
    if cursor.size - cursor.at < length or memcmp(cursor.data + cursor.at, text, length):
        return False
    cursor.at += length
    return True


cdef inline bint _number(Cursor* cursor, long long* value) noexcept nogil:
    """Digits up to a quote, which is left; no leading zeros, 15 digits at most."""
    cdef Py_ssize_t first = cursor.at
    cdef unsigned char digit
    value[0] = 0
    while cursor.at < cursor.size and cursor.at - first <= MAX_DIGITS:
        digit = <unsigned char>(cursor.data[cursor.at] - c"0")
        if digit > 9:
            break
        value[0] = value[0] * 10 + digit
        cursor.at += 1
    if not 1 <= cursor.at - first <= MAX_DIGITS:
        return False
    return cursor.data[first] != c"0" or cursor.at - first == 1


cdef inline bint _sid(Cursor* cursor, MediaFields* fields) noexcept nogil:
    cdef unsigned char char
    fields.sid = cursor.at
    while cursor.at < cursor.size:
        char = cursor.data[cursor.at]
        if not (c"0" <= char <= c"9" or c"A" <= char <= c"Z" or c"a" <= char <= c"z"):
            break
        cursor.at += 1
    fields.sid_size = cursor.at - fields.sid
    return 1 <= fields.sid_size <= MAX_SID


cdef inline bint _payload(Cursor* cursor, MediaFields* fields) noexcept nogil:
    cdef const unsigned char* quote = <const unsigned char*>memchr(
        cursor.data + cursor.at, c'"', cursor.size - cursor.at
    )
    if quote == NULL:
        return False
    fields.payload = cursor.at
    fields.payload_size = quote - (cursor.data + cursor.at)
    cursor.at += fields.payload_size
    return True


cdef bint scan_fields(const unsigned char* message, Py_ssize_t size, MediaFields* fields) noexcept nogil:
    """Whether the message has the known spelling; its payload is still to be judged by :func:`decode_base64`."""
    cdef Cursor cursor
    cursor.data = message
    cursor.size = size
    cursor.at = 0
    if not _literal(&cursor, '{"event":"media","sequenceNumber":"', 35) or not _number(&cursor, &fields.sequence):
        return False
    if not _literal(&cursor, '","media":{"track":"', 20):
        return False
    if _literal(&cursor, 'inbound","chunk":"', 18):
        fields.track = 0
    elif _literal(&cursor, 'outbound","chunk":"', 19):
        fields.track = 1
    else:
        return False
    if not _number(&cursor, &fields.chunk) or not _literal(&cursor, '","timestamp":"', 15):
        return False
    if not _number(&cursor, &fields.timestamp_ms) or not _literal(&cursor, '","payload":"', 13):
        return False
    if not _payload(&cursor, fields) or not _literal(&cursor, '"},"streamSid":"', 16):
        return False
    return _sid(&cursor, fields) and _literal(&cursor, '"}', 2) and cursor.at == size


def decoded(bytes text not None):
    """The bytes that strict base64 stands for, or None; the twin's docstring has the details."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(text)
    cdef bytes room = PyBytes_FromStringAndSize(NULL, size // 4 * 3)
    cdef Py_ssize_t count = decode_base64(
        <const unsigned char*>PyBytes_AS_STRING(text), size, <unsigned char*>PyBytes_AS_STRING(room)
    )
    if count < 0:
        return None
    return room if count == PyBytes_GET_SIZE(room) else room[:count]


def scan(bytes message not None):
    """The media message in ``message``, or None if it is anything else; the twin's docstring has the details."""
    cdef const unsigned char* data = <const unsigned char*>PyBytes_AS_STRING(message)
    cdef MediaFields fields
    cdef bytes room
    cdef Py_ssize_t count
    if not scan_fields(data, PyBytes_GET_SIZE(message), &fields):
        return None
    room = PyBytes_FromStringAndSize(NULL, fields.payload_size // 4 * 3)
    count = decode_base64(data + fields.payload, fields.payload_size, <unsigned char*>PyBytes_AS_STRING(room))
    if count < 0:
        return None
    return Media(
        fields.track, fields.timestamp_ms, fields.sequence, fields.chunk, room[:count],
        data[fields.sid : fields.sid + fields.sid_size],
    )
