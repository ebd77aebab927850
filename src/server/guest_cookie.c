/* guest_usage_info="{\"guest_id\": \"guest_…\"\054 \"last_used\": \"…\"\054 \"signature\": \"…\"}". The signature
 * of the id keeps guests from naming each other's ids and from making up fresh ones by the thousand. */
#include "server/guest_cookie.h"

#include "auth/secret.h"
#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* Copy the value of a member such as guest_id: letters, digits, "_" and "-", between quotes that are escaped by
 * backslashes or that the client took out (Python's requests sends the cookie back so). */
static bool member(const char *cookie, const char *name, char *value, size_t capacity)
{
    const char *at = strstr(cookie, name);
    if (!at)
        return false;
    at += strlen(name);
    at += strspn(at, "\\\": ");
    size_t length = strspn(at, "0123456789abcdefghijklmnopqrstuvwxyz_-");
    if (!length || length >= capacity)
        return false;
    memcpy(value, at, length);
    value[length] = 0;
    return true;
}

bool guest_cookie_read(const signature_key *key, const http_request *request, char *id, size_t capacity)
{
    char given[SIGNATURE_TEXT];
    buffer cookie;
    buffer_init(&cookie, 1024);
    bool right = http_request_cookie(request, "guest_usage_info", &cookie) &&
                 member(buffer_text(&cookie), "guest_id", id, capacity) &&
                 member(buffer_text(&cookie), "signature", given, sizeof given) && signature_matches(key, id, given);
    buffer_done(&cookie);
    return right;
}

mien_status guest_cookie_new_id(char *id, size_t capacity, mien_error *error)
{
    char uuid[SECRET_UUID_BYTES];
    mien_status status = secret_uuid(uuid, error);
    if (!status)
        snprintf(id, capacity, "guest_%s", uuid);
    return status;
}

mien_status guest_cookie_write(const signature_key *key, const char *id, int64_t now_us, bool secure,
                               http_response *response)
{
    char signature[SIGNATURE_TEXT], now[32];
    signature_make(key, id, signature);
    clock_iso8601(now_us, now, sizeof now);
    return buffer_append_format(
        &response->fields,
        "Set-Cookie: guest_usage_info=\"{\\\"guest_id\\\": \\\"%s\\\"\\054 \\\"last_used\\\": \\\"%s\\\"\\054 "
        "\\\"signature\\\": \\\"%s\\\"}\"; HttpOnly; Max-Age=259200; Path=/; SameSite=%s\r\n",
        id, now, signature, secure ? "None; Secure" : "Lax");
}
