/* The life of a request. The loop's thread owns an exchange; while a worker runs its handler the worker owns request
 * and response, and the loop touches neither until the job has reported back. A client that leaves, or a deadline that
 * passes, only cuts the carrier off: the exchange is freed when its worker is done with it. */
#include "server/exchange.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "server/server_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const long guarded_limit = 30; /* a minute and client */

static void run_on_worker(server_job *job, size_t worker)
{
    exchange *e = (exchange *)job;
    if (atomic_load(&e->cancelled))
        return;
    e->request.worker = worker;
    router_answer(e->route, e->allowed, &e->request, &e->response);
    if (e->response.status == 503 && !strcasestr(buffer_text(&e->response.fields), "retry-after:"))
        http_response_field(&e->response, "Retry-After", "2");
    if (!e->response.streaming)
        response_compress(&e->request, &e->response);
}

static mien_status emit(void *context, const void *bytes, size_t length)
{
    exchange *e = context;
    if (atomic_load(&e->cancelled))
        return MIEN_ECANCELLED;
    pthread_mutex_lock(&e->stream_lock);
    mien_status status = buffer_append(&e->stream, bytes, length);
    pthread_mutex_unlock(&e->stream_lock);
    server_tell(e->server, &e->job);
    return status;
}

/* Request ids are random, so they say nothing about the load; a generator per server, seeded from the kernel. */
static void make_id(exchange *e)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t number = random_next(server_random(e->server));
    for (int i = 0; i < 16; i++)
        e->id[i] = digits[number >> (4 * i) & 15];
    e->id[16] = 0;
}

static void destroy(exchange *e)
{
    server_count_body(e->server, -(long)e->counted);
    pthread_mutex_destroy(&e->stream_lock);
    http_response_done(&e->response);
    buffer_done(&e->stream);
    buffer_done(&e->path);
    buffer_done(&e->body);
    memory_free(e->head_text);
    memory_free(e);
}

static void send_parts(exchange *e, bool last)
{
    pthread_mutex_lock(&e->stream_lock);
    buffer parts = e->stream;
    e->stream = (buffer){.limit = parts.limit};
    pthread_mutex_unlock(&e->stream_lock);
    if ((parts.length || last) && !e->stream_begun) {
        e->stream_begun = true;
        exchange_note(e);
        e->carrier_functions->answer(e->carrier, e);
    }
    if (e->carrier && (parts.length || last))
        e->carrier_functions->part(e->carrier, e, parts.data, parts.length, last);
    buffer_done(&parts);
}

static void news(server_job *job, bool finished)
{
    exchange *e = (exchange *)job;
    if (finished)
        e->running = false;
    if (!e->carrier) {
        if (finished)
            destroy(e);
    } else if (!finished || e->response.streaming) {
        send_parts(e, finished);
    } else {
        exchange_answer(e);
    }
}

exchange *exchange_create(server *server, const char *peer, bool secure)
{
    exchange *e = memory_zeroed(1, sizeof *e);
    if (!e)
        return NULL;
    e->server = server;
    e->job.run = run_on_worker;
    e->job.news = news;
    e->begin_ns = clock_monotonic_ns();
    pthread_mutex_init(&e->stream_lock, NULL);
    http_response_init(&e->response);
    e->response.emit = emit;
    e->response.emit_context = e;
    snprintf(e->peer, sizeof e->peer, "%s", peer);
    make_id(e);
    e->request.peer = e->peer;
    e->request.id = e->id;
    e->request.secure = secure;
    e->request.service = server_service(server);
    e->request.cancelled = &e->cancelled;
    e->request.body = (const uint8_t *)"";
    e->request.path = e->request.query = "";
    buffer_init(&e->body, (size_t)e->request.service->settings->max_body);
    return e;
}

void exchange_release(exchange *e)
{
    e->carrier = NULL;
    atomic_store(&e->cancelled, true);
    if (e->gone)
        e->gone(e);
    if (e->running && server_withdraw(e->server, &e->job))
        e->running = false;
    if (!e->running)
        destroy(e);
}

/* Behind a proxy that we trust: who asks and whether TLS brought it there, for links and cookies. The last address is
 * the one that the proxy itself wrote. */
static void take_forwarded(exchange *e)
{
    if (!e->request.service->settings->trust_proxy)
        return;
    const char *scheme = http_request_field(&e->request, "x-forwarded-proto");
    if (scheme)
        e->request.secure = !strcasecmp(scheme, "https");
    const char *forwarded = http_request_field(&e->request, "x-forwarded-for");
    if (!forwarded)
        return;
    const char *comma = strrchr(forwarded, ',');
    const char *last = comma ? comma + 1 : forwarded;
    last += strspn(last, " ");
    size_t length = strspn(last, "0123456789abcdefABCDEF:.");
    if (length && length < sizeof e->peer) {
        memcpy(e->peer, last, length);
        e->peer[length] = 0;
    }
}

/* Requests a minute for a route: its own limit from RATE_LIMIT_ROUTES, else the general one; 0 = none. */
static long route_limit(const settings *settings, const exchange *e)
{
    const route *route = e->route;
    size_t wanted = strlen(route->path);
    for (const char *at = settings->rate_limit_routes; *at;) {
        at += strspn(at, " ,");
        size_t length = strcspn(at, "=,");
        if (length == wanted && at[length] == '=' && !strncmp(at, route->path, wanted))
            return strtol(at + length + 1, NULL, 10);
        at += strcspn(at, ",");
    }
    if (route->flags & ROUTE_GUARDED)
        return guarded_limit;
    if (route->flags & ROUTE_PICTURES)
        return settings->rate_limit_faces;
    bool other = route->flags & ROUTE_SHARED && http_request_is(&e->request, "multipart/form-data");
    return route->flags & ROUTE_LIMITED && !other ? settings->rate_limit : 0;
}

static bool within_rate(exchange *e)
{
    const service *service = e->request.service;
    long most = e->route ? route_limit(service->settings, e) : 0;
    if (most <= 0)
        return true;
    uint64_t now = clock_monotonic_ns();
    rate_verdict verdict = rate_limit_take(service->limits, e->peer, e->route->path, most, 60, now);
    const char *credential = people_credential(&e->request);
    if (verdict.allowed && credential) /* whoever has it shares one count, wherever they ask from */
        verdict = rate_limit_take(service->limits, credential, e->route->path, most, 60, now);
    if (verdict.allowed)
        return true;
    char text[80];
    snprintf(text, sizeof text, "Rate limit exceeded: %ld per 1 minute", most);
    http_response_error(&e->response, 429, "error", text);
    snprintf(text, sizeof text, "%d", (int)verdict.retry_after + 1);
    http_response_field(&e->response, "Retry-After", text);
    return false;
}

int exchange_begin(exchange *e)
{
    const service *service = e->request.service;
    e->mount = server_find_mount(e->server, e->request.path);
    if (!e->mount)
        e->route = router_find(server_router(e->server), &e->request, &e->allowed);
    take_forwarded(e);
    if (atomic_load(&service->stopping))
        return 503;
    if (e->head.framing == HTTP_LENGTH && e->head.content_length > (uint64_t)service->settings->max_body)
        return 413;
    if (!within_rate(e))
        return 429;
    if (e->head.framing == HTTP_LENGTH && !server_count_body(e->server, (long)e->head.content_length))
        return 503;
    e->counted = e->head.framing == HTTP_LENGTH ? (size_t)e->head.content_length : 0;
    return 0;
}

void exchange_refuse(exchange *e, int status)
{
    if (status != 429 || !e->response.body.length) {
        http_response_reset(&e->response);
        const char *text = http_reason(status);
        json_t *object = json_pack("{ssss}", "detail", text, "error", text);
        if (status == 413) /* whoever sent too much wants to know how much is taken */
            json_object_set_new(object, "limit", json_integer((json_int_t)e->request.service->settings->max_body));
        http_response_json(&e->response, status, object);
        if (status == 503)
            http_response_field(&e->response, "Retry-After", "1");
        if (status == 426) {
            http_response_field(&e->response, "Sec-WebSocket-Version", "13");
            if (e->request.minor_version < 2) { /* HTTP/2 has neither */
                http_response_field(&e->response, "Upgrade", "websocket");
                http_response_field(&e->response, "Connection", "Upgrade");
            }
        }
    }
    exchange_answer(e);
}

void exchange_answer(exchange *e)
{
    if (!e->carrier)
        return;
    exchange_note(e);
    e->carrier_functions->answer(e->carrier, e);
}

void exchange_run(exchange *e)
{
    const settings *settings = e->request.service->settings;
    if (e->body.length) {
        e->request.body = e->body.data;
        e->request.body_length = e->body.length;
    }
    if (e->mount) {
        if (e->mount->request)
            e->mount->request(e->mount->context, e);
        else
            exchange_refuse(e, 426);
    } else if (e->route && e->route->flags & ROUTE_WORKER) {
        e->running = !server_submit(e->server, &e->job);
        if (!e->running)
            exchange_refuse(e, 503);
    } else {
        if (!cors_preflight(settings, &e->request, e->allowed, &e->response))
            router_answer(e->route, e->allowed, &e->request, &e->response);
        response_compress(&e->request, &e->response);
        exchange_answer(e);
    }
}

void exchange_note(exchange *e)
{
    if (e->answered)
        return;
    e->answered = true;
    double seconds = (double)(clock_monotonic_ns() - e->begin_ns) / 1e9;
    const char *method = http_method_name(e->request.method);
    const char *path = e->mount ? e->mount->path : e->route ? e->route->path : "";
    int status = e->response.status;
    metrics_request(e->request.service->metrics, method, path, status, seconds);
    bool check = status < 400 && !(e->route && e->route->flags & ROUTE_WORKER);
    log_write(check ? LOG_DEBUG : LOG_INFO, "request id=%s method=%s route=%s status=%d ms=%.2f in=%zu out=%zu", e->id,
              method, *path ? path : "-", status, seconds * 1e3, e->request.body_length,
              e->response.fixed ? e->response.fixed_length : e->response.body.length);
}
