/* How long one image takes through a network: best and median of many runs, one thread, per precision, as one JSON
 * object per line. The networks are written here with random weights, since time does not depend on what they have
 * learnt: `baseline` (three 3×3 convolutions, 48×48×1), `vgg` (about 100 million multiply-adds, plain),
 * `residual` (about 100 million, squeeze-excite). Arguments: a network, or all; --steps lists each operation and its
 * kernel. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/random.h"
#include "model/ranges.h"
#include "nn/plan.h"

enum { MOST_RUNS = 5000, CALIBRATION = 16, OPEN_HEIGHT = 480, OPEN_WIDTH = 640 };

static int block(nn_graph *graph, const char *name, int x, int filters, int stride)
{
    char part[3][32];
    snprintf(part[0], sizeof part[0], "%s.conv", name);
    snprintf(part[1], sizeof part[1], "%s.bn", name);
    snprintf(part[2], sizeof part[2], "%s.relu", name);
    x = nn_conv(graph, part[0], x, filters, 3, stride, 1, 1, false);
    return nn_unary(graph, NN_RELU, part[2], nn_batch_norm(graph, part[1], x));
}

static void head(nn_graph *graph, int x, int hidden)
{
    x = nn_unary(graph, NN_FLATTEN, "flat", nn_unary(graph, NN_GLOBAL_AVG_POOL, "gap", x));
    if (hidden)
        x = nn_unary(graph, NN_SWISH, "swish", nn_dense(graph, "hidden", x, hidden, true));
    nn_graph_set_output(graph, nn_unary(graph, NN_SOFTMAX, "softmax", nn_dense(graph, "logits", x, 7, true)));
}

static void build_baseline(nn_graph *graph)
{
    static const int filters[] = {32, 64, 128};
    int x = nn_input(graph, "x", 1, 48, 48);
    for (int i = 0; i < 3; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "b%d", i);
        snprintf(name[1], sizeof name[1], "pool%d", i);
        x = nn_pool(graph, NN_MAX_POOL, name[1], block(graph, name[0], x, filters[i], 1), 2, 2, 0);
    }
    head(graph, x, 256);
}

static void build_vgg(nn_graph *graph)
{
    static const int filters[] = {32, 32, 64, 64, 128, 128};
    int x = nn_input(graph, "x", 1, 48, 48);
    for (int i = 0; i < 6; i++) {
        char name[2][16];
        snprintf(name[0], sizeof name[0], "b%d", i);
        snprintf(name[1], sizeof name[1], "pool%d", i);
        x = block(graph, name[0], x, filters[i], 1);
        if (i % 2)
            x = nn_pool(graph, NN_MAX_POOL, name[1], x, 2, 2, 0);
    }
    x = block(graph, "b6", x, 256, 1);
    head(graph, x, 0);
}

/* y = relu(x + gate(conv bn relu conv bn)) */
static int residual(nn_graph *graph, const char *name, int x, int filters, int stride)
{
    static const char *const parts[] = {"conv", "bn",  "gap", "down", "relu1", "up",
                                        "gate", "mul", "add", "relu", "short"};
    char part[11][32], first[24];
    for (int i = 0; i < 11; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, parts[i]);
    snprintf(first, sizeof first, "%s.a", name);
    int y = block(graph, first, x, filters, stride);
    y = nn_batch_norm(graph, part[1], nn_conv(graph, part[0], y, filters, 3, 1, 1, 1, false));
    int s = nn_unary(graph, NN_GLOBAL_AVG_POOL, part[2], y);
    s = nn_unary(graph, NN_RELU, part[4], nn_conv(graph, part[3], s, filters / 8, 1, 1, 0, 1, true));
    s = nn_unary(graph, NN_SIGMOID, part[6], nn_conv(graph, part[5], s, filters, 1, 1, 0, 1, true));
    y = nn_binary(graph, NN_MUL, part[7], y, s);
    if (stride > 1)
        x = nn_conv(graph, part[10], x, filters, 1, stride, 0, 1, true);
    return nn_unary(graph, NN_RELU, part[9], nn_binary(graph, NN_ADD, part[8], y, x));
}

static void build_residual(nn_graph *graph)
{
    int x = block(graph, "stem", nn_input(graph, "x", 1, 48, 48), 32, 1);
    x = residual(graph, "r1", x, 32, 1);
    x = residual(graph, "r2", x, 64, 2);
    x = residual(graph, "r3", x, 64, 1);
    x = residual(graph, "r4", x, 128, 2);
    x = residual(graph, "r5", x, 128, 1);
    head(graph, x, 0);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Milliseconds of each run, at least 300 and for about half a second. */
static int measure(nn_session *session, double *times)
{
    for (int i = 0; i < 30; i++)
        if (nn_session_run(session, NULL))
            return 0;
    int runs = 0;
    double end = clock_monotonic_ms() + 500;
    while (runs < MOST_RUNS && (runs < 300 || clock_monotonic_ms() < end)) {
        double start = clock_monotonic_ms();
        nn_session_run(session, NULL);
        times[runs++] = clock_monotonic_ms() - start;
    }
    qsort(times, (size_t)runs, sizeof *times, by_value);
    return runs;
}

static int slow_steps(const nn_plan *plan, int list)
{
    int slow = 0;
    const char *name;
    for (size_t i = 0; (name = nn_plan_step_name(plan, i)); i++) {
        slow += strstr(name, "ref") != NULL;
        if (list || strstr(name, "ref"))
            fprintf(stderr, "    %s\n", name);
    }
    return slow;
}

/* The input that the peers get, too. */
static void fill(const nn_plan *plan, nn_session *session)
{
    nn_shape shape = nn_plan_input_shape(plan, 0);
    for (size_t i = 0; i < nn_shape_count(&shape); i++)
        nn_session_input(session, 0)[i] = (float)(i % 255) / 255;
}

/* The first numbers of every output, to be compared with the peers'. */
static void print_outputs(const nn_plan *plan, const nn_session *session)
{
    for (size_t o = 0; o < nn_plan_output_count(plan); o++) {
        nn_shape shape = nn_plan_output_shape(plan, o);
        printf("%s[", o ? "," : "");
        for (size_t i = 0; i < nn_shape_count(&shape) && i < 8; i++)
            printf("%s%.6g", i ? "," : "", (double)nn_session_output(session, o)[i]);
        printf("]");
    }
    printf("]}\n");
}

static int run(const char *name, const model *m, nn_precision precision, const float *calibration, int list)
{
    static double times[MOST_RUNS];
    mien_error error = {0};
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.precision = precision;
    if (m->graph.nodes[nn_graph_input(&m->graph)].shape.dim[2] == NN_DYNAMIC) {
        options.height = OPEN_HEIGHT;
        options.width = OPEN_WIDTH;
    }
    options.calibration = calibration;
    options.calibration_count = calibration ? CALIBRATION : 0;
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    int slow = 1;
    if (model_plan_create(m, &options, &plan, &error) || nn_session_create(plan, &session, &error)) {
        fprintf(stderr, "%s %s: %s\n", name, nn_precision_name(precision), error.message);
    } else {
        slow = slow_steps(plan, list);
        fill(plan, session);
        int runs = measure(session, times);
        printf("{\"bench\":\"plan\",\"net\":\"%s\",\"precision\":\"%s\",\"multiply_adds\":%llu,\"best_ms\":%.4f,"
               "\"median_ms\":%.4f,\"runs\":%d,\"slow_steps\":%d,\"first\":[",
               name, nn_precision_name(precision), (unsigned long long)nn_graph_multiply_adds(&m->graph), times[0],
               times[runs / 2], runs, slow);
        print_outputs(plan, session);
        fflush(stdout);
    }
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    return slow;
}

static const float *pictures(void)
{
    static float made[CALIBRATION * 48 * 48];
    random_state random;
    random_seed(&random, 1, 1);
    for (size_t i = 0; i < sizeof made / sizeof *made; i++)
        made[i] = random_unit(&random);
    return made;
}

/* One of the networks above, in every precision; written as ONNX as well where a folder is given. */
static int bench_net(const char *name, void (*build)(nn_graph *graph), const char *folder, int list)
{
    model m = {0};
    mien_error error = {0};
    int slow = 0;
    build(&m.graph);
    nn_graph_initialise(&m.graph, 1);
    model_info_init(&m.info, &m.graph);
    if (m.graph.failed)
        fprintf(stderr, "%s: %s\n", name, m.graph.error.message);
    for (int precision = NN_F32; precision <= NN_INT8 && !m.graph.failed; precision++)
        slow += run(name, &m, (nn_precision)precision, pictures(), list);
    char path[512];
    snprintf(path, sizeof path, "%s/%s.onnx", folder ? folder : ".", name);
    if (folder && model_save_onnx(&m, path, &error))
        fprintf(stderr, "%s: %s\n", path, error.message);
    model_done(&m);
    return slow;
}

static int bench_file(const char *path, int list)
{
    model m = {0};
    mien_error error = {0};
    if (model_load(path, NULL, &m, &error)) {
        fprintf(stderr, "%s: %s\n", path, error.message);
        return 1;
    }
    int slow = run(path, &m, NN_F32, NULL, list) + run(path, &m, NN_BF16, NULL, list);
    if (model_info_property(&m.info, "int8.ranges"))
        slow += run(path, &m, NN_INT8, NULL, list);
    model_done(&m);
    return slow;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*build)(nn_graph *graph);
    } nets[] = {{"baseline", build_baseline}, {"vgg", build_vgg}, {"residual", build_residual}};
    const char *only = NULL, *folder = NULL;
    int list = 0, slow = 0, files = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--steps"))
            list = 1;
        else if (!strcmp(argv[i], "--save") && i + 1 < argc)
            folder = argv[++i];
        else if (strchr(argv[i], '.') && ++files)
            slow += bench_file(argv[i], list);
        else
            only = argv[i];
    }
    for (size_t i = 0; i < sizeof nets / sizeof *nets && !files; i++)
        if (!only || !strcmp(only, nets[i].name))
            slow += bench_net(nets[i].name, nets[i].build, folder, list);
    return slow ? 1 : 0;
}
