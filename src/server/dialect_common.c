/* What several dialects translate the same way. */
#include "server/dialects.h"

#include "base/clock.h"

#include "base/log.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

json_t *dialect_probabilities(const float probabilities[MIEN_EMOTION_COUNT])
{
    json_t *object = json_object();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        json_object_set_new(object, mien_emotion_name((mien_emotion)i), json_real(probabilities[i]));
    return object;
}

size_t dialect_largest_face(const mien_result *result)
{
    size_t best = 0;
    int64_t most = -1;
    for (size_t i = 0; i < result->face_count; i++) {
        int64_t area = (int64_t)result->faces[i].box.width * result->faces[i].box.height;
        if (area > most) {
            most = area;
            best = i;
        }
    }
    return best;
}

double dialect_round(double value, int decimals)
{
    double scale = pow(10, decimals);
    return round(value * scale) / scale;
}

void dialect_model_name(const http_request *request, char name[VISION_NAME])
{
    buffer text = {0};
    bool asked = http_request_query(request, "model", &text);
    snprintf(name, VISION_NAME, "%s", asked ? buffer_text(&text) : "");
    buffer_done(&text);
}

mien_status dialect_pick(const http_request *request, model_scope scope, model_pick *pick, mien_error *error)
{
    char name[VISION_NAME];
    dialect_model_name(request, name);
    return model_list_pick(&request->service->models, name, scope, pick, error);
}

mien_status dialect_analyze(const http_request *request, const void *bytes, size_t length,
                            const mien_analyze_options *options, mien_result *result, char name[VISION_NAME],
                            mien_error *error)
{
    model_pick pick;
    mien_status status = dialect_pick(request, MODEL_OWN, &pick, error);
    if (status)
        return status;
    status = service_analyze(request->service, pick.vision, request->worker, bytes, length, options, result, error);
    if (name)
        memcpy(name, pick.name, VISION_NAME);
    model_pick_done(&pick);
    return status;
}

int dialect_failure_status(mien_status status)
{
    switch (status) {
    case MIEN_ENOTFOUND: /* the model that was asked for */
    case MIEN_EFORMAT:
    case MIEN_EUNSUPPORTED:
    case MIEN_EINVAL:
        return 400;
    case MIEN_ELIMIT:
        return 413;
    case MIEN_ENOMEM:
    case MIEN_EBUSY:
        return 503;
    case MIEN_ETIMEOUT:
        return 504;
    default:
        return 500;
    }
}

double dialect_now(void)
{
    return (double)clock_unix_us() / 1e6;
}

json_t *dialect_time(int64_t unix_us)
{
    char text[40];
    clock_iso8601(unix_us, text, sizeof text);
    size_t length = strlen(text);
    if (length && text[length - 1] == 'Z')
        snprintf(text + length - 1, sizeof text - length + 1, "+00:00");
    return json_string(text);
}

int dialect_store_status(mien_status status)
{
    switch (status) {
    case MIEN_EBUSY:
    case MIEN_ENOMEM:
    case MIEN_EDENIED:
    case MIEN_ETIMEOUT:
        return 503;
    case MIEN_ELIMIT:
    case MIEN_EIO: /* above all a full disk */
        return 507;
    default:
        return 500;
    }
}

mien_status dialect_store_failure(http_response *response, mien_status status, const mien_error *error)
{
    log_write(LOG_ERROR, "the store failed: %s", error->message);
    int http = dialect_store_status(status);
    if (http == 503)
        http_response_field(response, "Retry-After", "2");
    return http_response_error(response, http, "detail", "The store is not available");
}

mien_status dialect_require_user(const http_request *request, http_response *response, person *who, bool *refused)
{
    mien_error error = {0};
    mien_status status = people_identify(request->service->people, request, response, who, &error);
    *refused = status || who->guest;
    if (status)
        return dialect_store_failure(response, status, &error);
    if (!who->guest)
        return MIEN_OK;
    http_response_field(response, "WWW-Authenticate", "Bearer");
    return http_response_error(response, 401, "detail", "Authentication required for batch detection.");
}

const char *dialect_text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}
