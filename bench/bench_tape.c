/* How many images a second a training step takes in (forward and backward of one microbatch after the other), per
 * network, precision and number of threads, as one JSON object per line. `wall` is what a clock on the wall says;
 * `processor` is what it would be on idle cores (images per second of processor time, times the threads), for machines
 * that are shared. Arguments: network (baseline, vgg, residual, mobile, all, or an architecture of `mien train`),
 * microbatch, threads, seconds. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/random.h"
#include "nn/tape.h"
#include "train/architecture.h"

enum { MOST_THREADS = 64 };

static int block(nn_graph *graph, const char *name, int x, int filters, int stride)
{
    char part[3][48];
    snprintf(part[0], sizeof part[0], "%s.conv", name);
    snprintf(part[1], sizeof part[1], "%s.bn", name);
    snprintf(part[2], sizeof part[2], "%s.relu", name);
    x = nn_conv(graph, part[0], x, filters, 3, stride, 1, 1, false);
    return nn_unary(graph, NN_RELU, part[2], nn_batch_norm(graph, part[1], x));
}

static void build_baseline(nn_graph *graph)
{
    int x = nn_input(graph, "x", 1, 48, 48);
    for (int i = 0; i < 3; i++) {
        char name[3][16];
        snprintf(name[0], sizeof name[0], "conv%d", i);
        snprintf(name[1], sizeof name[1], "relu%d", i);
        snprintf(name[2], sizeof name[2], "pool%d", i);
        x = nn_unary(graph, NN_RELU, name[1], nn_conv(graph, name[0], x, 32 << i, 3, 1, 1, 1, true));
        x = nn_pool(graph, NN_MAX_POOL, name[2], x, 2, 2, 0);
    }
    x = nn_unary(graph, NN_FLATTEN, "flat", x);
    x = nn_unary(graph, NN_RELU, "hidden.relu", nn_dense(graph, "hidden", x, 128, true));
    nn_graph_set_output(graph, nn_dense(graph, "logits", nn_dropout(graph, "drop", x, 0.5f), 7, true));
}

static void head(nn_graph *graph, int x)
{
    x = nn_unary(graph, NN_FLATTEN, "flat", nn_unary(graph, NN_GLOBAL_AVG_POOL, "gap", x));
    nn_graph_set_output(graph, nn_dense(graph, "logits", nn_dropout(graph, "drop", x, 0.3f), 7, true));
}

static void build_vgg(nn_graph *graph)
{
    int x = nn_input(graph, "x", 1, 48, 48);
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof name, "block%d", i);
        x = block(graph, name, x, 64 << (i / 2), 1);
        snprintf(name, sizeof name, "pool%d", i);
        if (i % 2)
            x = nn_pool(graph, NN_MAX_POOL, name, x, 2, 2, 0);
    }
    head(graph, x);
}

static int residual(nn_graph *graph, const char *name, int x, int filters, int stride)
{
    char part[11][48];
    static const char *const ends[11] = {"a",  "b",      "bn",   "squeeze", "reduce",  "reduced",
                                         "up", "excite", "mult", "short",   "short.bn"};
    for (int i = 0; i < 11; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, ends[i]);
    int y = block(graph, part[0], x, filters, stride);
    y = nn_batch_norm(graph, part[2], nn_conv(graph, part[1], y, filters, 3, 1, 1, 1, false));
    int s = nn_conv(graph, part[4], nn_unary(graph, NN_GLOBAL_AVG_POOL, part[3], y), filters / 8, 1, 1, 0, 1, true);
    s = nn_conv(graph, part[6], nn_unary(graph, NN_RELU, part[5], s), filters, 1, 1, 0, 1, true);
    y = nn_binary(graph, NN_MUL, part[8], y, nn_unary(graph, NN_SIGMOID, part[7], s));
    if (stride > 1)
        x = nn_batch_norm(graph, part[10], nn_conv(graph, part[9], x, filters, 1, stride, 0, 1, false));
    char sum[48];
    snprintf(sum, sizeof sum, "%s.sum", name);
    return nn_unary(graph, NN_RELU, name, nn_binary(graph, NN_ADD, sum, y, x));
}

static void build_residual(nn_graph *graph)
{
    int x = block(graph, "stem", nn_input(graph, "x", 1, 48, 48), 32, 1);
    x = residual(graph, "one", x, 32, 1);
    x = residual(graph, "two", x, 64, 2);
    x = residual(graph, "three", x, 64, 1);
    x = residual(graph, "four", x, 128, 2);
    x = residual(graph, "five", x, 128, 1);
    head(graph, residual(graph, "six", x, 256, 2));
}

static int separable(nn_graph *graph, const char *name, int x, int channels, int filters, int stride)
{
    char part[6][48];
    static const char *const ends[6] = {"dw", "dw.bn", "dw.act", "pw", "pw.bn", "pw.act"};
    for (int i = 0; i < 6; i++)
        snprintf(part[i], sizeof part[i], "%s.%s", name, ends[i]);
    x = nn_conv(graph, part[0], x, channels, 3, stride, 1, channels, false);
    x = nn_unary(graph, NN_HARD_SWISH, part[2], nn_batch_norm(graph, part[1], x));
    x = nn_conv(graph, part[3], x, filters, 1, 1, 0, 1, false);
    return nn_unary(graph, NN_RELU, part[5], nn_batch_norm(graph, part[4], x));
}

static void build_mobile(nn_graph *graph)
{
    int x = block(graph, "stem", nn_input(graph, "x", 1, 48, 48), 32, 1);
    x = separable(graph, "one", x, 32, 64, 1);
    x = separable(graph, "two", x, 64, 128, 2);
    x = separable(graph, "three", x, 128, 128, 1);
    x = separable(graph, "four", x, 128, 256, 2);
    head(graph, separable(graph, "five", x, 256, 256, 1));
}

typedef struct worker {
    nn_tape *tape;
    const float *parameters;
    float *gradients;
    float *slope;
    uint64_t deadline;
    uint64_t steps;
    double wall, processor;
    mien_status status;
    mien_error error;
} worker;

static double thread_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static mien_status step(worker *w)
{
    const float *slopes[] = {w->slope};
    mien_status status = nn_tape_forward(w->tape, w->parameters, w->steps % 2 == 0, true, w->steps, &w->error);
    return status ? status : nn_tape_backward(w->tape, slopes, w->gradients, &w->error);
}

static void *work(void *context)
{
    worker *w = context;
    w->status = step(w); /* warm */
    double start = thread_seconds();
    uint64_t begin = clock_monotonic_ns();
    for (w->steps = 0; !w->status && clock_monotonic_ns() < w->deadline; w->steps++)
        w->status = step(w);
    w->processor = thread_seconds() - start;
    w->wall = 1e-9 * (double)(clock_monotonic_ns() - begin);
    return NULL;
}

static size_t elements(nn_shape shape)
{
    return nn_shape_count(&shape);
}

static bool start_worker(worker *w, const nn_graph *graph, int microbatch, nn_precision precision, double seconds)
{
    nn_tape_options options = {.microbatch = microbatch, .precision = precision};
    size_t *offset = memory_array((size_t)graph->weight_count, sizeof *offset);
    if (!offset || nn_tape_create(graph, &options, &w->tape, &w->error))
        return false;
    size_t length = nn_parameters_layout(graph, offset);
    memory_free(offset);
    float *parameters = memory_aligned(length, sizeof(float));
    w->gradients = memory_aligned(length, sizeof(float));
    w->slope = memory_zeroed(elements(nn_tape_output_shape(w->tape, 0)), sizeof(float));
    if (!parameters || !w->gradients || !w->slope)
        return false;
    nn_parameters_from_graph(graph, parameters);
    w->parameters = parameters;
    memset(w->gradients, 0, length * sizeof(float));
    random_state random;
    random_seed(&random, 1, 1);
    size_t inputs = (size_t)microbatch * elements(graph->nodes[nn_graph_input(graph)].shape);
    for (size_t i = 0; i < inputs; i++)
        nn_tape_input(w->tape)[i] = random_unit(&random);
    for (size_t i = 0; i < elements(nn_tape_output_shape(w->tape, 0)); i++)
        w->slope[i] = 0.01f * random_normal(&random);
    w->deadline = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    return true;
}

static void report(const char *network, const nn_graph *graph, const worker *workers, int threads, int microbatch,
                   nn_precision precision)
{
    double wall = 0, processor = 0;
    for (int i = 0; i < threads; i++) {
        wall += (double)workers[i].steps * microbatch / workers[i].wall;
        processor += (double)workers[i].steps * microbatch / workers[i].processor;
    }
    double work_done = 6e-9 * (double)nn_graph_multiply_adds(graph); /* forward and twice backward, 2 operations each */
    printf("{\"network\":\"%s\",\"precision\":\"%s\",\"microbatch\":%d,\"threads\":%d,\"wall\":%.0f,\"processor\":%.0f,"
           "\"gflops\":%.0f}\n",
           network, nn_precision_name(precision), microbatch, threads, wall, processor, processor * work_done);
    fflush(stdout);
}

static int measure_precision(const char *network, const nn_graph *graph, int microbatch, int threads, double seconds,
                             nn_precision precision)
{
    worker workers[MOST_THREADS] = {0};
    pthread_t ids[MOST_THREADS];
    int failed = 0;
    for (int i = 0; i < threads; i++)
        failed |= !start_worker(&workers[i], graph, microbatch, precision, seconds);
    for (int i = 0; i < threads && !failed; i++)
        pthread_create(&ids[i], NULL, work, &workers[i]);
    for (int i = 0; i < threads && !failed; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < threads; i++)
        failed |= workers[i].status != MIEN_OK;
    if (failed)
        fprintf(stderr, "%s: %s\n", network, workers[0].error.message);
    else
        report(network, graph, workers, threads, microbatch, precision);
    for (int i = 0; i < threads; i++) {
        nn_tape_destroy(&workers[i].tape);
        memory_free((void *)workers[i].parameters);
        memory_free(workers[i].gradients);
        memory_free(workers[i].slope);
    }
    return failed;
}

static int measure(const char *network, const nn_graph *graph, int microbatch, int threads, double seconds)
{
    if (graph->failed) {
        fprintf(stderr, "%s: %s\n", network, graph->error.message);
        return 1;
    }
    return measure_precision(network, graph, microbatch, threads, seconds, NN_F32) |
           measure_precision(network, graph, microbatch, threads, seconds, NN_BF16);
}

static int measure_architecture(const char *name, int microbatch, int threads, double seconds)
{
    train_config config;
    model built;
    mien_error error = {0};
    config_default(&config);
    snprintf(config.arch, sizeof config.arch, "%s", name);
    if (architecture_build(&config, &built, NULL, &error)) {
        fprintf(stderr, "%s\n", error.message);
        return 2;
    }
    int failed = measure(name, &built.graph, microbatch, threads, seconds);
    model_done(&built);
    return failed;
}

int main(int count, char **arguments)
{
    static const struct {
        const char *name;
        void (*build)(nn_graph *graph);
    } networks[] = {
        {"baseline", build_baseline}, {"vgg", build_vgg}, {"residual", build_residual}, {"mobile", build_mobile}};
    const char *wanted = count > 1 ? arguments[1] : "all";
    int microbatch = count > 2 ? atoi(arguments[2]) : 32, threads = count > 3 ? atoi(arguments[3]) : 2;
    double seconds = count > 4 ? atof(arguments[4]) : 3;
    if (microbatch < 1 || threads < 1 || threads > MOST_THREADS)
        return 2;
    int failed = 0, found = 0;
    for (size_t i = 0; i < sizeof networks / sizeof networks[0]; i++) {
        if (strcmp(wanted, "all") && strcmp(wanted, networks[i].name))
            continue;
        nn_graph graph = {0};
        networks[i].build(&graph);
        nn_graph_initialise(&graph, 1);
        failed |= measure(networks[i].name, &graph, microbatch, threads, seconds);
        nn_graph_done(&graph);
        found = 1;
    }
    return found ? failed : measure_architecture(wanted, microbatch, threads, seconds);
}
