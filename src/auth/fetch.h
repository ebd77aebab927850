/* One GET over HTTPS, for key sets: no redirects to other schemes, short timeouts, a small greatest size. */
#ifndef AUTH_FETCH_H
#define AUTH_FETCH_H

#include "base/buffer.h"

/** Whether `url` leads to this machine, by its host as libcurl reads it: there plain HTTP may be spoken, for tests and
 *  emulators. */
bool fetch_is_loopback(const char *url);

/** As key_set_fetch (key_set.h): append what `url` holds and say how many seconds it may be kept, at most 256 KiB.
 *  Thread-safe; `context` is not used. @return MIEN_OK, MIEN_EIO, MIEN_ETIMEOUT, MIEN_ENOMEM. */
mien_status fetch_https(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *error);

#endif
