/* Finding faces as the trainer's task. An epoch shows each picture config->samples times, each time another part of it
 * at another scale; losses are divided by the running mean of cells that answer for faces, not by this batch's own
 * number, so that microbatches need not wait for each other. */
#include "train/trainer_faces.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/architecture.h"
#include "train/face_loss.h"

enum { FACES_STEP = 32 };

static const double FACES_FIRST_ANSWERS = 10; /* of one sample, until it is known */

static mien_status faces_open(trainer *t, mien_error *error)
{
    trainer_seeker *own = t->own;
    t->height = t->width = t->config.crop ? t->config.crop : FACE_AUGMENT_SIDE;
    if (t->height % FACES_STEP || t->height > FACE_AUGMENT_MOST_SIDE)
        return error_set(error, MIEN_EINVAL, "crop: %d is not a multiple of %d up to %d", t->height, FACES_STEP,
                         FACE_AUGMENT_MOST_SIDE);
    mien_status status = face_dataset_rows(own->data, false, &own->rows, &own->row_count, error);
    if (!status)
        status = face_dataset_rows(own->data, true, &own->checked, &own->check_count, error);
    if (!status)
        status = architecture_build(&t->config, &t->network, &t->backbone_layers, error);
    if (!status && t->network.graph.output_count != FACE_GRIDS)
        status = error_set(error, MIEN_EINVAL, "%s does not find faces", t->config.arch);
    if (!status && !memory_multiply(own->row_count, (size_t)t->config.samples, &t->samples))
        status = error_set(error, MIEN_ELIMIT, "too many samples");
    t->rows = (trainer_rows){own->row_count, own->check_count, true};
    t->now.answers_of_one_sample = FACES_FIRST_ANSWERS;
    return status;
}

static void faces_close(trainer *t)
{
    trainer_seeker *own = t->own;
    memory_free(own->rows);
    memory_free(own->checked);
    memory_free(own);
}

static mien_status faces_equip(trainer *t, trainer_worker *worker, mien_error *error)
{
    trainer_face_worker *own = memory_zeroed(1, sizeof(*own));
    worker->own = own;
    mien_status status =
        own ? face_augment_scratch_init(&own->scratch, t->width, error) : error_no_memory(error, sizeof(*own));
    if (status)
        return status;
    size_t micro = (size_t)t->config.microbatch, cells = 0;
    for (int o = 0; o < FACE_GRIDS; o++)
        cells += worker->gradient_counts[o] / micro / FACE_CHANNELS;
    own->targets = memory_array(micro * FACE_AUGMENT_MOST_TARGETS, sizeof(*own->targets));
    own->counts = memory_zeroed(micro, sizeof(*own->counts));
    own->owners = memory_zeroed(cells, sizeof(*own->owners));
    own->costs = memory_zeroed(cells, sizeof(*own->costs));
    bool good = own->targets && own->counts && own->owners && own->costs;
    return good ? MIEN_OK : error_no_memory(error, micro * FACE_AUGMENT_MOST_TARGETS * sizeof(*own->targets));
}

static void faces_dismiss(trainer_worker *worker)
{
    trainer_face_worker *own = worker->own;
    if (!own)
        return;
    face_augment_scratch_done(&own->scratch);
    memory_free(own->targets);
    memory_free(own->counts);
    memory_free(own->owners);
    memory_free(own->costs);
    memory_free(own);
}

static mien_status faces_fill(trainer *t, size_t first, bool mixing, size_t worker_index, mien_error *error)
{
    (void)mixing;
    (void)error;
    const trainer_seeker *seeker = t->own;
    trainer_worker *worker = &t->workers[worker_index];
    trainer_face_worker *own = worker->own;
    size_t size = (size_t)3 * (size_t)t->height * (size_t)t->width;
    for (size_t i = 0; i < (size_t)t->config.microbatch; i++) {
        uint32_t sample = t->order[first + i];
        random_state stream;
        augment_stream(&stream, (uint64_t)t->config.seed, (uint32_t)t->now.epoch, sample);
        face_augment_sample(&t->config, seeker->data, seeker->rows[sample % seeker->row_count], &stream, &own->scratch,
                            t->width, nn_tape_input(worker->tape) + i * size,
                            own->targets + i * FACE_AUGMENT_MOST_TARGETS, FACE_AUGMENT_MOST_TARGETS, &own->counts[i]);
    }
    return MIEN_OK;
}

/* The maps of one sample among the tape's outputs. */
static void faces_maps(const trainer *t, trainer_worker *worker, size_t index, face_grid maps[FACE_GRIDS])
{
    for (int o = 0; o < FACE_GRIDS; o++) {
        size_t count = worker->gradient_counts[o] / (size_t)t->config.microbatch;
        nn_shape shape = nn_tape_output_shape(worker->tape, (size_t)o);
        maps[o] =
            (face_grid){nn_tape_output(worker->tape, (size_t)o) + index * count, worker->gradients[o] + index * count,
                        (int)shape.dim[3], (int)shape.dim[2], t->width / (int)shape.dim[3]};
    }
}

static mien_status faces_compare(trainer *t, trainer_worker *worker, trainer_slot *slot, mien_error *error)
{
    (void)error;
    trainer_face_worker *own = worker->own;
    face_loss_sum sum = {0};
    double answers = t->now.answers_of_one_sample > 1 ? t->now.answers_of_one_sample : 1;
    float scale = (float)(1 / (answers * (double)t->config.batch));
    for (size_t i = 0; i < (size_t)t->config.microbatch; i++) {
        face_grid maps[FACE_GRIDS];
        const face_target *targets = own->targets + i * FACE_AUGMENT_MOST_TARGETS;
        faces_maps(t, worker, i, maps);
        face_assign(maps, targets, own->counts[i], own->owners, own->costs);
        face_loss(maps, targets, own->owners, scale, t->config.box_weight, &sum);
    }
    slot->loss = sum.loss;
    slot->answers = sum.answers;
    slot->right = sum.overlap;
    return MIEN_OK;
}

static void faces_log(const trainer_epoch *epoch, buffer *line)
{
    const trainer_faces *f = &epoch->faces;
    buffer_append_format(line, "\"overlap\":%.6f,", epoch->share);
    buffer_append_format(line, "\"validation\":{\"pictures\":%zu,\"faces\":%zu,\"average_precision\":%.6f,",
                         f->pictures, f->faces, f->average_precision);
    buffer_append_format(line, "\"recall_at_93\":%.6f,\"recall_at_95\":%.6f,\"threshold_95\":%.6f},", f->recall_93,
                         f->recall_95, f->threshold_95);
    buffer_append_format(line, "\"best\":{\"epoch\":%d,\"average_precision\":%.6f},", epoch->best_epoch,
                         epoch->best_score);
}

static mien_status faces_describe(const trainer *t, const trainer_epoch *epoch, model *best, mien_error *error)
{
    (void)t;
    char text[32];
    snprintf(text, sizeof(text), "%.3f", epoch->faces.threshold_95);
    mien_status status = model_info_set(&best->info, "detector.min_score", text, error);
    snprintf(text, sizeof(text), "%d", TRAINER_LEAST_FACE);
    if (!status)
        status = model_info_set(&best->info, "detector.least_face", text, error);
    if (!status)
        status = model_info_set_figure(&best->info, "holdout.average_precision", epoch->faces.average_precision, error);
    if (!status)
        status = model_info_set_figure(&best->info, "holdout.recall_at_93", epoch->faces.recall_93, error);
    if (!status)
        status = model_info_set_figure(&best->info, "holdout.recall_at_95", epoch->faces.recall_95, error);
    return status;
}

static const trainer_task faces_task = {
    .kind = TRAINER_FACES,
    .open = faces_open,
    .close = faces_close,
    .equip = faces_equip,
    .dismiss = faces_dismiss,
    .fill = faces_fill,
    .compare = faces_compare,
    .validate = faces_validate,
    .log = faces_log,
    .describe = faces_describe,
};

mien_status trainer_create_faces(const train_config *config, const face_dataset *data, const trainer_place *place,
                                 trainer **out, mien_error *error)
{
    trainer_seeker *own = memory_zeroed(1, sizeof(*own));
    if (!own)
        return error_no_memory(error, sizeof(*own));
    own->data = data;
    return trainer_start(config, &faces_task, own, place, out, error);
}
