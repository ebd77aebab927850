/* Pictures in files: a folder with one folder per class (the folder's name is the label, in any spelling), optionally
 * below train/, test/ or validation/, or a CSV of paths and labels, whose paths are relative to the CSV. Entries are
 * sorted by name so that the order, and with it every random choice, does not depend on the file system. */
#include "train/dataset_builder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "prep/prep.h"

enum { IMAGES_FIELDS = 32, IMAGES_PATH = 4096, IMAGES_MOST_BYTES = 64 << 20 };

/* Halved as long as it stays larger than the target: one bilinear step from a large picture would skip pixels. */
static mien_status images_shrink(mien_image *image, size_t width, size_t height, mien_error *error)
{
    while (image->width >= 2 * width && image->height >= 2 * height && image->width % 2 == 0 &&
           image->height % 2 == 0) {
        mien_image half = {0};
        mien_status status = mien_image_init(&half, image->width / 2, image->height / 2, MIEN_PIXEL_GREY8, error);
        mien_image_view view = mien_image_as_view(image);
        if (!status)
            status = prep_resize_linear(&view, &half, error);
        if (status) {
            mien_image_done(&half);
            return status;
        }
        mien_image_done(image);
        *image = half;
    }
    return MIEN_OK;
}

/* Cut the face out of a colour picture, as a grey picture of its own. */
static mien_status images_cut_face(const dataset_options *options, mien_image *image, mien_error *error)
{
    mien_image_view view = mien_image_as_view(image);
    mien_rect box = {0};
    mien_image face = {0};
    mien_status status = options->locate(options->locate_context, &view, &box, error);
    if (status)
        return status;
    if (box.x < 0 || box.y < 0 || box.width < 1 || box.height < 1 || (size_t)box.width > view.width - (size_t)box.x ||
        (size_t)box.height > view.height - (size_t)box.y)
        return error_set(error, MIEN_EINTERNAL, "the face does not lie in the picture");
    view.data += (size_t)box.y * view.stride + (size_t)box.x * mien_pixel_bytes(view.format);
    view.width = (size_t)box.width;
    view.height = (size_t)box.height;
    status = mien_image_init(&face, view.width, view.height, MIEN_PIXEL_GREY8, error);
    if (!status)
        status = prep_grey(&view, &face, error);
    if (status) {
        mien_image_done(&face);
        return status;
    }
    mien_image_done(image);
    *image = face;
    return MIEN_OK;
}

/* A pipe would be waited for without end. */
static mien_status images_read_file(const char *path, buffer *bytes, mien_error *error)
{
    struct stat about;
    if (!stat(path, &about) && !S_ISREG(about.st_mode))
        return error_set(error, MIEN_EFORMAT, "%s: is not a file", path);
    return file_read(path, IMAGES_MOST_BYTES, bytes, error);
}

static mien_status images_load(const char *path, const dataset *data, const dataset_options *how, uint8_t *pixels,
                               mien_error *error)
{
    buffer bytes = {0};
    mien_image image = {0};
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.format = how->locate ? MIEN_PIXEL_RGB8 : MIEN_PIXEL_GREY8;
    mien_status status = images_read_file(path, &bytes, error);
    if (status)
        goto out;
    status = mien_image_decode(bytes.data, bytes.length, &options, &image, error);
    if (!status && how->locate)
        status = images_cut_face(how, &image, error);
    if (!status)
        status = images_shrink(&image, data->width, data->height, error);
    if (status) {
        error_prefix(error, status, "%s", path);
        goto out;
    }
    mien_image target = {.data = pixels,
                         .width = data->width,
                         .height = data->height,
                         .stride = data->width,
                         .format = MIEN_PIXEL_GREY8};
    mien_image_view view = mien_image_as_view(&image);
    status = prep_resize_linear(&view, &target, error);
out:
    mien_image_done(&image);
    buffer_done(&bytes);
    return status;
}

static mien_status images_leave_out(dataset_builder *builder, const char *path, const mien_error *why,
                                    mien_error *error)
{
    if (!builder->options.skip || why->code == MIEN_ENOMEM)
        return error_set(error, why->code, "%s", why->message);
    builder->options.skip(builder->options.skip_context, path, why);
    builder->data.skipped++;
    return MIEN_OK;
}

static mien_status images_add(dataset_builder *builder, const char *path, uint8_t label, uint8_t split,
                              mien_error *error)
{
    dataset *data = &builder->data;
    uint8_t *pixels = NULL;
    mien_status status = dataset_builder_add(builder, label, split, path, &pixels, error);
    if (status)
        return status;
    mien_error local = {0};
    status = images_load(path, data, &builder->options, pixels, &local);
    if (!status)
        return MIEN_OK;
    status = images_leave_out(builder, path, &local, error);
    if (!status)
        memory_free(data->paths[--data->count]);
    return status;
}

static mien_status images_read_row(dataset_builder *builder, const char *folder, int folder_length, char *line,
                                   dataset_columns columns, mien_error *error)
{
    char *fields[IMAGES_FIELDS], path[IMAGES_PATH];
    int count = dataset_split_fields(line, fields, IMAGES_FIELDS);
    if (columns.label >= count || columns.path >= count || columns.split >= count)
        return error_set(error, MIEN_EFORMAT, "%d fields are too few", count);
    uint8_t label = 0;
    if (!dataset_parse_label(fields[columns.label], &label))
        return dataset_unknown_label(fields[columns.label], error);
    uint8_t split = DATASET_TRAINING;
    if (columns.split >= 0) {
        mien_status status = dataset_parse_split(fields[columns.split], &split, error);
        if (status)
            return status;
    }
    const char *name = fields[columns.path];
    int length = *name == '/' ? snprintf(path, sizeof(path), "%s", name)
                              : snprintf(path, sizeof(path), "%.*s%s", folder_length, folder, name);
    if (length < 0 || (size_t)length >= sizeof(path))
        return error_set(error, MIEN_ELIMIT, "a path longer than %d bytes", IMAGES_PATH - 1);
    return images_add(builder, path, label, split, error);
}

mien_status dataset_read_paths(dataset_builder *builder, const char *path, dataset_lines *lines,
                               dataset_columns columns, mien_error *error)
{
    const char *slash = strrchr(path, '/');
    int folder_length = slash ? (int)(slash + 1 - path) : 0;
    for (;;) {
        char *line = NULL;
        size_t length = 0;
        mien_status status = dataset_lines_next(lines, &line, &length, error);
        if (status || !line)
            return status;
        if (!length)
            continue;
        status = images_read_row(builder, path, folder_length, line, columns, error);
        if (status)
            return error_prefix(error, status, "%s, line %zu", path, dataset_lines_number(lines));
    }
}

static int images_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void images_free_names(struct dirent **names, int count)
{
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

/* Calls `visit` for each entry below `folder` in the order of their names. */
typedef mien_status (*images_visit)(dataset_builder *builder, const char *path, const char *name, int context,
                                    mien_error *error);

static mien_status images_walk(dataset_builder *builder, const char *folder, int context, images_visit visit,
                               mien_error *error)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, images_visible, alphasort);
    if (count < 0)
        return error_set(error, MIEN_EIO, "%s: cannot list the folder", folder);
    char *path = memory_array(IMAGES_PATH, 1); /* on the stack it would not do for folders a thousand deep */
    mien_status status = path ? MIEN_OK : error_no_memory(error, IMAGES_PATH);
    for (int i = 0; i < count && !status; i++) {
        int length = snprintf(path, IMAGES_PATH, "%s/%s", folder, names[i]->d_name);
        if (length < 0 || length >= IMAGES_PATH)
            status = error_set(error, MIEN_ELIMIT, "%s: a path longer than %d bytes", folder, IMAGES_PATH - 1);
        else
            status = visit(builder, path, names[i]->d_name, context, error);
    }
    memory_free(path);
    images_free_names(names, count);
    return status;
}

static bool images_is_folder(const char *path)
{
    struct stat about;
    return !stat(path, &about) && S_ISDIR(about.st_mode);
}

/* `context` holds label and split in one number. Folders inside a class's are of that class; a link to one could lead
 * round in a circle. */
static mien_status images_visit_picture(dataset_builder *builder, const char *path, const char *name, int context,
                                        mien_error *error)
{
    (void)name;
    struct stat about;
    bool folder = images_is_folder(path);
    if (folder && !lstat(path, &about) && S_ISLNK(about.st_mode)) {
        mien_error why = {0};
        error_set(&why, MIEN_EFORMAT, "%s: a link to a folder inside the folder of a class", path);
        return images_leave_out(builder, path, &why, error);
    }
    if (folder)
        return images_walk(builder, path, context, images_visit_picture, error);
    return images_add(builder, path, (uint8_t)(context % DATASET_CLASSES), (uint8_t)(context / DATASET_CLASSES), error);
}

static mien_status images_visit_class(dataset_builder *builder, const char *path, const char *name, int context,
                                      mien_error *error)
{
    uint8_t label = 0;
    if (!images_is_folder(path)) {
        mien_error why = {0};
        error_set(&why, MIEN_EFORMAT, "%s: lies in no class's folder", path);
        /* no picture was promised here, so its absence shifts none */
        return builder->options.skip ? images_leave_out(builder, path, &why, error) : MIEN_OK;
    }
    if (!dataset_parse_label(name, &label))
        return error_prefix(error, dataset_unknown_label(name, error), "%s", path);
    return images_walk(builder, path, context * DATASET_CLASSES + label, images_visit_picture, error);
}

static mien_status images_visit_top(dataset_builder *builder, const char *path, const char *name, int context,
                                    mien_error *error)
{
    uint8_t split = DATASET_TRAINING;
    if (images_is_folder(path) && !dataset_parse_split(name, &split, NULL))
        return images_walk(builder, path, split, images_visit_class, error);
    return images_visit_class(builder, path, name, context, error);
}

mien_status dataset_read_folder(dataset_builder *builder, const char *path, mien_error *error)
{
    return images_walk(builder, path, DATASET_TRAINING, images_visit_top, error);
}
