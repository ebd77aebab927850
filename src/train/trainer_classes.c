/* Emotions as the trainer's task: which rows, which network, what each thread needs, and what is told of the result.
 * trainer_classes_step.c makes and judges the samples. */
#include "train/trainer_classes.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/architecture.h"

/* Every n-th training row validates instead: rows of a folder stand by class, so each class gives its share. */
static mien_status classes_hold_out(const train_config *config, trainer_classes *own, mien_error *error)
{
    size_t every = (size_t)(1 / config->holdout + 0.5f), kept = 0;
    own->checked = memory_array(own->row_count, sizeof(*own->checked));
    if (!own->checked)
        return error_no_memory(error, own->row_count * sizeof(*own->checked));
    for (size_t i = 0; i < own->row_count; i++)
        if (i % every == every / 2)
            own->checked[own->check_count++] = own->rows[i];
        else
            own->rows[kept++] = own->rows[i];
    own->row_count = kept;
    own->held_out = true;
    return own->check_count ? MIEN_OK : error_set(error, MIEN_EINVAL, "too few rows to hold any out for validation");
}

static mien_status classes_choose_rows(const train_config *config, trainer_classes *own, mien_error *error)
{
    mien_error none = {0};
    mien_status status =
        dataset_rows(own->training, config->split, config->drop_not_face, &own->rows, &own->row_count, error);
    if (status)
        return status;
    status = dataset_rows(own->validation, config->validation_split, false, &own->checked, &own->check_count, &none);
    if (status == MIEN_ENOTFOUND && own->validation == own->training && config->holdout > 0)
        status = classes_hold_out(config, own, error);
    else if (status)
        error_set(error, status, "%s", none.message);
    if (status)
        return status;
    if (config->limit > 0 && (size_t)config->limit < own->row_count)
        own->row_count = (size_t)config->limit;
    return MIEN_OK;
}

/* Weight of each class, with mean 1 over the rows. */
static void classes_weigh(const train_config *config, trainer_classes *own)
{
    double counts[DATASET_CLASSES] = {0}, sum = 0, n = (double)own->row_count;
    for (size_t i = 0; i < own->row_count; i++)
        counts[own->training->labels[own->rows[i]]]++;
    bool balanced = !strcmp(config->class_weights, "balanced"), root = !strcmp(config->class_weights, "sqrt");
    for (int c = 0; c < DATASET_CLASSES; c++) {
        double share = counts[c] > 0 ? n / (DATASET_CLASSES * counts[c]) : 0;
        double weight = balanced ? share : root ? sqrt(share) : 1;
        own->class_weights[c] = (float)weight;
        sum += weight * counts[c];
    }
    for (int c = 0; c < DATASET_CLASSES; c++)
        own->class_weights[c] *= (float)(n / sum);
}

static mien_status classes_check_sides(const train_config *config, const trainer_classes *own, mien_error *error)
{
    size_t side = AUGMENT_MOST_SIDE, crop = (size_t)config->crop;
    const dataset *data = own->training, *other = own->validation;
    if (data->height > side || data->width > side || other->height > side || other->width > side ||
        crop > data->height || crop > data->width)
        return error_set(error, MIEN_EINVAL, "pictures of %zu x %zu: they must lie between the crop and %d x %d",
                         data->width, data->height, AUGMENT_MOST_SIDE, AUGMENT_MOST_SIDE);
    return MIEN_OK;
}

/* Settings that would be passed over in silence. */
static mien_status classes_check_votes(const train_config *config, const trainer_classes *own, mien_error *error)
{
    if (config->votes_weight > 0 && !own->training->votes)
        return error_set(error, MIEN_EINVAL, "votes_weight: there are no votes to learn from (votes)");
    if (config->votes_head > 0 && !own->training->votes && !*config->teachers)
        return error_set(error, MIEN_EINVAL, "votes_head: there are no votes to learn from (votes), and no teachers");
    return MIEN_OK;
}

static mien_status classes_open(trainer *t, mien_error *error)
{
    trainer_classes *own = t->own;
    mien_status status = classes_check_votes(&t->config, own, error);
    if (!status)
        status = classes_choose_rows(&t->config, own, error);
    if (!status)
        status = architecture_build(&t->config, &t->network, &t->backbone_layers, error);
    if (status)
        return status;
    const model_input *input = &t->network.info.input;
    own->target = (augment_target){.channels = input->channels,
                                   .height = input->height,
                                   .width = input->width,
                                   .scale = input->scale / input->std[0],
                                   .shift = -input->mean[0] / input->std[0]};
    t->height = input->height;
    t->width = input->width;
    t->samples = own->row_count;
    t->rows = (trainer_rows){own->row_count, own->check_count, own->held_out};
    t->now.answers_of_one_sample = 1;
    classes_weigh(&t->config, own);
    return classes_check_sides(&t->config, own, error);
}

static void classes_close(trainer *t)
{
    trainer_classes *own = t->own;
    distill_destroy(&own->teachers);
    memory_free(own->taught);
    memory_free(own->rows);
    memory_free(own->checked);
    memory_free(own);
}

static mien_status classes_equip(trainer *t, trainer_worker *worker, mien_error *error)
{
    size_t count = (size_t)t->config.microbatch * DATASET_CLASSES;
    trainer_pupil *pupil = memory_zeroed(1, sizeof(*pupil));
    worker->own = pupil;
    mien_status status = pupil ? augment_scratch_init(&pupil->scratch, error) : error_no_memory(error, sizeof(*pupil));
    if (status)
        return status;
    pupil->targets = memory_zeroed(count, sizeof(float));
    pupil->votes = memory_zeroed(count, sizeof(float));
    pupil->teacher = memory_zeroed(count, sizeof(float));
    pupil->teacher_votes = memory_zeroed(count, sizeof(float));
    pupil->weights = memory_zeroed((size_t)t->config.microbatch, sizeof(float));
    bool good = pupil->targets && pupil->votes && pupil->teacher && pupil->teacher_votes && pupil->weights;
    return good ? MIEN_OK : error_no_memory(error, count * sizeof(float));
}

static void classes_dismiss(trainer_worker *worker)
{
    trainer_pupil *pupil = worker->own;
    if (!pupil)
        return;
    augment_scratch_done(&pupil->scratch);
    memory_free(pupil->targets);
    memory_free(pupil->votes);
    memory_free(pupil->teacher);
    memory_free(pupil->teacher_votes);
    memory_free(pupil->weights);
    memory_free(pupil);
}

static nn_precision classes_teachers_precision(const trainer *t)
{
    nn_precision precision = trainer_precision(t); /* "same" */
    nn_precision_from_name(t->config.distill_precision, &precision);
    return precision;
}

static mien_status classes_begin(trainer *t, mien_error *error)
{
    trainer_classes *own = t->own;
    if (!*t->config.teachers)
        return MIEN_OK;
    distill_options options = {.paths = t->config.teachers,
                               .load = t->load,
                               .target = &own->target,
                               .batch = t->config.microbatch,
                               .workers = (size_t)t->config.threads,
                               .temperature = t->config.distill_temperature,
                               .precision = classes_teachers_precision(t),
                               .mirror = t->config.distill_mirror && !t->config.distill_stored};
    mien_status status = distill_create(&options, &own->teachers, error);
    if (status || t->config.distill_stored)
        return status ? status : classes_ask_teachers(t, error);
    own->votes_taught = t->outputs > 1 && distill_knows_votes(own->teachers);
    return MIEN_OK;
}

static void classes_log(const trainer_epoch *epoch, buffer *line)
{
    const metrics *v = &epoch->validation;
    buffer_append_format(line, "\"top1\":%.6f,", epoch->share);
    buffer_append_format(line, "\"validation\":{\"count\":%zu,\"loss\":%.6f,\"top1\":%.6f,\"macro_f1\":%.6f,", v->count,
                         v->loss, v->top1, v->macro_f1);
    buffer_append_format(line, "\"balanced\":%.6f,\"ece\":%.6f", v->balanced, v->ece);
    if (epoch->votes_top1 >= 0)
        buffer_append_format(line, ",\"votes_top1\":%.6f", epoch->votes_top1);
    buffer_append_format(line, "},\"best\":{\"epoch\":%d,\"top1\":%.6f},", epoch->best_epoch, epoch->best_score);
}

static mien_status classes_describe(const trainer *t, const trainer_epoch *epoch, model *best, mien_error *error)
{
    const trainer_classes *own = t->own;
    char name[96];
    mien_status status = MIEN_OK;
    if (t->config.crop) {
        /* evaluation on stored pictures must look at the same part of them */
        snprintf(name, sizeof(name), "%.6f", (double)t->config.crop / (double)own->training->height);
        status = model_info_set(&best->info, "stored_crop", name, error);
    }
    const char *rows = own->held_out ? "holdout" : t->config.validation_split;
    snprintf(name, sizeof(name), "%.64s.top1", rows);
    if (!status)
        status = model_info_set_figure(&best->info, name, epoch->validation.top1, error);
    snprintf(name, sizeof(name), "%.64s.macro_f1", rows);
    if (!status)
        status = model_info_set_figure(&best->info, name, epoch->validation.macro_f1, error);
    snprintf(name, sizeof(name), "%.64s.votes_top1", rows);
    if (!status && epoch->votes_top1 >= 0)
        status = model_info_set_figure(&best->info, name, epoch->votes_top1, error);
    return status;
}

static const trainer_task classes_task = {
    .kind = TRAINER_CLASSES,
    .open = classes_open,
    .close = classes_close,
    .equip = classes_equip,
    .dismiss = classes_dismiss,
    .begin = classes_begin,
    .fill = classes_fill,
    .compare = classes_compare,
    .validate = classes_validate,
    .log = classes_log,
    .describe = classes_describe,
};

mien_status trainer_create(const train_config *config, const dataset *training, const dataset *validation,
                           const trainer_place *place, trainer **out, mien_error *error)
{
    trainer_classes *own = memory_zeroed(1, sizeof(*own));
    if (!own)
        return error_no_memory(error, sizeof(*own));
    own->training = training;
    own->validation = validation;
    return trainer_start(config, &classes_task, own, place, out, error);
}
