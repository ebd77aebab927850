/* Guards nn/tape.h: the gradient of every operator against plain C and central finite differences, in plain and blocked
 * layouts (channels that fill a block and channels that do not), gradients that meet from several consumers, bf16 near
 * f32, the same bits from the same input, and two tapes on two threads. */
#include "testing.h"

#include <math.h>
#include <pthread.h>

#include "base/memory.h"
#include "base/random.h"
#include "nn/tape.h"

enum { MICROBATCH = 3, SAMPLES_PER_WEIGHT = 10 };

typedef struct rig {
    const nn_graph *graph;
    nn_tape *tape;
    size_t *offset;
    size_t length;
    float *parameters, *gradients;
    float *input;
    size_t input_count;
    float *sums[4]; /* loss = Σ sums[o]·output[o] */
} rig;

/* Can this processor train in that precision at all? Asked with the simplest network, so that an operator that is no
 * longer supported fails its test instead of skipping it. */
static void need_precision(nn_precision precision)
{
    nn_graph g = {0};
    nn_tape *tape = NULL;
    mien_error error = {0};
    nn_tape_options options = {.microbatch = 1, .precision = precision};
    nn_graph_set_output(&g, nn_conv(&g, "conv", nn_input(&g, "input", 16, 8, 8), 16, 3, 1, 1, 1, true));
    mien_status status = nn_tape_create(&g, &options, &tape, &error);
    nn_tape_destroy(&tape);
    nn_graph_done(&g);
    if (status == MIEN_EUNSUPPORTED) {
        print_message("skipped: %s\n", error.message);
        skip();
    }
    assert_ok(status, &error);
}

static void random_floats(float *to, size_t count, uint64_t seed)
{
    random_state random;
    random_seed(&random, seed, 7);
    for (size_t i = 0; i < count; i++)
        to[i] = random_normal(&random);
}

static size_t output_count(const rig *r, int output)
{
    nn_shape shape = nn_tape_output_shape(r->tape, (size_t)output);
    return nn_shape_count(&shape);
}

static void rig_init(rig *r, const nn_graph *graph, nn_precision precision, bool reference)
{
    mien_error error = {0};
    *r = (rig){.graph = graph};
    assert_ok(graph->failed, &graph->error);
    nn_tape_options options = {.microbatch = MICROBATCH, .precision = precision, .reference = reference};
    assert_ok(nn_tape_create(graph, &options, &r->tape, &error), &error);
    r->offset = memory_array((size_t)graph->weight_count + 1, sizeof *r->offset);
    r->length = nn_parameters_layout(graph, r->offset);
    r->parameters = memory_aligned(r->length + 1, sizeof(float));
    r->gradients = memory_aligned(r->length + 1, sizeof(float));
    memset(r->gradients, 0, r->length * sizeof(float));
    nn_parameters_from_graph(graph, r->parameters);
    r->input_count = nn_shape_count(&graph->nodes[nn_graph_input(graph)].shape) * MICROBATCH;
    r->input = memory_array(r->input_count, sizeof(float));
    random_floats(r->input, r->input_count, 5);
    for (int o = 0; o < graph->output_count; o++) {
        r->sums[o] = memory_array(output_count(r, o), sizeof(float));
        random_floats(r->sums[o], output_count(r, o), 100 + (uint64_t)o);
    }
}

static void rig_done(rig *r)
{
    nn_tape_destroy(&r->tape);
    memory_free(r->offset);
    memory_free(r->parameters);
    memory_free(r->gradients);
    memory_free(r->input);
    for (int o = 0; o < 4; o++)
        memory_free(r->sums[o]);
}

static double loss_of(rig *r, bool training)
{
    mien_error error = {0};
    memcpy(nn_tape_input(r->tape), r->input, r->input_count * sizeof(float));
    assert_ok(nn_tape_forward(r->tape, r->parameters, true, training, 9, &error), &error);
    double loss = 0;
    for (int o = 0; o < r->graph->output_count; o++) {
        const float *values = nn_tape_output(r->tape, (size_t)o);
        for (size_t i = 0; i < output_count(r, o); i++)
            loss += (double)values[i] * (double)r->sums[o][i];
    }
    return loss;
}

static void run_backward(rig *r)
{
    mien_error error = {0};
    loss_of(r, true);
    assert_ok(nn_tape_backward(r->tape, (const float *const *)r->sums, r->gradients, &error), &error);
}

static double largest_gradient(const rig *r, int w)
{
    double largest = 0;
    for (size_t i = 0; i < r->graph->weights[w].count; i++)
        largest = fmax(largest, fabs((double)r->gradients[r->offset[w] + i]));
    return largest;
}

static double difference(rig *r, float *p, float step)
{
    float before = *p;
    *p = before + step;
    double above = loss_of(r, true);
    *p = before - step;
    double below = loss_of(r, true);
    *p = before;
    return (above - below) / (2.0 * (double)step);
}

/* A difference that steps over a kink (a rectifier, a maximum) is wrong however right the gradient is: smaller steps
 * step over fewer. */
static bool agrees(rig *r, float *p, double scale, double *want)
{
    double have = (double)r->gradients[p - r->parameters];
    for (float step = 4e-3f; step > 2e-4f; step /= 4) {
        *want = difference(r, p, step);
        if (fabs(*want - have) <= 0.01 * (scale + fabs(*want)) + 0.02)
            return true;
    }
    return false;
}

/* Compare sampled parameters of every trainable weight with (L(p+e) - L(p-e)) / 2e. */
static void check_differences(rig *r)
{
    run_backward(r);
    random_state random;
    random_seed(&random, 1, 1);
    for (int w = 0; w < r->graph->weight_count; w++) {
        const nn_weight *weight = &r->graph->weights[w];
        double want = 0, scale = largest_gradient(r, w);
        for (int s = 0; s < SAMPLES_PER_WEIGHT && (weight->flags & NN_WEIGHT_TRAINABLE); s++) {
            uint32_t at = random_below(&random, (uint32_t)weight->count);
            float *p = &r->parameters[r->offset[w] + at];
            if (!agrees(r, p, scale, &want))
                fail_msg("%s[%u]: gradient %g, difference %g (largest %g)", weight->name, at,
                         (double)r->gradients[p - r->parameters], want, scale);
        }
    }
}

/* Biases of 0 and scales of 1 would hide mistakes. */
static void stir_vectors(nn_graph *graph)
{
    random_state random;
    random_seed(&random, 3, 3);
    for (int w = 0; w < graph->weight_count; w++)
        for (size_t i = 0; graph->weights[w].shape.rank == 1 && i < graph->weights[w].count; i++)
            graph->weights[w].data[i] += random_range(&random, -0.3f, 0.3f);
}

/* Every gradient and statistic of the fast tape against plain C. Dropout in a blocked layout draws in another order. */
static void check_reference(rig *fast)
{
    rig plain;
    for (int i = 0; i < fast->graph->node_count; i++)
        if (fast->graph->nodes[i].op == NN_DROPOUT && fast->graph->nodes[i].shape.rank == 4)
            return;
    rig_init(&plain, fast->graph, NN_F32, true);
    double want = loss_of(&plain, false), have = loss_of(fast, false);
    assert_true(fabs(want - have) <= 1e-4 * (1 + fabs(want)));
    run_backward(&plain);
    for (int w = 0; w < plain.graph->weight_count; w++) {
        double scale = largest_gradient(&plain, w);
        for (size_t i = 0; i < plain.graph->weights[w].count; i++) {
            double a = (double)plain.gradients[plain.offset[w] + i], b = (double)fast->gradients[plain.offset[w] + i];
            if (!(fabs(a - b) <= 2e-4 * (1 + scale)))
                fail_msg("%s[%zu]: plain C %g, oneDNN %g", plain.graph->weights[w].name, i, a, b);
        }
    }
    rig_done(&plain);
}

static void check_graph(nn_graph *graph)
{
    rig r;
    nn_graph_initialise(graph, 21);
    stir_vectors(graph);
    rig_init(&r, graph, NN_F32, false);
    check_differences(&r);
    check_reference(&r);
    rig_done(&r);
    nn_graph_done(graph);
}

/* ---- one operator between two convolutions ---- */

typedef int (*middle)(nn_graph *graph, int x, const void *context);

static void check_between(int channels, middle build, const void *context)
{
    nn_graph g = {0};
    int x = nn_input(&g, "input", 2, 6, 7);
    x = nn_conv(&g, "before", x, channels, 3, 1, 1, 1, true);
    x = build(&g, x, context);
    if (!g.failed && g.nodes[x].shape.rank == 4)
        x = nn_conv(&g, "after", x, 5, 1, 1, 0, 1, true);
    else if (!g.failed && g.nodes[x].shape.rank == 2)
        x = nn_dense(&g, "after", x, 5, true);
    nn_graph_set_output(&g, x);
    check_graph(&g);
}

/* Channels that fill a block of 16 and channels that do not. */
static void check_both(middle build, const void *context)
{
    check_between(16, build, context);
    check_between(6, build, context);
}

static int build_unary(nn_graph *g, int x, const void *context)
{
    return nn_unary(g, *(const nn_op *)context, "middle", x);
}

static void test_activations(void **state)
{
    (void)state;
    need_precision(NN_F32);
    const nn_op ops[] = {NN_RELU,      NN_CLIP,       NN_LEAKY_RELU,   NN_ELU,    NN_SIGMOID,  NN_TANH,
                         NN_SWISH,     NN_HARD_SWISH, NN_HARD_SIGMOID, NN_EXP,    NN_SOFTPLUS, NN_GELU,
                         NN_GELU_TANH, NN_PRELU,      NN_IDENTITY,     NN_SOFTMAX};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        check_both(build_unary, &ops[i]);
}

/* Squeeze and excitation: what multiplies a map comes from the map itself, by way of its means. */
static int build_excite(nn_graph *g, int x, const void *context)
{
    (void)context;
    int channels = (int)g->nodes[x].shape.dim[1];
    int gate = nn_conv(g, "squeeze", nn_unary(g, NN_GLOBAL_AVG_POOL, "means", x), 4, 1, 1, 0, 1, true);
    gate = nn_conv(g, "excite", nn_unary(g, NN_RELU, "squeezed", gate), channels, 1, 1, 0, 1, true);
    return nn_binary(g, NN_MUL, "middle", x, nn_unary(g, NN_SIGMOID, "gate", gate));
}

static void test_squeeze_and_excitation(void **state)
{
    (void)state;
    need_precision(NN_F32);
    check_both(build_excite, NULL);
}

static void test_global_pools(void **state)
{
    (void)state;
    need_precision(NN_F32);
    const nn_op ops[] = {NN_GLOBAL_AVG_POOL, NN_GLOBAL_MAX_POOL, NN_FLATTEN};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        check_both(build_unary, &ops[i]);
}

static int build_node(nn_graph *g, int x, const void *context)
{
    nn_node node = *(const nn_node *)context;
    node.name = "middle";
    node.input_count = 1;
    node.inputs[0] = x;
    return nn_graph_add(g, &node);
}

static nn_node window(nn_op op, int kernel, int stride, int dilation, int pad)
{
    return (nn_node){.op = op,
                     .kernel_h = kernel,
                     .kernel_w = kernel,
                     .stride_h = stride,
                     .stride_w = stride,
                     .dilation_h = dilation,
                     .dilation_w = dilation,
                     .pad_top = pad,
                     .pad_left = pad,
                     .pad_bottom = pad,
                     .pad_right = pad};
}

static void test_pools(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_node pools[] = {
        window(NN_MAX_POOL, 2, 2, 1, 0), window(NN_MAX_POOL, 3, 2, 1, 1), window(NN_MAX_POOL, 2, 1, 2, 0),
        window(NN_AVG_POOL, 2, 1, 1, 0), window(NN_AVG_POOL, 3, 2, 1, 1), window(NN_AVG_POOL, 3, 2, 1, 1),
    };
    pools[3].kernel_w = 3;
    pools[4].count_include_pad = true;
    pools[5].pad_top = pools[5].pad_right = 0;
    for (size_t i = 0; i < sizeof pools / sizeof pools[0]; i++)
        check_both(build_node, &pools[i]);
}

static void test_moves(void **state)
{
    (void)state;
    need_precision(NN_F32);
    const nn_node moves[] = {
        {.op = NN_SLICE, .axis = 1, .begin = 2, .end = 5},
        {.op = NN_SLICE, .axis = 3, .begin = 1, .end = 7},
        {.op = NN_PAD, .pad_top = 1, .pad_right = 2},
        {.op = NN_UPSAMPLE, .stride_h = 2, .stride_w = 3},
        {.op = NN_TRANSPOSE, .permutation = {0, 2, 3, 1}},
        {.op = NN_RESHAPE, .shape = {4, {NN_BATCH, 2, -1, 7}}},
        {.op = NN_DROPOUT, .alpha = 0.4f},
    };
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++)
        check_both(build_node, &moves[i]);
}

static int build_norm(nn_graph *g, int x, const void *context)
{
    x = nn_batch_norm(g, "bn", x);
    if (context)
        x = nn_unary(g, NN_RELU, "relu", x);
    return x;
}

static void test_batch_norm(void **state)
{
    (void)state;
    need_precision(NN_F32);
    check_both(build_norm, NULL);
    check_both(build_norm, "relu");
}

/* x against a second branch, of the same shape or [N,C,1,1]; both branches depend on x, so that gradients meet. */
typedef struct two_inputs {
    nn_op op;
    bool broadcast;
} two_inputs;

static int build_binary(nn_graph *g, int x, const void *context)
{
    const two_inputs *two = context;
    int channels = g->failed ? 1 : (int)g->nodes[x].shape.dim[1];
    int other = two->broadcast ? nn_unary(g, NN_GLOBAL_AVG_POOL, "squeeze", x) : x;
    other = nn_conv(g, "branch", other, channels, 1, 1, 0, 1, true);
    if (two->op == NN_DIV)
        other = nn_unary(g, NN_EXP, "positive", nn_unary(g, NN_TANH, "bounded", other));
    return nn_binary(g, two->op, "middle", x, other);
}

static void test_two_inputs(void **state)
{
    (void)state;
    need_precision(NN_F32);
    const nn_op ops[] = {NN_ADD, NN_SUB, NN_MUL, NN_DIV};
    for (size_t i = 0; i < 8; i++) {
        two_inputs two = {ops[i / 2], i % 2};
        check_both(build_binary, &two);
    }
}

static int build_concat(nn_graph *g, int x, const void *context)
{
    int a = nn_conv(g, "a", x, *(const int *)context, 1, 1, 0, 1, true);
    int b = nn_unary(g, NN_TANH, "b", x);
    nn_node node = {.op = NN_CONCAT, .name = "middle", .axis = 1, .input_count = 3, .inputs = {a, x, b}};
    return nn_graph_add(g, &node);
}

static void test_concat(void **state)
{
    (void)state;
    need_precision(NN_F32);
    check_both(build_concat, &(int){16});
    check_both(build_concat, &(int){7});
}

static int build_scale_shift(nn_graph *g, int x, const void *context)
{
    (void)context;
    int64_t channels = g->failed ? 1 : g->nodes[x].shape.dim[1];
    nn_node node = {.op = NN_SCALE_SHIFT, .name = "middle", .input_count = 1, .inputs = {x}};
    node.weights[0] = nn_graph_weight(g, "scale", (nn_shape){1, {channels}}, NN_WEIGHT_TRAINABLE);
    node.weights[1] = nn_graph_weight(g, "shift", (nn_shape){1, {channels}}, NN_WEIGHT_TRAINABLE);
    return nn_graph_add(g, &node);
}

static void test_scale_shift(void **state)
{
    (void)state;
    need_precision(NN_F32);
    check_both(build_scale_shift, NULL);
}

static void check_conv(int inputs, int filters, int kernel, int stride, int pad, int groups, int dilation)
{
    nn_graph g = {0};
    int x = nn_input(&g, "input", inputs, 9, 8);
    if (inputs > 1) /* a layer before, so that the data gradient is looked at too */
        x = nn_conv(&g, "before", x, inputs, 1, 1, 0, 1, true);
    nn_node node = window(NN_CONV, kernel, stride, dilation, pad);
    node.name = "conv";
    node.input_count = 1;
    node.inputs[0] = x;
    node.groups = groups;
    node.pad_right = 0;
    node.weights[0] =
        nn_graph_weight(&g, "k", (nn_shape){4, {filters, inputs / groups, kernel, kernel}}, NN_WEIGHT_TRAINABLE);
    node.weights[1] = nn_graph_weight(&g, "b", (nn_shape){1, {filters}}, NN_WEIGHT_TRAINABLE);
    x = nn_graph_add(&g, &node);
    x = nn_unary(&g, NN_TANH, "tanh", x);
    x = nn_conv(&g, "after", x, 4, 1, 1, 0, 1, false);
    nn_graph_set_output(&g, x);
    check_graph(&g);
}

static void test_convolutions(void **state)
{
    (void)state;
    need_precision(NN_F32);
    check_conv(1, 16, 3, 1, 1, 1, 1);
    check_conv(3, 5, 3, 2, 1, 1, 1);
    check_conv(16, 32, 3, 1, 1, 1, 1);
    check_conv(16, 16, 1, 2, 0, 1, 1);
    check_conv(16, 16, 5, 2, 2, 16, 1);
    check_conv(6, 6, 3, 1, 1, 6, 1);
    check_conv(32, 32, 3, 1, 1, 2, 1);
    check_conv(6, 9, 3, 1, 1, 3, 1);
    check_conv(5, 7, 3, 1, 2, 1, 2);
}

/* ---- whole nets ---- */

static int residual(nn_graph *g, const char *name, int x, int channels)
{
    char part[6][32];
    const char *const ends[6] = {"a", "an", "ar", "b", "bn", "sum"};
    for (int i = 0; i < 6; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, ends[i]);
    int y = nn_conv(g, part[0], x, channels, 3, 1, 1, 1, false);
    y = nn_unary(g, NN_RELU, part[2], nn_batch_norm(g, part[1], y));
    y = nn_batch_norm(g, part[4], nn_conv(g, part[3], y, channels, 3, 1, 1, 1, false));
    y = nn_binary(g, NN_ADD, part[5], y, x);
    return nn_unary(g, NN_RELU, name, y);
}

static void small_resnet(nn_graph *g)
{
    int x = nn_input(g, "input", 1, 12, 12);
    x = nn_conv(g, "stem", x, 16, 3, 1, 1, 1, false);
    x = nn_unary(g, NN_RELU, "stem.relu", nn_batch_norm(g, "stem.bn", x));
    x = residual(g, "one", x, 16);
    x = nn_pool(g, NN_MAX_POOL, "pool", x, 2, 2, 0);
    x = residual(g, "two", x, 16);
    int s = nn_unary(g, NN_GLOBAL_AVG_POOL, "squeeze", x);
    s = nn_unary(g, NN_RELU, "reduce.relu", nn_conv(g, "reduce", s, 4, 1, 1, 0, 1, true));
    s = nn_unary(g, NN_SIGMOID, "gate", nn_conv(g, "expand", s, 16, 1, 1, 0, 1, true));
    x = nn_binary(g, NN_MUL, "excite", x, s);
    x = nn_unary(g, NN_FLATTEN, "flat", nn_unary(g, NN_GLOBAL_AVG_POOL, "gap", x));
    x = nn_dense(g, "dense", nn_dropout(g, "drop", x, 0.25f), 7, true);
    nn_graph_set_output(g, nn_unary(g, NN_SOFTMAX, "softmax", x));
}

static void test_residual_net(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    small_resnet(&g);
    check_graph(&g);
}

/* MobileNetV2's block: wide by 1 x 1, a filter per channel, narrow again; the input is added where it has the shape. */
static int inverted_residual(nn_graph *g, const char *name, int x, int in, int out, int stride)
{
    char part[9][32];
    static const char *const ends[9] = {"e", "en", "er", "d", "dn", "dr", "p", "pn", "sum"};
    for (int i = 0; i < 9; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, ends[i]);
    int wide = 6 * in, y = nn_batch_norm(g, part[1], nn_conv(g, part[0], x, wide, 1, 1, 0, 1, false));
    y = nn_conv(g, part[3], nn_unary(g, NN_CLIP, part[2], y), wide, 3, stride, 1, wide, false);
    y = nn_unary(g, NN_CLIP, part[5], nn_batch_norm(g, part[4], y));
    y = nn_batch_norm(g, part[7], nn_conv(g, part[6], y, out, 1, 1, 0, 1, false));
    return stride == 1 && in == out ? nn_binary(g, NN_ADD, part[8], y, x) : y;
}

/* Against plain C only: differences step over a rectifier's kink somewhere in the thousands that a bias moves. */
static void test_inverted_residuals(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    int x = nn_input(&g, "input", 3, 13, 12);
    x = nn_batch_norm(&g, "stem.bn", nn_conv(&g, "stem", x, 8, 3, 2, 1, 1, false));
    x = nn_unary(&g, NN_CLIP, "stem.relu6", x);
    x = inverted_residual(&g, "one", x, 8, 8, 1);
    x = inverted_residual(&g, "two", x, 8, 12, 2); /* of odd and of even sides */
    x = inverted_residual(&g, "three", x, 12, 12, 1);
    x = nn_unary(&g, NN_FLATTEN, "flat", nn_unary(&g, NN_GLOBAL_AVG_POOL, "gap", x));
    nn_graph_set_output(&g, nn_dense(&g, "dense", x, 7, true));
    nn_graph_initialise(&g, 21);
    stir_vectors(&g);
    rig r;
    rig_init(&r, &g, NN_F32, false);
    run_backward(&r);
    check_reference(&r);
    rig_done(&r);
    nn_graph_done(&g);
}

static void test_several_outputs(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    int x = nn_input(&g, "input", 3, 8, 8);
    x = nn_unary(&g, NN_SWISH, "body.act", nn_conv(&g, "body", x, 16, 3, 2, 1, 1, true));
    int box = nn_conv(&g, "box", x, 8, 1, 1, 0, 1, true);
    nn_node turn = {.op = NN_TRANSPOSE, .name = "turn", .input_count = 1, .inputs = {box}, .permutation = {0, 2, 3, 1}};
    nn_node rows = {.op = NN_RESHAPE, .name = "rows", .input_count = 1, .shape = {3, {NN_BATCH, -1, 4}}};
    rows.inputs[0] = nn_graph_add(&g, &turn);
    int score = nn_conv(&g, "score", x, 2, 1, 1, 0, 1, true);
    nn_graph_set_output(&g, nn_graph_add(&g, &rows));
    nn_graph_set_output(&g, score);
    nn_graph_set_output(&g, x); /* an output that is read by others too */
    check_graph(&g);
}

static void test_missing_gradient_is_zero(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    rig r;
    mien_error error = {0};
    int x = nn_input(&g, "input", 3, 8, 8);
    int a = nn_conv(&g, "a", x, 4, 3, 1, 1, 1, true), b = nn_conv(&g, "b", x, 4, 3, 1, 1, 1, true);
    nn_graph_set_output(&g, a);
    nn_graph_set_output(&g, b);
    nn_graph_initialise(&g, 1);
    rig_init(&r, &g, NN_F32, false);
    loss_of(&r, true);
    const float *only_b[] = {NULL, r.sums[1]};
    assert_ok(nn_tape_backward(r.tape, only_b, r.gradients, &error), &error);
    for (size_t i = 0; i < g.weights[0].count; i++)
        assert_true(r.gradients[r.offset[0] + i] == 0);
    assert_true(r.gradients[r.offset[2]] != 0);
    /* a second backward would read overwritten activations */
    assert_int_equal(nn_tape_backward(r.tape, only_b, r.gradients, &error), MIEN_EINVAL);
    loss_of(&r, false);
    assert_int_equal(nn_tape_backward(r.tape, only_b, r.gradients, &error), MIEN_EINVAL);
    rig_done(&r);
    nn_graph_done(&g);
}

/* Gradients add up; statistics arrive; evaluation with the reported statistics repeats the training output. */
static void test_statistics(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    rig r;
    int x = nn_input(&g, "input", 3, 5, 5);
    x = nn_batch_norm(&g, "bn", x);
    nn_graph_set_output(&g, nn_conv(&g, "conv", x, 4, 3, 1, 1, 1, true));
    nn_graph_initialise(&g, 1);
    rig_init(&r, &g, NN_F32, false);
    run_backward(&r);
    float once = r.gradients[0];
    run_backward(&r);
    assert_true(fabsf(r.gradients[0] - 2 * once) <= 1e-5f * fabsf(once));
    double training = loss_of(&r, true), count = MICROBATCH * 25;
    for (int c = 0; c < 3; c++) {
        double mean = 0, square = 0;
        for (int n = 0; n < MICROBATCH; n++)
            for (int i = 0; i < 25; i++) {
                double value = (double)r.input[(n * 3 + c) * 25 + i];
                mean += value / count;
                square += value * value / count;
            }
        double unbiased = (square - mean * mean) * count / (count - 1);
        assert_true(fabs((double)r.gradients[r.offset[2] + (size_t)c] / 2 - mean) < 1e-5);
        assert_true(fabs((double)r.gradients[r.offset[3] + (size_t)c] / 2 - unbiased) < 1e-4);
        r.parameters[r.offset[2] + (size_t)c] = (float)mean;
        r.parameters[r.offset[3] + (size_t)c] = (float)(square - mean * mean);
    }
    assert_true(fabs(loss_of(&r, false) - training) < 1e-3);
    rig_done(&r);
    nn_graph_done(&g);
}

/* What is not trainable gets no gradient, but a normalisation still reports what it saw. */
static void test_frozen_layers(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    rig r;
    int x = nn_conv(&g, "frozen", nn_input(&g, "input", 3, 8, 8), 16, 3, 1, 1, 1, true);
    x = nn_unary(&g, NN_RELU, "relu", nn_batch_norm(&g, "frozen.bn", x));
    int frozen = g.weight_count;
    nn_graph_set_output(&g, nn_conv(&g, "free", x, 4, 3, 1, 1, 1, true));
    nn_graph_initialise(&g, 1);
    for (int w = 0; w < frozen; w++)
        g.weights[w].flags &= ~(unsigned)NN_WEIGHT_TRAINABLE;
    rig_init(&r, &g, NN_F32, false);
    check_differences(&r);
    for (int w = 0; w < g.weight_count; w++) {
        bool silent = w < frozen && !(g.weights[w].flags & NN_WEIGHT_STATISTIC);
        assert_true((largest_gradient(&r, w) == 0) == silent);
    }
    rig_done(&r);
    nn_graph_done(&g);
}

static void test_same_bits_again(void **state)
{
    (void)state;
    for (int precision = NN_F32; precision <= NN_BF16; precision++) {
        need_precision((nn_precision)precision);
        nn_graph g = {0};
        rig a, b;
        small_resnet(&g);
        nn_graph_initialise(&g, 4);
        rig_init(&a, &g, (nn_precision)precision, false);
        rig_init(&b, &g, (nn_precision)precision, false);
        run_backward(&a);
        loss_of(&b, false);
        loss_of(&b, true); /* what ran before must not matter */
        run_backward(&b);
        assert_memory_equal(a.gradients, b.gradients, a.length * sizeof(float));
        rig_done(&a);
        rig_done(&b);
        nn_graph_done(&g);
    }
}

static void test_bf16_is_near(void **state)
{
    (void)state;
    need_precision(NN_F32);
    need_precision(NN_BF16);
    nn_graph g = {0};
    rig wide, narrow;
    small_resnet(&g);
    nn_graph_initialise(&g, 4);
    rig_init(&wide, &g, NN_F32, false);
    rig_init(&narrow, &g, NN_BF16, false);
    assert_true(fabs(loss_of(&wide, false) - loss_of(&narrow, false)) < 0.05 * (1 + fabs(loss_of(&wide, false))));
    run_backward(&wide);
    run_backward(&narrow);
    double dot = 0, a = 0, b = 0;
    for (size_t i = 0; i < wide.length; i++) {
        dot += (double)wide.gradients[i] * (double)narrow.gradients[i];
        a += (double)wide.gradients[i] * (double)wide.gradients[i];
        b += (double)narrow.gradients[i] * (double)narrow.gradients[i];
    }
    assert_true(dot / sqrt(a * b) > 0.995);
    assert_true(fabs(sqrt(a / b) - 1) < 0.05);
    rig_done(&wide);
    rig_done(&narrow);
    nn_graph_done(&g);
}

static void *train_alone(void *context)
{
    for (int i = 0; i < 20; i++)
        run_backward(context);
    return NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    rig r[3];
    pthread_t threads[2];
    small_resnet(&g);
    nn_graph_initialise(&g, 4);
    for (int i = 0; i < 3; i++)
        rig_init(&r[i], &g, NN_F32, false);
    train_alone(&r[2]);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, train_alone, &r[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(r[i].gradients, r[2].gradients, r[2].length * sizeof(float));
    for (int i = 0; i < 3; i++)
        rig_done(&r[i]);
    nn_graph_done(&g);
}

/* What only inference has is refused by its name, in both kinds of tape, before anything is computed. */
static void test_untrained_operators(void **state)
{
    (void)state;
    static const nn_op ops[] = {NN_ERF, NN_CONV_TRANSPOSE, NN_LAYER_NORM, NN_CHANNEL_MEAN, NN_CHANNEL_MAX, NN_MUL};
    for (size_t i = 0; i < 2 * sizeof ops / sizeof *ops; i++) {
        nn_graph g = {0};
        nn_tape *tape = NULL;
        mien_error error = {0};
        nn_tape_options options = {.microbatch = 2, .reference = i % 2};
        nn_op op = ops[i / 2];
        int x = nn_conv(&g, "conv", nn_input(&g, "input", 3, 5, 5), 4, 3, 1, 1, 1, true);
        nn_node node = {.op = op, .name = (char *)"last", .input_count = 1, .inputs = {x}, .weights = {-1, -1, -1, -1}};
        if (op == NN_MUL) { /* a number for each pixel */
            node.input_count = 2;
            node.inputs[1] = nn_conv(&g, "plane", x, 1, 1, 1, 0, 1, true);
        }
        if (op == NN_LAYER_NORM)
            node.axis = 1;
        if (op == NN_CONV_TRANSPOSE)
            node.weights[0] = nn_graph_weight(&g, "k", (nn_shape){4, {2, 4, 2, 2}}, NN_WEIGHT_TRAINABLE);
        nn_graph_set_output(&g, nn_graph_add(&g, &node));
        assert_ok(g.failed, &g.error);
        assert_int_equal(nn_tape_create(&g, &options, &tape, &error), MIEN_EUNSUPPORTED);
        assert_non_null(strstr(error.message, "node last"));
        assert_non_null(strstr(error.message, nn_op_name(op)));
        assert_null(tape);
        nn_graph_done(&g);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    need_precision(NN_F32);
    nn_graph g = {0};
    nn_tape *tape = NULL;
    mien_error error = {0};
    int x = nn_input(&g, "input", 3, NN_DYNAMIC, NN_DYNAMIC);
    nn_tape_options options = {.microbatch = 2};
    assert_int_equal(nn_tape_create(&g, &options, &tape, &error), MIEN_EINVAL); /* no output */
    nn_graph_set_output(&g, nn_conv(&g, "conv", x, 4, 3, 1, 1, 1, true));
    assert_int_equal(nn_tape_create(&g, &options, &tape, &error), MIEN_EINVAL); /* open size */
    options.height = options.width = 8;
    options.microbatch = 0;
    assert_int_equal(nn_tape_create(&g, &options, &tape, &error), MIEN_EINVAL);
    options.microbatch = 2;
    options.precision = NN_INT8;
    assert_int_equal(nn_tape_create(&g, &options, &tape, &error), MIEN_EUNSUPPORTED);
    assert_null(tape);
    options.precision = NN_F32;
    assert_ok(nn_tape_create(&g, &options, &tape, &error), &error);
    assert_int_equal(nn_tape_output_shape(tape, 0).dim[2], 8);
    nn_tape_destroy(&tape);
    assert_null(tape);
    nn_tape_destroy(&tape);
    nn_graph_done(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_convolutions),
        cmocka_unit_test(test_activations),
        cmocka_unit_test(test_squeeze_and_excitation),
        cmocka_unit_test(test_global_pools),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_batch_norm),
        cmocka_unit_test(test_two_inputs),
        cmocka_unit_test(test_concat),
        cmocka_unit_test(test_scale_shift),
        cmocka_unit_test(test_residual_net),
        cmocka_unit_test(test_inverted_residuals),
        cmocka_unit_test(test_several_outputs),
        cmocka_unit_test(test_missing_gradient_is_zero),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_frozen_layers),
        cmocka_unit_test(test_same_bits_again),
        cmocka_unit_test(test_bf16_is_near),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_untrained_operators),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
