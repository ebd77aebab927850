/* From a face box to calibrated probabilities: crop, resize, normalise, network, temperature, doubt.
 *
 * A classifier is immutable and shared between threads; a session belongs to one thread at a time.
 */
#ifndef EMOTION_CLASSIFIER_H
#define EMOTION_CLASSIFIER_H

#include <mien/analyzer.h>

#include "model/model.h"
#include "nn/plan.h"

typedef struct classifier classifier;
typedef struct classifier_session classifier_session;

/** A box in pixels of the picture; may lie partly outside. */
typedef struct classifier_box {
    float x, y, width, height;
} classifier_box;

typedef struct classifier_answer {
    float probabilities[MIEN_EMOTION_COUNT]; /* sum 1 */
    mien_emotion emotion;
    float confidence;
    bool uncertain; /* confidence below the model's own threshold */
    float quality;  /* 0..1 from the size, sharpness and light of the crop */
} classifier_answer;

/**
 * Make a classifier of a loaded model: one input, one output of at least two classes whose labels are known emotions.
 * Takes `m` over on success (it is emptied); on failure it is untouched.
 * @return MIEN_OK, MIEN_EINVAL (not an emotion model: says why), MIEN_EUNSUPPORTED (names the node), MIEN_ENOMEM.
 */
mien_status classifier_create(model *m, nn_precision precision, classifier **out, mien_error *error);
void classifier_destroy(classifier **c);
/** What the model says about itself; valid as long as the classifier. */
const model_info *classifier_info(const classifier *c);

/** @param workspace  in which to run, of the thread that will use the session; NULL = one of its own. */
mien_status classifier_session_create(const classifier *c, nn_workspace *workspace, classifier_session **out,
                                      mien_error *error);
void classifier_session_destroy(classifier_session **session);

/**
 * Classify one face.
 * @param picture   upright; any pixel format; borrowed.
 * @param shrunk    times that it is smaller than the picture sent; 1 = it is that.
 * @param box       as the detector gave it.
 * @param exact     true: crop exactly the box (what the systems of the presets do); false: widen and move it as the
 * model was trained for.
 * @param answer    [out] untouched on failure.
 * @return MIEN_OK, MIEN_EINVAL (no part of the box lies in the picture), MIEN_ENOMEM, MIEN_EINTERNAL.
 */
mien_status classifier_run(classifier_session *session, const mien_image_view *picture, float shrunk,
                           const classifier_box *box, bool exact, classifier_answer *answer, mien_error *error);

/** The crop that classifier_run makes of a box when it is not exact. */
classifier_box classifier_crop_box(const model_crop *crop, const classifier_box *box);

#endif
