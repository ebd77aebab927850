/* One GET over HTTPS, for key sets: no redirects to other schemes, short timeouts, a small greatest size. */
#ifndef AUTH_FETCH_H
#define AUTH_FETCH_H

#include "base/buffer.h"

mien_status fetch_https(void *context, const char *url, buffer *body, int64_t *max_age, mien_error *error);

#endif
