/* Requests to the Engine.IO path: the handshake, polls (GET) and pushes (POST). The checks come in the order of the
 * reference implementation and answer with its numbers: {"code":1,"message":"Session ID unknown"} and the like, status
 * 400. A second poll while one waits closes the session, because packets could otherwise arrive out of order. */
#include <string.h>

#include "proto/engineio_internal.h"

static const char engineio_text[] = "text/plain; charset=UTF-8";

/** Copy the value of `key` in a query string; false when it is not there. A value too long is cut, so it matches
 * nothing. */
static bool query_value(const char *query, const char *key, char *value, size_t capacity)
{
    size_t key_length = strlen(key);
    for (const char *at = query; at; at = strchr(at, '&') ? strchr(at, '&') + 1 : NULL) {
        if (strncmp(at, key, key_length) != 0 || at[key_length] != '=')
            continue;
        at += key_length + 1;
        size_t length = strcspn(at, "&");
        length = length < capacity ? length : capacity - 1;
        memcpy(value, at, length);
        value[length] = 0;
        return true;
    }
    return false;
}

engineio_query query_parse(const char *query)
{
    engineio_query q = {0};
    char flag[2];
    query_value(query, "EIO", q.version, sizeof q.version);
    query_value(query, "transport", q.transport, sizeof q.transport);
    q.has_id = query_value(query, "sid", q.id, sizeof q.id);
    q.base64 = query_value(query, "b64", flag, sizeof flag) && flag[0] && flag[0] != '0';
    return q;
}

engineio_session *query_session(const engineio_server *server, const engineio_query *query)
{
    return (engineio_session *)(void *)table_find(&server->sessions, query->id); /* its node comes first */
}

static void respond(engineio_server *server, int status, const char *type, engineio_response *response)
{
    *response = (engineio_response){
        .status = status, .content_type = type, .body = server->answer.data, .length = server->answer.length};
}

void respond_fault(engineio_server *server, enum engineio_fault fault, engineio_response *response)
{
    static const char *const messages[] = {"Transport unknown", "Session ID unknown", "Bad handshake method",
                                           "Bad request",       "Forbidden",          "Unsupported protocol version"};
    buffer_clear(&server->answer);
    buffer_append_format(&server->answer, "{\"code\":%d,\"message\":\"%s\"}", (int)fault, messages[fault]);
    respond(server, fault == ENGINEIO_FAULT_FORBIDDEN ? 403 : 400, "application/json", response);
}

static void respond_text(engineio_server *server, int status, const char *text, engineio_response *response)
{
    buffer_clear(&server->answer);
    buffer_append_text(&server->answer, text);
    respond(server, status, engineio_text, response);
}

void respond_payload(engineio_session *session, const char *last, engineio_response *response)
{
    buffer *out = &session->server->answer;
    buffer_clear(out);
    engineio_payload_write(&session->queue, out);
    if (last && out->length)
        buffer_append_byte(out, ENGINEIO_SEPARATOR);
    if (last)
        buffer_append_text(out, last);
    respond(session->server, 200, engineio_text, response);
}

static void http_handshake(engineio_server *server, const engineio_request *request, const engineio_query *q,
                           uint64_t now, engineio_response *response)
{
    if (strcmp(request->method, "GET") != 0) {
        respond_fault(server, ENGINEIO_FAULT_METHOD, response);
        return;
    }
    if (strcmp(q->transport, "websocket") == 0) { /* it must come as an upgrade */
        respond_fault(server, ENGINEIO_FAULT_REQUEST, response);
        return;
    }
    if (strcmp(q->version, "4") != 0) {
        respond_fault(server, ENGINEIO_FAULT_PROTOCOL, response);
        return;
    }
    engineio_session *session;
    if (session_create(server, request->peer, now, &session, NULL)) {
        respond_text(server, 503, "too many sessions", response);
        return;
    }
    session->base64 = q->base64;
    if (server->handlers.opened)
        server->handlers.opened(server->handlers.context, session, now);
    buffer_clear(&server->answer);
    session_handshake(session, true, &server->answer);
    respond(server, 200, engineio_text, response);
}

/** @return the session when the poll waits, else NULL with *response filled in. */
static engineio_session *http_poll(engineio_session *session, void *poll, uint64_t now, engineio_response *response)
{
    engineio_server *server = session->server;
    if (session->poll) {
        session_end(session, ENGINEIO_BAD_PACKET, "1", 1002);
        respond_fault(server, ENGINEIO_FAULT_REQUEST, response);
    } else if (session->draining) {
        respond_payload(session, session->farewell, response);
        session_end(session, ENGINEIO_CLOSED_BY_SERVER, NULL, 1000);
    } else if (session->queue.first) {
        respond_payload(session, NULL, response);
    } else {
        session->poll = poll;
        session->poll_late = session->probe;
        if (session->probe && session->probe->probed)
            timer_start(&server->noops, &session->noop, now); /* polling must come to rest before the upgrade */
        return session;
    }
    return NULL;
}

static void http_push(engineio_session *session, const engineio_request *request, uint64_t now,
                      engineio_response *response)
{
    engineio_server *server = session->server;
    if (request->length > server->options.max_payload) {
        respond_text(server, 413, "payload too large", response);
        return;
    }
    const uint8_t *part;
    size_t offset = 0, length;
    bool good = true;
    while (good && !session->dead && engineio_payload_next(request->body, request->length, &offset, &part, &length)) {
        engineio_packet packet;
        if (engineio_packet_parse(part, length, &server->scratch, &packet, NULL)) {
            session_end(session, ENGINEIO_BAD_PACKET, "1", 1002);
            good = false;
        } else {
            good = packet.type != '0' && packet.type != '2';
            session_receive(session, &packet, now);
        }
    }
    if (good)
        respond_text(server, 200, "ok", response);
    else
        respond_fault(server, ENGINEIO_FAULT_REQUEST, response);
}

static engineio_session *http_route(engineio_server *server, const engineio_request *request, uint64_t now,
                                    engineio_response *response)
{
    engineio_query q = query_parse(request->query);
    bool polling = strcmp(q.transport, "polling") == 0 || (!*q.transport && server->options.assume_polling);
    if (!polling && strcmp(q.transport, "websocket") != 0) {
        respond_fault(server, ENGINEIO_FAULT_TRANSPORT, response);
        return NULL;
    }
    if (!q.has_id) {
        http_handshake(server, request, &q, now, response);
        return NULL;
    }
    engineio_session *session = query_session(server, &q);
    if (!session)
        respond_fault(server, ENGINEIO_FAULT_SESSION, response);
    else if (!polling || session->ws)
        respond_fault(server, ENGINEIO_FAULT_REQUEST, response);
    else if (strcmp(request->method, "GET") == 0)
        return http_poll(session, request->poll, now, response);
    else if (strcmp(request->method, "POST") == 0)
        http_push(session, request, now, response);
    else
        respond_fault(server, ENGINEIO_FAULT_REQUEST, response);
    return NULL;
}

void engineio_http(engineio_server *server, const engineio_request *request, uint64_t now, engineio_session **waiting,
                   engineio_response *response)
{
    engineio_tick(server, now); /* a timer that is due counts as fired, however busy the event loop is */
    engineio_cork(server);
    *waiting = http_route(server, request, now, response);
    /* Flushing other sessions' polls writes their answers; ours must outlive that. */
    buffer own = {0};
    if (!*waiting && server->flush) {
        own = server->answer;
        server->answer = (buffer){0};
    }
    engineio_uncork(server);
    if (own.data) {
        buffer_done(&server->answer);
        server->answer = own;
    }
}

void engineio_poll_lost(engineio_session *session)
{
    session->poll = NULL;
    session_end(session, ENGINEIO_TRANSPORT_LOST, NULL, 1000);
}
