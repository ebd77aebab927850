/* The bilateral filter with AVX-512, sixteen grey pixels at a time; see bilateral_avx2.c. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

static __m512 exp2_below_zero(__m512 x)
{
    x = _mm512_max_ps(x, _mm512_set1_ps(-126.0f));
    __m512i whole = _mm512_cvttps_epi32(x);
    __m512 f = _mm512_sub_ps(x, _mm512_cvtepi32_ps(whole));
    static const float terms[] = {0.0013333558f, 0.0096181291f, 0.055504109f, 0.24022651f, 0.69314718f, 1.0f};
    __m512 series = _mm512_set1_ps(0.00015403530f);
    for (int i = 0; i < 6; i++)
        series = _mm512_add_ps(_mm512_set1_ps(terms[i]), _mm512_mul_ps(f, series));
    __m512i power = _mm512_slli_epi32(_mm512_add_epi32(whole, _mm512_set1_epi32(127)), 23);
    return _mm512_mul_ps(series, _mm512_castsi512_ps(power));
}

static __m512 bilateral_load(const uint8_t *from)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)from)));
}

void prep_bilateral_avx512(const uint8_t *centre, const uint8_t *const *near, const float *distance, size_t taps,
                           uint8_t *to, size_t count, size_t channels, float likeness)
{
    const uint8_t *rest[64 * 64];
    __m512 scale = _mm512_set1_ps(likeness);
    size_t i = 0;
    for (; channels == 1 && i + 16 <= count; i += 16) {
        __m512 here = bilateral_load(centre + i), sum = _mm512_setzero_ps(), weight = _mm512_setzero_ps();
        for (size_t k = 0; k < taps; k++) {
            __m512 there = bilateral_load(near[k] + i), d = _mm512_sub_ps(here, there);
            __m512 exponent = _mm512_mul_ps(_mm512_mul_ps(d, d), scale);
            __m512 w = exp2_below_zero(_mm512_add_ps(_mm512_set1_ps(distance[k]), exponent));
            weight = _mm512_add_ps(weight, w);
            sum = _mm512_add_ps(sum, _mm512_mul_ps(w, there));
        }
        __m512i mean = _mm512_cvtps_epi32(_mm512_div_ps(sum, weight));
        _mm_storeu_si128((__m128i *)(to + i), _mm512_cvtusepi32_epi8(mean));
    }
    for (size_t k = 0; k < taps; k++)
        rest[k] = near[k] + i;
    prep_bilateral_c(centre + i, rest, distance, taps, to + i, count - i, channels, likeness);
}
