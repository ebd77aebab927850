/* Labelled pictures in memory: FER-2013's CSV (also .xz), a CSV of paths and labels, or a folder of folders.
 *
 * Rows keep the order of their source. A data set is immutable once read and may be shared between threads.
 */
#ifndef TRAIN_DATASET_H
#define TRAIN_DATASET_H

#include <mien/analyzer.h>
#include <mien/image.h>

#include <stdbool.h>

enum { DATASET_CLASSES = MIEN_EMOTION_COUNT, DATASET_VOTES = 10 };

typedef enum dataset_split {
    DATASET_TRAINING = 0,
    DATASET_PUBLIC_TEST,
    DATASET_PRIVATE_TEST,
    DATASET_SPLITS
} dataset_split;

/** FER+'s columns, in the file's order. */
enum {
    VOTE_NEUTRAL = 0,
    VOTE_HAPPINESS,
    VOTE_SURPRISE,
    VOTE_SADNESS,
    VOTE_ANGER,
    VOTE_DISGUST,
    VOTE_FEAR,
    VOTE_CONTEMPT,
    VOTE_UNKNOWN,
    VOTE_NOT_FACE
};

typedef struct dataset {
    size_t count;
    size_t height, width; /* every picture is grey, 8 bits */
    uint8_t *pixels;      /* [count, height, width] */
    uint8_t *labels;      /* mien_emotion */
    uint8_t *splits;      /* dataset_split */
    uint8_t *votes;       /* [count, DATASET_VOTES], or NULL when no votes were read */
    uint8_t *not_face;    /* 1: FER+ has no name for the row, or most voted that there is no face; NULL without votes */
    char **paths;         /* of the pictures, NULL for a CSV of pixels */
    size_t skipped;       /* pictures that could not be read */
    bool test_apart;      /* rows called "test" are of PrivateTest, since others are there to validate on */
} dataset;

typedef struct dataset_options {
    size_t height, width; /* pictures of files are resized to this; 0 = 48. A CSV of pixels says its own size. */
    const char *votes;    /* FER+ file or NULL */
    size_t most_rows;     /* limit, 0 = 10 million */
    /** Called for each picture that could not be read, which is then left out; NULL = the first one is an error. */
    void (*skip)(void *context, const char *path, const mien_error *error);
    void *skip_context;
    /** Where the face lies in a picture of a file, which is then cut out; NULL = pictures are faces already.
     * MIEN_ENOTFOUND = there is none, and the picture is one that could not be read. */
    mien_status (*locate)(void *context, const mien_image_view *picture, mien_rect *box, mien_error *error);
    void *locate_context;
} dataset_options;

/** `options` may be NULL. Errors name the file and the line. Free with dataset_done. */
mien_status dataset_read(const char *path, const dataset_options *options, dataset *out, mien_error *error);
void dataset_done(dataset *data);

/** "Training", "PublicTest", "PrivateTest", and the folder names train, test, validation. MIEN_EINVAL for others. */
mien_status dataset_split_from_name(const char *name, dataset_split *split, mien_error *error);
const char *dataset_split_name(dataset_split split);

/** Rows of a split in order. `drop_not_face`: without those that FER+ calls no face. `split` "all" takes every row.
 *  MIEN_ENOTFOUND when there is none. Free *rows with memory_free. */
mien_status dataset_rows(const dataset *data, const char *split, bool drop_not_face, size_t **rows, size_t *count,
                         mien_error *error);

/** FER+ votes as probabilities of our seven: contempt, unknown and "not a face" are left out and the rest is divided by
 *  its sum. False (and `target` untouched) when nothing remains. */
bool dataset_soft_votes(const uint8_t votes[DATASET_VOTES], float target[DATASET_CLASSES]);
/** FER+'s majority by the rule that its authors test with: a column with a single vote counts as none, and the largest
 *  must have more than half of what remains. False where no column has, or where contempt, unknown or "not a face" has
 *  it: the row has no majority label among our seven. */
bool dataset_majority(const uint8_t votes[DATASET_VOTES], uint8_t *label);
/** The largest of the ten columns, however few votes it has; a tie goes to the first. False when that is contempt,
 *  unknown or "not a face". Keeps the doubtful pictures that dataset_majority leaves out. */
bool dataset_plurality(const uint8_t votes[DATASET_VOTES], uint8_t *label);

#endif
