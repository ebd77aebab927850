/* A training run: from a configuration to best.onnx, with a log and checkpoints on the way.
 *
 * The result depends on the configuration and the data, never on the number of threads nor on interruptions: a run that
 * was stopped and resumed gives the same bits as one that was not.
 */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "train/cluster.h"
#include "train/config.h"
#include "train/dataset.h"
#include "train/metrics.h"

#include <stdatomic.h>

/** Where a run stands, inside an epoch. */
typedef struct trainer_progress {
    int epoch, epochs; /* from 1 */
    int64_t step, steps;
    double loss, top1;                           /* of this epoch so far, on the augmented pictures */
    double rate;                                 /* learning rate */
    double images_per_second, remaining_seconds; /* of the whole run */
} trainer_progress;

/** The end of an epoch. */
typedef struct trainer_epoch {
    int epoch, epochs;
    double loss, top1;
    metrics validation;
    double votes_top1; /* against FER+'s majority; negative without votes */
    double best_top1;
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

/**
 * @param training, validation  borrowed; may be the same. The rows are chosen by config->split and validation_split.
 * @param command               what started the run, kept in the model's metadata; may be NULL.
 * @param group                 processes that share the work, all with the same configuration and data; NULL = alone.
 */
mien_status trainer_create(const train_config *config, const dataset *training, const dataset *validation,
                           const char *command, const cluster *group, trainer **out, mien_error *error);
void trainer_destroy(trainer **t);

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
