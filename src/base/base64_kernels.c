/* Base64 groups in plain C, and the choice among versions. tests/kernels/test_base64.c holds the others against it. */
#include "base/base64_kernels.h"

#include <pthread.h>

#include "base/cpu.h"
#include "base/x86/base64_x86.h"

const uint8_t base64_values[128] = {
    128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128,
    128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 62,
    128, 62,  128, 63,  52,  53,  54,  55,  56,  57,  58,  59,  60,  61,  128, 128, 128, 128, 128, 128, 128, 0,
    1,   2,   3,   4,   5,   6,   7,   8,   9,   10,  11,  12,  13,  14,  15,  16,  17,  18,  19,  20,  21,  22,
    23,  24,  25,  128, 128, 128, 128, 63,  128, 26,  27,  28,  29,  30,  31,  32,  33,  34,  35,  36,  37,  38,
    39,  40,  41,  42,  43,  44,  45,  46,  47,  48,  49,  50,  51,  128, 128, 128, 128, 128,
};

static uint8_t group_value(unsigned char c, bool strict)
{
    if (c > 127 || (strict && (c == '+' || c == '/')))
        return BASE64_NONE;
    return base64_values[c];
}

size_t base64_decode_c(const char *text, size_t length, uint8_t *to, bool strict)
{
    size_t i = 0;
    for (; i + 4 <= length; i += 4, to += 3) {
        uint32_t bits = 0;
        uint8_t seen = 0;
        for (size_t k = 0; k < 4; k++) {
            uint8_t value = group_value((unsigned char)text[i + k], strict);
            seen |= value;
            bits = bits << 6 | (value & 63);
        }
        if (seen & BASE64_NONE)
            break;
        to[0] = (uint8_t)(bits >> 16);
        to[1] = (uint8_t)(bits >> 8);
        to[2] = (uint8_t)bits;
    }
    return i;
}

size_t base64_encode_c(const uint8_t *bytes, size_t length, char *to, bool url_safe)
{
    static const char letters[2][65] = {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
                                        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"};
    size_t i = 0;
    for (; i + 3 <= length; i += 3) {
        uint32_t bits = (uint32_t)bytes[i] << 16 | (uint32_t)bytes[i + 1] << 8 | bytes[i + 2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *to++ = letters[url_safe][bits >> shift & 63];
    }
    return i;
}

void base64_kernels_fill(base64_kernels *table, unsigned flags)
{
    *table = (base64_kernels){.decode = base64_decode_c, .encode = base64_encode_c};
#if defined(__x86_64__)
    if (flags & CPU_AVX2)
        *table = (base64_kernels){.decode = base64_decode_avx2, .encode = base64_encode_avx2};
    if (flags & CPU_AVX512_VBMI)
        *table = (base64_kernels){.decode = base64_decode_vbmi_avx512, .encode = base64_encode_vbmi_avx512};
#else
    (void)flags;
#endif
}

static base64_kernels kernels_here;
static pthread_once_t kernels_once = PTHREAD_ONCE_INIT;

static void kernels_choose(void)
{
    base64_kernels_fill(&kernels_here, cpu_flags());
}

const base64_kernels *base64_kernels_get(void)
{
    pthread_once(&kernels_once, kernels_choose);
    return &kernels_here;
}
