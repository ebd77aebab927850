/* Probabilities that mean what they say, and knowing when not to answer. */
#ifndef TRAIN_CALIBRATE_H
#define TRAIN_CALIBRATE_H

#include "train/dataset.h"

enum { CALIBRATE_POINTS = 20 };

/** Answering only where the confidence is at least `threshold` answers `coverage` of the pictures, `risk` of them
 * wrong. */
typedef struct calibrate_point {
    double coverage, risk, threshold;
} calibrate_point;

/** Temperature that makes the negative log-likelihood least (Guo et al. 2017). `probabilities` [count, DATASET_CLASSES]
 *  were computed at temperature 1. */
float calibrate_temperature(const float *probabilities, const uint8_t *truth, size_t count);
/** The same probabilities at another temperature; may be in place. */
void calibrate_apply(const float *probabilities, size_t count, float temperature, float *out);

/** The risk/coverage curve at CALIBRATE_POINTS equal steps of coverage, the last one answering everything. */
mien_status calibrate_curve(const float *probabilities, const uint8_t *truth, size_t count,
                            calibrate_point curve[CALIBRATE_POINTS], mien_error *error);
/** The point of largest coverage whose risk is at most `risk`; coverage 0 and threshold 1 when there is none. */
mien_status calibrate_threshold(const float *probabilities, const uint8_t *truth, size_t count, double risk,
                                calibrate_point *point, mien_error *error);

#endif
