"""WebSocket frames of a client: what other kernels may use."""

cdef enum:
    OPCODE_TEXT = 1

cdef enum Verdict:
    VERDICT_BROKEN = -1
    VERDICT_NEED = 0
    VERDICT_WHOLE = 1

cdef struct FrameHeader:
    bint fin
    int opcode
    Py_ssize_t body        # where the payload begins, counted from the frame's first byte; the key lies before it
    Py_ssize_t length      # of the payload

cdef Verdict parse_frame(
    const unsigned char* data, Py_ssize_t size, Py_ssize_t max_payload, FrameHeader* header
) noexcept nogil
cdef void unmask(
    const unsigned char* data, Py_ssize_t size, const unsigned char* key, unsigned char* out
) noexcept nogil
