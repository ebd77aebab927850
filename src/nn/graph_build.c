/* Short forms in which architectures are written, and the initialisation of what they create.
 *
 * Initialisation: He et al. 2015 (normal, variance 2/fan-in) for layers that a rectifier follows, which is nearly all
 * of them; Glorot & Bengio 2010 (uniform) for the last dense layer, whose output is a logit. Each weight draws from a
 * stream of its own, so that adding a layer does not change the values of the others. */
#include "nn/graph.h"

#include "base/error.h"
#include "base/random.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NAME_CAPACITY = 256 };

static const float default_epsilon = 1e-5f;
static const float default_momentum = 0.9f;

/* A weight called "<name>.<part>". */
static int named_weight(nn_graph *graph, const char *name, const char *part, nn_shape shape, unsigned flags)
{
    char full[NAME_CAPACITY];
    if (graph->failed)
        return -1;
    if (!name || snprintf(full, sizeof full, "%s.%s", name, part) >= (int)sizeof full) {
        graph->failed = error_set(&graph->error, MIEN_EINVAL, "a layer has no name or one that is too long");
        return -1;
    }
    return nn_graph_weight(graph, full, shape, flags);
}

static int channel_weight(nn_graph *graph, const char *name, const char *part, int64_t channels, unsigned flags)
{
    return named_weight(graph, name, part, (nn_shape){1, {channels}}, flags);
}

/* Shape of an input, or an empty one after a failure; an index that is no node is left for nn_graph_add to refuse. */
static nn_shape shape_of(const nn_graph *graph, int node)
{
    if (graph->failed || node < 0 || node >= graph->node_count)
        return (nn_shape){2, {1, 1}};
    return graph->nodes[node].shape;
}

static nn_node node_of(nn_op op, const char *name, int input)
{
    nn_node node = {.op = op, .name = (char *)name, .input_count = 1, .inputs = {input}};
    for (int i = 0; i < 4; i++)
        node.weights[i] = -1;
    return node;
}

int nn_input(nn_graph *graph, const char *name, int64_t channels, int64_t height, int64_t width)
{
    nn_node node = node_of(NN_INPUT, name, 0);
    node.input_count = 0;
    node.shape = (nn_shape){4, {NN_BATCH, channels, height, width}};
    return nn_graph_add(graph, &node);
}

int nn_conv(nn_graph *graph, const char *name, int input, int filters, int kernel, int stride, int pad, int groups,
            bool bias)
{
    nn_node node = node_of(NN_CONV, name, input);
    int64_t channels = shape_of(graph, input).dim[1] / (groups > 0 ? groups : 1);
    node.weights[0] = named_weight(graph, name, "weight", (nn_shape){4, {filters, channels, kernel, kernel}},
                                   NN_WEIGHT_TRAINABLE | NN_WEIGHT_DECAY);
    if (bias)
        node.weights[1] = channel_weight(graph, name, "bias", filters, NN_WEIGHT_TRAINABLE);
    node.groups = groups;
    node.stride_h = node.stride_w = stride;
    node.pad_top = node.pad_left = node.pad_bottom = node.pad_right = pad;
    return nn_graph_add(graph, &node);
}

int nn_batch_norm(nn_graph *graph, const char *name, int input)
{
    nn_node node = node_of(NN_BATCH_NORM, name, input);
    int64_t channels = shape_of(graph, input).dim[1];
    node.weights[0] = channel_weight(graph, name, "weight", channels, NN_WEIGHT_TRAINABLE);
    node.weights[1] = channel_weight(graph, name, "bias", channels, NN_WEIGHT_TRAINABLE);
    node.weights[2] = channel_weight(graph, name, "running_mean", channels, NN_WEIGHT_STATISTIC);
    node.weights[3] = channel_weight(graph, name, "running_var", channels, NN_WEIGHT_STATISTIC);
    node.epsilon = default_epsilon;
    node.momentum = default_momentum;
    return nn_graph_add(graph, &node);
}

int nn_dense(nn_graph *graph, const char *name, int input, int features, bool bias)
{
    nn_node node = node_of(NN_DENSE, name, input);
    int64_t inputs = shape_of(graph, input).dim[1];
    node.weights[0] =
        named_weight(graph, name, "weight", (nn_shape){2, {features, inputs}}, NN_WEIGHT_TRAINABLE | NN_WEIGHT_DECAY);
    if (bias)
        node.weights[1] = channel_weight(graph, name, "bias", features, NN_WEIGHT_TRAINABLE);
    return nn_graph_add(graph, &node);
}

int nn_unary(nn_graph *graph, nn_op op, const char *name, int input)
{
    nn_node node = node_of(op, name, input);
    switch (op) {
    case NN_LEAKY_RELU:
        node.alpha = 0.01f;
        break;
    case NN_ELU:
        node.alpha = 1.0f;
        break;
    case NN_CLIP:
        node.beta = 6.0f;
        break;
    case NN_HARD_SIGMOID:
        node.alpha = 1.0f / 6.0f;
        node.beta = 0.5f;
        break;
    case NN_PRELU:
        node.weights[0] = channel_weight(graph, name, "slope", shape_of(graph, input).dim[1], NN_WEIGHT_TRAINABLE);
        break;
    default:
        break;
    }
    return nn_graph_add(graph, &node);
}

int nn_binary(nn_graph *graph, nn_op op, const char *name, int a, int b)
{
    nn_node node = node_of(op, name, a);
    node.input_count = 2;
    node.inputs[1] = b;
    return nn_graph_add(graph, &node);
}

int nn_pool(nn_graph *graph, nn_op op, const char *name, int input, int kernel, int stride, int pad)
{
    nn_node node = node_of(op, name, input);
    node.kernel_h = node.kernel_w = kernel;
    node.stride_h = node.stride_w = stride;
    node.pad_top = node.pad_left = node.pad_bottom = node.pad_right = pad;
    return nn_graph_add(graph, &node);
}

int nn_dropout(nn_graph *graph, const char *name, int input, float probability)
{
    nn_node node = node_of(NN_DROPOUT, name, input);
    node.alpha = probability;
    return nn_graph_add(graph, &node);
}

/* Is a node's value an output of the graph, or does it only reach one through a softmax? */
static bool gives_logits(const nn_graph *graph, int node)
{
    for (int i = 0; i < graph->output_count; i++) {
        int output = graph->outputs[i];
        if (output == node || (graph->nodes[output].op == NN_SOFTMAX && graph->nodes[output].inputs[0] == node))
            return true;
    }
    return false;
}

static void fill(nn_weight *weight, float value)
{
    for (size_t i = 0; i < weight->count; i++)
        weight->data[i] = value;
}

/* He et al. 2015 with the numbers that come in, or Glorot & Bengio 2010 with those that come in and go out. */
static void fill_kernel(nn_weight *weight, bool glorot, random_state *random)
{
    double filters = (double)weight->shape.dim[0], inputs = (double)weight->count / filters;
    double outputs =
        weight->shape.rank == 4 ? filters * (double)(weight->shape.dim[2] * weight->shape.dim[3]) : filters;
    float deviation = (float)sqrt(2.0 / inputs);
    float bound = (float)sqrt(6.0 / (inputs + outputs));
    for (size_t i = 0; i < weight->count; i++)
        weight->data[i] = glorot ? random_range(random, -bound, bound) : deviation * random_normal(random);
}

static void initialise_node(nn_graph *graph, int index, uint64_t seed)
{
    static const float statistics[4] = {1, 0, 0, 1}; /* gamma, beta, mean, variance */
    const nn_node *node = &graph->nodes[index];
    for (int slot = 0; slot < 4; slot++) {
        if (node->weights[slot] < 0)
            continue;
        nn_weight *weight = &graph->weights[node->weights[slot]];
        random_state random;
        random_seed(&random, seed, (uint64_t)node->weights[slot]);
        if (node->op == NN_BATCH_NORM)
            fill(weight, statistics[slot]);
        else if (node->op == NN_PRELU)
            fill(weight, 0.25f);
        else if (node->op == NN_SCALE_SHIFT || node->op == NN_LAYER_NORM)
            fill(weight, slot == 0 ? 1.0f : 0.0f);
        else if (slot == 0)
            fill_kernel(weight,
                        weight->flags & NN_WEIGHT_GLOROT || (node->op == NN_DENSE && gives_logits(graph, index)),
                        &random);
        else
            fill(weight, 0.0f);
    }
}

void nn_graph_initialise(nn_graph *graph, uint64_t seed)
{
    if (graph->failed)
        return;
    for (int i = 0; i < graph->node_count; i++)
        initialise_node(graph, i, seed);
}
