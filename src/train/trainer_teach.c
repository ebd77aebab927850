/* Teachers asked beforehand: what they say about each stored picture and its mirror image is kept, and stands for all
 * its augmented forms. One pass of the teachers instead of one in every epoch, for a little less exactness. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/trainer_state.h"

static void teach_task(void *context, size_t index, size_t worker_index)
{
    trainer *t = context;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_slot *slot = &t->slot[worker_index];
    size_t micro = (size_t)t->config.microbatch, first = index * micro;
    size_t here = t->row_count - first < micro ? t->row_count - first : micro;
    size_t size = (size_t)t->target.channels * (size_t)t->target.height * (size_t)t->target.width;
    const dataset *data = t->training;
    for (int flip = 0; flip < 2 && !slot->status; flip++) {
        for (size_t i = 0; i < micro; i++) {
            size_t row = t->rows[first + (i < here ? i : 0)];
            augment_plain(&t->target, t->config.crop, flip, data->pixels + row * data->height * data->width,
                          (int)data->height, (int)data->width, nn_tape_input(worker->tape) + i * size);
        }
        slot->status =
            distill_predict(t->teachers, worker_index, nn_tape_input(worker->tape), worker->teacher, &slot->error);
        float *kept = t->taught + first * DATASET_CLASSES;
        for (size_t i = 0; i < here * DATASET_CLASSES; i++)
            kept[i] += 0.5f * worker->teacher[i];
    }
}

mien_status trainer_ask_teachers(trainer *t, mien_error *error)
{
    size_t micro = (size_t)t->config.microbatch;
    t->taught = memory_zeroed(t->row_count * DATASET_CLASSES, sizeof(float));
    if (!t->taught)
        return error_no_memory(error, t->row_count * DATASET_CLASSES * sizeof(float));
    for (size_t w = 0; w < (size_t)t->config.threads; w++)
        t->slot[w] = (trainer_slot){0};
    thread_pool_run(t->pool, (t->row_count + micro - 1) / micro, teach_task, t);
    for (size_t w = 0; w < (size_t)t->config.threads; w++)
        if (t->slot[w].status)
            return error_set(error, t->slot[w].status, "%s", t->slot[w].error.message);
    distill_destroy(&t->teachers);
    return MIEN_OK;
}
