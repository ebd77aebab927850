/* Access and refresh tokens of mien itself: HS256, told apart by their "type", so that neither passes for the other. */
#ifndef AUTH_SESSION_TOKEN_H
#define AUTH_SESSION_TOKEN_H

#include "auth/jwt.h"

typedef enum session_token_type { SESSION_TOKEN_ACCESS = 1, SESSION_TOKEN_REFRESH } session_token_type;

/** `now` and `lifetime` in seconds. Every token has an id of its own, so two made in the same second differ. */
mien_status session_token_issue(const jwt_key *key, session_token_type type, const char *user_id, int64_t now,
                                int64_t lifetime, buffer *token, mien_error *error);
/** @param user_id [out] belongs to the caller, memory_free.  @return MIEN_OK or MIEN_EDENIED: forged, expired, issued
 * in the future (more than a minute), of the other type. */
mien_status session_token_verify(const jwt_key *key, session_token_type type, const char *token, int64_t now,
                                 char **user_id, mien_error *error);

#endif
