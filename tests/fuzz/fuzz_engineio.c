/* Guards the Engine.IO server against any order of requests, frames, lost connections and time. The input is a script:
 * one byte for what happens, one for the length of its text, then the text. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/engineio.h"

enum { SOCKETS = 4 };

typedef struct world {
    engineio_server *server;
    engineio_session *waiting[SOCKETS]; /* polls under way; answered ones are cleared by the callback */
    engineio_ws *ws[SOCKETS];
    char sid[SOCKETS][24];
    unsigned opened;
    uint64_t now;
} world;

static void on_poll_answer(void *context, void *poll, const engineio_response *response)
{
    world *w = context;
    engineio_session **slot = poll;
    if (response->length && !response->body)
        abort();
    if (slot < w->waiting || slot >= w->waiting + SOCKETS)
        abort();
    *slot = NULL;
}

static void on_wake(void *context, void *connection)
{
    (void)context, (void)connection;
}

static void on_opened(void *context, engineio_session *session, uint64_t now)
{
    world *w = context;
    (void)now;
    snprintf(w->sid[w->opened++ % SOCKETS], sizeof *w->sid, "%s", engineio_session_id(session));
}

static void on_message(void *context, engineio_session *session, const uint8_t *bytes, size_t length, bool binary,
                       uint64_t now)
{
    (void)context, (void)now;
    engineio_send(session, bytes, length, binary);
    if (length == 1)
        engineio_close(session);
}

static void run_http(world *w, unsigned which, const char *method, const char *transport, const uint8_t *text,
                     size_t length)
{
    char query[64];
    snprintf(query, sizeof query, "EIO=4&transport=%s&sid=%s", transport, w->sid[which]);
    engineio_request request = {.method = method, .query = query, .body = text, .length = length};
    engineio_session *session;
    engineio_response response;
    if (w->waiting[which])
        which = (which + 1) % SOCKETS;
    if (w->waiting[which])
        return;
    request.poll = &w->waiting[which];
    engineio_http(w->server, &request, w->now, &session, &response);
    w->waiting[which] = session;
}

static void run_ws(world *w, unsigned which, bool fresh)
{
    char query[64] = "EIO=4&transport=websocket";
    engineio_response refusal;
    if (w->ws[which])
        return;
    if (!fresh)
        snprintf(query, sizeof query, "EIO=4&transport=websocket&sid=%s", w->sid[which]);
    if (engineio_ws_check(w->server, query, w->now, &refusal) &&
        engineio_ws_open(w->server, query, "peer", w, w->now, &w->ws[which], NULL))
        w->ws[which] = NULL;
}

static void run_step(world *w, uint8_t action, const uint8_t *text, size_t length)
{
    unsigned which = action >> 4 & 3;
    engineio_frame frame;
    char query[260];
    switch (action & 15) {
    case 0:
        snprintf(query, sizeof query, "%.*s", (int)length, (const char *)text);
        engineio_session *session;
        engineio_response response;
        engineio_http(w->server, &(engineio_request){.method = "GET", .query = query}, w->now, &session, &response);
        break;
    case 1:
        run_http(w, which, "GET", "polling", text, 0);
        break;
    case 2:
        run_http(w, which, "POST", "polling", text, length);
        break;
    case 3:
        run_ws(w, which, true);
        break;
    case 4:
        run_ws(w, which, false);
        break;
    case 5:
    case 6:
    case 7:
        if (w->ws[which])
            engineio_ws_receive(w->ws[which], text, length, (action & 15) == 6, (action & 15) != 7, w->now);
        break;
    case 8:
        while (w->ws[which] && engineio_ws_next(w->ws[which], &frame) == ENGINEIO_WS_SEND) {
            memset(frame.bytes - ENGINEIO_HEADROOM, 0, ENGINEIO_HEADROOM);
            engineio_ws_sent(w->ws[which]);
        }
        break;
    case 9:
        engineio_ws_closed(w->ws[which]);
        w->ws[which] = NULL;
        break;
    case 10:
        if (w->waiting[which])
            engineio_poll_lost(w->waiting[which]);
        w->waiting[which] = NULL;
        break;
    case 11:
        w->now += length * 4;
        engineio_tick(w->server, w->now);
        break;
    default:
        run_http(w, which, "GET", "polling", text, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    world w = {0};
    engineio_options options = {
        .ping_interval = 300, .ping_timeout = 200, .max_payload = 200, .max_queue = 2000, .max_sessions = 6};
    engineio_transport transport = {&w, on_poll_answer, on_wake};
    engineio_handlers handlers = {.context = &w, .opened = on_opened, .message = on_message};
    if (engineio_create(&options, &transport, &handlers, &w.server, NULL))
        return 0;
    run_step(&w, 0, (const uint8_t *)"EIO=4&transport=polling", 23);
    while (size >= 2) {
        size_t length = data[1] < size - 2 ? data[1] : size - 2;
        run_step(&w, data[0], data + 2, length);
        data += 2 + length;
        size -= 2 + length;
    }
    engineio_close_all(w.server);
    for (int i = 0; i < SOCKETS; i++)
        engineio_ws_closed(w.ws[i]);
    engineio_destroy(&w.server);
    return 0;
}
