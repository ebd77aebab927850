/* The measurements of `mien bench` that one thread makes: what a picture costs step by step, and what each network
 * costs in each precision. The steps' times are those that every result carries (mien_timing). */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "model/ranges.h"
#include "pipeline/session.h"
#include "pipeline/shipped.h"

enum { LEAST_RUNS = 3, MOST_RUNS = 10000 };

/* What is repeated. */
typedef struct trial {
    bench_bed *bed;
    mien_session *session;
    const bench_picture *picture;
    mien_timing timing; /* of the last run */
    bool given;         /* … in which a face was classified where none was found */
} trial;

typedef mien_status (*trial_run)(trial *t, mien_error *error);

/* A model that cannot be read is told of before time is spent on the others. */
static mien_status look_at_others(const bench_settings *settings, mien_error *error)
{
    mien_status status = MIEN_OK;
    for (size_t i = 1; i < settings->model_count && !status; i++) {
        model m = {0};
        status = shipped_load(settings->models[i], &m, error);
        model_done(&m);
    }
    return status;
}

mien_status bench_bed_init(bench_bed *bed, const bench_settings *settings, bench_pictures *pictures, mien_error *error)
{
    bed->settings = settings;
    bed->pictures = pictures;
    double started = clock_monotonic_ms();
    mien_status status = mien_analyzer_create(&settings->analyzer, &bed->analyzer, error);
    if (!status)
        status = mien_session_create(bed->analyzer, &bed->session, error);
    bed->load_ms = clock_monotonic_ms() - started;
    for (size_t i = 0; i < pictures->count && !status; i++) { /* what is no picture is told of at once, too */
        const bench_picture *picture = &pictures->list[i];
        status = mien_analyze_bytes(bed->session, picture->bytes.data, picture->bytes.length, &settings->analyze,
                                    &bed->result, error);
        if (status)
            error_prefix(error, status, "%s", picture->name);
        if (!i)
            bed->first_ms = bed->result.timing.total;
    }
    return status ? status : look_at_others(settings, error);
}

void bench_bed_done(bench_bed *bed)
{
    mien_result_done(&bed->result);
    mien_session_destroy(&bed->session);
    mien_analyzer_destroy(&bed->analyzer);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bench_figure bench_summarise(double *values, size_t count)
{
    qsort(values, count, sizeof *values, by_value);
    return (bench_figure){values[0], values[count / 2], count};
}

/* The member of mien_timing that lies at `offset`, over all runs. */
static bench_figure summarise(const mien_timing *timings, size_t count, size_t offset, double *scratch)
{
    for (size_t i = 0; i < count; i++)
        memcpy(&scratch[i], (const char *)&timings[i] + offset, sizeof *scratch);
    return bench_summarise(scratch, count);
}

/* Runs it for the time set, and once before that: the first run prepares what the others find prepared. */
static mien_status repeat(trial *t, trial_run run, bench_steps *steps, mien_error *error)
{
    mien_timing *timings = memory_array(MOST_RUNS, sizeof *timings);
    double *scratch = memory_array(MOST_RUNS, sizeof *scratch);
    size_t count = 0;
    mien_status status =
        timings && scratch ? run(t, error) : error_no_memory(error, MOST_RUNS * (sizeof *timings + sizeof *scratch));
    double end = clock_monotonic_ms() + 1000 * t->bed->settings->seconds;
    while (!status && count < MOST_RUNS && (count < LEAST_RUNS || clock_monotonic_ms() < end)) {
        status = run(t, error);
        timings[count++] = t->timing;
    }
    if (!status) {
        steps->decode = summarise(timings, count, offsetof(mien_timing, decode), scratch);
        steps->detect = summarise(timings, count, offsetof(mien_timing, detect), scratch);
        steps->classify = summarise(timings, count, offsetof(mien_timing, classify), scratch);
        steps->total = summarise(timings, count, offsetof(mien_timing, total), scratch);
    }
    memory_free(timings);
    memory_free(scratch);
    return status;
}

mien_status bench_classify_given(const bench_bed *bed, mien_session *session, mien_result *result, mien_error *error)
{
    mien_image_view view = mien_image_as_view(&bed->pictures->first);
    mien_analyze_options options = bed->settings->analyze;
    options.face_boxes = &bed->pictures->box;
    options.face_box_count = 1;
    return mien_analyze_view(session, &view, &options, result, error);
}

static mien_status classify_given(trial *t, mien_error *error)
{
    mien_status status = bench_classify_given(t->bed, t->session, &t->bed->result, error);
    if (!status)
        t->timing = t->bed->result.timing;
    return status;
}

static mien_status analyse_picture(trial *t, mien_error *error)
{
    const buffer *bytes = &t->picture->bytes;
    mien_result *result = &t->bed->result;
    mien_status status =
        mien_analyze_bytes(t->session, bytes->data, bytes->length, &t->bed->settings->analyze, result, error);
    mien_timing timing = result->timing;
    t->given = !status && t->bed->pictures->made && !result->face_count;
    if (t->given) {
        status = classify_given(t, error);
        timing.classify = t->timing.classify;
        timing.total += t->timing.classify;
    }
    t->timing = timing;
    return status;
}

mien_status bench_measure_picture(bench_bed *bed, size_t index, bench_steps *steps, mien_error *error)
{
    trial t = {.bed = bed, .session = bed->session, .picture = &bed->pictures->list[index]};
    mien_status status =
        bed->pictures->made ? bench_pictures_decode(bed->pictures, &bed->settings->analyze, error) : MIEN_OK;
    if (!status)
        status = repeat(&t, analyse_picture, steps, error);
    if (status)
        return status;
    steps->width = bed->result.width;
    steps->height = bed->result.height;
    steps->faces = t.given ? 0 : bed->result.face_count;
    steps->given = t.given;
    return MIEN_OK;
}

/* Where the surest face of the first picture is, so that its crop is an ordinary one. */
static mien_status find_box(bench_bed *bed, mien_error *error)
{
    mien_status status = bench_pictures_decode(bed->pictures, &bed->settings->analyze, error);
    mien_image_view view = mien_image_as_view(&bed->pictures->first);
    if (!status)
        status = mien_analyze_view(bed->session, &view, &bed->settings->analyze, &bed->result, error);
    if (!status && bed->result.face_count)
        bed->pictures->box = bed->result.faces[0].box;
    return status;
}

static mien_precision public_precision(nn_precision precision)
{
    static const mien_precision names[BENCH_PRECISIONS] = {
        [NN_F32] = MIEN_PRECISION_F32, [NN_BF16] = MIEN_PRECISION_BF16, [NN_INT8] = MIEN_PRECISION_INT8};
    return names[precision];
}

/* Whether it has what the precision needs; that it has not is no failure. */
static mien_status look_at_model(const char *path, bench_row *row, mien_error *error)
{
    model m = {0};
    mien_status status = shipped_load(path, &m, error);
    if (status)
        return status;
    if (row->wanted == NN_INT8 && !model_has_ranges(&m))
        error_set(&row->reason, MIEN_ENOTFOUND,
                  "it carries no ranges for eight bits; `mien eval --calibrate` adds them");
    model_done(&m);
    return MIEN_OK;
}

mien_status bench_measure_model(bench_bed *bed, const char *model, nn_precision precision, bench_row *row,
                                mien_error *error)
{
    mien_analyzer_options options = bed->settings->analyzer;
    options.model_path = model;
    options.precision = public_precision(precision);
    *row = (bench_row){.name = model, .wanted = precision, .here = nn_precision_here(precision)};
    mien_status status = look_at_model(model, row, error);
    if (status || row->reason.code)
        return status;
    mien_analyzer *analyzer = NULL;
    trial t = {.bed = bed};
    bench_steps steps = {0};
    status = find_box(bed, error);
    if (!status)
        status = mien_analyzer_create(&options, &analyzer, error);
    if (!status)
        status = mien_session_create(analyzer, &t.session, error);
    if (!status)
        status = repeat(&t, classify_given, &steps, error);
    row->figure = steps.classify;
    mien_session_destroy(&t.session);
    mien_analyzer_destroy(&analyzer);
    return status;
}

static mien_status search_picture(trial *t, mien_error *error)
{
    mien_image_view view = mien_image_as_view(&t->bed->pictures->first);
    mien_analyze_options options = t->bed->settings->analyze;
    options.max_faces = 1; /* only the search is looked at */
    mien_status status = mien_analyze_view(t->session, &view, &options, &t->bed->result, error);
    if (!status)
        t->timing = t->bed->result.timing;
    return status;
}

mien_status bench_measure_network(bench_bed *bed, nn_precision precision, bench_row *row, mien_error *error)
{
    finder *f = NULL;
    mien_analyzer *analyzer = NULL;
    trial t = {.bed = bed};
    bench_steps steps = {0};
    const char *path = bed->settings->analyzer.detector_path;
    *row = (bench_row){.wanted = precision, .here = nn_precision_here(precision)};
    row->name = path ? path : shipped_face().name;
    mien_status status = bench_pictures_decode(bed->pictures, &bed->settings->analyze, error);
    if (!status)
        status = finder_create(&bed->settings->analyzer, &f, error);
    if (status)
        return status;
    finder_use_precision(f, precision);
    status = analyzer_create_with(&bed->settings->analyzer, f, &analyzer, error);
    if (!status)
        status = mien_session_create(analyzer, &t.session, error);
    if (!status)
        status = repeat(&t, search_picture, &steps, error);
    if (status == MIEN_ENOTFOUND && precision == NN_INT8) { /* its file is there: pictures were searched with it */
        row->reason = *error;
        status = MIEN_OK;
    }
    row->figure = steps.detect;
    mien_session_destroy(&t.session);
    mien_analyzer_destroy(&analyzer);
    finder_destroy(&f);
    return status;
}
