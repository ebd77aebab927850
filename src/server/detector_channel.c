/* /ws: {"type":"frame"|"crops"|"ping"|"model_select"}, or a picture as a binary message. Frames are parsed, decoded and
 * recognised on a worker; while one is under way only the newest that arrives is kept, and each result says how many
 * were dropped before it. Mistakes get an error message; the connection stays.
 *
 * data.faces tells of every face, with an identity that lasts from frame to frame. On /ws?search=assisted the frames
 * are taken for a film: most are searched only where the tracker expects faces. Otherwise each is searched wholly,
 * because clients also send pictures that have nothing to do with each other. /ws?model=NAME asks for a model. */
#include "server/detector_channel.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "pipeline/result_json.h"
#include "server/body.h"
#include "server/detector_crops.h"
#include "server/dialects.h"

#include <stdlib.h>
#include <string.h>

enum { SMALL_MESSAGE = 8192 }; /* below, it is parsed at once to see whether it is a frame */

typedef struct frame {
    buffer bytes;
    bool binary;
} frame;

typedef struct stream {
    server_job job; /* first */
    server *server;
    service *service;
    channel *channel;      /* NULL: closed while a worker was busy */
    mien_tracker *tracker; /* the worker's while one is running */
    bool assisted;
    char model[VISION_NAME]; /* asked for; "" = the one selected */
    frame pending, current;
    bool waiting; /* `pending` holds a frame */
    bool running;
    unsigned long dropped;
    char *answer; /* from jansson; the worker's until it reports back */
} stream;

static void send_json(stream *s, json_t *message)
{
    char *text = message ? json_dumps(message, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    if (text)
        channel_send(s->channel, false, text, strlen(text));
    free(text);
    json_decref(message);
}

static json_t *error_message(const char *text)
{
    return json_pack("{sss{ss}}", "type", "error", "data", "error", text);
}

/* Every face that was found, with who it is. */
static json_t *face_list(const mien_frame_result *found)
{
    json_t *list = json_array();
    for (size_t i = 0; found->tracks && i < found->result.face_count; i++) {
        json_t *face = result_face_to_json(&found->result.faces[i]);
        json_object_set_new(face, "face_id", json_integer((json_int_t)found->tracks[i].id));
        json_object_set_new(face, "smoothed", result_probabilities_to_json(found->tracks[i].smoothed));
        json_array_append_new(list, face);
    }
    return list;
}

/* Idle connections have no tracker: it comes with the first frame. */
static mien_status need_tracker(stream *s, mien_error *error)
{
    return s->tracker ? MIEN_OK : mien_tracker_create(NULL, &s->tracker, error);
}

/* The whole frame, through the cache, then who is who by motion. */
static mien_status recognise_whole(stream *s, model_pick *pick, const void *bytes, size_t length, const json_t *bounds,
                                   size_t worker, mien_frame_result *found, mien_error *error)
{
    mien_result *result = &found->result;
    mien_status status = detector_recognise(s->service, worker, pick, bytes, length, bounds, result, error);
    if (status || !result->face_count)
        return status;
    found->tracks = memory_zeroed(result->face_count, sizeof *found->tracks);
    if (!found->tracks)
        return error_no_memory(error, result->face_count * sizeof *found->tracks);
    return mien_tracker_update(s->tracker, result->faces, result->face_count, clock_monotonic_ms(), NULL, found->tracks,
                               error);
}

static mien_status recognise_assisted(stream *s, const model_pick *pick, const void *bytes, size_t length,
                                      size_t worker, mien_frame_result *found, mien_error *error)
{
    mien_analyze_options options;
    uint64_t begin = clock_monotonic_ns();
    detector_options(s->service, &options);
    mien_status status = vision_analyze_frame(pick->vision, worker, s->tracker, bytes, length, clock_monotonic_ms(),
                                              &options, found, error);
    if (!status)
        metrics_inference(s->service->metrics, (double)(clock_monotonic_ns() - begin) / 1e9, found->result.face_count);
    return status;
}

/* {"type":"result"} with the fields that the document reads repeated at the top. */
static json_t *message_of(const char *model, const mien_frame_result *found, bool detected, const json_t *bounds,
                          uint64_t begin)
{
    json_t *data =
        detector_result(model, &found->result, detected, bounds, true, (double)(clock_monotonic_ns() - begin) / 1e9);
    json_object_set_new(data, "faces", face_list(found));
    return json_pack("{sssOsOsOso}", "type", "result", "emotion", json_object_get(data, "emotion"), "confidence",
                     json_object_get(data, "confidence"), "all_scores", json_object_get(data, "all_scores"), "data",
                     data);
}

static json_t *result_message(stream *s, const void *bytes, size_t length, const json_t *bounds, size_t worker)
{
    uint64_t begin = clock_monotonic_ns();
    mien_frame_result found = {0};
    mien_error error = {0};
    model_pick pick;
    if (model_list_pick(&s->service->models, s->model, MODEL_DETECTOR, &pick, &error))
        return error_message(error.message);
    mien_status status = need_tracker(s, &error);
    if (!status)
        status = s->assisted && !pick.remote && !json_is_object(bounds)
                     ? recognise_assisted(s, &pick, bytes, length, worker, &found, &error)
                     : recognise_whole(s, &pick, bytes, length, bounds, worker, &found, &error);
    model_pick_done(&pick);
    json_t *answer = message_of(pick.name, &found, !status, bounds, begin);
    mien_frame_result_done(&found);
    return answer;
}

/* Faces that the client found: who is who is told by where they stand, for the frame itself was not sent. */
static mien_status recognise_crops(stream *s, const model_pick *pick, const detector_crops *crops, const buffer *sheet,
                                   size_t worker, mien_frame_result *found, mien_error *error)
{
    mien_analyze_options options;
    mien_status status = MIEN_OK;
    detector_options(s->service, &options);
    options.face_boxes = crops->in_sheet;
    options.face_box_count = crops->count;
    uint64_t begin = clock_monotonic_ns();
    if (crops->count)
        status = pick->vision->functions->analyze(pick->vision, worker, sheet->data, sheet->length, &options,
                                                  &found->result, error);
    if (status)
        return status;
    metrics_inference(s->service->metrics, (double)(clock_monotonic_ns() - begin) / 1e9, crops->count);
    status = detector_crops_place(crops, &found->result, error);
    if (!status)
        status = need_tracker(s, error);
    found->tracks = memory_zeroed(crops->count, sizeof *found->tracks);
    if (!status && !found->tracks)
        status = error_no_memory(error, crops->count * sizeof *found->tracks);
    if (!status)
        status = mien_tracker_update(s->tracker, found->result.faces, crops->count, clock_monotonic_ms(), NULL,
                                     found->tracks, error);
    return status;
}

static json_t *answer_crops(stream *s, const json_t *data, size_t worker)
{
    uint64_t begin = clock_monotonic_ns();
    const json_t *image = json_object_get(data, "image");
    detector_crops crops;
    mien_error error = {0};
    mien_frame_result found = {0};
    model_pick pick;
    if (model_list_pick(&s->service->models, s->model, MODEL_DETECTOR, &pick, &error))
        return error_message(error.message);
    memcpy(pick.name, pick.vision->model_name, sizeof pick.name); /* crops are never sent elsewhere */
    buffer sheet;
    buffer_init(&sheet, detector_max_bytes(s->service));
    mien_status status = detector_crops_read(json_object_get(data, "faces"), &crops, &error);
    if (!status && crops.count && !json_is_string(image))
        status = error_set(&error, MIEN_EFORMAT, "No image data provided");
    if (!status && crops.count)
        status = body_picture(json_string_value(image), json_string_length(image), &sheet, &error);
    if (!status)
        status = recognise_crops(s, &pick, &crops, &sheet, worker, &found, &error);
    model_pick_done(&pick);
    json_t *answer = status ? error_message(error.message) : message_of(pick.name, &found, true, NULL, begin);
    mien_frame_result_done(&found);
    buffer_done(&sheet);
    return answer;
}

static json_t *answer_frame(stream *s, const json_t *message, size_t worker)
{
    const json_t *data = json_object_get(message, "data"), *image = json_object_get(data, "image");
    const json_t *bounds = json_object_get(data, "face_bounds");
    if (!json_is_string(image))
        return error_message("No image data provided");
    buffer picture;
    mien_error error = {0};
    buffer_init(&picture, detector_max_bytes(s->service));
    mien_status status = body_picture(json_string_value(image), json_string_length(image), &picture, &error);
    json_t *answer = status ? error_message(status == MIEN_ELIMIT ? "Image size exceeds the maximum" : error.message)
                            : result_message(s, picture.data, picture.length, bounds, worker);
    buffer_done(&picture);
    return answer;
}

static bool is_type(const json_t *message, const char *wanted)
{
    const char *type = json_string_value(json_object_get(message, "type"));
    return type && !strcmp(type, wanted);
}

static json_t *answer_current(stream *s, size_t worker)
{
    const frame *current = &s->current;
    if (current->binary && current->bytes.length > detector_max_bytes(s->service))
        return error_message("Image size exceeds the maximum");
    if (current->binary)
        return result_message(s, current->bytes.data, current->bytes.length, NULL, worker);
    json_error_t problem;
    json_t *message = json_loadb((const char *)current->bytes.data, current->bytes.length, 0, &problem);
    json_t *answer = !message                    ? error_message("Invalid JSON")
                     : is_type(message, "crops") ? answer_crops(s, json_object_get(message, "data"), worker)
                                                 : answer_frame(s, message, worker);
    json_decref(message);
    return answer;
}

static void run(server_job *job, size_t worker)
{
    stream *s = (stream *)job;
    json_t *answer = answer_current(s, worker);
    s->answer = answer ? json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(answer);
}

static void begin(stream *s)
{
    frame swap = s->current;
    s->current = s->pending;
    s->pending = swap;
    buffer_clear(&s->pending.bytes);
    s->waiting = false;
    s->running = !server_submit(s->server, &s->job);
    if (!s->running) {
        s->dropped++;
        metrics_dropped(s->service->metrics);
        send_json(s, error_message("The server is busy; the frame was dropped"));
    }
}

static void destroy(stream *s)
{
    buffer_done(&s->pending.bytes);
    buffer_done(&s->current.bytes);
    mien_tracker_destroy(&s->tracker);
    free(s->answer);
    memory_free(s);
}

/* Put the count of dropped frames behind the answer's other members. */
static void send_answer(stream *s)
{
    size_t length = s->answer ? strlen(s->answer) : 0;
    buffer text = {0};
    if (length > 1) {
        buffer_append(&text, s->answer, length - 1);
        buffer_append_format(&text, ",\"dropped\":%lu}", s->dropped);
        if (!text.failed)
            channel_send(s->channel, false, text.data, text.length);
    }
    buffer_done(&text);
}

static void news(server_job *job, bool finished)
{
    stream *s = (stream *)job;
    if (!finished)
        return;
    s->running = false;
    if (!s->channel) {
        destroy(s);
        return;
    }
    send_answer(s);
    free(s->answer);
    s->answer = NULL;
    s->dropped = 0;
    if (s->waiting)
        begin(s);
}

static void take_frame(stream *s, bool binary, const uint8_t *bytes, size_t length)
{
    if (s->waiting) {
        s->dropped++;
        metrics_dropped(s->service->metrics);
    }
    buffer_clear(&s->pending.bytes);
    s->pending.binary = binary;
    s->waiting = !buffer_append(&s->pending.bytes, bytes, length);
    if (s->waiting && !s->running)
        begin(s);
}

static void select_model(stream *s, const json_t *message)
{
    const char *id = json_string_value(json_object_get(json_object_get(message, "data"), "model_id"));
    bool known = id && model_list_select(&s->service->models, id);
    char selected[VISION_NAME];
    if (known)
        *s->model = 0; /* what is asked for last holds */
    model_list_selected(&s->service->models, selected);
    send_json(s,
              json_pack("{sss{sbss}}", "type", "model_selected", "data", "success", known, "selected_model", selected));
}

static void message(void *state, bool binary, const uint8_t *bytes, size_t length)
{
    stream *s = state;
    if (binary || length > SMALL_MESSAGE) {
        take_frame(s, binary, bytes, length);
        return;
    }
    json_error_t problem;
    json_t *small = json_loadb((const char *)bytes, length, 0, &problem);
    if (!json_is_object(small))
        send_json(s, error_message(small ? "The message must be an object" : "Invalid JSON"));
    else if (is_type(small, "ping"))
        send_json(s, json_pack("{ss}", "type", "pong"));
    else if (is_type(small, "frame") || is_type(small, "crops"))
        take_frame(s, false, bytes, length);
    else if (is_type(small, "model_select"))
        select_model(s, small);
    json_decref(small);
}

static bool asks_for_assisted_search(const http_request *request)
{
    buffer text;
    buffer_init(&text, 32);
    bool asked = http_request_query(request, "search", &text) && !strcmp(buffer_text(&text), "assisted");
    buffer_done(&text);
    return asked;
}

static void *opened(void *context, channel *channel, const http_request *request)
{
    stream *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return NULL;
    s->assisted = asks_for_assisted_search(request);
    s->server = context;
    s->service = request->service;
    dialect_model_name(request, s->model);
    s->channel = channel;
    s->job.run = run;
    s->job.news = news;
    return s;
}

static void closed(void *state)
{
    stream *s = state;
    s->channel = NULL;
    if (s->running && server_withdraw(s->server, &s->job))
        s->running = false;
    if (!s->running)
        destroy(s);
}

const channel_handlers detector_channel_handlers = {.opened = opened, .message = message, .closed = closed};
