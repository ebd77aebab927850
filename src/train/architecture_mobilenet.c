/* MobileNetV2 (Sandler et al. 2018) at width 1 with the head that a Keras FER-2013 notebook puts on it:
 * convolution 128, pooling, dense 256.
 *
 * The head's convolution sums 11,520 values that are never negative, so an early step of Adam, which moves all weights
 * of a filter about equally far the same way, pushes what comes out by several times its spread: within some dozen
 * steps on a network of random weights nearly every filter is below zero for every picture, its rectifier passes no
 * gradient, and the network answers with the classes' shares for good. Where no trained backbone is below, the
 * convolution is therefore normalised before its rectifier. Inference folds the normalisation into the convolution, so
 * the network that comes out is the notebook's. */
#include "train/architecture.h"

#include <stdio.h>

typedef struct mobilenet_stage {
    int expansion, channels, repeats, stride;
} mobilenet_stage;

static const mobilenet_stage mobilenet_stages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                                                   {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};

/* convolution, normalisation and, where `active`, ReLU6 */
static int mobilenet_conv(nn_graph *graph, const char *block, const char *part, int input, int filters, int kernel,
                          int stride, int groups, bool active)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.%s", block, part);
    int x = nn_conv(graph, name, input, filters, kernel, stride, kernel / 2, groups, false);
    snprintf(name, sizeof(name), "%s.%s.norm", block, part);
    x = nn_batch_norm(graph, name, x);
    snprintf(name, sizeof(name), "%s.%s.relu6", block, part);
    return active ? nn_unary(graph, NN_CLIP, name, x) : x;
}

static int mobilenet_head(nn_graph *graph, int map, float dropout, bool normalised)
{
    int x = nn_conv(graph, "head.conv", map, 128, 3, 1, 1, 1, !normalised);
    if (normalised)
        x = nn_batch_norm(graph, "head.conv.norm", x);
    x = nn_unary(graph, NN_RELU, "head.relu", x);
    x = nn_pool(graph, NN_MAX_POOL, "head.pool", x, 2, 2, 0);
    x = nn_unary(graph, NN_GLOBAL_AVG_POOL, "head.average", x);
    x = nn_unary(graph, NN_FLATTEN, "head.flatten", x);
    x = nn_dropout(graph, "head.dropout", x, dropout);
    x = nn_dense(graph, "head.dense", x, 256, true);
    return nn_unary(graph, NN_SWISH, "head.swish", x);
}

static int mobilenet_block(nn_graph *graph, int number, int input, int in, mobilenet_stage stage, int stride)
{
    char block[32], name[64];
    snprintf(block, sizeof(block), "block%d", number);
    int wide = in * stage.expansion, x = input;
    if (stage.expansion > 1)
        x = mobilenet_conv(graph, block, "expand", x, wide, 1, 1, 1, true);
    x = mobilenet_conv(graph, block, "depthwise", x, wide, 3, stride, wide, true);
    x = mobilenet_conv(graph, block, "project", x, stage.channels, 1, 1, 1, false);
    if (stride != 1 || in != stage.channels)
        return x;
    snprintf(name, sizeof(name), "%s.add", block);
    return nn_binary(graph, NN_ADD, name, x, input);
}

int architecture_trunk_mobilenetv2(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    int x = mobilenet_conv(graph, "stem", "conv", input, 32, 3, 2, 1, true);
    int channels = 32, number = 0;
    for (size_t s = 0; s < sizeof(mobilenet_stages) / sizeof(mobilenet_stages[0]); s++)
        for (int r = 0; r < mobilenet_stages[s].repeats; r++) {
            mobilenet_stage stage = mobilenet_stages[s];
            x = mobilenet_block(graph, ++number, x, channels, stage, r ? 1 : stage.stride);
            channels = stage.channels;
        }
    x = mobilenet_conv(graph, "last", "conv", x, 1280, 1, 1, 1, true);
    return mobilenet_head(graph, x, dropout, true);
}

int architecture_head_mobilenetv2(nn_graph *graph, int map, float dropout)
{
    return mobilenet_head(graph, map, dropout, false);
}
