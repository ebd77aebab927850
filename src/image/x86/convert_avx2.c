/* Pixel conversion with AVX2. Three-byte pixels do not fit vectors, so four of them are taken at a time into each half
 * of a register (twelve bytes and four that are ignored) and spread by a byte shuffle. A load never goes beyond the
 * last pixel of the row. */
#include <immintrin.h>

#include "image/x86/kernels_x86.h"

/* Eight pixels from 28 readable bytes, as (first, second) word pairs or (third, 1) word pairs. */
static __m256i convert_load8(const uint8_t *from)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)from)),
                                   _mm_loadu_si128((const __m128i *)(from + 12)), 1);
}

/* Grey of eight pixels as 32-bit lanes in order. */
static __m256i grey_eight(const uint8_t *from, __m256i first_two, __m256i third_and_half)
{
    const __m256i pick01 =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const __m256i pick2 =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    const __m256i one = _mm256_set1_epi32(1 << 16);
    __m256i pixels = convert_load8(from);
    __m256i sum = _mm256_madd_epi16(_mm256_shuffle_epi8(pixels, pick01), first_two);
    __m256i rest = _mm256_or_si256(_mm256_shuffle_epi8(pixels, pick2), one);
    return _mm256_srli_epi32(_mm256_add_epi32(sum, _mm256_madd_epi16(rest, third_and_half)), 15);
}

void image_grey3_avx2(const uint8_t *from, uint8_t *to, size_t count, const uint16_t weight[3])
{
    __m256i first_two = _mm256_set1_epi32(weight[0] | weight[1] << 16);
    __m256i third_and_half = _mm256_set1_epi32(weight[2] | 1 << 30); /* the other factor is 1: adds 2¹⁴ */
    size_t i = 0;
    for (; i + 18 <= count; i += 16) { /* sixteen pixels read 52 bytes */
        __m256i low = grey_eight(from + 3 * i, first_two, third_and_half);
        __m256i high = grey_eight(from + 3 * i + 24, first_two, third_and_half);
        __m256i words = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(words, words), 0xd8);
        _mm_storeu_si128((__m128i *)(to + i), _mm256_castsi256_si128(bytes));
    }
    image_grey3_c(from + 3 * i, to + i, count - i, weight);
}

/* Five pixels are fifteen bytes; the sixteenth byte goes through unchanged, so overlapping stores are harmless, in
 * place too. */
void image_swap3_avx2(const uint8_t *from, uint8_t *to, size_t count)
{
    const __m128i swap = _mm_setr_epi8(2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9, 14, 13, 12, 15);
    size_t i = 0;
    for (; i + 6 <= count; i += 5) {
        __m128i pixels = _mm_loadu_si128((const __m128i *)(from + 3 * i));
        _mm_storeu_si128((__m128i *)(to + 3 * i), _mm_shuffle_epi8(pixels, swap));
    }
    image_swap3_c(from + 3 * i, to + 3 * i, count - i);
}
