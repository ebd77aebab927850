/* The task of finding faces, as the trainer sees it; shared by its files and by nothing else. */
#ifndef TRAIN_TRAINER_FACES_H
#define TRAIN_TRAINER_FACES_H

#include "train/face_assign.h"
#include "train/face_augment.h"
#include "train/trainer_state.h"

/** Pictures are validated fitted into this side. At a picture_side of 1024 the faces of 32 pixels, the smallest that
 *  count, are TRAINER_LEAST_FACE pixels then. */
enum { TRAINER_CHECK_SIDE = 640, TRAINER_LEAST_FACE = 20 };

typedef struct trainer_seeker {
    const face_dataset *data;
    size_t *rows, row_count;      /* pictures to train on */
    size_t *checked, check_count; /* to validate on */
} trainer_seeker;

/** What one thread owns beside its tape. */
typedef struct trainer_face_worker {
    face_augment_scratch scratch;
    face_target *targets; /* [microbatch, FACE_AUGMENT_MOST_TARGETS] */
    size_t *counts;       /* [microbatch] */
    int16_t *owners;      /* [cells of a sample] */
    float *costs;
} trainer_face_worker;

mien_status faces_validate(trainer *t, trainer_epoch *epoch, mien_error *error);

#endif
