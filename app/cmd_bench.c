/* `mien bench`: how fast mien is on this very machine and where the time goes, without a data set or a network. One
 * measurement after the other; people see each table as soon as it is complete. */
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "bench.h"
#include "commands.h"
#include "file_list.h"
#include "pipeline/session.h"
#include "pipeline/shipped.h"
#include "vision_options.h"

enum { MOST_PICTURES = 1000, MOST_THREADS = 64, PATIENCE_MS = 1500 };

static const char command[] = "bench";

static const char help[] =
    "usage: mien bench [options] [FILE…]\n"
    "\n"
    "Measures how fast mien is on this machine and where the time goes: the steps of a picture, all threads together,\n"
    "and the networks in each precision. Takes about a second for each of some twelve measurements.\n"
    "FILE is a picture, or a folder of them; without one mien makes a picture itself, which shows nobody.\n"
    "\n"
    "  --json               one JSON object instead of tables\n"
    "  --seconds S          time for each measurement (default 1)\n"
    "  --threads N          threads that work at once where all are measured (default: one per processor)\n"
    "  --model FILE         emotion model (.onnx), or one that ships; repeatable: the first one works on the pictures\n"
    "                       (default: mien-wide and mien-small)\n"
    "  --precision P        measure only f32, bf16 or int8; repeatable: the first one works on the pictures\n"
    "                       (default: each; on the pictures as `mien detect` would)\n" VISION_HELP_PRESET
        VISION_HELP_FINDING "  -h, --help           this text\n"
    "\n"
    "The best of the runs is what the machine can do, the median what it did while others used it too.\n"
    "Exit status: 0 everything was measured, 1 something failed, 2 wrong usage.\n"
    "\n"
    "  mien bench\n"
    "  mien bench --threads 4 --model mien-small holiday/\n"
    "  mien bench --json --seconds 3 photo.jpg > here.json\n";

enum { OPTION_JSON = OPTION_OWN, OPTION_SECONDS, OPTION_THREADS };

static const struct option long_options[] = {
    {"json", no_argument, NULL, OPTION_JSON},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"threads", required_argument, NULL, OPTION_THREADS},
    VISION_OPTIONS,
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* What is being done, for who waits at a terminal. */
typedef struct progress {
    bool terminal, shown;
    double started;
    size_t done, all;
} progress;

typedef struct run {
    bench_settings settings;
    bench_pictures pictures;
    bench_bed bed;
    bench_report report;
    progress progress;
} run;

static option_outcome add_model(bench_settings *s, const char *name)
{
    if (s->model_count == BENCH_MOST_MODELS) {
        fprintf(stderr, "mien bench: more than %d --model\n", BENCH_MOST_MODELS);
        return OPTION_WRONG;
    }
    s->models[s->model_count++] = name;
    return OPTION_TAKEN;
}

/* "auto" is how pictures are worked on anyhow, and no arithmetic to be compared. */
static option_outcome add_precision(bench_settings *s, const char *name)
{
    mien_analyzer_options taken = s->analyzer;
    nn_precision precision;
    option_outcome outcome = vision_option(command, OPTION_PRECISION, name, &taken, &s->analyze);
    if (outcome != OPTION_TAKEN || !nn_precision_from_name(name, &precision))
        return outcome;
    if (s->analyzer.precision == MIEN_PRECISION_AUTO)
        s->analyzer.precision = taken.precision;
    s->precisions[precision] = true;
    return OPTION_TAKEN;
}

static option_outcome take_option(int option, const char *text, void *context)
{
    bench_settings *s = context;
    double value = 0;
    switch (option) {
    case OPTION_JSON:
        s->json = true;
        return OPTION_TAKEN;
    case OPTION_SECONDS:
        if (!option_number(command, "seconds", text, 0.001, 3600, false, "seconds from 0.001 to 3600", &s->seconds))
            return OPTION_WRONG;
        return OPTION_TAKEN;
    case OPTION_THREADS:
        if (!option_number(command, "threads", text, 1, MOST_THREADS, true, "a number from 1 to 64", &value))
            return OPTION_WRONG;
        s->threads = (size_t)value;
        return OPTION_TAKEN;
    case OPTION_MODEL:
        return add_model(s, text);
    case OPTION_PRECISION:
        return add_precision(s, text);
    default:
        return vision_option(command, option, text, &s->analyzer, &s->analyze);
    }
}

/* Returns -1 to go on, or the exit status. */
static int read_settings(int argc, char **argv, bench_settings *s)
{
    size_t processors = bench_processors();
    *s = (bench_settings){.seconds = 1, .threads = processors > MOST_THREADS ? MOST_THREADS : processors};
    mien_analyzer_default_options(&s->analyzer);
    mien_analyze_default_options(&s->analyze);
    s->analyzer.precision = MIEN_PRECISION_AUTO;
    int done = options_read(command, argc, argv, long_options, help, take_option, s);
    bool any = false;
    for (int i = 0; i < BENCH_PRECISIONS; i++)
        any |= s->precisions[i];
    for (int i = 0; i < BENCH_PRECISIONS; i++)
        s->precisions[i] |= !any;
    if (!s->model_count)
        for (const char *name; s->model_count < BENCH_MOST_MODELS && (name = mien_shipped_model(s->model_count));)
            s->models[s->model_count++] = name;
    s->analyzer.model_path = s->models[0];
    return done;
}

/* The line goes away with the next one, and with the next table. */
static void progress_clear(progress *p)
{
    if (p->shown)
        fprintf(stderr, "\r\033[K");
    p->shown = false;
}

static void progress_step(progress *p, const char *format, ...) MIEN_PRINTF(2, 3);

static void progress_step(progress *p, const char *format, ...)
{
    p->done++;
    progress_clear(p);
    if (!p->terminal || clock_monotonic_ms() - p->started < PATIENCE_MS)
        return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "measuring %zu of %zu: ", p->done, p->all);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
    p->shown = true;
}

static void progress_init(run *r)
{
    size_t precisions = 0;
    for (int i = 0; i < BENCH_PRECISIONS; i++)
        precisions += r->settings.precisions[i];
    size_t networks = !strcmp(r->report.detector_kind, "network") ? precisions : 0;
    r->progress = (progress){.terminal = isatty(STDERR_FILENO),
                             .started = clock_monotonic_ms(),
                             .all = r->pictures.count + 2 + r->settings.model_count * precisions + networks};
}

/* What stands ready, and what it is called. */
static mien_status describe(run *r, mien_error *error)
{
    bench_report *report = &r->report;
    const mien_analyzer_options *options = &r->settings.analyzer;
    *report = (bench_report){.settings = &r->settings, .pictures = &r->pictures, .bed = &r->bed};
    report->emotion_precision = analyzer_precision(r->bed.analyzer);
    report->emotion_name = r->settings.models[0];
    const detector *d = finder_detector(analyzer_finder(r->bed.analyzer));
    bool network = r->settings.analyze.preset == MIEN_PRESET_DEFAULT && !strcmp(detector_kind(d), "network");
    report->detector_kind = network ? "network" : "cascade";
    report->detector_precision = detector_precision(d);
    report->detector_name = network ? (options->detector_path ? options->detector_path : shipped_face().name)
                                    : (options->cascade_path ? options->cascade_path : "OpenCV's frontal face");
    report->steps = memory_zeroed(r->pictures.count, sizeof *report->steps);
    return report->steps ? MIEN_OK : error_no_memory(error, r->pictures.count * sizeof *report->steps);
}

static mien_status measure_pictures(run *r, mien_error *error)
{
    mien_status status = MIEN_OK;
    if (!r->settings.json)
        bench_print_head(&r->report);
    for (size_t i = 0; i < r->pictures.count && !status; i++) {
        progress_step(&r->progress, "%s", r->pictures.list[i].name);
        status = bench_measure_picture(&r->bed, i, &r->report.steps[i], error);
        progress_clear(&r->progress);
        if (!status && !r->settings.json)
            bench_print_picture(&r->report, i);
    }
    return status;
}

static mien_status measure_loads(run *r, mien_error *error)
{
    bench_report *report = &r->report;
    report->one_session = bench_peak_memory();
    progress_step(&r->progress, "pictures, all threads");
    mien_status status = bench_measure_load(&r->bed, BENCH_PICTURES, &report->picture_rate, error);
    report->all_sessions = bench_peak_memory();
    progress_step(&r->progress, "frames, all threads");
    if (!status)
        status = bench_measure_load(&r->bed, BENCH_STREAMS, &report->frame_rate, error);
    progress_clear(&r->progress);
    if (!status && !r->settings.json)
        bench_print_load(report);
    return status;
}

static mien_status measure_models(run *r, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < r->settings.model_count; i++)
        for (int p = 0; p < BENCH_PRECISIONS && !status; p++) {
            const char *name = r->settings.models[i];
            if (!r->settings.precisions[p])
                continue;
            progress_step(&r->progress, "%s in %s", name, nn_precision_name((nn_precision)p));
            status =
                bench_measure_model(&r->bed, name, (nn_precision)p, &r->report.models[r->report.model_rows++], error);
        }
    progress_clear(&r->progress);
    if (!status && !r->settings.json)
        bench_print_models(&r->report);
    return status;
}

static mien_status measure_networks(run *r, mien_error *error)
{
    mien_status status = MIEN_OK;
    bool network = !strcmp(r->report.detector_kind, "network");
    for (int p = 0; p < BENCH_PRECISIONS && network && !status; p++) {
        if (!r->settings.precisions[p])
            continue;
        progress_step(&r->progress, "the face network in %s", nn_precision_name((nn_precision)p));
        status = bench_measure_network(&r->bed, (nn_precision)p, &r->report.networks[r->report.network_rows++], error);
    }
    progress_clear(&r->progress);
    if (!status && !r->settings.json)
        bench_print_networks(&r->report);
    return status;
}

static mien_status measure(run *r, mien_error *error)
{
    mien_status status = bench_bed_init(&r->bed, &r->settings, &r->pictures, error);
    if (!status)
        status = describe(r, error);
    if (status)
        return status;
    progress_init(r);
    status = measure_pictures(r, error);
    if (!status)
        status = measure_loads(r, error);
    if (!status)
        status = measure_models(r, error);
    if (!status)
        status = measure_networks(r, error);
    progress_clear(&r->progress);
    if (!status && r->settings.json)
        return bench_print_json(&r->report, error);
    if (!status)
        bench_print_tail(&r->report);
    return status;
}

/* `list` is empty: the picture that mien makes. */
static mien_status take_pictures(run *r, const file_list *list, mien_error *error)
{
    if (list->count > MOST_PICTURES)
        return error_set(error, MIEN_ELIMIT, "%zu pictures are more than %d", list->count, MOST_PICTURES);
    if (!list->count)
        return bench_pictures_make(&r->pictures, error);
    return bench_pictures_read(list->paths, list->count, &r->settings.analyze, &r->pictures, error);
}

static void run_done(run *r)
{
    bench_bed_done(&r->bed);
    bench_pictures_done(&r->pictures);
    memory_free(r->report.steps);
}

int cmd_bench(int argc, char **argv)
{
    run r = {0};
    int exit_status = read_settings(argc, argv, &r.settings);
    if (exit_status >= 0)
        return exit_status;

    mien_error error = {0};
    file_list list = {.command = command};
    file_list_add_arguments(&list, argv + optind, argc - optind);
    bool failed = list.failed || (optind < argc && !list.count); /* which has been said */
    mien_status status = failed ? MIEN_OK : take_pictures(&r, &list, &error);
    if (!status && !failed)
        status = measure(&r, &error);
    fflush(stdout);
    if (status)
        fprintf(stderr, "mien bench: %s\n", error.message);
    run_done(&r);
    file_list_done(&list);
    return status || failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
