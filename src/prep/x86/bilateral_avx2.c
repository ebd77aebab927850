/* The bilateral filter's sums with AVX2: eight pixels, the weight of likeness by a gather. Nothing is fused, so the
 * sums are those of plain C. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

void prep_bilateral_avx2(const uint8_t *centre, const uint8_t *near, size_t count, float distance,
                         const float *likeness, float *sum, float *weight)
{
    __m256 far = _mm256_set1_ps(distance);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i here = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(centre + i)));
        __m256i there = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(near + i)));
        __m256i difference = _mm256_abs_epi32(_mm256_sub_epi32(here, there));
        __m256 w = _mm256_mul_ps(far, _mm256_i32gather_ps(likeness, difference, 4));
        _mm256_storeu_ps(weight + i, _mm256_add_ps(_mm256_loadu_ps(weight + i), w));
        __m256 part = _mm256_mul_ps(w, _mm256_cvtepi32_ps(there));
        _mm256_storeu_ps(sum + i, _mm256_add_ps(_mm256_loadu_ps(sum + i), part));
    }
    prep_bilateral_c(centre + i, near + i, count - i, distance, likeness, sum + i, weight + i);
}
