/* What the tests of inference share: running a graph fast and as the plain-C reference on the same numbers, and a
 * network that has everything which the rewriting of plans looks for. */
#ifndef TESTS_PLAN_TESTING_H
#define TESTS_PLAN_TESTING_H

#include "testing.h"

#include <math.h>

#include "base/memory.h"
#include "base/random.h"
#include "nn/plan.h"

/* A sanitizer brings an allocator of its own, which may not be replaced. */
#if defined(__has_feature)
#define HAS_SANITIZER (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#else
#define HAS_SANITIZER 0
#endif

static const int channel_counts[] = {1, 3, 7, 16, 17, 32};
static const int sizes[] = {1, 5, 13, 48};

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Every weight random, running variances positive. */
static inline void randomise(nn_graph *graph, uint64_t seed)
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

static inline nn_session *session_of(const nn_graph *graph, const nn_plan_options *options, nn_plan **plan)
{
    mien_error error = {0};
    nn_session *session = NULL;
    assert_ok(nn_plan_create(graph, options, plan, &error), &error);
    assert_ok(nn_session_create(*plan, &session, &error), &error);
    return session;
}

static inline void fill_inputs(const nn_plan *plan, nn_session *session, uint64_t seed)
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
static inline comparison compare(nn_graph *graph, nn_plan_options options, uint64_t seed)
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

static inline nn_plan_options options_of(int batch)
{
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.batch = batch;
    return options;
}

enum { CALIBRATION = 4 };

static inline float *calibration_of(const nn_graph *graph)
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

static inline int input_count(const nn_graph *graph)
{
    int count = 0;
    for (int i = 0; i < graph->node_count; i++)
        count += graph->nodes[i].op == NN_INPUT;
    return count;
}

/* Eight bits: a mean error of some per cent of the mean magnitude. Networks of one input only, as plans demand. */
static inline void check_eight(nn_graph *graph, const char *what)
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
static inline void check(nn_graph *graph, const char *what)
{
    static const double tolerances[] = {2e-5, 0.04};
    randomise(graph, 11);
    for (int precision = NN_F32; precision <= NN_BF16; precision++) {
        for (int batch = 1; batch <= 3; batch += 2) {
            nn_plan_options options = options_of(batch);
            options.precision = (nn_precision)precision;
            comparison c = compare(graph, options, 5);
            if (!(c.worst < tolerances[precision]))
                fail_msg("%s, %s, batch %d: differs by %g of the largest value", what,
                         nn_precision_name((nn_precision)precision), batch, c.worst);
        }
    }
    if (input_count(graph) == 1)
        check_eight(graph, what);
    nn_graph_done(graph);
}

static inline int node_of(nn_graph *graph, nn_node node, int input)
{
    if (!node.name)
        node.name = (char *)"node";
    if (!node.input_count) {
        node.input_count = 1;
        node.inputs[0] = input;
    }
    return nn_graph_add(graph, &node);
}

/* A squeeze-excite residual net with everything that the rewriting looks for, and two heads. */
static inline void build_net(nn_graph *graph, int64_t height, int64_t width)
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

#endif
