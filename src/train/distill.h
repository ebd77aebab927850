/* Teachers: models whose averaged probabilities a network learns from, on the very pictures that it sees. */
#ifndef TRAIN_DISTILL_H
#define TRAIN_DISTILL_H

#include "nn/plan.h"
#include "train/augment.h"

typedef struct distill distill;

/**
 * @param paths    comma-separated models; their inputs must have the size of `target`.
 * @param batch    pictures of a call; @param workers threads that will call.
 */
mien_status distill_create(const char *paths, const augment_target *target, int batch, size_t workers,
                           float temperature, nn_precision precision, distill **out, mien_error *error);
void distill_destroy(distill **d);

/** `input` [batch, channels, height, width] in the scale of the target; `out` [batch, DATASET_CLASSES]. One call at a
 *  time per worker. */
mien_status distill_predict(distill *d, size_t worker, const float *input, float *out, mien_error *error);

#endif
