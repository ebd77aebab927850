/* The public keys of an identity provider (a JSON Web Key Set, RFC 7517, or Google's object of certificates by key id),
 * fetched when needed, kept as long as the answer's Cache-Control says, fetched again when a token names a key that is
 * not among them. Thread-safe. */
#ifndef AUTH_KEY_SET_H
#define AUTH_KEY_SET_H

#include "auth/jwt.h"

/** Fetch `url` into `body` and tell in seconds how long the answer may be kept. Blocking; called without locks held. */
typedef mien_status (*key_set_fetch)(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *error);

typedef struct key_set key_set;

/** `fetch` NULL = over HTTPS with libcurl (plain HTTP only to a loopback address). */
mien_status key_set_create(const char *url, key_set_fetch fetch, void *context, key_set **out, mien_error *error);
void key_set_destroy(key_set **set);

/** Verify a token with the key that its header names. `now` in seconds of a clock that may jump.
 *  @return MIEN_OK, MIEN_EDENIED (no such key, wrong signature), MIEN_EIO or MIEN_ETIMEOUT (the keys cannot be had). */
mien_status key_set_verify(key_set *set, const char *token, int64_t now, json_t **claims, mien_error *error);

#endif
