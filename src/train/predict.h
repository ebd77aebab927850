/* A loaded model that answers for stored pictures: the inference engine, not the training one. */
#ifndef TRAIN_PREDICT_H
#define TRAIN_PREDICT_H

#include "base/thread_pool.h"
#include "model/model.h"
#include "nn/plan.h"
#include "train/dataset.h"

/** Test-time augmentation: the mean of the probabilities of several views of a picture. */
typedef enum predict_views {
    PREDICT_SINGLE = 0, /* the picture itself */
    PREDICT_FLIP,       /* and its mirror image */
    PREDICT_TEN         /* corners and centre at nine tenths of the side, each with its mirror image */
} predict_views;

typedef struct predictor predictor;

typedef struct predictor_options {
    nn_precision precision;
    size_t workers;
    int output; /* which of the network's outputs answers: the second one of our own models has learnt FER+'s votes */
    /* NN_INT8, where the model does not keep its ranges: pictures to find them with */
    const dataset *calibration;
    const size_t *calibration_rows;
    size_t calibration_count;
} predictor_options;

/** Whether the network has that output, and it gives a number for each of our classes. */
bool predict_gives_classes(const model *m, int output);
/** Whether the network has a second output of our classes, which has learnt FER+'s votes. */
bool predict_has_votes_output(const model *m);

/** `m` is borrowed for the call. Its labels are matched to our seven by name; without labels its outputs must be the
 *  seven in their order. MIEN_EUNSUPPORTED: it knows none of them, or its input is not one picture. */
mien_status predictor_create(const model *m, const predictor_options *options, predictor **out, mien_error *error);
void predictor_destroy(predictor **p);
/** Find what an int8 plan of `m` needs to know with the calibration pictures of `options`, and keep it in the model. */
mien_status predictor_keep_ranges(model *m, const predictor_options *options, mien_error *error);
/** Instead of the model's own temperature. */
void predictor_set_temperature(predictor *p, float temperature);

/** `out` [count, DATASET_CLASSES]: probabilities; a class that the model does not know has 0. The pool has at most as
 *  many threads as the predictor has workers. */
mien_status predictor_run(predictor *p, thread_pool *pool, const dataset *data, const size_t *rows, size_t count,
                          predict_views views, float *out, mien_error *error);

mien_status predict_views_from_name(const char *name, predict_views *views, mien_error *error);

#endif
