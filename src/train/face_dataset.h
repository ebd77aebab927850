/* Annotated pictures of people in memory: what a face detector is trained on.
 *
 * Pictures are decoded once, fitted into a longest side and kept as RGB with smaller and smaller copies, so that a
 * sample of any scale reads few pixels. Immutable once read; may be shared between threads.
 */
#ifndef TRAIN_FACE_DATASET_H
#define TRAIN_FACE_DATASET_H

#include <mien/image.h>

#include <stdbool.h>

#include "train/config.h"
#include "train/dataset.h"

enum { FACE_DATASET_LEVELS = 5, FACE_DATASET_SIDE = 1024, FACE_DATASET_MOST_SIDE = 8192 };

/** A face, edges as fractions of pixels. `ignored`: finding it is neither right nor wrong. */
typedef struct face_target {
    float left, top, right, bottom;
    bool ignored;
} face_target;

typedef struct face_dataset_picture {
    char *file;                             /* as the annotations have it */
    mien_image levels[FACE_DATASET_LEVELS]; /* RGB8; each half as large as the one before, level_count of them */
    int level_count;
    float scale;         /* stored pixels per pixel of the file */
    size_t first, count; /* its faces */
    bool holdout;        /* keep away from training */
} face_dataset_picture;

typedef struct face_dataset {
    face_dataset_picture *pictures; /* in the order of the annotations */
    size_t count;
    face_target *faces; /* by picture, in pixels of its levels[0] */
    size_t face_count;
    face_dataset_picture *negatives; /* pictures without any face */
    size_t negative_count;
    dataset paste;  /* grey crops of faces to paste in; count 0 = none */
    size_t skipped; /* pictures that could not be read, and were left out with their faces */
} face_dataset;

typedef struct face_dataset_options {
    int side;              /* longest side of what is kept; 0 = FACE_DATASET_SIDE, at most _MOST_SIDE */
    size_t threads;        /* 0 = 1 */
    float holdout;         /* share of the pictures, by a hash of the file name, that is kept for choosing */
    size_t limit;          /* pictures read at most, 0 = all */
    const char *negatives; /* folder of pictures without faces, NULL = none */
    const char *paste;     /* data set of face crops (train/dataset.h), NULL = none */
    const char *votes;     /* FER+ votes of its rows, which tell what is no face; NULL = none */
    /** After each picture, never from two threads at once. */
    void (*progress)(void *context, size_t done, size_t total);
    void *progress_context;
    /** For each picture that could not be read, never from two threads at once. */
    void (*skip)(void *context, const char *path, const mien_error *error);
    void *skip_context;
} face_dataset_options;

/**
 * Read the annotations (train/face_annotations.h) and their pictures from the folder `images`.
 * @param options  NULL = all pictures, none held out.
 * @return MIEN_OK, MIEN_ENOTFOUND (no picture could be read), MIEN_EFORMAT (annotations), MIEN_EIO, MIEN_ENOMEM.
 * Free with face_dataset_done.
 */
mien_status face_dataset_read(const char *annotations, const char *images, const face_dataset_options *options,
                              face_dataset *out, mien_error *error);
/** What a configuration says in `data`, `images`, `picture_side`, `threads`, `holdout`, `limit`, `negatives_data`,
 *  `paste_data` and `votes`. `options` gives the callbacks only; may be NULL. */
mien_status face_dataset_read_configured(const train_config *config, const face_dataset_options *options,
                                         face_dataset *out, mien_error *error);
void face_dataset_done(face_dataset *data);

/** Whether a file is held out: depends on its name and the share alone, and a larger share holds out more files, never
 *  others. */
bool face_dataset_is_holdout(const char *file, float share);

/** Indices of the pictures for training or for choosing, in order. MIEN_ENOTFOUND when there is none. Free *rows with
 *  memory_free. */
mien_status face_dataset_rows(const face_dataset *data, bool holdout, size_t **rows, size_t *count, mien_error *error);

#endif
