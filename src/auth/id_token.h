/* ID tokens of Firebase or another OpenID Connect provider: who somebody is, signed by the provider. */
#ifndef AUTH_ID_TOKEN_H
#define AUTH_ID_TOKEN_H

#include "auth/key_set.h"

typedef struct id_token_options {
    const char *audience; /* the project (Firebase) or client id */
    const char *issuer;   /* NULL = https://securetoken.google.com/<audience> */
    const char *keys_url; /* NULL = Google's secure-token keys */
    bool emulator;        /* accept unsigned tokens: only while FIREBASE_AUTH_EMULATOR_HOST is set */
    key_set_fetch fetch;  /* NULL = libcurl */
    void *fetch_context;
} id_token_options;

/** Texts may be NULL, but `subject` never is. */
typedef struct id_token {
    char *subject, *email, *name, *picture, *sign_in_provider;
    bool email_verified;
} id_token;

typedef struct id_token_verifier id_token_verifier; /* thread-safe */

/** Texts are copied. MIEN_EINVAL when there is no audience. */
mien_status id_token_verifier_create(const id_token_options *options, id_token_verifier **out, mien_error *error);
void id_token_verifier_destroy(id_token_verifier **verifier);
/** `now` in seconds. @return MIEN_OK, MIEN_EDENIED (says which check failed), MIEN_EIO or MIEN_ETIMEOUT (no keys). */
mien_status id_token_verify(id_token_verifier *verifier, const char *token, int64_t now, id_token *who,
                            mien_error *error);
void id_token_done(id_token *who);

#endif
