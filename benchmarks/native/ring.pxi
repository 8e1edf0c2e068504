# Part of sender.pyx: many sends in one system call, through io_uring where the kernel has it and lets us (Linux 5.7;
# containers often forbid it). No library is needed: the two rings are shared memory, and the rest is three system calls.

cdef extern from *:
    """
    #include <errno.h>
    #include <limits.h>
    #include <string.h>
    #include <sys/mman.h>
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    #if defined(__linux__) && defined(__has_include) && defined(__NR_io_uring_setup)
    #if __has_include(<linux/io_uring.h>)
    #define SENDER_HAS_RING 1
    #include <linux/io_uring.h>
    #endif
    #endif

    typedef struct {
        int fd;
        unsigned entries, *sq_head, *sq_tail, *sq_array, sq_mask, *cq_head, *cq_tail, cq_mask;
        size_t map_size, sqe_size;
        void *map, *sqes, *cqes;
    } Ring;

    #ifdef SENDER_HAS_RING

    static void ring_close(Ring *ring) {
        if (ring->sqes) munmap(ring->sqes, ring->sqe_size);
        if (ring->map) munmap(ring->map, ring->map_size);
        if (ring->fd >= 0) close(ring->fd);
        memset(ring, 0, sizeof *ring);
        ring->fd = -1;
    }

    /* 0, or errno: then there is no ring. */
    static int ring_open(Ring *ring, unsigned entries) {
        struct io_uring_params params;
        size_t sq_size, cq_size;
        char *map;
        memset(ring, 0, sizeof *ring);
        memset(&params, 0, sizeof params);
        ring->fd = (int)syscall(__NR_io_uring_setup, entries, &params);
        if (ring->fd < 0) {
            ring->fd = -1;
            return errno ? errno : ENOSYS;
        }
        /* FAST_POLL came with 5.7: sends in the ring with 5.6, one mapping for both rings with 5.4. */
        if (!(params.features & IORING_FEAT_SINGLE_MMAP) || !(params.features & IORING_FEAT_FAST_POLL)) {
            ring_close(ring);
            return ENOSYS;
        }
        sq_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
        cq_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
        ring->map_size = sq_size > cq_size ? sq_size : cq_size;
        ring->sqe_size = params.sq_entries * sizeof(struct io_uring_sqe);
        ring->map = mmap(NULL, ring->map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                         IORING_OFF_SQ_RING);
        if (ring->map == MAP_FAILED) ring->map = NULL;
        ring->sqes = mmap(NULL, ring->sqe_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                          IORING_OFF_SQES);
        if (ring->sqes == MAP_FAILED) ring->sqes = NULL;
        if (!ring->map || !ring->sqes) {
            ring_close(ring);
            return ENOMEM;
        }
        map = ring->map;
        ring->entries = params.sq_entries;
        ring->sq_head = (unsigned *)(map + params.sq_off.head);
        ring->sq_tail = (unsigned *)(map + params.sq_off.tail);
        ring->sq_array = (unsigned *)(map + params.sq_off.array);
        ring->sq_mask = *(unsigned *)(map + params.sq_off.ring_mask);
        ring->cq_head = (unsigned *)(map + params.cq_off.head);
        ring->cq_tail = (unsigned *)(map + params.cq_off.tail);
        ring->cq_mask = *(unsigned *)(map + params.cq_off.ring_mask);
        ring->cqes = map + params.cq_off.cqes;
        return 0;
    }

    /* Put in the send that comes `ahead` places after what was submitted last. */
    static void ring_put(Ring *ring, unsigned ahead, int fd, const void *data, size_t size) {
        unsigned at = (*ring->sq_tail + ahead) & ring->sq_mask;
        struct io_uring_sqe *entry = (struct io_uring_sqe *)ring->sqes + at;
        memset(entry, 0, sizeof *entry);
        entry->opcode = IORING_OP_SEND;
        entry->fd = fd;
        entry->addr = (unsigned long)data;
        entry->len = (unsigned)size;
        entry->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
        entry->user_data = ahead;
        ring->sq_array[at] = at;
    }

    /* Do them, and wait for all: bytes taken, or -errno, of each; INT_MIN for those that the kernel did not look at. */
    static void ring_go(Ring *ring, unsigned count, int *results) {
        unsigned head, left = count, i;
        for (i = 0; i < count; i++) results[i] = INT_MIN;
        __atomic_store_n(ring->sq_tail, *ring->sq_tail + count, __ATOMIC_RELEASE);
        for (;;) {
            /* MSG_DONTWAIT makes every send end at once: there is nothing to wait for but the kernel's own work. */
            long done = syscall(__NR_io_uring_enter, ring->fd, left, count, IORING_ENTER_GETEVENTS, NULL, 0);
            if (done < 0 && errno != EINTR) break;
            left -= done > 0 && (unsigned)done <= left ? (unsigned)done : 0;
            if (!left && __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head >= count) break;
        }
        /* What was not taken in is taken back. */
        if (left) {
            count -= left;
            __atomic_store_n(ring->sq_tail, *ring->sq_tail - left, __ATOMIC_RELEASE);
            while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) - *ring->cq_head < count)
                if (syscall(__NR_io_uring_enter, ring->fd, 0, count, IORING_ENTER_GETEVENTS, NULL, 0) < 0 &&
                    errno != EINTR)
                    break;
        }
        for (head = *ring->cq_head; head != __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE); head++) {
            const struct io_uring_cqe *entry = (struct io_uring_cqe *)ring->cqes + (head & ring->cq_mask);
            results[entry->user_data] = entry->res;
        }
        __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
    }

    #else

    static void ring_close(Ring *ring) { ring->fd = -1; }
    static int ring_open(Ring *ring, unsigned entries) { (void)entries; ring->fd = -1; return ENOSYS; }
    static void ring_put(Ring *ring, unsigned ahead, int fd, const void *data, size_t size) {
        (void)ring; (void)ahead; (void)fd; (void)data; (void)size;
    }
    static void ring_go(Ring *ring, unsigned count, int *results) {
        (void)ring;
        while (count) results[--count] = INT_MIN;
    }

    #endif
    """
    ctypedef struct Ring:
        int fd
    int ring_open(Ring* ring, unsigned entries) noexcept nogil
    void ring_close(Ring* ring) noexcept nogil
    void ring_put(Ring* ring, unsigned ahead, int fd, const void* data, size_t size) noexcept nogil
    void ring_go(Ring* ring, unsigned count, int* results) noexcept nogil
    int INT_MIN
