/* Fixed windows, one per client and route: a window begins with its first request and holds `most` of them, as the
 * sources' limiters do ("100 per 1 minute"). One lock around a fixed hash table; names are hashed with a secret key
 * (SipHash), so nobody can aim at one bucket, and addresses are not kept. */
#include "server/rate_limit.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum { WAYS = 8 };

typedef struct window {
    uint64_t name; /* 0 = free */
    uint64_t begin_ns, end_ns;
    long used;
} window;

struct rate_limit {
    pthread_mutex_t lock;
    unsigned char key[crypto_shorthash_KEYBYTES];
    size_t sets;
    window *windows; /* sets × WAYS */
};

mien_status rate_limit_create(size_t clients, rate_limit **out, mien_error *error)
{
    rate_limit *limit = memory_zeroed(1, sizeof *limit);
    if (!limit)
        return error_no_memory(error, sizeof *limit);
    limit->sets = 1;
    while (limit->sets * WAYS < clients)
        limit->sets *= 2;
    limit->windows = memory_zeroed(limit->sets * WAYS, sizeof *limit->windows);
    mien_status status = limit->windows ? random_secret(limit->key, sizeof limit->key, error)
                                        : error_no_memory(error, limit->sets * WAYS * sizeof *limit->windows);
    if (status) {
        memory_free(limit->windows);
        memory_free(limit);
        return status;
    }
    pthread_mutex_init(&limit->lock, NULL);
    *out = limit;
    return MIEN_OK;
}

void rate_limit_destroy(rate_limit **limit)
{
    if (!*limit)
        return;
    pthread_mutex_destroy(&(*limit)->lock);
    memory_free((*limit)->windows);
    memory_free(*limit);
    *limit = NULL;
}

static uint64_t hash(const rate_limit *limit, const char *text)
{
    uint64_t value;
    crypto_shorthash((unsigned char *)&value, (const unsigned char *)text, strlen(text), limit->key);
    return value;
}

/* The client's window, or a free or ended one, or the one of its set that began longest ago. */
static window *find(rate_limit *limit, uint64_t name, uint64_t now_ns)
{
    window *set = &limit->windows[(name >> 32 & (limit->sets - 1)) * WAYS], *best = set;
    for (size_t i = 0; i < WAYS; i++)
        if (set[i].name == name)
            return &set[i];
    for (size_t i = 0; i < WAYS; i++) {
        if (!set[i].name || set[i].end_ns <= now_ns) {
            best = &set[i];
            break;
        }
        if (set[i].begin_ns < best->begin_ns)
            best = &set[i];
    }
    *best = (window){.name = name};
    return best;
}

rate_verdict rate_limit_take(rate_limit *limit, const char *client, const char *route, long most, double seconds,
                             uint64_t now_ns)
{
    uint64_t name = hash(limit, client) ^ (hash(limit, route) * 0x9e3779b97f4a7c15u);
    name += !name;
    pthread_mutex_lock(&limit->lock);
    window *w = find(limit, name, now_ns);
    if (w->end_ns <= now_ns) {
        w->begin_ns = now_ns;
        w->end_ns = now_ns + (uint64_t)(seconds * 1e9);
        w->used = 0;
    }
    rate_verdict verdict = {.allowed = w->used < most};
    if (verdict.allowed)
        w->used++;
    else
        verdict.retry_after = (double)(w->end_ns - now_ns) / 1e9;
    verdict.remaining = most - w->used;
    pthread_mutex_unlock(&limit->lock);
    return verdict;
}
