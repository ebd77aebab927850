/* history-api: POST /api/detect and /api/detect/batch with forms. A guest has a few detections a day; what a user sends
 * is kept in their history. A batch is answered as server-sent events, one for each picture, in order, while it is
 * worked on. */
#include "server/dialects.h"
#include "server/fastapi.h"
#include "server/multipart.h"
#include "server/picture_link.h"

#include "auth/secret.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A picture that was recognised, in the words of the dialect. */
typedef struct detection {
    char id[SECRET_UUID_BYTES];
    json_t *answer;
} detection;

static json_t *emotion_list(const mien_face *face)
{
    json_t *list = json_array();
    bool taken[MIEN_EMOTION_COUNT] = {false};
    for (int rank = 0; rank < MIEN_EMOTION_COUNT; rank++) {
        int best = -1;
        for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
            if (!taken[i] && (best < 0 || face->probabilities[i] > face->probabilities[best]))
                best = i;
        taken[best] = true;
        double score = face->probabilities[best];
        json_array_append_new(list, json_pack("{sssfsf}", "emotion", mien_emotion_name((mien_emotion)best), "score",
                                              score, "percentage", score * 100));
    }
    return list;
}

static json_t *face_list(const mien_result *result, const char *id)
{
    json_t *list = json_array();
    for (size_t i = 0; i < result->face_count; i++) {
        const mien_face *face = &result->faces[i];
        char tracking[80];
        snprintf(tracking, sizeof tracking, "%s-%zu", id, i + 1);
        json_array_append_new(list, json_pack("{s[iiii]sosIss}", "box", face->box.x, face->box.y, face->box.width,
                                              face->box.height, "emotions", emotion_list(face), "face_id",
                                              (json_int_t)i + 1, "tracking_id", tracking));
    }
    return list;
}

/* Name and type as the original checks them, before anything is decoded. */
static bool check_file(const service *service, const multipart_part *part, char *detail, size_t capacity)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"};
    const char *ending = strrchr(part->filename, '.');
    bool known = false;
    for (size_t i = 0; ending && i < sizeof endings / sizeof *endings; i++)
        known |= !strcasecmp(ending, endings[i]);
    size_t most = (size_t)service->settings->max_upload;
    if (!known)
        snprintf(detail, capacity, "File '%s' is not a supported image format (jpg, jpeg, png, gif).", part->filename);
    else if (*part->content_type && strncmp(part->content_type, "image/", 6)) /* some clients name none */
        snprintf(detail, capacity, "File '%s' is not an image. Got content type: %s", part->filename,
                 part->content_type);
    else if (part->length > most)
        snprintf(detail, capacity, "Image size (%.1f KB) exceeds maximum allowed size (%.1f KB)",
                 (double)part->length / 1024, (double)most / 1024);
    else
        return true;
    return false;
}

/* Keep a user's detection. */
static mien_status remember(const http_request *request, const person *who, const multipart_part *part,
                            const mien_result *result, int64_t now, detection *done, mien_error *error)
{
    char *text = json_dumps(done->answer, JSON_COMPACT | JSON_REAL_PRECISION(15));
    if (!text)
        return error_no_memory(error, 0);
    const mien_face *face = result->face_count ? &result->faces[dialect_largest_face(result)] : NULL;
    store_record record = {.id = done->id,
                           .user_id = who->user.id,
                           .created_us = now,
                           .file_name = (char *)part->filename,
                           .emotion = face ? (char *)mien_emotion_name(face->emotion) : NULL,
                           .result = text};
    store *store = people_store(request->service->people);
    bool keep = request->service->settings->store_pictures && *request->service->settings->data_folder;
    mien_status status = store_history_add(store, &record, keep ? part->data : NULL, keep ? part->length : 0, error);
    free(text);
    if (!status && store_user_touch(store, who->user.id, now, error)) /* the record stands: that is what counts */
        log_write(LOG_WARNING, "a use was not counted: %s", error->message);
    return status;
}

/* ?preset=default finds faces as mien's own paths do, so that the page keeps what it showed; else as the original. */
static mien_status ask_preset(const http_request *request, mien_preset *preset, mien_error *error)
{
    mien_status status = MIEN_OK;
    buffer name;
    buffer_init(&name, 0);
    *preset = MIEN_PRESET_HISTORY_API;
    if (http_request_query(request, "preset", &name) && mien_preset_from_name(buffer_text(&name), preset, NULL))
        status = error_set(error, MIEN_ENOTFOUND, "Invalid preset: %.64s", buffer_text(&name));
    buffer_done(&name);
    return status;
}

/* Recognise one file. @return MIEN_OK with *done, or with *http and detail for the client's mistake. */
static mien_status detect_file(const http_request *request, const person *who, const multipart_part *part,
                               detection *done, int *http, char *detail, size_t capacity)
{
    service *service = request->service;
    mien_analyze_options options;
    mien_result result = {0};
    mien_error error = {0};
    *http = 200;
    mien_preset preset;
    mien_status status = ask_preset(request, &preset, &error);
    service_options(service, preset, &options);
    if (!status)
        status = dialect_analyze(request, part->data, part->length, &options, &result, NULL, &error);
    if (status) {
        *http = dialect_failure_status(status);
        bool format = *http == 400 && status != MIEN_ENOTFOUND;
        if (format)
            snprintf(detail, capacity, "File '%s' is not a valid image format", part->filename);
        else
            snprintf(detail, capacity, "%s", error.message);
        return MIEN_OK;
    }
    int64_t now = clock_unix_us();
    status = secret_uuid(done->id, &error);
    bool kept = !who->guest && service->settings->store_pictures && *service->settings->data_folder;
    buffer url = {0};
    if (!status && kept)
        status = picture_link_write(request, done->id, &url);
    done->answer = json_pack("{sssososss{sosbsf}}", "user_id", who->user.id, "timestamp", dialect_time(now),
                             "image_url", kept ? json_string(buffer_text(&url)) : json_null(), "detection_id", done->id,
                             "detection_results", "faces", face_list(&result, done->id), "face_detected",
                             result.face_count > 0, "processing_time", result.timing.total / 1e3);
    buffer_done(&url);
    if (!status && !who->guest)
        status = remember(request, who, part, &result, now, done, &error);
    memory_free(result.faces);
    if (status) {
        log_write(LOG_ERROR, "a detection was not kept: %s", error.message);
        json_decref(done->answer);
        done->answer = NULL;
        *http = dialect_store_status(status);
        snprintf(detail, capacity, "The store is not available");
    }
    return MIEN_OK;
}

static mien_status refuse_quota(const http_request *request, double retry_after, http_response *response)
{
    long most = request->service->settings->guest_max_usage;
    char message[80], seconds[24];
    snprintf(message, sizeof message, "Rate limit exceeded: %ld requests per day.", most);
    snprintf(seconds, sizeof seconds, "%ld", (long)retry_after);
    http_response_field(response, "Retry-After", seconds);
    return http_response_json(response, 429,
                              json_pack("{sbsss{sIsIsi}}", "success", 0, "message", message, "details", "retry_after",
                                        (json_int_t)retry_after, "limit", (json_int_t)most, "remaining", 0));
}

/* Everything is in order with the form; recognise, within the quota. */
static mien_status answer_file(const http_request *request, const multipart_part *part, const person *who,
                               http_response *response)
{
    mien_error error = {0};
    char detail[400];
    long remaining;
    double retry_after;
    if (!check_file(request->service, part, detail, sizeof detail))
        return http_response_error(response, 400, "detail", detail);
    mien_status status =
        who->guest ? people_take_quota(request->service->people, who->user.id, &remaining, &retry_after, &error)
                   : MIEN_OK;
    if (status == MIEN_ELIMIT)
        return refuse_quota(request, retry_after, response);
    if (status)
        return dialect_store_failure(response, status, &error);
    detection done = {0};
    int http;
    status = detect_file(request, who, part, &done, &http, detail, sizeof detail);
    if (status)
        return status;
    if (http == 503)
        http_response_field(response, "Retry-After", "2");
    return done.answer ? http_response_json(response, 200, done.answer)
                       : http_response_error(response, http, "detail", detail);
}

mien_status history_detect(const http_request *request, http_response *response)
{
    multipart_part part;
    mien_error error = {0};
    mien_status status = multipart_find(request, "file", &part, &error);
    if (status == MIEN_ELIMIT)
        return http_response_error(response, 413, "detail", error.message);
    if (status || !part.has_filename)
        return fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "file"), "field required",
                              NULL);
    person who;
    status = people_identify(request->service->people, request, response, &who, &error);
    status = status ? dialect_store_failure(response, status, &error) : answer_file(request, &part, &who, response);
    person_done(&who);
    return status;
}

static mien_status emit_event(http_response *response, json_t *event)
{
    char *text = event ? json_dumps(event, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
    json_decref(event);
    if (!text)
        return MIEN_ENOMEM;
    buffer line = {0};
    buffer_append_format(&line, "data: ");
    buffer_append_text(&line, text);
    buffer_append_text(&line, "\n\n");
    free(text);
    mien_status status = line.failed ? line.failed : http_response_emit(response, line.data, line.length);
    buffer_done(&line);
    return status;
}

static json_t *batch_event(const http_request *request, const multipart_part *part, const person *who)
{
    char detail[400], text[420];
    detection done = {0};
    int http = 400;
    if (check_file(request->service, part, detail, sizeof detail))
        detect_file(request, who, part, &done, &http, detail, sizeof detail);
    if (done.answer)
        return done.answer;
    snprintf(text, sizeof text, "%d: %s", http, detail);
    return json_pack("{soss}", "error", http_text(text), "filename", part->filename);
}

/* Count the files first: a batch that is too large is refused as a whole. */
static mien_status count_files(const http_request *request, size_t *count, mien_error *error)
{
    multipart_reader reader;
    multipart_part part;
    *count = 0;
    mien_status status = multipart_begin(&reader, request, error);
    while (!status && !(status = multipart_next(&reader, &part, error)))
        *count += !strcmp(part.name, "files") && part.has_filename;
    return status == MIEN_ENOTFOUND ? MIEN_OK : status;
}

static mien_status answer_batch(const http_request *request, const person *who, http_response *response)
{
    multipart_reader reader;
    multipart_part part;
    mien_error error = {0};
    size_t count, most = (size_t)request->service->settings->max_batch;
    mien_status status = count_files(request, &count, &error);
    if (status || !count)
        return fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "files"), "field required",
                              NULL);
    if (count > most) {
        char message[64];
        snprintf(message, sizeof message, "Batch size exceeds maximum of %zu", most);
        return http_response_error(response, 400, "detail", message);
    }
    response->status = 200;
    response->content_type = "text/event-stream; charset=utf-8";
    status = multipart_begin(&reader, request, &error);
    while (!status && !(status = multipart_next(&reader, &part, &error)))
        if (!strcmp(part.name, "files") && part.has_filename)
            status = emit_event(response, batch_event(request, &part, who));
    return status == MIEN_ENOTFOUND || status == MIEN_ECANCELLED ? MIEN_OK : status;
}

mien_status history_batch(const http_request *request, http_response *response)
{
    person who;
    bool refused;
    mien_status status = dialect_require_user(request, response, &who, &refused);
    if (!refused)
        status = answer_batch(request, &who, response);
    person_done(&who);
    return status;
}
