/* Requests to a mount become calls of engineio_http(), WebSocket messages calls of engineio_ws_receive(), and one timer
 * follows engineio_deadline(). Output of the state machines is passed on at once where that cannot lead back into them
 * (WebSocket frames are only queued by channel_send), and else when they have returned: an answered poll may let the
 * connection read its next request immediately, so answers are collected and sent from flush(). */
#include "server/socketio_glue.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/memory.h"
#include "server/channel.h"

#include <string.h>

enum { GLUE_PUMP_BYTES = 256 << 10 }; /* handed to the socket; the rest waits where its limit is watched */

/* A poll that waits for its answer, and then for being sent. */
typedef struct waiting_poll {
    socketio_glue *glue;
    exchange *exchange;
    engineio_session *session; /* NULL once it is answered */
    struct waiting_poll *next; /* among the answered */
} waiting_poll;

typedef struct ws_link {
    socketio_glue *glue;
    channel *channel;
    engineio_ws *ws;
} ws_link;

struct socketio_glue {
    server *server;
    engineio_server *engine;
    server_timer *timer, *flush_timer;
    uint64_t timer_at;
    unsigned depth; /* our own calls into the engine that are under way */
    waiting_poll *first, *last;
    channel_handlers handlers;
};

static uint64_t now_ms(void)
{
    return clock_monotonic_ns() / 1000000;
}

static void copy_response(http_response *to, const engineio_response *from)
{
    to->status = from->status;
    to->content_type = from->content_type;
    buffer_clear(&to->body);
    buffer_append(&to->body, from->body, from->length);
}

static void flush(socketio_glue *glue)
{
    for (waiting_poll *p; (p = glue->first);) {
        exchange *e = p->exchange;
        glue->first = p->next;
        if (!glue->first)
            glue->last = NULL;
        e->gone = NULL;
        e->mount_state = NULL;
        memory_free(p);
        exchange_answer(e);
    }
}

static void reschedule(socketio_glue *glue)
{
    uint64_t at = engineio_deadline(glue->engine), now = now_ms();
    if (at == glue->timer_at)
        return;
    glue->timer_at = at;
    server_timer_set(glue->timer, at == UINT64_MAX ? at : at > now ? at - now : 0);
}

static void enter(socketio_glue *glue)
{
    glue->depth++;
}

/** The engine has returned: send what it answered, and see when it wants to be called next. */
static void leave(socketio_glue *glue)
{
    if (--glue->depth)
        return;
    flush(glue);
    reschedule(glue);
}

static void on_timer(void *context)
{
    socketio_glue *glue = context;
    glue->timer_at = 0;
    enter(glue);
    engineio_tick(glue->engine, now_ms());
    leave(glue);
}

static void on_flush_timer(void *context)
{
    flush(context);
}

static void poll_answer(void *context, void *handle, const engineio_response *response)
{
    socketio_glue *glue = context;
    waiting_poll *p = handle;
    copy_response(&p->exchange->response, response);
    p->session = NULL;
    p->next = NULL;
    *(glue->last ? &glue->last->next : &glue->first) = p;
    glue->last = p;
    if (!glue->depth) /* a message from outside, for example from a finished job */
        server_timer_set(glue->flush_timer, 0);
}

static void poll_unlink(socketio_glue *glue, waiting_poll *p)
{
    waiting_poll *before = NULL, *at = glue->first;
    while (at && at != p) {
        before = at;
        at = at->next;
    }
    if (!at)
        return;
    *(before ? &before->next : &glue->first) = p->next;
    if (glue->last == p)
        glue->last = before;
}

/** The client left while its poll was waiting. */
static void poll_gone(exchange *e)
{
    waiting_poll *p = e->mount_state;
    socketio_glue *glue = p->glue;
    engineio_session *session = p->session;
    e->mount_state = NULL;
    poll_unlink(glue, p);
    memory_free(p);
    if (!session)
        return;
    enter(glue);
    engineio_poll_lost(session);
    leave(glue);
}

static void run_request(socketio_glue *glue, exchange *e)
{
    waiting_poll *p = memory_zeroed(1, sizeof *p);
    if (!p) {
        exchange_refuse(e, 503);
        return;
    }
    *p = (waiting_poll){.glue = glue, .exchange = e};
    engineio_request request = {.method = http_method_name(e->request.method),
                                .query = e->request.query,
                                .peer = e->request.peer,
                                .body = e->request.body,
                                .length = e->request.body_length,
                                .poll = p};
    engineio_response response;
    enter(glue);
    engineio_http(glue->engine, &request, now_ms(), &p->session, &response);
    if (p->session) {
        e->mount_state = p;
        e->gone = poll_gone;
        leave(glue);
        return;
    }
    copy_response(&e->response, &response);
    memory_free(p);
    leave(glue);
    exchange_answer(e);
}

static void on_request(void *context, exchange *e)
{
    socketio_glue *glue = context;
    service *service = server_service(glue->server);
    if (cors_preflight(service->settings, &e->request, HTTP_GET | HTTP_POST, &e->response))
        exchange_answer(e);
    else
        run_request(glue, e);
}

/** Hand frames to the connection until it has enough to do. */
static void pump(ws_link *l)
{
    engineio_frame frame;
    while (l->ws && channel_queued(l->channel) < GLUE_PUMP_BYTES) {
        switch (engineio_ws_next(l->ws, &frame)) {
        case ENGINEIO_WS_SEND:
            channel_send(l->channel, frame.binary, frame.bytes, frame.length);
            engineio_ws_sent(l->ws);
            break;
        case ENGINEIO_WS_CLOSE:
            channel_close(l->channel, frame.code, "");
            return;
        case ENGINEIO_WS_IDLE:
            return;
        }
    }
}

static void ws_wake(void *context, void *connection)
{
    (void)context;
    pump(connection);
}

static int on_check(void *context, const http_request *request)
{
    socketio_glue *glue = context;
    engineio_response refusal;
    enter(glue);
    bool good = engineio_ws_check(glue->engine, request->query, now_ms(), &refusal);
    int status = good ? 0 : refusal.status;
    leave(glue);
    return status;
}

static void *on_opened(void *context, channel *channel, const http_request *request)
{
    socketio_glue *glue = context;
    ws_link *l = memory_zeroed(1, sizeof *l);
    if (!l)
        return NULL;
    *l = (ws_link){.glue = glue, .channel = channel};
    enter(glue);
    mien_status status = engineio_ws_open(glue->engine, request->query, request->peer, l, now_ms(), &l->ws, NULL);
    leave(glue);
    if (status) {
        memory_free(l);
        return NULL;
    }
    pump(l);
    return l;
}

static void on_message(void *state, bool binary, const uint8_t *bytes, size_t length)
{
    ws_link *l = state;
    enter(l->glue);
    engineio_ws_receive(l->ws, bytes, length, binary, true, now_ms());
    leave(l->glue);
}

static void on_writable(void *state)
{
    pump(state);
}

static void on_closed(void *state)
{
    ws_link *l = state;
    socketio_glue *glue = l->glue;
    engineio_ws *ws = l->ws;
    l->ws = NULL;
    enter(glue);
    engineio_ws_closed(ws);
    leave(glue);
    memory_free(l);
}

/** The server is about to stop: polls must not keep it waiting until their next ping. */
static void on_stopping(void *context)
{
    socketio_glue *glue = context;
    enter(glue);
    engineio_close_all(glue->engine);
    leave(glue);
}

mien_status socketio_glue_create(server *server, socketio_glue **glue, mien_error *error)
{
    socketio_glue *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->server = server;
    made->timer_at = UINT64_MAX;
    mien_status status = server_timer_create(server, on_timer, made, &made->timer);
    if (!status)
        status = server_timer_create(server, on_flush_timer, made, &made->flush_timer);
    if (status) {
        memory_free(made);
        return error_set(error, status, "no timer for Socket.IO");
    }
    *glue = made;
    return MIEN_OK;
}

engineio_transport socketio_glue_transport(socketio_glue *glue)
{
    return (engineio_transport){.context = glue, .poll_answer = poll_answer, .ws_wake = ws_wake};
}

mien_status socketio_glue_start(socketio_glue *glue, engineio_server *engine, const char *path, mien_error *error)
{
    glue->engine = engine;
    glue->handlers = (channel_handlers){.max_message = engineio_max_payload(engine),
                                        .check = on_check,
                                        .opened = on_opened,
                                        .message = on_message,
                                        .writable = on_writable,
                                        .closed = on_closed};
    server_mount mount = {
        .path = path, .context = glue, .request = on_request, .stopping = on_stopping, .channel = &glue->handlers};
    mien_status status = server_add_mount(glue->server, &mount);
    return status ? error_set(error, status, "no room for %s", path) : MIEN_OK;
}

void socketio_glue_kick(socketio_glue *glue)
{
    enter(glue);
    leave(glue);
}

void socketio_glue_destroy(socketio_glue **glue)
{
    if (!glue || !*glue)
        return;
    memory_free(*glue);
    *glue = NULL;
}
