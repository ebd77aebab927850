/* How often a client may ask: so many requests in a window of time, per address, user or key, and per route. */
#ifndef SERVER_RATE_LIMIT_H
#define SERVER_RATE_LIMIT_H

#include <mien/base.h>

#include <stdbool.h>

typedef struct rate_limit rate_limit;

typedef struct rate_verdict {
    bool allowed;
    long remaining;     /* requests left in the window after this one */
    double retry_after; /* seconds until one more is allowed; 0 when allowed */
} rate_verdict;

/** Remembers up to `clients` names; when full, those whose windows have passed make room, then the one idle longest. */
mien_status rate_limit_create(size_t clients, rate_limit **limit, mien_error *error);
void rate_limit_destroy(rate_limit **limit);

/** Count one request of `client` (an address, user or key) on `route`. Exact under concurrency: of any number of
 * threads asking at once, `most` in a window are allowed. `now_ns` of the monotonic clock. */
rate_verdict rate_limit_take(rate_limit *limit, const char *client, const char *route, long most, double window,
                             uint64_t now_ns);

#endif
