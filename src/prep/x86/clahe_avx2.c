/* CLAHE's interpolation with AVX2: one gather brings the four table bytes of each of eight pixels. The operations and
 * their order are those of plain C, none fused, so the rounding is the same. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

static __m256 clahe_value(__m256i four, int shift)
{
    return _mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(four, shift), _mm256_set1_epi32(255)));
}

void prep_clahe_row_avx2(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                         const uint32_t *column, const float *right, float lower)
{
    __m256 one = _mm256_set1_ps(1), below = _mm256_set1_ps(lower), above = _mm256_sub_ps(one, below);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i value = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(from + i)));
        __m256i cell = _mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)(column + i)), 8);
        __m256i four = _mm256_i32gather_epi32((const int *)(const void *)table, _mm256_add_epi32(cell, value), 4);
        __m256 east = _mm256_loadu_ps(right + i), west = _mm256_sub_ps(one, east);
        __m256 upper_row =
            _mm256_add_ps(_mm256_mul_ps(clahe_value(four, 0), west), _mm256_mul_ps(clahe_value(four, 8), east));
        __m256 lower_row =
            _mm256_add_ps(_mm256_mul_ps(clahe_value(four, 16), west), _mm256_mul_ps(clahe_value(four, 24), east));
        __m256 mean = _mm256_add_ps(_mm256_mul_ps(upper_row, above), _mm256_mul_ps(lower_row, below));
        __m256i rounded = _mm256_cvtps_epi32(mean);
        __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
        _mm_storel_epi64((__m128i *)(to + i), _mm_packus_epi16(words, words));
    }
    prep_clahe_row_c(from + i, to + i, count - i, table, column + i, right + i, lower);
}
