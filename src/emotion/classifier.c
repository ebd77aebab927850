/* The classifier: one network with what its model says about input, labels, temperature and doubt.
 *
 * Labels are matched by name, so a foreign model may have fewer classes or another order; what it does not know stays
 * 0. Several labels for one class (anger and contempt …) add up. Temperature scaling: Guo et al. 2017. */
#include "emotion/classifier.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "emotion/crop.h"
#include "emotion/emotion.h"
#include "model/ranges.h"

struct classifier {
    model_info info;
    nn_plan *plan;
    size_t label_count;
    mien_emotion *emotion_of; /* per label; MIEN_EMOTION_COUNT = none of the seven */
    bool probabilities;       /* the network ends in a softmax */
};

struct classifier_session {
    const classifier *classifier;
    nn_session *session;
    float *scores; /* [label_count] */
};

/* FER-2013's order, for a model that brings seven classes and no names. */
static mien_status classifier_match_labels(classifier *c, size_t outputs, mien_error *error)
{
    if (c->info.label_count && c->info.label_count != outputs)
        return error_set(error, MIEN_EINVAL, "the model has %zu labels but %zu outputs", c->info.label_count, outputs);
    if (!c->info.label_count && outputs != MIEN_EMOTION_COUNT)
        return error_set(error, MIEN_EINVAL, "the model names no labels and has %zu outputs instead of %d", outputs,
                         MIEN_EMOTION_COUNT);
    c->emotion_of = memory_array(outputs, sizeof *c->emotion_of);
    if (!c->emotion_of)
        return error_no_memory(error, outputs * sizeof *c->emotion_of);
    size_t known = 0;
    for (size_t i = 0; i < outputs; i++) {
        const char *label = c->info.label_count ? c->info.labels[i] : mien_emotion_name((mien_emotion)i);
        c->emotion_of[i] = emotion_from_label(label, strlen(label));
        known += c->emotion_of[i] != MIEN_EMOTION_COUNT;
    }
    if (known < 2)
        return error_set(error, MIEN_EINVAL, "not an emotion model: %zu of its %zu labels are emotions", known,
                         outputs);
    c->label_count = outputs;
    return MIEN_OK;
}

static mien_status classifier_check_shape(const nn_plan *plan, const model_input *input, mien_error *error)
{
    if (nn_plan_input_count(plan) != 1 || nn_plan_output_count(plan) < 1)
        return error_set(error, MIEN_EINVAL, "an emotion model has one input and an output, not %zu and %zu",
                         nn_plan_input_count(plan), nn_plan_output_count(plan));
    nn_shape in = nn_plan_input_shape(plan, 0), out = nn_plan_output_shape(plan, 0);
    if (in.rank != 4 || in.dim[1] != input->channels || in.dim[2] != input->height || in.dim[3] != input->width)
        return error_set(error, MIEN_EINVAL, "the network's input is not %d × %d × %d as the model says",
                         input->channels, input->height, input->width);
    size_t outputs = 1;
    for (int i = 1; i < out.rank; i++)
        if (!memory_multiply(outputs, (size_t)out.dim[i], &outputs) || outputs > MODEL_MAX_LABELS)
            return error_set(error, MIEN_EINVAL, "not an emotion model: it answers with more than %d numbers",
                             MODEL_MAX_LABELS);
    return MIEN_OK;
}

mien_status classifier_create(model *m, nn_precision precision, classifier **out, mien_error *error)
{
    classifier *c = memory_zeroed(1, sizeof *c);
    if (!c)
        return error_no_memory(error, sizeof *c);
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.precision = precision;
    options.width = m->info.input.width;
    options.height = m->info.input.height;

    mien_status status = model_info_copy(&m->info, &c->info, error);
    if (status)
        goto out;
    if (m->info.task == MODEL_TASK_FACE_DETECTOR) {
        status = error_set(error, MIEN_EINVAL, "this model finds faces; an emotion model is wanted");
        goto out;
    }
    status = model_plan_create(m, &options, &c->plan, error);
    if (status)
        goto out;
    status = classifier_check_shape(c->plan, &c->info.input, error);
    if (status)
        goto out;
    nn_shape shape = nn_plan_output_shape(c->plan, 0);
    size_t outputs = 1;
    for (int i = 1; i < shape.rank; i++)
        outputs *= (size_t)shape.dim[i];
    c->probabilities = model_output_is_probability(m, 0);
    status = classifier_match_labels(c, outputs, error);
out:
    if (status) {
        classifier_destroy(&c);
        return status;
    }
    model_done(m);
    *m = (model){0};
    *out = c;
    return MIEN_OK;
}

void classifier_destroy(classifier **c)
{
    if (!c || !*c)
        return;
    nn_plan_destroy(&(*c)->plan);
    model_info_done(&(*c)->info);
    memory_free((*c)->emotion_of);
    memory_free(*c);
    *c = NULL;
}

const model_info *classifier_info(const classifier *c)
{
    return &c->info;
}

mien_status classifier_session_create(const classifier *c, nn_workspace *workspace, classifier_session **out,
                                      mien_error *error)
{
    classifier_session *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return error_no_memory(error, sizeof *s);
    s->classifier = c;
    mien_status status = nn_session_create_in(c->plan, workspace, &s->session, error);
    if (!status) {
        s->scores = memory_array(c->label_count, sizeof *s->scores);
        if (!s->scores)
            status = error_no_memory(error, c->label_count * sizeof *s->scores);
    }
    if (status) {
        classifier_session_destroy(&s);
        return status;
    }
    *out = s;
    return MIEN_OK;
}

void classifier_session_destroy(classifier_session **session)
{
    if (!session || !*session)
        return;
    nn_session_destroy(&(*session)->session);
    memory_free((*session)->scores);
    memory_free(*session);
    *session = NULL;
}

/* Softmax of scores / temperature. Probabilities become scores again by a logarithm, so that temperature means the same
 * for a network with and without a softmax at its end. */
static void classifier_calibrate(const classifier *c, const float *output, float *scores)
{
    float temperature = c->info.temperature > 0 ? c->info.temperature : 1;
    float most = -INFINITY, sum = 0;
    for (size_t i = 0; i < c->label_count; i++) {
        float logit = c->probabilities ? logf(fmaxf(output[i], 1e-12f)) : output[i];
        scores[i] = (isfinite(logit) ? logit : 0) / temperature;
        most = fmaxf(most, scores[i]);
    }
    for (size_t i = 0; i < c->label_count; i++)
        sum += scores[i] = expf(scores[i] - most);
    for (size_t i = 0; i < c->label_count; i++)
        scores[i] /= sum;
}

static void classifier_answer_from(const classifier *c, const float *scores, classifier_answer *answer)
{
    float sum = 0;
    memset(answer->probabilities, 0, sizeof answer->probabilities);
    for (size_t i = 0; i < c->label_count; i++) {
        if (c->emotion_of[i] == MIEN_EMOTION_COUNT)
            continue;
        answer->probabilities[c->emotion_of[i]] += scores[i];
        sum += scores[i];
    }
    int best = 0;
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++) {
        /* A foreign model may put everything on classes that are none of the seven: then nothing is known. */
        answer->probabilities[i] = sum > 0 ? answer->probabilities[i] / sum : 1.0f / MIEN_EMOTION_COUNT;
        if (answer->probabilities[i] > answer->probabilities[best])
            best = i;
    }
    answer->emotion = (mien_emotion)best;
    answer->confidence = answer->probabilities[best];
    answer->uncertain = answer->confidence < c->info.uncertain_below;
}

mien_status classifier_run(classifier_session *session, const mien_image_view *picture, float shrunk,
                           const classifier_box *box, bool exact, classifier_answer *answer, mien_error *error)
{
    const classifier *c = session->classifier;
    const model_input *input = &c->info.input;
    classifier_box wanted = exact ? *box : classifier_crop_box(&c->info.crop, box);
    float quality = 0, *numbers = nn_session_input(session->session, 0);
    if (!numbers)
        return error_no_memory(error, 0);
    mien_status status = crop_to_input(picture, &wanted, shrunk, input, numbers, &quality, error);
    if (!status)
        status = nn_session_run(session->session, error);
    if (status)
        return status;
    classifier_calibrate(c, nn_session_output(session->session, 0), session->scores);
    classifier_answer_from(c, session->scores, answer);
    answer->quality = quality;
    return MIEN_OK;
}

classifier_box classifier_crop_box(const model_crop *crop, const classifier_box *box)
{
    float longer = fmaxf(box->width, box->height);
    float width = (crop->square ? longer : box->width) * crop->scale;
    float height = (crop->square ? longer : box->height) * crop->scale;
    float centre_x = box->x + box->width / 2 + crop->shift_x * width;
    float centre_y = box->y + box->height / 2 + crop->shift_y * height;
    return (classifier_box){centre_x - width / 2, centre_y - height / 2, width, height};
}
