/* Guards HTTP/2: what a client may send after the preface, against the session and handlers that answer at once, late,
 * in parts, largely and never in time. Whatever comes, nothing is kept afterwards, and what waits to be sent stays
 * bounded.
 *
 * The network side is replaced by a few lines here: "workers" run their jobs when the input says so, in order. */
#include "server/h2_session.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "server/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_JOBS = 256, MOST_OUTPUT = 1 << 18, SLACK = 1 << 15, LARGE = 200000, PARTS = 5 };

struct server {
    service *service;
    server_job *jobs[MOST_JOBS];
    size_t job_count;
    random_state random;
    long bodies;
};

static mien_status nothing_found(vision *vision, size_t worker, const void *bytes, size_t length,
                                 const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    (void)vision, (void)worker, (void)bytes, (void)length, (void)options, (void)error;
    *result = (mien_result){0};
    return MIEN_OK;
}

static const vision_functions functions = {.analyze = nothing_found};
static vision stub = {.functions = &functions, .workers = 1, .model_name = "mien/stub"};
static settings options;

static mien_status echo(const http_request *request, http_response *response)
{
    response->content_type = "application/octet-stream";
    return buffer_append(&response->body, request->body, request->body_length);
}

static mien_status large(const http_request *request, http_response *response)
{
    static uint8_t zeros[LARGE];
    (void)request;
    response->content_type = "application/octet-stream";
    response->fixed = zeros;
    response->fixed_length = sizeof zeros;
    return MIEN_OK;
}

static mien_status in_parts(const http_request *request, http_response *response)
{
    (void)request;
    response->streaming = true;
    response->content_type = "text/event-stream";
    for (int i = 0; i < PARTS; i++)
        if (response->emit(response->emit_context, "data: 1\n\n", 9))
            break;
    return MIEN_OK;
}

static const route routes[] = {
    {HTTP_GET | HTTP_POST, "/", echo, 0},
    {HTTP_POST, "/index.html", echo, ROUTE_WORKER},
    {HTTP_GET, "/index.html", large, 0},
    {HTTP_GET, "/s", in_parts, ROUTE_WORKER},
    {HTTP_GET, "/w/{id}", large, ROUTE_WORKER | ROUTE_LIMITED},
};
static const router all = {routes, sizeof routes / sizeof *routes};

service *server_service(const server *server)
{
    return server->service;
}

const router *server_router(const server *server)
{
    (void)server;
    return &all;
}

random_state *server_random(server *server)
{
    return &server->random;
}

const server_mount *server_find_mount(const server *server, const char *path)
{
    (void)server, (void)path;
    return NULL;
}

bool server_count_body(server *server, long bytes)
{
    if (bytes > 0 && server->bodies + bytes > options.max_bodies)
        return false;
    server->bodies += bytes;
    return true;
}

mien_status server_submit(server *server, server_job *job)
{
    if (server->job_count == MOST_JOBS)
        return MIEN_EBUSY;
    server->jobs[server->job_count++] = job;
    return MIEN_OK;
}

bool server_withdraw(server *server, server_job *job)
{
    for (size_t i = 0; i < server->job_count; i++) {
        if (server->jobs[i] != job)
            continue;
        memmove(server->jobs + i, server->jobs + i + 1, (--server->job_count - i) * sizeof(server_job *));
        return true;
    }
    return false;
}

void server_tell(server *server, server_job *job)
{
    (void)server, (void)job; /* the news of the end brings the parts */
}

void connection_send(connection *c, const void *bytes, size_t length)
{
    (void)c, (void)bytes, (void)length;
}

/* Let the workers finish `count` jobs. */
static void work(server *server, size_t count)
{
    for (; count && server->job_count; count--) {
        server_job *job = server->jobs[0];
        memmove(server->jobs, server->jobs + 1, --server->job_count * sizeof(server_job *));
        job->run(job, 0);
        job->news(job, true);
    }
}

static service *the_service(void)
{
    static service *made;
    mien_error error;
    if (!made) {
        if (settings_init(&options, &error) || service_create(&options, &stub, &made, &error))
            abort();
        options.max_body = 4096;
        options.max_bodies = 65536;
        options.rate_limit = 0;
    }
    return made;
}

/* Each piece of the input: how many bytes it has, what happens after them, then the bytes. */
static bool feed(server *server, h2_session *session, const uint8_t **data, size_t *size, buffer *out)
{
    size_t length = (size_t)(*data)[0] + 1;
    uint8_t then = (*data)[1];
    length = length < *size - 2 ? length : *size - 2;
    bool open = h2_session_receive(session, *data + 2, length);
    *data += 2 + length;
    *size -= 2 + length;
    if (then & 1)
        work(server, 1 + (then >> 4));
    if (then & 2)
        h2_session_expire(session, clock_monotonic_ns() + (then & 8 ? 1000000000000u : 0));
    if (then & 4)
        buffer_clear(out); /* the client has read */
    if (then == 0xf0)
        h2_session_stop(session);
    size_t before = out->length;
    open = h2_session_output(session, out, MOST_OUTPUT) && open;
    if (out->length > MOST_OUTPUT + SLACK && out->length != before)
        abort();
    return open;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    server server = {.service = the_service()};
    connection connection = {.server = &server, .state = CONNECTION_HTTP2, .peer = "192.0.2.1"};
    buffer out = {0};
    random_seed(&server.random, 1, 0);
    h2_session *session = h2_session_create(&connection);
    bool open = session && h2_session_receive(session, (const uint8_t *)preface, sizeof preface);
    while (open && size > 2)
        open = feed(&server, session, &data, &size, &out);
    if (session && h2_session_streams(session) > 200)
        abort();
    h2_session_destroy(&session);
    work(&server, MOST_JOBS); /* what nobody waits for any more */
    if (server.bodies)
        abort();
    buffer_done(&out);
    return 0;
}
