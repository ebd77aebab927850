/* Guards the rewriting of whole networks: folding, fusing, views, buffers that share memory; also on odd graphs and on
 * random ones, in every precision, against the plain-C reference. */
#include "plan_testing.h"

static void test_normalisation_folds(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(channel_counts); c++)
        for (int order = 0; order < 5; order++) {
            nn_graph graph = {0};
            int n = channel_counts[c], x = nn_input(&graph, "x", n, 13, 13);
            if (order == 0) /* after, with an activation */
                x = nn_unary(&graph, NN_RELU, "relu",
                             nn_batch_norm(&graph, "bn", nn_conv(&graph, "c", x, n, 3, 1, 1, 1, false)));
            if (order == 1) /* before, without padding: exact */
                x = nn_conv(&graph, "c", nn_batch_norm(&graph, "bn", x), 7, 3, 1, 0, 1, true);
            if (order == 2) /* before, with padding: the shift may not be folded */
                x = nn_conv(&graph, "c", nn_batch_norm(&graph, "bn", x), 7, 3, 1, 1, 1, false);
            if (order == 3) { /* behind the activation, two in a row */
                x = nn_unary(&graph, NN_RELU, "relu", nn_conv(&graph, "c", x, n, 3, 1, 1, 1, true));
                x = nn_conv(&graph, "d", nn_batch_norm(&graph, "bn2", nn_batch_norm(&graph, "bn", x)), 5, 3, 1, 1, 1,
                            false);
            }
            if (order == 4) { /* before a dense layer, through the flatten's channels; depthwise */
                x = nn_batch_norm(&graph, "bn",
                                  nn_conv(&graph, "c", nn_batch_norm(&graph, "bn0", x), n, 3, 1, 0, n, false));
                x = nn_dense(&graph, "d", nn_unary(&graph, NN_FLATTEN, "f", x), 9, true);
            }
            nn_graph_set_output(&graph, x);
            check(&graph, "batch normalisation");
        }
}

static void test_moves(void **state)
{
    (void)state;
    for (size_t c = 0; c < COUNT(channel_counts); c++)
        for (int axis = 1; axis < 4; axis++) {
            int n = channel_counts[c];
            nn_graph graph = {0};
            int x = nn_input(&graph, "x", n, 13, 5);
            int a = nn_conv(&graph, "a", x, n, 3, 1, 1, 1, true), b = nn_unary(&graph, NN_RELU, "b", x);
            nn_node concat = {
                .op = NN_CONCAT, .name = (char *)"cat", .input_count = 3, .inputs = {a, b, a}, .axis = axis};
            int cat = node_of(&graph, concat, 0);
            nn_node slice = {.op = NN_SLICE,
                             .name = (char *)"slice",
                             .axis = axis,
                             .begin = 1,
                             .end = (int)graph.nodes[cat].shape.dim[axis] - (axis > 1)};
            int part = node_of(&graph, slice, cat);
            nn_node turn = {.op = NN_TRANSPOSE, .name = (char *)"turn", .permutation = {0, 2, 3, 1}};
            int turned = node_of(&graph, turn, part);
            nn_node again = {.op = NN_RESHAPE, .name = (char *)"reshape", .shape = {3, {NN_BATCH, -1, 1}}};
            int flat = node_of(&graph, again, turned);
            nn_graph_set_output(&graph, part);
            nn_graph_set_output(&graph, turned);
            nn_graph_set_output(&graph, flat);
            nn_graph_set_output(&graph, nn_conv(&graph, "next", cat, 9, 3, 1, 1, 1, true));
            nn_graph_set_output(&graph, nn_unary(&graph, NN_FLATTEN, "flatten", cat));
            nn_node up = {.op = NN_UPSAMPLE, .name = (char *)"up", .stride_h = 2, .stride_w = 3};
            nn_graph_set_output(&graph, node_of(&graph, up, a));
            nn_node pad = {.op = NN_PAD, .name = (char *)"pad", .pad_top = 1, .pad_left = 2, .pad_right = 3};
            int padded = node_of(&graph, pad, a);
            nn_graph_set_output(&graph, nn_pool(&graph, NN_MAX_POOL, "pool", padded, 3, 2, 0));
            check(&graph, "moves");
        }
}

static void test_dense_blocks_share_one_buffer(void **state)
{
    (void)state;
    nn_graph graph = {0};
    int x = nn_conv(&graph, "stem", nn_input(&graph, "x", 3, 13, 13), 16, 3, 1, 1, 1, true);
    for (int i = 0; i < 3; i++) {
        char name[16];
        snprintf(name, sizeof name, "grow%d", i);
        int y = nn_conv(&graph, name, x, 16, 3, 1, 1, 1, true);
        snprintf(name, sizeof name, "cat%d", i);
        nn_node cat = {.op = NN_CONCAT, .name = name, .input_count = 2, .inputs = {x, y}, .axis = 1};
        x = node_of(&graph, cat, 0);
    }
    nn_graph_set_output(&graph, nn_unary(&graph, NN_RELU, "relu", x));
    nn_graph_set_output(&graph, x);
    check(&graph, "dense blocks");
}

static void test_a_whole_network(void **state)
{
    (void)state;
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    check(&graph, "network");
}

static void test_open_sizes(void **state)
{
    (void)state;
    nn_graph graph = {0};
    build_net(&graph, NN_DYNAMIC, NN_DYNAMIC);
    randomise(&graph, 4);
    nn_plan_options options = options_of(1);
    mien_error error = {0};
    nn_plan *plan = NULL;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    assert_null(plan);
    options.height = 32;
    options.width = 64;
    assert_true(compare(&graph, options, 5).worst < 2e-5);
    nn_graph_done(&graph);
}

static void test_odd_graphs(void **state)
{
    (void)state;
    for (int form = 0; form < 6; form++) {
        nn_graph graph = {0};
        int x = nn_input(&graph, "x", 7, 5, 5), y;
        switch (form) {
        case 0: /* the input itself */
            nn_graph_set_output(&graph, x);
            break;
        case 1: /* nothing but copies, twice the same output */
            y = nn_dropout(&graph, "drop", nn_unary(&graph, NN_IDENTITY, "same", x), 0.5f);
            nn_graph_set_output(&graph, y);
            nn_graph_set_output(&graph, y);
            break;
        case 2: /* a view of the input, and a node that nobody reads */
            nn_conv(&graph, "unread", x, 3, 3, 1, 1, 1, true);
            nn_graph_set_output(&graph, nn_unary(&graph, NN_FLATTEN, "flat", x));
            break;
        case 3: /* an activation of the input must not change the input */
            nn_graph_set_output(&graph, nn_unary(&graph, NN_RELU, "relu", x));
            nn_graph_set_output(&graph, x);
            break;
        case 4: /* a value that is an output and goes on being read */
            y = nn_conv(&graph, "a", x, 7, 3, 1, 1, 1, true);
            nn_graph_set_output(&graph, y);
            nn_graph_set_output(&graph, nn_unary(&graph, NN_TANH, "tanh", nn_binary(&graph, NN_ADD, "sum", y, x)));
            break;
        default: /* x + x, x · x, and a normalisation with nothing to fold it into */
            y = nn_batch_norm(&graph, "bn", nn_binary(&graph, NN_ADD, "twice", x, x));
            nn_graph_set_output(&graph, nn_binary(&graph, NN_MUL, "square", y, y));
        }
        char what[32];
        snprintf(what, sizeof what, "odd graph %d", form);
        check(&graph, what);
    }
}

/* A node of a random kind on random earlier ones; -1 when the draw does not fit the shapes. */
static int random_node(nn_graph *graph, random_state *random, const char *name)
{
    int x = (int)random_below(random, (uint32_t)graph->node_count),
        y = (int)random_below(random, (uint32_t)graph->node_count);
    const nn_shape a = graph->nodes[x].shape, b = graph->nodes[y].shape;
    static const int filters[] = {1, 3, 16, 17, 32};
    static const nn_op units[] = {NN_RELU, NN_CLIP,       NN_SIGMOID, NN_SWISH,     NN_TANH,
                                  NN_ELU,  NN_LEAKY_RELU, NN_PRELU,   NN_HARD_SWISH};
    nn_node node = {.name = (char *)name, .axis = 1 + (int)random_below(random, 3)};
    int channels = (int)a.dim[1];
    switch (random_below(random, 14)) {
    case 0:
    case 1:
        return nn_conv(graph, name, x, filters[random_below(random, COUNT(filters))],
                       1 + 2 * (int)random_below(random, 2), 1, 1, 1, random_below(random, 2));
    case 2:
        return a.dim[2] > 2 && a.dim[3] > 2 ? nn_conv(graph, name, x, channels, 3, 2, 1, channels, true) : -1;
    case 3:
    case 4:
        return nn_unary(graph, units[random_below(random, COUNT(units))], name, x);
    case 5:
        return nn_batch_norm(graph, name, x);
    case 6:
    case 7:
        return nn_shape_equal(&a, &b) ? nn_binary(graph, random_below(random, 2) ? NN_ADD : NN_SUB, name, x, y) : -1;
    case 8:
        return b.dim[1] == a.dim[1] && b.dim[2] * b.dim[3] == 1 ? nn_binary(graph, NN_MUL, name, x, y) : -1;
    case 9:
        return nn_unary(graph, NN_GLOBAL_AVG_POOL, name, x);
    case 10:
        return a.dim[2] > 2 && a.dim[3] > 2
                   ? nn_pool(graph, random_below(random, 2) ? NN_MAX_POOL : NN_AVG_POOL, name, x, 2, 2, 0)
                   : -1;
    case 11:
        node.op = NN_CONCAT;
        node.input_count = 2;
        node.inputs[0] = x;
        node.inputs[1] = y;
        for (int d = 1; d < 4; d++)
            if (d != node.axis && a.dim[d] != b.dim[d])
                return -1;
        return nn_graph_add(graph, &node);
    case 12:
        node.op = NN_SLICE;
        node.begin = (int)random_below(random, (uint32_t)a.dim[node.axis]);
        node.end = node.begin + 1 + (int)random_below(random, (uint32_t)(a.dim[node.axis] - node.begin));
        return node_of(graph, node, x);
    default:
        node.op = NN_SOFTMAX;
        return node_of(graph, node, x);
    }
}

/* Lifetimes, views, sums in place and layouts, in combinations that nobody would think of. */
static void test_random_graphs(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 150; seed++) {
        random_state random;
        random_seed(&random, seed, 1);
        nn_graph graph = {0};
        nn_input(&graph, "x", 1 + (int)random_below(&random, 20), 6, 9);
        for (int tries = 0; tries < 40 && graph.node_count < 14; tries++) {
            char name[16];
            snprintf(name, sizeof name, "n%d", tries);
            random_node(&graph, &random, name);
        }
        for (int i = 1; i < graph.node_count; i++)
            if (i == graph.node_count - 1 || random_below(&random, 4) == 0)
                nn_graph_set_output(&graph, i);
        randomise(&graph, seed);
        nn_plan_options options = options_of(1 + (int)seed % 2);
        double exact = compare(&graph, options, seed).worst;
        options.precision = NN_BF16;
        double half = compare(&graph, options, seed).mean;
        options.precision = NN_INT8;
        options.calibration = calibration_of(&graph);
        options.calibration_count = CALIBRATION;
        double eighth = compare(&graph, options, seed).mean;
        free((void *)(uintptr_t)options.calibration);
        if (!(exact < 1e-4 && half < 0.05 && eighth < 0.2))
            fail_msg("random graph %d: f32 %g, bf16 %g, int8 %g", (int)seed, exact, half, eighth);
        nn_graph_done(&graph);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalisation_folds),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_dense_blocks_share_one_buffer),
        cmocka_unit_test(test_a_whole_network),
        cmocka_unit_test(test_open_sizes),
        cmocka_unit_test(test_odd_graphs),
        cmocka_unit_test(test_random_graphs),
    };
    return cmocka_run_group_tests_name("plan graphs", tests, NULL, NULL);
}
