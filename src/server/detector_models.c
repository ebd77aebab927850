/* detector: /api/status, /api/models and /api/models/select. */
#include "server/body.h"
#include "server/dialects.h"
#include "server/fastapi.h"

#include <stdio.h>
#include <string.h>

/* What is known of a model, in the words that the original uses. */
static json_t *model_object(const model_entry *entry, bool primary)
{
    const char *id = entry->name, *slash = strchr(id, '/');
    bool local = entry->vision != NULL;
    char company[VISION_NAME];
    snprintf(company, sizeof company, "%.*s", (int)(slash - id), id);
    return json_pack("{sssssssssssssssssssssssb}", "name", local ? entry->vision->model_title : slash + 1, "full_name",
                     id, "company", company, "provider", local ? "local" : "Hugging Face", "description",
                     local ? "Convolutional network of this server; classifies the apparent expression of a face"
                           : "Model at the inference endpoint; faces are sent there",
                     "accuracy", "see the model card", "speed", local ? "Fast (a few ms)" : "Depends on the endpoint",
                     "model_type", local ? "Convolutional network" : "Remote", "training_data",
                     local ? "FER-2013 Dataset" : "see the model card", "strengths",
                     local ? "Runs here; no picture leaves this machine" : "Chosen by whoever runs this server", "id",
                     id, "is_primary", primary);
}

mien_status detector_status(const http_request *request, http_response *response)
{
    service *service = request->service;
    model_entry entries[MODEL_LIST_MOST];
    size_t used, count = model_list_copy(&service->models, entries, &used);
    json_t *emotions = json_array(), *names = json_array(), *configs = json_array();
    for (int i = 0; i < MIEN_EMOTION_COUNT; i++)
        json_array_append_new(emotions, json_string(mien_emotion_name((mien_emotion)i)));
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(names, json_string(entries[i].name));
        json_array_append_new(configs, model_object(&entries[i], i == 0));
    }
    model_list_release(entries, count);
    return http_response_json(
        response, 200,
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:I,s:{s:I}}", "status", "operational", "detector_status", "available",
                  "current_model", entries[used].name, "available_models", names, "model_configs", configs,
                  "available_emotions", emotions, "max_image_size", (json_int_t)detector_max_bytes(service),
                  "rate_limits", "requests_per_minute", (json_int_t)service->settings->rate_limit));
}

mien_status detector_models(const http_request *request, http_response *response)
{
    model_entry entries[MODEL_LIST_MOST];
    size_t used, count = model_list_copy(&request->service->models, entries, &used);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *model = model_object(&entries[i], i == 0);
        json_object_set_new(model, "available", json_true());
        json_object_set_new(model, "selected", json_boolean(i == used));
        json_object_set_new(model, "is_default", json_boolean(i == request->service->models.own));
        json_object_set_new(model, "status", json_string("ready"));
        if (entries[i].vision && entries[i].vision->card)
            json_object_set_new(model, "card", json_deep_copy(entries[i].vision->card));
        json_array_append_new(list, model);
    }
    model_list_release(entries, count);
    return http_response_json(
        response, 200,
        json_pack("{sosIsI}", "models", list, "total", (json_int_t)count, "available", (json_int_t)count));
}

mien_status detector_select(const http_request *request, http_response *response)
{
    json_t *body = NULL;
    mien_error error = {0};
    if (body_json(request, &body, &error))
        return fastapi_refuse_json(response, request, &error);
    const json_t *id = json_object_get(body, "model_id");
    mien_status status;
    char message[300], selected[VISION_NAME];
    if (!id) {
        status = fastapi_refuse(response, "value_error.missing", json_pack("[ss]", "body", "model_id"),
                                "field required", NULL);
    } else if (!json_is_string(id)) {
        status =
            fastapi_refuse(response, "type_error.str", json_pack("[ss]", "body", "model_id"), "str type expected", id);
    } else if (!model_list_select(&request->service->models, json_string_value(id))) {
        snprintf(message, sizeof message, "Invalid model ID: %.200s", json_string_value(id));
        status = http_response_error(response, 400, "detail", message);
    } else {
        model_list_selected(&request->service->models, selected);
        snprintf(message, sizeof message, "Successfully selected model: %s", selected);
        status = http_response_json(
            response, 200, json_pack("{sbssss}", "success", 1, "selected_model", selected, "message", message));
    }
    json_decref(body);
    return status;
}
