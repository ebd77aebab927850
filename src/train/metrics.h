/* Figures of merit from predicted probabilities and true labels. */
#ifndef TRAIN_METRICS_H
#define TRAIN_METRICS_H

#include "train/dataset.h"

typedef struct metrics_class {
    double precision, recall, f1;
    size_t support, said; /* rows of this class, and answers with it */
} metrics_class;

typedef struct metrics {
    size_t count;
    double top1, balanced, macro_f1; /* balanced: mean recall of the classes that occur */
    double loss, brier;              /* mean negative log-likelihood; mean squared distance, 0..2 */
    double ece;                      /* expected calibration error, METRICS_BINS equal bins of confidence */
    metrics_class classes[DATASET_CLASSES];
    size_t confusion[DATASET_CLASSES][DATASET_CLASSES]; /* [true][predicted] */
} metrics;

enum { METRICS_BINS = 15 };

/** One bin of the reliability curve. */
typedef struct metrics_bin {
    size_t count;
    double confidence, accuracy; /* means; 0 in an empty bin */
} metrics_bin;

/** Index of the largest; the first one of equals. */
int metrics_argmax(const float *values, int count);

/** `probabilities` [count, DATASET_CLASSES], `labels` [count] below DATASET_CLASSES. A class without a prediction has
 *  precision 0, one without support recall 0; macro F1 is the mean over the classes that occur. */
void metrics_compute(const float *probabilities, const uint8_t *labels, size_t count, metrics *out);
void metrics_reliability(const float *probabilities, const uint8_t *labels, size_t count,
                         metrics_bin bins[METRICS_BINS]);

#endif
