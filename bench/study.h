/* What the studies of face detectors share: walking over annotated pictures, and means with deviations. A study answers
 * a question of docs/detector.md and prints its table; it needs data that is not part of the project. */
#ifndef BENCH_STUDY_H
#define BENCH_STUDY_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <mien/image.h>

#include "base/file.h"
#include "train/face_annotations.h"

enum { STUDY_PICTURE_BYTES = 256 << 20 };

/** Sum of values: mean and standard deviation. Zero-initialised means none yet. */
typedef struct study_sum {
    double sum, squares;
    size_t count;
} study_sum;

static inline void study_add(study_sum *s, double value)
{
    s->sum += value;
    s->squares += value * value;
    s->count++;
}

static inline double study_mean(const study_sum *s)
{
    return s->count ? s->sum / (double)s->count : 0;
}

static inline double study_deviation(const study_sum *s)
{
    double mean = study_mean(s);
    return s->count > 1 ? sqrt(fmax(s->squares / (double)s->count - mean * mean, 0)) : 0;
}

typedef mien_status (*study_visit)(void *context, const mien_image *picture, const face_truth *truths, size_t count,
                                   mien_error *error);

static inline mien_status study_read(const char *folder, const char *file, mien_image *picture, mien_error *error)
{
    char path[4096];
    buffer bytes;
    buffer_init(&bytes, STUDY_PICTURE_BYTES);
    snprintf(path, sizeof path, "%s/%s", folder, file);
    mien_status status = file_read(path, STUDY_PICTURE_BYTES, &bytes, error);
    if (!status)
        status = mien_image_decode(bytes.data, bytes.length, NULL, picture, error);
    buffer_done(&bytes);
    return status;
}

/** Every `every`-th annotated picture, in order. */
static inline mien_status study_pictures(const char *annotations, const char *folder, size_t every, study_visit visit,
                                         void *context, mien_error *error)
{
    face_annotations read = {0};
    mien_status status = face_annotations_read(annotations, &read, error);
    for (size_t i = 0; i < read.picture_count && !status; i += every) {
        const face_picture *about = &read.pictures[i];
        mien_image picture = {0};
        status = study_read(folder, about->file, &picture, error);
        if (!status)
            status = visit(context, &picture, read.faces + about->first, about->count, error);
        mien_image_done(&picture);
    }
    face_annotations_done(&read);
    return status;
}

#endif
