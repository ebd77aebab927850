/* Batch statistics of the very weights that are validated (Wu & Johnson 2021, "precise" batch normalisation). Running
 * statistics limp some steps behind the weights; where a few steps of Adam move every weight the same way and what
 * comes in is not centred, they describe another network, and the validation answers one class for every picture though
 * the training goes well. They are found as the running ones are, from microbatches in training mode, in a fixed order.
 */
#include "train/trainer_state.h"

#include <string.h>

#include "base/error.h"

typedef struct statistics_job {
    trainer *t;
    size_t rounds;
} statistics_job;

static mien_status statistics_microbatch(trainer *t, size_t first, size_t index, size_t worker_index, mien_error *error)
{
    trainer_worker *worker = &t->workers[worker_index];
    mien_status status =
        trainer_forward(t, optimizer_average(t->opt), first, false, (uint64_t)t->config.seed, worker_index, error);
    if (status)
        return status;
    return nn_tape_backward(worker->tape, (const float *const *)worker->gradients, optimizer_gradient(t->opt, index),
                            error);
}

/* A slot gathers the same microbatch of every round. */
static void statistics_task(void *context, size_t index, size_t worker)
{
    const statistics_job *job = context;
    trainer *t = job->t;
    trainer_slot *slot = &t->slot[index];
    size_t micro = (size_t)t->config.microbatch, batch = (size_t)t->config.batch;
    *slot = (trainer_slot){0};
    memset(optimizer_gradient(t->opt, index), 0, optimizer_count(t->opt) * sizeof(float));
    for (size_t r = 0; r < job->rounds && !slot->status; r++)
        slot->status =
            statistics_microbatch(t, r * batch + (t->first_slot + index) * micro, index, worker, &slot->error);
}

mien_status trainer_measure_statistics(trainer *t, mien_error *error)
{
    size_t batch = (size_t)t->config.batch;
    statistics_job job = {.t = t, .rounds = ((size_t)t->config.statistics + batch - 1) / batch};
    job.rounds = job.rounds < t->steps ? job.rounds : t->steps;
    if (!job.rounds)
        return MIEN_OK;
    t->version++; /* the tapes take up the averaged weights, and then the others again */
    thread_pool_run(t->pool, t->slots, statistics_task, &job);
    t->version++;
    mien_status status = MIEN_OK;
    for (size_t s = 0; s < t->slots && !status; s++)
        if (t->slot[s].status)
            status = error_set(error, t->slot[s].status, "%s", t->slot[s].error.message);
    status = cluster_agree(&t->group, status, error);
    return status ? status : optimizer_set_statistics(t->opt, t->pool, &t->group, job.rounds, error);
}
