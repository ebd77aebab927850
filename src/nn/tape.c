/* Training tapes: what oneDNN and plain C share, and the choice between them. */
#include "nn/tape.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/tape_backend.h"

#include <string.h>

enum { PARAMETER_ALIGNMENT = 16 };

struct nn_tape {
    const tape_backend *backend;
    void *state;
};

size_t nn_parameters_layout(const nn_graph *graph, size_t *offset)
{
    size_t length = 0; /* NN_MAX_NODES × NN_MAX_WEIGHT fits */
    for (int i = 0; i < graph->weight_count; i++) {
        offset[i] = length;
        length += (graph->weights[i].count + PARAMETER_ALIGNMENT - 1) / PARAMETER_ALIGNMENT * PARAMETER_ALIGNMENT;
    }
    return length;
}

static size_t padded_count(const nn_weight *weight)
{
    return (weight->count + PARAMETER_ALIGNMENT - 1) / PARAMETER_ALIGNMENT * PARAMETER_ALIGNMENT;
}

void nn_parameters_from_graph(const nn_graph *graph, float *flat)
{
    for (int i = 0; i < graph->weight_count; i++) {
        const nn_weight *weight = &graph->weights[i];
        memcpy(flat, weight->data, weight->count * sizeof(float));
        memset(flat + weight->count, 0, (padded_count(weight) - weight->count) * sizeof(float));
        flat += padded_count(weight);
    }
}

void nn_parameters_to_graph(const float *flat, nn_graph *graph)
{
    for (int i = 0; i < graph->weight_count; i++) {
        memcpy(graph->weights[i].data, flat, graph->weights[i].count * sizeof(float));
        flat += padded_count(&graph->weights[i]);
    }
}

int tape_output_node(const nn_graph *graph, size_t output)
{
    int node = graph->outputs[output];
    return graph->nodes[node].op == NN_SOFTMAX ? graph->nodes[node].inputs[0] : node;
}

void tape_mark(const nn_graph *graph, bool *used, bool *gradient)
{
    memset(used, 0, (size_t)graph->node_count * sizeof *used);
    for (int o = 0; o < graph->output_count; o++)
        used[tape_output_node(graph, (size_t)o)] = true;
    for (int i = graph->node_count - 1; i >= 0; i--)
        for (int k = 0; used[i] && k < graph->nodes[i].input_count; k++)
            used[graph->nodes[i].inputs[k]] = true;
    for (int i = 0; i < graph->node_count; i++) {
        const nn_node *node = &graph->nodes[i];
        gradient[i] = false;
        for (int slot = 0; slot < 4; slot++)
            if (node->weights[slot] >= 0 && (graph->weights[node->weights[slot]].flags & NN_WEIGHT_TRAINABLE))
                gradient[i] = true;
        for (int k = 0; k < node->input_count; k++)
            gradient[i] = gradient[i] || gradient[node->inputs[k]];
    }
}

void tape_draw_mask(float probability, uint64_t seed, uint64_t node, uint8_t *keep, size_t count)
{
    uint32_t threshold = (uint32_t)(probability * 65536.0f + 0.5f);
    random_state random;
    random_seed(&random, seed, node);
    for (size_t i = 0; i < count; i += 4) {
        uint64_t bits = random_next(&random);
        for (size_t k = i; k < i + 4 && k < count; k++, bits >>= 16)
            keep[k] = (bits & 0xffff) >= threshold;
    }
}

/* What came for reading other programs' networks has no backward pass: none of our own is made of it. */
static bool trains(const nn_graph *graph, const nn_node *node)
{
    switch (node->op) {
    case NN_ERF:
    case NN_CONV_TRANSPOSE:
    case NN_LAYER_NORM:
    case NN_CHANNEL_MEAN:
    case NN_CHANNEL_MAX:
        return false;
    case NN_ADD:
    case NN_SUB:
    case NN_MUL:
    case NN_DIV: { /* not with one number for each pixel, [N,1,H,W] */
        const nn_shape *first = &graph->nodes[node->inputs[0]].shape, *second = &graph->nodes[node->inputs[1]].shape;
        return second->dim[1] == first->dim[1];
    }
    default:
        return true;
    }
}

static mien_status check_operators(const nn_graph *graph, mien_error *error)
{
    for (int i = 0; i < graph->node_count; i++) {
        const nn_node *node = &graph->nodes[i];
        if (!trains(graph, node))
            return error_set(error, MIEN_EUNSUPPORTED, "node %.100s (%s): mien runs it but does not train it",
                             node->name, nn_op_name(node->op));
    }
    return MIEN_OK;
}

static mien_status check_graph(const nn_graph *graph, const nn_tape_options *options, mien_error *error)
{
    if (graph->failed)
        return error_set(error, graph->failed, "%s", graph->error.message);
    int inputs = 0;
    for (int i = 0; i < graph->node_count; i++)
        inputs += graph->nodes[i].op == NN_INPUT;
    if (inputs != 1)
        return error_set(error, MIEN_EUNSUPPORTED, "training takes one input, the network has %d", inputs);
    if (graph->output_count < 1)
        return error_set(error, MIEN_EINVAL, "the network has no output");
    if (options->microbatch < 1)
        return error_set(error, MIEN_EINVAL, "a microbatch of %d images", options->microbatch);
    if (options->precision != NN_F32 && options->precision != NN_BF16)
        return error_set(error, MIEN_EUNSUPPORTED, "training works in f32 and bf16");
    return check_operators(graph, error);
}

mien_status nn_tape_create(const nn_graph *graph, const nn_tape_options *options, nn_tape **tape, mien_error *error)
{
    mien_status status = check_graph(graph, options, error);
    if (status)
        return status;
    nn_tape *fresh = memory_zeroed(1, sizeof *fresh);
    if (!fresh)
        return error_no_memory(error, sizeof *fresh);
    fresh->backend = options->reference ? &tape_reference : &tape_onednn;
    status = fresh->backend->create(graph, options, &fresh->state, error);
    if (status)
        memory_free(fresh);
    else
        *tape = fresh;
    return status;
}

void nn_tape_destroy(nn_tape **tape)
{
    if (!tape || !*tape)
        return;
    (*tape)->backend->destroy((*tape)->state);
    memory_free(*tape);
    *tape = NULL;
}

float *nn_tape_input(nn_tape *tape)
{
    return tape->backend->input(tape->state);
}

nn_shape nn_tape_output_shape(const nn_tape *tape, size_t output)
{
    return tape->backend->output_shape(tape->state, output);
}

mien_status nn_tape_forward(nn_tape *tape, const float *parameters, bool fresh, bool training, uint64_t seed,
                            mien_error *error)
{
    return tape->backend->forward(tape->state, parameters, fresh, training, seed, error);
}

const float *nn_tape_output(const nn_tape *tape, size_t output)
{
    return tape->backend->output(tape->state, output);
}

mien_status nn_tape_backward(nn_tape *tape, const float *const *output_gradients, float *gradients, mien_error *error)
{
    return tape->backend->backward(tape->state, output_gradients, gradients, error);
}
