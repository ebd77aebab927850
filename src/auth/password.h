/* Passwords: argon2id through libsodium, in its self-describing text form. */
#ifndef AUTH_PASSWORD_H
#define AUTH_PASSWORD_H

#include <mien/base.h>

#include <stdbool.h>

enum { PASSWORD_HASH_BYTES = 128, PASSWORD_SHORTEST = 8, PASSWORD_LONGEST = 1024 };

/** @param hash [out] NUL-terminated.  @return MIEN_OK, MIEN_EINVAL (too short or too long), MIEN_ENOMEM. Takes tens of
 *  milliseconds and 19 MiB on purpose: call it on a worker. */
mien_status password_hash(const char *password, char hash[PASSWORD_HASH_BYTES], mien_error *error);
/** Whether the password is the one that was hashed. With hash NULL (no such account) it takes as long and is false, so
 *  that nobody can tell from the time which accounts exist. */
bool password_matches(const char *password, const char *hash);

#endif
