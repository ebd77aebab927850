/* What the tests of kernels share: one instruction set after the other, and memory that ends where reading must. */
#ifndef TESTS_KERNELS_LEVELS_H
#define TESTS_KERNELS_LEVELS_H

#include "testing.h"

#include <sys/mman.h>

#include "base/cpu.h"

/** Fill the kernels for each instruction set and check them; what this machine lacks is left out aloud. */
static inline void for_each_level(void (*fill)(unsigned flags), void (*check)(void))
{
    static const struct {
        const char *name;
        unsigned flags;
    } levels[] = {{"avx2", CPU_SSE41 | CPU_AVX2},
                  {"avx512", CPU_SSE41 | CPU_AVX2 | CPU_AVX512},
                  {"avx512 vbmi", CPU_SSE41 | CPU_AVX2 | CPU_AVX512 | CPU_AVX512_VBMI}};
    unsigned here = cpu_flags();
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if ((levels[i].flags & here) != levels[i].flags) {
            print_message("skipped: no %s here\n", levels[i].name);
            continue;
        }
        fill(levels[i].flags);
        check();
    }
}

/** `room` readable bytes (whole pages) that a forbidden page follows; NULL where there is no memory. */
static inline uint8_t *fenced_memory(size_t room)
{
    enum { PAGE = 4096 };
    uint8_t *memory = mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED || mprotect(memory + room, PAGE, PROT_NONE) ? NULL : memory;
}

#endif
