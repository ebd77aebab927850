/* The inside of a training run, shared by the files of the trainer and by nothing else.
 *
 * The trainer turns samples into steps, checkpoints and a best model; what a sample is, what the network's outputs are
 * compared with and how a model is validated is its task's (trainer_task): emotions or faces.
 */
#ifndef TRAIN_TRAINER_STATE_H
#define TRAIN_TRAINER_STATE_H

#include "model/model.h"
#include "nn/tape.h"
#include "train/augment.h"
#include "train/optimizer.h"
#include "train/schedule.h"
#include "train/trainer.h"

enum { TRAINER_MOST_OUTPUTS = 3 };

/** All that a checkpoint holds beside the arrays: eight-byte fields only, so that there is no padding. */
typedef struct trainer_counters {
    int64_t epoch, step;          /* the next step to make */
    double loss_sum;              /* of the epoch in progress */
    double right, answers;        /* see trainer_slot */
    int64_t seen;                 /* samples */
    double answers_of_one_sample; /* running mean, which losses are divided by where the number varies */
    double best_score;
    int64_t best_epoch, stale;
    schedule_state schedule;
    int64_t log_length; /* bytes of log.jsonl that belong to finished epochs */
    double seconds;     /* spent so far */
    int64_t samples, parameters;
} trainer_counters;

/** What one thread owns. */
typedef struct trainer_worker {
    nn_tape *tape;
    float *gradients[TRAINER_MOST_OUTPUTS]; /* in the outputs' shapes */
    size_t gradient_counts[TRAINER_MOST_OUTPUTS];
    uint64_t version; /* of the parameters that its tape has seen */
    void *own;        /* the task's */
} trainer_worker;

/** What a microbatch gives. */
typedef struct trainer_slot {
    double loss;           /* its part of the mean over the batch */
    double answers, right; /* how many answers were asked for, and how right they were (0..1) together */
    mien_status status;
    mien_error error;
} trainer_slot;

/** What a network is trained for. t->own and worker->own are the task's to take and to give back. */
typedef struct trainer_task {
    trainer_kind kind;
    /** Count t->samples and t->rows, build t->network, state the tape's input in t->height and t->width. */
    mien_status (*open)(trainer *t, mien_error *error);
    void (*close)(trainer *t);
    mien_status (*equip)(trainer *t, trainer_worker *worker, mien_error *error);
    void (*dismiss)(trainer_worker *worker);
    /** When all workers are there; may be NULL. */
    mien_status (*begin)(trainer *t, mien_error *error);
    /** Make the microbatch of the samples t->order[first…] in the worker's tape. `mixing`: see config->mix_until. */
    mien_status (*fill)(trainer *t, size_t first, bool mixing, size_t worker, mien_error *error);
    /** Compare the outputs with what was asked for: loss and gradients (zeroed before) of the mean over the batch. */
    mien_status (*compare)(trainer *t, trainer_worker *worker, trainer_slot *slot, mien_error *error);
    /** Figures of the averaged weights, epoch->score among them. */
    mien_status (*validate)(trainer *t, trainer_epoch *epoch, mien_error *error);
    /** The same as members of the log's JSON object, each with a comma after it. */
    void (*log)(const trainer_epoch *epoch, buffer *line);
    /** What a model must say of itself beside how it was trained. */
    mien_status (*describe)(const trainer *t, const trainer_epoch *epoch, model *best, mien_error *error);
} trainer_task;

struct trainer {
    train_config config;
    const trainer_task *task;
    void *own;         /* the task's */
    size_t samples;    /* of an epoch */
    trainer_rows rows; /* the task's to fill in */
    uint32_t *order;   /* of this epoch */
    int64_t ordered_epoch;
    model network;
    int height, width; /* of a sample */
    int outputs, backbone_layers;
    optimizer *opt;
    thread_pool *pool;
    cluster group;
    model_loader load;
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

/** Set up a run for `task`, whose `own` becomes t->own; task->close is called on failure too. */
mien_status trainer_start(const train_config *config, const trainer_task *task, void *own, const trainer_place *place,
                          trainer **out, mien_error *error);
/** A model by the name that a setting gives it. */
mien_status trainer_load_model(const trainer *t, const char *name, model *out, mien_error *error);
nn_precision trainer_precision(const trainer *t);

/** A step of this epoch in epochs since the run began, as the schedule counts. */
double trainer_position(const trainer *t, int64_t step);
/** One step of the optimiser. `signals` holds what this process wants and becomes what all do. */
mien_status trainer_step(trainer *t, trainer_signals *signals, double *rate, mien_error *error);
/** Replace the averaged weights' running statistics by those of config->statistics training pictures, as they are shown
 *  to the averaged weights. */
mien_status trainer_measure_statistics(trainer *t, mien_error *error);
/** Run `task` for `count` parts on the pool. It says in t->slot[worker] when it fails; the first failure is returned.
 */
mien_status trainer_work(trainer *t, size_t count, thread_pool_task task, void *context, mien_error *error);

mien_status trainer_save(trainer *t, mien_error *error);
mien_status trainer_load(trainer *t, mien_error *error);
/** The averaged weights with their figures as best.onnx. */
mien_status trainer_save_best(trainer *t, const trainer_epoch *epoch, mien_error *error);
/** Path of a file in the run's folder. */
mien_status trainer_path(const trainer *t, const char *name, char *path, size_t capacity, mien_error *error);
mien_status trainer_log_epoch(trainer *t, const trainer_epoch *epoch, mien_error *error);

/** Fill a microbatch and run it forward in training mode, the gradients of its outputs zeroed; `seed` draws dropout. */
mien_status trainer_forward(trainer *t, const float *parameters, size_t first, bool mixing, uint64_t seed,
                            size_t worker, mien_error *error);

#endif
