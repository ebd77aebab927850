/* mien's own paths, which the web page uses: POST /api/faces answers every face of a picture in the form of `mien
 * detect --json` says which model judged, and keeps nothing; GET /api/notice is what the deployer wants people to read
 * before a camera starts (EU AI Act, article 50), for how long what they choose to keep is kept, and what else the page
 * can do here. */
#include "server/content_policy.h"
#include "server/dialects.h"
#include "server/multipart.h"
#include "server/static_files.h"

#include <stdlib.h>

#include "base/error.h"
#include "pipeline/result_json.h"

enum { NATIVE_MOST_FACE = 10000 };

/* The picture is the whole body, or the form's field "file". */
static mien_status find_picture(const http_request *request, const uint8_t **bytes, size_t *length, mien_error *error)
{
    multipart_part part;
    *bytes = request->body;
    *length = request->body_length;
    if (http_request_is(request, "multipart/form-data")) {
        mien_status status = multipart_find(request, "file", &part, error);
        if (status == MIEN_ENOTFOUND)
            return error_set(error, MIEN_EFORMAT, "the form has no field \"file\"");
        if (status)
            return status;
        *bytes = part.data;
        *length = part.length;
    }
    return *length ? MIEN_OK : error_set(error, MIEN_EFORMAT, "the picture is empty");
}

/* ?min_face=N; false: it is no such number. */
static bool native_min_face(const http_request *request, int32_t *min_face)
{
    buffer text = {0};
    bool fine = true;
    if (http_request_query(request, "min_face", &text)) {
        char *end;
        long number = strtol(buffer_text(&text), &end, 10);
        fine = text.length && !*end && number >= 1 && number <= NATIVE_MOST_FACE;
        if (fine)
            *min_face = (int32_t)number;
    }
    buffer_done(&text);
    return fine;
}

mien_status native_faces(const http_request *request, http_response *response)
{
    mien_analyze_options options;
    mien_result result = {0};
    mien_error error = {0};
    char model[VISION_NAME] = "";
    const uint8_t *bytes;
    size_t length;
    service_options(request->service, MIEN_PRESET_DEFAULT, &options);
    if (!native_min_face(request, &options.min_face))
        return http_response_error(response, 400, "detail", "min_face is a number of pixels within 1..10000");
    mien_status status = find_picture(request, &bytes, &length, &error);
    if (!status)
        status = dialect_analyze(request, bytes, length, &options, &result, model, &error);
    if (status)
        return http_response_error(response, dialect_failure_status(status), "detail", error.message);
    json_t *object = result_to_json(&result, NULL);
    mien_result_done(&result);
    json_object_set_new(object, "model", json_string(model));
    return object ? http_response_json(response, 200, object) : MIEN_ENOMEM;
}

/* What the page needs to sign people in with Firebase; null without. */
static json_t *firebase_object(const settings *settings)
{
    if (!content_policy_signs_in(settings))
        return json_null();
    bool emulated = *settings->firebase_emulator;
    return json_pack("{ss, ss, ss?}", "project", settings->firebase_project, "api_key",
                     *settings->firebase_api_key ? settings->firebase_api_key : "none", "emulator",
                     emulated ? settings->firebase_emulator : NULL);
}

mien_status native_notice(const http_request *request, http_response *response)
{
    const settings *settings = request->service->settings;
    json_t *text = json_string(settings->notice);
    bool kept = settings->store_pictures && *settings->data_folder;
    return http_response_json(response, 200,
                              json_pack("{s:o, s:f, s:b, s:b, s:o}", "notice", text ? text : json_string(""),
                                        "history_seconds", settings->history_ttl, "pictures_kept", kept,
                                        "faces_in_browser", static_files_find("/faces/worker.js") != NULL, "firebase",
                                        firebase_object(settings)));
}
