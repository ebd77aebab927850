/* The cookie that tells one guest from another: an id and our signature under it, in the form that history-api's
 * clients know (a JSON object in a quoted cookie value). */
#ifndef SERVER_GUEST_COOKIE_H
#define SERVER_GUEST_COOKIE_H

#include "server/http_message.h"
#include "server/signature.h"

/** The id of a cookie that carries our signature; false otherwise. */
bool guest_cookie_read(const signature_key *key, const http_request *request, char *id, size_t capacity);
/** "guest_" and a random UUID. */
mien_status guest_cookie_new_id(char *id, size_t capacity, mien_error *error);
/** Set-Cookie. `secure`: the request came over TLS, so the cookie may cross sites. */
mien_status guest_cookie_write(const signature_key *key, const char *id, int64_t now_us, bool secure,
                               http_response *response);

#endif
