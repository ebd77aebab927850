/* Knowledge distillation (Hinton et al. 2015), the teachers run by the inference engine on the student's augmented
 * pictures: their values are brought from the student's scale to each teacher's own. */
#include "train/distill.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "emotion/emotion.h"
#include "model/ranges.h"
#include "nn/plan.h"
#include "train/dataset.h"
#include "train/loss.h"
#include "train/predict.h"

enum { DISTILL_MOST = 16 };

typedef struct distill_teacher {
    nn_plan *plan;
    nn_session **sessions;        /* one per worker */
    int classes[DATASET_CLASSES]; /* ours for each of its answers */
    float scale, shift;           /* teacher's value = student's value · scale + shift */
    bool probability;
    bool votes; /* has a second output of as many classes */
} distill_teacher;

struct distill {
    distill_teacher teachers[DISTILL_MOST];
    int count, votes; /* teachers; those with a second output */
    augment_target target;
    distill_options options; /* of which the borrowed pointers are not used after creation */
};

static mien_status distill_check(const model *m, const char *path, const augment_target *target, mien_error *error)
{
    const model_input *input = &m->info.input;
    int at = nn_graph_input(&m->graph);
    if (at < 0 || input->channels != target->channels || (input->height && input->height != target->height) ||
        (input->width && input->width != target->width))
        return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher must take %d x %d x %d as the student does", path,
                         target->width, target->height, target->channels);
    for (int c = 1; c < input->channels; c++)
        if (input->mean[c] != input->mean[0] || input->std[c] != input->std[0])
            return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher's channels must be scaled alike", path);
    if (!predict_gives_classes(m, 0))
        return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher must give %d classes", path, DATASET_CLASSES);
    return MIEN_OK;
}

/* A teacher may count our classes in another order: its labels say which. */
static mien_status distill_order_classes(distill_teacher *teacher, const model *m, const char *path, mien_error *error)
{
    unsigned seen = 0;
    for (int i = 0; i < DATASET_CLASSES; i++) {
        const char *label = m->info.label_count ? m->info.labels[i] : mien_emotion_name((mien_emotion)i);
        mien_emotion class = emotion_from_label(label, strlen(label));
        if (class >= MIEN_EMOTION_COUNT || seen & 1u << class)
            return error_set(error, MIEN_EUNSUPPORTED, "%s: a teacher's labels must be our seven; '%.40s' is not", path,
                             label);
        seen |= 1u << class;
        teacher->classes[i] = (int)class;
    }
    return MIEN_OK;
}

static mien_status distill_compile(distill *d, distill_teacher *teacher, const model *m, mien_error *error)
{
    const model_input *input = &m->info.input;
    const augment_target *target = &d->target;
    float scale = input->scale / input->std[0], shift = -input->mean[0] / input->std[0];
    teacher->scale = scale / target->scale;
    teacher->shift = shift - target->shift * teacher->scale;
    teacher->probability = model_output_is_probability(m, 0);
    teacher->votes = predict_has_votes_output(m);
    d->votes += teacher->votes;
    size_t workers = d->options.workers;
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.batch = d->options.batch;
    options.precision = d->options.precision;
    options.height = target->height;
    options.width = target->width;
    mien_status status = model_plan_create(m, &options, &teacher->plan, error);
    teacher->sessions = status ? NULL : memory_zeroed(workers, sizeof(*teacher->sessions));
    if (!status && !teacher->sessions)
        status = error_no_memory(error, workers * sizeof(*teacher->sessions));
    for (size_t w = 0; !status && w < workers; w++)
        status = nn_session_create(teacher->plan, &teacher->sessions[w], error);
    return status;
}

static mien_status distill_add(distill *d, const char *path, mien_error *error)
{
    if (d->count == DISTILL_MOST)
        return error_set(error, MIEN_ELIMIT, "more than %d teachers", DISTILL_MOST);
    model m = {0};
    const distill_options *o = &d->options;
    mien_status status = o->load ? o->load(path, &m, error) : model_load(path, NULL, &m, error);
    if (status)
        return status;
    status = distill_check(&m, path, &d->target, error);
    if (!status && m.info.label_count && m.info.label_count != DATASET_CLASSES)
        status = error_set(error, MIEN_EUNSUPPORTED, "%s: %zu labels for %d classes", path, m.info.label_count,
                           DATASET_CLASSES);
    distill_teacher *teacher = &d->teachers[d->count];
    if (!status)
        status = distill_order_classes(teacher, &m, path, error);
    d->count += !status;
    if (!status)
        status = distill_compile(d, teacher, &m, error);
    model_done(&m);
    return status;
}

mien_status distill_create(const distill_options *options, distill **out, mien_error *error)
{
    distill *d = memory_zeroed(1, sizeof(*d));
    char *list = memory_text(options->paths), *rest = NULL;
    mien_status status = d && list ? MIEN_OK : error_no_memory(error, sizeof(*d) + strlen(options->paths));
    if (d) {
        d->target = *options->target;
        d->options = *options;
    }
    for (char *path = status ? NULL : strtok_r(list, ",", &rest); path && !status; path = strtok_r(NULL, ",", &rest))
        status = distill_add(d, path + strspn(path, " "), error);
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
        for (size_t w = 0; teacher->sessions && w < (*d)->options.workers; w++)
            nn_session_destroy(&teacher->sessions[w]);
        memory_free(teacher->sessions);
        nn_plan_destroy(&teacher->plan);
    }
    memory_free(*d);
    *d = NULL;
}

bool distill_knows_votes(const distill *d)
{
    return d->votes > 0;
}

/* The pictures in the teacher's scale, each row backwards where the mirror image is asked about. */
static void distill_fill(const distill *d, const distill_teacher *teacher, bool mirror, const float *input,
                         float *values)
{
    size_t width = (size_t)d->target.width;
    size_t rows = (size_t)d->options.batch * (size_t)d->target.channels * (size_t)d->target.height;
    for (size_t row = 0; row < rows; row++)
        for (size_t x = 0; x < width; x++)
            values[row * width + x] =
                input[row * width + (mirror ? width - 1 - x : x)] * teacher->scale + teacher->shift;
}

static void distill_add_output(const distill *d, const distill_teacher *teacher, const float *result, bool probability,
                               float weight, float *out)
{
    for (int i = 0; i < d->options.batch; i++) {
        float logits[DATASET_CLASSES], p[DATASET_CLASSES];
        for (int c = 0; c < DATASET_CLASSES; c++) {
            float value = result[i * DATASET_CLASSES + c];
            logits[c] = probability ? logf(fmaxf(value, 1e-7f)) : value;
        }
        loss_softmax(logits, DATASET_CLASSES, d->options.temperature, p);
        for (int c = 0; c < DATASET_CLASSES; c++)
            out[i * DATASET_CLASSES + teacher->classes[c]] += weight * p[c];
    }
}

mien_status distill_predict(distill *d, size_t worker, const float *input, float *labels, float *votes,
                            mien_error *error)
{
    size_t bytes = (size_t)d->options.batch * DATASET_CLASSES * sizeof(float);
    int looks = d->options.mirror ? 2 : 1;
    memset(labels, 0, bytes);
    if (votes)
        memset(votes, 0, bytes);
    for (int i = 0; i < d->count * looks; i++) {
        const distill_teacher *teacher = &d->teachers[i / looks];
        nn_session *session = teacher->sessions[worker];
        distill_fill(d, teacher, i % looks, input, nn_session_input(session, 0));
        mien_status status = nn_session_run(session, error);
        if (status)
            return status;
        distill_add_output(d, teacher, nn_session_output(session, 0), teacher->probability,
                           1 / (float)(looks * d->count), labels);
        if (votes && teacher->votes)
            distill_add_output(d, teacher, nn_session_output(session, 1), false, 1 / (float)(looks * d->votes), votes);
    }
    return MIEN_OK;
}
