/* The bilateral filter with AVX2, eight grey pixels at a time, their sums in registers over all taps; colour goes to
 * plain C. Nothing is fused and the order is that of plain C, so the sums are the same. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

static __m256 exp2_below_zero(__m256 x)
{
    x = _mm256_max_ps(x, _mm256_set1_ps(-126.0f));
    __m256i whole = _mm256_cvttps_epi32(x);
    __m256 f = _mm256_sub_ps(x, _mm256_cvtepi32_ps(whole));
    static const float terms[] = {0.0013333558f, 0.0096181291f, 0.055504109f, 0.24022651f, 0.69314718f, 1.0f};
    __m256 series = _mm256_set1_ps(0.00015403530f);
    for (int i = 0; i < 6; i++)
        series = _mm256_add_ps(_mm256_set1_ps(terms[i]), _mm256_mul_ps(f, series));
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(whole, _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(series, _mm256_castsi256_ps(power));
}

static __m256 bilateral_load(const uint8_t *from)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from)));
}

void prep_bilateral_avx2(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                         uint8_t *to, size_t count, size_t channels, float likeness)
{
    const uint8_t *rest[64 * 64];
    __m256 scale = _mm256_set1_ps(likeness);
    size_t i = 0;
    for (; channels == 1 && i + 8 <= count; i += 8) {
        __m256 here = bilateral_load(centre + i), sum = _mm256_setzero_ps(), weight = _mm256_setzero_ps();
        for (size_t k = 0; k < taps; k++) {
            __m256 there = bilateral_load(near[k] + i), d = _mm256_sub_ps(here, there);
            __m256 exponent = _mm256_mul_ps(_mm256_mul_ps(d, d), scale);
            __m256 w = exp2_below_zero(_mm256_add_ps(_mm256_set1_ps(distance[k]), exponent));
            weight = _mm256_add_ps(weight, w);
            sum = _mm256_add_ps(sum, _mm256_mul_ps(w, there));
        }
        __m256i mean = _mm256_cvtps_epi32(_mm256_div_ps(sum, weight));
        __m128i words = _mm_packus_epi32(_mm256_castsi256_si128(mean), _mm256_extracti128_si256(mean, 1));
        _mm_storel_epi64((__m128i *)(to + i), _mm_packus_epi16(words, words));
    }
    for (size_t k = 0; k < taps; k++)
        rest[k] = near[k] + i;
    prep_bilateral_c(centre + i, rest, distance, taps, to + i, count - i, channels, likeness);
}
