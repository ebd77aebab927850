/* faceml: POST /predict_emotion (every face) and /predict_emotion_stream (the largest face of a frame). Seven classes.
 * The published server permutes its last three labels; that is not copied. Mistakes of the client are 400, not 500. */
#include "server/body.h"
#include "server/dialects.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

static json_t *face_object(const mien_face *face)
{
    const mien_rect *box = &face->box;
    return json_pack("{sosssfso}", "face_coordinates",
                     json_pack("{sisisisi}", "x", box->x, "y", box->y, "width", box->width, "height", box->height),
                     "predicted_emotion", mien_emotion_name(face->emotion), "confidence", (double)face->confidence,
                     "emotion_distribution", dialect_probabilities(face->probabilities));
}

static json_t *image_answer(const mien_result *result)
{
    if (!result->face_count)
        return json_pack("{sbss}", "success", 0, "message", "No face detected in the image");
    json_t *faces = json_array();
    for (size_t i = 0; i < result->face_count; i++)
        json_array_append_new(faces, face_object(&result->faces[i]));
    return json_pack("{sbsIso}", "success", 1, "faces_detected", (json_int_t)result->face_count, "results", faces);
}

static json_t *frame_answer(const mien_result *result)
{
    static const mien_face nobody = {.emotion = MIEN_EMOTION_NEUTRAL};
    const mien_face *face = result->face_count ? &result->faces[dialect_largest_face(result)] : &nobody;
    return json_pack("{sbsssfsIso}", "success", 1, "emotion", mien_emotion_name(face->emotion), "confidence",
                     (double)face->confidence, "faces_detected", (json_int_t)result->face_count, "emotion_distribution",
                     dialect_probabilities(face->probabilities));
}

static mien_status recognise(const http_request *request, const json_t *text, json_t *(*answer)(const mien_result *),
                             http_response *response)
{
    mien_analyze_options options;
    mien_result result = {0};
    mien_error error = {0};
    buffer picture;
    buffer_init(&picture, (size_t)request->service->settings->max_body);
    service_options(request->service, MIEN_PRESET_FACEML, &options);
    mien_status status = body_picture(json_string_value(text), json_string_length(text), &picture, &error);
    if (!status)
        status = dialect_analyze(request, picture.data, picture.length, &options, &result, NULL, &error);
    buffer_done(&picture);
    if (status) {
        char message[300];
        snprintf(message, sizeof message, "%s failed: %s", answer == frame_answer ? "Stream prediction" : "Prediction",
                 error.message);
        return http_response_error(response, dialect_failure_status(status), "error", message);
    }
    json_t *object = answer(&result);
    memory_free(result.faces);
    return http_response_json(response, 200, object);
}

static mien_status predict(const http_request *request, const char *key, const char *missing,
                           json_t *(*answer)(const mien_result *), http_response *response)
{
    json_t *body = NULL;
    mien_error error = {0};
    if (body_json(request, &body, &error)) {
        char message[300];
        snprintf(message, sizeof message, "Prediction failed: the body is not valid JSON: %s", error.message);
        return http_response_error(response, 400, "error", message);
    }
    const json_t *text = json_object_get(body, key);
    mien_status status;
    if (!json_is_object(body) || !text || json_is_null(text) || (json_is_string(text) && !json_string_length(text)))
        status = http_response_error(response, 400, "error", missing);
    else if (!json_is_string(text))
        status = http_response_error(response, 400, "error", "Prediction failed: the image must be a text");
    else
        status = recognise(request, text, answer, response);
    json_decref(body);
    return status;
}

mien_status faceml_predict(const http_request *request, http_response *response)
{
    return predict(request, "image", "No image data provided", image_answer, response);
}

mien_status faceml_predict_stream(const http_request *request, http_response *response)
{
    return predict(request, "frame", "No frame data provided", frame_answer, response);
}
