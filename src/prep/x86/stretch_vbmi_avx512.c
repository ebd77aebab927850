/* The horizontal half of resizing with AVX-512 VBMI: one byte permutation over a window of 64 bytes fetches both taps
 * of 32 output pixels (of 16, or by a gather, where they lie farther apart). Masked loads keep to the row. */
#include <immintrin.h>
#include <stdbool.h>

#include "prep/x86/kernels_x86.h"

#define STRETCH_TARGET __attribute__((target("avx512vbmi")))

/* Where a window begins: within a pixel the next position may lie up to step - 1 lower. */
static size_t stretch_base(const uint32_t *at, size_t step)
{
    return at[0] >= step - 1 ? at[0] - (step - 1) : 0;
}

/* The taps of at[0] to at[last] lie within 64 bytes. */
static bool stretch_fits(const uint32_t *at, size_t last, size_t step)
{
    return at[last] + 2 * step - 1 - stretch_base(at, step) < 64;
}

/* 32 sums; pairs hold the first tap in the low byte of each 16-bit lane. */
static __m512i stretch_sums(__m512i pairs, __m512i w0, __m512i w1, __m128i shift)
{
    __m512i zero = _mm512_setzero_si512();
    const __m512i low_lanes = _mm512_setr_epi64(0, 1, 4, 5, 8, 9, 12, 13);
    const __m512i high_lanes = _mm512_setr_epi64(2, 3, 6, 7, 10, 11, 14, 15);
    __m512i low = _mm512_madd_epi16(_mm512_unpacklo_epi8(pairs, zero), _mm512_permutex2var_epi64(w0, low_lanes, w1));
    __m512i high = _mm512_madd_epi16(_mm512_unpackhi_epi8(pairs, zero), _mm512_permutex2var_epi64(w0, high_lanes, w1));
    return _mm512_packus_epi32(_mm512_srl_epi32(low, shift), _mm512_srl_epi32(high, shift));
}

static STRETCH_TARGET __m512i stretch_permute(const uint8_t *from, size_t length, __m256i first, size_t step)
{
    __m512i index = _mm512_cvtepu8_epi16(first);
    index = _mm512_or_si512(index, _mm512_slli_epi16(_mm512_add_epi16(index, _mm512_set1_epi16((short)step)), 8));
    __mmask64 inside = length >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << length) - 1;
    return _mm512_permutexvar_epi8(index, _mm512_maskz_loadu_epi8(inside, from));
}

/* The distances of 16 positions from the first one, as bytes. */
static __m128i stretch_distances(const uint32_t *at, size_t base)
{
    return _mm512_cvtepi32_epi8(_mm512_sub_epi32(_mm512_loadu_si512(at), _mm512_set1_epi32((int)base)));
}

static __m256i stretch_gather(const uint8_t *from, const uint32_t *at, size_t step)
{
    __m512i four = _mm512_i32gather_epi32(_mm512_loadu_si512(at), from, 1), byte = _mm512_set1_epi32(255);
    __m512i second = _mm512_and_si512(_mm512_srl_epi32(four, _mm_cvtsi32_si128((int)(8 * step))), byte);
    return _mm512_cvtepi32_epi16(_mm512_or_si512(_mm512_and_si512(four, byte), _mm512_slli_epi32(second, 8)));
}

/* Pairs of 16 positions; false when neither way reaches them. */
static STRETCH_TARGET bool stretch_sixteen(const uint8_t *from, size_t length, const uint32_t *at, size_t step,
                                           __m256i *pairs)
{
    if (stretch_fits(at, 15, step)) {
        size_t base = stretch_base(at, step);
        __m256i first = _mm256_zextsi128_si256(stretch_distances(at, base));
        *pairs = _mm512_castsi512_si256(stretch_permute(from + base, length - base, first, step));
        return true;
    }
    if (step < 4 && at[15] + step + 3 <= length) {
        *pairs = stretch_gather(from, at, step);
        return true;
    }
    return false;
}

STRETCH_TARGET void prep_stretch_vbmi_avx512(const uint8_t *from, size_t length, uint16_t *to, size_t count,
                                             const uint32_t *at, const uint16_t *weight, size_t step, int shift)
{
    __m128i bits = _mm_cvtsi32_si128(shift);
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m512i pairs;
        if (stretch_fits(at + i, 31, step)) {
            size_t base = stretch_base(at + i, step);
            __m256i first = _mm256_setr_m128i(stretch_distances(at + i, base), stretch_distances(at + i + 16, base));
            pairs = stretch_permute(from + base, length - base, first, step);
        } else {
            __m256i low, high;
            if (!stretch_sixteen(from, length, at + i, step, &low) ||
                !stretch_sixteen(from, length, at + i + 16, step, &high))
                break;
            pairs = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
        }
        __m512i w0 = _mm512_loadu_si512(weight + 2 * i), w1 = _mm512_loadu_si512(weight + 2 * i + 32);
        _mm512_storeu_si512(to + i, stretch_sums(pairs, w0, w1, bits));
    }
    prep_stretch_avx2(from, length, to + i, count - i, at + i, weight + 2 * i, step, shift);
}
