/* One model measured on one set of rows, with everything that a comparison or a report needs. */
#ifndef TRAIN_EVALUATE_H
#define TRAIN_EVALUATE_H

#include "train/metrics.h"
#include "train/predict.h"

#include <jansson.h>

/** What counts as true. */
typedef enum evaluate_truth {
    EVALUATE_LABELS = 0, /* the data set's own labels */
    EVALUATE_MAJORITY,   /* FER+'s majority by its authors' rule; rows without one are left out */
    EVALUATE_PLURALITY,  /* FER+'s largest column, doubtful rows included */
} evaluate_truth;

typedef struct evaluate_options {
    const char *split;
    evaluate_truth truth;
    predict_views views;
    nn_precision precision;
    size_t threads;
    size_t bootstrap; /* resamples for the confidence interval, 0 = none */
    uint64_t seed;
    int output;        /* of the network; negative = the one that learnt this truth: the second of our own models for
                        * FER+'s votes, else the first */
    float temperature; /* instead of the model's own; 0 = the model's */
    mien_status (*load)(const char *path, model *m,
                        mien_error *error); /* NULL = model_load without limits of its own */
} evaluate_options;

typedef struct evaluation {
    char *model, *data, *split;
    char *training;   /* what the model says of how it was trained; NULL = nothing */
    char manner[128]; /* how it was measured: "against labels, one look, f32" */
    metrics figures;
    bool resampled;      /* there is an interval */
    double low, high;    /* 95 % interval of top-1 */
    double soft_loss;    /* cross-entropy against FER+'s votes; negative without them */
    double milliseconds; /* wall-clock per picture, all threads */
    uint64_t parameters, multiply_adds;
    size_t count;
    size_t *rows;         /* [count] of the data set */
    uint8_t *truth;       /* [count] */
    float *probabilities; /* [count, DATASET_CLASSES] */
} evaluation;

void evaluate_default_options(evaluate_options *options);
/** labels, majority or plurality; MIEN_EINVAL for others. */
mien_status evaluate_truth_from_name(const char *name, evaluate_truth *truth, mien_error *error);
/** Free with evaluation_done. */
mien_status evaluate_model(const char *model_path, const char *data_name, const dataset *data,
                           const evaluate_options *options, evaluation *out, mien_error *error);
/** The mean of the probabilities of several evaluations of the same rows, as one more. */
mien_status evaluate_ensemble(const evaluation *members, size_t count, const dataset *data,
                              const evaluate_options *options, evaluation *out, mien_error *error);
void evaluation_done(evaluation *e);

/** A name of a file, which may hold bytes that are not UTF-8: JSON cannot, so those become U+FFFD. */
json_t *evaluate_json_name(const char *name);
/** {"model","data","split","count","top1","macro_f1","per_class","confusion", …}; NULL when memory is short. */
json_t *evaluation_to_json(const evaluation *e);

/** Percentile bootstrap of top-1 (Efron): deterministic in `seed`. */
void evaluate_interval(const float *probabilities, const uint8_t *truth, size_t count, size_t resamples, uint64_t seed,
                       double *low, double *high);

#endif
