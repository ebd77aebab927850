/* JSON Web Tokens (RFC 7519): our own, signed with a secret (HS256), and those of identity providers (RS256). The
 * algorithm is fixed by the caller and never taken from the token. */
#ifndef AUTH_JWT_H
#define AUTH_JWT_H

#include <jansson.h>

#include "base/buffer.h"

enum { JWT_LONGEST = 16384 };

/** A key that signs or checks; immutable, shared between threads. */
typedef struct jwt_key jwt_key;

/** `secret` of at least 32 bytes, borrowed for the call. */
mien_status jwt_key_from_secret(const char *secret, jwt_key **key, mien_error *error);
/** One public RSA key as a JSON Web Key object. MIEN_EFORMAT when it is none, or is smaller than 2048 bits. */
mien_status jwt_key_from_jwk(const json_t *jwk, jwt_key **key, mien_error *error);
void jwt_key_destroy(jwt_key **key);

/** Append the compact form of `claims` signed with HS256. */
mien_status jwt_sign(const jwt_key *key, const json_t *claims, buffer *token, mien_error *error);

/** The header of a token, not checked in any way: for choosing the key. A new reference. */
mien_status jwt_peek_header(const char *token, json_t **header, mien_error *error);
/** Check the signature with a key made by jwt_key_from_secret (HS256) or jwt_key_from_jwk (RS256) and give the claims,
 * a new reference. MIEN_EDENIED: malformed, another algorithm, wrong signature. Times are the caller's to check. */
mien_status jwt_verify(const jwt_key *key, const char *token, json_t **claims, mien_error *error);
/** The claims of an unsigned token (alg none, empty signature): only for an emulator that the operator named. */
mien_status jwt_read_unsigned(const char *token, json_t **claims, mien_error *error);

#endif
