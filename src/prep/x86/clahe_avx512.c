/* CLAHE's interpolation with AVX-512, sixteen pixels at a time; see clahe_avx2.c. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

static __m512 clahe_value(__m512i four, unsigned shift)
{
    return _mm512_cvtepi32_ps(_mm512_and_si512(_mm512_srli_epi32(four, shift), _mm512_set1_epi32(255)));
}

void prep_clahe_row_avx512(const uint8_t *from, uint8_t *to, size_t count, const uint8_t (*table)[256][4],
                           const uint32_t *column, const float *right, float lower)
{
    __m512 one = _mm512_set1_ps(1), below = _mm512_set1_ps(lower), above = _mm512_sub_ps(one, below);
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m512i value = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(from + i)));
        __m512i cell = _mm512_slli_epi32(_mm512_loadu_si512(column + i), 8);
        __m512i four = _mm512_i32gather_epi32(_mm512_add_epi32(cell, value), table, 4);
        __m512 east = _mm512_loadu_ps(right + i), west = _mm512_sub_ps(one, east);
        __m512 upper_row =
            _mm512_add_ps(_mm512_mul_ps(clahe_value(four, 0), west), _mm512_mul_ps(clahe_value(four, 8), east));
        __m512 lower_row =
            _mm512_add_ps(_mm512_mul_ps(clahe_value(four, 16), west), _mm512_mul_ps(clahe_value(four, 24), east));
        __m512 mean = _mm512_add_ps(_mm512_mul_ps(upper_row, above), _mm512_mul_ps(lower_row, below));
        _mm_storeu_si128((__m128i *)(to + i), _mm512_cvtusepi32_epi8(_mm512_cvtps_epi32(mean)));
    }
    prep_clahe_row_c(from + i, to + i, count - i, table, column + i, right + i, lower);
}
