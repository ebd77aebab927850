/* detector: /api/status, /api/models and /api/models/select. */
#include "server/body.h"
#include "server/dialects.h"
#include "server/fastapi.h"

#include <stdio.h>
#include <string.h>

static json_t *model_object(const service *service)
{
    const vision *vision = service->vision;
    return json_pack("{sssssssssssssssssssssssb}", "name", vision->model_title, "full_name", vision->model_name,
                     "company", "mien", "provider", "local", "description",
                     "Convolutional network of this server; classifies the apparent expression of a face", "accuracy",
                     "see the model card", "speed", "Fast (a few ms)", "model_type", "Convolutional network",
                     "training_data", "FER-2013 Dataset", "strengths", "Runs here; no picture leaves this machine",
                     "id", vision->model_name, "is_primary", 1);
}

mien_status detector_status(const http_request *request, http_response *response)
{
    const service *service = request->service;
    json_t *emotions = json_array();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        json_array_append_new(emotions, json_string(mien_emotion_name((mien_emotion)i)));
    return http_response_json(response, 200,
                              json_pack("{sssssss[s]s[o]sosIs{sI}}", "status", "operational", "detector_status",
                                        "available", "current_model", service->vision->model_name, "available_models",
                                        service->vision->model_name, "model_configs", model_object(service),
                                        "available_emotions", emotions, "max_image_size",
                                        (json_int_t)detector_max_bytes(service), "rate_limits", "requests_per_minute",
                                        (json_int_t)service->settings->rate_limit));
}

mien_status detector_models(const http_request *request, http_response *response)
{
    json_t *model = model_object(request->service);
    json_object_set_new(model, "available", json_true());
    json_object_set_new(model, "selected", json_true());
    json_object_set_new(model, "status", json_string("ready"));
    if (request->service->vision->card)
        json_object_set_new(model, "card", json_deep_copy(request->service->vision->card));
    return http_response_json(response, 200, json_pack("{s[o]sisi}", "models", model, "total", 1, "available", 1));
}

mien_status detector_select(const http_request *request, http_response *response)
{
    json_t *body = NULL;
    mien_error error = {0};
    if (body_json(request, &body, &error))
        return fastapi_refuse_json(response, request, &error);
    const json_t *id = json_object_get(body, "model_id");
    mien_status status;
    char message[200];
    if (!id) {
        status = fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "model_id"),
                                "field required", NULL);
    } else if (!json_is_string(id)) {
        status =
            fastapi_refuse(response, "type_error.str", json_pack("[ss]", "body", "model_id"), "str type expected", id);
    } else if (strcmp(json_string_value(id), request->service->vision->model_name)) {
        snprintf(message, sizeof message, "Invalid model ID: %.100s", json_string_value(id));
        status = http_response_error(response, 400, "detail", message);
    } else {
        snprintf(message, sizeof message, "Successfully selected model: %s", json_string_value(id));
        status = http_response_json(
            response, 200,
            json_pack("{sbssss}", "success", 1, "selected_model", json_string_value(id), "message", message));
    }
    json_decref(body);
    return status;
}
