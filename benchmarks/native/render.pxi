# Part of sender.pyx: one message of a line, as bytes. What it says is `benchmarks/load/voice.py`.


cdef inline uint64_t _draw(uint64_t* state) noexcept nogil:
    cdef uint64_t value
    state[0] += <uint64_t>0x9E3779B97F4A7C15
    value = state[0]
    value = (value ^ (value >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    value = (value ^ (value >> 27)) * <uint64_t>0x94D049BB133111EB
    return value ^ (value >> 31)


cdef inline unsigned char* _text(unsigned char* out, const void* text, Py_ssize_t size) noexcept nogil:
    memcpy(out, text, size)
    return out + size


cdef inline unsigned char* _digits(unsigned char* out, long long value) noexcept nogil:
    cdef unsigned char[20] room
    cdef int at = 20
    while True:
        at -= 1
        room[at] = <unsigned char>(c"0" + value % 10)
        value //= 10
        if value == 0:
            break
    return _text(out, room + at, 20 - at)


cdef unsigned char* _base64(unsigned char* out, const unsigned char* data, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i = 0
    cdef unsigned int group
    while i < size:
        group = <unsigned int>data[i] << 16
        if i + 1 < size:
            group |= <unsigned int>data[i + 1] << 8
        if i + 2 < size:
            group |= data[i + 2]
        out[0] = ALPHABET[group >> 18]
        out[1] = ALPHABET[(group >> 12) & 63]
        out[2] = ALPHABET[(group >> 6) & 63] if i + 1 < size else c"="
        out[3] = ALPHABET[group & 63] if i + 2 < size else c"="
        out += 4
        i += 3
    return out


cdef inline void _mask(unsigned char* data, Py_ssize_t size, uint64_t key) noexcept nogil:
    cdef uint64_t word
    cdef Py_ssize_t i = 0
    cdef unsigned char[8] bytes
    key = (key & LOW32) | (key << 32)
    while i + 8 <= size:
        memcpy(&word, data + i, 8)
        word ^= key
        memcpy(data + i, &word, 8)
        i += 8
    memcpy(bytes, &key, 8)
    while i < size:
        data[i] ^= bytes[i & 7]
        i += 1


cdef Py_ssize_t _render(
    LineState* line, TrackState* track, long long index, uint64_t dice, uint64_t key, unsigned char* out
) noexcept nogil:
    """Bytes of a message's frame, written to ``out``, which has MESSAGE."""
    cdef unsigned char* text = out + 8
    cdef unsigned char* at = text
    cdef Py_ssize_t size
    cdef long long stamp = line.stamp + 20 * line.sent
    if line.sent:
        stamp += (<long long>((dice >> 32) & 0xFFFF) * (2 * line.jitter_ms + 1) >> 16) - line.jitter_ms
    at = _digits(_text(at, b'{"event":"media","sequenceNumber":"', 35), line.sequence)
    at = _text(_text(at, b'","media":{"track":"', 20), track.name, track.name_size)
    at = _digits(_text(at, b'","chunk":"', 11), track.chunk)
    at = _digits(_text(at, b'","timestamp":"', 15), stamp if stamp > 0 else 0)
    at = _text(at, b'","payload":"', 13)
    if line.odd:
        at = _base64(at, track.ulaw + index * FRAME, <Py_ssize_t>((dice >> 48) % (ODD + 1)))
    else:
        at = _text(at, track.coded + index * CODED, CODED)
    at = _text(_text(_text(at, b'"},"streamSid":"', 16), line.sid, line.sid_size), b'"}', 2)
    size = at - text
    _mask(text, size, key)
    out[0] = 0x81
    memcpy(out + 4, &key, 4)
    if size < 126:
        # A short SID and an empty payload.
        out[1] = <unsigned char>(0x80 | size)
        memmove(out + 2, out + 4, size + 4)
        return size + 6
    out[1] = 0xFE
    out[2] = <unsigned char>(size >> 8)
    out[3] = <unsigned char>size
    return size + 8
