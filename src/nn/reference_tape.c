/* The tape in plain C, for tests: every node's value and gradient has memory of its own, and each operator is the one
 * of nn/reference.h and nn/reference_backward.h. Always f32; the precision asked for is ignored. */
#include "base/error.h"
#include "base/memory.h"
#include "nn/reference_backward.h"
#include "nn/tape_backend.h"

#include <string.h>

typedef struct reference_node {
    float *value, *gradient;
    float *mean, *variance; /* batch normalisation */
    uint8_t *keep;          /* dropout */
} reference_node;

typedef struct reference_tape {
    const nn_graph *graph;
    nn_shape *shapes;
    size_t *offsets;
    bool *used, *needs_gradient;
    reference_node *nodes;
    nn_weight *weights; /* the graph's, with data in `flat` */
    float *flat;        /* a copy of the parameters */
    size_t length;
    float *positions;
    bool trained;
    memory_arena arena;
} reference_tape;

static void destroy(void *state)
{
    reference_tape *tape = state;
    memory_arena_done(&tape->arena);
    memory_free(tape);
}

static bool take_arrays(reference_tape *tape)
{
    size_t nodes = (size_t)tape->graph->node_count, weights = (size_t)tape->graph->weight_count + 1;
    tape->shapes = memory_arena_take(&tape->arena, nodes, sizeof *tape->shapes);
    tape->used = memory_arena_take(&tape->arena, nodes, sizeof *tape->used);
    tape->needs_gradient = memory_arena_take(&tape->arena, nodes, sizeof *tape->needs_gradient);
    tape->nodes = memory_arena_take(&tape->arena, nodes, sizeof *tape->nodes);
    tape->offsets = memory_arena_take(&tape->arena, weights, sizeof *tape->offsets);
    tape->weights = memory_arena_take(&tape->arena, weights, sizeof *tape->weights);
    return tape->shapes && tape->used && tape->needs_gradient && tape->nodes && tape->offsets && tape->weights;
}

static bool take_weights(reference_tape *tape)
{
    tape->length = nn_parameters_layout(tape->graph, tape->offsets);
    tape->flat = memory_arena_take(&tape->arena, tape->length + 1, sizeof(float));
    for (int i = 0; i < tape->graph->weight_count && tape->flat; i++) {
        tape->weights[i] = tape->graph->weights[i];
        tape->weights[i].data = tape->flat + tape->offsets[i];
    }
    return tape->flat != NULL;
}

static bool take_nodes(reference_tape *tape)
{
    size_t most = 1;
    for (int i = 0; i < tape->graph->node_count; i++) {
        reference_node *node = &tape->nodes[i];
        size_t count = nn_shape_count(&tape->shapes[i]), channels = (size_t)tape->shapes[i].dim[1], all = count;
        for (int k = 0; k < tape->graph->nodes[i].input_count; k++)
            all += nn_shape_count(&tape->shapes[tape->graph->nodes[i].inputs[k]]);
        most = all > most ? all : most;
        node->value = memory_arena_take(&tape->arena, count, sizeof(float));
        node->gradient = memory_arena_take(&tape->arena, count, sizeof(float));
        node->mean = memory_arena_take(&tape->arena, channels, sizeof(float));
        node->variance = memory_arena_take(&tape->arena, channels, sizeof(float));
        node->keep = memory_arena_take(&tape->arena, count, 1);
        if (!node->value || !node->gradient || !node->mean || !node->variance || !node->keep)
            return false;
    }
    if (most < NN_REFERENCE_MOST)
        tape->positions = memory_arena_take(&tape->arena, most, sizeof(float));
    return most >= NN_REFERENCE_MOST || tape->positions;
}

static mien_status build(reference_tape *tape, const nn_tape_options *options, mien_error *error)
{
    if (!take_arrays(tape))
        return error_no_memory(error, 0);
    mien_status status =
        nn_graph_shapes(tape->graph, options->microbatch, options->height, options->width, tape->shapes, error);
    if (status)
        return status;
    tape_mark(tape->graph, tape->used, tape->needs_gradient);
    if (!take_weights(tape) || !take_nodes(tape))
        return error_no_memory(error, tape->arena.used);
    if (!tape->positions)
        return error_set(error, MIEN_ELIMIT, "too large for the reference: %d numbers a node", NN_REFERENCE_MOST);
    return MIEN_OK;
}

static mien_status create(const nn_graph *graph, const nn_tape_options *options, void **state, mien_error *error)
{
    reference_tape *tape = memory_zeroed(1, sizeof *tape);
    if (!tape)
        return error_no_memory(error, sizeof *tape);
    tape->graph = graph;
    mien_status status = build(tape, options, error);
    if (status)
        destroy(tape);
    else
        *state = tape;
    return status;
}

static nn_reference_call call_of(const reference_tape *tape, int index)
{
    const nn_node *node = &tape->graph->nodes[index];
    nn_reference_call call = {
        .node = node, .weights = tape->weights, .to = &tape->shapes[index], .output = tape->nodes[index].value};
    for (int k = 0; k < node->input_count; k++) {
        call.from[k] = &tape->shapes[node->inputs[k]];
        call.inputs[k] = tape->nodes[node->inputs[k]].value;
    }
    return call;
}

static mien_status forward(void *state, const float *parameters, bool fresh, bool training, uint64_t seed,
                           mien_error *error)
{
    reference_tape *tape = state;
    (void)fresh;
    (void)error;
    memcpy(tape->flat, parameters, tape->length * sizeof(float));
    for (int i = 0; i < tape->graph->node_count; i++) {
        const nn_node *node = &tape->graph->nodes[i];
        nn_reference_call call = call_of(tape, i);
        if (!tape->used[i])
            continue;
        if (training && node->op == NN_BATCH_NORM) {
            nn_reference_norm_train(&call, tape->nodes[i].mean, tape->nodes[i].variance);
        } else if (training && node->op == NN_DROPOUT) {
            tape_draw_mask(node->alpha, seed, (uint64_t)i, tape->nodes[i].keep, nn_shape_count(call.to));
            nn_reference_dropout_train(&call, tape->nodes[i].keep);
        } else {
            nn_reference_apply(&call);
        }
    }
    tape->trained = training;
    return MIEN_OK;
}

static void node_backward(reference_tape *tape, int index, float *gradients)
{
    const nn_node *node = &tape->graph->nodes[index];
    const reference_node *own = &tape->nodes[index];
    nn_reference_call call = call_of(tape, index);
    nn_reference_gradients g = {.call = &call,
                                .output = own->gradient,
                                .mean = own->mean,
                                .variance = own->variance,
                                .keep = own->keep,
                                .positions = tape->positions};
    for (int k = 0; k < node->input_count; k++)
        g.inputs[k] = tape->needs_gradient[node->inputs[k]] ? tape->nodes[node->inputs[k]].gradient : NULL;
    for (int slot = 0; slot < 4; slot++) {
        int weight = node->weights[slot];
        if (weight >= 0 && (tape->graph->weights[weight].flags & NN_WEIGHT_TRAINABLE))
            g.weights[slot] = gradients + tape->offsets[weight];
    }
    nn_reference_backward(&g);
}

static void report_statistics(const reference_tape *tape, int index, float *gradients)
{
    const nn_node *node = &tape->graph->nodes[index];
    size_t channels = (size_t)tape->shapes[index].dim[1], count = nn_shape_count(&tape->shapes[index]) / channels;
    float unbias = count > 1 ? (float)((double)count / (double)(count - 1)) : 1.0f;
    for (size_t c = 0; c < channels; c++) {
        gradients[tape->offsets[node->weights[2]] + c] += tape->nodes[index].mean[c];
        gradients[tape->offsets[node->weights[3]] + c] += tape->nodes[index].variance[c] * unbias;
    }
}

static mien_status backward(void *state, const float *const *output_gradients, float *gradients, mien_error *error)
{
    reference_tape *tape = state;
    const nn_graph *graph = tape->graph;
    if (!tape->trained)
        return error_set(error, MIEN_EINVAL, "backward without a training forward before it");
    tape->trained = false;
    for (int i = 0; i < graph->node_count; i++)
        memset(tape->nodes[i].gradient, 0, nn_shape_count(&tape->shapes[i]) * sizeof(float));
    for (int o = 0; o < graph->output_count; o++) {
        int node = tape_output_node(graph, (size_t)o);
        for (size_t i = 0; output_gradients[o] && i < nn_shape_count(&tape->shapes[node]); i++)
            tape->nodes[node].gradient[i] += output_gradients[o][i];
    }
    for (int i = graph->node_count - 1; i >= 0; i--) {
        if (tape->used[i] && graph->nodes[i].op == NN_BATCH_NORM)
            report_statistics(tape, i, gradients);
        if (tape->used[i] && tape->needs_gradient[i])
            node_backward(tape, i, gradients);
    }
    return MIEN_OK;
}

static float *input(void *state)
{
    reference_tape *tape = state;
    return tape->nodes[nn_graph_input(tape->graph)].value;
}

static nn_shape output_shape(const void *state, size_t output)
{
    const reference_tape *tape = state;
    return tape->shapes[tape_output_node(tape->graph, output)];
}

static const float *output(const void *state, size_t output)
{
    const reference_tape *tape = state;
    return tape->nodes[tape_output_node(tape->graph, output)].value;
}

const tape_backend tape_reference = {create, destroy, input, output_shape, output, forward, backward};
