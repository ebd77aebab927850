/* The kernels in plain C and the table that chooses among versions (the pattern of dav1d's DSP contexts). Plain C is
 * the definition: tests/kernels/test_prep.c holds every other version against it. */
#include "prep/kernels.h"

#include <pthread.h>

#include "base/cpu.h"

static void stretch_c(const uint8_t *from, uint16_t *to, size_t count, const uint32_t *at, const uint16_t *weight,
                      size_t step, int shift)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = from + at[i];
        unsigned second = weight[2 * i + 1] ? pixel[step] * (unsigned)weight[2 * i + 1] : 0;
        to[i] = (uint16_t)((pixel[0] * (unsigned)weight[2 * i] + second) >> shift);
    }
}

static void blend_linear_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                           unsigned b1)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((((b0 * row0[i]) >> 16) + ((b1 * row1[i]) >> 16) + 2) >> 2);
}

static void blend_exact_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                          unsigned b1)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((b0 * row0[i] + b1 * row1[i] + (1u << 15)) >> 16);
}

static void halve_c(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((row0[2 * i] + row0[2 * i + 1] + row1[2 * i] + row1[2 * i + 1] + 2) >> 2);
}

void prep_kernels_fill(prep_kernels *table, unsigned flags)
{
    (void)flags;
    *table = (prep_kernels){
        .stretch = stretch_c,
        .blend_linear = blend_linear_c,
        .blend_exact = blend_exact_c,
        .halve = halve_c,
    };
}

static prep_kernels kernels_here;
static pthread_once_t kernels_once = PTHREAD_ONCE_INIT;

static void kernels_choose(void)
{
    prep_kernels_fill(&kernels_here, cpu_flags());
}

const prep_kernels *prep_kernels_get(void)
{
    pthread_once(&kernels_once, kernels_choose);
    return &kernels_here;
}
