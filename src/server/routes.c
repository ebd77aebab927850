/* Every path of the server in one table. */
#include "server/dialects.h"

mien_status shared_detect(const http_request *request, http_response *response)
{
    bool form = http_request_is(request, "multipart/form-data");
    return form ? history_detect(request, response) : detector_detect(request, response);
}

mien_status shared_batch(const http_request *request, http_response *response)
{
    bool form = http_request_is(request, "multipart/form-data");
    return form ? history_batch(request, response) : detector_batch(request, response);
}

static const route routes[] = {
    {HTTP_GET, "/", pages_root, 0},
    {HTTP_GET, "/health", pages_health, 0},
    {HTTP_GET, "/healthz", pages_healthz, 0},
    {HTTP_GET, "/readyz", pages_readyz, ROUTE_WORKER},
    {HTTP_GET, "/metrics", pages_metrics, 0},

    {HTTP_POST, "/predict", neo_predict, ROUTE_WORKER},
    {HTTP_POST, "/predict_file", neo_predict_file, ROUTE_WORKER},

    {HTTP_POST, "/predict_emotion", faceml_predict, ROUTE_WORKER},
    {HTTP_POST, "/predict_emotion_stream", faceml_predict_stream, ROUTE_WORKER},

    {HTTP_POST, "/api/detect", shared_detect, ROUTE_WORKER | ROUTE_LIMITED | ROUTE_SHARED},
    {HTTP_POST, "/api/detect/upload", detector_upload, ROUTE_WORKER | ROUTE_LIMITED},
    {HTTP_POST, "/api/detect/batch", shared_batch, ROUTE_WORKER | ROUTE_LIMITED | ROUTE_SHARED},
    {HTTP_GET, "/api/status", detector_status, 0},
    {HTTP_GET, "/api/models", detector_models, 0},
    {HTTP_POST, "/api/models/select", detector_select, 0},

    {HTTP_POST, "/api/faces", native_faces, ROUTE_WORKER | ROUTE_PICTURES},
    {HTTP_GET, "/api/notice", native_notice, 0},

    {HTTP_POST, "/auth/verify-token", auth_verify_token, ROUTE_WORKER | ROUTE_GUARDED},
    {HTTP_POST, "/auth/register", auth_register, ROUTE_WORKER | ROUTE_GUARDED},
    {HTTP_POST, "/auth/login", auth_sign_in, ROUTE_WORKER | ROUTE_GUARDED},
    {HTTP_POST, "/auth/logout", auth_sign_out, ROUTE_WORKER},
    {HTTP_GET, "/auth/profile", auth_profile, ROUTE_WORKER},
    {HTTP_DELETE, "/auth/profile", auth_erase, ROUTE_WORKER},
    {HTTP_GET, "/auth/usage", auth_usage, ROUTE_WORKER},
    {HTTP_POST, "/auth/refresh-token", auth_refresh, ROUTE_WORKER},
    {HTTP_POST, "/auth/refresh-token/reset", auth_reset, ROUTE_WORKER},
    {HTTP_POST, "/auth/api-keys", auth_api_key, ROUTE_WORKER},
    {HTTP_DELETE, "/auth/api-keys", auth_revoke_api_keys, ROUTE_WORKER},

    {HTTP_GET, "/api/history", history_list, ROUTE_WORKER},
    {HTTP_DELETE, "/api/history", history_delete_all, ROUTE_WORKER},
    {HTTP_GET, "/api/history/{id}", history_get, ROUTE_WORKER},
    {HTTP_DELETE, "/api/history/{id}", history_delete, ROUTE_WORKER},
    {HTTP_GET, "/api/history/{id}/picture", history_picture, ROUTE_WORKER},
    {HTTP_GET, "/api/detect/status/{id}", history_status, 0},

    {HTTP_GET, "/docs", pages_document, 0},
    {HTTP_GET, "/redoc", pages_document, 0},
    {HTTP_GET, "/<file>", pages_static, ROUTE_STATIC},
};

const router dialects_router = {routes, sizeof routes / sizeof *routes};
