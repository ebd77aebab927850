/* detector: POST /api/detect (JSON), /api/detect/upload, /api/detect/batch. One emotion per picture: that of the face
 * in `face_bounds` (detection is skipped then), else of the largest face found. What cannot be decoded is no mistake
 * here: the answer says success false, neutral, as the original does. Errors of form are 422 in FastAPI's shape. */
#include "server/body.h"
#include "server/dialects.h"
#include "server/fastapi.h"
#include "server/multipart.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

size_t detector_max_bytes(const service *service)
{
    long most = service->settings->max_image;
    return (size_t)(most <= 16384 ? service->settings->max_body : most);
}

/* face_bounds as a box inside what an int can hold; clipping to the picture is the analyser's. What is smaller than a
 * pixel is none (some clients send fractions of the picture, which the original only echoes): then faces are found. */
static bool bounds_box(const json_t *bounds, mien_rect *box)
{
    double x, y, width, height;
    if (!body_coordinate(bounds, "x", &x) || !body_coordinate(bounds, "y", &y) ||
        !body_coordinate(bounds, "width", &width) || !body_coordinate(bounds, "height", &height) || width < 1 ||
        height < 1)
        return false;
    *box = (mien_rect){(int32_t)x, (int32_t)y, (int32_t)width, (int32_t)height};
    return true;
}

void detector_options(const service *service, mien_analyze_options *options)
{
    service_options(service, MIEN_PRESET_DEFAULT, options);
    long side = service->settings->max_image;
    if (side <= 16384)
        options->limits.max_side = (size_t)side;
}

mien_status detector_recognise(service *service, size_t worker, model_pick *pick, const void *bytes, size_t length,
                               const json_t *face_bounds, mien_result *result, mien_error *error)
{
    mien_analyze_options options;
    mien_rect box;
    detector_options(service, &options);
    if (json_is_object(face_bounds) && bounds_box(face_bounds, &box)) {
        options.face_boxes = &box;
        options.face_box_count = 1;
    }
    mien_status status = service_analyze(service, pick->vision, worker, bytes, length, &options, result, error);
    if (!status)
        detector_ask_remote(service, pick, bytes, length, result);
    return status;
}

static json_t *score_object(const mien_face *face)
{
    json_t *scores = json_object();
    bool taken[MIEN_EMOTION_COUNT] = {false};
    for (int rank = 0; rank < MIEN_EMOTION_COUNT; rank++) { /* descending, as the original sends them */
        int best = -1;
        for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
            if (!taken[i] && (best < 0 || face->probabilities[i] > face->probabilities[best]))
                best = i;
        taken[best] = true;
        json_object_set_new(scores, mien_emotion_name((mien_emotion)best), json_real(face->probabilities[best]));
    }
    return scores;
}

/* What every form of the answer begins with. */
static void set_emotion(json_t *object, const mien_face *face, bool scores)
{
    json_object_set_new(object, "emotion", json_string(face ? mien_emotion_name(face->emotion) : "neutral"));
    json_object_set_new(object, "confidence", json_real(face ? face->confidence : 0));
    json_t *all = !scores ? json_null() : face ? score_object(face) : json_pack("{sf}", "neutral", 1.0);
    json_object_set_new(object, "all_scores", all);
}

json_t *detector_result(const char *model, const mien_result *result, bool detected, const json_t *face_bounds,
                        bool scores, double seconds)
{
    const mien_face *face = detected && result->face_count ? &result->faces[dialect_largest_face(result)] : NULL;
    json_t *object = json_object(), *landmarks = NULL;
    set_emotion(object, face, scores);
    if (json_is_object(face_bounds))
        landmarks = json_deep_copy(face_bounds);
    else if (face)
        landmarks = json_pack("{sfsfsfsf}", "x", (double)face->box.x, "y", (double)face->box.y, "width",
                              (double)face->box.width, "height", (double)face->box.height);
    json_object_set_new(object, "processing_time", json_real(seconds));
    json_object_set_new(object, "model_used", json_string(model));
    json_object_set_new(object, "face_detected", json_boolean(face != NULL));
    json_object_set_new(object, "landmarks", landmarks ? landmarks : json_null());
    json_object_set_new(object, "timestamp", json_real(dialect_now()));
    return object;
}

static mien_status answer(const http_request *request, const void *bytes, size_t length, const json_t *bounds,
                          bool scores, http_response *response)
{
    uint64_t begin = clock_monotonic_ns();
    mien_result result = {0};
    mien_error error = {0};
    model_pick pick;
    if (length > detector_max_bytes(request->service))
        return http_response_error(response, 413, "detail", "Image size exceeds the maximum");
    if (dialect_pick(request, MODEL_DETECTOR, &pick, &error))
        return http_response_error(response, 400, "detail", error.message);
    mien_status status =
        detector_recognise(request->service, request->worker, &pick, bytes, length, bounds, &result, &error);
    model_pick_done(&pick);
    int http = status ? dialect_failure_status(status) : 200;
    if (http >= 413)
        return http_response_error(response, http, "detail", error.message);
    json_t *object = json_pack("{sb}", "success", !status && result.face_count > 0);
    json_t *rest =
        detector_result(pick.name, &result, !status, bounds, scores, (double)(clock_monotonic_ns() - begin) / 1e9);
    json_object_update(object, rest);
    json_decref(rest);
    memory_free(result.faces);
    return http_response_json(response, 200, object);
}

/* Base64 in a JSON text to bytes. Sets *refused when it answered. */
static mien_status picture_of(const http_request *request, const json_t *text, json_t *place, buffer *picture,
                              http_response *response, bool *refused)
{
    mien_error error = {0};
    *refused = true;
    if (!json_is_string(text))
        return fastapi_refuse(response, "type_error.str", place, "str type expected", text);
    size_t most = detector_max_bytes(request->service);
    buffer_init(picture, most);
    mien_status status = body_picture(json_string_value(text), json_string_length(text), picture, &error);
    *refused = status != MIEN_OK;
    if (!status)
        json_decref(place);
    else if (status == MIEN_ELIMIT) {
        json_decref(place);
        return http_response_error(response, 413, "detail", "Image size exceeds the maximum");
    } else {
        return fastapi_refuse(response, "value_error", place, "Invalid base64 image data", NULL);
    }
    return MIEN_OK;
}

static mien_status check_bounds(const json_t *bounds, http_response *response, bool *refused)
{
    static const char *const names[] = {"x", "y", "width", "height"};
    *refused = false;
    if (!bounds || json_is_null(bounds))
        return MIEN_OK;
    *refused = true;
    if (!json_is_object(bounds))
        return fastapi_refuse(response, "type_error.dict", json_pack("[ss]", "body", "face_bounds"),
                              "value is not a valid dict", bounds);
    for (size_t i = 0; i < 4; i++) {
        double value;
        const json_t *given = json_object_get(bounds, names[i]);
        json_t *place = json_pack("[sss]", "body", "face_bounds", names[i]);
        if (!given)
            return fastapi_refuse(response, "value_error.missing", place, "field required", NULL);
        if (!body_coordinate(bounds, names[i], &value))
            return fastapi_refuse(response, "type_error.float", place, "value is not a valid float", given);
        json_decref(place);
    }
    *refused = false;
    return MIEN_OK;
}

static mien_status detect_object(const http_request *request, const json_t *body, http_response *response)
{
    if (!json_is_object(body))
        return fastapi_refuse(response, "type_error.dict", json_pack("[s]", "body"), "value is not a valid dict", body);
    const json_t *image = json_object_get(body, "image"), *bounds = json_object_get(body, "face_bounds");
    if (!image)
        return fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "image"), "field required",
                              NULL);
    bool refused;
    mien_status status = check_bounds(bounds, response, &refused);
    if (status || refused)
        return status;
    buffer picture = {0};
    status = picture_of(request, image, json_pack("[ss]", "body", "image"), &picture, response, &refused);
    if (!status && !refused) {
        const json_t *scores = json_object_get(body, "return_all_scores");
        status = answer(request, picture.data, picture.length, json_is_object(bounds) ? bounds : NULL,
                        !json_is_false(scores), response);
    }
    buffer_done(&picture);
    return status;
}

mien_status detector_detect(const http_request *request, http_response *response)
{
    json_t *body = NULL;
    mien_error error = {0};
    if (body_json(request, &body, &error))
        return fastapi_refuse_json(response, request, &error);
    mien_status status = detect_object(request, body, response);
    json_decref(body);
    return status;
}

mien_status detector_upload(const http_request *request, http_response *response)
{
    multipart_part part;
    mien_error error = {0};
    mien_status status = multipart_find(request, "file", &part, &error);
    if (status == MIEN_ELIMIT)
        return http_response_error(response, 413, "detail", error.message);
    if (status || !part.has_filename)
        return fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "file"), "field required",
                              NULL);
    if (*part.content_type && strcmp(part.content_type, "image/jpeg") && strcmp(part.content_type, "image/png") &&
        strcmp(part.content_type, "image/webp") && strcmp(part.content_type, "image/jpg"))
        return http_response_error(response, 400, "detail",
                                   "Invalid file type. Only JPEG, PNG, and WebP are supported");
    return answer(request, part.data, part.length, NULL, true, response);
}

/* One picture of a batch; what cannot be decoded is neutral, like a single one. */
static json_t *batch_entry(const http_request *request, const model_pick *model, const buffer *picture)
{
    mien_result result = {0};
    mien_error error = {0};
    model_pick pick = *model; /* each picture may be answered by another one in its place */
    mien_status status = detector_recognise(request->service, request->worker, &pick, picture->data, picture->length,
                                            NULL, &result, &error);
    const mien_face *face = !status && result.face_count ? &result.faces[dialect_largest_face(&result)] : NULL;
    json_t *object = json_object();
    set_emotion(object, face, true);
    json_object_set_new(object, "face_detected", json_boolean(face != NULL));
    json_object_set_new(object, "model_used", json_string(pick.name));
    memory_free(result.faces);
    return object;
}

static mien_status batch_array(const http_request *request, const json_t *images, http_response *response)
{
    size_t most = (size_t)request->service->settings->max_batch;
    if (json_array_size(images) > most) {
        char message[64];
        snprintf(message, sizeof message, "Batch size exceeds maximum of %zu", most);
        return http_response_error(response, 400, "detail", message);
    }
    mien_error error = {0};
    model_pick pick;
    if (dialect_pick(request, MODEL_DETECTOR, &pick, &error))
        return http_response_error(response, 400, "detail", error.message);
    json_t *results = json_array();
    mien_status status = MIEN_OK;
    bool refused = false;
    for (size_t i = 0; i < json_array_size(images) && !status && !refused; i++) {
        if (http_request_cancelled(request))
            break;
        buffer picture = {0};
        json_t *place = json_pack("[sI]", "body", (json_int_t)i);
        status = picture_of(request, json_array_get(images, i), place, &picture, response, &refused);
        if (!status && !refused)
            json_array_append_new(results, batch_entry(request, &pick, &picture));
        buffer_done(&picture);
    }
    model_pick_done(&pick);
    if (status || refused) {
        json_decref(results);
        return status;
    }
    return http_response_json(response, 200, json_pack("{sbso}", "success", 1, "results", results));
}

mien_status detector_batch(const http_request *request, http_response *response)
{
    json_t *body = NULL;
    mien_error error = {0};
    if (body_json(request, &body, &error))
        return fastapi_refuse_json(response, request, &error);
    const json_t *images = json_is_object(body) ? json_object_get(body, "images") : body;
    mien_status status;
    if (json_is_object(body) && !images)
        status = fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "images"), "field required",
                                NULL);
    else if (!json_is_array(images))
        status =
            fastapi_refuse(response, "type_error.list", json_pack("[s]", "body"), "value is not a valid list", images);
    else
        status = batch_array(request, images, response);
    json_decref(body);
    return status;
}
