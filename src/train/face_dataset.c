/* Pictures are decoded in parallel, each part of the job one file, and put into the places that the annotations gave
 * them, so the data set does not depend on which came first. Each keeps a pyramid of halves (a third more memory): a
 * face of 300 pixels that is to be shown at 12 is then an average, as the eye of the camera would have seen it from
 * farther away, at the cost of reading 12 × 12 × a few pixels. */
#include "train/face_dataset.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/thread_pool.h"
#include "prep/prep.h"
#include "train/face_annotations.h"
#include "train/face_resample.h"

enum { FACES_PATH = 4096, FACES_MOST_BYTES = 64 << 20, FACES_LEAST_SIDE = 32 };

typedef struct faces_job {
    const face_dataset_options *options;
    const char *folder;
    face_dataset_picture *pictures;
    size_t count;
    int side;
    pthread_mutex_t lock;
    size_t done;
    mien_status status; /* what ends the reading: want of memory */
    mien_error error;
} faces_job;

static void faces_picture_done(face_dataset_picture *picture)
{
    for (int i = 0; i < FACE_DATASET_LEVELS; i++)
        mien_image_done(&picture->levels[i]);
    memory_free(picture->file);
    *picture = (face_dataset_picture){0};
}

static mien_status faces_decode(const char *path, mien_image *image, mien_error *error)
{
    buffer bytes = {0};
    mien_decode_options options;
    mien_decode_default_options(&options);
    options.format = MIEN_PIXEL_RGB8;
    mien_status status = file_read(path, FACES_MOST_BYTES, &bytes, error);
    if (!status) {
        status = mien_image_decode(bytes.data, bytes.length, &options, image, error);
        if (status)
            error_prefix(error, status, "%s", path);
    }
    buffer_done(&bytes);
    return status;
}

/* The picture no larger than `side`; replaces the image. */
static mien_status faces_fit(mien_image *image, int side, float *scale, mien_error *error)
{
    size_t longest = image->width > image->height ? image->width : image->height;
    *scale = 1;
    if (longest <= (size_t)side)
        return MIEN_OK;
    double factor = (double)side / (double)longest;
    size_t width = (size_t)fmax(rint((double)image->width * factor), 1);
    size_t height = (size_t)fmax(rint((double)image->height * factor), 1);
    mien_image small = {0};
    mien_image_view view = mien_image_as_view(image);
    face_resampler resampler;
    mien_status status = face_resampler_init(&resampler, longest, (size_t)side, error);
    if (status)
        return status;
    status = mien_image_init(&small, width, height, MIEN_PIXEL_RGB8, error);
    if (!status) {
        face_map map = {.step_x = (float)image->width / (float)width, .step_y = (float)image->height / (float)height};
        face_resample(&resampler, &view, &map, 0, &small);
        mien_image_done(image);
        *image = small;
        *scale = (float)factor;
    }
    face_resampler_done(&resampler);
    return status;
}

static mien_status faces_add_levels(face_dataset_picture *picture, mien_error *error)
{
    for (picture->level_count = 1; picture->level_count < FACE_DATASET_LEVELS; picture->level_count++) {
        const mien_image *above = &picture->levels[picture->level_count - 1];
        size_t width = above->width / 2, height = above->height / 2;
        if (width < FACES_LEAST_SIDE || height < FACES_LEAST_SIDE)
            break;
        /* an odd last row or column is left out, so that level n is exactly 2⁻ⁿ of the first */
        mien_image_view view = mien_image_as_view(above);
        view.width = 2 * width;
        view.height = 2 * height;
        mien_image *half = &picture->levels[picture->level_count];
        mien_status status = mien_image_init(half, width, height, MIEN_PIXEL_RGB8, error);
        if (!status)
            status = prep_resize_linear(&view, half, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status faces_load(const faces_job *job, face_dataset_picture *picture, char *path, mien_error *error)
{
    int length = snprintf(path, FACES_PATH, "%s/%s", job->folder, picture->file);
    if (length < 0 || length >= FACES_PATH)
        return error_set(error, MIEN_EINVAL, "a path longer than %d bytes", FACES_PATH - 1);
    mien_status status = faces_decode(path, &picture->levels[0], error);
    if (!status)
        status = faces_fit(&picture->levels[0], job->side, &picture->scale, error);
    return status ? status : faces_add_levels(picture, error);
}

static void faces_task(void *context, size_t index, size_t worker)
{
    (void)worker;
    faces_job *job = context;
    face_dataset_picture *picture = &job->pictures[index];
    const face_dataset_options *options = job->options;
    char path[FACES_PATH];
    mien_error error = {0};
    mien_status status = faces_load(job, picture, path, &error);
    if (status)
        picture->level_count = 0;
    pthread_mutex_lock(&job->lock);
    job->done++;
    if (status == MIEN_ENOMEM && !job->status) {
        job->status = status;
        job->error = error;
    } else if (status && options->skip) {
        options->skip(options->skip_context, path, &error);
    }
    if (options->progress)
        options->progress(options->progress_context, job->done, job->count);
    pthread_mutex_unlock(&job->lock);
}

/* Load all, then close the gaps of those that could not be read. */
static mien_status faces_load_all(const face_dataset_options *options, const char *folder, int side,
                                  face_dataset_picture *pictures, size_t *count, size_t *skipped, mien_error *error)
{
    thread_pool *pool = NULL;
    faces_job job = {.options = options, .folder = folder, .pictures = pictures, .count = *count, .side = side};
    mien_status status = thread_pool_create(options->threads ? options->threads : 1, &pool, error);
    if (status)
        return status;
    pthread_mutex_init(&job.lock, NULL);
    thread_pool_run(pool, *count, faces_task, &job);
    pthread_mutex_destroy(&job.lock);
    thread_pool_destroy(&pool);
    if (job.status)
        return error_set(error, job.status, "%s", job.error.message);
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        face_dataset_picture picture = pictures[i];
        if (!picture.level_count) {
            faces_picture_done(&pictures[i]);
            continue;
        }
        pictures[i] = (face_dataset_picture){0};
        pictures[kept++] = picture;
    }
    *skipped += *count - kept;
    *count = kept;
    return MIEN_OK;
}

/* FNV-1a with a last stir, since the names of a series differ in their last characters only. */
static uint64_t faces_hash(const char *text)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ (hash >> 33)) * UINT64_C(0xc4ceb9fe1a85ec53);
    return hash ^ (hash >> 33);
}

bool face_dataset_is_holdout(const char *file, float share)
{
    return (float)(faces_hash(file) >> 40) * 0x1p-24f < share;
}

/* Places for the pictures that the annotations name, and their faces, still in pixels of the files. */
static mien_status faces_take_annotations(const face_annotations *annotations, const face_dataset_options *options,
                                          face_dataset *data, mien_error *error)
{
    size_t count = annotations->picture_count;
    if (options->limit && options->limit < count)
        count = options->limit;
    data->pictures = memory_zeroed(count, sizeof *data->pictures);
    data->faces = memory_zeroed(annotations->face_count, sizeof *data->faces);
    if (!data->pictures || !data->faces)
        return error_no_memory(error, count * sizeof *data->pictures);
    for (size_t i = 0; i < count; i++) {
        const face_picture *from = &annotations->pictures[i];
        face_dataset_picture *to = &data->pictures[i];
        *to = (face_dataset_picture){.file = memory_text(from->file), .first = from->first, .count = from->count};
        if (!to->file)
            return error_no_memory(error, strlen(from->file));
        to->holdout = face_dataset_is_holdout(from->file, options->holdout);
        data->count++;
    }
    for (size_t i = 0; i < annotations->face_count; i++) {
        const face_truth *face = &annotations->faces[i];
        data->faces[i] = (face_target){face->box.x, face->box.y, face->box.x + face->box.width,
                                       face->box.y + face->box.height, face->ignore};
    }
    data->face_count = annotations->face_count;
    return MIEN_OK;
}

/* Into pixels of what is kept, and without the faces of what is not. */
static void faces_scale(face_dataset *data)
{
    size_t kept = 0;
    for (size_t i = 0; i < data->count; i++) {
        face_dataset_picture *picture = &data->pictures[i];
        float across = (float)picture->levels[0].width, down = (float)picture->levels[0].height;
        size_t first = kept;
        for (size_t f = picture->first; f < picture->first + picture->count; f++) {
            face_target face = data->faces[f];
            face.left = fminf(fmaxf(face.left * picture->scale, 0), across);
            face.right = fminf(fmaxf(face.right * picture->scale, 0), across);
            face.top = fminf(fmaxf(face.top * picture->scale, 0), down);
            face.bottom = fminf(fmaxf(face.bottom * picture->scale, 0), down);
            if (face.right > face.left && face.bottom > face.top)
                data->faces[kept++] = face;
        }
        picture->first = first;
        picture->count = kept - first;
    }
    data->face_count = kept;
}

static int faces_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static mien_status faces_list_negatives(const char *folder, face_dataset *data, mien_error *error)
{
    struct dirent **names = NULL;
    int count = scandir(folder, &names, faces_visible, alphasort);
    if (count < 0)
        return error_set(error, MIEN_EIO, "%s: cannot list the folder", folder);
    mien_status status = MIEN_OK;
    data->negatives = memory_zeroed((size_t)count, sizeof *data->negatives);
    if (!data->negatives)
        status = error_no_memory(error, (size_t)count * sizeof *data->negatives);
    for (int i = 0; i < count && !status; i++) {
        data->negatives[i].file = memory_text(names[i]->d_name);
        if (!data->negatives[i].file)
            status = error_no_memory(error, strlen(names[i]->d_name));
        data->negative_count++;
    }
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return status;
}

static mien_status faces_read_paste(const face_dataset_options *options, face_dataset *data, mien_error *error)
{
    dataset_options how = {.votes = options->votes};
    return dataset_read(options->paste, &how, &data->paste, error);
}

mien_status face_dataset_read(const char *annotations, const char *images, const face_dataset_options *options,
                              face_dataset *out, mien_error *error)
{
    static const face_dataset_options none = {0};
    options = options ? options : &none;
    int side = options->side ? options->side : FACE_DATASET_SIDE;
    face_annotations marks = {0};
    face_dataset data = {0};
    if (side < FACES_LEAST_SIDE || side > FACE_DATASET_MOST_SIDE)
        return error_set(error, MIEN_EINVAL, "pictures kept at %d pixels: not within %d..%d", side, FACES_LEAST_SIDE,
                         FACE_DATASET_MOST_SIDE);
    mien_status status = face_annotations_read(annotations, &marks, error);
    if (status) {
        error_prefix(error, status, "%s", annotations);
        goto out;
    }
    if ((status = faces_take_annotations(&marks, options, &data, error)))
        goto out;
    if ((status = faces_load_all(options, images, side, data.pictures, &data.count, &data.skipped, error)))
        goto out;
    faces_scale(&data);
    if (!data.count) {
        status = error_set(error, MIEN_ENOTFOUND, "%s: no picture that %s names could be read", images, annotations);
        goto out;
    }
    if (options->negatives && (status = faces_list_negatives(options->negatives, &data, error)))
        goto out;
    if (data.negative_count && (status = faces_load_all(options, options->negatives, side, data.negatives,
                                                        &data.negative_count, &data.skipped, error)))
        goto out;
    if (options->paste && (status = faces_read_paste(options, &data, error)))
        goto out;
    *out = data;
    data = (face_dataset){0};
out:
    face_annotations_done(&marks);
    face_dataset_done(&data);
    return status;
}

mien_status face_dataset_read_configured(const train_config *config, const face_dataset_options *options,
                                         face_dataset *out, mien_error *error)
{
    char images[FACES_PATH];
    face_dataset_options how = options ? *options : (face_dataset_options){0};
    const char *slash = strrchr(config->data, '/');
    how.side = config->picture_side;
    how.threads = (size_t)config->threads;
    how.holdout = config->holdout;
    how.limit = (size_t)config->limit;
    how.negatives = *config->negatives_data ? config->negatives_data : NULL;
    how.paste = *config->paste_data ? config->paste_data : NULL;
    how.votes = *config->votes ? config->votes : NULL;
    if (*config->images)
        snprintf(images, sizeof images, "%s", config->images);
    else
        snprintf(images, sizeof images, "%.*simages", slash ? (int)(slash + 1 - config->data) : 0, config->data);
    return face_dataset_read(config->data, images, &how, out, error);
}

void face_dataset_done(face_dataset *data)
{
    if (!data)
        return;
    for (size_t i = 0; i < data->count; i++)
        faces_picture_done(&data->pictures[i]);
    for (size_t i = 0; i < data->negative_count; i++)
        faces_picture_done(&data->negatives[i]);
    memory_free(data->pictures);
    memory_free(data->faces);
    memory_free(data->negatives);
    dataset_done(&data->paste);
    *data = (face_dataset){0};
}

mien_status face_dataset_rows(const face_dataset *data, bool holdout, size_t **rows, size_t *count, mien_error *error)
{
    size_t *list = memory_array(data->count, sizeof *list), found = 0;
    if (!list)
        return error_no_memory(error, data->count * sizeof *list);
    for (size_t i = 0; i < data->count; i++)
        if (data->pictures[i].holdout == holdout)
            list[found++] = i;
    if (!found) {
        memory_free(list);
        return error_set(error, MIEN_ENOTFOUND, "no picture is %s", holdout ? "held out" : "left to train on");
    }
    *rows = list;
    *count = found;
    return MIEN_OK;
}
