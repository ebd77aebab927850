/* history-api's realtime service. A client connects to /emotion-detection with a token, says initialize and control
 * start, and sends video_frame events; each frame that is looked at is answered by detection_result, every thirtieth
 * also by a status with metrics. Where the original broke off or was silent it now gets an error_message: frames
 * without a picture, rooms, refused tokens. Source: the original's exchanges as captured on the wire. */
#include "server/realtime.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "proto/socketio.h"
#include "server/dialects.h"
#include "server/realtime_json.h"
#include "server/realtime_stream.h"
#include "server/socketio_glue.h"

enum {
    REALTIME_MAX_PAYLOAD = 4 << 20, /* a frame of 1280×720 as base64 with room to spare */
    REALTIME_MAX_QUEUE = 1 << 20,   /* answers that a client does not fetch */
    REALTIME_METRICS_EVERY = 30,    /* frames */
    REALTIME_MANY_DROPPED = 15      /* of those; then the client is told */
};

struct realtime {
    server *server;
    socketio_glue *glue;
    socketio_server *sockets;
    realtime_options options;
};

/* One socket. It outlives the socket while a worker looks at its token. */
typedef struct client {
    server_job job; /* first: the check of the token */
    realtime *realtime;
    socketio_socket *socket; /* NULL once it has ended */
    realtime_stream *stream;
    char *token;
    bool checking, started;
    unsigned uses;         /* our own functions at work on it */
    unsigned long dropped; /* since the last metrics */
    mien_status verdict;
    mien_error error;
} client;

/** A socket that turns out to be too slow ends within this; the client stays as long as it is used. */
static void send(client *c, const char *event, json_t *value)
{
    if (c->socket)
        socketio_emit_json(c->socket, event, value);
    else
        json_decref(value);
}

static void send_error(client *c, int code, const char *format, ...) MIEN_PRINTF(3, 4);

static void send_error(client *c, int code, const char *format, ...)
{
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    send(c, "error_message", realtime_status(code, text));
}

static void send_status(client *c, const char *message)
{
    send(c, "status", realtime_status(200, message));
}

static void client_release(client *c)
{
    realtime_stream_destroy(&c->stream);
    memory_free(c->token);
    memory_free(c);
}

static void client_leave(client *c)
{
    if (!--c->uses && !c->socket && !c->checking)
        client_release(c);
}

static void report(client *c, const realtime_outcome *outcome)
{
    if (outcome->status) {
        send_error(c, outcome->status == MIEN_EFORMAT || outcome->status == MIEN_ELIMIT ? 400 : 500,
                   "Invalid frame data: %s", outcome->error->message);
        return;
    }
    send(c, "detection_result", realtime_detection(outcome));
    c->dropped += outcome->dropped;
    if (outcome->times->frames % REALTIME_METRICS_EVERY)
        return;
    send(c, "status", realtime_metrics(outcome));
    if (c->dropped >= REALTIME_MANY_DROPPED)
        send(c, "performance_suggestion", realtime_suggestion(outcome, c->dropped, REALTIME_METRICS_EVERY));
    c->dropped = 0;
}

static void on_outcome(void *context, const realtime_outcome *outcome)
{
    client *c = context;
    if (!c->started)
        return; /* stopped while the frame was being looked at */
    c->uses++;
    report(c, outcome);
    client_leave(c);
}

static void check_token(server_job *job, size_t worker)
{
    client *c = (client *)job;
    (void)worker;
    c->verdict = c->realtime->options.authenticate(c->realtime->options.context, c->token, &c->error);
}

static void token_checked(server_job *job, bool finished)
{
    client *c = (client *)job;
    if (!finished)
        return;
    c->checking = false;
    if (!c->socket) {
        client_release(c);
        return;
    }
    realtime *r = c->realtime;
    if (!c->verdict) {
        socketio_accept(c->socket);
    } else { /* no disconnected() follows a refusal */
        socketio_refuse(c->socket, c->verdict == MIEN_EDENIED ? c->error.message : "Authentication is not available");
        client_release(c);
    }
    socketio_glue_kick(r->glue);
}

static void refuse(client *c, const char *message)
{
    socketio_refuse(c->socket, message);
    client_release(c);
}

static void on_connect(void *context, socketio_socket *socket, json_t *auth, uint64_t now)
{
    realtime *r = context;
    (void)now;
    client *c = memory_zeroed(1, sizeof *c);
    if (!c || realtime_stream_create(r->server, on_outcome, c, &c->stream, NULL)) {
        memory_free(c);
        socketio_refuse(socket, "Out of memory");
        return;
    }
    c->job = (server_job){.run = check_token, .news = token_checked};
    c->realtime = r;
    c->socket = socket;
    socketio_set_user(socket, c);
    const char *token = json_string_value(json_object_get(auth, "token"));
    if (!r->options.authenticate) {
        socketio_accept(socket);
        return;
    }
    c->token = memory_text(token);
    if (!c->token || !*c->token)
        refuse(c, "Authentication token is required");
    else if (server_submit(r->server, &c->job))
        refuse(c, "The server is busy");
    else
        c->checking = true;
}

static void on_disconnected(void *context, socketio_socket *socket)
{
    client *c = socketio_user(socket);
    const realtime *r = context;
    c->socket = NULL;
    c->started = false;
    if (c->checking && server_withdraw(r->server, &c->job))
        c->checking = false;
    if (!c->checking && !c->uses)
        client_release(c);
}

/** A model by name; "" for the default again. */
static mien_status take_model(client *c, const char *name, realtime_config *config, mien_error *error)
{
    model_pick pick;
    mien_status status = model_list_pick(&server_service(c->realtime->server)->models, name, MODEL_OWN, &pick, error);
    if (status)
        return status;
    memcpy(config->model, *name ? pick.name : "", *name ? sizeof config->model : 1);
    model_pick_done(&pick);
    return MIEN_OK;
}

/** Read what a client may set; unknown names are passed over, as clients send settings of their own. */
static mien_status read_config(client *c, const json_t *config, mien_error *error)
{
    realtime_config next = *realtime_stream_config(c->stream);
    const char *model = json_string_value(json_object_get(config, "model"));
    if (model && take_model(c, model, &next, error))
        return MIEN_ENOTFOUND;
    const json_t *preset = json_object_get(config, "preset"), *face = json_object_get(config, "min_face_size");
    const json_t *neighbors = json_object_get(config, "min_neighbors"),
                 *scale = json_object_get(config, "scale_factor");
    const json_t *full = json_object_get(config, "full_search");
    const json_t *smoothing = json_object_get(config, "smoothing_ms"),
                 *baseline = json_object_get(config, "baseline_ms");
    if (json_is_string(preset)) {
        mien_status status = mien_preset_from_name(json_string_value(preset), &next.preset, error);
        if (status)
            return status;
    }
    if (json_is_integer(face))
        next.min_face = json_integer_value(face) > 100000 ? 100000 : (int32_t)json_integer_value(face);
    if (json_is_integer(neighbors))
        next.min_neighbors = json_integer_value(neighbors) > 1000 ? 1000 : (int)json_integer_value(neighbors);
    if (json_is_number(scale))
        next.scale_factor = json_number_value(scale);
    if (json_is_number(smoothing))
        next.smoothing_ms = json_number_value(smoothing);
    if (json_is_number(baseline))
        next.baseline_ms = json_number_value(baseline);
    if (json_is_boolean(full))
        next.full_search = json_is_true(full);
    return realtime_stream_configure(c->stream, &next, error);
}

static void on_initialize(client *c, const json_t *data)
{
    mien_error error = {0};
    if (data && !json_is_object(data))
        send_error(c, 500, "Failed to initialize: the settings must be an object");
    else if (read_config(c, json_object_get(data, "config"), &error))
        send_error(c, 400, "Failed to initialize: %s", error.message);
    else
        send(c, "initialized", realtime_initialized(socketio_id(c->socket)));
}

static void on_control(client *c, const json_t *data)
{
    const char *action = json_string_value(json_object_get(data, "action"));
    mien_error error = {0};
    action = action ? action : "";
    bool start = strcmp(action, "start") == 0;
    if ((start || strcmp(action, "configure") == 0) && read_config(c, json_object_get(data, "config"), &error)) {
        send_error(c, 400, "%s", error.message);
    } else if (start) {
        c->started = true;
        send_status(c, "Processing started");
    } else if (strcmp(action, "stop") == 0) {
        c->started = false;
        realtime_stream_clear(c->stream);
        send_status(c, "Processing stopped");
    } else if (strcmp(action, "configure") == 0) {
        send_status(c, "Configuration updated");
    } else {
        send_error(c, 400, "Unknown action: %.100s", action);
    }
}

/** The picture of a frame: an attachment's bytes, or text that the worker decodes. */
static bool read_picture(const socketio_args *args, json_t *value, realtime_frame *frame)
{
    const socketio_binary *bytes = socketio_attachment(args, value);
    if (bytes)
        return bytes->length && !buffer_append(&frame->bytes, bytes->bytes, bytes->length);
    if (!json_is_string(value) || !json_string_length(value))
        return false;
    frame->text = json_incref(value);
    return true;
}

static void on_frame(client *c, const socketio_args *args)
{
    const json_t *data = json_array_get(args->values, 0);
    realtime_frame frame = {.arrived_ms = clock_monotonic_ms()};
    if (!c->started) {
        send_error(c, 400, "Processing not started");
        return;
    }
    if (!read_picture(args, json_object_get(data, "data"), &frame)) {
        send_error(c, 400, "Invalid frame data: there is no picture in it");
        return;
    }
    json_t *id = json_object_get(data, "frame_id");
    frame.id = id ? json_incref(id) : json_null();
    frame.sent = json_number_value(json_object_get(data, "timestamp"));
    if (frame.sent > 1e11)
        frame.sent /= 1000; /* JavaScript's milliseconds */
    if (realtime_stream_push(c->stream, &frame))
        send_error(c, 503, "The server is busy; the frame was dropped");
}

static void on_join(client *c, const json_t *data)
{
    const char *room = json_string_value(json_object_get(data, "room"));
    mien_error error = {0};
    if (!room || !*room) {
        send_error(c, 400, "Room name is required");
    } else if (socketio_join(c->socket, room, &error)) {
        send_error(c, 400, "Error joining room: %s", error.message);
    } else {
        char text[160];
        snprintf(text, sizeof text, "Joined room: %s", room);
        send_status(c, text);
    }
}

static void on_event(void *context, socketio_socket *socket, const socketio_event *event, uint64_t now)
{
    client *c = socketio_user(socket);
    const json_t *data = json_array_get(event->args.values, 0);
    (void)context;
    (void)now;
    c->uses++;
    if (strcmp(event->name, "video_frame") == 0)
        on_frame(c, &event->args);
    else if (strcmp(event->name, "control") == 0)
        on_control(c, data);
    else if (strcmp(event->name, "initialize") == 0)
        on_initialize(c, data);
    else if (strcmp(event->name, "join_room") == 0)
        on_join(c, data);
    if (event->wants_ack)
        socketio_acknowledge(socket, event->ack, NULL);
    client_leave(c);
}

/** The main namespace is open to all, as the original's is, and nothing happens there. */
static void on_main_connect(void *context, socketio_socket *socket, json_t *auth, uint64_t now)
{
    (void)context;
    (void)auth;
    (void)now;
    socketio_accept(socket);
}

mien_status realtime_create(server *server, const realtime_options *options, realtime **out, mien_error *error)
{
    realtime *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->server = server;
    made->options = *options;
    socketio_handlers handlers = {made, on_connect, on_event, on_disconnected};
    socketio_handlers main_handlers = {.connect = on_main_connect};
    mien_status status = socketio_glue_create(server, &made->glue, error);
    if (!status) {
        engineio_transport transport = socketio_glue_transport(made->glue);
        socketio_options sockets = {
            .engine = {.ping_interval = options->ping_interval,
                       .ping_timeout = options->ping_timeout,
                       .max_payload = REALTIME_MAX_PAYLOAD,
                       .max_queue = REALTIME_MAX_QUEUE,
                       .assume_polling = true, /* as the original does */
                       .max_peer_sessions = (size_t)server_service(server)->settings->max_connections_per_address}};
        status = socketio_create(&sockets, &transport, &made->sockets, error);
    }
    if (!status)
        status = socketio_serve(made->sockets, "/emotion-detection", &handlers, NULL, error);
    if (!status)
        status = socketio_serve(made->sockets, "/", &main_handlers, NULL, error);
    if (!status)
        status = socketio_glue_start(made->glue, socketio_engine(made->sockets), "/socket.io/", error);
    if (status)
        realtime_destroy(&made);
    else
        *out = made;
    return status;
}

void realtime_destroy(realtime **realtime)
{
    if (!realtime || !*realtime)
        return;
    socketio_destroy(&(*realtime)->sockets);
    socketio_glue_destroy(&(*realtime)->glue);
    memory_free(*realtime);
    *realtime = NULL;
}
