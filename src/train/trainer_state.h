/* The inside of a training run, shared by the files of the trainer and by nothing else. */
#ifndef TRAIN_TRAINER_STATE_H
#define TRAIN_TRAINER_STATE_H

#include "model/model.h"
#include "nn/tape.h"
#include "train/augment.h"
#include "train/distill.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trainer.h"

enum { TRAINER_MOST_OUTPUTS = 2 };

/** All that a checkpoint holds beside the arrays: eight-byte fields only, so that there is no padding. */
typedef struct trainer_counters {
    int64_t epoch, step; /* the next step to make */
    double loss_sum;     /* of the epoch in progress */
    int64_t correct, seen;
    double best_top1;
    int64_t best_epoch, stale;
    schedule_state schedule;
    int64_t log_length; /* bytes of log.jsonl that belong to finished epochs */
    double seconds;     /* spent so far */
    int64_t rows, parameters;
} trainer_counters;

/** What one thread owns. */
typedef struct trainer_worker {
    nn_tape *tape;
    augment_scratch scratch;
    float *targets;                         /* [microbatch, classes] for the first output */
    float *votes;                           /* the same for the second; a row of negative numbers = no votes */
    float *teacher;                         /* the teachers' probabilities */
    float *weights;                         /* [microbatch] */
    float *gradients[TRAINER_MOST_OUTPUTS]; /* [microbatch, classes] of the logits */
    uint64_t version;                       /* of the parameters that its tape has seen */
} trainer_worker;

typedef struct trainer_slot {
    double loss;
    int64_t correct;
    mien_status status;
    mien_error error;
} trainer_slot;

struct trainer {
    train_config config;
    const dataset *training, *validation;
    size_t *rows, row_count;      /* to train on */
    size_t *checked, check_count; /* to validate on */
    uint32_t *order;              /* of this epoch: indices into rows */
    int64_t ordered_epoch;
    model network;
    augment_target target;
    int outputs, backbone_layers;
    float class_weights[DATASET_CLASSES];
    optimizer *opt;
    distill *teachers; /* NULL = none, or asked beforehand */
    float *taught;     /* [row_count, classes] what the teachers said beforehand; NULL = ask them as it goes */
    thread_pool *pool;
    cluster group;
    size_t all_slots, first_slot, slots; /* microbatches of a step: of all processes, and this one's */
    size_t steps;                        /* of an epoch */
    trainer_worker *workers;
    trainer_slot *slot; /* as many as microbatches or threads, whichever are more */
    uint64_t version;
    trainer_counters now;
    char *command;
    double started_ms, started_seconds, checkpoint_ms, progress_ms;
    int64_t started_steps; /* steps made when this process began, for the speed */
};

/** What the processes agree on with each step. */
typedef struct trainer_signals {
    bool stop;       /* one of them was asked to stop */
    bool checkpoint; /* it is time for one */
} trainer_signals;

/** One step of the optimiser. `signals` holds what this process wants and becomes what all do. */
mien_status trainer_step(trainer *t, trainer_signals *signals, double *rate, mien_error *error);

/** Ask the teachers about every stored picture and its mirror image, and keep the mean in t->taught. */
mien_status trainer_ask_teachers(trainer *t, mien_error *error);

/** Probabilities of an output in inference mode: `out` [count, classes]. `rows` index `data`. */
mien_status trainer_predict(trainer *t, const float *parameters, const dataset *data, const size_t *rows, size_t count,
                            int output, float *out, mien_error *error);

mien_status trainer_save(trainer *t, mien_error *error);
mien_status trainer_load(trainer *t, mien_error *error);
/** The averaged weights with their figures as best.onnx. */
mien_status trainer_save_best(trainer *t, const trainer_epoch *epoch, mien_error *error);
/** Path of a file in the run's folder. */
mien_status trainer_path(const trainer *t, const char *name, char *path, size_t capacity, mien_error *error);
mien_status trainer_log_epoch(trainer *t, const trainer_epoch *epoch, mien_error *error);

#endif
