/* HDF5 by libhdf5: the only file that sees its header.
 *
 * The file is opened from memory (core driver on an image), so nothing can be written and no name is looked up. HDF5
 * can point elsewhere in several ways; all are refused: links other than hard ones, external and virtual data sets,
 * filters other than gzip with shuffle, and filter plug-ins. Sizes are read from the headers and checked before any
 * data is, a compressed chunk is small enough that what it unfolds to stays bounded. The library's own error printing
 * is off.
 */
#include "model/keras_file.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

#include <hdf5.h>

enum { MOST_TEXT = 64 << 20, MOST_CHUNK = 1 << 20, CORE_INCREMENT = 1 << 16 };

struct keras_file {
    hid_t file;
    size_t max_bytes; /* of one data set as f32 */
    size_t max_items;
    H5E_auto2_t printer; /* what the host program had set */
    void *printer_context;
};

static mien_status broken(mien_error *error, const char *path, const char *why)
{
    return error_set(error, MIEN_EFORMAT, "%.120s %s", path, why);
}

static mien_status open_image(keras_file *file, const uint8_t *bytes, size_t length, mien_error *error)
{
    char name[64]; /* HDF5 takes two images of one name for one file */
    snprintf(name, sizeof name, "mien-%p", (void *)file);
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    bool ready = access >= 0 && H5Pset_fapl_core(access, CORE_INCREMENT, 0) >= 0 &&
                 H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0 &&
                 H5Pset_file_image(access, (void *)bytes, length) >= 0;
    file->file = ready ? H5Fopen(name, H5F_ACC_RDONLY, access) : -1;
    if (access >= 0)
        H5Pclose(access);
    return file->file < 0 ? error_set(error, MIEN_EFORMAT, "a damaged HDF5 file") : MIEN_OK;
}

mien_status keras_file_open(const uint8_t *bytes, size_t length, const model_limits *limits, keras_file **file,
                            mien_error *error)
{
    keras_file *opened = memory_zeroed(1, sizeof *opened);
    if (!opened)
        return error_no_memory(error, sizeof *opened);
    H5Eget_auto2(H5E_DEFAULT, &opened->printer, &opened->printer_context);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
    opened->max_bytes = limits->max_weight_bytes;
    opened->max_items = limits->max_items;
    mien_status status = open_image(opened, bytes, length, error);
    if (status)
        keras_file_close(&opened);
    else
        *file = opened;
    return status;
}

void keras_file_close(keras_file **file)
{
    if (!*file)
        return;
    if ((*file)->file >= 0)
        H5Fclose((*file)->file);
    H5Eclear2(H5E_DEFAULT);
    H5Eset_auto2(H5E_DEFAULT, (*file)->printer, (*file)->printer_context);
    memory_free(*file);
    *file = NULL;
}

/* Open an object by a path of hard links, one component at a time; -1 when there is none. */
static hid_t open_object(keras_file *file, const char *path)
{
    hid_t at = H5Gopen2(file->file, "/", H5P_DEFAULT);
    while (at >= 0 && *path) {
        char name[512];
        size_t length = strcspn(path, "/");
        if (length >= sizeof name)
            break;
        memcpy(name, path, length);
        name[length] = '\0';
        path += length + (path[length] == '/');
        if (!length || !strcmp(name, "."))
            continue;
        H5L_info_t link;
        bool hard = H5Lget_info(at, name, &link, H5P_DEFAULT) >= 0 && link.type == H5L_TYPE_HARD;
        hid_t next = hard ? H5Oopen(at, name, H5P_DEFAULT) : -1;
        H5Oclose(at);
        at = next;
    }
    if (at >= 0 && *path) {
        H5Oclose(at);
        return -1;
    }
    return at;
}

bool keras_file_has(keras_file *file, const char *path)
{
    hid_t object = open_object(file, path);
    if (object < 0)
        return false;
    H5Oclose(object);
    return true;
}

/* ---- attributes ---- */

/* An open attribute of texts. */
typedef struct texts {
    hid_t attribute, type, space;
    size_t count, size; /* size of one fixed text */
    bool variable;
} texts;

static void texts_close(texts *t)
{
    if (t->space >= 0)
        H5Sclose(t->space);
    if (t->type >= 0)
        H5Tclose(t->type);
    if (t->attribute >= 0)
        H5Aclose(t->attribute);
}

static mien_status texts_open(keras_file *file, hid_t object, const char *name, texts *t, mien_error *error)
{
    *t = (texts){.attribute = -1, .type = -1, .space = -1};
    if (H5Aexists(object, name) <= 0)
        return error_set(error, MIEN_ENOTFOUND, "no attribute %s", name);
    t->attribute = H5Aopen(object, name, H5P_DEFAULT);
    t->type = t->attribute >= 0 ? H5Aget_type(t->attribute) : -1;
    t->space = t->attribute >= 0 ? H5Aget_space(t->attribute) : -1;
    if (t->type < 0 || t->space < 0)
        return broken(error, name, "is damaged");
    if (H5Tget_class(t->type) != H5T_STRING)
        return broken(error, name, "is not text");
    hssize_t count = H5Sget_simple_extent_npoints(t->space);
    t->variable = H5Tis_variable_str(t->type) > 0;
    t->size = H5Tget_size(t->type);
    size_t bytes;
    if (count < 0 || (size_t)count > file->max_items || !t->size || !memory_multiply((size_t)count, t->size, &bytes) ||
        bytes > MOST_TEXT)
        return error_set(error, MIEN_ELIMIT, "%s is too large", name);
    t->count = (size_t)count;
    return MIEN_OK;
}

/* Copy text `i` out of what H5Aread gave. */
static const char *text_at(const texts *t, const void *read, size_t i, memory_arena *arena)
{
    const char *from = t->variable ? ((char *const *)read)[i] : (const char *)read + i * t->size;
    if (!from)
        from = "";
    size_t length = t->variable ? strlen(from) : strnlen(from, t->size);
    char *copy = memory_arena_take(arena, length + 1, 1);
    if (copy)
        memcpy(copy, from, length);
    return copy;
}

static mien_status texts_read(texts *t, const char *name, memory_arena *arena, const char **out, mien_error *error)
{
    void *read = memory_zeroed(t->count, t->size);
    if (!read)
        return error_no_memory(error, t->count * t->size);
    mien_status status = MIEN_OK;
    if (t->count && H5Aread(t->attribute, t->type, read) < 0)
        status = broken(error, name, "is damaged");
    for (size_t i = 0; i < t->count && !status; i++) {
        out[i] = text_at(t, read, i, arena);
        if (!out[i])
            status = error_set(error, MIEN_ELIMIT, "%s is too large", name);
    }
    if (t->variable && t->count)
        H5Dvlen_reclaim(t->type, t->space, H5P_DEFAULT, read);
    memory_free(read);
    return status;
}

mien_status keras_file_text(keras_file *file, const char *path, const char *attribute, buffer *out, mien_error *error)
{
    hid_t object = open_object(file, path);
    if (object < 0)
        return error_set(error, MIEN_ENOTFOUND, "no %.120s in the file", path);
    texts t;
    memory_arena arena = {.limit = MOST_TEXT};
    const char *text = NULL;
    mien_status status = texts_open(file, object, attribute, &t, error);
    if (!status && t.count != 1)
        status = broken(error, attribute, "is not one text");
    if (!status)
        status = texts_read(&t, attribute, &arena, &text, error);
    if (!status && buffer_append_text(out, text))
        status = buffer_status(out, error);
    texts_close(&t);
    memory_arena_done(&arena);
    H5Oclose(object);
    return status;
}

/* Append one attribute to the list. */
static mien_status append_list(keras_file *file, hid_t object, const char *attribute, memory_arena *arena,
                               const char ***list, size_t *count, mien_error *error)
{
    texts t;
    mien_status status = texts_open(file, object, attribute, &t, error);
    const char **grown = NULL;
    if (!status && t.count + *count > file->max_items)
        status = error_set(error, MIEN_ELIMIT, "%s is too large", attribute);
    if (!status) {
        grown = memory_arena_take(arena, *count + t.count, sizeof *grown);
        status = grown ? MIEN_OK : error_set(error, MIEN_ELIMIT, "%s is too large", attribute);
    }
    if (!status && *count)
        memcpy(grown, *list, *count * sizeof *grown);
    if (!status)
        status = texts_read(&t, attribute, arena, grown + *count, error);
    if (!status) {
        *list = grown;
        *count += t.count;
    }
    texts_close(&t);
    return status;
}

mien_status keras_file_list(keras_file *file, const char *path, const char *attribute, memory_arena *arena,
                            const char ***texts, size_t *count, mien_error *error)
{
    enum { MOST_PARTS = 1000 };
    *texts = NULL;
    *count = 0;
    hid_t object = open_object(file, path);
    if (object < 0)
        return error_set(error, MIEN_ENOTFOUND, "no %.120s in the file", path);
    mien_status status = append_list(file, object, attribute, arena, texts, count, error);
    for (int part = 0; part < MOST_PARTS && (part || status == MIEN_ENOTFOUND); part++) {
        char name[80];
        snprintf(name, sizeof name, "%.64s%d", attribute, part);
        status = append_list(file, object, name, arena, texts, count, error);
        if (status)
            break;
    }
    H5Oclose(object);
    return status == MIEN_ENOTFOUND ? MIEN_OK : status;
}

/* ---- data sets ---- */

static bool filters_allowed(hid_t creation)
{
    int count = H5Pget_nfilters(creation);
    for (int i = 0; i < count; i++) {
        unsigned flags, config, values[8];
        size_t value_count = 8;
        H5Z_filter_t filter = H5Pget_filter2(creation, (unsigned)i, &flags, &value_count, values, 0, NULL, &config);
        if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE)
            return false;
    }
    return count >= 0;
}

static bool chunk_allowed(hid_t creation, int rank, size_t element, bool compressed)
{
    hsize_t chunk[H5S_MAX_RANK];
    size_t bytes = element;
    if (H5Pget_chunk(creation, H5S_MAX_RANK, chunk) != rank)
        return false;
    for (int i = 0; i < rank; i++) {
        if (!chunk[i] || !memory_multiply(bytes, (size_t)chunk[i], &bytes))
            return false;
    }
    return bytes <= (compressed ? (size_t)MOST_CHUNK : (size_t)MOST_TEXT);
}

/* Whether the numbers lie in this file, plainly or in small gzipped chunks. */
static mien_status check_layout(hid_t set, int rank, size_t element, const char *path, mien_error *error)
{
    hid_t creation = H5Dget_create_plist(set);
    mien_status status = MIEN_OK;
    H5D_layout_t layout = creation >= 0 ? H5Pget_layout(creation) : H5D_LAYOUT_ERROR;
    if (layout == H5D_LAYOUT_ERROR)
        status = broken(error, path, "is damaged");
    else if (layout == H5D_VIRTUAL || H5Pget_external_count(creation) != 0)
        status = error_set(error, MIEN_EUNSUPPORTED, "%.120s lies in another file", path);
    else if (!filters_allowed(creation))
        status = error_set(error, MIEN_EUNSUPPORTED, "%.120s is packed by a filter other than gzip", path);
    else if (layout == H5D_CHUNKED && !chunk_allowed(creation, rank, element, H5Pget_nfilters(creation) > 0))
        status = error_set(error, MIEN_ELIMIT, "%.120s has too large chunks", path);
    if (creation >= 0)
        H5Pclose(creation);
    return status;
}

static mien_status read_shape(keras_file *file, hid_t space, const char *path, keras_tensor *tensor, mien_error *error)
{
    hsize_t dim[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > KERAS_MAX_RANK || H5Sget_simple_extent_dims(space, dim, NULL) != rank)
        return broken(error, path, "has no usable shape");
    size_t count = 1, bytes;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1 || dim[i] > INT32_MAX || !memory_multiply(count, (size_t)dim[i], &count))
            return broken(error, path, "has an absurd shape");
        tensor->dim[i] = (int64_t)dim[i];
    }
    if (!memory_multiply(count, sizeof *tensor->data, &bytes) || bytes > file->max_bytes)
        return error_set(error, MIEN_ELIMIT, "%.120s has %zu numbers", path, count);
    tensor->rank = rank;
    tensor->count = count;
    return MIEN_OK;
}

static mien_status read_numbers(hid_t set, const char *path, memory_arena *arena, keras_tensor *tensor,
                                mien_error *error)
{
    tensor->data = memory_arena_take(arena, tensor->count, sizeof *tensor->data);
    if (!tensor->data)
        return error_set(error, MIEN_ELIMIT, "the weights need too much memory");
    if (H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor->data) < 0)
        return broken(error, path, "is damaged");
    return MIEN_OK;
}

static mien_status read_set(keras_file *file, hid_t set, const char *path, memory_arena *arena, keras_tensor *tensor,
                            mien_error *error)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    size_t element = type >= 0 ? H5Tget_size(type) : 0;
    mien_status status = MIEN_OK;
    if (type < 0 || space < 0)
        status = broken(error, path, "is damaged");
    else if (H5Tget_class(type) != H5T_FLOAT || (element != 2 && element != 4 && element != 8))
        status = error_set(error, MIEN_EUNSUPPORTED, "%.120s does not hold floating numbers", path);
    if (!status)
        status = read_shape(file, space, path, tensor, error);
    if (!status)
        status = check_layout(set, tensor->rank, element, path, error);
    /* A shape without the bytes behind it; gzip shrinks at most by 1032. */
    if (!status && tensor->count / 1100 > H5Dget_storage_size(set) / element)
        status = broken(error, path, "has a shape larger than its content");
    if (!status)
        status = read_numbers(set, path, arena, tensor, error);
    if (space >= 0)
        H5Sclose(space);
    if (type >= 0)
        H5Tclose(type);
    return status;
}

mien_status keras_file_tensor(keras_file *file, const char *path, memory_arena *arena, keras_tensor *tensor,
                              mien_error *error)
{
    hid_t object = open_object(file, path);
    if (object < 0)
        return error_set(error, MIEN_EFORMAT, "no %.120s in the file", path);
    keras_tensor read = {0};
    mien_status status = H5Iget_type(object) == H5I_DATASET ? read_set(file, object, path, arena, &read, error)
                                                            : broken(error, path, "is not a data set");
    H5Oclose(object);
    if (!status)
        *tensor = read;
    return status;
}
