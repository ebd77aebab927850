/* The networks of the sources: their layers in their order, so that their published figures can be set beside ours.
 * They come from Keras, hence biases before normalisation, Keras's epsilon and its way of drawing the first weights:
 * with He's larger ones a third less is learnt in the same steps (models/RESULTS.md). Keras's momentum of 0.99 is not
 * taken over: it matters to no trained network, but at Adam's rate the weights run away from statistics that are a
 * hundred steps old, and every validation of the first epochs measures only that. */
#include "train/architecture.h"

#include <stdio.h>

static int sources_norm(nn_graph *graph, const char *name, int input)
{
    int node = nn_batch_norm(graph, name, input);
    if (node >= 0)
        graph->nodes[node].epsilon = 1e-3f;
    return node;
}

/* The last call of a trunk: its kernels are those weights that decay would touch. */
static int sources_draw_as_keras(nn_graph *graph, int last)
{
    for (int w = 0; w < graph->weight_count; w++)
        if (graph->weights[w].flags & NN_WEIGHT_DECAY)
            graph->weights[w].flags |= NN_WEIGHT_GLOROT;
    return last;
}

static int sources_named(nn_graph *graph, nn_op op, const char *prefix, int number, int input)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%d", prefix, number);
    return nn_unary(graph, op, name, input);
}

int architecture_trunk_baseline(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const int filters[3] = {32, 64, 128};
    int x = input;
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof(name), "conv%d", i + 1);
        x = nn_conv(graph, name, x, filters[i], 3, 1, 1, 1, true);
        snprintf(name, sizeof(name), "norm%d", i + 1);
        x = sources_norm(graph, name, x);
        x = sources_named(graph, NN_RELU, "relu", i + 1, x);
        snprintf(name, sizeof(name), "pool%d", i + 1);
        x = nn_pool(graph, NN_MAX_POOL, name, x, 2, 2, 0);
    }
    x = nn_unary(graph, NN_GLOBAL_AVG_POOL, "average", x);
    x = nn_unary(graph, NN_FLATTEN, "flatten", x);
    x = nn_dropout(graph, "dropout", x, dropout);
    x = nn_dense(graph, "dense", x, 256, true);
    return sources_draw_as_keras(graph, nn_unary(graph, NN_SWISH, "swish", x));
}

int architecture_trunk_atulapra(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    int x = nn_conv(graph, "conv1", input, 32, 3, 1, 0, 1, true);
    x = nn_unary(graph, NN_RELU, "relu1", x);
    x = nn_conv(graph, "conv2", x, 64, 3, 1, 0, 1, true);
    x = nn_unary(graph, NN_RELU, "relu2", x);
    x = nn_pool(graph, NN_MAX_POOL, "pool1", x, 2, 2, 0);
    x = nn_dropout(graph, "dropout1", x, 0.25f);
    x = nn_conv(graph, "conv3", x, 128, 3, 1, 0, 1, true);
    x = nn_unary(graph, NN_RELU, "relu3", x);
    x = nn_pool(graph, NN_MAX_POOL, "pool2", x, 2, 2, 0);
    x = nn_conv(graph, "conv4", x, 128, 3, 1, 0, 1, true);
    x = nn_unary(graph, NN_RELU, "relu4", x);
    x = nn_pool(graph, NN_MAX_POOL, "pool3", x, 2, 2, 0);
    x = nn_dropout(graph, "dropout2", x, 0.25f);
    x = nn_unary(graph, NN_FLATTEN, "flatten", x);
    x = nn_dense(graph, "dense", x, 1024, true);
    x = nn_unary(graph, NN_RELU, "relu5", x);
    return sources_draw_as_keras(graph, nn_dropout(graph, "dropout3", x, dropout));
}

int architecture_trunk_dcnn(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const int filters[3] = {64, 128, 256}, kernels[3] = {5, 3, 3};
    static const float drops[3] = {0.4f, 0.4f, 0.5f};
    int x = input;
    for (int i = 0; i < 6; i++) {
        int stage = i / 2;
        char name[64];
        snprintf(name, sizeof(name), "conv%d", i + 1);
        x = nn_conv(graph, name, x, filters[stage], kernels[stage], 1, kernels[stage] / 2, 1, true);
        x = sources_named(graph, NN_ELU, "elu", i + 1, x);
        snprintf(name, sizeof(name), "norm%d", i + 1);
        x = sources_norm(graph, name, x);
        if (i % 2 == 0)
            continue;
        snprintf(name, sizeof(name), "pool%d", stage + 1);
        x = nn_pool(graph, NN_MAX_POOL, name, x, 2, 2, 0);
        snprintf(name, sizeof(name), "dropout%d", stage + 1);
        x = nn_dropout(graph, name, x, drops[stage]);
    }
    /* flatten and dense 128, written as a convolution over the whole remaining picture */
    int rest = x >= 0 ? (int)graph->nodes[x].shape.dim[2] : 1;
    x = nn_conv(graph, "dense", x, 128, rest, 1, 0, 1, true);
    x = nn_unary(graph, NN_ELU, "elu7", x);
    x = sources_norm(graph, "norm7", x);
    x = nn_unary(graph, NN_FLATTEN, "flatten", x);
    return nn_dropout(graph, "dropout4", x, dropout);
}
