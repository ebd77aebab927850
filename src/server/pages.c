/* The page, its files, and the checks that machines make: /health (the union that three dialects expect), /healthz,
 * /readyz, /metrics. All of these are answered on the event loop: none waits for anything. */
#include "server/content_policy.h"
#include "server/dialects.h"
#include "server/static_files.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static mien_status serve_file(const static_file *file, const http_request *request, http_response *response)
{
    http_response_field(response, "ETag", file->etag);
    if (file->gzip)
        http_response_field(response, "Vary", "Accept-Encoding");
    response->cache_control = "no-cache";
    if (http_request_knows(request, file->etag)) {
        response->status = 304;
        return MIEN_OK;
    }
    bool accepted = http_request_accepts(request, "accept-encoding", "gzip");
    if (!accepted && !file->bytes)
        return http_response_error(response, 406, "detail", "This file is served with gzip only");
    bool packed = file->gzip && accepted;
    response->content_type = file->content_type;
    response->fixed = packed ? file->gzip : file->bytes;
    response->fixed_length = packed ? file->gzip_length : file->length;
    response->fixed_encoding = packed ? "gzip" : NULL;
    return MIEN_OK;
}

mien_status pages_static(const http_request *request, http_response *response)
{
    const static_file *file = static_files_find(request->path);
    if (!file)
        return http_response_error(response, 404, "detail", "Not Found");
    if (!strncmp(file->path, "/faces/", 7))
        response->policy = content_policy_faces;
    if (!strcmp(file->path, "/index.html"))
        response->policy = buffer_text(&request->service->page_policy);
    return serve_file(file, request, response);
}

mien_status pages_document(const http_request *request, http_response *response)
{
    bool reference = !strcmp(request->path, "/redoc");
    const static_file *file = static_files_find(reference ? "/documents/redoc.html" : "/documents/swagger.html");
    response->policy = content_policy_document;
    return file ? serve_file(file, request, response) : http_response_error(response, 404, "detail", "Not Found");
}

mien_status pages_root(const http_request *request, http_response *response)
{
    const static_file *page = static_files_find("/index.html");
    http_response_field(response, "Vary", "Accept");
    if (page && http_request_field_has(request, "accept", "text/html")) {
        response->policy = buffer_text(&request->service->page_policy);
        return serve_file(page, request, response);
    }
    char base[HTTP_MAX_BASE], docs[HTTP_MAX_BASE + 8], redoc[HTTP_MAX_BASE + 8];
    http_request_base(request, base);
    snprintf(docs, sizeof docs, "%s/docs", base);
    snprintf(redoc, sizeof redoc, "%s/redoc", base);
    return http_response_json(
        response, 200,
        json_pack("{sssss{ssssss}s[sss]sssssssss[sssssss]}", "name", "mien facial emotion recognition", "status",
                  "active", "endpoints", "health", "GET /", "predict", "POST /predict", "predict_file",
                  "POST /predict_file", "supported_emotions", "happy", "sad", "neutral", "version", mien_version(),
                  "message", "Welcome to the Face Emotion Detection API", "docs", docs, "redoc", redoc, "all_emotions",
                  "angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"));
}

mien_status pages_health(const http_request *request, http_response *response)
{
    const service *service = request->service;
    char now[32];
    clock_iso8601(clock_unix_us(), now, sizeof now);
    return http_response_json(response, 200,
                              json_pack("{sssbsssbsss[sssssss]sssssfsfss}", "status", "healthy", "model_loaded", 1,
                                        "predictor_status", "initialized", "face_cascade_loaded", 1, "model_type",
                                        "onnx_cnn", "emotion_classes", "Angry", "Disgust", "Fear", "Happy", "Sad",
                                        "Surprise", "Neutral", "timestamp", now, "version", mien_version(), "uptime",
                                        service_uptime(service), "memory_usage_mb", dialect_round(service_memory(), 2),
                                        "environment", service->settings->environment));
}

mien_status pages_healthz(const http_request *request, http_response *response)
{
    (void)request;
    response->content_type = "application/json";
    response->fixed = (const uint8_t *)"{\"status\":\"ok\"}";
    response->fixed_length = 15;
    return MIEN_OK;
}

mien_status pages_readyz(const http_request *request, http_response *response)
{
    const service *service = request->service;
    mien_error error = {0};
    bool store = !people_check(service->people, &error);
    bool ready = store && !atomic_load(&service->stopping);
    const char *stored = store ? "ready" : "not ready"; /* also under the name that monitors of history-api ask for */
    return http_response_json(response, ready ? 200 : 503,
                              json_pack("{sss{ssssssss}}", "status", ready ? "ready" : "not ready", "services", "model",
                                        "ready", "store", stored, "mongodb", stored, "firebase", "ready"));
}

static void write_gauges(const service *service, buffer *out)
{
    metrics_write_value(out, "process_resident_memory_bytes", "gauge", "Resident memory", service_memory() * (1 << 20));
    metrics_write_value(out, "process_cpu_seconds_total", "counter", "CPU time used", (double)clock_cpu_ns() / 1e9);
    metrics_write_value(out, "mien_uptime_seconds", "gauge", "Time since the start", service_uptime(service));
    metrics_write_value(out, "mien_connections", "gauge", "Open connections",
                        (double)atomic_load(&service->connections));
    metrics_write_value(out, "mien_websockets", "gauge", "Open WebSockets", (double)atomic_load(&service->sockets));
    if (service->queue) {
        job_queue_counts counts = job_queue_count(service->queue);
        metrics_write_value(out, "mien_queue_waiting", "gauge", "Requests that wait for a worker",
                            (double)counts.waiting);
        metrics_write_value(out, "mien_queue_capacity", "gauge", "Requests that may wait", (double)counts.capacity);
        metrics_write_value(out, "mien_workers", "gauge", "Workers", (double)counts.workers);
        metrics_write_value(out, "mien_workers_busy", "gauge", "Workers that are busy", (double)counts.running);
        metrics_write_value(out, "mien_queue_refused_total", "counter", "Requests refused because the queue was full",
                            (double)counts.refused);
    }
    if (service->cache) {
        result_cache_counts counts = result_cache_count(service->cache);
        metrics_write_value(out, "mien_cache_hits_total", "counter", "Results found in the cache", (double)counts.hits);
        metrics_write_value(out, "mien_cache_misses_total", "counter", "Results not in the cache",
                            (double)counts.misses);
        metrics_write_value(out, "mien_cache_entries", "gauge", "Results in the cache", (double)counts.entries);
    }
}

mien_status pages_metrics(const http_request *request, http_response *response)
{
    if (!request->service->settings->metrics)
        return http_response_error(response, 404, "detail", "Not Found");
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    mien_status status = metrics_write(request->service->metrics, &response->body);
    write_gauges(request->service, &response->body);
    return status ? status : buffer_status(&response->body, NULL);
}
