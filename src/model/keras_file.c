/* Keras's habits on top of HDF5: a long list of names is cut into attributes "<name>0", "<name>1", …, because an HDF5
 * attribute holds 64 KB.
 */
#include "model/keras_file.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { MOST_TEXT = 64 << 20 };

mien_status keras_file_open(const uint8_t *bytes, size_t length, const model_limits *limits, keras_file *file,
                            mien_error *error)
{
    keras_file opened = {.max_bytes = limits->max_weight_bytes, .max_items = limits->max_items};
    mien_status status = hdf5_open(bytes, length, &opened.hdf5, error);
    if (!status)
        *file = opened;
    return status;
}

mien_status keras_file_has(keras_file *file, const char *path, bool *there)
{
    uint64_t object;
    mien_status status = hdf5_find(&file->hdf5, path, &object);
    *there = !status;
    return status == MIEN_ENOTFOUND ? MIEN_OK : status;
}

mien_status keras_file_text(keras_file *file, const char *path, const char *attribute, buffer *out)
{
    uint64_t object = 0;
    hdf5_value value;
    const char *text = NULL;
    size_t length = 0;
    mien_status status = hdf5_find(&file->hdf5, path, &object);
    if (!status)
        status = hdf5_attribute(&file->hdf5, object, attribute, &value);
    if (!status)
        status = hdf5_text(&file->hdf5, &value, 0, &text, &length);
    if (!status && length > MOST_TEXT)
        status = error_set(file->hdf5.error, MIEN_ELIMIT, "%s has %zu bytes", attribute, length);
    if (!status && buffer_append(out, text, length))
        status = buffer_status(out, file->hdf5.error);
    return status;
}

static mien_status copy_text(keras_file *file, const hdf5_value *value, size_t index, memory_arena *arena,
                             const char **copy)
{
    const char *text;
    size_t length;
    mien_status status = hdf5_text(&file->hdf5, value, index, &text, &length);
    if (status)
        return status;
    char *taken = memory_arena_take(arena, length + 1, 1); /* zeroed: ends with a NUL */
    if (!taken)
        return error_set(file->hdf5.error, MIEN_ELIMIT, "its lists of names are too long");
    memcpy(taken, text, length);
    *copy = taken;
    return MIEN_OK;
}

/* Append the texts of one attribute to the list. */
static mien_status append_list(keras_file *file, uint64_t object, const char *attribute, memory_arena *arena,
                               const char ***list, size_t *count)
{
    hdf5_value value;
    mien_status status = hdf5_attribute(&file->hdf5, object, attribute, &value);
    if (status)
        return status;
    size_t total = value.space.count + *count; /* both within the file's length */
    const char **grown = total <= file->max_items ? memory_arena_take(arena, total, sizeof *grown) : NULL;
    if (!grown)
        return error_set(file->hdf5.error, MIEN_ELIMIT, "its lists of names are too long");
    if (*count)
        memcpy(grown, *list, *count * sizeof *grown);
    for (size_t i = 0; i < value.space.count && !status; i++)
        status = copy_text(file, &value, i, arena, &grown[*count + i]);
    if (!status) {
        *list = grown;
        *count = total;
    }
    return status;
}

mien_status keras_file_list(keras_file *file, const char *path, const char *attribute, memory_arena *arena,
                            const char ***texts, size_t *count)
{
    enum { MOST_PARTS = 1000 };
    uint64_t object;
    *texts = NULL;
    *count = 0;
    mien_status status = hdf5_find(&file->hdf5, path, &object);
    if (status)
        return status;
    status = append_list(file, object, attribute, arena, texts, count);
    if (status != MIEN_ENOTFOUND)
        return status;
    status = MIEN_OK;
    for (int part = 0; part < MOST_PARTS && !status; part++) {
        char name[80];
        snprintf(name, sizeof name, "%.64s%d", attribute, part);
        status = append_list(file, object, name, arena, texts, count);
    }
    return status == MIEN_ENOTFOUND ? MIEN_OK : status;
}

static mien_status take_shape(keras_file *file, const char *path, const hdf5_value *set, keras_tensor *tensor)
{
    enum { BEST_RATIO = 1100 }; /* gzip packs at most 1032 bytes into one */
    if (set->space.rank > KERAS_MAX_RANK || !set->space.count)
        return error_set(file->hdf5.error, MIEN_EFORMAT, "%.120s has no usable shape", path);
    if (set->space.count / BEST_RATIO > file->hdf5.length)
        return error_set(file->hdf5.error, MIEN_EFORMAT, "%.120s has more numbers than the file can hold", path);
    if (set->space.count > file->max_bytes / sizeof *tensor->data)
        return error_set(file->hdf5.error, MIEN_ELIMIT, "%.120s has %zu numbers", path, set->space.count);
    tensor->rank = set->space.rank;
    tensor->count = set->space.count;
    for (int i = 0; i < tensor->rank; i++)
        tensor->dim[i] = (int64_t)set->space.dim[i];
    return MIEN_OK;
}

mien_status keras_file_tensor(keras_file *file, const char *path, memory_arena *arena, keras_tensor *tensor)
{
    uint64_t object = 0;
    hdf5_value set;
    keras_tensor read = {0};
    mien_status status = hdf5_find(&file->hdf5, path, &object);
    if (status == MIEN_ENOTFOUND)
        return error_set(file->hdf5.error, MIEN_EFORMAT, "no %.120s in the file", path);
    if (!status)
        status = hdf5_dataset(&file->hdf5, object, &set);
    if (!status)
        status = take_shape(file, path, &set, &read);
    if (status)
        return status;
    read.data = memory_arena_take(arena, read.count, sizeof *read.data);
    if (!read.data)
        return error_set(file->hdf5.error, MIEN_ELIMIT, "the weights need too much memory");
    status = hdf5_floats(&file->hdf5, object, &set, read.data);
    if (status)
        return error_prefix(file->hdf5.error, status, "%.80s", path);
    *tensor = read;
    return MIEN_OK;
}
