/* Guards nn/graph.h: every operator's shape, the refusal of nodes that make no sense or are too large, the sticky error
 * that names its node, copies that share nothing, and initial values that depend on the seed alone. */
#include "testing.h"

#include <float.h>
#include <math.h>

#include "nn/graph.h"

#define assert_shape(graph, node, ...)                                                                                 \
    do {                                                                                                               \
        const int64_t want_[] = {__VA_ARGS__};                                                                         \
        assert_true((node) >= 0);                                                                                      \
        const nn_shape *have_ = &(graph).nodes[node].shape;                                                            \
        assert_int_equal(have_->rank, sizeof want_ / sizeof want_[0]);                                                 \
        for (int d_ = 0; d_ < have_->rank; d_++)                                                                       \
            assert_int_equal(have_->dim[d_], want_[d_]);                                                               \
    } while (0)

static int plain(nn_graph *graph, nn_node node, nn_op op, const char *name, int input)
{
    node.op = op;
    node.name = (char *)name;
    node.input_count = 1;
    node.inputs[0] = input;
    return nn_graph_add(graph, &node);
}

/* A small net that uses most builders; returns its output. */
static int small_net(nn_graph *graph)
{
    int x = nn_input(graph, "input", 3, 17, 13);
    x = nn_conv(graph, "conv", x, 8, 3, 2, 1, 1, true);
    x = nn_batch_norm(graph, "bn", x);
    x = nn_unary(graph, NN_PRELU, "prelu", x);
    int skip = x;
    x = nn_conv(graph, "depthwise", x, 8, 3, 1, 1, 8, false);
    x = nn_binary(graph, NN_ADD, "sum", x, skip);
    x = nn_pool(graph, NN_MAX_POOL, "pool", x, 2, 2, 0);
    x = nn_unary(graph, NN_FLATTEN, "flatten", x);
    x = nn_dropout(graph, "drop", x, 0.5f);
    x = nn_dense(graph, "hidden", x, 20, true);
    x = nn_dense(graph, "dense", x, 7, true);
    x = nn_unary(graph, NN_SOFTMAX, "softmax", x);
    nn_graph_set_output(graph, x);
    return x;
}

static void test_layer_shapes(void **state)
{
    (void)state;
    nn_graph g = {0};
    int output = small_net(&g);
    assert_ok(g.failed, &g.error);
    assert_shape(g, 1, NN_BATCH, 8, 9, 7);
    assert_shape(g, 5, NN_BATCH, 8, 9, 7);
    assert_shape(g, 6, NN_BATCH, 8, 4, 3);
    assert_shape(g, 7, NN_BATCH, 96);
    assert_shape(g, output, NN_BATCH, 7);
    assert_int_equal(g.nodes[output].axis, 1);
    assert_int_equal(nn_graph_input(&g), 0);
    assert_true(nn_graph_multiply_adds(&g) == 9 * 7 * 8 * 27 + 9 * 7 * 8 * 9 + 96 * 20 + 20 * 7);
    assert_true(nn_graph_parameters(&g) == 8 * 27 + 8 + 16 + 8 + 8 * 9 + 96 * 20 + 20 + 140 + 7);
    nn_graph_done(&g);
}

static void test_moving_shapes(void **state)
{
    (void)state;
    nn_graph g = {0};
    int x = nn_input(&g, "input", 6, 10, 12);
    int t = plain(&g, (nn_node){.permutation = {0, 2, 3, 1}}, NN_TRANSPOSE, "t", x);
    assert_shape(g, t, NN_BATCH, 10, 12, 6);
    int r = plain(&g, (nn_node){.shape = {3, {NN_BATCH, -1, 2}}}, NN_RESHAPE, "r", t);
    assert_shape(g, r, NN_BATCH, 360, 2);
    int s = plain(&g, (nn_node){.axis = 1, .begin = 2, .end = 5}, NN_SLICE, "s", x);
    assert_shape(g, s, NN_BATCH, 3, 10, 12);
    int p = plain(&g, (nn_node){.pad_top = 1, .pad_right = 2}, NN_PAD, "p", x);
    assert_shape(g, p, NN_BATCH, 6, 11, 14);
    int u = plain(&g, (nn_node){.stride_h = 2, .stride_w = 3}, NN_UPSAMPLE, "u", x);
    assert_shape(g, u, NN_BATCH, 6, 20, 36);
    nn_node concat = {.op = NN_CONCAT, .name = "c", .axis = 1, .input_count = 3, .inputs = {x, s, x}};
    int c = nn_graph_add(&g, &concat);
    assert_shape(g, c, NN_BATCH, 15, 10, 12);
    int a = plain(&g, (nn_node){.kernel_h = 3, .kernel_w = 2, .stride_w = 2, .pad_top = 1, .pad_bottom = 1},
                  NN_AVG_POOL, "a", x);
    assert_shape(g, a, NN_BATCH, 6, 10, 6);
    int gap = nn_unary(&g, NN_GLOBAL_AVG_POOL, "gap", x);
    int m = nn_binary(&g, NN_MUL, "m", x, gap);
    assert_shape(g, m, NN_BATCH, 6, 10, 12);
    int plane = nn_unary(&g, NN_CHANNEL_MAX, "plane", x);
    assert_shape(g, plane, NN_BATCH, 1, 10, 12);
    int minus = nn_binary(&g, NN_SUB, "minus", m, plane);
    assert_shape(g, minus, NN_BATCH, 6, 10, 12);
    nn_node spread = {.stride_h = 2, .stride_w = 3, .pad_top = 1, .pad_bottom = 1, .pad_left = 2, .extra_w = 2};
    spread.weights[0] = nn_graph_weight(&g, "spread.kernel", (nn_shape){4, {4, 6, 3, 5}}, 0);
    spread.weights[1] = -1;
    int t2 = plain(&g, spread, NN_CONV_TRANSPOSE, "spread", x);
    assert_shape(g, t2, NN_BATCH, 4, 9 * 2 + 3 - 2, 11 * 3 + 5 - 2 + 2);
    assert_true(nn_graph_multiply_adds(&g) == 10 * 12 * 4 * 6 * 3 * 5); /* on each pixel of the input */
    assert_ok(g.failed, &g.error);
    nn_graph_done(&g);
}

static void test_open_sizes_are_fixed_later(void **state)
{
    (void)state;
    nn_graph g = {0};
    int x = nn_input(&g, "input", 3, NN_DYNAMIC, NN_DYNAMIC);
    int c = nn_conv(&g, "conv", x, 4, 3, 2, 1, 1, true);
    assert_shape(g, c, NN_BATCH, 4, NN_DYNAMIC, NN_DYNAMIC);
    int t = plain(&g, (nn_node){.permutation = {0, 2, 3, 1}}, NN_TRANSPOSE, "t", c);
    int r = plain(&g, (nn_node){.shape = {3, {NN_BATCH, -1, 2}}}, NN_RESHAPE, "r", t);
    assert_shape(g, r, NN_BATCH, NN_DYNAMIC, 2);
    nn_shape shapes[4];
    mien_error error = {0};
    assert_ok(nn_graph_shapes(&g, 5, 33, 64, shapes, &error), &error);
    assert_int_equal(shapes[r].dim[0], 5);
    assert_int_equal(shapes[r].dim[1], 17 * 32 * 2);
    assert_int_equal(nn_graph_shapes(&g, 5, 0, 0, shapes, &error), MIEN_EINVAL);
    assert_int_equal(nn_graph_shapes(&g, 0, 9, 9, shapes, &error), MIEN_EINVAL);
    int f = nn_unary(&g, NN_FLATTEN, "f", c);
    assert_int_equal(nn_dense(&g, "d", f, 7, true), -1);
    assert_int_equal(g.failed, MIEN_EINVAL);
    nn_graph_done(&g);
}

static void test_failure_sticks_and_names_its_node(void **state)
{
    (void)state;
    nn_graph g = {0};
    int x = nn_input(&g, "input", 3, 8, 8);
    assert_int_equal(nn_conv(&g, "stem", x, 4, 11, 1, 0, 1, true), -1);
    assert_int_equal(g.failed, MIEN_EINVAL);
    assert_non_null(strstr(g.error.message, "node stem (Conv)"));
    mien_error first = g.error;
    int nodes = g.node_count;
    x = nn_unary(&g, NN_RELU, "relu", -1);
    x = nn_batch_norm(&g, "bn", x);
    assert_int_equal(x, -1);
    assert_int_equal(nn_graph_set_output(&g, 0), MIEN_EINVAL);
    assert_int_equal(g.node_count, nodes);
    assert_string_equal(g.error.message, first.message);
    nn_graph copy = {0};
    assert_int_equal(nn_graph_copy(&g, &copy, NULL), MIEN_EINVAL);
    nn_graph_done(&g);
}

/* One bad node on top of a good input [N,4,8,8] (0) with a weight [4] (0) and a kernel [6,2,3,3] (1). */
static void refuse(nn_node node, nn_op op, mien_status want)
{
    nn_graph g = {0};
    nn_input(&g, "input", 4, 8, 8);
    nn_graph_weight(&g, "vector", (nn_shape){1, {4}}, NN_WEIGHT_TRAINABLE);
    nn_graph_weight(&g, "kernel", (nn_shape){4, {6, 2, 3, 3}}, NN_WEIGHT_TRAINABLE);
    assert_ok(g.failed, &g.error);
    node.op = op;
    node.name = "bad";
    if (!node.input_count)
        node.input_count = 1;
    assert_int_equal(nn_graph_add(&g, &node), -1);
    assert_int_equal(g.failed, want);
    nn_graph_done(&g);
}

static void test_senseless_nodes_are_refused(void **state)
{
    (void)state;
    refuse((nn_node){.weights = {1, -1}, .groups = 1}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 3}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, 0}, .groups = 2}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .stride_h = -1}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .pad_top = -1}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .dilation_h = INT32_MAX}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {7, -1}, .groups = 2}, NN_CONV, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}}, NN_DENSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {0, 0, 0, 1}}, NN_BATCH_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {0, 0, 0, 0}, .epsilon = NAN}, NN_BATCH_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {1}}, NN_PRELU, MIEN_EINVAL);
    refuse((nn_node){.alpha = 2, .beta = 1}, NN_CLIP, MIEN_EINVAL);
    refuse((nn_node){.alpha = 1}, NN_DROPOUT, MIEN_EINVAL);
    refuse((nn_node){.kernel_h = 0, .kernel_w = 2}, NN_MAX_POOL, MIEN_EINVAL);
    refuse((nn_node){.kernel_h = 2, .kernel_w = 2, .pad_left = 2}, NN_AVG_POOL, MIEN_EINVAL);
    refuse((nn_node){.kernel_h = 9, .kernel_w = 2}, NN_MAX_POOL, MIEN_EINVAL);
    refuse((nn_node){.input_count = 1}, NN_ADD, MIEN_EINVAL);
    refuse((nn_node){.input_count = 17}, NN_CONCAT, MIEN_EINVAL);
    refuse((nn_node){.input_count = 2, .axis = 4}, NN_CONCAT, MIEN_EINVAL);
    refuse((nn_node){.input_count = -1}, NN_CONCAT, MIEN_EINVAL);
    refuse((nn_node){.inputs = {1}}, NN_RELU, MIEN_EINVAL);
    refuse((nn_node){.inputs = {-1}}, NN_RELU, MIEN_EINVAL);
    refuse((nn_node){.shape = {3, {NN_BATCH, -1, -1}}}, NN_RESHAPE, MIEN_EINVAL);
    refuse((nn_node){.shape = {2, {NN_BATCH, 255}}}, NN_RESHAPE, MIEN_EINVAL);
    refuse((nn_node){.shape = {4, {NN_BATCH, INT64_MAX, INT64_MAX, 4}}}, NN_RESHAPE, MIEN_EINVAL);
    refuse((nn_node){.shape = {9, {NN_BATCH, 256}}}, NN_RESHAPE, MIEN_EINVAL);
    refuse((nn_node){.permutation = {0, 1, 2, 2}}, NN_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.permutation = {1, 0, 2, 3}}, NN_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.axis = 1, .begin = 3, .end = 5}, NN_SLICE, MIEN_EINVAL);
    refuse((nn_node){.axis = 0, .begin = 0, .end = 1}, NN_SLICE, MIEN_EINVAL);
    refuse((nn_node){.axis = 9}, NN_SOFTMAX, MIEN_EINVAL);
    refuse((nn_node){0}, NN_OP_COUNT, MIEN_EINVAL);
    refuse((nn_node){0}, (nn_op)-3, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .stride_h = 2, .extra_h = 2}, NN_CONV_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .extra_h = -1}, NN_CONV_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .pad_top = 9, .pad_bottom = 9}, NN_CONV_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .pad_top = 1 << 20}, NN_CONV_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 1}, NN_CONV_TRANSPOSE, MIEN_EINVAL);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .stride_h = 1 << 20, .stride_w = 1 << 20}, NN_CONV_TRANSPOSE,
           MIEN_ELIMIT);
    refuse((nn_node){.weights = {1, -1}, .groups = 2, .dilation_h = 1 << 20, .dilation_w = 1 << 20}, NN_CONV_TRANSPOSE,
           MIEN_ELIMIT);
    refuse((nn_node){.weights = {-1, -1}}, NN_LAYER_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {-1, -1}, .axis = 4}, NN_LAYER_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {-1, -1}, .axis = 1, .epsilon = NAN}, NN_LAYER_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {0, -1}, .axis = 2}, NN_LAYER_NORM, MIEN_EINVAL);
    refuse((nn_node){.weights = {-1, 7}, .axis = 1}, NN_LAYER_NORM, MIEN_EINVAL);
    refuse((nn_node){.stride_h = 1 << 20, .stride_w = 1 << 20}, NN_UPSAMPLE, MIEN_ELIMIT);
    refuse((nn_node){.pad_top = 1 << 20, .pad_left = 1 << 20}, NN_PAD, MIEN_ELIMIT);
}

static void test_hostile_sizes(void **state)
{
    (void)state;
    nn_graph g = {0};
    assert_int_equal(nn_input(&g, "input", INT64_MAX, INT64_MAX, 2), -1);
    assert_int_equal(g.failed, MIEN_ELIMIT);
    nn_graph_done(&g);
    assert_int_equal(nn_input(&g, "input", 0, 4, 2), -1);
    assert_int_equal(g.failed, MIEN_EINVAL);
    nn_graph_done(&g);
    assert_int_equal(nn_graph_weight(&g, "w", (nn_shape){2, {INT64_MAX, INT64_MAX}}, 0), -1);
    assert_int_equal(g.failed, MIEN_ELIMIT);
    nn_graph_done(&g);
    assert_int_equal(nn_graph_weight(&g, "w", (nn_shape){2, {3, -3}}, 0), -1);
    assert_int_equal(g.failed, MIEN_EINVAL);
    nn_graph_done(&g);
    int x = nn_input(&g, "input", 3, 4, 4);
    assert_int_equal(nn_unary(&g, NN_RELU, "input", x), -1);
    assert_int_equal(g.failed, MIEN_EINVAL);
    nn_graph_done(&g);
}

static void test_copy_shares_nothing(void **state)
{
    (void)state;
    nn_graph g = {0}, copy = {0};
    mien_error error = {0};
    int output = small_net(&g);
    nn_graph_initialise(&g, 3);
    assert_ok(nn_graph_copy(&g, &copy, &error), &error);
    float first = g.weights[0].data[0];
    g.weights[0].data[0] += 1;
    assert_true(copy.weights[0].data[0] == first);
    nn_graph_done(&g);
    assert_string_equal(copy.nodes[output].name, "softmax");
    assert_int_equal(copy.outputs[0], output);
    assert_true(nn_unary(&copy, NN_RELU, "more", output) == output + 1);
    nn_graph_done(&copy);
}

static double variance_of(const nn_weight *weight)
{
    double sum = 0;
    for (size_t i = 0; i < weight->count; i++)
        sum += (double)weight->data[i] * weight->data[i];
    return sum / (double)weight->count;
}

static const nn_weight *find(const nn_graph *graph, const char *name)
{
    for (int i = 0; i < graph->weight_count; i++)
        if (!strcmp(graph->weights[i].name, name))
            return &graph->weights[i];
    fail_msg("no weight %s", name);
    return NULL;
}

static void test_initial_values(void **state)
{
    (void)state;
    nn_graph a = {0}, b = {0};
    small_net(&a);
    small_net(&b);
    nn_graph_initialise(&a, 11);
    nn_graph_initialise(&b, 11);
    for (int i = 0; i < a.weight_count; i++)
        assert_memory_equal(a.weights[i].data, b.weights[i].data, a.weights[i].count * sizeof(float));
    nn_graph_initialise(&b, 12);
    assert_memory_not_equal(a.weights[0].data, b.weights[0].data, a.weights[0].count * sizeof(float));
    assert_true(fabs(variance_of(find(&a, "hidden.weight")) / (2.0 / 96) - 1) < 0.15);
    assert_true(fabs(variance_of(find(&a, "dense.weight")) / (2.0 / 27) - 1) < 0.35);
    double bound = sqrt(6.0 / 27);
    for (int i = 0; i < 140; i++)
        assert_true(fabs((double)find(&a, "dense.weight")->data[i]) <= bound);
    assert_true(find(&a, "bn.weight")->data[7] == 1 && find(&a, "bn.running_var")->data[7] == 1);
    assert_true(find(&a, "prelu.slope")->data[7] == 0.25f && find(&a, "bn.running_mean")->data[7] == 0);
    assert_int_equal(find(&a, "bn.running_var")->flags, NN_WEIGHT_STATISTIC);
    nn_graph_done(&a);
    nn_graph_done(&b);
}

/* Keras's way of drawing: within the bound of Glorot & Bengio, whose outputs count the kernel's area too. */
static void test_kernels_drawn_as_keras_does(void **state)
{
    (void)state;
    nn_graph g = {0};
    nn_graph_set_output(&g, nn_conv(&g, "conv", nn_input(&g, "input", 8, 6, 6), 32, 3, 1, 1, 1, true));
    nn_graph_initialise(&g, 5);
    assert_true(fabs(variance_of(find(&g, "conv.weight")) / (2.0 / 72) - 1) < 0.15);
    g.weights[0].flags |= NN_WEIGHT_GLOROT;
    nn_graph_initialise(&g, 5);
    const nn_weight *kernel = find(&g, "conv.weight");
    assert_true(fabs(variance_of(kernel) / (2.0 / (72 + 288)) - 1) < 0.15);
    for (size_t i = 0; i < kernel->count; i++)
        assert_true(fabs((double)kernel->data[i]) <= sqrt(6.0 / (72 + 288)));
    nn_graph_done(&g);
}

static void test_every_operator_has_a_name(void **state)
{
    (void)state;
    for (int op = 0; op < NN_OP_COUNT; op++)
        assert_non_null(nn_op_name((nn_op)op));
    assert_string_equal(nn_op_name(NN_OP_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_shapes),
        cmocka_unit_test(test_moving_shapes),
        cmocka_unit_test(test_open_sizes_are_fixed_later),
        cmocka_unit_test(test_failure_sticks_and_names_its_node),
        cmocka_unit_test(test_senseless_nodes_are_refused),
        cmocka_unit_test(test_hostile_sizes),
        cmocka_unit_test(test_copy_shares_nothing),
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_kernels_drawn_as_keras_does),
        cmocka_unit_test(test_every_operator_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
