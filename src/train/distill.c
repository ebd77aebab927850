/* Knowledge distillation (Hinton et al. 2015), the teachers run by the inference engine on the student's augmented
 * pictures: their values are brought from the student's scale to each teacher's own. */
#include "train/distill.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "model/model.h"
#include "nn/plan.h"
#include "train/dataset.h"
#include "train/loss.h"

enum { DISTILL_MOST = 16 };

typedef struct distill_teacher {
    nn_plan *plan;
    nn_session **sessions; /* one per worker */
    float scale, shift;    /* teacher's value = student's value · scale + shift */
    bool probability;
} distill_teacher;

struct distill {
    distill_teacher teachers[DISTILL_MOST];
    int count, batch;
    size_t workers, input_count;
    float temperature;
    nn_precision precision;
};

static mien_status distill_check(const model *m, const char *path, const augment_target *target, mien_error *error)
{
    const model_input *input = &m->info.input;
    int at = nn_graph_input(&m->graph);
    if (at < 0 || input->channels != target->channels || (input->height && input->height != target->height) ||
        (input->width && input->width != target->width))
        return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher must take %d x %d x %d as the student does", path,
                         target->width, target->height, target->channels);
    const nn_shape *shape = &m->graph.nodes[m->graph.outputs[0]].shape;
    if (shape->rank != 2 || shape->dim[1] != DATASET_CLASSES)
        return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher must give %d classes", path, DATASET_CLASSES);
    return MIEN_OK;
}

static mien_status distill_compile(distill *d, distill_teacher *teacher, const model *m, const augment_target *target,
                                   mien_error *error)
{
    const model_input *input = &m->info.input;
    float scale = input->scale / input->std[0], shift = -input->mean[0] / input->std[0];
    teacher->scale = scale / target->scale;
    teacher->shift = shift - target->shift * teacher->scale;
    teacher->probability = model_output_is_probability(m, 0);
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.batch = d->batch;
    options.precision = d->precision;
    options.height = target->height;
    options.width = target->width;
    mien_status status = nn_plan_create(&m->graph, &options, &teacher->plan, error);
    teacher->sessions = status ? NULL : memory_zeroed(d->workers, sizeof(*teacher->sessions));
    if (!status && !teacher->sessions)
        status = error_no_memory(error, d->workers * sizeof(*teacher->sessions));
    for (size_t w = 0; !status && w < d->workers; w++)
        status = nn_session_create(teacher->plan, &teacher->sessions[w], error);
    return status;
}

static mien_status distill_add(distill *d, const char *path, const augment_target *target, mien_error *error)
{
    if (d->count == DISTILL_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d teachers", DISTILL_MOST);
    model m = {0};
    mien_status status = model_load(path, NULL, &m, error);
    if (status)
        return status;
    status = distill_check(&m, path, target, error);
    if (!status)
        status = distill_compile(d, &d->teachers[d->count++], &m, target, error);
    model_done(&m);
    return status;
}

mien_status distill_create(const char *paths, const augment_target *target, int batch, size_t workers,
                           float temperature, nn_precision precision, distill **out, mien_error *error)
{
    distill *d = memory_zeroed(1, sizeof(*d));
    char *list = memory_text(paths), *rest = NULL;
    mien_status status = d && list ? MIEN_OK : error_no_memory(error, sizeof(*d) + strlen(paths));
    if (d) {
        d->batch = batch;
        d->workers = workers;
        d->temperature = temperature;
        d->precision = precision;
        d->input_count = (size_t)batch * (size_t)target->channels * (size_t)target->height * (size_t)target->width;
    }
    for (char *path = status ? NULL : strtok_r(list, ",", &rest); path && !status; path = strtok_r(NULL, ",", &rest))
        status = distill_add(d, path + strspn(path, " "), target, error);
    memory_free(list);
    if (status)
        distill_destroy(&d);
    else
        *out = d;
    return status;
}

void distill_destroy(distill **d)
{
    if (!d || !*d)
        return;
    for (int i = 0; i < (*d)->count; i++) {
        distill_teacher *teacher = &(*d)->teachers[i];
        for (size_t w = 0; teacher->sessions && w < (*d)->workers; w++)
            nn_session_destroy(&teacher->sessions[w]);
        memory_free(teacher->sessions);
        nn_plan_destroy(&teacher->plan);
    }
    memory_free(*d);
    *d = NULL;
}

static mien_status distill_add_teacher(const distill *d, const distill_teacher *teacher, size_t worker,
                                       const float *input, float *out, mien_error *error)
{
    nn_session *session = teacher->sessions[worker];
    float *values = nn_session_input(session, 0);
    for (size_t i = 0; i < d->input_count; i++)
        values[i] = input[i] * teacher->scale + teacher->shift;
    mien_status status = nn_session_run(session, error);
    if (status)
        return status;
    const float *result = nn_session_output(session, 0);
    for (int i = 0; i < d->batch; i++) {
        float logits[DATASET_CLASSES], p[DATASET_CLASSES];
        for (int c = 0; c < DATASET_CLASSES; c++) {
            float value = result[i * DATASET_CLASSES + c];
            logits[c] = teacher->probability ? logf(fmaxf(value, 1e-7f)) : value;
        }
        loss_softmax(logits, DATASET_CLASSES, d->temperature, p);
        for (int c = 0; c < DATASET_CLASSES; c++)
            out[i * DATASET_CLASSES + c] += p[c] / (float)d->count;
    }
    return MIEN_OK;
}

mien_status distill_predict(distill *d, size_t worker, const float *input, float *out, mien_error *error)
{
    memset(out, 0, (size_t)d->batch * DATASET_CLASSES * sizeof(float));
    for (int i = 0; i < d->count; i++) {
        mien_status status = distill_add_teacher(d, &d->teachers[i], worker, input, out, error);
        if (status)
            return status;
    }
    return MIEN_OK;
}
