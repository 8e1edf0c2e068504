"""The strict reader of Twilio's ``media`` message: what other kernels may use."""

cdef struct MediaFields:
    int track              # 0 inbound, 1 outbound
    long long timestamp_ms
    long long sequence
    long long chunk
    Py_ssize_t payload     # where the base64 text begins in the message, and its length
    Py_ssize_t payload_size
    Py_ssize_t sid         # where the stream's SID begins, and its length
    Py_ssize_t sid_size

cdef bint scan_fields(const unsigned char* message, Py_ssize_t size, MediaFields* fields) noexcept nogil
cdef Py_ssize_t decode_base64(const unsigned char* text, Py_ssize_t size, unsigned char* out) noexcept nogil
cdef Py_ssize_t check_base64(const unsigned char* text, Py_ssize_t size) noexcept nogil
