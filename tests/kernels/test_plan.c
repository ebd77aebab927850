/* Guards inference: every operator on oneDNN against the plain-C reference for odd channels, sizes, strides, groups and
 * pads; the rewriting (folding, fusing, placing) on whole networks; threads, memory and errors of plans and sessions.
 */
#include "testing.h"

#include <dlfcn.h>
#include <malloc.h>
#include <math.h>
#include <pthread.h>

#include "base/memory.h"
#include "base/random.h"
#include "nn/interleave.h"
#include "nn/mean_eight.h"
#include "nn/plan.h"

static const int channel_counts[] = {1, 3, 7, 16, 17, 32};
static const int sizes[] = {1, 5, 13, 48};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Every weight random, running variances positive. */
static void randomise(nn_graph *graph, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 3);
    for (int w = 0; w < graph->weight_count; w++) {
        nn_weight *weight = &graph->weights[w];
        double fan_in = weight->shape.rank > 1 ? (double)weight->count / (double)weight->shape.dim[0] : 1;
        bool variance = strstr(weight->name, "var") != NULL;
        for (size_t i = 0; i < weight->count; i++)
            weight->data[i] = variance ? random_range(&random, 0.5f, 2) : random_normal(&random) / (float)sqrt(fan_in);
    }
}

typedef struct comparison {
    double worst; /* largest difference relative to the largest reference value of that output */
    double mean;
} comparison;

static nn_session *session_of(const nn_graph *graph, const nn_plan_options *options, nn_plan **plan)
{
    mien_error error = {0};
    nn_session *session = NULL;
    assert_ok(nn_plan_create(graph, options, plan, &error), &error);
    assert_ok(nn_session_create(*plan, &session, &error), &error);
    return session;
}

static void fill_inputs(const nn_plan *plan, nn_session *session, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 7);
    for (size_t i = 0; i < nn_plan_input_count(plan); i++) {
        nn_shape shape = nn_plan_input_shape(plan, i);
        size_t count = nn_shape_count(&shape);
        for (size_t k = 0; k < count; k++)
            nn_session_input(session, i)[k] = random_normal(&random);
    }
}

/* Run the graph with the options and as the reference on the same numbers, twice, and compare every output. */
static comparison compare(nn_graph *graph, nn_plan_options options, uint64_t seed)
{
    mien_error error = {0};
    if (graph->failed)
        fail_msg("%s", graph->error.message);
    nn_plan *fast = NULL, *slow = NULL;
    nn_session *a = session_of(graph, &options, &fast);
    options.reference = true;
    nn_session *b = session_of(graph, &options, &slow);
    comparison result = {0, 0};
    double sum = 0, total = 0;
    for (int round = 0; round < 2; round++) {
        fill_inputs(fast, a, seed + (uint64_t)round);
        fill_inputs(slow, b, seed + (uint64_t)round);
        assert_ok(nn_session_run(a, &error), &error);
        assert_ok(nn_session_run(b, &error), &error);
        assert_int_equal(nn_plan_output_count(fast), nn_plan_output_count(slow));
        for (size_t o = 0; o < nn_plan_output_count(fast); o++) {
            nn_shape shape = nn_plan_output_shape(fast, o), other = nn_plan_output_shape(slow, o);
            assert_true(nn_shape_equal(&shape, &other));
            size_t count = nn_shape_count(&shape);
            const float *x = nn_session_output(a, o), *y = nn_session_output(b, o);
            double largest = options.precision == NN_F32 ? 1e-3 : 1, difference = 0; /* activations are about 1 */
            for (size_t i = 0; i < count; i++) {
                double d = fabs((double)x[i] - y[i]);
                if (!(d <= 1e30))
                    d = 1e30;
                largest = fmax(largest, fabs(y[i]));
                difference = fmax(difference, d);
                sum += d;
                total += fabs(y[i]);
            }
            result.worst = fmax(result.worst, difference / largest);
        }
    }
    result.mean = total > 0 ? sum / total : sum;
    for (size_t s = 0; nn_plan_step_name(fast, s); s++)
        if (strstr(nn_plan_step_name(fast, s), "ref"))
            fail_msg("slow step: %s", nn_plan_step_name(fast, s));
    nn_session_destroy(&a);
    nn_session_destroy(&b);
    nn_plan_destroy(&fast);
    nn_plan_destroy(&slow);
    return result;
}

static nn_plan_options options_of(int batch)
{
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.batch = batch;
    return options;
}

enum { CALIBRATION = 4 };

static float *calibration_of(const nn_graph *graph)
{
    nn_shape shape = graph->nodes[nn_graph_input(graph)].shape;
    size_t count = nn_shape_count(&shape) * CALIBRATION;
    float *data = malloc(count * sizeof(float));
    random_state random;
    random_seed(&random, 99, 7);
    for (size_t i = 0; i < count; i++)
        data[i] = random_normal(&random);
    return data;
}

static int input_count(const nn_graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].op == NN_INPUT;
    return count;
}

/* Eight bits: a mean error of some per cent of the mean magnitude. Networks of one input only, as plans demand. */
static void check_eight(nn_graph *graph, const char *what)
{
    float *data = calibration_of(graph);
    nn_plan_options options = options_of(1);
    options.precision = NN_INT8;
    options.calibration = data;
    options.calibration_count = CALIBRATION;
    comparison c = compare(graph, options, 5);
    free(data);
    if (!(c.mean < 0.03 && c.worst < 0.25))
        fail_msg("%s, int8: differs by %g on average, %g at most", what, c.mean, c.worst);
}

/* f32 must agree to rounding; bf16 has eight bits of mantissa, so each layer may move by half a per cent. */
static void check(nn_graph *graph, const char *what)
{
    static const char *const precisions[] = {"f32", "bf16"};
    static const double tolerances[] = {2e-5, 0.04};
    randomise(graph, 11);
    for (int precision = NN_F32; precision <= NN_BF16; precision++) {
        for (int batch = 1; batch <= 3; batch += 2) {
            nn_plan_options options = options_of(batch);
            options.precision = (nn_precision)precision;
            comparison c = compare(graph, options, 5);
            if (!(c.worst < tolerances[precision]))
                fail_msg("%s, %s, batch %d: differs by %g of the largest value", what, precisions[precision], batch,
                         c.worst);
        }
    }
    if (input_count(graph) == 1)
        check_eight(graph, what);
    nn_graph_done(graph);
}

static int node_of(nn_graph *graph, nn_node node, int input)
{
    if (!node.name)
        node.name = (char *)"node";
    if (!node.input_count) {
        node.input_count = 1;
        node.inputs[0] = input;
    }
    return nn_graph_add(graph, &node);
}

/* malloc as the program sees it: counted while `counting` when the caller is mien itself (the test's own executable,
 * into which libmien is linked) and not the C++ library, whose small maps oneDNN makes for each call. */
#if defined(__has_feature)
#define HAS_ASAN __has_feature(address_sanitizer)
#elif defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

static bool counting;
static int counted;

#if !HAS_ASAN

void *malloc(size_t bytes)
{
    static void *(*real)(size_t);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "malloc");
    Dl_info caller;
    if (counting && dladdr(__builtin_return_address(0), &caller) && !strstr(caller.dli_fname, ".so"))
        counted++;
    return real(bytes);
}
#endif

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

static const nn_op pointwise[] = {NN_RELU,  NN_CLIP,         NN_LEAKY_RELU, NN_ELU, NN_SIGMOID, NN_TANH,
                                  NN_SWISH, NN_HARD_SIGMOID, NN_HARD_SWISH, NN_EXP, NN_PRELU};

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

/* A squeeze-excite residual net with everything that the rewriting looks for, and two heads. */
static void build_net(nn_graph *graph, int64_t height, int64_t width)
{
    int x = nn_input(graph, "x", 1, height, width);
    x = nn_unary(graph, NN_RELU, "stem.relu",
                 nn_batch_norm(graph, "stem.bn", nn_conv(graph, "stem", x, 24, 3, 1, 1, 1, false)));
    for (int i = 0; i < 3; i++) {
        char n[8][24];
        static const char *const parts[] = {"expand", "bn1", "swish", "depth", "bn2", "act", "project", "bn3"};
        for (int p = 0; p < 8; p++)
            snprintf(n[p], sizeof n[p], "b%d.%s", i, parts[p]);
        int y = nn_batch_norm(graph, n[1], nn_conv(graph, n[0], x, 48, 1, 1, 0, 1, false));
        char gate[4][24];
        static const char *const gates[] = {"sig", "mul", "se", "scale"};
        for (int p = 0; p < 4; p++)
            snprintf(gate[p], sizeof gate[p], "b%d.%s", i, gates[p]);
        y = nn_binary(graph, NN_MUL, gate[1], y,
                      nn_unary(graph, NN_SIGMOID, gate[0], y)); /* swish as exporters write it */
        y = nn_batch_norm(graph, n[4], nn_conv(graph, n[3], y, 48, 3, 1, 1, 48, false));
        y = nn_unary(graph, NN_HARD_SWISH, n[5], y);
        char squeeze[4][24];
        static const char *const squeezes[] = {"gap", "down", "up", "gate"};
        for (int p = 0; p < 4; p++)
            snprintf(squeeze[p], sizeof squeeze[p], "b%d.%s", i, squeezes[p]);
        int s = nn_conv(graph, squeeze[1], nn_unary(graph, NN_GLOBAL_AVG_POOL, squeeze[0], y), 12, 1, 1, 0, 1, true);
        s = nn_conv(graph, squeeze[2], s, 48, 1, 1, 0, 1, true);
        s = nn_unary(graph, NN_SIGMOID, squeeze[3], s);
        y = nn_binary(graph, NN_MUL, gate[3], y, s);
        y = nn_batch_norm(graph, n[7], nn_conv(graph, n[6], y, 24, 1, 1, 0, 1, false));
        x = nn_unary(graph, NN_RELU, gate[2], nn_binary(graph, NN_ADD, n[2], x, y));
    }
    nn_graph_set_output(graph, nn_conv(graph, "map", x, 5, 1, 1, 0, 1, true));
    x = nn_unary(graph, NN_FLATTEN, "flat", nn_unary(graph, NN_GLOBAL_AVG_POOL, "gap", x));
    x = nn_dense(graph, "head", nn_dropout(graph, "drop", x, 0.5f), 7, true);
    nn_graph_set_output(graph, nn_unary(graph, NN_SOFTMAX, "softmax", x));
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

/* Between two convolutions that compute in eight bits: every kind of step that such a plan must get right. */
static int eight_bit_middle(nn_graph *graph, int kind, int x, int channels)
{
    int y = nn_conv(graph, "m", x, channels, 3, 1, 1, 1, true);
    switch (kind) {
    case 0:
        return nn_unary(graph, NN_RELU, "relu", y);
    case 1: /* signed */
        return nn_batch_norm(graph, "bn", y);
    case 2: /* a function that is not homogeneous */
        return nn_unary(graph, NN_SWISH, "swish", y);
    case 3:
        return nn_unary(graph, NN_CLIP, "clip", y);
    case 4: /* residual, operand needed no more */
        return nn_unary(graph, NN_RELU, "relu",
                        nn_binary(graph, NN_ADD, "add", nn_conv(graph, "n", y, channels, 1, 1, 0, 1, false), y));
    case 5: /* residual of the input, which is read again */
        y = nn_binary(graph, NN_ADD, "add", y, x);
        return nn_binary(graph, NN_ADD, "again", nn_conv(graph, "n", y, channels, 1, 1, 0, 1, false), x);
    case 6:
        return nn_pool(graph, NN_MAX_POOL, "pool", y, 3, 2, 1);
    case 7:
        return nn_conv(graph, "depth", nn_unary(graph, NN_RELU, "relu", y), channels, 3, 2, 1, channels, true);
    case 8: { /* parts of different ranges */
        nn_node cat = {.op = NN_CONCAT,
                       .name = (char *)"cat",
                       .input_count = 2,
                       .inputs = {nn_unary(graph, NN_RELU, "r", x), y},
                       .axis = 1};
        return node_of(graph, cat, 0);
    }
    case 9: { /* a gate, then a residual */
        int gate =
            nn_unary(graph, NN_SIGMOID, "gate",
                     nn_conv(graph, "sq", nn_unary(graph, NN_GLOBAL_AVG_POOL, "gap", y), channels, 1, 1, 0, 1, true));
        y = nn_binary(graph, NN_MUL, "mul", y, gate);
        return nn_unary(graph, NN_RELU, "relu", nn_binary(graph, NN_ADD, "add", y, x));
    }
    case 10: { /* behind the activation: a post of its own */
        int z = nn_batch_norm(graph, "bn", nn_unary(graph, NN_LEAKY_RELU, "leaky", y));
        return nn_unary(graph, NN_ELU, "elu", z);
    }
    default: {
        nn_node up = {.op = NN_UPSAMPLE, .name = (char *)"up", .stride_h = 2, .stride_w = 2};
        return nn_unary(graph, NN_HARD_SIGMOID, "hard", node_of(graph, up, y));
    }
    }
}

static void test_eight_bits(void **state)
{
    (void)state;
    for (size_t c = 1; c < COUNT(channel_counts); c++)
        for (int kind = 0; kind < 12; kind++) {
            nn_graph graph = {0};
            int channels = channel_counts[c];
            int x = nn_conv(&graph, "stem", nn_input(&graph, "x", 8, 13, 13), channels, 3, 1, 1, 1, true);
            x = eight_bit_middle(&graph, kind, x, channels);
            x = nn_unary(&graph, NN_RELU, "last.relu", nn_conv(&graph, "last", x, 24, 3, 1, 1, 1, true));
            nn_graph_set_output(&graph, nn_conv(&graph, "head", x, 5, 1, 1, 0, 1, true));
            x = nn_unary(&graph, NN_FLATTEN, "flat", x);
            nn_graph_set_output(&graph, nn_dense(&graph, "dense", nn_dense(&graph, "wide", x, 32, true), 7, true));
            char what[48];
            snprintf(what, sizeof what, "eight bits, kind %d, %d channels", kind, channels);
            check(&graph, what);
        }
}

static void run_eight(const nn_graph *graph, const nn_range *ranges, const float *calibration, float *answer)
{
    nn_plan_options options = options_of(1);
    options.precision = NN_INT8;
    options.ranges = ranges;
    options.calibration = calibration;
    options.calibration_count = calibration ? CALIBRATION : 0;
    nn_plan *plan = NULL;
    nn_session *session = session_of(graph, &options, &plan);
    fill_inputs(plan, session, 3);
    assert_int_equal(nn_session_run(session, NULL), MIEN_OK);
    memcpy(answer, nn_session_output(session, 1), 7 * sizeof(float));
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
}

static void test_ranges_travel_as_text(void **state)
{
    (void)state;
    mien_error error = {0};
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    float *data = calibration_of(&graph), now[7], then[7];
    nn_range *ranges = calloc((size_t)graph.node_count, sizeof *ranges);
    nn_range *back = calloc((size_t)graph.node_count, sizeof *back);
    nn_plan_options options = options_of(1);
    assert_int_equal(nn_calibrate(&graph, &options, ranges, &error), MIEN_EINVAL);
    options.calibration = data;
    options.calibration_count = CALIBRATION;
    assert_ok(nn_calibrate(&graph, &options, ranges, &error), &error);
    buffer text;
    buffer_init(&text, 0);
    assert_int_equal(nn_ranges_write(&graph, ranges, &text), MIEN_OK);
    buffer_append_text(&text, "2.5 s a node that is not here\n");
    assert_ok(nn_ranges_read(&graph, buffer_text(&text), back, &error), &error);
    run_eight(&graph, NULL, data, now);
    run_eight(&graph, back, NULL, then);
    for (int i = 0; i < 7; i++)
        assert_true(fabsf(now[i] - then[i]) < 0.01f); /* six digits of each range were kept */
    static const char *const rubbish[] = {"nan u stem.relu\n", "1 x stem.relu", "-3 u stem.relu", "1 u", "u stem", "1"};
    for (size_t i = 0; i < COUNT(rubbish); i++)
        assert_int_equal(nn_ranges_read(&graph, rubbish[i], back, &error), MIEN_EFORMAT);
    buffer_done(&text);
    free(data);
    free(ranges);
    free(back);
    nn_graph_done(&graph);
}

static void test_mean_of_eight_bits(void **state)
{
    (void)state;
    random_state random;
    random_seed(&random, 5, 5);
    static uint8_t pixels[700 * 33];
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = i % 3 ? (uint8_t)random_below(&random, 256) : 255; /* and sums that would overflow 16 bits */
    for (size_t channels = 1; channels <= 33; channels += 8)
        for (int negative = 0; negative < 2; negative++) {
            float means[34];
            means[channels] = 7;
            nn_mean_eight(pixels, 700, channels, negative, 0.5f, means);
            assert_true(means[channels] == 7);
            for (size_t c = 0; c < channels; c++) {
                double sum = 0;
                for (size_t p = 0; p < 700; p++)
                    sum += negative ? (int8_t)pixels[p * channels + c] : pixels[p * channels + c];
                assert_true(fabs(means[c] - sum / 1400) < 1e-4);
            }
        }
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

static void test_interleaving(void **state)
{
    (void)state;
    static float planes[3 * 67], plain[3 * 67 + 1], fast[3 * 67 + 1];
    for (size_t i = 0; i < COUNT(planes); i++)
        planes[i] = (float)i + 0.25f;
    for (size_t count = 0; count <= 67; count++) {
        plain[3 * count] = fast[3 * count] = -7;
        nn_interleave3_c(planes, count, plain);
        for (size_t i = 0; i < 3 * count; i++)
            assert_true(plain[i] == planes[i % 3 * count + i / 3]);
        nn_interleave3(planes, count, fast);
        assert_memory_equal(plain, fast, (3 * count + 1) * sizeof(float));
    }
}

static void test_threads_within_a_run(void **state)
{
    (void)state;
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(2);
    options.threads = 2;
    assert_true(compare(&graph, options, 5).worst < 2e-5);
    options.precision = NN_BF16;
    assert_true(compare(&graph, options, 5).worst < 0.04);
    nn_graph_done(&graph);
}

static void *run_often(void *argument)
{
    nn_session *session = argument;
    for (int i = 0; i < 50; i++)
        if (nn_session_run(session, NULL))
            return NULL;
    return session;
}

static void test_two_threads_share_a_plan(void **state)
{
    (void)state;
    nn_graph graph = {0};
    mien_error error = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(1);
    nn_plan *plan = NULL;
    nn_session *session[3], *alone = session_of(&graph, &options, &plan);
    pthread_t thread[3];
    for (int i = 0; i < 3; i++) {
        assert_ok(nn_session_create(plan, &session[i], &error), &error);
        fill_inputs(plan, session[i], (uint64_t)i);
        assert_int_equal(pthread_create(&thread[i], NULL, run_often, session[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *ended = NULL;
        pthread_join(thread[i], &ended);
        assert_ptr_equal(ended, session[i]);
        fill_inputs(plan, alone, (uint64_t)i);
        assert_ok(nn_session_run(alone, &error), &error);
        assert_memory_equal(nn_session_output(alone, 1), nn_session_output(session[i], 1), 7 * sizeof(float));
        nn_session_destroy(&session[i]);
    }
    nn_session_destroy(&alone);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

static void test_running_allocates_nothing(void **state)
{
    (void)state;
    if (HAS_ASAN) {
        print_message("skipped: the sanitizer has malloc\n");
        skip();
    }
    nn_graph graph = {0};
    build_net(&graph, 24, 24);
    randomise(&graph, 4);
    nn_plan_options options = options_of(3);
    nn_plan *plan = NULL;
    nn_session *session = session_of(&graph, &options, &plan);
    fill_inputs(plan, session, 1);
    assert_non_null(run_often(session));
    counting = true;
    free(memory_array(1, 1)); /* the count works */
    int base = counted;
    size_t before = mallinfo2().uordblks;
    void *ended = run_often(session);
    size_t after = mallinfo2().uordblks;
    counting = false;
    assert_int_equal(base, 1);
    assert_non_null(ended);
    assert_int_equal(counted, base);
    assert_int_equal(after, before);
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

static void test_bad_plans_say_why(void **state)
{
    (void)state;
    mien_error error = {0};
    nn_plan *plan = NULL;
    nn_plan_options options = options_of(1);
    nn_graph graph = {0};
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    int x = nn_input(&graph, "x", 1 << 10, NN_DYNAMIC, NN_DYNAMIC);
    nn_graph_set_output(&graph, nn_conv(&graph, "wide", x, 1 << 10, 3, 1, 1, 1, true));
    options.batch = 0;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    options = options_of(1);
    options.height = options.width = 1 << 20;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_ELIMIT);
    assert_non_null(strstr(error.message, "x"));
    options.height = options.width = 2;
    options.threads = -1;
    assert_int_equal(nn_plan_create(&graph, &options, &plan, &error), MIEN_EINVAL);
    assert_null(plan);
    nn_graph_done(&graph);
}

static void test_too_large_sessions_are_errors(void **state)
{
    (void)state;
    if (HAS_ASAN) {
        print_message("skipped: the sanitizer aborts at such sizes\n");
        skip();
    }
    nn_graph graph = {0};
    mien_error error = {0};
    nn_graph_set_output(&graph, nn_unary(&graph, NN_RELU, "relu", nn_input(&graph, "x", 1 << 10, 1 << 10, 1 << 9)));
    nn_plan_options options = options_of(4096); /* 8 TiB */
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    assert_ok(nn_plan_create(&graph, &options, &plan, &error), &error);
    assert_int_equal(nn_session_create(plan, &session, &error), MIEN_ENOMEM);
    assert_null(session);
    nn_plan_destroy(&plan);
    nn_graph_done(&graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolution),
        cmocka_unit_test(test_grouped_convolution),
        cmocka_unit_test(test_dense),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_normalisation_folds),
        cmocka_unit_test(test_arithmetic),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_dense_blocks_share_one_buffer),
        cmocka_unit_test(test_softmax_on_every_axis),
        cmocka_unit_test(test_a_whole_network),
        cmocka_unit_test(test_open_sizes),
        cmocka_unit_test(test_eight_bits),
        cmocka_unit_test(test_ranges_travel_as_text),
        cmocka_unit_test(test_mean_of_eight_bits),
        cmocka_unit_test(test_odd_graphs),
        cmocka_unit_test(test_random_graphs),
        cmocka_unit_test(test_interleaving),
        cmocka_unit_test(test_threads_within_a_run),
        cmocka_unit_test(test_two_threads_share_a_plan),
        cmocka_unit_test(test_running_allocates_nothing),
        cmocka_unit_test(test_bad_plans_say_why),
        cmocka_unit_test(test_too_large_sessions_are_errors),
    };
    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
