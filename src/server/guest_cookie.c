/* guest_usage_info="{\"guest_id\": \"guest_…\"\054 \"last_used\": \"…\"\054 \"signature\": \"…\"}". The signature
 * (keyed BLAKE2b of the id) keeps guests from naming each other's ids and from making up fresh ones by the thousand. */
#include "server/guest_cookie.h"

#include "auth/secret.h"
#include "base/clock.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { SIGNATURE_BYTES = 16 };

void guest_cookie_make_key(const void *secret, size_t length, guest_cookie_key *key)
{
    static const char purpose[] = "mien guest cookie";
    crypto_generichash_state state;
    crypto_generichash_init(&state, (const unsigned char *)purpose, sizeof purpose - 1, sizeof key->bytes);
    crypto_generichash_update(&state, secret, length);
    crypto_generichash_final(&state, key->bytes, sizeof key->bytes);
}

static void sign(const guest_cookie_key *key, const char *id, char text[2 * SIGNATURE_BYTES + 1])
{
    unsigned char signature[SIGNATURE_BYTES];
    crypto_generichash(signature, sizeof signature, (const unsigned char *)id, strlen(id), key->bytes,
                       sizeof key->bytes);
    sodium_bin2hex(text, 2 * SIGNATURE_BYTES + 1, signature, sizeof signature);
}

/* Copy the value of a member such as guest_id, whose quotes may be escaped by backslashes. */
static bool member(const char *cookie, const char *name, char *value, size_t capacity)
{
    const char *at = strstr(cookie, name);
    if (!at)
        return false;
    at += strlen(name);
    at += strspn(at, "\\\": ");
    size_t length = strcspn(at, "\\\"");
    if (!length || length >= capacity)
        return false;
    memcpy(value, at, length);
    value[length] = 0;
    return true;
}

bool guest_cookie_read(const guest_cookie_key *key, const http_request *request, char *id, size_t capacity)
{
    char wanted[2 * SIGNATURE_BYTES + 1], given[2 * SIGNATURE_BYTES + 1];
    buffer cookie;
    buffer_init(&cookie, 1024);
    bool right = http_request_cookie(request, "guest_usage_info", &cookie) &&
                 member(buffer_text(&cookie), "guest_id", id, capacity) &&
                 member(buffer_text(&cookie), "signature", given, sizeof given);
    buffer_done(&cookie);
    if (!right || strlen(given) != sizeof given - 1)
        return false;
    sign(key, id, wanted);
    return secret_equal(wanted, given, sizeof given - 1);
}

mien_status guest_cookie_new_id(char *id, size_t capacity, mien_error *error)
{
    char uuid[SECRET_UUID_BYTES];
    mien_status status = secret_uuid(uuid, error);
    if (!status)
        snprintf(id, capacity, "guest_%s", uuid);
    return status;
}

mien_status guest_cookie_write(const guest_cookie_key *key, const char *id, int64_t now_us, bool secure,
                               http_response *response)
{
    char signature[2 * SIGNATURE_BYTES + 1], now[32];
    sign(key, id, signature);
    clock_iso8601(now_us, now, sizeof now);
    return buffer_append_format(
        &response->fields,
        "Set-Cookie: guest_usage_info=\"{\\\"guest_id\\\": \\\"%s\\\"\\054 \\\"last_used\\\": \\\"%s\\\"\\054 "
        "\\\"signature\\\": \\\"%s\\\"}\"; HttpOnly; Max-Age=259200; Path=/; SameSite=%s\r\n",
        id, now, signature, secure ? "None; Secure" : "Lax");
}
