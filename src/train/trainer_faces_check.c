/* Validation of a detector: the averaged weights as a plan, each picture that was held out seen whole, boxes decoded
 * and suppressed just as src/detect does. Every process of a group does all of it; pictures are few. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "detect/network_decode.h"
#include "nn/plan.h"
#include "prep/prep.h"
#include "train/trainer_faces.h"

static const float CHECK_LEAST_SCORE = 0.02f, CHECK_OVERLAP = 0.4f;

typedef struct check_answers {
    face_answer *data;
    size_t count;
} check_answers;

typedef struct check_job {
    trainer *t;
    nn_plan *plan;
    nn_session **sessions;  /* one per worker */
    check_answers *answers; /* one per picture */
} check_job;

/* The whole picture at the upper left of the input, the rest 0; *scale = input pixels per picture pixel. */
static mien_status check_show(const mien_image *picture, float *planes, double *scale, mien_error *error)
{
    size_t longest = picture->width > picture->height ? picture->width : picture->height,
           area = TRAINER_CHECK_SIDE * TRAINER_CHECK_SIDE;
    mien_image small = {0};
    mien_image_view view = mien_image_as_view(picture);
    *scale = longest > TRAINER_CHECK_SIDE ? TRAINER_CHECK_SIDE / (double)longest : 1;
    size_t width = (size_t)fmax(rint((double)picture->width * *scale), 1);
    size_t height = (size_t)fmax(rint((double)picture->height * *scale), 1);
    mien_status status = mien_image_init(&small, width, height, picture->format, error);
    if (!status)
        status = prep_resize_linear(&view, &small, error);
    if (!status)
        memset(planes, 0, 3 * area * sizeof(float));
    for (size_t y = 0; !status && y < height; y++)
        for (size_t x = 0; x < width; x++)
            for (size_t c = 0; c < 3; c++)
                planes[c * area + y * TRAINER_CHECK_SIDE + x] =
                    ((float)small.data[y * small.stride + 3 * x + c] - 127.5f) / 127.5f;
    mien_image_done(&small);
    return status;
}

static mien_status check_decode(const check_job *job, const nn_session *session, double scale, check_answers *answers,
                                mien_error *error)
{
    network_output outputs[FACE_GRIDS];
    network_boxes boxes = {0};
    for (size_t o = 0; o < FACE_GRIDS; o++)
        outputs[o] = (network_output){nn_session_output(session, o), nn_plan_output_shape(job->plan, o), false};
    mien_status status = network_decode(NETWORK_MIEN, outputs, FACE_GRIDS, TRAINER_CHECK_SIDE, TRAINER_CHECK_SIDE,
                                        CHECK_LEAST_SCORE, &boxes, error);
    if (!status) {
        network_suppress(&boxes, CHECK_OVERLAP);
        answers->data = memory_array(boxes.count + 1, sizeof(*answers->data));
        if (!answers->data)
            status = error_no_memory(error, boxes.count * sizeof(*answers->data));
    }
    for (size_t i = 0; !status && i < boxes.count; i++) {
        const network_box *b = &boxes.data[i];
        float back = (float)(1 / scale);
        answers->data[answers->count++] = (face_answer){
            {b->left * back, b->top * back, (b->right - b->left) * back, (b->bottom - b->top) * back}, b->score};
    }
    network_boxes_done(&boxes);
    return status;
}

static void check_task(void *context, size_t index, size_t worker)
{
    check_job *job = context;
    trainer *t = job->t;
    const trainer_seeker *seeker = t->own;
    trainer_slot *slot = &t->slot[worker];
    nn_session *session = job->sessions[worker];
    double scale = 1;
    if (slot->status)
        return;
    const face_dataset_picture *picture = &seeker->data->pictures[seeker->checked[index]];
    slot->status = check_show(&picture->levels[0], nn_session_input(session, 0), &scale, &slot->error);
    if (!slot->status)
        slot->status = nn_session_run(session, &slot->error);
    if (!slot->status)
        slot->status = check_decode(job, session, scale, &job->answers[index], &slot->error);
}

static mien_status check_equip(check_job *job, mien_error *error)
{
    trainer *t = job->t;
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.width = options.height = TRAINER_CHECK_SIDE;
    model averaged = {0};
    mien_status status = model_copy(&t->network, &averaged, error);
    if (status)
        return status;
    nn_parameters_to_graph(optimizer_average(t->opt), &averaged.graph);
    status = nn_plan_create(&averaged.graph, &options, &job->plan, error);
    model_done(&averaged);
    for (size_t w = 0; !status && w < (size_t)t->config.threads; w++)
        status = nn_session_create(job->plan, &job->sessions[w], error);
    return status;
}

static mien_status check_judge_picture(const trainer *t, size_t index, const check_answers *answers,
                                       face_metrics *metrics, mien_error *error)
{
    const trainer_seeker *seeker = t->own;
    const face_dataset_picture *picture = &seeker->data->pictures[seeker->checked[index]];
    face_truth *truths = memory_array(picture->count + 1, sizeof(*truths));
    if (!truths)
        return error_no_memory(error, picture->count * sizeof(*truths));
    for (size_t i = 0; i < picture->count; i++) {
        const face_target *face = &seeker->data->faces[picture->first + i];
        truths[i] =
            (face_truth){{face->left, face->top, face->right - face->left, face->bottom - face->top}, face->ignored};
    }
    mien_status status = face_metrics_add(metrics, truths, picture->count, answers->data, answers->count, NULL, error);
    memory_free(truths);
    return status;
}

static mien_status check_judge(const check_job *job, trainer_epoch *epoch, mien_error *error)
{
    const trainer_seeker *seeker = job->t->own;
    face_metrics metrics = {0};
    face_figures figures;
    float score_93, score_95;
    mien_status status = MIEN_OK;
    for (size_t i = 0; !status && i < seeker->check_count; i++)
        status = check_judge_picture(job->t, i, &job->answers[i], &metrics, error);
    if (!status) {
        face_metrics_compute(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, &figures);
        epoch->faces = (trainer_faces){
            .pictures = metrics.pictures, .faces = figures.truths, .average_precision = figures.average_precision};
        epoch->faces.recall_93 = face_metrics_recall_at(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, 0.93, &score_93);
        epoch->faces.recall_95 = face_metrics_recall_at(&metrics, FACE_OVERLAP_40, FACE_SIZE_FROM_32, 0.95, &score_95);
        epoch->faces.threshold_95 = (double)score_95;
        epoch->score = figures.average_precision;
    }
    face_metrics_done(&metrics);
    return status;
}

mien_status faces_validate(trainer *t, trainer_epoch *epoch, mien_error *error)
{
    const trainer_seeker *seeker = t->own;
    size_t threads = (size_t)t->config.threads;
    check_job job = {.t = t};
    job.sessions = memory_zeroed(threads, sizeof(*job.sessions));
    job.answers = memory_zeroed(seeker->check_count, sizeof(*job.answers));
    mien_status status = job.sessions && job.answers
                             ? check_equip(&job, error)
                             : error_no_memory(error, seeker->check_count * sizeof(*job.answers));
    if (!status)
        status = trainer_work(t, seeker->check_count, check_task, &job, error);
    if (!status)
        status = check_judge(&job, epoch, error);
    for (size_t w = 0; job.sessions && w < threads; w++)
        nn_session_destroy(&job.sessions[w]);
    nn_plan_destroy(&job.plan);
    for (size_t i = 0; job.answers && i < seeker->check_count; i++)
        memory_free(job.answers[i].data);
    memory_free(job.answers);
    memory_free(job.sessions);
    return cluster_agree(&t->group, status, error);
}
