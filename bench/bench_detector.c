/* How long finding faces takes, one thread, as one JSON object per line with best and median milliseconds:
 *   bench_detector PICTURE CASCADE.xml MODEL.onnx…
 * "search": a picture of 640 × 480 from pixels to boxes, as the default preset asks (faces from 32 pixels), per network
 * and precision, and by the cascade as the preset faceml asks (from 30 pixels). "network": the network alone at an
 * input of 320 × 256 (fixed inputs: their own, 320 × 240 for RFB-320), for comparison with another runtime on the same
 * file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "detect/detector.h"
#include "model/ranges.h"
#include "prep/prep.h"

enum { WIDTH = 640, HEIGHT = 480, INPUT_WIDTH = 320, INPUT_HEIGHT = 256, MOST_RUNS = 400, MOST_BYTES = 64 << 20 };
static const double most_ms = 1500;

typedef mien_status (*work)(void *context, mien_error *error);

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static mien_status measure(const char *file, const char *what, const char *precision, work run, void *context,
                           mien_error *error)
{
    static double times[MOST_RUNS];
    int count = 0;
    mien_status status = MIEN_OK;
    for (int i = 0; i < 3 && !status; i++)
        status = run(context, error);
    double begin = clock_monotonic_ms();
    while (!status && count < MOST_RUNS && (count < 3 || clock_monotonic_ms() - begin < most_ms)) {
        double started = clock_monotonic_ms();
        status = run(context, error);
        times[count++] = clock_monotonic_ms() - started;
    }
    if (status)
        return status;
    qsort(times, (size_t)count, sizeof *times, compare);
    printf("{\"file\":\"%s\",\"what\":\"%s\",\"precision\":\"%s\",\"best_ms\":%.4f,\"median_ms\":%.4f,\"runs\":%d}\n",
           file, what, precision, times[0], times[count / 2], count);
    return MIEN_OK;
}

typedef struct search {
    const detector *detector;
    detect_scratch *scratch;
    mien_image_view view;
    detect_options options;
    detect_faces faces;
} search;

static mien_status run_search(void *context, mien_error *error)
{
    search *s = context;
    return detector_find(s->detector, s->scratch, &s->view, &s->options, &s->faces, error);
}

static mien_status measure_search(const detector *d, const mien_image *picture, const char *file, const char *precision,
                                  int32_t least, mien_error *error)
{
    search s = {.detector = d, .view = mien_image_as_view(picture)};
    detect_default_options(&s.options);
    s.options.min_width = s.options.min_height = least;
    mien_status status = detect_scratch_create(d, &s.scratch, error);
    if (!status)
        status = measure(file, "search", precision, run_search, &s, error);
    detect_scratch_destroy(&s.scratch);
    detect_faces_done(&s.faces);
    return status;
}

static mien_status run_network(void *context, mien_error *error)
{
    return nn_session_run(context, error);
}

static mien_status measure_network(const char *file, nn_precision precision, const char *name, mien_error *error)
{
    model m = {0};
    nn_plan *plan = NULL;
    nn_session *session = NULL;
    nn_plan_options options;
    nn_plan_default_options(&options);
    options.precision = precision;
    options.width = INPUT_WIDTH;
    options.height = INPUT_HEIGHT;
    mien_status status = model_load(file, NULL, &m, error);
    const nn_shape *shape = status ? NULL : &m.graph.nodes[nn_graph_input(&m.graph)].shape;
    if (shape && shape->dim[2] != NN_DYNAMIC)
        options.width = options.height = 0;
    if (!status)
        status = model_plan_create(&m, &options, &plan, error);
    if (!status)
        status = nn_session_create(plan, &session, error);
    if (!status) {
        nn_shape input = nn_plan_input_shape(plan, 0);
        float *to = nn_session_input(session, 0);
        for (int64_t i = 0; i < input.dim[1] * input.dim[2] * input.dim[3]; i++)
            to[i] = (float)(i % 255) / 255;
        status = measure(file, "network", name, run_network, session, error);
    }
    nn_session_destroy(&session);
    nn_plan_destroy(&plan);
    model_done(&m);
    return status;
}

static mien_status measure_file(const char *file, const mien_image *picture, mien_error *error)
{
    for (int precision = NN_F32; precision <= NN_INT8; precision++) {
        detector *d = NULL;
        mien_status status =
            measure_network(file, (nn_precision)precision, nn_precision_name((nn_precision)precision), error);
        if (status == MIEN_ENOTFOUND && precision == NN_INT8)
            return MIEN_OK; /* it has no ranges */
        if (!status)
            status = detector_open_network_file(file, &d, error);
        if (!status) {
            detector_use_precision(d, (nn_precision)precision);
            status = measure_search(d, picture, file, nn_precision_name((nn_precision)precision), 32, error);
        }
        detector_destroy(&d);
        if (status)
            return status;
    }
    return MIEN_OK;
}

static mien_status load(const char *path, mien_image *colour, mien_image *grey, mien_error *error)
{
    buffer bytes;
    mien_image picture = {0};
    buffer_init(&bytes, MOST_BYTES);
    mien_status status = file_read(path, MOST_BYTES, &bytes, error);
    if (!status)
        status = mien_image_decode(bytes.data, bytes.length, NULL, &picture, error);
    if (!status)
        status = mien_image_init(colour, WIDTH, HEIGHT, picture.format, error);
    if (!status)
        status = mien_image_init(grey, WIDTH, HEIGHT, MIEN_PIXEL_GREY8, error);
    mien_image_view view = mien_image_as_view(&picture);
    if (!status)
        status = prep_resize_linear(&view, colour, error);
    view = mien_image_as_view(colour);
    if (!status)
        status = prep_grey(&view, grey, error);
    buffer_done(&bytes);
    mien_image_done(&picture);
    return status;
}

static mien_status measure_cascade(const char *path, const mien_image *grey, mien_error *error)
{
    buffer xml;
    detector *d = NULL;
    buffer_init(&xml, MOST_BYTES);
    mien_status status = file_read(path, MOST_BYTES, &xml, error);
    if (!status)
        status = detector_open_cascade(xml.data, xml.length, &d, error);
    if (!status)
        status = measure_search(d, grey, path, "cascade", 30, error);
    detector_destroy(&d);
    buffer_done(&xml);
    return status;
}

int main(int count, char **arguments)
{
    mien_error error = {0};
    mien_image colour = {0}, grey = {0};
    if (count < 4) {
        fprintf(stderr, "usage: bench_detector PICTURE CASCADE.xml MODEL.onnx…\n");
        return 2;
    }
    mien_status status = load(arguments[1], &colour, &grey, &error);
    for (int i = 3; i < count && !status; i++)
        status = measure_file(arguments[i], &colour, &error);
    if (!status)
        status = measure_cascade(arguments[2], &grey, &error);
    mien_image_done(&colour);
    mien_image_done(&grey);
    if (status)
        fprintf(stderr, "bench_detector: %s\n", error.message);
    return status ? 1 : 0;
}
