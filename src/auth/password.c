/* argon2id (RFC 9106) with 19 MiB and two passes: OWASP's smallest recommended setting, so that a server in a 256 MB
 * container survives several sign-ins at once. */
#include "auth/password.h"

#include <sodium.h>
#include <string.h>

#include "base/error.h"

enum { PASSWORD_PASSES = 2, PASSWORD_MEMORY = 19 << 20 };

_Static_assert((int)PASSWORD_HASH_BYTES >= (int)crypto_pwhash_STRBYTES, "libsodium's text must fit");

mien_status password_hash(const char *password, char hash[PASSWORD_HASH_BYTES], mien_error *error)
{
    size_t length = strnlen(password, PASSWORD_LONGEST + 1);
    if (length < PASSWORD_SHORTEST || length > PASSWORD_LONGEST)
        return error_set(error, MIEN_EINVAL, "a password has %d to %d characters", PASSWORD_SHORTEST, PASSWORD_LONGEST);
    char made[crypto_pwhash_STRBYTES];
    if (sodium_init() < 0 ||
        crypto_pwhash_str_alg(made, password, length, PASSWORD_PASSES, PASSWORD_MEMORY, crypto_pwhash_ALG_ARGON2ID13))
        return error_no_memory(error, PASSWORD_MEMORY);
    memcpy(hash, made, sizeof made);
    return MIEN_OK;
}

bool password_matches(const char *password, const char *hash)
{
    char nobody[PASSWORD_HASH_BYTES];
    size_t length = strnlen(password, PASSWORD_LONGEST + 1);
    if (length > PASSWORD_LONGEST || sodium_init() < 0)
        return false;
    if (!hash) {
        /* the same work as a comparison, thrown away */
        password_hash("no such account", nobody, NULL);
        return false;
    }
    return crypto_pwhash_str_verify(hash, password, length) == 0;
}
