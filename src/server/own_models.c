/* MODEL_PATH is a list as PATH is one, divided by colons; a folder in it stands for the emotion models in it, by name:
 * networks that find faces may lie beside them. A file that has vanished at a reload keeps its model: a deployment that
 * replaces files is seldom at rest. */
#include "server/own_models.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct path_list {
    char *paths[MODEL_LIST_MOST];
    bool found[MODEL_LIST_MOST]; /* in a folder, not named */
    size_t count;
} path_list;

typedef struct own_model {
    char *path; /* NULL: shipped, not read again */
    vision *vision;
} own_model;

struct own_models {
    const settings *settings;
    vision_search *search;
    size_t count;
    own_model models[MODEL_LIST_MOST];
};

static void paths_done(path_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memory_free(list->paths[i]);
    list->count = 0;
}

/* Takes the path. */
static mien_status add_path(path_list *list, char *path, bool found, mien_error *error)
{
    if (!path)
        return error_no_memory(error, 0);
    if (list->count == MODEL_LIST_MOST) {
        memory_free(path);
        return error_set(error, MIEN_ELIMIT, "MODEL_PATH names more than %d models", MODEL_LIST_MOST);
    }
    list->found[list->count] = found;
    list->paths[list->count++] = path;
    return MIEN_OK;
}

static bool is_model_file(const char *name)
{
    static const char *const endings[] = {".onnx", ".h5", ".hdf5", ".keras"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && *name != '.' && i < sizeof endings / sizeof *endings; i++)
        if (!strcmp(dot, endings[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static mien_status add_folder(path_list *list, const char *folder, mien_error *error)
{
    DIR *open = opendir(folder);
    if (!open)
        return error_set(error, MIEN_EIO, "%s: %s", folder, strerror(errno));
    size_t first = list->count;
    mien_status status = MIEN_OK;
    for (const struct dirent *found; !status && (found = readdir(open));) {
        char path[4096];
        if (!is_model_file(found->d_name))
            continue;
        int length = snprintf(path, sizeof path, "%s/%s", folder, found->d_name);
        status = length < (int)sizeof path ? add_path(list, memory_text(path), true, error)
                                           : error_set(error, MIEN_ELIMIT, "%s: the name is too long", folder);
    }
    closedir(open);
    qsort(list->paths + first, list->count - first, sizeof *list->paths, by_name);
    if (!status && list->count == first)
        status = error_set(error, MIEN_ENOTFOUND, "%s: there is no model in this folder", folder);
    return status;
}

/* Spell out MODEL_PATH. */
static mien_status find_paths(const settings *settings, path_list *list, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (const char *at = settings->model_path; *at && !status;) {
        size_t length = strcspn(at, ":");
        char *path = memory_text_span(at, length);
        struct stat about;
        at += length + (at[length] == ':');
        if (path && *path && !stat(path, &about) && S_ISDIR(about.st_mode)) {
            status = add_folder(list, path, error);
            memory_free(path);
        } else if (path && !*path) {
            memory_free(path);
        } else {
            status = add_path(list, path, false, error);
        }
    }
    if (status)
        paths_done(list);
    return status;
}

static mien_status load(const own_models *own, const char *path, vision **out, mien_error *error)
{
    mien_analyzer_options options;
    mien_analyzer_default_options(&options);
    options.model_path = path;
    mien_status status = mien_precision_from_name(own->settings->model_precision, &options.precision, error);
    return status ? status : vision_create(&options, own->search, out, error);
}

/* Load one more from a file, or by its name one that ships. */
static mien_status load_further(own_models *own, const char *path, bool shipped, mien_error *error)
{
    own_model model = {0};
    if (own->count == MODEL_LIST_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d models", MODEL_LIST_MOST);
    if (!shipped && !(model.path = memory_text(path)))
        return error_no_memory(error, strlen(path));
    mien_status status = load(own, path, &model.vision, error);
    if (status)
        memory_free(model.path);
    else
        own->models[own->count++] = model;
    return status;
}

static mien_status load_listed(own_models *own, const path_list *list, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < list->count && !status; i++) {
        status = load_further(own, list->paths[i], false, error);
        if (status == MIEN_EINVAL && list->found[i]) {
            log_write(LOG_WARNING, "passed over: %s", error->message);
            status = MIEN_OK;
        }
    }
    if (!status && !own->count)
        status = error_set(error, MIEN_ENOTFOUND, "MODEL_PATH leads to no emotion model");
    return status;
}

static mien_status load_shipped(own_models *own, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; mien_shipped_model(i) && !status; i++)
        status = load_further(own, mien_shipped_model(i), true, error);
    return status;
}

static mien_status load_search(own_models *own, size_t workers, memory_gate *gate, mien_error *error)
{
    const settings *settings = own->settings;
    mien_analyzer_options options;
    mien_analyzer_default_options(&options);
    options.cascade_path = *settings->cascade_path ? settings->cascade_path : NULL;
    options.detector_path = *settings->detector_path ? settings->detector_path : NULL;
    return vision_search_create(&options, workers, gate, &own->search, error);
}

mien_status own_models_open(const settings *settings, size_t workers, memory_gate *gate, own_models **out,
                            mien_error *error)
{
    own_models *own = memory_zeroed(1, sizeof *own);
    if (!own)
        return error_no_memory(error, sizeof *own);
    own->settings = settings;
    path_list list = {0};
    mien_status status = find_paths(settings, &list, error);
    if (!status)
        status = load_search(own, workers, gate, error);
    if (!status)
        status = list.count ? load_listed(own, &list, error) : load_shipped(own, error);
    paths_done(&list);
    if (status)
        own_models_close(&own);
    else
        *out = own;
    return status;
}

void own_models_close(own_models **own)
{
    if (!*own)
        return;
    for (size_t i = 0; i < (*own)->count; i++) {
        vision_unref(&(*own)->models[i].vision);
        memory_free((*own)->models[i].path);
    }
    vision_search_destroy(&(*own)->search);
    memory_free(*own);
    *own = NULL;
}

vision *own_models_first(const own_models *own)
{
    return own->models[0].vision;
}

mien_status own_models_offer(const own_models *own, model_list *models, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 1; i < own->count && !status; i++)
        status = model_list_add(models, own->models[i].vision, error);
    return status;
}

static bool exchange_model(own_models *own, size_t index, model_list *models)
{
    own_model *model = &own->models[index];
    vision *loaded = NULL;
    mien_error error = {0};
    if (load(own, model->path, &loaded, &error)) {
        log_write(LOG_ERROR, "model %s stays, its file cannot be taken over: %s", model->vision->model_name,
                  error.message);
        return false;
    }
    log_write(LOG_INFO, "model %s takes the place of %s", loaded->model_name, model->vision->model_name);
    model_list_exchange(models, index, loaded);
    vision_unref(&model->vision);
    model->vision = loaded;
    return true;
}

static bool take_further(own_models *own, const char *path, bool found, model_list *models)
{
    mien_error error = {0};
    mien_status status = load_further(own, path, false, &error);
    if (status) {
        bool other = found && status == MIEN_EINVAL; /* no emotion model */
        log_write(other ? LOG_WARNING : LOG_ERROR, "passed over: %s", error.message);
        return other;
    }
    vision *loaded = own->models[own->count - 1].vision;
    if (model_list_add(models, loaded, &error)) {
        log_write(LOG_ERROR, "model %s cannot be taken up: %s", loaded->model_name, error.message);
        own_model *last = &own->models[--own->count];
        vision_unref(&last->vision);
        memory_free(last->path);
        return false;
    }
    log_write(LOG_INFO, "model %s is new", loaded->model_name);
    return true;
}

static bool is_known(const own_models *own, const char *path)
{
    for (size_t i = 0; i < own->count; i++)
        if (own->models[i].path && !strcmp(own->models[i].path, path))
            return true;
    return false;
}

size_t own_models_reload(own_models *own, model_list *models)
{
    size_t failed = 0, before = own->count;
    path_list list = {0};
    mien_error error = {0};
    for (size_t i = 0; i < before; i++)
        failed += own->models[i].path && !exchange_model(own, i, models);
    if (find_paths(own->settings, &list, &error)) {
        log_write(LOG_ERROR, "new models are not looked for: %s", error.message);
        failed++;
    }
    for (size_t i = 0; i < list.count; i++)
        failed += !is_known(own, list.paths[i]) && !take_further(own, list.paths[i], list.found[i], models);
    paths_done(&list);
    if (!own->models[0].path)
        log_write(LOG_INFO, "models that ship are part of the program and stay");
    return failed;
}
