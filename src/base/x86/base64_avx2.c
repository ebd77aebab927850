/* Base64 with AVX2 after Muła & Lemire, "Faster Base64 Encoding and Decoding using AVX2 Instructions" (2018):
 * multiply-add instructions join and split the groups of six bits. Characters are classed by comparing ranges, which
 * takes both alphabets in one go. 32 characters a step. */
#include <immintrin.h>

#include "base/x86/base64_x86.h"

static __m256i between(__m256i c, char low, char high)
{
    return _mm256_and_si256(_mm256_cmpgt_epi8(c, _mm256_set1_epi8((char)(low - 1))),
                            _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(high + 1)), c));
}

static __m256i among(__m256i c, char one, char other)
{
    return _mm256_or_si256(_mm256_cmpeq_epi8(c, _mm256_set1_epi8(one)), _mm256_cmpeq_epi8(c, _mm256_set1_epi8(other)));
}

/* Six-bit values of 32 characters; false when one of them is none. */
static bool classify(__m256i c, bool strict, __m256i *values)
{
    __m256i upper = between(c, 'A', 'Z'), lower = between(c, 'a', 'z'), digit = between(c, '0', '9');
    __m256i plus = among(c, '-', strict ? '-' : '+'), slash = among(c, '_', strict ? '_' : '/');
    __m256i known =
        _mm256_or_si256(_mm256_or_si256(upper, lower), _mm256_or_si256(digit, _mm256_or_si256(plus, slash)));
    __m256i letters = _mm256_or_si256(_mm256_and_si256(upper, _mm256_set1_epi8(-'A')),
                                      _mm256_and_si256(lower, _mm256_set1_epi8(26 - 'a')));
    __m256i moved = _mm256_add_epi8(c, _mm256_or_si256(letters, _mm256_and_si256(digit, _mm256_set1_epi8(52 - '0'))));
    moved = _mm256_blendv_epi8(moved, _mm256_set1_epi8(62), plus);
    *values = _mm256_blendv_epi8(moved, _mm256_set1_epi8(63), slash);
    return _mm256_movemask_epi8(known) == -1;
}

size_t base64_decode_avx2(const char *text, size_t length, uint8_t *to, bool strict)
{
    const __m256i gather =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1));
    const __m256i close = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 7, 7);
    size_t i = 0;
    for (; i + 32 <= length; i += 32, to += 24) {
        __m256i values;
        if (!classify(_mm256_loadu_si256((const __m256i *)(text + i)), strict, &values))
            break;
        __m256i twelve = _mm256_maddubs_epi16(values, _mm256_set1_epi32(0x01400140)); /* a << 6 | b */
        __m256i bits = _mm256_madd_epi16(twelve, _mm256_set1_epi32(0x00011000));      /* ab << 12 | cd */
        __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(bits, gather), close);
        _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(bytes));
        _mm_storel_epi64((__m128i *)(to + 16), _mm256_extracti128_si256(bytes, 1));
    }
    return i + base64_decode_c(text + i, length - i, to, strict);
}

/* The character of each value: 'A' + value and a correction by its range. */
static __m256i base64_letters(__m256i value, bool url_safe)
{
    __m256i letter = _mm256_add_epi8(value, _mm256_set1_epi8('A'));
    __m256i above25 = _mm256_cmpgt_epi8(value, _mm256_set1_epi8(25)),
            above51 = _mm256_cmpgt_epi8(value, _mm256_set1_epi8(51));
    letter = _mm256_add_epi8(letter, _mm256_and_si256(above25, _mm256_set1_epi8('a' - 'A' - 26)));
    letter = _mm256_add_epi8(letter, _mm256_and_si256(above51, _mm256_set1_epi8('0' - 'a' - 26)));
    __m256i is62 = _mm256_cmpeq_epi8(value, _mm256_set1_epi8(62)),
            is63 = _mm256_cmpeq_epi8(value, _mm256_set1_epi8(63));
    letter = _mm256_blendv_epi8(letter, _mm256_set1_epi8(url_safe ? '-' : '+'), is62);
    return _mm256_blendv_epi8(letter, _mm256_set1_epi8(url_safe ? '_' : '/'), is63);
}

size_t base64_encode_avx2(const uint8_t *bytes, size_t length, char *to, bool url_safe)
{
    const __m256i spread =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10));
    size_t i = 0;
    for (; i + 28 <= length; i += 24, to += 32) { /* 24 bytes from two loads of 16 */
        __m256i in = _mm256_setr_m128i(_mm_loadu_si128((const __m128i *)(bytes + i)),
                                       _mm_loadu_si128((const __m128i *)(bytes + i + 12)));
        in = _mm256_shuffle_epi8(in, spread);
        __m256i even =
            _mm256_mulhi_epu16(_mm256_and_si256(in, _mm256_set1_epi32(0x0fc0fc00)), _mm256_set1_epi32(0x04000040));
        __m256i odd =
            _mm256_mullo_epi16(_mm256_and_si256(in, _mm256_set1_epi32(0x003f03f0)), _mm256_set1_epi32(0x01000010));
        _mm256_storeu_si256((__m256i *)to, base64_letters(_mm256_or_si256(even, odd), url_safe));
    }
    return i + base64_encode_c(bytes + i, length - i, to, url_safe);
}
