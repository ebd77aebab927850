/* Random secrets and ids, and the hashes by which alone the store knows a secret. */
#ifndef AUTH_SECRET_H
#define AUTH_SECRET_H

#include <mien/base.h>

#include <stdbool.h>

enum { SECRET_HASH_BYTES = 32, SECRET_UUID_BYTES = 37, SECRET_KEY_BYTES = 64 };

/** SHA-256. For secrets with 128 and more random bits: no salt and no stretching is needed. */
void secret_hash(const char *secret, size_t length, uint8_t hash[SECRET_HASH_BYTES]);
/** "xxxxxxxx-xxxx-4xxx-…" (RFC 4122, random). */
mien_status secret_uuid(char uuid[SECRET_UUID_BYTES], mien_error *error);
/** An API key: "mien_" and 43 characters, 256 random bits. */
mien_status secret_api_key(char key[SECRET_KEY_BYTES], mien_error *error);
/** Equal, in a time that does not tell where they differ. */
bool secret_equal(const void *a, const void *b, size_t length);
/** Whether a configured secret can be used: at least 32 bytes, not one of the example values of the documentations that
 *  the systems before mien had. @return MIEN_OK or MIEN_EINVAL, which says what is wrong but never the value. */
mien_status secret_check_configured(const char *name, const char *value, mien_error *error);
/** Does it look like what stands in example files ("your_key_here", "change-me", "xxxxx")? */
bool secret_is_example(const char *value);

#endif
