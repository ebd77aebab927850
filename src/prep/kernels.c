/* The kernels in plain C and the table that chooses among versions (the pattern of dav1d's DSP contexts). Plain C is
 * the definition: tests/kernels/test_prep_kernels.c holds every other version against it. */
#include "prep/kernels.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "prep/x86/kernels_x86.h"

void prep_stretch_c(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                    const uint16_t *weight, size_t step, int shift)
{
    (void)length;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *pixel = from + at[i];
        unsigned second = weight[2 * i + 1] ? pixel[step] * (unsigned)weight[2 * i + 1] : 0;
        to[i] = (uint16_t)((pixel[0] * (unsigned)weight[2 * i] + second) >> shift);
    }
}

void prep_blend_linear_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                         unsigned b1)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((((b0 * row0[i]) >> 16) + ((b1 * row1[i]) >> 16) + 2) >> 2);
}

void prep_blend_exact_c(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0, unsigned b1)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((b0 * row0[i] + b1 * row1[i] + (1u << 15)) >> 16);
}

void prep_halve_c(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint8_t)((row0[2 * i] + row0[2 * i + 1] + row1[2 * i] + row1[2 * i + 1] + 2) >> 2);
}

void prep_blur_row_c(const uint8_t *from, uint16_t *to, size_t count, const uint16_t *weight, size_t size, size_t step)
{
    for (size_t i = 0; i < count; i++)
        to[i] = (uint16_t)(weight[0] * from[i]);
    for (size_t k = 1; k < size; k++)
        for (size_t i = 0; i < count; i++)
            to[i] = (uint16_t)(to[i] + weight[k] * from[i + k * step]);
}

void prep_blur_column_c(const uint16_t *const *rows, uint8_t *to, size_t count, const uint16_t *weight, size_t size)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t sum = 1u << 15;
        for (size_t k = 0; k < size; k++)
            sum += (uint32_t)weight[k] * rows[k][i];
        to[i] = (uint8_t)(sum >> 16);
    }
}

static uint8_t least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

static uint8_t most(uint8_t a, uint8_t b)
{
    return a < b ? b : a;
}

static uint8_t middle(uint8_t a, uint8_t b, uint8_t c)
{
    return most(least(a, b), least(most(a, b), c));
}

/* Smith 1996: with the columns sorted, the median of nine is the middle one of the largest of the lows, the middle of
 * the middles, and the least of the highs. */
void prep_median3_c(const uint8_t *const rows[3], uint8_t *to, size_t count, size_t step)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t low[3], mid[3], high[3];
        for (size_t k = 0; k < 3; k++) {
            uint8_t a = rows[0][i + k * step], b = rows[1][i + k * step], c = rows[2][i + k * step];
            low[k] = least(least(a, b), c);
            mid[k] = middle(a, b, c);
            high[k] = most(most(a, b), c);
        }
        to[i] = middle(most(most(low[0], low[1]), low[2]), middle(mid[0], mid[1], mid[2]),
                       least(least(high[0], high[1]), high[2]));
    }
}

void prep_clahe_row_c(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                      const uint32_t *column, const float *right, float lower)
{
    float upper = 1.0f - lower;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *four = table[column[i]][from[i]];
        float left = 1.0f - right[i];
        float value = ((float)four[0] * left + (float)four[1] * right[i]) * upper +
                      ((float)four[2] * left + (float)four[3] * right[i]) * lower;
        to[i] = (uint8_t)lrintf(value); /* a mean of bytes: 0..255 */
    }
}

/* 2^x for x ≤ 0: the power of two of the whole part times the series of e^(f ln 2) for the rest f in (−1, 0]. */
static float exp2_below_zero(float x)
{
    x = x < -126.0f ? -126.0f : x;
    int32_t whole = (int32_t)x; /* towards zero */
    float f = x - (float)whole;
    float series =
        1.0f +
        f * (0.69314718f +
             f * (0.24022651f + f * (0.055504109f + f * (0.0096181291f + f * (0.0013333558f + f * 0.00015403530f)))));
    uint32_t bits = (uint32_t)(whole + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return series * power;
}

enum { BILATERAL_BLOCK = 64 };

static void bilateral_grey(const uint8_t *centre, const uint8_t *near, float distance, size_t count, float likeness,
                           float *sum, float *weight)
{
    for (size_t i = 0; i < count; i++) {
        float d = (float)(centre[i] - near[i]);
        float w = exp2_below_zero(distance + d * d * likeness);
        weight[i] += w;
        sum[i] += w * (float)near[i];
    }
}

static void bilateral_colour(const uint8_t *centre, const uint8_t *near, float distance, size_t count, float likeness,
                             float *sum, float *weight)
{
    for (size_t i = 0; i < count; i++, centre += 3, near += 3) {
        float d = (float)(abs(centre[0] - near[0]) + abs(centre[1] - near[1]) + abs(centre[2] - near[2]));
        float w = exp2_below_zero(distance + d * d * likeness);
        weight[i] += w;
        for (size_t c = 0; c < 3; c++)
            sum[3 * i + c] += w * (float)near[c];
    }
}

void prep_bilateral_c(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                      uint8_t *to, size_t count, size_t channels, float likeness)
{
    for (size_t start = 0; start < count; start += BILATERAL_BLOCK) {
        float sum[3 * BILATERAL_BLOCK] = {0}, weight[BILATERAL_BLOCK] = {0};
        size_t block = count - start < BILATERAL_BLOCK ? count - start : BILATERAL_BLOCK, at = start * channels;
        for (size_t k = 0; k < taps; k++) {
            if (channels == 1)
                bilateral_grey(centre + at, near[k] + at, distance[k], block, likeness, sum, weight);
            else
                bilateral_colour(centre + at, near[k] + at, distance[k], block, likeness, sum, weight);
        }
        for (size_t i = 0; i < block * channels; i++)
            to[at + i] = (uint8_t)lrintf(sum[i] / weight[i / channels]);
    }
}

void prep_exchange_c(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *low = rows[pairs[i][0]], *high = rows[pairs[i][1]];
        for (size_t lane = 0; lane < 64; lane++) {
            uint8_t a = low[lane], b = high[lane];
            low[lane] = least(a, b);
            high[lane] = most(a, b);
        }
    }
}

void prep_kernels_fill(prep_kernels *table, unsigned flags)
{
    *table = (prep_kernels){
        .stretch = prep_stretch_c,
        .blend_linear = prep_blend_linear_c,
        .blend_exact = prep_blend_exact_c,
        .halve = prep_halve_c,
        .blur_row = prep_blur_row_c,
        .blur_column = prep_blur_column_c,
        .median3 = prep_median3_c,
        .clahe_row = prep_clahe_row_c,
        .bilateral = prep_bilateral_c,
        .exchange = prep_exchange_c,
    };
#if defined(__x86_64__)
    if (flags & CPU_AVX2) {
        table->stretch = prep_stretch_avx2;
        table->blend_linear = prep_blend_linear_avx2;
        table->blend_exact = prep_blend_exact_avx2;
        table->halve = prep_halve_avx2;
        table->blur_row = prep_blur_row_avx2;
        table->blur_column = prep_blur_column_avx2;
        table->median3 = prep_median3_avx2;
        table->clahe_row = prep_clahe_row_avx2;
        table->bilateral = prep_bilateral_avx2;
        table->exchange = prep_exchange_avx2;
    }
    if (flags & CPU_AVX512) {
        table->clahe_row = prep_clahe_row_avx512;
        table->bilateral = prep_bilateral_avx512;
        table->exchange = prep_exchange_avx512;
    }
    if (flags & CPU_AVX512_VBMI)
        table->stretch = prep_stretch_vbmi_avx512;
#else
    (void)flags;
#endif
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
