/* Teachers: models whose averaged probabilities a network learns from, on the very pictures that it sees. */
#ifndef TRAIN_DISTILL_H
#define TRAIN_DISTILL_H

#include <stdbool.h>

#include "model/model.h"
#include "nn/plan.h"
#include "train/augment.h"

typedef struct distill distill;

typedef struct distill_options {
    const char *paths;            /* comma-separated models; their inputs must have the size of `target` */
    model_loader load;            /* NULL = model_load */
    const augment_target *target; /* size and scale of the pictures that they are asked about */
    int batch;                    /* pictures of a call */
    size_t workers;               /* threads that will call */
    float temperature;
    nn_precision precision;
    bool mirror; /* ask about the mirror image as well, and take the mean */
} distill_options;

mien_status distill_create(const distill_options *options, distill **out, mien_error *error);
void distill_destroy(distill **d);

/** Whether a teacher has a second output, which has learnt FER+'s votes. */
bool distill_knows_votes(const distill *d);

/**
 * @param input   [batch, channels, height, width] in the scale of the target.
 * @param labels  [out] [batch, DATASET_CLASSES].
 * @param votes   [out] the same by the second outputs; NULL where no teacher has one, or nobody asks.
 * One call at a time per worker.
 */
mien_status distill_predict(distill *d, size_t worker, const float *input, float *labels, float *votes,
                            mien_error *error);

#endif
