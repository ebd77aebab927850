/* A hash table of fixed size with a list in order of use. All entries are taken at the start except their faces, so the
 * cache cannot grow beyond its capacity; one lock is enough, for a look-up costs a microsecond beside a recognition's
 * milliseconds. */
#include "server/result_cache.h"

#include "base/error.h"
#include "base/memory.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

enum { MAX_FACES = 256 }; /* results with more are not kept */

typedef struct entry {
    result_key key;
    uint64_t expires_ns;
    mien_result result;
    struct entry *next_in_bucket;
    struct entry *newer, *older;
} entry;

struct result_cache {
    pthread_mutex_t lock;
    uint64_t life_ns;
    size_t capacity, buckets;
    entry *entries;
    entry **bucket;
    entry *newest, *oldest;
    result_cache_counts counts;
};

mien_status result_cache_create(size_t capacity, double seconds, result_cache **out, mien_error *error)
{
    result_cache *cache = memory_zeroed(1, sizeof *cache);
    if (!cache)
        return error_no_memory(error, sizeof *cache);
    cache->capacity = capacity;
    cache->life_ns = (uint64_t)(seconds * 1e9);
    cache->buckets = 16;
    while (cache->buckets < capacity)
        cache->buckets *= 2;
    cache->entries = memory_zeroed(capacity, sizeof *cache->entries);
    cache->bucket = memory_zeroed(cache->buckets, sizeof(entry *));
    if (!cache->entries || !cache->bucket) {
        memory_free(cache->entries);
        memory_free(cache->bucket);
        memory_free(cache);
        return error_no_memory(error, capacity * sizeof(entry));
    }
    pthread_mutex_init(&cache->lock, NULL);
    *out = cache;
    return MIEN_OK;
}

void result_cache_destroy(result_cache **cache)
{
    if (!*cache)
        return;
    for (size_t i = 0; i < (*cache)->counts.entries; i++)
        memory_free((*cache)->entries[i].result.faces);
    pthread_mutex_destroy(&(*cache)->lock);
    memory_free((*cache)->entries);
    memory_free((*cache)->bucket);
    memory_free(*cache);
    *cache = NULL;
}

void result_cache_key(const void *bytes, size_t length, const mien_analyze_options *options, uint64_t load,
                      result_key *key)
{
    struct {
        double scale_factor;
        uint64_t load;
        uint64_t max_pixels;
        uint64_t max_faces, max_side;
        int32_t preset, min_face, min_neighbors, box_count;
        float min_confidence;
        float min_score;
    } settings = {options->scale_factor,
                  load,
                  options->limits.max_pixels,
                  options->max_faces,
                  options->limits.max_side,
                  options->preset,
                  options->min_face,
                  options->min_neighbors,
                  (int32_t)options->face_box_count,
                  options->min_confidence,
                  options->min_score};
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof key->bytes);
    crypto_generichash_update(&state, (const unsigned char *)&settings, sizeof settings);
    if (options->face_boxes)
        crypto_generichash_update(&state, (const unsigned char *)options->face_boxes,
                                  options->face_box_count * sizeof *options->face_boxes);
    crypto_generichash_update(&state, bytes, length);
    crypto_generichash_final(&state, key->bytes, sizeof key->bytes);
}

static size_t bucket_of(const result_cache *cache, const result_key *key)
{
    uint64_t word;
    memcpy(&word, key->bytes, sizeof word);
    return word & (cache->buckets - 1);
}

static entry *find(result_cache *cache, const result_key *key)
{
    entry *at = cache->bucket[bucket_of(cache, key)];
    while (at && memcmp(&at->key, key, sizeof *key))
        at = at->next_in_bucket;
    return at;
}

static void unlink_use(result_cache *cache, entry *e)
{
    *(e->newer ? &e->newer->older : &cache->newest) = e->older;
    *(e->older ? &e->older->newer : &cache->oldest) = e->newer;
}

static void link_newest(result_cache *cache, entry *e)
{
    e->newer = NULL;
    e->older = cache->newest;
    *(cache->newest ? &cache->newest->newer : &cache->oldest) = e;
    cache->newest = e;
}

static void unlink_bucket(result_cache *cache, entry *e)
{
    entry **at = &cache->bucket[bucket_of(cache, &e->key)];
    while (*at != e)
        at = &(*at)->next_in_bucket;
    *at = e->next_in_bucket;
}

static bool copy_result(const mien_result *from, mien_result *to)
{
    mien_face *faces = NULL;
    if (from->face_count) {
        faces = memory_array(from->face_count, sizeof *faces);
        if (!faces)
            return false;
        memcpy(faces, from->faces, from->face_count * sizeof *faces);
    }
    memory_free(to->faces);
    *to = *from;
    to->faces = faces;
    return true;
}

bool result_cache_get(result_cache *cache, const result_key *key, uint64_t now_ns, mien_result *result)
{
    pthread_mutex_lock(&cache->lock);
    entry *e = find(cache, key);
    bool hit = e && e->expires_ns > now_ns && copy_result(&e->result, result);
    if (hit) {
        unlink_use(cache, e);
        link_newest(cache, e);
    }
    *(hit ? &cache->counts.hits : &cache->counts.misses) += 1;
    pthread_mutex_unlock(&cache->lock);
    return hit;
}

/* An entry to fill: a fresh one, or the least recently used one, taken out of its bucket. */
static entry *take_entry(result_cache *cache)
{
    if (cache->counts.entries < cache->capacity)
        return &cache->entries[cache->counts.entries++];
    entry *e = cache->oldest;
    unlink_use(cache, e);
    unlink_bucket(cache, e);
    cache->counts.evictions++;
    return e;
}

void result_cache_put(result_cache *cache, const result_key *key, uint64_t now_ns, const mien_result *result)
{
    if (!cache->capacity || result->face_count > MAX_FACES)
        return;
    mien_result copy = {0};
    if (!copy_result(result, &copy))
        return;
    pthread_mutex_lock(&cache->lock);
    entry *e = find(cache, key);
    if (e) {
        unlink_use(cache, e);
    } else {
        e = take_entry(cache);
        e->key = *key;
        size_t bucket = bucket_of(cache, key);
        e->next_in_bucket = cache->bucket[bucket];
        cache->bucket[bucket] = e;
    }
    memory_free(e->result.faces);
    e->result = copy;
    e->expires_ns = now_ns + cache->life_ns;
    link_newest(cache, e);
    pthread_mutex_unlock(&cache->lock);
}

result_cache_counts result_cache_count(result_cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    result_cache_counts counts = cache->counts;
    pthread_mutex_unlock(&cache->lock);
    return counts;
}
