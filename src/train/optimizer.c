/* SGD with Nesterov momentum (as Sutskever et al. 2013, in the form most frameworks use), Adam (Kingma & Ba 2015) and
 * AdamW (Loshchilov & Hutter 2019). The parameters are cut into pieces of at most 16 Ki floats that do not cross
 * weights; pieces go to the pool's threads, sums over microbatches and over pieces are in a fixed order, so the threads
 * never show. */
#include "train/optimizer.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"

enum { OPTIMIZER_PIECE = 16384, OPTIMIZER_GROUP = 8 };

typedef enum optimizer_kind { OPTIMIZER_SGD = 0, OPTIMIZER_ADAM, OPTIMIZER_ADAMW } optimizer_kind;

typedef struct optimizer_piece {
    size_t begin, length;
    unsigned flags;
    float statistic_momentum;
    bool frozen;
    double square; /* of this piece's gradient */
} optimizer_piece;

struct optimizer {
    optimizer_kind kind;
    float momentum, beta2, epsilon, decay, clip, ema;
    size_t count, slots, all_slots;
    float *parameters, *average, *first, *second;
    float **gradients;
    optimizer_piece *pieces;
    size_t piece_count;
    uint64_t steps;
    /* of the step in progress */
    float rate, scale, bias1, bias2, average_decay;
};

static size_t optimizer_count_pieces(const nn_graph *graph)
{
    size_t count = 0;
    for (int w = 0; w < graph->weight_count; w++)
        count += (graph->weights[w].count + OPTIMIZER_PIECE - 1) / OPTIMIZER_PIECE;
    return count;
}

/* Running statistics move with the momentum of the normalisation that they belong to. */
static float optimizer_statistic_momentum(const nn_graph *graph, int weight)
{
    for (int n = 0; n < graph->node_count; n++) {
        const nn_node *node = &graph->nodes[n];
        if (node->op == NN_BATCH_NORM && (node->weights[2] == weight || node->weights[3] == weight))
            return node->momentum;
    }
    return 0.9f;
}

static mien_status optimizer_cut(optimizer *opt, const nn_graph *graph, const uint8_t *frozen, mien_error *error)
{
    size_t *offset = memory_zeroed((size_t)graph->weight_count + 1, sizeof(*offset));
    opt->pieces = memory_zeroed(optimizer_count_pieces(graph) + 1, sizeof(*opt->pieces));
    if (!offset || !opt->pieces) {
        memory_free(offset);
        return error_no_memory(error, optimizer_count_pieces(graph) * sizeof(*opt->pieces));
    }
    opt->count = nn_parameters_layout(graph, offset);
    for (int w = 0; w < graph->weight_count; w++) {
        const nn_weight *weight = &graph->weights[w];
        float momentum = optimizer_statistic_momentum(graph, w);
        for (size_t at = 0; at < weight->count; at += OPTIMIZER_PIECE) {
            size_t left = weight->count - at;
            opt->pieces[opt->piece_count++] = (optimizer_piece){
                .begin = offset[w] + at,
                .length = left < OPTIMIZER_PIECE ? left : OPTIMIZER_PIECE,
                .flags = weight->flags,
                .statistic_momentum = momentum,
                .frozen = frozen && frozen[w],
            };
        }
    }
    memory_free(offset);
    return MIEN_OK;
}

static float *optimizer_array(size_t count)
{
    float *array = memory_aligned(count, sizeof(float));
    if (array)
        memset(array, 0, count * sizeof(float));
    return array;
}

static mien_status optimizer_allocate(optimizer *opt, mien_error *error)
{
    bool good = true;
    opt->parameters = optimizer_array(opt->count);
    opt->first = optimizer_array(opt->count);
    opt->second = opt->kind == OPTIMIZER_SGD ? NULL : optimizer_array(opt->count);
    opt->average = opt->ema > 0 ? optimizer_array(opt->count) : NULL;
    opt->gradients = memory_zeroed(opt->slots, sizeof(*opt->gradients));
    for (size_t i = 0; opt->gradients && i < opt->slots; i++)
        good = (opt->gradients[i] = optimizer_array(opt->count)) && good;
    good = good && opt->parameters && opt->first && opt->gradients && (opt->kind == OPTIMIZER_SGD || opt->second) &&
           (opt->ema <= 0 || opt->average);
    return good ? MIEN_OK : error_no_memory(error, (opt->slots + 4) * opt->count * sizeof(float));
}

mien_status optimizer_create(const nn_graph *graph, const train_config *config, size_t slots, size_t all_slots,
                             const uint8_t *frozen, optimizer **out, mien_error *error)
{
    optimizer *opt = memory_zeroed(1, sizeof(*opt));
    if (!opt)
        return error_no_memory(error, sizeof(*opt));
    opt->kind = !strcmp(config->optimizer, "sgd")    ? OPTIMIZER_SGD
                : !strcmp(config->optimizer, "adam") ? OPTIMIZER_ADAM
                                                     : OPTIMIZER_ADAMW;
    opt->momentum = config->momentum;
    opt->beta2 = config->beta2;
    opt->epsilon = config->epsilon;
    opt->decay = config->weight_decay;
    opt->clip = config->clip;
    opt->ema = config->ema;
    opt->slots = slots;
    opt->all_slots = all_slots;
    mien_status status = optimizer_cut(opt, graph, frozen, error);
    if (!status)
        status = optimizer_allocate(opt, error);
    if (status) {
        optimizer_destroy(&opt);
        return status;
    }
    nn_parameters_from_graph(graph, opt->parameters);
    if (opt->average)
        memcpy(opt->average, opt->parameters, opt->count * sizeof(float));
    *out = opt;
    return MIEN_OK;
}

void optimizer_destroy(optimizer **opt)
{
    if (!opt || !*opt)
        return;
    for (size_t i = 0; (*opt)->gradients && i < (*opt)->slots; i++)
        memory_free((*opt)->gradients[i]);
    memory_free((*opt)->gradients);
    memory_free((*opt)->parameters);
    memory_free((*opt)->average);
    memory_free((*opt)->first);
    memory_free((*opt)->second);
    memory_free((*opt)->pieces);
    memory_free(*opt);
    *opt = NULL;
}

size_t optimizer_count(const optimizer *opt)
{
    return opt->count;
}

float *optimizer_parameters(optimizer *opt)
{
    return opt->parameters;
}

float *optimizer_average(optimizer *opt)
{
    return opt->average ? opt->average : opt->parameters;
}

float *optimizer_gradient(optimizer *opt, size_t slot)
{
    return opt->gradients[slot];
}

/* Sums the slots into the first one. */
static void optimizer_sum_piece(optimizer *opt, const optimizer_piece *piece)
{
    float *sum = opt->gradients[0] + piece->begin;
    for (size_t s = 1; s < opt->slots; s++) {
        const float *add = opt->gradients[s] + piece->begin;
        for (size_t i = 0; i < piece->length; i++)
            sum[i] += add[i];
    }
}

static void optimizer_measure_piece(optimizer *opt, optimizer_piece *piece)
{
    const float *sum = opt->gradients[0] + piece->begin;
    double square = 0;
    piece->square = 0;
    if (!(piece->flags & NN_WEIGHT_TRAINABLE) || piece->frozen)
        return;
    for (size_t i = 0; i < piece->length; i++)
        square += (double)sum[i] * (double)sum[i];
    piece->square = square;
}

static void optimizer_move_statistic(const optimizer *opt, const optimizer_piece *piece)
{
    const float *sum = opt->gradients[0] + piece->begin;
    float *value = opt->parameters + piece->begin;
    float keep = piece->statistic_momentum, share = (1 - keep) / (float)opt->all_slots;
    for (size_t i = 0; i < piece->length; i++)
        value[i] = keep * value[i] + share * sum[i];
}

static void optimizer_move_sgd(const optimizer *opt, const optimizer_piece *piece)
{
    const float *gradient = opt->gradients[0] + piece->begin;
    float *value = opt->parameters + piece->begin, *velocity = opt->first + piece->begin;
    float decay = piece->flags & NN_WEIGHT_DECAY ? opt->decay : 0, momentum = opt->momentum;
    for (size_t i = 0; i < piece->length; i++) {
        float g = gradient[i] * opt->scale + decay * value[i];
        velocity[i] = momentum * velocity[i] + g;
        value[i] -= opt->rate * (g + momentum * velocity[i]);
    }
}

static void optimizer_move_adam(const optimizer *opt, const optimizer_piece *piece)
{
    const float *gradient = opt->gradients[0] + piece->begin;
    float *value = opt->parameters + piece->begin;
    float *first = opt->first + piece->begin, *second = opt->second + piece->begin;
    float decay = piece->flags & NN_WEIGHT_DECAY ? opt->decay : 0;
    float coupled = opt->kind == OPTIMIZER_ADAM ? decay : 0, apart = opt->kind == OPTIMIZER_ADAMW ? decay : 0;
    float b1 = opt->momentum, b2 = opt->beta2;
    for (size_t i = 0; i < piece->length; i++) {
        float g = gradient[i] * opt->scale + coupled * value[i];
        first[i] = b1 * first[i] + (1 - b1) * g;
        second[i] = b2 * second[i] + (1 - b2) * g * g;
        float step = first[i] * opt->bias1 / (sqrtf(second[i] * opt->bias2) + opt->epsilon);
        value[i] -= opt->rate * (step + apart * value[i]);
    }
}

static void optimizer_move_average(const optimizer *opt, const optimizer_piece *piece)
{
    float *average = opt->average + piece->begin;
    const float *value = opt->parameters + piece->begin;
    for (size_t i = 0; i < piece->length; i++)
        average[i] += (1 - opt->average_decay) * (value[i] - average[i]);
}

/* Pieces are handed out in small groups: normalisations have many that are too short to be a job each. */
static void optimizer_sum_task(void *context, size_t index, size_t worker)
{
    (void)worker;
    optimizer *opt = context;
    for (size_t i = index * OPTIMIZER_GROUP; i < opt->piece_count && i < (index + 1) * OPTIMIZER_GROUP; i++)
        optimizer_sum_piece(opt, &opt->pieces[i]);
}

static void optimizer_measure_task(void *context, size_t index, size_t worker)
{
    (void)worker;
    optimizer *opt = context;
    for (size_t i = index * OPTIMIZER_GROUP; i < opt->piece_count && i < (index + 1) * OPTIMIZER_GROUP; i++)
        optimizer_measure_piece(opt, &opt->pieces[i]);
}

static void optimizer_move_task(void *context, size_t index, size_t worker)
{
    (void)worker;
    const optimizer *opt = context;
    for (size_t i = index * OPTIMIZER_GROUP; i < opt->piece_count && i < (index + 1) * OPTIMIZER_GROUP; i++) {
        const optimizer_piece *piece = &opt->pieces[i];
        if (piece->frozen)
            continue;
        if (piece->flags & NN_WEIGHT_STATISTIC)
            optimizer_move_statistic(opt, piece);
        else if ((piece->flags & NN_WEIGHT_TRAINABLE) && opt->kind == OPTIMIZER_SGD)
            optimizer_move_sgd(opt, piece);
        else if (piece->flags & NN_WEIGHT_TRAINABLE)
            optimizer_move_adam(opt, piece);
        if (opt->average)
            optimizer_move_average(opt, piece);
    }
}

mien_status optimizer_step(optimizer *opt, thread_pool *pool, const cluster *group, double rate, double *norm_out,
                           mien_error *error)
{
    size_t groups = (opt->piece_count + OPTIMIZER_GROUP - 1) / OPTIMIZER_GROUP;
    thread_pool_run(pool, groups, optimizer_sum_task, opt);
    mien_status status = cluster_sum_floats(group, opt->gradients[0], opt->count, error);
    if (status)
        return status;
    thread_pool_run(pool, groups, optimizer_measure_task, opt);
    double square = 0;
    for (size_t i = 0; i < opt->piece_count; i++)
        square += opt->pieces[i].square;
    double norm = sqrt(square);
    /* one such step would make every weight a NaN, and the next checkpoint as well */
    if (!isfinite(norm))
        return error_set(error, MIEN_ELIMIT, "the gradient is not finite any more");
    opt->steps++;
    opt->rate = (float)rate;
    opt->scale = opt->clip > 0 && norm > (double)opt->clip ? (float)((double)opt->clip / norm) : 1;
    opt->bias1 = (float)(1 / (1 - pow((double)opt->momentum, (double)opt->steps)));
    opt->bias2 = (float)(1 / (1 - pow((double)opt->beta2, (double)opt->steps)));
    /* the first steps' weights are worth little: the average follows quickly at first */
    opt->average_decay = fminf(opt->ema, (1 + (float)opt->steps) / (10 + (float)opt->steps));
    thread_pool_run(pool, groups, optimizer_move_task, opt);
    *norm_out = norm;
    return MIEN_OK;
}

mien_status optimizer_set_statistics(optimizer *opt, thread_pool *pool, const cluster *group, size_t rounds,
                                     mien_error *error)
{
    thread_pool_run(pool, (opt->piece_count + OPTIMIZER_GROUP - 1) / OPTIMIZER_GROUP, optimizer_sum_task, opt);
    mien_status status = cluster_sum_floats(group, opt->gradients[0], opt->count, error);
    float share = 1 / (float)(opt->all_slots * rounds), *average = optimizer_average(opt);
    for (size_t p = 0; p < opt->piece_count && !status; p++) {
        const optimizer_piece *piece = &opt->pieces[p];
        for (size_t i = 0; piece->flags & NN_WEIGHT_STATISTIC && !piece->frozen && i < piece->length; i++)
            average[piece->begin + i] = opt->gradients[0][piece->begin + i] * share;
    }
    return status;
}

void optimizer_state(optimizer *opt, optimizer_visit visit, void *context)
{
    size_t bytes = opt->count * sizeof(float);
    visit(context, &opt->steps, sizeof(opt->steps));
    visit(context, opt->parameters, bytes);
    visit(context, opt->first, bytes);
    if (opt->second)
        visit(context, opt->second, bytes);
    if (opt->average)
        visit(context, opt->average, bytes);
}
