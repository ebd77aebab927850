/* A short list under one lock, held for as long as it takes to compare names and count a reference. */
#include "server/model_list.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

static void add_remote(model_list *models, const char *name, size_t length)
{
    if (length && length < VISION_NAME && models->count < MODEL_LIST_MOST / 3 && memchr(name, '/', length))
        snprintf(models->entries[models->count++].name, VISION_NAME, "%.*s", (int)length, name);
}

void model_list_init(model_list *models, const settings *settings)
{
    memset(models, 0, sizeof *models);
    pthread_mutex_init(&models->lock, NULL);
    if (*settings->hf_api_key) {
        add_remote(models, settings->hf_model, strlen(settings->hf_model));
        for (const char *at = settings->hf_alternatives; *at;) {
            at += strspn(at, " ,");
            size_t length = strcspn(at, " ,");
            add_remote(models, at, length);
            at += length;
        }
    }
    models->own = models->count;
}

void model_list_done(model_list *models)
{
    model_list_release(models->entries, models->count);
    models->count = 0;
    pthread_mutex_destroy(&models->lock);
}

static bool is_taken(const model_list *models, const char *name, size_t but)
{
    for (size_t i = 0; i < models->count; i++)
        if (i != but && !strcmp(models->entries[i].name, name))
            return true;
    return false;
}

/* The model's own name; "-2" and so on behind it when another has the same. */
static void name_entry(model_list *models, size_t index)
{
    model_entry *entry = &models->entries[index];
    const char *name = entry->vision->model_name;
    snprintf(entry->name, sizeof entry->name, "%s", name);
    for (int copy = 2; is_taken(models, entry->name, index); copy++)
        snprintf(entry->name, sizeof entry->name, "%.80s-%d", name, copy);
}

mien_status model_list_add(model_list *models, vision *vision, mien_error *error)
{
    mien_status status = MIEN_OK;
    pthread_mutex_lock(&models->lock);
    if (models->count == MODEL_LIST_MOST) {
        status = error_set(error, MIEN_ELIMIT, "more than %d models", MODEL_LIST_MOST);
    } else {
        vision->load = ++models->loads;
        models->entries[models->count] = (model_entry){.vision = vision_ref(vision)};
        name_entry(models, models->count++);
    }
    pthread_mutex_unlock(&models->lock);
    return status;
}

static void rename_entry(model_list *models, size_t index)
{
    model_entry *entry = &models->entries[index];
    char before[VISION_NAME];
    memcpy(before, entry->name, sizeof before);
    name_entry(models, index);
    if (!strcmp(before, entry->name))
        return;
    memmove(entry->former[1], entry->former[0], sizeof entry->former - sizeof entry->former[0]);
    memcpy(entry->former[0], before, sizeof before);
}

void model_list_exchange(model_list *models, size_t nth, vision *with)
{
    pthread_mutex_lock(&models->lock);
    size_t index = models->own + nth;
    vision *before = NULL;
    if (index < models->count) {
        before = models->entries[index].vision;
        with->load = ++models->loads;
        models->entries[index].vision = vision_ref(with);
        rename_entry(models, index);
    }
    pthread_mutex_unlock(&models->lock);
    vision_unref(&before); /* perhaps its last user: not under the lock */
}

/* Is it this name of ours, with or without the owner? */
static bool same(const char *name, const char *asked)
{
    const char *slash = strchr(name, '/');
    return !strcmp(name, asked) || (slash && !strcmp(slash + 1, asked));
}

/* How well a name fits: 0 not at all, 3 it is this one's. */
static int fit(const model_entry *entry, const char *asked)
{
    if (!strcmp(entry->name, asked))
        return 3;
    if (!entry->vision)
        return 0;
    if (same(entry->name, asked))
        return 2;
    bool former = !strcmp(entry->vision->file_name, asked);
    for (size_t i = 0; i < MODEL_LIST_FORMER; i++)
        former = former || same(entry->former[i], asked);
    return former;
}

/* Index of the best fit, or `count`. */
static size_t find(const model_list *models, const char *name, size_t first)
{
    size_t best = models->count;
    int most = 0;
    for (size_t i = first; i < models->count && *name; i++) {
        int fits = fit(&models->entries[i], name);
        if (fits > most) {
            most = fits;
            best = i;
        }
    }
    return best;
}

mien_status model_list_pick(model_list *models, const char *name, model_scope scope, model_pick *pick,
                            mien_error *error)
{
    pthread_mutex_lock(&models->lock);
    size_t index = scope == MODEL_OWN ? models->own : models->used;
    if (name && *name)
        index = find(models, name, scope == MODEL_OWN ? models->own : 0);
    bool found = index < models->count && models->own < models->count;
    if (found) {
        const model_entry *entry = &models->entries[index];
        *pick = (model_pick){.index = index, .remote = !entry->vision};
        memcpy(pick->name, entry->name, sizeof pick->name);
        pick->vision = vision_ref(pick->remote ? models->entries[models->own].vision : entry->vision);
    }
    pthread_mutex_unlock(&models->lock);
    return found ? MIEN_OK : error_set(error, MIEN_ENOTFOUND, "Invalid model ID: %.200s", name ? name : "");
}

void model_pick_done(model_pick *pick)
{
    vision_unref(&pick->vision);
}

bool model_list_select(model_list *models, const char *name)
{
    pthread_mutex_lock(&models->lock);
    size_t index = find(models, name, 0);
    bool found = index < models->count;
    if (found)
        models->used = index;
    pthread_mutex_unlock(&models->lock);
    return found;
}

void model_list_selected(model_list *models, char name[VISION_NAME])
{
    pthread_mutex_lock(&models->lock);
    memcpy(name, models->entries[models->used].name, VISION_NAME);
    pthread_mutex_unlock(&models->lock);
}

size_t model_list_copy(model_list *models, model_entry entries[MODEL_LIST_MOST], size_t *used)
{
    pthread_mutex_lock(&models->lock);
    size_t count = models->count;
    memcpy(entries, models->entries, count * sizeof *entries);
    for (size_t i = 0; i < count; i++)
        vision_ref(entries[i].vision);
    *used = models->used;
    pthread_mutex_unlock(&models->lock);
    return count;
}

void model_list_release(model_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        vision_unref(&entries[i].vision);
}
