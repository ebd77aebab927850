/* Which models there are is settled at the start; which one is used may change at any time. */
#include "server/model_list.h"

#include <stdio.h>
#include <string.h>

static void add(model_list *models, const char *name, size_t length)
{
    if (length && length < sizeof models->names[0] && models->count < MODEL_LIST_MOST && memchr(name, '/', length))
        snprintf(models->names[models->count++], sizeof models->names[0], "%.*s", (int)length, name);
}

void model_list_init(model_list *models, const settings *settings, const vision *vision)
{
    models->count = 0;
    if (*settings->hf_api_key) {
        add(models, settings->hf_model, strlen(settings->hf_model));
        for (const char *at = settings->hf_alternatives; *at && models->count < MODEL_LIST_MOST - 1;) {
            at += strspn(at, " ,");
            size_t length = strcspn(at, " ,");
            add(models, at, length);
            at += length;
        }
    }
    models->local = models->count;
    add(models, vision->model_name, strlen(vision->model_name));
    atomic_store(&models->used, 0);
}

bool model_list_select(model_list *models, const char *name)
{
    for (size_t i = 0; i < models->count; i++) {
        if (strcmp(models->names[i], name))
            continue;
        atomic_store(&models->used, i);
        return true;
    }
    return false;
}

const char *model_list_selected(const model_list *models)
{
    return models->names[atomic_load(&models->used)];
}
