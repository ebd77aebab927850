/* A network in which every operator occurs: what the ONNX test writes and reads again, and bench/ gives to other
 * runtimes. */
#ifndef TESTS_EVERY_OPERATOR_H
#define TESTS_EVERY_OPERATOR_H

#include "model/model.h"

/* A vector weight with telling values. */
static inline int every_operator_vector(nn_graph *g, const char *name, int64_t count, unsigned flags)
{
    int index = nn_graph_weight(g, name, (nn_shape){1, {count}}, flags);
    for (int64_t i = 0; i < count && index >= 0; i++)
        g->weights[index].data[i] = 0.125f + (float)i * 0.3f;
    return index;
}

static inline int every_operator_node(nn_graph *g, nn_op op, const char *name, int input, nn_node set)
{
    set.op = op;
    set.name = (char *)name;
    set.input_count = 1;
    set.inputs[0] = input;
    return nn_graph_add(g, &set);
}

#define NO_WEIGHTS .weights = {-1, -1, -1, -1}

/* A network in which every operator occurs. */
static inline void every_operator_build(model *m)
{
    nn_graph *g = &m->graph;
    int x = nn_input(g, "picture", 3, 24, 20);
    int a = nn_conv(g, "conv", x, 8, 3, 2, 1, 1, true);
    a = nn_batch_norm(g, "bn", a);
    a = nn_unary(g, NN_RELU, "relu", a);
    a = nn_conv(g, "depthwise", a, 8, 3, 1, 1, 8, false);
    a = every_operator_node(g, NN_SCALE_SHIFT, "both", a,
                            (nn_node){.weights = {every_operator_vector(g, "both.a", 8, 0),
                                                  every_operator_vector(g, "both.b", 8, 0), -1, -1}});
    a = every_operator_node(g, NN_SCALE_SHIFT, "scale", a,
                            (nn_node){.weights = {every_operator_vector(g, "scale.a", 8, 0), -1, -1, -1}});
    a = nn_unary(g, NN_RELU, "between", a); /* else the two would be read as one */
    a = every_operator_node(g, NN_SCALE_SHIFT, "shift", a,
                            (nn_node){.weights = {-1, every_operator_vector(g, "shift.b", 8, 0), -1, -1}});
    a = every_operator_node(g, NN_CLIP, "clip", a, (nn_node){.alpha = -1, .beta = 6, NO_WEIGHTS});
    a = every_operator_node(g, NN_LEAKY_RELU, "leaky", a, (nn_node){.alpha = 0.1f, NO_WEIGHTS});
    a = every_operator_node(g, NN_ELU, "elu", a, (nn_node){.alpha = 0.7f, NO_WEIGHTS});
    a = every_operator_node(g, NN_PRELU, "prelu", a,
                            (nn_node){.weights = {every_operator_vector(g, "prelu.slope", 8, 1), -1, -1, -1}});
    a = every_operator_node(g, NN_PRELU, "prelu1", a,
                            (nn_node){.weights = {every_operator_vector(g, "prelu1.slope", 1, 1), -1, -1, -1}});
    a = nn_unary(g, NN_SWISH, "swish", a);
    a = nn_unary(g, NN_HARD_SWISH, "hardswish", a);
    a = nn_unary(g, NN_SOFTPLUS, "softplus", a);
    a = nn_unary(g, NN_GELU, "gelu", a);
    a = nn_unary(g, NN_GELU_TANH, "gelutanh", a);
    a = every_operator_node(g, NN_LAYER_NORM, "norm", a,
                            (nn_node){.weights = {every_operator_vector(g, "norm.scale", 8, 1),
                                                  every_operator_vector(g, "norm.shift", 8, 1), -1, -1},
                                      .axis = 1,
                                      .epsilon = 1e-6f});
    int plane = nn_unary(g, NN_CHANNEL_MEAN, "plane", a);
    plane = nn_binary(g, NN_SUB, "planes", nn_unary(g, NN_CHANNEL_MAX, "peak", a), plane);
    a = nn_binary(g, NN_MUL, "attended", a, nn_unary(g, NN_ERF, "erf", plane));
    int squeezed = nn_unary(g, NN_GLOBAL_AVG_POOL, "gap", a);
    squeezed = nn_conv(g, "excite", squeezed, 8, 1, 1, 0, 1, true);
    squeezed = nn_unary(g, NN_SIGMOID, "gate", squeezed);
    a = nn_binary(g, NN_MUL, "excited", a, squeezed);
    int maximum = nn_pool(g, NN_MAX_POOL, "max", a, 3, 1, 1);
    int average = every_operator_node(g, NN_AVG_POOL, "avg", a,
                                      (nn_node){.kernel_h = 3,
                                                .kernel_w = 2,
                                                .stride_h = 1,
                                                .stride_w = 1,
                                                .pad_top = 1,
                                                .pad_bottom = 1,
                                                .pad_right = 1,
                                                .count_include_pad = true,
                                                NO_WEIGHTS});
    int sum = nn_binary(g, NN_ADD, "sum", maximum, average);
    int difference = nn_binary(g, NN_SUB, "difference", sum, average);
    difference = nn_unary(g, NN_EXP, "exp", nn_unary(g, NN_TANH, "tanh", difference));
    int ratio = nn_binary(g, NN_DIV, "ratio", sum, difference);
    int both[2] = {ratio, sum};
    nn_node concat = {
        .op = NN_CONCAT, .name = "concat", .input_count = 2, .inputs = {both[0], both[1]}, .axis = 1, NO_WEIGHTS};
    int joined = nn_graph_add(g, &concat);
    a = every_operator_node(g, NN_SLICE, "slice", joined, (nn_node){.axis = 1, .begin = 3, .end = 13, NO_WEIGHTS});
    a = every_operator_node(g, NN_PAD, "pad", a,
                            (nn_node){.pad_top = 1, .pad_left = 2, .pad_bottom = 3, .pad_right = 0, NO_WEIGHTS});
    a = every_operator_node(g, NN_UPSAMPLE, "up", a, (nn_node){.stride_h = 2, .stride_w = 3, NO_WEIGHTS});
    a = every_operator_node(g, NN_HARD_SIGMOID, "hardsigmoid", a, (nn_node){.alpha = 0.25f, .beta = 0.5f, NO_WEIGHTS});
    a = every_operator_node(g, NN_TRANSPOSE, "transpose", a, (nn_node){.permutation = {0, 2, 3, 1}, NO_WEIGHTS});
    a = every_operator_node(g, NN_RESHAPE, "reshape", a,
                            (nn_node){.shape = {3, {NN_BATCH, 32 * 36 / 4, 40}}, NO_WEIGHTS});
    a = every_operator_node(g, NN_SOFTMAX, "inner", a, (nn_node){.axis = 1, NO_WEIGHTS});
    joined = every_operator_node(
        g, NN_CONV_TRANSPOSE, "transposed", joined,
        (nn_node){.weights = {nn_graph_weight(g, "transposed.kernel", (nn_shape){4, {6, 8, 3, 2}}, 3),
                              every_operator_vector(g, "transposed.bias", 6, 1), -1, -1},
                  .groups = 2,
                  .stride_h = 2,
                  .stride_w = 3,
                  .pad_top = 1,
                  .pad_left = 1,
                  .extra_w = 1});
    int top = nn_unary(g, NN_GLOBAL_MAX_POOL, "gmp", joined);
    top = nn_unary(g, NN_FLATTEN, "flat", top);
    top = nn_dropout(g, "drop", top, 0.3f);
    top = nn_dense(g, "hidden", top, 9, false);
    top = every_operator_node(g, NN_LAYER_NORM, "rownorm", top,
                              (nn_node){.weights = {every_operator_vector(g, "rownorm.scale", 9, 1),
                                                    every_operator_vector(g, "rownorm.shift", 9, 1), -1, -1},
                                        .axis = 1,
                                        .epsilon = 1e-5f});
    top = nn_unary(g, NN_IDENTITY, "same", top);
    top = nn_dense(g, "logits", top, 7, true);
    top = nn_unary(g, NN_SOFTMAX, "probabilities", top);
    nn_graph_initialise(g, 42);
    nn_graph_set_output(g, top);
    nn_graph_set_output(g, a);
    model_info_init(&m->info, g);
}

#undef NO_WEIGHTS

#endif
