/* Whose token is it? mien's own access tokens, and ID tokens of the configured provider. Thread-safe. */
#ifndef SERVER_TOKEN_CHECK_H
#define SERVER_TOKEN_CHECK_H

#include "server/settings.h"

typedef struct token_check token_check;

/** From SECRET_KEY and the FIREBASE_… and OIDC settings; without any of them every token is refused. */
mien_status token_check_create(const settings *settings, token_check **out, mien_error *error);
void token_check_destroy(token_check **check);

/** May fetch keys: call it on a worker. @param user_id [out] the caller's, memory_free; may be NULL.
 *  @return MIEN_OK, MIEN_EDENIED, MIEN_EIO or MIEN_ETIMEOUT (the provider's keys cannot be had). */
mien_status token_check_verify(token_check *check, const char *token, char **user_id, mien_error *error);

#endif
