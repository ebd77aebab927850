/* The task of telling emotions apart, as the trainer sees it; shared by its files and by nothing else. */
#ifndef TRAIN_TRAINER_CLASSES_H
#define TRAIN_TRAINER_CLASSES_H

#include "train/distill.h"
#include "train/trainer_state.h"

typedef struct trainer_classes {
    const dataset *training, *validation;
    size_t *rows, row_count;      /* to train on */
    size_t *checked, check_count; /* to validate on */
    bool held_out;                /* and taken from those to train on */
    augment_target target;
    float class_weights[DATASET_CLASSES];
    distill *teachers; /* NULL = none, or asked beforehand */
    float *taught;     /* [row_count, classes] what the teachers said beforehand; NULL = ask them as it goes */
    bool votes_taught; /* the second output learns from the teachers' second outputs as well */
} trainer_classes;

/** What one thread owns beside its tape. */
typedef struct trainer_pupil {
    augment_scratch scratch;
    float *targets;       /* [microbatch, classes] for the first output */
    float *votes;         /* the same for the second; a row of negative numbers = no votes */
    float *teacher;       /* the teachers' probabilities */
    float *teacher_votes; /* those of their second outputs */
    float *weights;       /* [microbatch] */
} trainer_pupil;

mien_status classes_fill(trainer *t, size_t first, bool mixing, size_t worker, mien_error *error);
mien_status classes_compare(trainer *t, trainer_worker *worker, trainer_slot *slot, mien_error *error);
mien_status classes_validate(trainer *t, trainer_epoch *epoch, mien_error *error);

/** Ask the teachers about every stored picture and its mirror image, and keep the mean in `taught`. */
mien_status classes_ask_teachers(trainer *t, mien_error *error);

#endif
