/* Walking arguments and folders. What looks like a picture by its name is taken from a folder; a file that is named
 * outright is taken whatever it is called, and told by its content later. */
#include "file_list.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/memory.h"

enum { FOLDER_DEPTH = 32 };

static bool list_grow(file_list *list, const char *path)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? list->capacity * 2 : 64;
        char **paths = memory_resize(list->paths, capacity, sizeof *paths);
        if (!paths)
            return false;
        list->paths = paths;
        list->capacity = capacity;
    }
    char *copy = memory_text(path);
    if (!copy)
        return false;
    list->paths[list->count++] = copy;
    return true;
}

/* A picture that is left out may not look like one that was answered. */
static void list_add(file_list *list, const char *path)
{
    if (list_grow(list, path))
        return;
    fprintf(stderr, "mien %s: %s: out of memory\n", list->command, path);
    list->failed++;
}

void file_list_done(file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        memory_free(list->paths[i]);
    memory_free(list->paths);
    memory_free(list->numbers);
}

/* The name without folder and ending; standard input is called "stdin". */
const char *file_list_stem(const char *path, size_t *length)
{
    const char *slash = strrchr(path, '/');
    const char *name = strcmp(path, "-") ? (slash ? slash + 1 : path) : "stdin";
    const char *dot = strrchr(name, '.');
    *length = dot && dot != name ? (size_t)(dot - name) : strlen(name);
    return name;
}

static int compare_stems(const void *a, const void *b)
{
    size_t left_length, right_length;
    const char *left = file_list_stem(**(char **const *)a, &left_length);
    const char *right = file_list_stem(**(char **const *)b, &right_length);
    size_t shorter = left_length < right_length ? left_length : right_length;
    int order = memcmp(left, right, shorter);
    return order ? order : (left_length > right_length) - (left_length < right_length);
}

/* Counted on by the length of the list where that name is some picture's stem: so no two numbers of a stem meet, a
 * numbered name never is a name without number, and copies beside the originals never take an original's name. */
static size_t list_number(const file_list *list, char ***order, size_t index)
{
    char name[PATH_MAX + 32], *path = name, **key = &path;
    size_t length, number = index + 1;
    const char *stem = file_list_stem(list->paths[index], &length);
    for (;; number += list->count) {
        snprintf(name, sizeof name, "%.*s-%zu.", (int)length, stem, number); /* the dot ends the stem */
        if (!bsearch(&key, order, list->count, sizeof *order, compare_stems))
            return number;
    }
}

mien_status file_list_number(file_list *list, mien_error *error)
{
    char ***order = memory_array(list->count, sizeof *order);
    list->numbers = memory_zeroed(list->count, sizeof *list->numbers);
    if (!order || !list->numbers) {
        memory_free(order);
        return error_no_memory(error, list->count * sizeof *order);
    }
    for (size_t i = 0; i < list->count; i++)
        order[i] = &list->paths[i];
    qsort(order, list->count, sizeof *order, compare_stems);
    for (size_t i = 0; i < list->count; i++) {
        bool shared = (i && !compare_stems(&order[i - 1], &order[i])) ||
                      (i + 1 < list->count && !compare_stems(&order[i], &order[i + 1]));
        size_t index = (size_t)(order[i] - list->paths);
        list->numbers[index] = shared ? list_number(list, order, index) : 0;
    }
    memory_free(order);
    return MIEN_OK;
}

static bool has_picture_name(const char *name)
{
    static const char *const endings[] = {"jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof endings[0]; i++)
        if (!strcasecmp(dot + 1, endings[i]))
            return true;
    return false;
}

/* The folders that lead to where the walk is: a link back to one of them would go on for ever. */
typedef struct folder_trail {
    const struct folder_trail *above;
    dev_t device;
    ino_t inode;
    int depth;
} folder_trail;

static bool is_above(const folder_trail *trail, const struct stat *about)
{
    while (trail && (trail->device != about->st_dev || trail->inode != about->st_ino))
        trail = trail->above;
    return trail != NULL;
}

static void list_add_folder(file_list *list, const char *folder, const struct stat *about, const folder_trail *above);

static void list_add_entry(file_list *list, const char *folder, const char *name, const folder_trail *trail)
{
    char path[PATH_MAX];
    struct stat about;
    size_t length = strlen(folder);
    const char *slash = length && folder[length - 1] == '/' ? "" : "/";
    if (name[0] == '.')
        return;
    if (snprintf(path, sizeof path, "%s%s%s", folder, slash, name) >= (int)sizeof path) {
        fprintf(stderr, "mien %s: %s: the path of something in it is too long\n", list->command, folder);
        list->failed++;
    } else if (stat(path, &about)) {
        if (has_picture_name(name))
            list_add(list, path); /* a link to nowhere: reading it says so */
    } else if (S_ISDIR(about.st_mode)) {
        if (!is_above(trail, &about))
            list_add_folder(list, path, &about, trail);
    } else if (S_ISREG(about.st_mode) && has_picture_name(name)) {
        list_add(list, path);
    }
}

static void list_add_folder(file_list *list, const char *folder, const struct stat *about, const folder_trail *above)
{
    folder_trail trail = {above, about->st_dev, about->st_ino, above ? above->depth + 1 : 0};
    struct dirent **entries = NULL;
    int count = trail.depth < FOLDER_DEPTH ? scandir(folder, &entries, NULL, alphasort) : -1;
    if (count < 0) {
        fprintf(stderr, "mien %s: %s: %s\n", list->command, folder,
                trail.depth < FOLDER_DEPTH ? "the folder cannot be read" : "folders are nested too deep");
        list->failed++;
        return;
    }
    for (int i = 0; i < count; i++) {
        list_add_entry(list, folder, entries[i]->d_name, &trail);
        free(entries[i]);
    }
    free(entries);
}

void file_list_add_arguments(file_list *list, char **arguments, int count)
{
    bool input_taken = false;
    for (int i = 0; i < count; i++) {
        struct stat about;
        size_t before = list->count;
        bool input = !strcmp(arguments[i], "-");
        if (input && input_taken) {
            fprintf(stderr, "mien %s: -: standard input can be read once only\n", list->command);
            list->failed++;
        } else if (input || stat(arguments[i], &about) || !S_ISDIR(about.st_mode)) {
            list_add(list, arguments[i]);
        } else {
            list_add_folder(list, arguments[i], &about, NULL);
            if (list->count == before)
                fprintf(stderr, "mien %s: %s: no pictures in this folder\n", list->command, arguments[i]);
        }
        input_taken |= input;
    }
}
