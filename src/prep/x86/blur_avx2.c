/* Gaussian sums and medians with AVX2, sixteen and thirty-two pixels at a time. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

static __m256i blur_load(const uint8_t *from)
{
    return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)from));
}

void prep_blur_row_avx2(const uint8_t *from, uint16_t *to, size_t count, const uint16_t *weight, size_t size,
                        size_t step)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i sum = _mm256_setzero_si256();
        for (size_t k = 0; k < size; k++)
            sum = _mm256_add_epi16(
                sum, _mm256_mullo_epi16(blur_load(from + i + k * step), _mm256_set1_epi16((short)weight[k])));
        _mm256_storeu_si256((__m256i *)(to + i), sum);
    }
    prep_blur_row_c(from + i, to + i, count - i, weight, size, step);
}

/* Products of 16 × 9 bits need 32: low and high halves are multiplied apart and joined. */
void prep_blur_column_avx2(const uint16_t *const *rows, uint8_t *to, size_t count, const uint16_t *weight, size_t size)
{
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i low = _mm256_set1_epi32(1 << 15), high = low;
        for (size_t k = 0; k < size; k++) {
            __m256i row = _mm256_loadu_si256((const __m256i *)(rows[k] + i));
            __m256i factor = _mm256_set1_epi16((short)weight[k]);
            __m256i lower = _mm256_mullo_epi16(row, factor), upper = _mm256_mulhi_epu16(row, factor);
            low = _mm256_add_epi32(low, _mm256_unpacklo_epi16(lower, upper));
            high = _mm256_add_epi32(high, _mm256_unpackhi_epi16(lower, upper));
        }
        __m256i sum = _mm256_packus_epi32(_mm256_srli_epi32(low, 16), _mm256_srli_epi32(high, 16));
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(sum, sum), 0xd8);
        _mm_storeu_si128((__m128i *)(to + i), _mm256_castsi256_si128(bytes));
    }
    if (i == count)
        return;
    const uint16_t *rest[64];
    for (size_t k = 0; k < size; k++)
        rest[k] = rows[k] + i;
    prep_blur_column_c(rest, to + i, count - i, weight, size);
}

static __m256i median_middle(__m256i a, __m256i b, __m256i c)
{
    return _mm256_max_epu8(_mm256_min_epu8(a, b), _mm256_min_epu8(_mm256_max_epu8(a, b), c));
}

void prep_median3_avx2(const uint8_t *const rows[3], uint8_t *to, size_t count, size_t step)
{
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        __m256i low[3], mid[3], high[3];
        for (size_t k = 0; k < 3; k++) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(rows[0] + i + k * step));
            __m256i b = _mm256_loadu_si256((const __m256i *)(rows[1] + i + k * step));
            __m256i c = _mm256_loadu_si256((const __m256i *)(rows[2] + i + k * step));
            low[k] = _mm256_min_epu8(_mm256_min_epu8(a, b), c);
            mid[k] = median_middle(a, b, c);
            high[k] = _mm256_max_epu8(_mm256_max_epu8(a, b), c);
        }
        __m256i median = median_middle(_mm256_max_epu8(_mm256_max_epu8(low[0], low[1]), low[2]),
                                       median_middle(mid[0], mid[1], mid[2]),
                                       _mm256_min_epu8(_mm256_min_epu8(high[0], high[1]), high[2]));
        _mm256_storeu_si256((__m256i *)(to + i), median);
    }
    const uint8_t *const rest[3] = {rows[0] + i, rows[1] + i, rows[2] + i};
    prep_median3_c(rest, to + i, count - i, step);
}

void prep_exchange_avx2(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t half = 0; half < 2; half++) {
            __m256i *low = (__m256i *)rows[pairs[i][0]] + half, *high = (__m256i *)rows[pairs[i][1]] + half;
            __m256i a = _mm256_load_si256(low), b = _mm256_load_si256(high);
            _mm256_store_si256(low, _mm256_min_epu8(a, b));
            _mm256_store_si256(high, _mm256_max_epu8(a, b));
        }
}
