/* Secrets come from the kernel; comparisons take constant time; example values are refused at start, because a secret
 * that stands in a public documentation is none. */
#include "auth/secret.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/random.h"

enum { SECRET_LEAST_BYTES = 32, SECRET_RANDOM_BYTES = 32 };

void secret_hash(const char *secret, size_t length, uint8_t hash[SECRET_HASH_BYTES])
{
    crypto_hash_sha256(hash, (const unsigned char *)secret, length);
}

mien_status secret_uuid(char uuid[SECRET_UUID_BYTES], mien_error *error)
{
    uint8_t b[16];
    mien_status status = random_secret(b, sizeof b, error);
    if (status)
        return status;
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    snprintf(uuid, SECRET_UUID_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
    return MIEN_OK;
}

mien_status secret_api_key(char key[SECRET_KEY_BYTES], mien_error *error)
{
    uint8_t bytes[SECRET_RANDOM_BYTES];
    buffer text;
    buffer_init(&text, SECRET_KEY_BYTES);
    mien_status status = random_secret(bytes, sizeof bytes, error);
    if (!status && base64_encode_url(bytes, sizeof bytes, &text))
        status = buffer_status(&text, error);
    if (!status)
        snprintf(key, SECRET_KEY_BYTES, "mien_%s", buffer_text(&text));
    sodium_memzero(bytes, sizeof bytes);
    buffer_done(&text);
    return status;
}

bool secret_equal(const void *a, const void *b, size_t length)
{
    return sodium_memcmp(a, b, length) == 0;
}

static bool contains_ignoring_case(const char *text, const char *part)
{
    size_t length = strlen(part);
    for (; *text; text++) {
        size_t i = 0;
        while (i < length && tolower((unsigned char)text[i]) == part[i])
            i++;
        if (i == length)
            return true;
    }
    return false;
}

bool secret_is_example(const char *value)
{
    static const char *const examples[] = {"change",     "your",       "example",  "secret-key",
                                           "secret_key", "secretkey",  "password", "placeholder",
                                           "xxxxx",      "1234567890", "default"};
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++)
        if (contains_ignoring_case(value, examples[i]))
            return true;
    return false;
}

mien_status secret_check_configured(const char *name, const char *value, mien_error *error)
{
    if (strlen(value) < SECRET_LEAST_BYTES)
        return error_set(error, MIEN_EINVAL, "%s: at least %d characters are wanted; `openssl rand -hex 32` makes some",
                         name, SECRET_LEAST_BYTES);
    if (secret_is_example(value))
        return error_set(error, MIEN_EINVAL,
                         "%s: this looks like an example value; `openssl rand -hex 32` makes a real one, and without "
                         "one mien makes its own",
                         name);
    return MIEN_OK;
}
