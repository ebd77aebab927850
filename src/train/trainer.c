/* Sets a run up: rows, network, optimiser, one tape per thread; and takes it down. */
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "train/architecture.h"
#include "train/trainer_state.h"

static mien_status trainer_check(const train_config *config, mien_error *error)
{
    if (config->batch % config->microbatch)
        return error_set(error, MIEN_EINVAL, "batch: %d is not a multiple of the microbatch, %d", config->batch,
                         config->microbatch);
    if (config->microbatch < 2)
        return error_set(error, MIEN_EINVAL, "microbatch: at least 2 pictures are normalised together");
    return MIEN_OK;
}

/* Every n-th training row validates instead: rows of a folder stand by class, so each class gives its share. */
static mien_status trainer_hold_out(trainer *t, mien_error *error)
{
    size_t every = (size_t)(1 / t->config.holdout + 0.5f), kept = 0;
    t->checked = memory_array(t->row_count, sizeof(*t->checked));
    if (!t->checked)
        return error_no_memory(error, t->row_count * sizeof(*t->checked));
    for (size_t i = 0; i < t->row_count; i++)
        if (i % every == every / 2)
            t->checked[t->check_count++] = t->rows[i];
        else
            t->rows[kept++] = t->rows[i];
    t->row_count = kept;
    return t->check_count ? MIEN_OK : error_set(error, MIEN_EINVAL, "too few rows to hold any out for validation");
}

static mien_status trainer_choose_rows(trainer *t, mien_error *error)
{
    train_config *config = &t->config;
    mien_error none = {0};
    mien_status status =
        dataset_rows(t->training, config->split, config->drop_not_face, &t->rows, &t->row_count, error);
    if (status)
        return status;
    status = dataset_rows(t->validation, config->validation_split, false, &t->checked, &t->check_count, &none);
    if (status == MIEN_ENOTFOUND && t->validation == t->training && config->holdout > 0)
        status = trainer_hold_out(t, error);
    else if (status)
        error_set(error, status, "%s", none.message);
    if (status)
        return status;
    if (config->limit > 0 && (size_t)config->limit < t->row_count)
        t->row_count = (size_t)config->limit;
    if (t->row_count > UINT32_MAX)
        return error_set(error, MIEN_ELIMIT, "%zu rows are too many", t->row_count);
    size_t micro = (size_t)config->microbatch;
    if (t->row_count < micro)
        return error_set(error, MIEN_EINVAL, "%zu rows do not fill a microbatch of %zu", t->row_count, micro);
    if (t->row_count < (size_t)config->batch)
        config->batch = (int)(t->row_count / micro * micro);
    size_t rank = (size_t)t->group.rank, size = (size_t)t->group.size;
    t->all_slots = (size_t)config->batch / micro;
    if (t->all_slots < size)
        return error_set(error, MIEN_EINVAL, "batch: %zu microbatches are too few for %zu processes", t->all_slots,
                         size);
    t->first_slot = t->all_slots * rank / size;
    t->slots = t->all_slots * (rank + 1) / size - t->first_slot;
    t->steps = t->row_count / (size_t)config->batch;
    t->order = memory_array(t->row_count, sizeof(*t->order));
    return t->order ? MIEN_OK : error_no_memory(error, t->row_count * sizeof(*t->order));
}

/* Weight of each class, with mean 1 over the rows. */
static void trainer_weigh_classes(trainer *t)
{
    double counts[DATASET_CLASSES] = {0}, sum = 0, n = (double)t->row_count;
    for (size_t i = 0; i < t->row_count; i++)
        counts[t->training->labels[t->rows[i]]]++;
    bool balanced = !strcmp(t->config.class_weights, "balanced"), root = !strcmp(t->config.class_weights, "sqrt");
    for (int c = 0; c < DATASET_CLASSES; c++) {
        double share = counts[c] > 0 ? n / (DATASET_CLASSES * counts[c]) : 0;
        double weight = balanced ? share : root ? sqrt(share) : 1;
        t->class_weights[c] = (float)weight;
        sum += weight * counts[c];
    }
    for (int c = 0; c < DATASET_CLASSES; c++)
        t->class_weights[c] *= (float)(n / sum);
}

/* Weights of the same name and shape are taken over from another model. */
static mien_status trainer_take_weights(trainer *t, const char *path, mien_error *error)
{
    model from = {0};
    mien_status status = model_load(path, NULL, &from, error);
    if (status)
        return status;
    int taken = 0;
    for (int w = 0; w < t->network.graph.weight_count; w++) {
        nn_weight *to = &t->network.graph.weights[w];
        for (int k = 0; k < from.graph.weight_count; k++) {
            const nn_weight *weight = &from.graph.weights[k];
            if (strcmp(to->name, weight->name) != 0 || !nn_shape_equal(&to->shape, &weight->shape))
                continue;
            memcpy(to->data, weight->data, to->count * sizeof(float));
            taken++;
        }
    }
    model_done(&from);
    return taken ? MIEN_OK
                 : error_set(error, MIEN_EUNSUPPORTED, "%s: no weight has the name and shape of one of %s", path,
                             t->config.arch);
}

static mien_status trainer_build(trainer *t, mien_error *error)
{
    mien_status status = architecture_build(&t->config, &t->network, &t->backbone_layers, error);
    if (!status && *t->config.init)
        status = trainer_take_weights(t, t->config.init, error);
    if (status)
        return status;
    const model_input *input = &t->network.info.input;
    t->outputs = t->network.graph.output_count;
    t->target = (augment_target){.channels = input->channels,
                                 .height = input->height,
                                 .width = input->width,
                                 .scale = input->scale / input->std[0],
                                 .shift = -input->mean[0] / input->std[0]};
    size_t side = AUGMENT_MOST_SIDE;
    if (t->training->height > side || t->training->width > side || t->validation->height > side ||
        t->validation->width > side || (size_t)t->config.crop > t->training->height ||
        (size_t)t->config.crop > t->training->width)
        return error_set(error, MIEN_EINVAL, "pictures of %zu x %zu: they must lie between the crop and %d x %d",
                         t->training->width, t->training->height, AUGMENT_MOST_SIDE, AUGMENT_MOST_SIDE);
    return MIEN_OK;
}

/* The weights of the first `freeze` layers that have any, or of all of a backbone that is to stay as it is. */
static uint8_t *trainer_frozen(const trainer *t)
{
    const nn_graph *graph = &t->network.graph;
    uint8_t *frozen = memory_zeroed((size_t)graph->weight_count + 1, 1);
    int layers = 0, most = t->config.freeze;
    if (t->config.freeze_backbone && t->backbone_layers > most)
        most = t->backbone_layers;
    for (int n = 0; frozen && n < graph->node_count && layers < most; n++) {
        const nn_node *node = &graph->nodes[n];
        bool any = false;
        for (int i = 0; i < 4; i++)
            if (node->weights[i] >= 0) {
                frozen[node->weights[i]] = 1;
                any = true;
            }
        layers += any;
    }
    return frozen;
}

static nn_precision trainer_precision(const trainer *t)
{
    return strcmp(t->config.precision, "bf16") == 0 ? NN_BF16 : NN_F32;
}

static mien_status trainer_equip(trainer *t, trainer_worker *worker, mien_error *error)
{
    nn_tape_options options = {.microbatch = t->config.microbatch,
                               .height = t->target.height,
                               .width = t->target.width,
                               .precision = trainer_precision(t)};
    size_t count = (size_t)t->config.microbatch * DATASET_CLASSES;
    mien_status status = nn_tape_create(&t->network.graph, &options, &worker->tape, error);
    if (!status)
        status = augment_scratch_init(&worker->scratch, error);
    if (status)
        return status;
    worker->targets = memory_zeroed(count, sizeof(float));
    worker->votes = memory_zeroed(count, sizeof(float));
    worker->teacher = memory_zeroed(count, sizeof(float));
    worker->weights = memory_zeroed((size_t)t->config.microbatch, sizeof(float));
    bool good = worker->targets && worker->votes && worker->teacher && worker->weights;
    for (int o = 0; o < TRAINER_MOST_OUTPUTS; o++)
        good = (worker->gradients[o] = memory_zeroed(count, sizeof(float))) && good;
    return good ? MIEN_OK : error_no_memory(error, count * sizeof(float));
}

static mien_status trainer_staff(trainer *t, mien_error *error)
{
    size_t threads = (size_t)t->config.threads;
    mien_status status = thread_pool_create(threads, &t->pool, error);
    if (status)
        return status;
    t->workers = memory_zeroed(threads, sizeof(*t->workers));
    t->slot = memory_zeroed(threads > t->slots ? threads : t->slots, sizeof(*t->slot));
    if (!t->workers || !t->slot)
        return error_no_memory(error, threads * sizeof(*t->workers));
    for (size_t w = 0; w < threads && !status; w++)
        status = trainer_equip(t, &t->workers[w], error);
    if (!status && *t->config.teachers)
        status = distill_create(t->config.teachers, &t->target, t->config.microbatch, threads,
                                t->config.distill_temperature, trainer_precision(t), &t->teachers, error);
    if (!status && t->teachers && t->config.distill_stored)
        status = trainer_ask_teachers(t, error);
    return status;
}

static mien_status trainer_prepare(trainer *t, mien_error *error)
{
    mien_status status = trainer_check(&t->config, error);
    if (!status)
        status = trainer_choose_rows(t, error);
    if (!status)
        status = trainer_build(t, error);
    if (status)
        return status;
    trainer_weigh_classes(t);
    uint8_t *frozen = trainer_frozen(t);
    if (!frozen)
        return error_no_memory(error, (size_t)t->network.graph.weight_count);
    status = optimizer_create(&t->network.graph, &t->config, t->slots, t->all_slots, frozen, &t->opt, error);
    memory_free(frozen);
    if (!status)
        status = trainer_staff(t, error);
    if (status)
        return status;
    t->version = 1;
    t->ordered_epoch = -1;
    t->now.best_epoch = -1;
    t->now.best_top1 = -1;
    t->now.schedule.best = -1;
    t->now.rows = (int64_t)t->row_count;
    t->now.parameters = (int64_t)optimizer_count(t->opt);
    return MIEN_OK;
}

mien_status trainer_create(const train_config *config, const dataset *training, const dataset *validation,
                           const char *command, const cluster *group, trainer **out, mien_error *error)
{
    trainer *t = memory_zeroed(1, sizeof(*t));
    if (!t)
        return error_no_memory(error, sizeof(*t));
    t->config = *config;
    t->training = training;
    t->validation = validation;
    t->group = group ? *group : (cluster){.rank = 0, .size = 1};
    t->command = memory_text(command ? command : "");
    mien_status status = t->command ? trainer_prepare(t, error) : error_no_memory(error, sizeof(*t));
    if (status)
        trainer_destroy(&t);
    else
        *out = t;
    return status;
}

static void trainer_dismiss(trainer_worker *worker)
{
    nn_tape_destroy(&worker->tape);
    augment_scratch_done(&worker->scratch);
    memory_free(worker->targets);
    memory_free(worker->votes);
    memory_free(worker->teacher);
    memory_free(worker->weights);
    for (int o = 0; o < TRAINER_MOST_OUTPUTS; o++)
        memory_free(worker->gradients[o]);
}

void trainer_destroy(trainer **out)
{
    if (!out || !*out)
        return;
    trainer *t = *out;
    for (size_t w = 0; t->workers && w < (size_t)t->config.threads; w++)
        trainer_dismiss(&t->workers[w]);
    memory_free(t->workers);
    memory_free(t->slot);
    thread_pool_destroy(&t->pool);
    distill_destroy(&t->teachers);
    memory_free(t->taught);
    optimizer_destroy(&t->opt);
    model_done(&t->network);
    memory_free(t->rows);
    memory_free(t->checked);
    memory_free(t->order);
    memory_free(t->command);
    memory_free(t);
    *out = NULL;
}

const float *trainer_parameters(const trainer *t, size_t *count)
{
    *count = optimizer_count(t->opt);
    return optimizer_parameters(t->opt);
}
