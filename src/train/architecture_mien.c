/* Our own family, for 48 x 48 grey faces. Two layers look at the full 48 x 48 before anything is halved: nets that
 * leave it after one underfit. Everything is 3 x 3 convolutions of 32 to 256 channels with normalisation and ReLU,
 * since these run at the machine's peak and fuse; widths double where the sides halve, so that no stage costs much more
 * than another. */
#include "train/architecture.h"

#include <stdio.h>

/* One stage: `plain` convolutions, then `residual` blocks of two, then the sides are halved (but for the last stage).
 */
typedef struct mien_stage {
    int channels, plain, residual;
    int squeeze; /* channels are weighed by what the whole map shows, seen through this many numbers; 0 = not */
} mien_stage;

static int mien_conv(nn_graph *graph, const char *prefix, const char *part, int input, int filters, bool active)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.%s", prefix, part);
    int x = nn_conv(graph, name, input, filters, 3, 1, 1, 1, false);
    snprintf(name, sizeof(name), "%s.%s.norm", prefix, part);
    x = nn_batch_norm(graph, name, x);
    snprintf(name, sizeof(name), "%s.%s.relu", prefix, part);
    return active ? nn_unary(graph, NN_RELU, name, x) : x;
}

static int mien_residual(nn_graph *graph, const char *prefix, int number, int input, int channels)
{
    char block[64], name[96];
    snprintf(block, sizeof(block), "%s.block%d", prefix, number);
    int x = mien_conv(graph, block, "conv1", input, channels, true);
    x = mien_conv(graph, block, "conv2", x, channels, false);
    snprintf(name, sizeof(name), "%s.add", block);
    x = nn_binary(graph, NN_ADD, name, x, input);
    snprintf(name, sizeof(name), "%s.relu", block);
    return nn_unary(graph, NN_RELU, name, x);
}

/* Squeeze and excitation (Hu et al. 2018): each channel times a number in 0..1 that the means of all channels say. */
static int mien_excite(nn_graph *graph, const char *prefix, int input, int channels, int squeeze)
{
    char name[96];
    snprintf(name, sizeof(name), "%s.squeeze", prefix);
    int x = nn_unary(graph, NN_GLOBAL_AVG_POOL, name, input);
    snprintf(name, sizeof(name), "%s.squeeze.conv", prefix);
    x = nn_conv(graph, name, x, squeeze, 1, 1, 0, 1, true);
    snprintf(name, sizeof(name), "%s.squeeze.relu", prefix);
    x = nn_unary(graph, NN_RELU, name, x);
    snprintf(name, sizeof(name), "%s.excite.conv", prefix);
    x = nn_conv(graph, name, x, channels, 1, 1, 0, 1, true);
    snprintf(name, sizeof(name), "%s.excite.gate", prefix);
    x = nn_unary(graph, NN_SIGMOID, name, x);
    snprintf(name, sizeof(name), "%s.excite", prefix);
    return nn_binary(graph, NN_MUL, name, input, x);
}

static int mien_trunk(nn_graph *graph, const mien_stage *stages, int count, int input, float dropout)
{
    int x = input;
    for (int s = 0; s < count; s++) {
        char prefix[32], name[64];
        snprintf(prefix, sizeof(prefix), "stage%d", s + 1);
        for (int i = 0; i < stages[s].plain; i++) {
            snprintf(name, sizeof(name), "conv%d", i + 1);
            x = mien_conv(graph, prefix, name, x, stages[s].channels, true);
        }
        for (int i = 0; i < stages[s].residual; i++)
            x = mien_residual(graph, prefix, i + 1, x, stages[s].channels);
        if (stages[s].squeeze)
            x = mien_excite(graph, prefix, x, stages[s].channels, stages[s].squeeze);
        snprintf(name, sizeof(name), "%s.pool", prefix);
        if (s + 1 < count)
            x = nn_pool(graph, NN_MAX_POOL, name, x, 2, 2, 0);
    }
    x = nn_unary(graph, NN_GLOBAL_AVG_POOL, "average", x);
    x = nn_unary(graph, NN_FLATTEN, "flatten", x);
    return nn_dropout(graph, "dropout", x, dropout);
}

int architecture_trunk_mien_tiny(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{16, 2, 0, 0}, {32, 1, 0, 0}, {64, 1, 0, 0}, {128, 2, 0, 0}};
    return mien_trunk(graph, stages, 4, input, dropout);
}

int architecture_trunk_mien_small(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{16, 2, 0, 0}, {48, 1, 0, 0}, {96, 2, 0, 0}, {192, 2, 0, 0}};
    return mien_trunk(graph, stages, 4, input, dropout);
}

int architecture_trunk_mien_se(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{16, 2, 0, 0}, {48, 1, 0, 16}, {96, 2, 0, 16}, {192, 2, 0, 24}};
    return mien_trunk(graph, stages, 4, input, dropout);
}

int architecture_trunk_mien_base(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{32, 2, 0, 0}, {64, 2, 0, 0}, {128, 2, 0, 0}, {256, 2, 0, 0}};
    return mien_trunk(graph, stages, 4, input, dropout);
}

int architecture_trunk_mien_wide(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{32, 2, 0, 0}, {64, 1, 2, 0}, {128, 1, 2, 0}, {384, 1, 1, 0}};
    return mien_trunk(graph, stages, 4, input, dropout);
}

int architecture_trunk_mien_large(nn_graph *graph, const architecture *self, int input, float dropout)
{
    (void)self;
    static const mien_stage stages[] = {{32, 2, 0, 0}, {64, 1, 2, 0}, {128, 1, 2, 0}, {256, 1, 1, 0}};
    return mien_trunk(graph, stages, 4, input, dropout);
}
