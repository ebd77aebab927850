/* The cookie that tells one guest from another: an id and our signature under it, in the form that history-api's
 * clients know (a JSON object in a quoted cookie value). */
#ifndef SERVER_GUEST_COOKIE_H
#define SERVER_GUEST_COOKIE_H

#include "server/http_message.h"

typedef struct guest_cookie_key {
    uint8_t bytes[32];
} guest_cookie_key;

void guest_cookie_make_key(const void *secret, size_t length, guest_cookie_key *key);
/** The id of a cookie that carries our signature; false otherwise. */
bool guest_cookie_read(const guest_cookie_key *key, const http_request *request, char *id, size_t capacity);
/** "guest_" and a random UUID. */
mien_status guest_cookie_new_id(char *id, size_t capacity, mien_error *error);
/** Set-Cookie. `secure`: the request came over TLS, so the cookie may cross sites. */
mien_status guest_cookie_write(const guest_cookie_key *key, const char *id, int64_t now_us, bool secure,
                               http_response *response);

#endif
