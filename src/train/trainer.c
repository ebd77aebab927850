/* Sets a run up: its task, network, optimiser, one tape per thread; and takes it down. */
#include "train/trainer.h"

#include <string.h>

#include "base/error.h"
#include "base/memory.h"
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

/* The batch in microbatches, and the epoch in batches. */
static mien_status trainer_divide(trainer *t, mien_error *error)
{
    train_config *config = &t->config;
    if (t->samples > UINT32_MAX)
        return error_set(error, MIEN_ELIMIT, "%zu samples are too many", t->samples);
    size_t micro = (size_t)config->microbatch;
    if (t->samples < micro)
        return error_set(error, MIEN_EINVAL, "%zu samples do not fill a microbatch of %zu", t->samples, micro);
    if (t->samples < (size_t)config->batch)
        config->batch = (int)(t->samples / micro * micro);
    size_t rank = (size_t)t->group.rank, size = (size_t)t->group.size;
    t->all_slots = (size_t)config->batch / micro;
    if (t->all_slots < size)
        return error_set(error, MIEN_EINVAL, "batch: %zu microbatches are too few for %zu processes", t->all_slots,
                         size);
    t->first_slot = t->all_slots * rank / size;
    t->slots = t->all_slots * (rank + 1) / size - t->first_slot;
    t->steps = t->samples / (size_t)config->batch;
    t->order = memory_array(t->samples, sizeof(*t->order));
    return t->order ? MIEN_OK : error_no_memory(error, t->samples * sizeof(*t->order));
}

mien_status trainer_load_model(const trainer *t, const char *name, model *out, mien_error *error)
{
    return t->load ? t->load(name, out, error) : model_load(name, NULL, out, error);
}

/* The mean of what was taken before, from `times` models, and of this one. */
static void trainer_take_weight(nn_weight *to, const nn_weight *from, int times)
{
    for (size_t i = 0; i < to->count; i++)
        to->data[i] = times ? to->data[i] + (from->data[i] - to->data[i]) / (float)(times + 1) : from->data[i];
}

/* Weights of the same name and shape are taken over from another model: the greater part of them, or it is a model of
 * something else and the run would begin at random without anybody noticing. times[w]: models that had weight w. */
static mien_status trainer_take_model(trainer *t, const char *path, int *times, mien_error *error)
{
    model from = {0};
    mien_status status = trainer_load_model(t, path, &from, error);
    if (status)
        return status;
    size_t taken = 0, all = 0;
    for (int w = 0; w < t->network.graph.weight_count; w++) {
        nn_weight *to = &t->network.graph.weights[w];
        all += to->count;
        for (int k = 0; k < from.graph.weight_count; k++) {
            const nn_weight *weight = &from.graph.weights[k];
            if (strcmp(to->name, weight->name) != 0 || !nn_shape_equal(&to->shape, &weight->shape))
                continue;
            trainer_take_weight(to, weight, times[w]++);
            taken += to->count;
            break;
        }
    }
    model_done(&from);
    if (2 * taken >= all)
        return MIEN_OK;
    return error_set(error, MIEN_EUNSUPPORTED,
                     "init: of the %zu numbers of %s, %s has %zu in weights of the same name "
                     "and shape",
                     all, t->config.arch, path, taken);
}

/* Models that grew out of one another lie in one valley of the loss, where the mean of their weights is as good as the
 * mean of their answers, if the statistics of normalisation are measured anew for it (Wortsman et al. 2022, "model
 * soups"; Jordan et al. 2022, "REPAIR"). */
static mien_status trainer_take_weights(trainer *t, mien_error *error)
{
    int *times = memory_zeroed((size_t)t->network.graph.weight_count, sizeof *times);
    char *list = memory_text(t->config.init), *rest = NULL;
    mien_status status = times && list ? MIEN_OK : error_no_memory(error, strlen(t->config.init));
    size_t models = 0;
    for (char *path = status ? NULL : strtok_r(list, ",", &rest); path && !status; path = strtok_r(NULL, ",", &rest)) {
        status = trainer_take_model(t, path + strspn(path, " "), times, error);
        models++;
    }
    if (!status && !models)
        status = error_set(error, MIEN_EINVAL, "init: '%.40s' names no model", t->config.init);
    memory_free(list);
    memory_free(times);
    return status;
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

nn_precision trainer_precision(const trainer *t)
{
    nn_precision precision = NN_F32;
    nn_precision_from_name(t->config.precision, &precision);
    return precision;
}

static mien_status trainer_equip(trainer *t, trainer_worker *worker, mien_error *error)
{
    nn_tape_options options = {
        .microbatch = t->config.microbatch, .height = t->height, .width = t->width, .precision = trainer_precision(t)};
    mien_status status = nn_tape_create(&t->network.graph, &options, &worker->tape, error);
    for (int o = 0; !status && o < t->outputs; o++) {
        nn_shape shape = nn_tape_output_shape(worker->tape, (size_t)o);
        worker->gradient_counts[o] = nn_shape_count(&shape);
        worker->gradients[o] = memory_zeroed(worker->gradient_counts[o], sizeof(float));
        if (!worker->gradients[o])
            status = error_no_memory(error, worker->gradient_counts[o] * sizeof(float));
    }
    return status ? status : t->task->equip(t, worker, error);
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
    return status || !t->task->begin ? status : t->task->begin(t, error);
}

/* Asks the task for samples and a network. */
static mien_status trainer_open(trainer *t, mien_error *error)
{
    mien_status status = trainer_check(&t->config, error);
    if (!status)
        status = t->task->open(t, error);
    if (!status && *t->config.init)
        status = trainer_take_weights(t, error);
    if (!status)
        status = trainer_divide(t, error);
    t->outputs = t->network.graph.output_count;
    if (!status && t->outputs > TRAINER_MOST_OUTPUTS)
        status = error_set(error, MIEN_EUNSUPPORTED, "a network of %d outputs", t->outputs);
    return status;
}

static mien_status trainer_prepare(trainer *t, mien_error *error)
{
    mien_status status = trainer_open(t, error);
    if (status)
        return status;
    uint8_t *frozen = trainer_frozen(t);
    if (!frozen)
        return error_no_memory(error, (size_t)t->network.graph.weight_count);
    if (!memchr(frozen, 0, (size_t)t->network.graph.weight_count)) {
        memory_free(frozen);
        return error_set(error, MIEN_EINVAL, "freeze: %d layers are all that %s has; nothing is left to train",
                         t->config.freeze, t->config.arch);
    }
    status = optimizer_create(&t->network.graph, &t->config, t->slots, t->all_slots, frozen, &t->opt, error);
    memory_free(frozen);
    if (!status)
        status = trainer_staff(t, error);
    if (status)
        return status;
    t->version = 1;
    t->ordered_epoch = -1;
    t->now.best_epoch = -1;
    t->now.best_score = -1;
    t->now.schedule.best = -1;
    t->now.samples = (int64_t)t->samples;
    t->now.parameters = (int64_t)optimizer_count(t->opt);
    return MIEN_OK;
}

mien_status trainer_start(const train_config *config, const trainer_task *task, void *own, const trainer_place *place,
                          trainer **out, mien_error *error)
{
    static const trainer_place alone = {0};
    trainer *t = memory_zeroed(1, sizeof(*t));
    if (!t) {
        trainer abandoned = {.own = own};
        task->close(&abandoned);
        return error_no_memory(error, sizeof(*t));
    }
    t->config = *config;
    t->task = task;
    t->own = own;
    if (!place)
        place = &alone;
    t->load = place->load;
    t->group = place->group ? *place->group : (cluster){.rank = 0, .size = 1};
    t->command = memory_text(place->command ? place->command : "");
    mien_status status = t->command ? trainer_prepare(t, error) : error_no_memory(error, sizeof(*t));
    if (status)
        trainer_destroy(&t);
    else
        *out = t;
    return status;
}

static void trainer_dismiss(const trainer_task *task, trainer_worker *worker)
{
    nn_tape_destroy(&worker->tape);
    for (int o = 0; o < TRAINER_MOST_OUTPUTS; o++)
        memory_free(worker->gradients[o]);
    task->dismiss(worker);
}

void trainer_destroy(trainer **out)
{
    if (!out || !*out)
        return;
    trainer *t = *out;
    for (size_t w = 0; t->workers && w < (size_t)t->config.threads; w++)
        trainer_dismiss(t->task, &t->workers[w]);
    memory_free(t->workers);
    memory_free(t->slot);
    thread_pool_destroy(&t->pool);
    optimizer_destroy(&t->opt);
    model_done(&t->network);
    memory_free(t->order);
    t->task->close(t);
    memory_free(t->command);
    memory_free(t);
    *out = NULL;
}

trainer_rows trainer_count_rows(const trainer *t)
{
    return t->rows;
}

const float *trainer_parameters(const trainer *t, size_t *count)
{
    *count = optimizer_count(t->opt);
    return optimizer_parameters(t->opt);
}
