/* Guards inference, operator by operator: f32, bf16 and int8 plans on oneDNN against the plain-C reference, for odd
 * channels, sizes, strides, groups, dilations and pads, plain and in the layouts that convolutions leave behind. */
#include "plan_testing.h"

static int kernel_of(nn_graph *graph, const char *name, int64_t out, int64_t in, int64_t height, int64_t width)
{
    return nn_graph_weight(graph, name, (nn_shape){4, {out, in, height, width}}, NN_WEIGHT_TRAINABLE);
}

typedef struct conv_case {
    int in, out, size, kernel_h, kernel_w, stride, dilation, groups;
    int top, left, bottom, right;
    bool bias;
} conv_case;

static void check_conv(conv_case c)
{
    char what[160];
    snprintf(what, sizeof what, "conv %d->%d size %d kernel %dx%d stride %d dilation %d groups %d pads %d %d %d %d",
             c.in, c.out, c.size, c.kernel_h, c.kernel_w, c.stride, c.dilation, c.groups, c.top, c.left, c.bottom,
             c.right);
    nn_graph graph = {0};
    int x = nn_input(&graph, "x", c.in, c.size, c.size);
    nn_node node = {.op = NN_CONV,
                    .groups = c.groups,
                    .stride_h = c.stride,
                    .stride_w = c.stride,
                    .dilation_h = c.dilation,
                    .dilation_w = c.dilation,
                    .pad_top = c.top,
                    .pad_left = c.left,
                    .pad_bottom = c.bottom,
                    .pad_right = c.right,
                    .kernel_h = c.kernel_h,
                    .kernel_w = c.kernel_w};
    node.weights[0] = kernel_of(&graph, "k", c.out, c.in / c.groups, c.kernel_h, c.kernel_w);
    node.weights[1] = c.bias ? nn_graph_weight(&graph, "b", (nn_shape){1, {c.out}}, NN_WEIGHT_TRAINABLE) : -1;
    nn_graph_set_output(&graph, node_of(&graph, node, x));
    check(&graph, what);
}

static void test_convolution(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(channel_counts); i++)
        for (size_t s = 0; s < COUNT(sizes); s++) {
            int in = channel_counts[i], out = channel_counts[(i * 5 + s + 1) % COUNT(channel_counts)];
            check_conv((conv_case){in, out, sizes[s], 3, 3, 1, 1, 1, 1, 1, 1, 1, true});
            check_conv((conv_case){in, out, sizes[s], 1, 1, 1 + (int)s % 2, 1, 1, 0, 0, 0, 0, false});
        }
    check_conv((conv_case){3, 17, 13, 5, 3, 2, 1, 1, 2, 1, 1, 0, true});
    check_conv((conv_case){16, 32, 13, 3, 3, 1, 2, 1, 2, 2, 2, 2, true});
    check_conv((conv_case){7, 7, 13, 3, 3, 1, 3, 1, 3, 3, 3, 3, false});
    check_conv((conv_case){3, 16, 48, 3, 3, 2, 1, 1, 0, 0, 1, 1, true});
    check_conv((conv_case){1, 8, 48, 7, 7, 2, 1, 1, 3, 3, 3, 3, false});
}

static void test_grouped_convolution(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(channel_counts); i++)
        for (size_t s = 1; s < COUNT(sizes); s++) {
            int c = channel_counts[i];
            check_conv((conv_case){c, c, sizes[s], 3, 3, 1 + (int)s % 2, 1, c, 1, 1, 1, 1, true});
        }
    check_conv((conv_case){8, 16, 13, 3, 3, 1, 1, 4, 1, 1, 1, 1, true});
    check_conv((conv_case){32, 64, 13, 3, 3, 1, 1, 2, 1, 1, 1, 1, false});
    check_conv((conv_case){6, 9, 5, 3, 3, 1, 1, 3, 0, 1, 1, 0, true});
    check_conv((conv_case){16, 16, 13, 5, 5, 1, 1, 16, 2, 2, 2, 2, false});
    check_conv((conv_case){7, 14, 13, 3, 3, 1, 1, 7, 1, 1, 1, 1, true}); /* channel multiplier 2 */
}

static void test_dense(void **state)
{
    (void)state;
    static const int features[] = {1, 7, 17, 128, 256};
    for (size_t i = 0; i < COUNT(features); i++)
        for (size_t o = 0; o < COUNT(features); o++) {
            nn_graph graph = {0};
            int x = nn_input(&graph, "x", features[i], 1, 1);
            x = nn_unary(&graph, NN_FLATTEN, "flat", x);
            nn_graph_set_output(&graph, nn_dense(&graph, "dense", x, features[o], (i + o) % 2));
            check(&graph, "dense");
        }
    for (size_t c = 0; c < COUNT(channel_counts); c++) { /* behind a flatten, and the flatten wanted as well */
        nn_graph graph = {0};
        int x = nn_input(&graph, "x", channel_counts[c], 5, 5);
        x = nn_conv(&graph, "conv", x, 17, 3, 1, 1, 1, true);
        x = nn_unary(&graph, NN_FLATTEN, "flat", x);
        nn_graph_set_output(&graph, nn_dense(&graph, "dense", x, 7, true));
        nn_graph_set_output(&graph, x);
        check(&graph, "dense after flatten");
    }
}

static const nn_op pointwise[] = {NN_RELU,     NN_CLIP,  NN_LEAKY_RELU,   NN_ELU,        NN_SIGMOID,
                                  NN_TANH,     NN_SWISH, NN_HARD_SIGMOID, NN_HARD_SWISH, NN_EXP,
                                  NN_SOFTPLUS, NN_PRELU, NN_GELU,         NN_GELU_TANH};

static void test_activations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(pointwise); i++)
        for (size_t c = 0; c < COUNT(channel_counts); c++) {
            nn_graph alone = {0};
            int x = nn_input(&alone, "x", channel_counts[c], 5, 13);
            nn_graph_set_output(&alone, nn_unary(&alone, pointwise[i], "act", x));
            check(&alone, nn_op_name(pointwise[i]));

            nn_graph after = {0}; /* fused, and in a blocked layout with padding */
            x = nn_conv(&after, "conv", nn_input(&after, "x", 3, 13, 5), channel_counts[c], 3, 1, 1, 1, true);
            x = nn_unary(&after, pointwise[i], "act", x);
            nn_graph_set_output(&after, nn_conv(&after, "next", x, 4, 1, 1, 0, 1, false));
            check(&after, nn_op_name(pointwise[i]));

            nn_graph dense = {0};
            x = nn_unary(&dense, NN_FLATTEN, "flat", nn_input(&dense, "x", 17, 1, 1));
            x = nn_dense(&dense, "dense", x, channel_counts[c], true);
            nn_graph_set_output(&dense, nn_unary(&dense, pointwise[i], "act", x));
            check(&dense, nn_op_name(pointwise[i]));
        }
}

/* Not an activation that networks are made of: by itself, and behind a convolution. */
static void test_error_function(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(channel_counts); c++) {
        nn_graph graph = {0};
        int x = nn_input(&graph, "x", channel_counts[c], 5, 13);
        nn_graph_set_output(&graph, nn_unary(&graph, NN_ERF, "alone", x));
        x = nn_conv(&graph, "conv", x, 17, 3, 1, 1, 1, true);
        nn_graph_set_output(&graph, nn_unary(&graph, NN_ERF, "behind", x));
        check(&graph, "error function");
    }
}

static void check_pool(nn_op op, int channels, int size, int kernel, int stride, int pad, bool include, bool blocked)
{
    nn_graph graph = {0};
    int x = nn_input(&graph, "x", channels, size, size);
    if (blocked)
        x = nn_conv(&graph, "conv", x, channels, 3, 1, 1, 1, true);
    nn_node node = {.op = op,
                    .kernel_h = kernel,
                    .kernel_w = kernel,
                    .stride_h = stride,
                    .stride_w = stride,
                    .pad_top = pad,
                    .pad_left = pad,
                    .pad_bottom = pad,
                    .pad_right = pad,
                    .count_include_pad = include};
    nn_graph_set_output(&graph, node_of(&graph, node, x));
    char what[96];
    snprintf(what, sizeof what, "%s %d channels size %d kernel %d stride %d pad %d", nn_op_name(op), channels, size,
             kernel, stride, pad);
    check(&graph, what);
}

static void test_pools(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(channel_counts); c++)
        for (int blocked = 0; blocked < 2; blocked++) {
            check_pool(NN_MAX_POOL, channel_counts[c], 13, 2, 2, 0, false, blocked);
            check_pool(NN_MAX_POOL, channel_counts[c], 13, 3, 2, 1, false, blocked);
            check_pool(NN_AVG_POOL, channel_counts[c], 13, 3, 2, 1, false, blocked);
            check_pool(NN_AVG_POOL, channel_counts[c], 5, 3, 1, 1, true, blocked);
            check_pool(NN_MAX_POOL, channel_counts[c], 1, 1, 1, 0, false, blocked);
            for (size_t s = 0; s < COUNT(sizes); s++) {
                nn_graph graph = {0};
                int x = nn_input(&graph, "x", channel_counts[c], sizes[s], sizes[s]);
                if (blocked)
                    x = nn_conv(&graph, "conv", x, channel_counts[c], 3, 1, 1, 1, true);
                nn_graph_set_output(&graph, nn_unary(&graph, NN_GLOBAL_AVG_POOL, "mean", x));
                nn_graph_set_output(&graph, nn_unary(&graph, NN_GLOBAL_MAX_POOL, "most", x));
                check(&graph, "global pools");
            }
        }
    nn_graph graph = {0};
    nn_node node = {.op = NN_MAX_POOL,
                    .kernel_h = 3,
                    .kernel_w = 3,
                    .dilation_h = 2,
                    .dilation_w = 2,
                    .pad_top = 1,
                    .pad_bottom = 2,
                    .stride_h = 2,
                    .stride_w = 1};
    nn_graph_set_output(&graph, node_of(&graph, node, nn_input(&graph, "x", 7, 13, 13)));
    check(&graph, "dilated pool");
}

static void test_arithmetic(void **state)
{
    (void)state;
    static const nn_op ops[] = {NN_ADD, NN_SUB, NN_MUL, NN_DIV};
    for (size_t i = 0; i < COUNT(ops); i++)
        for (size_t c = 0; c < COUNT(channel_counts); c++)
            for (int form = 0; form < 5; form++) {
                int n = channel_counts[c];
                nn_graph graph = {0};
                int x = nn_input(&graph, "x", n, 5, 13), y = nn_input(&graph, "y", n, 5, 13);
                int one = nn_unary(&graph, NN_EXP, "positive", nn_input(&graph, "v", n, 1, 1));
                int z = nn_unary(&graph, NN_EXP, "exp", y);
                if (form == 0)
                    x = nn_binary(&graph, ops[i], "op", x, z);
                if (form == 1) /* broadcast over the picture */
                    x = nn_binary(&graph, ops[i], "op", x, one);
                if (form == 2) /* residual: the sum and what follows become posts */
                    x = nn_unary(&graph, NN_RELU, "relu",
                                 nn_binary(&graph, ops[i], "op", nn_conv(&graph, "c", x, n, 3, 1, 1, 1, true), z));
                if (form == 3) { /* the operand is needed again, and is the convolution's own input */
                    int w = nn_binary(&graph, ops[i], "op", nn_conv(&graph, "c", z, n, 3, 1, 1, 1, true), z);
                    x = nn_binary(&graph, NN_ADD, "again", w, nn_binary(&graph, NN_MUL, "both", z, x));
                }
                if (form == 4) /* a broadcast gate on a convolution */
                    x = nn_binary(&graph, ops[i], "op", nn_conv(&graph, "c", x, n, 1, 1, 0, 1, true), one);
                nn_graph_set_output(&graph, x);
                char what[64];
                snprintf(what, sizeof what, "%s form %d, %d channels", nn_op_name(ops[i]), form, n);
                check(&graph, what);
            }
}

static void test_softmax_on_every_axis(void **state)
{
    (void)state;
    for (int axis = 1; axis < 4; axis++) {
        nn_graph graph = {0};
        int x = nn_conv(&graph, "c", nn_input(&graph, "x", 3, 5, 13), 7, 3, 1, 1, 1, true);
        nn_node softmax = {.op = NN_SOFTMAX, .axis = axis};
        nn_graph_set_output(&graph, node_of(&graph, softmax, x));
        check(&graph, "softmax");
    }
    nn_graph graph = {0};
    int x = nn_unary(&graph, NN_FLATTEN, "f", nn_input(&graph, "x", 7, 1, 1));
    nn_graph_set_output(&graph, nn_unary(&graph, NN_SOFTMAX, "softmax", x));
    check(&graph, "softmax of features");
}

/* Per-channel maps on their own: pictures, and boxes against anchors (thousands of short rows). */
static void test_scale_shift(void **state)
{
    (void)state;
    static const int shapes[][3] = {{17, 13, 5}, {32, 5, 5}, {100, 1, 2}, {300, 2, 2}, {64, 1, 1}, {70, 3, 3}};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (int which = 0; which < 8; which++) {
            nn_graph graph = {0};
            int x = nn_input(&graph, "x", shapes[i][0], shapes[i][1], shapes[i][2]);
            if (which & 4)
                x = nn_unary(&graph, NN_TANH, "tanh", x); /* a value that dies here */
            nn_node node = {.op = NN_SCALE_SHIFT, .weights = {-1, -1, -1, -1}};
            nn_shape shape = {1, {shapes[i][0]}};
            if (which & 1)
                node.weights[0] = nn_graph_weight(&graph, "scale", shape, 0);
            if (which & 2)
                node.weights[1] = nn_graph_weight(&graph, "shift", shape, 0);
            nn_graph_set_output(&graph, node_of(&graph, node, x));
            check(&graph, "scale and shift");
        }
}

static void check_transposed(conv_case c, int extra, bool behind)
{
    char what[160];
    snprintf(what, sizeof what, "transposed %d->%d size %d kernel %dx%d stride %d dilation %d groups %d extra %d", c.in,
             c.out, c.size, c.kernel_h, c.kernel_w, c.stride, c.dilation, c.groups, extra);
    nn_graph graph = {0};
    int x = nn_input(&graph, "x", c.in, c.size, c.size + 1);
    if (behind)
        x = nn_conv(&graph, "conv", x, c.in, 3, 1, 1, 1, true);
    nn_node node = {.op = NN_CONV_TRANSPOSE,
                    .groups = c.groups,
                    .stride_h = c.stride,
                    .stride_w = c.stride,
                    .dilation_h = c.dilation,
                    .dilation_w = c.dilation,
                    .pad_top = c.top,
                    .pad_left = c.left,
                    .pad_bottom = c.bottom,
                    .pad_right = c.right,
                    .extra_h = extra,
                    .extra_w = extra};
    node.weights[0] = kernel_of(&graph, "k", c.out, c.in / c.groups, c.kernel_h, c.kernel_w);
    node.weights[1] = c.bias ? nn_graph_weight(&graph, "b", (nn_shape){1, {c.out}}, NN_WEIGHT_TRAINABLE) : -1;
    x = node_of(&graph, node, x);
    if (behind) /* folded and hung on it; and what comes after reads its layout */
        x = nn_conv(&graph, "next", nn_unary(&graph, NN_RELU, "relu", nn_batch_norm(&graph, "bn", x)), 5, 3, 1, 1, 1,
                    true);
    nn_graph_set_output(&graph, x);
    check(&graph, what);
}

static void test_transposed_convolution(void **state)
{
    (void)state;
    for (int behind = 0; behind < 2; behind++) {
        for (size_t i = 0; i < COUNT(channel_counts); i++) {
            int in = channel_counts[i], out = channel_counts[(i + 2) % COUNT(channel_counts)];
            check_transposed((conv_case){in, out, 5, 2, 2, 2, 1, 1, 0, 0, 0, 0, true}, 0, behind);
            check_transposed((conv_case){in, in, 5, 4, 4, 2, 1, in, 1, 1, 1, 1, false}, 0, behind);
        }
        check_transposed((conv_case){16, 8, 13, 3, 3, 2, 1, 1, 1, 1, 1, 1, true}, 1, behind);
        check_transposed((conv_case){7, 9, 5, 5, 3, 3, 1, 1, 2, 0, 1, 1, false}, 2, behind);
        check_transposed((conv_case){3, 17, 5, 3, 3, 1, 2, 1, 1, 1, 0, 1, true}, 0, behind);
        check_transposed((conv_case){8, 12, 5, 3, 3, 2, 1, 4, 1, 1, 1, 1, true}, 1, behind);
        check_transposed((conv_case){4, 4, 5, 1, 1, 3, 1, 1, 0, 0, 0, 0, true}, 2, behind); /* gaps of nothing */
    }
}

static int norm_of(nn_graph *graph, const char *name, int input, int axis, int which)
{
    char weight[2][32];
    nn_shape shape = {1, {graph->failed ? 1 : graph->nodes[input].shape.dim[axis]}};
    nn_node node = {.op = NN_LAYER_NORM, .name = (char *)name, .axis = axis, .epsilon = 1e-6f};
    for (int slot = 0; slot < 2; slot++) {
        snprintf(weight[slot], sizeof weight[slot], "%s.%d", name, slot);
        node.weights[slot] = which & (1 << slot) ? nn_graph_weight(graph, weight[slot], shape, 0) : -1;
    }
    return node_of(graph, node, input);
}

static void test_layer_norm(void **state)
{
    (void)state;
    for (size_t c = 1; c < COUNT(channel_counts); c++)
        for (int which = 0; which < 4; which++) {
            int n = channel_counts[c];
            nn_graph features = {0};
            int x = nn_unary(&features, NN_FLATTEN, "flat", nn_input(&features, "x", n, 3, 1));
            x = norm_of(&features, "norm", nn_dense(&features, "dense", x, n, true), 1, which);
            nn_graph_set_output(&features, nn_dense(&features, "last", x, 5, true));
            check(&features, "norm of features");

            for (int axis = 1; axis < 4; axis++) {
                nn_graph alone = {0};
                x = nn_input(&alone, "x", n, 5, 13);
                nn_graph_set_output(&alone, norm_of(&alone, "norm", x, axis, which));
                check(&alone, "norm of a picture");
            }
            nn_graph block = {0}; /* as ConvNeXt has it; and an affine map that folds into the norm */
            x = nn_input(&block, "x", n, 5, 13);
            int y = norm_of(&block, "norm", nn_conv(&block, "deep", x, n, 7, 1, 3, n, true), 1, which);
            y = nn_conv(&block, "up", nn_batch_norm(&block, "bn", y), 4 * n, 1, 1, 0, 1, true);
            y = nn_conv(&block, "down", nn_unary(&block, NN_GELU, "gelu", y), n, 1, 1, 0, 1, true);
            nn_graph_set_output(&block, nn_binary(&block, NN_ADD, "sum", x, y));
            check(&block, "a block with a norm");
        }
}

/* Spatial attention (Woo et al. 2018): where the picture comes from, and what else reads it, decides its layout. */
static void test_spatial_attention(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(channel_counts); c++)
        for (int form = 0; form < 4; form++) {
            int n = channel_counts[c];
            nn_graph graph = {0};
            int x = nn_input(&graph, "x", n, 5, 13);
            if (form)
                x = nn_conv(&graph, "conv", x, n, 3, 1, 1, 1, true);
            if (form == 2)
                x = nn_conv(&graph, "depth", nn_unary(&graph, NN_RELU, "relu", x), n, 3, 1, 1, n, true);
            nn_node join = {
                .op = NN_CONCAT,
                .name = (char *)"both",
                .input_count = 2,
                .inputs = {nn_unary(&graph, NN_CHANNEL_MEAN, "mean", x), nn_unary(&graph, NN_CHANNEL_MAX, "most", x)},
                .axis = 1};
            int gate = nn_conv(&graph, "squeeze", node_of(&graph, join, 0), 1, 7, 1, 3, 1, false);
            gate = nn_unary(&graph, NN_SIGMOID, "gate", nn_batch_norm(&graph, "bn", gate));
            x = nn_binary(&graph, NN_MUL, "attended", x, gate);
            if (form == 3) /* and what follows is hung on it, the sum with a plane is not */
                x = nn_unary(&graph, NN_RELU, "relu",
                             nn_binary(&graph, NN_ADD, "add", nn_conv(&graph, "next", x, n, 3, 1, 1, 1, true), gate));
            nn_graph_set_output(&graph, nn_conv(&graph, "last", x, 4, 1, 1, 0, 1, true));
            nn_graph_set_output(&graph, gate);
            check(&graph, "spatial attention");
        }
}

static void test_planes_meet_pictures(void **state)
{
    (void)state;
    static const nn_op ops[] = {NN_ADD, NN_SUB, NN_MUL, NN_DIV};
    for (size_t i = 0; i < COUNT(ops); i++)
        for (size_t c = 0; c < COUNT(channel_counts); c++)
            for (size_t s = 0; s < COUNT(sizes) - 1; s++) {
                int n = channel_counts[c];
                nn_graph graph = {0};
                int x = nn_input(&graph, "x", n, sizes[s], 5), plane = nn_input(&graph, "plane", 1, sizes[s], 5);
                plane = nn_unary(&graph, NN_EXP, "positive", plane);
                nn_graph_set_output(&graph,
                                    nn_unary(&graph, NN_RELU, "relu", nn_binary(&graph, ops[i], "op", x, plane)));
                check(&graph, nn_op_name(ops[i]));
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_grouped_convolution),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_scale_shift),
        cmocka_unit_test(test_softmax_on_every_axis),
        cmocka_unit_test(test_transposed_convolution),
        cmocka_unit_test(test_layer_norm),
        cmocka_unit_test(test_error_function),
        cmocka_unit_test(test_spatial_attention),
        cmocka_unit_test(test_planes_meet_pictures),
    };
    return cmocka_run_group_tests_name("plan operators", tests, NULL, NULL);
}
