/* Base64 with AVX-512 VBMI after Muła & Lemire, "Base64 encoding and decoding at almost the speed of a memory copy"
 * (2020): a byte permutation with an index of seven bits is a table of 128 characters, a multi-shift cuts the groups of
 * six bits. 64 characters a step. */
#include <immintrin.h>

#include "base/base64_kernels.h"
#include "base/x86/base64_x86.h"

#define BASE64_TARGET __attribute__((target("avx512vbmi")))

static const char letters_of[2][65] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};

/* Bytes 2 1 0 of every four. */
static const uint8_t decode_gather[64] = {
    2,  1,  0,  6,  5,  4,  10, 9,  8,  14, 13, 12, 18, 17, 16, 22, 21, 20, 26, 25, 24, 30,
    29, 28, 34, 33, 32, 38, 37, 36, 42, 41, 40, 46, 45, 44, 50, 49, 48, 54, 53, 52, 58, 57,
    56, 62, 61, 60, 0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
};

/* Bytes 1 0 2 1 of every three. */
static const uint8_t encode_spread[64] = {
    1,  0,  2,  1,  4,  3,  5,  4,  7,  6,  8,  7,  10, 9,  11, 10, 13, 12, 14, 13, 16, 15,
    17, 16, 19, 18, 20, 19, 22, 21, 23, 22, 25, 24, 26, 25, 28, 27, 29, 28, 31, 30, 32, 31,
    34, 33, 35, 34, 37, 36, 38, 37, 40, 39, 41, 40, 43, 42, 44, 43, 46, 45, 47, 46,
};

BASE64_TARGET size_t base64_decode_vbmi_avx512(const char *text, size_t length, uint8_t *to, bool strict)
{
    __mmask64 refused = strict ? (__mmask64)1 << '+' | (__mmask64)1 << '/' : 0;
    __m512i low =
        _mm512_mask_blend_epi8(refused, _mm512_loadu_si512(base64_values), _mm512_set1_epi8((char)BASE64_NONE));
    __m512i high = _mm512_loadu_si512(base64_values + 64), gather = _mm512_loadu_si512(decode_gather);
    size_t i = 0;
    for (; i + 64 <= length; i += 64, to += 48) {
        __m512i c = _mm512_loadu_si512(text + i);
        __m512i values = _mm512_permutex2var_epi8(low, c, high);
        if (_mm512_movepi8_mask(_mm512_or_si512(values, c))) /* bytes above 127 are no characters either */
            break;
        __m512i twelve = _mm512_maddubs_epi16(values, _mm512_set1_epi32(0x01400140));
        __m512i bits = _mm512_madd_epi16(twelve, _mm512_set1_epi32(0x00011000));
        _mm512_mask_storeu_epi8(to, ((__mmask64)1 << 48) - 1, _mm512_permutexvar_epi8(gather, bits));
    }
    return i + base64_decode_avx2(text + i, length - i, to, strict);
}

BASE64_TARGET size_t base64_encode_vbmi_avx512(const uint8_t *bytes, size_t length, char *to, bool url_safe)
{
    __m512i pick = _mm512_loadu_si512(encode_spread), letters = _mm512_loadu_si512(letters_of[url_safe]);
    __m512i shifts = _mm512_set1_epi64(0x3036242a1016040a); /* 10, 4, 22, 16 in each 32-bit half */
    size_t i = 0;
    for (; i + 48 <= length; i += 48, to += 64) {
        __m512i in = _mm512_maskz_loadu_epi8(((__mmask64)1 << 48) - 1, bytes + i);
        __m512i values = _mm512_multishift_epi64_epi8(shifts, _mm512_permutexvar_epi8(pick, in));
        _mm512_storeu_si512(to, _mm512_permutexvar_epi8(values, letters));
    }
    return i + base64_encode_avx2(bytes + i, length - i, to, url_safe);
}
