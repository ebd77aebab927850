/* One step: the batch is cut into microbatches, each made (augmented, mixed) and run forward and backward by one worker
 * into a gradient array of its own; then the optimiser sums the arrays in order. Nothing here depends on which worker
 * took which microbatch: pictures come from their own random streams, sums from a fixed order. */
#include "train/trainer_state.h"

#include <string.h>

#include "base/error.h"
#include "train/loss.h"
#include "train/metrics.h"

enum { STEP_SEEN_BASE = 0x5eed };

typedef struct step_job {
    trainer *t;
    size_t first; /* position in the epoch of the step's first picture */
    bool mixing;
} step_job;

/* Target of one stored row for the first output, and FER+'s for the second (negative where there is none). */
static void step_target(const trainer *t, size_t row, float *label, float *votes)
{
    const dataset *data = t->training;
    memset(label, 0, DATASET_CLASSES * sizeof(float));
    label[data->labels[row]] = 1;
    votes[0] = -1;
    if (!data->votes || !dataset_soft_votes(data->votes + row * DATASET_VOTES, votes))
        return;
    for (int c = 0; c < DATASET_CLASSES; c++)
        label[c] += t->config.votes_weight * (votes[c] - label[c]);
}

static void step_picture(const trainer *t, size_t row, random_state *stream, augment_scratch *scratch, float *out)
{
    const dataset *data = t->training;
    augment_picture(&t->config, &t->target, data->pixels + row * data->height * data->width, (int)data->height,
                    (int)data->width, stream, scratch, out);
}

static void step_mix_targets(float share, const float *second, float *first)
{
    for (int c = 0; c < DATASET_CLASSES; c++)
        first[c] = second[c] + share * (first[c] - second[c]);
}

/* The picture at a position of the epoch, mixed with another one where the recipe says so. */
static void step_sample(const step_job *job, size_t position, trainer_worker *worker, size_t index)
{
    const trainer *t = job->t;
    size_t size = (size_t)t->target.channels * (size_t)t->target.height * (size_t)t->target.width;
    float *input = nn_tape_input(worker->tape) + index * size;
    float *label = worker->targets + index * DATASET_CLASSES, *votes = worker->votes + index * DATASET_CLASSES;
    uint32_t chosen = t->order[position];
    random_state stream;
    augment_stream(&stream, (uint64_t)t->config.seed, (uint32_t)t->now.epoch, chosen);
    step_picture(t, t->rows[chosen], &stream, &worker->scratch, input);
    step_target(t, t->rows[chosen], label, votes);
    float *taught = worker->teacher + index * DATASET_CLASSES, share = 1;
    if (t->taught)
        memcpy(taught, t->taught + (size_t)chosen * DATASET_CLASSES, DATASET_CLASSES * sizeof(float));
    augment_mix mix = augment_draw_mix(&t->config, job->mixing, &stream, &share);
    if (mix != AUGMENT_ALONE) {
        size_t second = random_below(&stream, (uint32_t)t->row_count), row = t->rows[second];
        float other_label[DATASET_CLASSES], other_votes[DATASET_CLASSES];
        step_picture(t, row, &stream, &worker->scratch, worker->scratch.mixed);
        augment_apply_mix(mix, &t->target, &stream, worker->scratch.mixed, input, &share);
        step_target(t, row, other_label, other_votes);
        step_mix_targets(share, other_label, label);
        if (t->taught)
            step_mix_targets(share, t->taught + second * DATASET_CLASSES, taught);
        if (votes[0] >= 0 && other_votes[0] >= 0)
            step_mix_targets(share, other_votes, votes);
        else
            votes[0] = -1;
    }
    worker->weights[index] = 0;
    for (int c = 0; c < DATASET_CLASSES; c++)
        worker->weights[index] += label[c] * t->class_weights[c];
}

/* Loss and gradient of the first output: the label's cross-entropy and the teachers' share. */
static double step_first_loss(const trainer *t, trainer_worker *worker, size_t index, const float *teacher)
{
    const float *logits = nn_tape_output(worker->tape, 0) + index * DATASET_CLASSES;
    float *gradient = worker->gradients[0] + index * DATASET_CLASSES;
    float target[DATASET_CLASSES];
    float scale = 1 / (float)t->config.batch, share = teacher ? t->config.distill_weight : 0;
    memcpy(target, worker->targets + index * DATASET_CLASSES, sizeof(target));
    loss_smooth(target, DATASET_CLASSES, t->config.label_smoothing);
    float loss =
        loss_cross_entropy(logits, target, DATASET_CLASSES, (1 - share) * scale * worker->weights[index], gradient);
    if (teacher)
        loss += loss_distill(logits, teacher + index * DATASET_CLASSES, DATASET_CLASSES, t->config.distill_temperature,
                             share * scale, gradient);
    return (double)loss;
}

static double step_losses(const trainer *t, trainer_worker *worker, trainer_slot *slot, const float *teacher)
{
    size_t bytes = (size_t)t->config.microbatch * DATASET_CLASSES * sizeof(float);
    double loss = 0;
    for (int o = 0; o < t->outputs; o++)
        memset(worker->gradients[o], 0, bytes);
    for (size_t i = 0; i < (size_t)t->config.microbatch; i++) {
        const float *logits = nn_tape_output(worker->tape, 0) + i * DATASET_CLASSES;
        slot->correct += metrics_argmax(logits, DATASET_CLASSES) ==
                         metrics_argmax(worker->targets + i * DATASET_CLASSES, DATASET_CLASSES);
        loss += step_first_loss(t, worker, i, teacher);
        const float *votes = worker->votes + i * DATASET_CLASSES;
        if (t->outputs > 1 && votes[0] >= 0)
            loss += (double)loss_cross_entropy(nn_tape_output(worker->tape, 1) + i * DATASET_CLASSES, votes,
                                               DATASET_CLASSES, t->config.votes_head / (float)t->config.batch,
                                               worker->gradients[1] + i * DATASET_CLASSES);
    }
    return loss;
}

static mien_status step_microbatch(const step_job *job, size_t index, size_t worker_index, mien_error *error)
{
    trainer *t = job->t;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_slot *slot = &t->slot[index];
    size_t micro = (size_t)t->config.microbatch, first = job->first + (t->first_slot + index) * micro;
    for (size_t i = 0; i < micro; i++)
        step_sample(job, first + i, worker, i);
    float *teacher = t->teachers || t->taught ? worker->teacher : NULL;
    mien_status status = MIEN_OK;
    if (t->teachers)
        status = distill_predict(t->teachers, worker_index, nn_tape_input(worker->tape), teacher, error);
    random_state stream;
    random_seed(&stream, (uint64_t)t->config.seed ^ STEP_SEEN_BASE, (uint64_t)t->now.epoch << 32 | (uint64_t)first);
    if (!status)
        status = nn_tape_forward(worker->tape, optimizer_parameters(t->opt), worker->version != t->version, true,
                                 random_next(&stream), error);
    if (status)
        return status;
    worker->version = t->version;
    slot->loss = step_losses(t, worker, slot, teacher);
    float *gradient = optimizer_gradient(t->opt, index);
    memset(gradient, 0, optimizer_count(t->opt) * sizeof(float));
    return nn_tape_backward(worker->tape, (const float *const *)worker->gradients, gradient, error);
}

static void step_task(void *context, size_t index, size_t worker)
{
    const step_job *job = context;
    trainer_slot *slot = &job->t->slot[index];
    *slot = (trainer_slot){0};
    slot->status = step_microbatch(job, index, worker, &slot->error);
}

/* Sums of the step over all processes, and what they want; a failure anywhere ends the run everywhere. */
static mien_status step_exchange(trainer *t, trainer_signals *signals, mien_error *error)
{
    enum { LOSS, CORRECT, FAILED, STOP, CHECKPOINT, COUNT };
    double shared[COUNT] = {[STOP] = signals->stop, [CHECKPOINT] = signals->checkpoint && !t->group.rank};
    mien_status status = MIEN_OK;
    for (size_t s = 0; s < t->slots; s++) {
        const trainer_slot *slot = &t->slot[s];
        if (slot->status && !status)
            status = error_set(error, slot->status, "%s", slot->error.message);
        shared[LOSS] += slot->loss;
        shared[CORRECT] += (double)slot->correct;
    }
    shared[FAILED] = status != MIEN_OK;
    mien_status sent = cluster_sum_doubles(&t->group, shared, COUNT, status ? NULL : error);
    if (status || sent)
        return status ? status : sent;
    if (shared[FAILED] > 0)
        return error_set(error, MIEN_EIO, "another process failed");
    t->now.loss_sum += shared[LOSS] * (double)t->config.batch;
    t->now.correct += (int64_t)shared[CORRECT];
    signals->stop = shared[STOP] > 0;
    signals->checkpoint = shared[CHECKPOINT] > 0;
    return MIEN_OK;
}

mien_status trainer_step(trainer *t, trainer_signals *signals, double *rate, mien_error *error)
{
    double position = (double)t->now.epoch + (double)t->now.step / (double)t->steps, norm = 0;
    step_job job = {.t = t, .first = (size_t)t->now.step * (size_t)t->config.batch};
    job.mixing = position < (double)t->config.mix_until * (double)t->config.epochs;
    thread_pool_run(t->pool, t->slots, step_task, &job);
    mien_status status = step_exchange(t, signals, error);
    if (status)
        return status;
    t->now.seen += t->config.batch;
    *rate = schedule_rate(&t->config, &t->now.schedule, position);
    status = optimizer_step(t->opt, t->pool, &t->group, *rate, &norm, error);
    t->version++;
    t->now.step++;
    return status;
}

typedef struct predict_job {
    trainer *t;
    const float *parameters;
    const dataset *data;
    const size_t *rows;
    size_t count;
    int output;
    float *out;
} predict_job;

static void predict_task(void *context, size_t index, size_t worker_index)
{
    const predict_job *job = context;
    trainer *t = job->t;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_slot *slot = &t->slot[worker_index];
    if (slot->status)
        return;
    size_t micro = (size_t)t->config.microbatch, first = index * micro;
    size_t here = job->count - first < micro ? job->count - first : micro;
    size_t size = (size_t)t->target.channels * (size_t)t->target.height * (size_t)t->target.width;
    const dataset *data = job->data;
    for (size_t i = 0; i < micro; i++) {
        size_t row = job->rows[first + (i < here ? i : 0)];
        augment_plain(&t->target, t->config.crop, false, data->pixels + row * data->height * data->width,
                      (int)data->height, (int)data->width, nn_tape_input(worker->tape) + i * size);
    }
    slot->status =
        nn_tape_forward(worker->tape, job->parameters, worker->version != t->version, false, 0, &slot->error);
    if (slot->status)
        return;
    worker->version = t->version;
    const float *logits = nn_tape_output(worker->tape, (size_t)job->output);
    for (size_t i = 0; i < here; i++)
        loss_softmax(logits + i * DATASET_CLASSES, DATASET_CLASSES, 1, job->out + (first + i) * DATASET_CLASSES);
}

mien_status trainer_predict(trainer *t, const float *parameters, const dataset *data, const size_t *rows, size_t count,
                            int output, float *out, mien_error *error)
{
    size_t rank = (size_t)t->group.rank, size = (size_t)t->group.size, micro = (size_t)t->config.microbatch;
    size_t begin = count * rank / size, end = count * (rank + 1) / size;
    /* each process answers for its share; the others' places are zero until they are summed */
    memset(out, 0, count * DATASET_CLASSES * sizeof(float));
    predict_job job = {t, parameters, data, rows + begin, end - begin, output, out + begin * DATASET_CLASSES};
    for (size_t w = 0; w < (size_t)t->config.threads; w++)
        t->slot[w] = (trainer_slot){0};
    t->version++;
    thread_pool_run(t->pool, (end - begin + micro - 1) / micro, predict_task, &job);
    t->version++;
    mien_status status = MIEN_OK;
    for (size_t w = 0; !status && w < (size_t)t->config.threads; w++)
        if (t->slot[w].status)
            status = error_set(error, t->slot[w].status, "%s", t->slot[w].error.message);
    status = cluster_agree(&t->group, status, error);
    return status ? status : cluster_sum_floats(&t->group, out, count * DATASET_CLASSES, error);
}
