/* Results kept by picture and settings, so that the same picture is recognised once. Exact under concurrency. */
#ifndef SERVER_RESULT_CACHE_H
#define SERVER_RESULT_CACHE_H

#include <mien/analyzer.h>

#include <stdbool.h>

typedef struct result_cache result_cache;
typedef struct result_key {
    uint8_t bytes[16];
} result_key;

typedef struct result_cache_counts {
    uint64_t hits, misses, evictions;
    size_t entries;
} result_cache_counts;

/** Keeps `capacity` results for `seconds` each; the least recently used one goes first. */
mien_status result_cache_create(size_t capacity, double seconds, result_cache **cache, mien_error *error);
void result_cache_destroy(result_cache **cache);

/** Key of these bytes under these options and one load of a model: BLAKE2b, so that nobody can make two pictures meet.
 */
void result_cache_key(const void *bytes, size_t length, const mien_analyze_options *options, uint64_t load,
                      result_key *key);
/** Copy the result out (over what `result` held) when it is there and fresh. `now_ns` of the monotonic clock. */
bool result_cache_get(result_cache *cache, const result_key *key, uint64_t now_ns, mien_result *result);
/** Keep a copy; when memory is short nothing is kept. */
void result_cache_put(result_cache *cache, const result_key *key, uint64_t now_ns, const mien_result *result);
result_cache_counts result_cache_count(result_cache *cache);

#endif
