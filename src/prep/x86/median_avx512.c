/* The compare-and-exchange step of medians with AVX-512: a row of 64 bytes is one register. */
#include <immintrin.h>

#include "prep/x86/kernels_x86.h"

void prep_exchange_avx512(uint8_t (*rows)[64], const uint8_t (*pairs)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *low = rows[pairs[i][0]], *high = rows[pairs[i][1]];
        __m512i a = _mm512_load_si512(low), b = _mm512_load_si512(high);
        _mm512_store_si512(low, _mm512_min_epu8(a, b));
        _mm512_store_si512(high, _mm512_max_epu8(a, b));
    }
}
