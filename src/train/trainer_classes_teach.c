/* Teachers asked beforehand: what they say about each stored picture and its mirror image is kept, and stands for all
 * its augmented forms. One pass of the teachers instead of one in every epoch, for a little less exactness. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/trainer_classes.h"

static void teach_task(void *context, size_t index, size_t worker_index)
{
    trainer *t = context;
    trainer_classes *own = t->own;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_pupil *pupil = worker->own;
    trainer_slot *slot = &t->slot[worker_index];
    size_t micro = (size_t)t->config.microbatch, first = index * micro;
    size_t here = own->row_count - first < micro ? own->row_count - first : micro;
    size_t size = (size_t)own->target.channels * (size_t)own->target.height * (size_t)own->target.width;
    const dataset *data = own->training;
    for (int flip = 0; flip < 2 && !slot->status; flip++) {
        for (size_t i = 0; i < micro; i++) {
            size_t row = own->rows[first + (i < here ? i : 0)];
            augment_plain(&own->target, t->config.crop, flip, data->pixels + row * data->height * data->width,
                          (int)data->height, (int)data->width, nn_tape_input(worker->tape) + i * size);
        }
        slot->status = distill_predict(own->teachers, worker_index, nn_tape_input(worker->tape), pupil->teacher, NULL,
                                       &slot->error);
        float *kept = own->taught + first * DATASET_CLASSES;
        for (size_t i = 0; i < here * DATASET_CLASSES; i++)
            kept[i] += 0.5f * pupil->teacher[i];
    }
}

mien_status classes_ask_teachers(trainer *t, mien_error *error)
{
    trainer_classes *own = t->own;
    size_t micro = (size_t)t->config.microbatch;
    own->taught = memory_zeroed(own->row_count * DATASET_CLASSES, sizeof(float));
    if (!own->taught)
        return error_no_memory(error, own->row_count * DATASET_CLASSES * sizeof(float));
    mien_status status = trainer_work(t, (own->row_count + micro - 1) / micro, teach_task, t, error);
    distill_destroy(&own->teachers);
    return status;
}
