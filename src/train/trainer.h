/* A training run: from a configuration to best.onnx, with a log and checkpoints on the way.
 *
 * The result depends on the configuration and the data, never on the number of threads nor on interruptions: a run that
 * was stopped and resumed gives the same bits as one that was not.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "model/model.h"
#include "train/cluster.h"
#include "train/config.h"
#include "train/dataset.h"
#include "train/face_dataset.h"
#include "train/face_metrics.h"
#include "train/metrics.h"

#include <stdatomic.h>

/** What a network is trained for. */
typedef enum trainer_kind { TRAINER_CLASSES = 0, TRAINER_FACES } trainer_kind;

/** Where a run stands, inside an epoch. */
typedef struct trainer_progress {
    trainer_kind kind;
    int epoch, epochs; /* from 1 */
    int64_t step, steps;
    double loss, share; /* of this epoch so far, on the augmented pictures: see trainer_epoch */
    double rate;        /* learning rate */
    double images_per_second, remaining_seconds; /* of the whole run */
} trainer_progress;

/** How well the averaged weights find the faces of the pictures held out: those of 32 pixels and more, overlap 0.4. */
typedef struct trainer_faces {
    size_t pictures, faces;
    double average_precision;
    double recall_93, recall_95; /* at the lowest score that gives this precision; 0 where none does */
    double threshold_95;
} trainer_faces;

/** The end of an epoch. */
typedef struct trainer_epoch {
    trainer_kind kind;
    int epoch, epochs;
    double loss, share; /* classes: top-1; faces: mean overlap of the boxes answered for */
    metrics validation; /* classes */
    double votes_top1;  /* classes: against FER+'s majority; negative without votes */
    trainer_faces faces;
    double score; /* what chooses the best: top-1, or average precision */
    double best_score;
    int best_epoch;
    bool improved;
    double rate, seconds, images_per_second, remaining_seconds;
} trainer_epoch;

/** Any callback may be NULL. They are called on the thread that called trainer_run. */
typedef struct trainer_events {
    void *context;
    void (*progress)(void *context, const trainer_progress *progress); /* at most twice a second */
    void (*epoch)(void *context, const trainer_epoch *epoch);
    atomic_bool
        *stop; /* set from a signal handler: the step is finished, a checkpoint written, MIEN_ECANCELLED given */
} trainer_events;

typedef struct trainer trainer;

/** Where a run takes place; zero-initialised: alone, with models from files only. */
typedef struct trainer_place {
    const char *command;  /* what started the run, kept in the model's metadata; may be NULL */
    const cluster *group; /* processes that share the work, all with the same configuration and data; NULL = alone */
    model_loader load;    /* of init and teachers; NULL = model_load */
} trainer_place;

/** How many samples an epoch has and how many validate. */
typedef struct trainer_rows {
    size_t training, validation;
    bool held_out; /* the validating ones were taken from the training rows */
} trainer_rows;

/**
 * @param training, validation  borrowed; may be the same. The rows are chosen by config->split and validation_split.
 * @param place                 NULL = the defaults.
 */
mien_status trainer_create(const train_config *config, const dataset *training, const dataset *validation,
                           const trainer_place *place, trainer **out, mien_error *error);
/**
 * The same for a detector of faces: config->samples samples of each picture of `data` (borrowed) that is not held out
 * make an epoch; the others validate.
 */
mien_status trainer_create_faces(const train_config *config, const face_dataset *data, const trainer_place *place,
                                 trainer **out, mien_error *error);
void trainer_destroy(trainer **t);
trainer_rows trainer_count_rows(const trainer *t);

/** The configuration that a run's checkpoint holds. MIEN_ENOTFOUND when there is none. */
mien_status trainer_read_config(const char *folder, train_config *config, mien_error *error);
/** Go on from the checkpoint in config->out. */
mien_status trainer_resume(trainer *t, mien_error *error);
/**
 * Train to the end (or to the early stop). Writes config.txt, log.jsonl, checkpoint.bin and best.onnx below
 * config->out.
 * @return MIEN_OK, MIEN_ECANCELLED (stopped; may be resumed), MIEN_EIO (the checkpoint before it stays good) …
 */
mien_status trainer_run(trainer *t, const trainer_events *events, mien_error *error);

/** The flat parameters and their number, for tests. */
const float *trainer_parameters(const trainer *t, size_t *count);

#endif
