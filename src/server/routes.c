/* Every path of the server in one table. */
#include "server/dialects.h"

static const route routes[] = {
    {HTTP_GET, "/", pages_root, 0},
    {HTTP_GET, "/health", pages_health, 0},
    {HTTP_GET, "/healthz", pages_healthz, 0},
    {HTTP_GET, "/readyz", pages_readyz, 0},
    {HTTP_GET, "/metrics", pages_metrics, 0},

    {HTTP_POST, "/predict", neo_predict, ROUTE_WORKER},
    {HTTP_POST, "/predict_file", neo_predict_file, ROUTE_WORKER},

    {HTTP_POST, "/predict_emotion", faceml_predict, ROUTE_WORKER},
    {HTTP_POST, "/predict_emotion_stream", faceml_predict_stream, ROUTE_WORKER},

    {HTTP_POST, "/api/detect", detector_detect, ROUTE_WORKER | ROUTE_LIMITED},
    {HTTP_POST, "/api/detect/upload", detector_upload, ROUTE_WORKER | ROUTE_LIMITED},
    {HTTP_POST, "/api/detect/batch", detector_batch, ROUTE_WORKER | ROUTE_LIMITED},
    {HTTP_GET, "/api/status", detector_status, 0},
    {HTTP_GET, "/api/models", detector_models, 0},
    {HTTP_POST, "/api/models/select", detector_select, 0},

    {HTTP_GET, "/<file>", pages_static, ROUTE_STATIC},
};

const router dialects_router = {routes, sizeof routes / sizeof *routes};
