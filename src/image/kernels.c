/* The conversion kernels in plain C and the table that chooses among versions. Plain C is the definition:
 * tests/kernels/test_prep_kernels.c holds every other version against it. */
#include "image/kernels.h"

#include <pthread.h>

#include "base/cpu.h"
#include "image/x86/kernels_x86.h"

void image_grey3_c(const uint8_t *from, uint8_t *to, size_t count, const uint16_t weight[3])
{
    for (size_t i = 0; i < count; i++, from += 3)
        to[i] = (uint8_t)((from[0] * weight[0] + from[1] * weight[1] + from[2] * weight[2] + (1 << 14)) >> 15);
}

void image_swap3_c(const uint8_t *from, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++, from += 3, to += 3) {
        uint8_t first = from[0];
        to[0] = from[2];
        to[1] = from[1];
        to[2] = first;
    }
}

void image_kernels_fill(image_kernels *table, unsigned flags)
{
    *table = (image_kernels){.grey3 = image_grey3_c, .swap3 = image_swap3_c};
#if defined(__x86_64__)
    if (flags & CPU_AVX2) {
        table->grey3 = image_grey3_avx2;
        table->swap3 = image_swap3_avx2;
    }
#else
    (void)flags;
#endif
}

static image_kernels kernels_here;
static pthread_once_t kernels_once = PTHREAD_ONCE_INIT;

static void kernels_choose(void)
{
    image_kernels_fill(&kernels_here, cpu_flags());
}

const image_kernels *image_kernels_get(void)
{
    pthread_once(&kernels_once, kernels_choose);
    return &kernels_here;
}
