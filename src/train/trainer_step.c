/* One step: the batch is cut into microbatches, each made by the task and run forward and backward by one worker into a
 * gradient array of its own; then the optimiser sums the arrays in order. Nothing here depends on which worker took
 * which microbatch: samples come from their own random streams, sums from a fixed order. */
#include "train/trainer_state.h"

#include <string.h>

#include "base/error.h"

enum { STEP_SEEN_BASE = 0x5eed };

/* How quickly the running mean of answers follows. */
static const double STEP_ANSWERS_PACE = 0.02;

typedef struct step_job {
    trainer *t;
    size_t first; /* position in the epoch of the step's first picture */
    bool mixing;
} step_job;

mien_status trainer_forward(trainer *t, const float *parameters, size_t first, bool mixing, uint64_t seed,
                            size_t worker_index, mien_error *error)
{
    trainer_worker *worker = &t->workers[worker_index];
    mien_status status = t->task->fill(t, first, mixing, worker_index, error);
    random_state stream;
    random_seed(&stream, seed, (uint64_t)t->now.epoch << 32 | (uint64_t)first);
    if (!status)
        status =
            nn_tape_forward(worker->tape, parameters, worker->version != t->version, true, random_next(&stream), error);
    if (status)
        return status;
    worker->version = t->version;
    for (int o = 0; o < t->outputs; o++)
        memset(worker->gradients[o], 0, worker->gradient_counts[o] * sizeof(float));
    return MIEN_OK;
}

static mien_status step_microbatch(const step_job *job, size_t index, size_t worker_index, mien_error *error)
{
    trainer *t = job->t;
    trainer_worker *worker = &t->workers[worker_index];
    size_t micro = (size_t)t->config.microbatch, first = job->first + (t->first_slot + index) * micro;
    mien_status status = trainer_forward(t, optimizer_parameters(t->opt), first, job->mixing,
                                         (uint64_t)t->config.seed ^ STEP_SEEN_BASE, worker_index, error);
    if (!status)
        status = t->task->compare(t, worker, &t->slot[index], error);
    if (status)
        return status;
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
    enum { LOSS, ANSWERS, RIGHT, FAILED, STOP, CHECKPOINT, COUNT };
    double shared[COUNT] = {[STOP] = signals->stop, [CHECKPOINT] = signals->checkpoint && !t->group.rank};
    mien_status status = MIEN_OK;
    for (size_t s = 0; s < t->slots; s++) {
        const trainer_slot *slot = &t->slot[s];
        if (slot->status && !status)
            status = error_set(error, slot->status, "%s", slot->error.message);
        shared[LOSS] += slot->loss;
        shared[ANSWERS] += slot->answers;
        shared[RIGHT] += slot->right;
    }
    shared[FAILED] = status != MIEN_OK;
    mien_status sent = cluster_sum_doubles(&t->group, shared, COUNT, status ? NULL : error);
    if (status || sent)
        return status ? status : sent;
    if (shared[FAILED] > 0)
        return error_set(error, MIEN_EIO, "another process failed");
    t->now.loss_sum += shared[LOSS] * (double)t->config.batch;
    t->now.answers += shared[ANSWERS];
    t->now.right += shared[RIGHT];
    t->now.answers_of_one_sample +=
        STEP_ANSWERS_PACE * (shared[ANSWERS] / (double)t->config.batch - t->now.answers_of_one_sample);
    signals->stop = shared[STOP] > 0;
    signals->checkpoint = shared[CHECKPOINT] > 0;
    return MIEN_OK;
}

double trainer_position(const trainer *t, int64_t step)
{
    return (double)t->now.epoch + (double)step / (double)t->steps;
}

mien_status trainer_step(trainer *t, trainer_signals *signals, double *rate, mien_error *error)
{
    double position = trainer_position(t, t->now.step), norm = 0;
    step_job job = {.t = t, .first = (size_t)t->now.step * (size_t)t->config.batch};
    job.mixing = position < (double)t->config.mix_until * (double)t->config.epochs;
    thread_pool_run(t->pool, t->slots, step_task, &job);
    mien_status status = step_exchange(t, signals, error);
    if (status)
        return status;
    t->now.seen += t->config.batch;
    *rate = schedule_rate(&t->config, &t->now.schedule, position);
    status = optimizer_step(t->opt, t->pool, &t->group, *rate, &norm, error);
    if (status)
        return error_prefix(error, status, "epoch %d, step %lld, learning rate %g", (int)t->now.epoch + 1,
                            (long long)t->now.step + 1, *rate);
    t->version++;
    t->now.step++;
    return status;
}

mien_status trainer_work(trainer *t, size_t count, thread_pool_task task, void *context, mien_error *error)
{
    for (size_t w = 0; w < (size_t)t->config.threads; w++)
        t->slot[w] = (trainer_slot){0};
    thread_pool_run(t->pool, count, task, context);
    for (size_t w = 0; w < (size_t)t->config.threads; w++)
        if (t->slot[w].status)
            return error_set(error, t->slot[w].status, "%s", t->slot[w].error.message);
    return MIEN_OK;
}
