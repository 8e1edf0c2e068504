/* Tells libFuzzer (inside atheris) which blocks of the kernels run, and what they compare.

   gcc's -fsanitize-coverage=trace-pc,trace-cmp calls the hooks below; libFuzzer has dropped the first of them, and
   atheris keeps the others to itself. This library is preloaded, counts blocks in a table that libFuzzer knows as
   counters of its own, and hands the comparisons on. The calls that hand on are in tail position: libFuzzer tells
   comparisons apart by their return address, which is the kernel's. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>

enum { COUNTERS = 1 << 14 };

static uint8_t counters[COUNTERS];
static uint8_t reached[COUNTERS];
static uintptr_t blocks[2 * COUNTERS]; /* address and flags of each, as libFuzzer's table of blocks has them */

void __sanitizer_cov_trace_pc(void) {
    /* Places in a library keep their distances, so that a multiplicative hash spreads them alike in every run. */
    uint32_t place = (uint32_t)(uintptr_t)__builtin_return_address(0) * 2654435761u >> 18;
    counters[place]++;
    reached[place] = 1;
}

#define HAND_ON(name, type)                                  \
    static void (*name)(type, type);                         \
    void __sanitizer_cov_##name(type left, type right) {     \
        if (name)                                            \
            name(left, right);                               \
    }

HAND_ON(trace_cmp1, uint8_t)
HAND_ON(trace_cmp2, uint16_t)
HAND_ON(trace_cmp4, uint32_t)
HAND_ON(trace_cmp8, uint64_t)
HAND_ON(trace_const_cmp1, uint8_t)
HAND_ON(trace_const_cmp2, uint16_t)
HAND_ON(trace_const_cmp4, uint32_t)
HAND_ON(trace_const_cmp8, uint64_t)

static void (*trace_switch)(uint64_t, uint64_t *);
void __sanitizer_cov_trace_switch(uint64_t value, uint64_t *cases) {
    if (trace_switch)
        trace_switch(value, cases);
}

/* What the address sanitizer tells of memcmp: the scanner's literals. */
static void (*compared)(void *, const void *, const void *, size_t, int);
void __sanitizer_weak_hook_memcmp(void *caller, const void *left, const void *right, size_t size, int result) {
    if (compared)
        compared(caller, left, right, size, result);
}

static void (*take_counters)(uint8_t *, uint8_t *);
static void (*take_blocks)(const uintptr_t *, const uintptr_t *);

/* The sanitizers' own of these, which do nothing, would keep the coverage of Python code from libFuzzer. */
void __sanitizer_cov_8bit_counters_init(uint8_t *start, uint8_t *stop) {
    if (take_counters)
        take_counters(start, stop);
}

void __sanitizer_cov_pcs_init(const uintptr_t *start, const uintptr_t *stop) {
    if (take_blocks)
        take_blocks(start, stop);
}

/* libFuzzer has no use for these. */
void __sanitizer_cov_trace_cmpf(float left, float right) {}
void __sanitizer_cov_trace_cmpd(double left, double right) {}

/* Connect with the library that holds libFuzzer, which is loaded; 0, or -1 if it is another one than expected. */
int connect_fuzzer(const char *path) {
    void *fuzzer = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    if (!fuzzer)
        return -1;
#define FIND(name, symbol) if (!(name = dlsym(fuzzer, "__sanitizer_" symbol))) return -1
    FIND(compared, "weak_hook_memcmp");
    FIND(trace_cmp1, "cov_trace_cmp1");
    FIND(trace_cmp2, "cov_trace_cmp2");
    FIND(trace_cmp4, "cov_trace_cmp4");
    FIND(trace_cmp8, "cov_trace_cmp8");
    FIND(trace_const_cmp1, "cov_trace_const_cmp1");
    FIND(trace_const_cmp2, "cov_trace_const_cmp2");
    FIND(trace_const_cmp4, "cov_trace_const_cmp4");
    FIND(trace_const_cmp8, "cov_trace_const_cmp8");
    FIND(trace_switch, "cov_trace_switch");
    FIND(take_counters, "cov_8bit_counters_init");
    FIND(take_blocks, "cov_pcs_init");
    take_counters(counters, counters + COUNTERS);
    take_blocks(blocks, blocks + 2 * COUNTERS);
    return 0;
}

/* Blocks of the kernels that have run so far. */
int blocks_reached(void) {
    int count = 0;
    for (int i = 0; i < COUNTERS; i++)
        count += reached[i];
    return count;
}
