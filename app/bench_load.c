/* What all processors together manage, for `mien bench`: sessions of their own on threads of a pool, as `mien detect`
 * and the server have them. */
#include "bench.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/thread_pool.h"

enum { SLICES = 5, LEAST_SLICES = 3, MOST_SLICES = 25, CAMERA_FRAMES_PER_SECOND = 30 };

/* What one thread keeps. */
typedef struct worker {
    mien_session *session;
    mien_tracker *tracker;
    mien_result result;
    mien_frame_result seen;
    const bench_frames *frames;
    size_t step; /* of its camera */
    mien_status status;
    mien_error error;
} worker;

typedef struct load {
    const bench_bed *bed;
    bench_load kind;
    thread_pool *pool;
    worker *workers;
    size_t worker_count;
    bench_frames *frames; /* of the first pictures, at most one a worker */
    size_t frames_count;
} load;

static void analyse_picture(void *context, size_t index, size_t index_of_worker)
{
    const load *l = context;
    worker *w = &l->workers[index_of_worker];
    const bench_pictures *pictures = l->bed->pictures;
    const buffer *bytes = &pictures->list[index % pictures->count].bytes;
    if (w->status)
        return;
    w->status =
        mien_analyze_bytes(w->session, bytes->data, bytes->length, &l->bed->settings->analyze, &w->result, &w->error);
    if (!w->status && pictures->made && !w->result.face_count)
        w->status = bench_classify_given(l->bed, w->session, &w->result, &w->error);
}

/* The next frame of the worker's own stream: its camera goes to the end and back. */
static void analyse_frame(void *context, size_t index, size_t index_of_worker)
{
    const load *l = context;
    worker *w = &l->workers[index_of_worker];
    size_t turn = w->step % (2 * BENCH_STEPS), at = turn < BENCH_STEPS ? turn : 2 * BENCH_STEPS - 1 - turn;
    (void)index;
    if (w->status)
        return;
    w->status = mien_analyze_frame(w->session, w->tracker, w->frames->bytes[at], w->frames->length[at],
                                   1000.0 * (double)w->step++ / CAMERA_FRAMES_PER_SECOND, &l->bed->settings->analyze,
                                   &w->seen, &w->error);
    if (!w->status && l->bed->pictures->made && !w->seen.result.face_count)
        w->status = bench_classify_given(l->bed, w->session, &w->result, &w->error);
}

/* Milliseconds that all threads need for so many; negative where one failed. */
static double run_many(load *l, size_t count)
{
    double started = clock_monotonic_ms();
    thread_pool_run(l->pool, count, l->kind == BENCH_PICTURES ? analyse_picture : analyse_frame, l);
    double ended = clock_monotonic_ms();
    for (size_t i = 0; i < l->worker_count; i++)
        if (l->workers[i].status)
            return -1;
    return ended - started;
}

/* Slices of a fixed number, the same pictures in each, of about a fifth of the time. */
static void measure(load *l, bench_figure *figure)
{
    double rates[MOST_SLICES], budget = 1000 * l->bed->settings->seconds;
    size_t slices = 0, least = l->kind == BENCH_PICTURES ? l->bed->pictures->count : 1;
    while (least < l->worker_count)
        least *= 2;
    double spent = run_many(l, least); /* prepares the sessions */
    spent = spent < 0 ? spent : run_many(l, least);
    if (spent < 0)
        return;
    double times = budget / SLICES / (spent > 0.01 ? spent : 0.01);
    size_t count = least * (times > 1 ? (size_t)times : 1);
    spent = 0;
    while (slices < MOST_SLICES && (slices < LEAST_SLICES || spent < budget)) {
        double took = run_many(l, count);
        if (took < 0)
            return;
        spent += took;
        rates[slices++] = 1000 * (double)count / (took > 0.001 ? took : 0.001);
    }
    *figure = bench_summarise(rates, slices);
    figure->best = rates[slices - 1];
}

static mien_status make_frames(load *l, mien_error *error)
{
    size_t pictures = l->bed->pictures->count;
    l->frames_count = pictures < l->worker_count ? pictures : l->worker_count;
    l->frames = memory_zeroed(l->frames_count, sizeof *l->frames);
    if (!l->frames)
        return error_no_memory(error, l->frames_count * sizeof *l->frames);
    mien_status status = MIEN_OK;
    for (size_t i = 0; i < l->frames_count && !status; i++)
        status = bench_frames_make(&l->bed->pictures->list[i], &l->bed->settings->analyze, &l->frames[i], error);
    return status;
}

static mien_status load_init(load *l, mien_error *error)
{
    l->worker_count = l->bed->settings->threads;
    l->workers = memory_zeroed(l->worker_count, sizeof *l->workers);
    if (!l->workers)
        return error_no_memory(error, l->worker_count * sizeof *l->workers);
    mien_status status = thread_pool_create(l->worker_count, &l->pool, error);
    if (!status && l->kind == BENCH_STREAMS)
        status = make_frames(l, error);
    for (size_t i = 0; i < l->worker_count && !status; i++) {
        worker *w = &l->workers[i];
        status = mien_session_create(l->bed->analyzer, &w->session, error);
        if (!status && l->kind == BENCH_STREAMS)
            status = mien_tracker_create(NULL, &w->tracker, error);
        if (!status && l->kind == BENCH_STREAMS)
            w->frames = &l->frames[i % l->frames_count];
    }
    return status;
}

static void load_done(load *l)
{
    thread_pool_destroy(&l->pool);
    for (size_t i = 0; l->workers && i < l->worker_count; i++) {
        mien_session_destroy(&l->workers[i].session);
        mien_tracker_destroy(&l->workers[i].tracker);
        mien_result_done(&l->workers[i].result);
        mien_frame_result_done(&l->workers[i].seen);
    }
    for (size_t i = 0; l->frames && i < l->frames_count; i++)
        bench_frames_done(&l->frames[i]);
    memory_free(l->frames);
    memory_free(l->workers);
}

mien_status bench_measure_load(const bench_bed *bed, bench_load kind, bench_figure *figure, mien_error *error)
{
    load l = {.bed = bed, .kind = kind};
    mien_status status = load_init(&l, error);
    if (!status)
        measure(&l, figure);
    for (size_t i = 0; i < l.worker_count && l.workers && !status; i++)
        if (l.workers[i].status)
            status = error_set(error, l.workers[i].status, "%s", l.workers[i].error.message);
    load_done(&l);
    return status;
}
