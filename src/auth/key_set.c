/* A key set behind a mutex. Keys are parsed once per fetch and counted by reference through the set's generation: a
 * verification holds the lock only while it looks its key up and uses it, a fetch runs without the lock. Unknown key
 * ids cause a few fetches a minute and no more, so that forged tokens cannot turn mien against the provider. */
#include "auth/key_set.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "auth/certificate.h"
#include "auth/fetch.h"
#include "base/error.h"
#include "base/memory.h"

enum {
    KEY_SET_MOST = 64,
    KEY_SET_LEAST_AGE = 5, /* seconds; also the pause after a failure */
    KEY_SET_MOST_AGE = 86400,
    KEY_SET_UNKNOWN_A_MINUTE = 5,
    KEY_SET_BODY_BYTES = 256 << 10
};

struct key_entry {
    char *id;
    jwt_key *key;
};

struct key_set {
    char *url;
    key_set_fetch fetch;
    void *context;
    pthread_mutex_t lock;
    pthread_mutex_t fetching; /* one fetch at a time; the others wait for its answer */
    struct key_entry keys[KEY_SET_MOST];
    size_t count;
    int64_t tried, expires; /* seconds; 0 = never */
    int64_t minute;         /* when the budget for unknown key ids began */
    int unknown;            /* fetches for them since then */
};

mien_status key_set_create(const char *url, key_set_fetch fetch, void *context, key_set **out, mien_error *error)
{
    key_set *set = memory_zeroed(1, sizeof *set);
    if (!set)
        return error_no_memory(error, sizeof *set);
    pthread_mutex_init(&set->lock, NULL);
    pthread_mutex_init(&set->fetching, NULL);
    set->fetch = fetch ? fetch : fetch_https;
    set->context = context;
    set->url = memory_text(url);
    if (!set->url) {
        key_set_destroy(&set);
        return error_no_memory(error, strlen(url));
    }
    *out = set;
    return MIEN_OK;
}

static void key_entries_done(struct key_entry *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        memory_free(keys[i].id);
        jwt_key_destroy(&keys[i].key);
    }
}

void key_set_destroy(key_set **set)
{
    if (!set || !*set)
        return;
    key_entries_done((*set)->keys, (*set)->count);
    pthread_mutex_destroy(&(*set)->lock);
    pthread_mutex_destroy(&(*set)->fetching);
    memory_free((*set)->url);
    memory_free(*set);
    *set = NULL;
}

static void key_set_keep(struct key_entry *keys, size_t *found, const char *id, jwt_key *key)
{
    keys[*found].key = key;
    keys[*found].id = memory_text(id);
    if (keys[*found].id)
        (*found)++;
    else
        jwt_key_destroy(&keys[*found].key);
}

/* {"keys": [JWK, …]} or {"key id": "PEM certificate", …}. Keys of other kinds stand there too and are passed over. */
static mien_status key_set_parse(const buffer *body, struct key_entry *keys, size_t *count, mien_error *error)
{
    json_t *root = json_loadb(buffer_text(body), body->length, 0, NULL);
    const json_t *list = json_object_get(root, "keys");
    size_t found = 0;
    jwt_key *key = NULL;
    for (size_t i = 0; i < json_array_size(list) && found < KEY_SET_MOST; i++) {
        const json_t *object = json_array_get(list, i);
        const char *id = json_string_value(json_object_get(object, "kid"));
        if (id && !jwt_key_from_jwk(object, &key, NULL))
            key_set_keep(keys, &found, id, key);
    }
    const char *id;
    json_t *pem;
    json_object_foreach(list ? NULL : root, id, pem)
    {
        if (found < KEY_SET_MOST && json_is_string(pem) &&
            !jwt_key_from_certificate(json_string_value(pem), &key, NULL))
            key_set_keep(keys, &found, id, key);
    }
    json_decref(root);
    if (!found)
        return error_set(error, MIEN_EIO, "the key set holds no usable key");
    *count = found;
    return MIEN_OK;
}

static mien_status key_set_refresh(key_set *set, int64_t now, mien_error *error)
{
    struct key_entry keys[KEY_SET_MOST] = {0};
    size_t count = 0;
    int64_t age = 0;
    buffer body;
    buffer_init(&body, KEY_SET_BODY_BYTES);
    mien_status status = set->fetch(set->context, set->url, &body, &age, error);
    if (!status)
        status = key_set_parse(&body, keys, &count, error);
    buffer_done(&body);
    age = age < KEY_SET_LEAST_AGE ? KEY_SET_LEAST_AGE : age > KEY_SET_MOST_AGE ? KEY_SET_MOST_AGE : age;
    pthread_mutex_lock(&set->lock);
    set->tried = now;
    if (!status) {
        key_entries_done(set->keys, set->count);
        memcpy(set->keys, keys, sizeof keys);
        set->count = count;
        set->expires = now + age;
    }
    pthread_mutex_unlock(&set->lock);
    return status;
}

/* MIEN_ENOTFOUND: no key of that name is held. */
static mien_status key_set_try(key_set *set, const char *id, const char *token, json_t **claims, mien_error *error)
{
    mien_status status = MIEN_ENOTFOUND;
    pthread_mutex_lock(&set->lock);
    for (size_t i = 0; i < set->count && status == MIEN_ENOTFOUND; i++)
        if (!strcmp(set->keys[i].id, id))
            status = jwt_verify(set->keys[i].key, token, claims, error);
    pthread_mutex_unlock(&set->lock);
    return status;
}

/* Whether to ask the provider now: because what is held is old, or because a token names a key that is not held. A
 * provider that fails is asked again after a pause, and unknown names have a small budget of their own. */
static bool key_set_should_fetch(key_set *set, int64_t now, bool unknown_key)
{
    pthread_mutex_lock(&set->lock);
    bool back = now < set->tried || now < set->minute; /* the clock was set back */
    bool stale = !set->count || now >= set->expires || back;
    bool due = stale && (back || !set->tried || now - set->tried >= KEY_SET_LEAST_AGE);
    if (unknown_key && (back || now - set->minute >= 60)) {
        set->minute = now;
        set->unknown = 0;
    }
    bool should = due || (unknown_key && set->unknown < KEY_SET_UNKNOWN_A_MINUTE);
    if (unknown_key && should)
        set->unknown++;
    pthread_mutex_unlock(&set->lock);
    return should;
}

static bool key_set_holds_any(key_set *set)
{
    pthread_mutex_lock(&set->lock);
    bool held = set->count > 0;
    pthread_mutex_unlock(&set->lock);
    return held;
}

/* Whoever holds keys does not wait for somebody else's fetch: a provider that hangs must not hold up every worker. */
static mien_status key_set_fetch_when_due(key_set *set, int64_t now, mien_error *error)
{
    if (key_set_holds_any(set) ? pthread_mutex_trylock(&set->fetching) : pthread_mutex_lock(&set->fetching))
        return MIEN_OK;
    mien_status status = key_set_should_fetch(set, now, false) ? key_set_refresh(set, now, error) : MIEN_OK;
    pthread_mutex_unlock(&set->fetching);
    return status;
}

/* The key is not held. Perhaps another thread fetches it just now: then its fetch is this one's, too. */
static mien_status key_set_retry(key_set *set, const char *id, const char *token, int64_t now, json_t **claims,
                                 mien_error *error)
{
    pthread_mutex_lock(&set->fetching);
    mien_status status = key_set_try(set, id, token, claims, error);
    if (status == MIEN_ENOTFOUND && key_set_should_fetch(set, now, true)) {
        status = key_set_refresh(set, now, error);
        if (!status)
            status = key_set_try(set, id, token, claims, error);
    }
    pthread_mutex_unlock(&set->fetching);
    return status;
}

mien_status key_set_verify(key_set *set, const char *token, int64_t now, json_t **claims, mien_error *error)
{
    json_t *header = NULL;
    mien_status status = jwt_peek_header(token, &header, error);
    if (status)
        return status;
    const char *id = json_string_value(json_object_get(header, "kid"));
    const char *algorithm = json_string_value(json_object_get(header, "alg"));
    if (!id || !algorithm || strcmp(algorithm, "RS256")) { /* not worth asking the provider */
        status = error_set(error, MIEN_EDENIED, "invalid token: %s", id ? "another algorithm" : "it names no key");
        json_decref(header);
        return status;
    }
    mien_status fetched = key_set_fetch_when_due(set, now, error);
    /* a provider that cannot be reached does not invalidate keys that are already known */
    status = key_set_try(set, id, token, claims, error);
    if (status == MIEN_ENOTFOUND && fetched)
        status = fetched;
    else if (status == MIEN_ENOTFOUND)
        status = key_set_retry(set, id, token, now, claims, error);
    json_decref(header);
    if (status == MIEN_ENOTFOUND && !key_set_holds_any(set))
        return error_set(error, MIEN_EIO, "the key set could not be fetched a moment ago");
    return status == MIEN_ENOTFOUND ? error_set(error, MIEN_EDENIED, "invalid token: its key is not known") : status;
}
