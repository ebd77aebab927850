/* nn/interleave.h with 256-bit shuffles: eight pixels at a time, each plane spread over three registers by one
 * permutation and the three blended. */
#include "nn/interleave.h"

#include <immintrin.h>

enum { STEP = 8 };

void nn_interleave3_avx2(const float *planes, size_t count, float *pixels)
{
    const float *red = planes, *green = planes + count, *blue = planes + 2 * count;
    const __m256i first = _mm256_setr_epi32(0, 0, 0, 1, 1, 1, 2, 2);
    const __m256i second = _mm256_setr_epi32(2, 3, 3, 3, 4, 4, 4, 5);
    const __m256i third = _mm256_setr_epi32(5, 5, 6, 6, 6, 7, 7, 7);
    size_t i = 0;
    for (; i + STEP <= count; i += STEP, pixels += 3 * STEP) {
        __m256 r = _mm256_loadu_ps(red + i), g = _mm256_loadu_ps(green + i), b = _mm256_loadu_ps(blue + i);
        /* r g b r g b r g | b r g b r g b r | g b r g b r g b */
        __m256 a = _mm256_blend_ps(_mm256_permutevar8x32_ps(r, first), _mm256_permutevar8x32_ps(g, first), 0x92);
        _mm256_storeu_ps(pixels, _mm256_blend_ps(a, _mm256_permutevar8x32_ps(b, first), 0x24));
        a = _mm256_blend_ps(_mm256_permutevar8x32_ps(r, second), _mm256_permutevar8x32_ps(g, second), 0x24);
        _mm256_storeu_ps(pixels + 8, _mm256_blend_ps(a, _mm256_permutevar8x32_ps(b, second), 0x49));
        a = _mm256_blend_ps(_mm256_permutevar8x32_ps(r, third), _mm256_permutevar8x32_ps(g, third), 0x49);
        _mm256_storeu_ps(pixels + 16, _mm256_blend_ps(a, _mm256_permutevar8x32_ps(b, third), 0x92));
    }
    for (; i < count; i++, pixels += 3) {
        pixels[0] = red[i];
        pixels[1] = green[i];
        pixels[2] = blue[i];
    }
}
