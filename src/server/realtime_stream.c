/* Recognition runs on a worker, one frame of a stream at a time, so that a stream needs no locks: while `running` is
 * set the worker owns `current`, `result` and the tracker, otherwise the loop does. Identities are followed on the
 * worker too, on the time of arrival here, because clients' clocks are not to be trusted. */
#include "server/realtime_stream.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "server/body.h"

static const double stream_average_share = 1.0 / 15; /* of the newest frame in the average time */

struct realtime_stream {
    server_job job; /* first */
    server *server;
    realtime_report report;
    void *context;
    realtime_config config, config_next;
    bool config_changed;
    bool running, waiting, destroyed;
    realtime_frame current, pending;
    unsigned long dropped; /* since the last report */
    mien_tracker *tracker;
    mien_frame_result found;
    mien_status status;
    mien_error error;
    double seconds;
    realtime_times times;
};

void realtime_frame_done(realtime_frame *frame)
{
    json_decref(frame->id);
    json_decref(frame->text);
    buffer_done(&frame->bytes);
    *frame = (realtime_frame){0};
}

static mien_status tracker_renew(realtime_stream *s, mien_error *error)
{
    mien_tracker_options options;
    mien_tracker *made;
    mien_tracker_default_options(&options);
    options.smoothing_ms = s->config.smoothing_ms;
    options.baseline_ms = s->config.baseline_ms;
    if (s->config.full_search)
        options.full_search_ms = 0;
    mien_status status = mien_tracker_create(&options, &made, error);
    if (status)
        return status;
    mien_tracker_destroy(&s->tracker);
    s->tracker = made;
    return MIEN_OK;
}

/** Take over a new configuration; the tracker is only renewed for what concerns it, for that forgets the faces. */
static mien_status apply_config(realtime_stream *s)
{
    realtime_config old = s->config;
    if (!s->config_changed)
        return MIEN_OK;
    s->config_changed = false;
    s->config = s->config_next;
    if (s->config.smoothing_ms == old.smoothing_ms && s->config.baseline_ms == old.baseline_ms &&
        s->config.full_search == old.full_search)
        return MIEN_OK;
    return tracker_renew(s, NULL);
}

static mien_status take_picture(realtime_stream *s, buffer *picture)
{
    realtime_frame *frame = &s->current;
    if (!frame->text) {
        *picture = frame->bytes;
        frame->bytes = (buffer){0};
        return MIEN_OK;
    }
    buffer_init(picture, (size_t)server_service(s->server)->settings->max_body);
    return body_picture(json_string_value(frame->text), json_string_length(frame->text), picture, &s->error);
}

static void take_options(const realtime_stream *s, mien_analyze_options *options)
{
    service_options(server_service(s->server), s->config.preset, options);
    if (s->config.min_face > 0)
        options->min_face = s->config.min_face;
    if (s->config.scale_factor > 0)
        options->scale_factor = s->config.scale_factor;
    if (s->config.min_neighbors >= 0)
        options->min_neighbors = s->config.min_neighbors;
}

/* Not through the cache: no frame comes twice. */
static mien_status analyze(realtime_stream *s, size_t worker, const buffer *picture)
{
    service *service = server_service(s->server);
    mien_analyze_options options;
    model_pick pick;
    mien_status status = model_list_pick(&service->models, s->config.model, MODEL_OWN, &pick, &s->error);
    if (status)
        return status;
    take_options(s, &options);
    uint64_t began = clock_monotonic_ns();
    status = vision_analyze_frame(pick.vision, worker, s->tracker, picture->data ? picture->data : (const uint8_t *)"",
                                  picture->length, s->current.arrived_ms, &options, &s->found, &s->error);
    model_pick_done(&pick);
    if (!status)
        metrics_inference(service->metrics, (double)(clock_monotonic_ns() - began) / 1e9, s->found.result.face_count);
    return status;
}

static mien_status recognise(realtime_stream *s, size_t worker)
{
    buffer picture = {0};
    mien_status status = take_picture(s, &picture);
    if (!status)
        status = analyze(s, worker, &picture);
    buffer_done(&picture);
    return status;
}

static void run(server_job *job, size_t worker)
{
    realtime_stream *s = (realtime_stream *)job;
    uint64_t begin = clock_monotonic_ns();
    s->status = recognise(s, worker);
    s->seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
}

static void release(realtime_stream *s)
{
    realtime_frame_done(&s->current);
    realtime_frame_done(&s->pending);
    mien_tracker_destroy(&s->tracker);
    mien_frame_result_done(&s->found);
    memory_free(s);
}

static void begin(realtime_stream *s)
{
    realtime_frame_done(&s->current);
    s->current = s->pending;
    s->pending = (realtime_frame){0};
    s->waiting = false;
    apply_config(s);
    s->running = !server_submit(s->server, &s->job);
    if (!s->running) {
        s->dropped++;
        s->times.dropped++;
        metrics_dropped(server_service(s->server)->metrics);
    }
}

static void count_times(realtime_stream *s)
{
    realtime_times *t = &s->times;
    t->recent += (t->frames ? stream_average_share : 1) * (s->seconds - t->recent);
    t->frames++;
    t->last = (double)clock_unix_us() / 1e6;
}

static void news(server_job *job, bool finished)
{
    realtime_stream *s = (realtime_stream *)job;
    if (!finished)
        return;
    s->running = false;
    if (s->destroyed) {
        release(s);
        return;
    }
    if (!s->status)
        count_times(s);
    realtime_outcome outcome = {.frame = &s->current,
                                .status = s->status,
                                .error = &s->error,
                                .found = &s->found,
                                .seconds = s->seconds,
                                .times = &s->times,
                                .dropped = s->dropped};
    s->dropped = 0;
    s->running = true; /* a report that destroys the stream must leave it to us */
    s->report(s->context, &outcome);
    s->running = false;
    if (s->destroyed)
        release(s);
    else if (s->waiting && server_service(s->server)->queue)
        begin(s);
}

mien_status realtime_stream_create(server *server, realtime_report report, void *context, realtime_stream **out,
                                   mien_error *error)
{
    realtime_stream *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    *made = (realtime_stream){.job = {.run = run, .news = news},
                              .server = server,
                              .report = report,
                              .context = context,
                              .config = {.preset = MIEN_PRESET_DEFAULT, .min_neighbors = -1, .smoothing_ms = 300}};
    mien_status status = tracker_renew(made, error);
    if (status)
        release(made);
    else
        *out = made;
    return status;
}

void realtime_stream_destroy(realtime_stream **stream)
{
    realtime_stream *s = *stream;
    *stream = NULL;
    if (!s)
        return;
    s->destroyed = true;
    if (s->running && server_withdraw(s->server, &s->job))
        s->running = false;
    if (!s->running)
        release(s);
}

mien_status realtime_stream_configure(realtime_stream *s, const realtime_config *config, mien_error *error)
{
    if (config->min_face < 0 || config->min_face > 10000)
        return error_set(error, MIEN_EINVAL, "min_face_size is 0..10000");
    if (!(config->smoothing_ms >= 0 && config->smoothing_ms <= 60000) ||
        !(config->baseline_ms >= 0 && config->baseline_ms <= 60000))
        return error_set(error, MIEN_EINVAL, "smoothing_ms and baseline_ms are 0..60000");
    if (config->scale_factor != 0 && !(config->scale_factor > 1.01 && config->scale_factor <= 2))
        return error_set(error, MIEN_EINVAL, "scale_factor is 1.01..2");
    if (config->min_neighbors > 100)
        return error_set(error, MIEN_EINVAL, "min_neighbors is 0..100");
    s->config_next = *config;
    s->config_changed = true;
    return MIEN_OK;
}

const realtime_config *realtime_stream_config(const realtime_stream *s)
{
    return s->config_changed ? &s->config_next : &s->config;
}

mien_status realtime_stream_push(realtime_stream *s, realtime_frame *frame)
{
    if (s->waiting) {
        s->dropped++;
        s->times.dropped++;
        metrics_dropped(server_service(s->server)->metrics);
    }
    realtime_frame_done(&s->pending);
    s->pending = *frame;
    *frame = (realtime_frame){0};
    s->waiting = true;
    if (s->running)
        return MIEN_OK;
    begin(s);
    return s->running ? MIEN_OK : MIEN_EBUSY;
}

void realtime_stream_clear(realtime_stream *s)
{
    s->waiting = false;
    realtime_frame_done(&s->pending);
}
