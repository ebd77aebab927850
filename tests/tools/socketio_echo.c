/* A server that answers what public Engine.IO and Socket.IO conformance suites expect, made of the real network side,
 * glue and state machines. Engine.IO under /engine.io/ echoes; Socket.IO under /socket.io/ with the namespaces / and
 * /custom emits `auth` soon after the connection, answers `message` with `message-back` and acknowledges
 * `message-with-ack` with its arguments; a WebSocket on /echo returns what it gets. Prints the port it listens on, ends
 * at SIGTERM or SIGINT. socketio_echo [--port N] [--ping-interval MS] [--ping-timeout MS] [--max-payload BYTES] */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "proto/socketio.h"
#include "server/echo_channel.h"
#include "server/socketio_glue.h"

/* An `auth` that is due. */
typedef struct greeting {
    struct greeting *next;
    char *id; /* of the socket, which may be gone by then */
    json_t *auth;
} greeting;

typedef struct echo {
    settings settings;
    vision vision;
    service *service;
    server *server;
    socketio_glue *engine_glue, *socket_glue;
    engineio_server *engine;
    socketio_server *sockets;
    server_timer *timer;
    greeting *first, **end;
} echo;

/* The suites' clients wait for the answer to CONNECT, and only then listen for `auth`: what comes in the same piece is
 * lost on them. So it comes a little later, like from a server that looks somebody up first. */
enum { GREETING_MS = 10 };

static server *running;

static void on_signal(int number)
{
    (void)number;
    server_stop(running);
}

static void on_engine_message(void *context, engineio_session *session, const uint8_t *bytes, size_t length,
                              bool binary, uint64_t now)
{
    (void)context;
    (void)now;
    engineio_send(session, bytes, length, binary);
}

/* Emit, or with `silent` only forget, what is due. */
static void greet_all(echo *e, bool silent)
{
    for (greeting *due; (due = e->first);) {
        e->first = due->next;
        socketio_socket *socket = silent || !due->id ? NULL : socketio_find(e->sockets, due->id);
        if (socket)
            socketio_emit_json(socket, "auth", json_incref(due->auth));
        json_decref(due->auth);
        memory_free(due->id);
        memory_free(due);
    }
    e->end = &e->first;
}

static void on_timer(void *context)
{
    echo *e = context;
    greet_all(e, false);
    socketio_glue_kick(e->socket_glue);
}

static void greet_soon(echo *e, const socketio_socket *socket, json_t *auth)
{
    greeting *due = memory_zeroed(1, sizeof *due);
    if (!due)
        return;
    *due = (greeting){.id = memory_text(socketio_id(socket)), .auth = json_incref(auth)};
    *e->end = due;
    e->end = &due->next;
    if (e->first == due)
        server_timer_set(e->timer, GREETING_MS);
}

static void on_connect(void *context, socketio_socket *socket, json_t *auth, uint64_t now)
{
    (void)now;
    if (json_is_string(json_object_get(auth, "refuse"))) { /* for clients that test being refused */
        socketio_refuse(socket, json_string_value(json_object_get(auth, "refuse")));
        return;
    }
    if (!socketio_accept(socket))
        greet_soon(context, socket, auth);
}

static void on_answer(void *context, socketio_socket *socket, const socketio_args *args)
{
    (void)context;
    if (args)
        socketio_emit(socket, "answered", args);
}

static void on_event(void *context, socketio_socket *socket, const socketio_event *event, uint64_t now)
{
    (void)context;
    (void)now;
    if (strcmp(event->name, "message") == 0)
        socketio_emit(socket, "message-back", &event->args);
    else if (strcmp(event->name, "message-with-ack") == 0 && event->wants_ack)
        socketio_acknowledge(socket, event->ack, &event->args);
    else if (strcmp(event->name, "ask-me") == 0) /* an acknowledgement in the other direction */
        socketio_emit_with_ack(socket, "question", &event->args, on_answer, NULL);
    else if (strcmp(event->name, "throw-me-out") == 0)
        socketio_disconnect(socket);
}

static mien_status no_analysis(vision *vision, size_t worker, const void *bytes, size_t length,
                               const mien_analyze_options *options, mien_result *result, mien_error *error)
{
    (void)vision, (void)worker, (void)bytes, (void)length, (void)options, (void)result, (void)error;
    return MIEN_EUNSUPPORTED;
}

static void no_destroy(vision *vision)
{
    (void)vision;
}

static long number_of(const char *text, long low, long high)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*end || end == text || value < low || value > high) {
        fprintf(stderr, "socketio_echo: %s is not a number from %ld to %ld\n", text, low, high);
        exit(2);
    }
    return value;
}

static void read_options(int count, char **arguments, long *port, engineio_options *engine)
{
    for (int i = 1; i < count; i += 2) {
        const char *name = arguments[i], *value = i + 1 < count ? arguments[i + 1] : "";
        if (strcmp(name, "--port") == 0)
            *port = number_of(value, 0, 65535);
        else if (strcmp(name, "--ping-interval") == 0)
            engine->ping_interval = (uint32_t)number_of(value, 1, 86400000);
        else if (strcmp(name, "--ping-timeout") == 0)
            engine->ping_timeout = (uint32_t)number_of(value, 1, 86400000);
        else if (strcmp(name, "--max-payload") == 0)
            engine->max_payload = (size_t)number_of(value, 1, 1 << 30);
        else {
            fprintf(stderr, "usage: socketio_echo [--port N] [--ping-interval MS] [--ping-timeout MS] "
                            "[--max-payload BYTES]\n");
            exit(2);
        }
    }
}

static mien_status start_network(echo *e, mien_error *error)
{
    static const vision_functions functions = {.analyze = no_analysis, .destroy = no_destroy};
    static const router router = {NULL, 0};
    e->vision = (vision){.functions = &functions, .workers = 1};
    mien_status status = service_create(&e->settings, &e->vision, &e->service, error);
    if (!status)
        status = server_create(e->service, &router, &e->server, error);
    if (!status)
        status = socketio_glue_create(e->server, &e->engine_glue, error);
    if (!status)
        status = socketio_glue_create(e->server, &e->socket_glue, error);
    return status;
}

static mien_status start_protocols(echo *e, const engineio_options *options, mien_error *error)
{
    engineio_transport transport = socketio_glue_transport(e->engine_glue);
    engineio_handlers handlers = {.message = on_engine_message};
    socketio_handlers events = {e, on_connect, on_event, NULL};
    socketio_options sockets = {.engine = *options};
    server_mount plain = {.path = "/echo", .channel = &echo_channel_handlers};
    mien_status status = engineio_create(options, &transport, &handlers, &e->engine, error);
    transport = socketio_glue_transport(e->socket_glue);
    if (!status)
        status = socketio_create(&sockets, &transport, &e->sockets, error);
    e->end = &e->first;
    if (!status)
        status = server_timer_create(e->server, on_timer, e, &e->timer);
    if (!status)
        status = socketio_serve(e->sockets, "/", &events, NULL, error);
    if (!status)
        status = socketio_serve(e->sockets, "/custom", &events, NULL, error);
    if (!status)
        status = socketio_glue_start(e->engine_glue, e->engine, "/engine.io/", error);
    if (!status)
        status = socketio_glue_start(e->socket_glue, socketio_engine(e->sockets), "/socket.io/", error);
    if (!status)
        status = server_add_mount(e->server, &plain);
    return status;
}

int main(int count, char **arguments)
{
    echo e = {0};
    mien_error error = {0};
    long port = 3000;
    engineio_options options = {0};
    read_options(count, arguments, &port, &options);
    mien_status status = settings_init(&e.settings, &error);
    e.settings.port = port;
    e.settings.max_connections_per_address = e.settings.max_connections;
    if (!status)
        status = start_network(&e, &error);
    if (!status)
        status = start_protocols(&e, &options, &error);
    if (!status) {
        running = e.server;
        signal(SIGTERM, on_signal);
        signal(SIGINT, on_signal);
        printf("listening on port %d\n", server_port(e.server));
        fflush(stdout);
        status = server_run(e.server);
    }
    if (status)
        fprintf(stderr, "socketio_echo: %s\n", error.message);
    server_destroy(&e.server);
    greet_all(&e, true);
    engineio_destroy(&e.engine);
    socketio_destroy(&e.sockets);
    socketio_glue_destroy(&e.engine_glue);
    socketio_glue_destroy(&e.socket_glue);
    service_destroy(&e.service);
    settings_done(&e.settings);
    return status ? 1 : 0;
}
