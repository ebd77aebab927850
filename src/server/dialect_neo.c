/* neo: POST /predict and /predict_file. Three classes, the seven-class probabilities restricted to them and normalised
 * again; ?classes=all gives all seven. The answer is the union of what its document promises (faces, percent) and what
 * its server sends (emotions, 0..1), so that clients of either find their fields. Errors are {"error": text} with 400,
 * where the original answers 500 for what is the client's mistake. */
#include "server/body.h"
#include "server/dialects.h"
#include "server/multipart.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

typedef struct neo_times {
    double begin, decoded, converted; /* milliseconds; of /predict: before, after base64, before analysis */
} neo_times;

static const mien_emotion three_classes[] = {MIEN_EMOTION_HAPPY, MIEN_EMOTION_SAD, MIEN_EMOTION_NEUTRAL};

/* The classes that the answer speaks of, their probabilities summing to 1. */
typedef struct neo_scores {
    const char *names[MIEN_EMOTION_COUNT];
    double values[MIEN_EMOTION_COUNT];
    size_t count, best;
} neo_scores;

static void restrict_scores(const mien_face *face, bool all, neo_scores *scores)
{
    double sum = 0;
    scores->count = all ? MIEN_EMOTION_COUNT : 3;
    scores->best = 0;
    for (size_t i = 0; i < scores->count; i++) {
        mien_emotion emotion = all ? (mien_emotion)i : three_classes[i];
        scores->names[i] = mien_emotion_name(emotion);
        scores->values[i] = face->probabilities[emotion];
        sum += scores->values[i];
    }
    for (size_t i = 0; i < scores->count; i++) {
        scores->values[i] = sum > 0 ? scores->values[i] / sum : 1.0 / (double)scores->count;
        if (scores->values[i] > scores->values[scores->best])
            scores->best = i;
    }
}

static json_t *score_object(const neo_scores *scores, bool percent)
{
    json_t *object = json_object();
    for (size_t i = 0; i < scores->count; i++)
        json_object_set_new(object, scores->names[i],
                            json_real(percent ? dialect_round(scores->values[i] * 100, 2) : scores->values[i]));
    return object;
}

static json_t *box_object(const mien_rect *box)
{
    return json_pack("{sisisisi}", "x", box->x, "y", box->y, "width", box->width, "height", box->height);
}

/* The document's form of a face. */
static json_t *documented_face(const mien_result *result, size_t index, const neo_scores *scores)
{
    const mien_rect *box = &result->faces[index].box;
    double picture = (double)result->width * (double)result->height;
    double area = picture > 0 ? 100.0 * box->width * box->height / picture : 0;
    double aspect = box->height > 0 ? (double)box->width / box->height : 0;
    return json_pack(
        "{sIsssfsososo}", "face_id", (json_int_t)index + 1, "emotion", scores->names[scores->best], "confidence",
        dialect_round(scores->values[scores->best] * 100, 2), "coordinates", box_object(box), "all_probabilities",
        score_object(scores, true), "quality_metrics",
        json_pack("{sfsf}", "face_area_percentage", dialect_round(area, 2), "aspect_ratio", dialect_round(aspect, 2)));
}

/* The server's form of the same face. */
static json_t *served_face(const mien_result *result, size_t index, const neo_scores *scores)
{
    double each = result->face_count ? result->timing.classify / (double)result->face_count : 0;
    return json_pack("{sIsosssfsfso}", "face_id", (json_int_t)index + 1, "bounding_box",
                     box_object(&result->faces[index].box), "emotion", scores->names[scores->best], "confidence",
                     scores->values[scores->best], "prediction_time_ms", dialect_round(each, 2), "all_predictions",
                     score_object(scores, false));
}

static json_t *answer_object(const mien_result *result, bool all)
{
    json_t *faces = json_array(), *emotions = json_array();
    for (size_t i = 0; i < result->face_count; i++) {
        neo_scores scores;
        restrict_scores(&result->faces[i], all, &scores);
        json_array_append_new(faces, documented_face(result, i, &scores));
        json_array_append_new(emotions, served_face(result, i, &scores));
    }
    char message[128] = "No face detected";
    if (result->face_count)
        snprintf(message, sizeof message,
                 "Successfully detected and analyzed %zu face(s) with noise-resistant processing", result->face_count);
    double total = dialect_round(result->timing.total, 2);
    return json_pack(
        "{sbsIsosssosIsosfso}", "success", result->face_count > 0, "faces_count", (json_int_t)result->face_count,
        "faces", faces, "message", message, "processing_info",
        json_pack("{sbsbsb}", "noise_reduction_applied", 1, "multi_scale_detection", 1, "false_positive_filtering", 1),
        "faces_detected", (json_int_t)result->face_count, "emotions", emotions, "processing_time_ms", total,
        "timing_breakdown_ms",
        json_pack("{sfsfsf}", "face_detection", dialect_round(result->timing.detect, 2), "model_prediction",
                  dialect_round(result->timing.classify, 2), "total", total));
}

static bool wants_all_classes(const http_request *request)
{
    buffer value;
    buffer_init(&value, 64);
    bool all = http_request_query(request, "classes", &value) && !strcmp(buffer_text(&value), "all");
    buffer_done(&value);
    return all;
}

/* Recognise and answer. `times` is NULL for an upload. */
static mien_status answer(const http_request *request, const void *bytes, size_t length, const neo_times *times,
                          http_response *response)
{
    mien_analyze_options options;
    mien_result result = {0};
    mien_error error = {0};
    service_options(request->service, MIEN_PRESET_NEO, &options);
    long side = request->service->settings->max_image;
    if (side <= 16384)
        options.limits.max_side = (size_t)side;
    mien_status status = dialect_analyze(request, bytes, length, &options, &result, NULL, &error);
    if (status)
        return http_response_error(response, dialect_failure_status(status), "error", error.message);
    json_t *object = answer_object(&result, wants_all_classes(request));
    if (times) {
        double end = clock_monotonic_ms(), total = end - times->begin;
        json_object_set_new(object, "processing_time", json_real(dialect_round(total, 2)));
        json_object_set_new(object, "timing_breakdown",
                            json_pack("{sfsfsfsf}", "decode_ms", dialect_round(times->decoded - times->begin, 2),
                                      "convert_ms", dialect_round(times->converted - times->decoded, 2), "predict_ms",
                                      dialect_round(end - times->converted, 2), "total_ms", dialect_round(total, 2)));
    }
    memory_free(result.faces);
    return http_response_json(response, 200, object);
}

mien_status neo_predict(const http_request *request, http_response *response)
{
    neo_times times = {.begin = clock_monotonic_ms()};
    mien_error error = {0};
    json_t *body = NULL;
    if (body_json(request, &body, &error)) {
        char message[300];
        snprintf(message, sizeof message, "The body is not valid JSON: %s", error.message);
        return http_response_error(response, 400, "error", message);
    }
    const json_t *image = json_object_get(body, "image");
    mien_status status;
    buffer picture;
    buffer_init(&picture, (size_t)request->service->settings->max_body);
    if (!json_is_object(body) || !image || json_is_null(image)) {
        status = http_response_error(response, 400, "error", "No image data provided");
    } else if (!json_is_string(image)) {
        status = http_response_error(response, 400, "error", "The image must be a text: base64 or a data URL");
    } else if (!json_string_length(image)) {
        status = http_response_error(response, 400, "error", "No image data provided");
    } else if ((status = body_picture(json_string_value(image), json_string_length(image), &picture, &error))) {
        status = http_response_error(response, dialect_failure_status(status), "error", error.message);
    } else {
        times.decoded = times.converted = clock_monotonic_ms();
        status = answer(request, picture.data, picture.length, &times, response);
    }
    json_decref(body);
    buffer_done(&picture);
    return status;
}

mien_status neo_predict_file(const http_request *request, http_response *response)
{
    multipart_part part;
    mien_error error = {0};
    mien_status status = multipart_find(request, "file", &part, &error);
    if (status == MIEN_EFORMAT && http_request_is(request, "multipart/form-data"))
        return http_response_error(response, 400, "error", error.message);
    if (status == MIEN_ELIMIT)
        return http_response_error(response, 413, "error", error.message);
    if (status || !part.has_filename)
        return http_response_error(response, 400, "error", "No file uploaded");
    if (!*part.filename)
        return http_response_error(response, 400, "error", "No file selected");
    return answer(request, part.data, part.length, NULL, response);
}
