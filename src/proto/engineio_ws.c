/* WebSockets of Engine.IO: a session's transport from the start, or a probe that takes a polling session over. The
 * probe says "2probe", is answered "3probe", waits until its polling has come to rest (a waiting poll is let go with a
 * noop) and says "5"; from then on the queue of the session is the queue of the WebSocket. Messages may arrive in
 * pieces. */
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "proto/engineio_internal.h"

enum { WS_NORMAL = 1000, WS_PROTOCOL_ERROR = 1002, WS_TOO_BIG = 1009, WS_INTERNAL = 1011 };

void ws_wake(engineio_ws *ws)
{
    ws->server->transport.ws_wake(ws->server->transport.context, ws->connection);
}

void ws_finish(engineio_ws *ws, uint16_t code)
{
    if (ws->closing)
        return;
    ws->closing = true;
    ws->code = code;
    timer_stop(&ws->upgrade);
    if (ws->session && ws->session->probe == ws)
        ws->session->probe = NULL;
    ws->session = NULL;
    ws_wake(ws);
}

/** End a connection that does not keep to the protocol, and the session when it was the session's. */
static void ws_fail(engineio_ws *ws, engineio_reason reason, uint16_t code)
{
    if (ws->session && ws->session->ws == ws)
        session_end(ws->session, reason, NULL, code);
    else
        ws_finish(ws, code);
}

bool engineio_ws_check(engineio_server *server, const char *query, uint64_t now, engineio_response *refusal)
{
    engineio_tick(server, now);
    engineio_query q = query_parse(query);
    if (strcmp(q.transport, "websocket") != 0) {
        bool known = strcmp(q.transport, "polling") == 0;
        respond_fault(server, known ? ENGINEIO_FAULT_REQUEST : ENGINEIO_FAULT_TRANSPORT, refusal);
        return false;
    }
    if (q.has_id && !query_session(server, &q)) {
        respond_fault(server, ENGINEIO_FAULT_SESSION, refusal);
        return false;
    }
    if (!q.has_id && strcmp(q.version, "4") != 0) {
        respond_fault(server, ENGINEIO_FAULT_PROTOCOL, refusal);
        return false;
    }
    return true;
}

/** Without a session id: the session lives on this WebSocket from its first byte. */
static mien_status ws_handshake(engineio_ws *ws, const engineio_query *q, const char *peer, uint64_t now,
                                mien_error *error)
{
    engineio_server *server = ws->server;
    buffer open = {0};
    engineio_session *session;
    mien_status status = session_create(server, peer, now, &session, error);
    if (status)
        return status;
    session->base64 = q->base64;
    session->ws = ws;
    ws->session = session;
    session_handshake(session, false, &open);
    status = buffer_status(&open, error);
    if (!status)
        status = packet_queue_push(&ws->queue, SIZE_MAX, (char)open.data[0], open.data + 1, open.length - 1, false);
    buffer_done(&open);
    if (status) {
        session->draining = true; /* the application never heard of it */
        session->ws = NULL;
        session_end(session, ENGINEIO_TOO_SLOW, NULL, WS_INTERNAL);
        ws->session = NULL;
        return error_set(error, status, "Engine.IO: the handshake could not be queued");
    }
    if (server->handlers.opened)
        server->handlers.opened(server->handlers.context, session, now);
    return MIEN_OK;
}

static void ws_probe(engineio_ws *ws, engineio_session *session, uint64_t now)
{
    if (!session || session->ws || session->probe || session->draining) {
        ws_finish(ws, WS_NORMAL); /* gone meanwhile, or upgraded: that session goes on undisturbed */
        return;
    }
    session->probe = ws;
    ws->session = session;
    timer_start(&ws->server->upgrades, &ws->upgrade, now);
}

mien_status engineio_ws_open(engineio_server *server, const char *query, const char *peer, void *connection,
                             uint64_t now, engineio_ws **ws, mien_error *error)
{
    engineio_tick(server, now);
    engineio_ws *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->server = server;
    made->connection = connection;
    buffer_init(&made->incoming, server->options.max_payload);

    engineio_query q = query_parse(query);
    mien_status status = MIEN_OK;
    engineio_cork(server);
    if (q.has_id)
        ws_probe(made, query_session(server, &q), now);
    else
        status = ws_handshake(made, &q, peer, now, error);
    engineio_uncork(server);
    if (status) {
        engineio_ws_closed(made);
        return status;
    }
    *ws = made;
    ws_wake(made);
    return MIEN_OK;
}

static void probe_upgrade(engineio_ws *ws)
{
    engineio_session *session = ws->session;
    engineio_server *server = ws->server;
    timer_stop(&ws->upgrade);
    timer_stop(&session->noop);
    session->probe = NULL;
    session->ws = ws;
    packet_queue_move(&ws->queue, &session->queue);
    if (session->poll) {
        engineio_response answer;
        if (session->poll_late)
            respond_fault(server, ENGINEIO_FAULT_REQUEST, &answer);
        else
            respond_payload(session, "6", &answer);
        void *poll = session->poll;
        session->poll = NULL;
        server->transport.poll_answer(server->transport.context, poll, &answer);
    }
    ws_wake(ws);
}

static void probe_receive(engineio_ws *ws, const engineio_packet *p, uint64_t now)
{
    engineio_session *session = ws->session;
    if (p->type == '2' && p->length == 5 && memcmp(p->bytes, "probe", 5) == 0) {
        if (packet_queue_push(&ws->queue, ws->server->options.max_queue, '3', "probe", 5, false)) {
            ws_finish(ws, WS_INTERNAL);
            return;
        }
        ws->probed = true;
        ws_wake(ws);
        if (session->poll)
            timer_start(&ws->server->noops, &session->noop, now);
    } else if (p->type == '5' && ws->probed) {
        probe_upgrade(ws);
    } else {
        ws_finish(ws, WS_PROTOCOL_ERROR);
    }
}

static void ws_message(engineio_ws *ws, const uint8_t *bytes, size_t length, bool binary, uint64_t now)
{
    engineio_session *session = ws->session;
    engineio_packet p = {.type = 'b', .bytes = bytes, .length = length};
    if (!binary && engineio_packet_parse(bytes, length, &ws->server->scratch, &p, NULL))
        ws_fail(ws, ENGINEIO_BAD_PACKET, WS_PROTOCOL_ERROR);
    else if (session->ws == ws)
        session_receive(session, &p, now);
    else
        probe_receive(ws, &p, now);
}

static void ws_piece(engineio_ws *ws, const uint8_t *bytes, size_t length, bool binary, bool final, uint64_t now)
{
    buffer *incoming = &ws->incoming;
    if (length > incoming->limit - incoming->length) {
        ws_fail(ws, ENGINEIO_BAD_PACKET, WS_TOO_BIG);
        return;
    }
    if (final && !incoming->length) {
        ws_message(ws, bytes, length, binary, now);
        return;
    }
    if (buffer_append(incoming, bytes, length)) {
        ws_fail(ws, ENGINEIO_TOO_SLOW, WS_INTERNAL);
        return;
    }
    if (!final)
        return;
    ws_message(ws, incoming->data, incoming->length, binary, now);
    if (incoming->capacity > (size_t)64 << 10) {
        size_t limit = incoming->limit; /* an idle connection does not keep a large message's memory */
        buffer_done(incoming);
        buffer_init(incoming, limit);
    }
    buffer_clear(incoming);
}

void engineio_ws_receive(engineio_ws *ws, const uint8_t *bytes, size_t length, bool binary, bool final, uint64_t now)
{
    engineio_tick(ws->server, now);
    if (ws->closing || !ws->session)
        return;
    engineio_cork(ws->server);
    ws_piece(ws, bytes, length, binary, final, now);
    engineio_uncork(ws->server);
}

engineio_ws_action engineio_ws_next(engineio_ws *ws, engineio_frame *frame)
{
    packet *p = ws->queue.first;
    if (p) {
        *frame = (engineio_frame){.bytes = packet_bytes(p), .length = p->length, .binary = p->binary};
        return ENGINEIO_WS_SEND;
    }
    *frame = (engineio_frame){.code = ws->code};
    return ws->closing ? ENGINEIO_WS_CLOSE : ENGINEIO_WS_IDLE;
}

void engineio_ws_sent(engineio_ws *ws)
{
    if (ws->queue.first)
        packet_queue_pop(&ws->queue);
}

void engineio_ws_closed(engineio_ws *ws)
{
    if (!ws)
        return;
    timer_stop(&ws->upgrade);
    engineio_session *session = ws->session;
    if (session && session->probe == ws)
        session->probe = NULL;
    if (session && session->ws == ws) {
        session->ws = NULL;
        session_end(session, ENGINEIO_TRANSPORT_LOST, NULL, WS_NORMAL);
    }
    packet_queue_done(&ws->queue);
    buffer_done(&ws->incoming);
    memory_free(ws);
}
