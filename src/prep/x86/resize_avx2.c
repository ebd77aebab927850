/* Resizing with AVX2. Where eight neighbouring output pixels read from sixteen bytes, a byte shuffle fetches both taps
 * of all of them at once; where they lie farther apart (shrinking to less than half) a gather does. The vertical blends
 * work on sixteen columns. All sums are exact integers, so the results are those of plain C. */
#include <immintrin.h>
#include <stdbool.h>

#include "prep/x86/kernels_x86.h"

/* Sums of sixteen pixel pairs (first tap in the low byte of each 16-bit lane). */
static __m256i stretch_sums(__m256i pairs, const uint16_t *weight, __m128i shift)
{
    __m256i zero = _mm256_setzero_si256();
    __m256i w0 = _mm256_loadu_si256((const __m256i *)weight), w1 = _mm256_loadu_si256((const __m256i *)(weight + 16));
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi8(pairs, zero), _mm256_permute2x128_si256(w0, w1, 0x20));
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi8(pairs, zero), _mm256_permute2x128_si256(w0, w1, 0x31));
    return _mm256_packus_epi32(_mm256_srl_epi32(low, shift), _mm256_srl_epi32(high, shift));
}

/* Where the window of eight positions begins: within a pixel the next position may lie up to step - 1 lower. */
static size_t stretch_base(const uint32_t *at, size_t step)
{
    return at[0] >= step - 1 ? at[0] - (step - 1) : 0;
}

static bool stretch_fits(size_t length, const uint32_t *at, size_t step)
{
    size_t base = stretch_base(at, step);
    return at[7] + 2 * step - 1 - base < 16 && base + 16 <= length;
}

static __m256i stretch_distances(const uint32_t *at, size_t base)
{
    return _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)at), _mm256_set1_epi32((int)base));
}

static __m256i stretch_shuffle(const uint8_t *from, const uint32_t *at, size_t step)
{
    size_t base0 = stretch_base(at, step), base1 = stretch_base(at + 8, step);
    __m256i both = _mm256_packus_epi32(stretch_distances(at, base0), stretch_distances(at + 8, base1));
    __m256i first = _mm256_permute4x64_epi64(both, 0xd8);
    __m256i second = _mm256_slli_epi16(_mm256_add_epi16(first, _mm256_set1_epi16((short)step)), 8);
    __m128i window0 = _mm_loadu_si128((const __m128i *)(from + base0));
    __m128i window1 = _mm_loadu_si128((const __m128i *)(from + base1));
    return _mm256_shuffle_epi8(_mm256_setr_m128i(window0, window1), _mm256_or_si256(first, second));
}

/* Eight pairs as 32-bit lanes: first tap in byte 0, second in byte 1. */
static __m256i stretch_gather8(const uint8_t *from, const uint32_t *at, __m128i bits)
{
    __m256i four = _mm256_i32gather_epi32((const int *)(const void *)from, _mm256_loadu_si256((const __m256i *)at), 1);
    __m256i byte = _mm256_set1_epi32(255);
    __m256i second = _mm256_and_si256(_mm256_srl_epi32(four, bits), byte);
    return _mm256_or_si256(_mm256_and_si256(four, byte), _mm256_slli_epi32(second, 8));
}

static __m256i stretch_gather(const uint8_t *from, const uint32_t *at, size_t step)
{
    __m128i bits = _mm_cvtsi32_si128((int)(8 * step));
    __m256i pairs = _mm256_packus_epi32(stretch_gather8(from, at, bits), stretch_gather8(from, at + 8, bits));
    return _mm256_permute4x64_epi64(pairs, 0xd8);
}

void prep_stretch_avx2(const uint8_t *from, size_t length, uint16_t *to, size_t count, const uint32_t *at,
                       const uint16_t *weight, size_t step, int shift)
{
    __m128i bits = _mm_cvtsi32_si128(shift);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i pairs;
        if (stretch_fits(length, at + i, step) && stretch_fits(length, at + i + 8, step))
            pairs = stretch_shuffle(from, at + i, step);
        else if (step < 4 && at[i + 15] + step + 3 <= length)
            pairs = stretch_gather(from, at + i, step);
        else
            break;
        _mm256_storeu_si256((__m256i *)(to + i), stretch_sums(pairs, weight + 2 * i, bits));
    }
    prep_stretch_c(from, length, to + i, count - i, at + i, weight + 2 * i, step, shift);
}

void prep_blend_linear_avx2(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                            unsigned b1)
{
    __m256i w0 = _mm256_set1_epi16((short)b0), w1 = _mm256_set1_epi16((short)b1), two = _mm256_set1_epi16(2);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i r0 = _mm256_loadu_si256((const __m256i *)(row0 + i)),
                r1 = _mm256_loadu_si256((const __m256i *)(row1 + i));
        __m256i sum = _mm256_add_epi16(_mm256_mulhi_epu16(r0, w0), _mm256_mulhi_epu16(r1, w1));
        sum = _mm256_srli_epi16(_mm256_add_epi16(sum, two), 2);
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), 0xd8);
        _mm_storeu_si128((__m128i *)(to + i), _mm256_castsi256_si128(bytes));
    }
    prep_blend_linear_c(row0 + i, row1 + i, to + i, count - i, b0, b1);
}

/* madd multiplies signed words, so the rows are moved down by 2¹⁵ and the sum up by 2¹⁵ × 256 again. */
void prep_blend_exact_avx2(const uint16_t *row0, const uint16_t *row1, uint8_t *to, size_t count, unsigned b0,
                           unsigned b1)
{
    __m256i weights = _mm256_set1_epi32((int)(b0 | b1 << 16)), half = _mm256_set1_epi16((short)0x8000);
    __m256i back = _mm256_set1_epi32((1 << 23) + (1 << 15));
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i r0 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(row0 + i)), half);
        __m256i r1 = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(row1 + i)), half);
        __m256i low = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpacklo_epi16(r0, r1), weights), back);
        __m256i high = _mm256_add_epi32(_mm256_madd_epi16(_mm256_unpackhi_epi16(r0, r1), weights), back);
        __m256i sum = _mm256_packus_epi32(_mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16));
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), 0xd8);
        _mm_storeu_si128((__m128i *)(to + i), _mm256_castsi256_si128(bytes));
    }
    prep_blend_exact_c(row0 + i, row1 + i, to + i, count - i, b0, b1);
}

void prep_halve_avx2(const uint8_t *row0, const uint8_t *row1, uint8_t *to, size_t count)
{
    __m256i ones = _mm256_set1_epi8(1), two = _mm256_set1_epi16(2);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i r0 = _mm256_loadu_si256((const __m256i *)(row0 + 2 * i));
        __m256i r1 = _mm256_loadu_si256((const __m256i *)(row1 + 2 * i));
        __m256i sum = _mm256_add_epi16(_mm256_maddubs_epi16(r0, ones), _mm256_maddubs_epi16(r1, ones));
        sum = _mm256_srli_epi16(_mm256_add_epi16(sum, two), 2);
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), 0xd8);
        _mm_storeu_si128((__m128i *)(to + i), _mm256_castsi256_si128(bytes));
    }
    prep_halve_c(row0 + 2 * i, row1 + 2 * i, to + i, count - i);
}
