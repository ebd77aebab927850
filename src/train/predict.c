/* Stored pictures through the inference engine, one picture a call: that is how the product runs it, and it is the
 * fastest way for nets of this size. */
#include "train/predict.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "emotion/emotion.h"
#include "model/ranges.h"
#include "train/augment.h"
#include "train/loss.h"

enum { PREDICT_MOST_OUTPUTS = 64, PREDICT_VIEWS = 10, PREDICT_CALIBRATION = 256 };
static const float predict_ten_share = 0.9f; /* where the network sees whole pictures */

struct predictor {
    nn_plan *plan;
    nn_session **sessions; /* one per worker */
    size_t workers;
    augment_target target;                                            /* of the first channel, where they differ */
    float scale[AUGMENT_MOST_CHANNELS], shift[AUGMENT_MOST_CHANNELS]; /* of each channel */
    int output, outputs;                                              /* which output, and how many numbers it has */
    int classes[PREDICT_MOST_OUTPUTS];                                /* ours for each of the model's, or -1 */
    bool probability;
    float temperature;
    float stored_crop; /* share of a stored picture's side that the network was trained to see */
};

typedef struct predict_job {
    predictor *p;
    const dataset *data;
    const size_t *rows;
    predict_views views;
    float *out;
    mien_error *errors; /* one per worker */
} predict_job;

mien_status predict_views_from_name(const char *name, predict_views *views, mien_error *error)
{
    static const char *const names[] = {"none", "flip", "ten"};
    for (int i = 0; i < 3; i++)
        if (!strcmp(name, names[i])) {
            *views = (predict_views)i;
            return MIEN_OK;
        }
    return error_set(error, MIEN_EINVAL, "'%s' is not one of none, flip, ten", name);
}

static mien_status predictor_match_labels(predictor *p, const model_info *info, mien_error *error)
{
    int known = 0;
    if (p->outputs > PREDICT_MOST_OUTPUTS)
        return error_set(error, MIEN_EUNSUPPORTED, "%d outputs are more than %d", p->outputs, PREDICT_MOST_OUTPUTS);
    if (!info->label_count && p->outputs != DATASET_CLASSES)
        return error_set(error, MIEN_EUNSUPPORTED, "the model has %d outputs and no labels for them", p->outputs);
    if (info->label_count && info->label_count != (size_t)p->outputs)
        return error_set(error, MIEN_EUNSUPPORTED, "the model has %d outputs, but %zu labels", p->outputs,
                         info->label_count);
    for (int i = 0; i < p->outputs; i++) {
        mien_emotion found = (mien_emotion)i;
        if (info->label_count)
            found = emotion_from_label(info->labels[i], strlen(info->labels[i]));
        p->classes[i] = found < MIEN_EMOTION_COUNT ? (int)found : -1;
        known += p->classes[i] >= 0;
    }
    return known ? MIEN_OK : error_set(error, MIEN_EUNSUPPORTED, "none of the model's labels is one of our seven");
}

bool predict_gives_classes(const model *m, int output)
{
    if (output >= m->graph.output_count)
        return false;
    const nn_shape *shape = &m->graph.nodes[m->graph.outputs[output]].shape;
    return shape->rank == 2 && shape->dim[1] == DATASET_CLASSES;
}

bool predict_has_votes_output(const model *m)
{
    return predict_gives_classes(m, 1) && !model_output_is_probability(m, 1);
}

static mien_status predictor_read_input(predictor *p, const model *m, mien_error *error)
{
    const model_input *input = &m->info.input;
    int height = input->height ? input->height : 48, width = input->width ? input->width : 48;
    if (input->channels < 1 || input->channels > AUGMENT_MOST_CHANNELS || height > AUGMENT_MOST_SIDE ||
        width > AUGMENT_MOST_SIDE)
        return error_set(error, MIEN_EUNSUPPORTED, "it takes %d x %d x %d, no crops of faces", width, height,
                         input->channels);
    p->target = (augment_target){.channels = input->channels,
                                 .height = height,
                                 .width = width,
                                 .scale = input->scale / input->std[0],
                                 .shift = -input->mean[0] / input->std[0]};
    for (int c = 0; c < input->channels; c++) {
        p->scale[c] = input->scale / input->std[c];
        p->shift[c] = -input->mean[c] / input->std[c];
    }
    const char *crop = model_info_property(&m->info, "stored_crop");
    p->stored_crop = crop ? strtof(crop, NULL) : 1;
    if (!(p->stored_crop > 0.1f && p->stored_crop <= 1))
        return error_set(error, MIEN_EFORMAT, "stored_crop: '%.40s' is not within 0.1..1", crop);
    return MIEN_OK;
}

/* The pictures are grey, so all channels hold the first one's values; the others may want them at a scale of their own.
 */
static void predictor_scale_channels(const predictor *p, float *input)
{
    size_t area = (size_t)p->target.height * (size_t)p->target.width;
    for (int c = 1; c < p->target.channels; c++) {
        float scale = p->scale[c] / p->scale[0], shift = p->shift[c] - p->shift[0] * scale;
        for (size_t i = 0; i < area && (scale != 1 || shift != 0); i++)
            input[(size_t)c * area + i] = input[(size_t)c * area + i] * scale + shift;
    }
}

/* Representative inputs for the ranges of eight-bit activations. */
static mien_status predictor_gather(const predictor *p, const predictor_options *options, float **inputs, int *count,
                                    mien_error *error)
{
    const augment_target *target = &p->target;
    const dataset *data = options->calibration;
    size_t size = (size_t)target->channels * (size_t)target->height * (size_t)target->width;
    size_t most = options->calibration_count < PREDICT_CALIBRATION ? options->calibration_count : PREDICT_CALIBRATION;
    if (!data || !most)
        return error_set(error, MIEN_EINVAL,
                         "int8: the model keeps no ranges, and there are no pictures to find them with");
    float *filled = memory_array(most * size, sizeof(float));
    if (!filled)
        return error_no_memory(error, most * size * sizeof(float));
    for (size_t i = 0; i < most; i++) {
        size_t row = options->calibration_rows[i * options->calibration_count / most];
        augment_plain(target, 0, false, data->pixels + row * data->height * data->width, (int)data->height,
                      (int)data->width, filled + i * size);
        predictor_scale_channels(p, filled + i * size);
    }
    *inputs = filled;
    *count = (int)most;
    return MIEN_OK;
}

static mien_status predictor_compile(predictor *p, const model *m, const predictor_options *options, mien_error *error)
{
    nn_plan_options plan;
    float *inputs = NULL;
    mien_status status = MIEN_OK;
    nn_plan_default_options(&plan);
    plan.height = p->target.height;
    plan.width = p->target.width;
    plan.precision = options->precision;
    if (options->precision == NN_INT8 && !model_info_property(&m->info, "int8.ranges"))
        status = predictor_gather(p, options, &inputs, &plan.calibration_count, error);
    plan.calibration = inputs;
    if (!status)
        status = model_plan_create(m, &plan, &p->plan, error);
    memory_free(inputs);
    return status;
}

mien_status predictor_keep_ranges(model *m, const predictor_options *options, mien_error *error)
{
    predictor p = {0};
    float *inputs = NULL;
    nn_plan_options plan;
    nn_plan_default_options(&plan);
    mien_status status = predictor_read_input(&p, m, error);
    if (!status)
        status = predictor_gather(&p, options, &inputs, &plan.calibration_count, error);
    plan.calibration = inputs;
    plan.height = p.target.height;
    plan.width = p.target.width;
    if (!status)
        status = model_calibrate(m, &plan, error);
    memory_free(inputs);
    return status;
}

static mien_status predictor_prepare(predictor *p, const model *m, const predictor_options *options, mien_error *error)
{
    mien_status status = predictor_read_input(p, m, error);
    if (!status)
        status = predictor_compile(p, m, options, error);
    if (status)
        return status;
    if (options->output < 0 || (size_t)options->output >= nn_plan_output_count(p->plan))
        return error_set(error, MIEN_EINVAL, "the model has no output %d", options->output);
    nn_shape input = nn_plan_input_shape(p->plan, 0), output = nn_plan_output_shape(p->plan, (size_t)options->output);
    int64_t expected = (int64_t)p->target.channels * p->target.height * p->target.width, got = 1, outputs = 1;
    for (int i = 0; i < input.rank; i++)
        got *= input.dim[i];
    for (int i = 0; i < output.rank; i++)
        outputs *= output.dim[i];
    if (nn_plan_input_count(p->plan) != 1 || got != expected || outputs > PREDICT_MOST_OUTPUTS)
        return error_set(error, MIEN_EUNSUPPORTED, "the network does not take one picture and give a few numbers");
    p->output = options->output;
    p->outputs = (int)outputs;
    p->probability = model_output_is_probability(m, options->output);
    p->temperature = m->info.temperature > 0 ? m->info.temperature : 1;
    status = predictor_match_labels(p, &m->info, error);
    for (size_t w = 0; !status && w < p->workers; w++)
        status = nn_session_create(p->plan, &p->sessions[w], error);
    return status;
}

mien_status predictor_create(const model *m, const predictor_options *options, predictor **out, mien_error *error)
{
    predictor *p = memory_zeroed(1, sizeof(*p));
    if (!p)
        return error_no_memory(error, sizeof(*p));
    p->workers = options->workers;
    p->sessions = memory_zeroed(p->workers, sizeof(*p->sessions));
    mien_status status = p->sessions ? MIEN_OK : error_no_memory(error, p->workers * sizeof(*p->sessions));
    if (!status)
        status = predictor_prepare(p, m, options, error);
    if (status)
        predictor_destroy(&p);
    else
        *out = p;
    return status;
}

void predictor_destroy(predictor **p)
{
    if (!p || !*p)
        return;
    for (size_t w = 0; (*p)->sessions && w < (*p)->workers; w++)
        nn_session_destroy(&(*p)->sessions[w]);
    memory_free((*p)->sessions);
    nn_plan_destroy(&(*p)->plan);
    memory_free(*p);
    *p = NULL;
}

void predictor_set_temperature(predictor *p, float temperature)
{
    p->temperature = temperature;
}

/* Fills the input with one view of a picture. */
static void predict_view(const predict_job *job, size_t row, int view, float *input)
{
    const dataset *data = job->data;
    const uint8_t *pixels = data->pixels + row * data->height * data->width;
    int height = (int)data->height, width = (int)data->width;
    float share = job->views == PREDICT_TEN && job->p->stored_crop >= 1 ? predict_ten_share : job->p->stored_crop;
    float h = share * (float)height, w = share * (float)width;
    if (job->views != PREDICT_TEN) {
        augment_crop(&job->p->target, 0.5f * ((float)height - h), 0.5f * ((float)width - w), h, w, view, pixels, height,
                     width, input);
        return;
    }
    int place = view / 2; /* corners row by row, then the centre */
    float top = place == 4 ? 0.5f * ((float)height - h) : (float)(place / 2) * ((float)height - h);
    float left = place == 4 ? 0.5f * ((float)width - w) : (float)(place % 2) * ((float)width - w);
    augment_crop(&job->p->target, top, left, h, w, view % 2, pixels, height, width, input);
}

static void predict_add_answer(const predictor *p, const float *answer, float *sum)
{
    float logits[PREDICT_MOST_OUTPUTS], probabilities[PREDICT_MOST_OUTPUTS];
    for (int i = 0; i < p->outputs; i++)
        logits[i] = p->probability ? logf(fmaxf(answer[i], 1e-9f)) : answer[i];
    loss_softmax(logits, p->outputs, p->temperature, probabilities);
    for (int i = 0; i < p->outputs; i++)
        if (p->classes[i] >= 0)
            sum[p->classes[i]] += probabilities[i];
}

static void predict_task(void *context, size_t index, size_t worker)
{
    static const int views_of[] = {1, 2, PREDICT_VIEWS};
    const predict_job *job = context;
    predictor *p = job->p;
    nn_session *session = p->sessions[worker];
    float *out = job->out + index * DATASET_CLASSES, total = 0;
    memset(out, 0, DATASET_CLASSES * sizeof(float));
    for (int view = 0; view < views_of[job->views]; view++) {
        predict_view(job, job->rows[index], view, nn_session_input(session, 0));
        predictor_scale_channels(p, nn_session_input(session, 0));
        if (job->errors[worker].code || nn_session_run(session, &job->errors[worker]))
            return;
        predict_add_answer(p, nn_session_output(session, (size_t)p->output), out);
    }
    for (int c = 0; c < DATASET_CLASSES; c++)
        total += out[c];
    for (int c = 0; c < DATASET_CLASSES; c++)
        out[c] = total > 0 ? out[c] / total : 0;
}

mien_status predictor_run(predictor *p, thread_pool *pool, const dataset *data, const size_t *rows, size_t count,
                          predict_views views, float *out, mien_error *error)
{
    mien_error *errors = memory_zeroed(p->workers, sizeof(*errors));
    if (!errors)
        return error_no_memory(error, p->workers * sizeof(*errors));
    predict_job job = {p, data, rows, views, out, errors};
    mien_status status = MIEN_OK;
    if (thread_pool_threads(pool) > p->workers || data->height > AUGMENT_MOST_SIDE || data->width > AUGMENT_MOST_SIDE)
        status = error_set(error, MIEN_EINVAL, "too many threads, or pictures that are too large");
    else
        thread_pool_run(pool, count, predict_task, &job);
    for (size_t w = 0; !status && w < p->workers; w++)
        if (errors[w].code)
            status = error_set(error, errors[w].code, "%s", errors[w].message);
    memory_free(errors);
    return status;
}
