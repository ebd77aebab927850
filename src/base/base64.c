/* Base64: the bulk goes through kernels (base64_kernels.h) in whole groups; what is left, white space, padding and
 * faults are looked at one character at a time. Clients send what browsers, shells and mail programs make of it, so the
 * lenient decoder skips white space and accepts both alphabets; the strict one is for signed tokens, where two
 * spellings of one value would be a weakness. */
#include "base/base64.h"

#include <stdbool.h>

#include "base/base64_kernels.h"
#include "base/error.h"

enum { BASE64_BAD = 0xff, BASE64_SPACE = 0xfe, BASE64_PAD = 0xfd };

static const char base64_standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_urlsafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static uint8_t base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint8_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint8_t)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (uint8_t)(c - '0' + 52);
    switch (c) {
    case '+':
    case '-':
        return 62;
    case '/':
    case '_':
        return 63;
    case '=':
        return BASE64_PAD;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return BASE64_SPACE;
    default:
        return BASE64_BAD;
    }
}

static mien_status base64_decode_any(const char *text, size_t length, bool strict, buffer *out, mien_error *error)
{
    if (length > SIZE_MAX - 3)
        return error_set(error, MIEN_ELIMIT, "base64: %zu characters are too many", length);
    size_t start = out->length;
    mien_status status = buffer_reserve(out, length / 4 * 3 + 3);
    if (status)
        return buffer_status(out, error);

    uint32_t bits = 0;
    unsigned held = 0, padding = 0;
    uint8_t *to = out->data + start;
    const base64_kernels *kernels = base64_kernels_get();
    for (size_t i = 0; i < length; i++) {
        if (!held && !padding) {
            size_t taken = kernels->decode(text + i, length - i, to, strict);
            i += taken;
            to += taken / 4 * 3;
            if (i == length)
                break;
        }
        uint8_t value = base64_value((unsigned char)text[i]);
        if (value == BASE64_SPACE && !strict)
            continue;
        if (value == BASE64_PAD && !strict && (held >= 2 || padding) && padding < 2) {
            padding++;
            continue;
        }
        if (value > 63 || padding || (strict && (text[i] == '+' || text[i] == '/'))) {
            out->data[start] = 0;
            return error_set_at(error, MIEN_EFORMAT, i, "base64: character 0x%02x at %zu does not belong",
                                (unsigned char)text[i], i);
        }
        bits = bits << 6 | value;
        if (++held == 4) {
            *to++ = (uint8_t)(bits >> 16);
            *to++ = (uint8_t)(bits >> 8);
            *to++ = (uint8_t)bits;
            held = 0;
            bits = 0;
        }
    }
    bool spare = held && bits & (held == 2 ? 15 : 3); /* bits that stand for nothing: 0, or one token has many texts */
    if (held == 1 || (padding && held + padding != 4) || (strict && spare)) {
        out->data[start] = 0;
        return error_set_at(error, MIEN_EFORMAT, length, "base64: the text is cut off");
    }
    if (held >= 2)
        *to++ = (uint8_t)(held == 2 ? bits >> 4 : bits >> 10);
    if (held == 3)
        *to++ = (uint8_t)(bits >> 2);
    out->length = (size_t)(to - out->data);
    out->data[out->length] = 0;
    return MIEN_OK;
}

mien_status base64_decode(const char *text, size_t length, buffer *out, mien_error *error)
{
    return base64_decode_any(text, length, false, out, error);
}

mien_status base64_decode_url(const char *text, size_t length, buffer *out, mien_error *error)
{
    return base64_decode_any(text, length, true, out, error);
}

static mien_status base64_encode_any(const uint8_t *bytes, size_t length, bool url_safe, buffer *out)
{
    if (length > SIZE_MAX / 4 * 3 - 3)
        return out->failed = MIEN_ELIMIT;
    if (out->failed || buffer_reserve(out, (length + 2) / 3 * 4))
        return out->failed;
    const char *alphabet = url_safe ? base64_urlsafe : base64_standard;
    char *to = (char *)out->data + out->length;
    size_t taken = length ? base64_kernels_get()->encode(bytes, length, to, url_safe) : 0;
    to += taken / 3 * 4;
    for (size_t i = taken; i < length; i += 3) {
        size_t left = length - i;
        uint32_t bits =
            (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) | (left > 2 ? bytes[i + 2] : 0);
        *to++ = alphabet[bits >> 18];
        *to++ = alphabet[bits >> 12 & 63];
        if (left > 1)
            *to++ = alphabet[bits >> 6 & 63];
        else if (!url_safe)
            *to++ = '=';
        if (left > 2)
            *to++ = alphabet[bits & 63];
        else if (!url_safe)
            *to++ = '=';
    }
    out->length = (size_t)((uint8_t *)to - out->data);
    out->data[out->length] = 0;
    return MIEN_OK;
}

mien_status base64_encode(const void *bytes, size_t length, buffer *out)
{
    return base64_encode_any(bytes, length, false, out);
}

mien_status base64_encode_url(const void *bytes, size_t length, buffer *out)
{
    return base64_encode_any(bytes, length, true, out);
}
