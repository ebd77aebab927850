/* Sessions of Engine.IO: their birth, heartbeat and end. The server sends a ping every ping_interval and closes the
 * session when no pong follows within ping_timeout; both waits have one length, so two timer queues hold all sessions.
 * A callback may close the very session that is being worked on, hence sessions die in two steps: session_end() takes
 * them out of the table, and the memory goes when the outermost call returns (engineio_uncork). */
#include "proto/engineio.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/random.h"
#include "proto/engineio_internal.h"

#define ENGINEIO_OWNER(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static engineio_options options_complete(const engineio_options *given)
{
    engineio_options o = given ? *given : (engineio_options){0};
    o.ping_interval = o.ping_interval ? o.ping_interval : 25000;
    o.ping_timeout = o.ping_timeout ? o.ping_timeout : 20000;
    o.upgrade_timeout = o.upgrade_timeout ? o.upgrade_timeout : 10000;
    o.max_payload = o.max_payload ? o.max_payload : 1000000;
    o.max_queue = o.max_queue ? o.max_queue : (size_t)8 << 20;
    o.max_sessions = o.max_sessions ? o.max_sessions : 10000;
    o.max_peer_sessions = o.max_peer_sessions ? o.max_peer_sessions : o.max_sessions;
    return o;
}

mien_status engineio_create(const engineio_options *options, const engineio_transport *transport,
                            const engineio_handlers *handlers, engineio_server **server, mien_error *error)
{
    if (!transport || !transport->poll_answer || !transport->ws_wake)
        return error_set(error, MIEN_EINVAL, "Engine.IO: a transport is needed");
    uint64_t seed;
    mien_status status = random_secret(&seed, sizeof seed, error);
    if (status)
        return status;
    engineio_server *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->options = options_complete(options);
    made->transport = *transport;
    made->handlers = handlers ? *handlers : (engineio_handlers){0};
    made->sessions.seed = made->peers.seed = seed;
    made->pings.delay = made->options.ping_interval;
    made->pongs.delay = made->options.ping_timeout;
    made->upgrades.delay = made->options.upgrade_timeout;
    made->farewells.delay = ENGINEIO_FAREWELL;
    made->noops.delay = ENGINEIO_NOOP;
    *server = made;
    return MIEN_OK;
}

void engineio_close_all(engineio_server *server)
{
    engineio_cork(server);
    for (table_node *node; (node = table_any(&server->sessions));) {
        engineio_session *session = ENGINEIO_OWNER(node, engineio_session, node);
        session_end(session, ENGINEIO_CLOSED_BY_SERVER, "1", 1001);
    }
    engineio_uncork(server);
}

void engineio_destroy(engineio_server **server)
{
    if (!server || !*server)
        return;
    engineio_close_all(*server);
    table_done(&(*server)->sessions);
    table_done(&(*server)->peers);
    buffer_done(&(*server)->answer);
    buffer_done(&(*server)->scratch);
    memory_free(*server);
    *server = NULL;
}

size_t engineio_session_count(const engineio_server *server)
{
    return server->sessions.count;
}

size_t engineio_max_payload(const engineio_server *server)
{
    return server->options.max_payload;
}

static mien_status session_name(engineio_session *session, mien_error *error)
{
    uint8_t secret[ENGINEIO_ID_BYTES];
    mien_status status = random_secret(secret, sizeof secret, error);
    if (status)
        return status;
    buffer text;
    buffer_init(&text, ENGINEIO_ID_TEXT);
    base64_encode_url(secret, sizeof secret, &text);
    status = buffer_status(&text, error);
    if (!status)
        snprintf(session->id, sizeof session->id, "%s", buffer_text(&text));
    buffer_done(&text);
    return status;
}

/** Count one more session of that address. */
static mien_status peer_take(engineio_server *server, const char *name, engineio_peer **peer, mien_error *error)
{
    char text[ENGINEIO_PEER_BYTES];
    snprintf(text, sizeof text, "%s", name ? name : "");
    engineio_peer *known = (engineio_peer *)(void *)table_find(&server->peers, text); /* its node comes first */
    if (known && known->sessions >= server->options.max_peer_sessions)
        return error_set(error, MIEN_ELIMIT, "Engine.IO: one address has %zu sessions", known->sessions);
    if (!known) {
        known = memory_zeroed(1, sizeof *known);
        if (!known)
            return error_no_memory(error, sizeof *known);
        memcpy(known->name, text, sizeof text);
        if (table_put(&server->peers, &known->node, known->name)) {
            memory_free(known);
            return error_no_memory(error, sizeof *known);
        }
    }
    known->sessions++;
    *peer = known;
    return MIEN_OK;
}

static void peer_give(engineio_server *server, engineio_peer *peer)
{
    if (--peer->sessions)
        return;
    table_remove(&server->peers, &peer->node);
    memory_free(peer);
}

mien_status session_create(engineio_server *server, const char *peer, uint64_t now, engineio_session **session,
                           mien_error *error)
{
    if (server->sessions.count >= server->options.max_sessions)
        return error_set(error, MIEN_ELIMIT, "Engine.IO: %zu sessions are open", server->sessions.count);
    engineio_session *made = memory_zeroed(1, sizeof *made);
    if (!made)
        return error_no_memory(error, sizeof *made);
    made->server = server;
    mien_status status = peer_take(server, peer, &made->peer, error);
    if (!status)
        status = session_name(made, error);
    if (!status && table_put(&server->sessions, &made->node, made->id))
        status = error_no_memory(error, sizeof(table_node *));
    if (status) {
        if (made->peer)
            peer_give(server, made->peer);
        memory_free(made);
        return status;
    }
    timer_start(&server->pings, &made->heartbeat, now);
    *session = made;
    return MIEN_OK;
}

void session_handshake(const engineio_session *session, bool polling, buffer *out)
{
    const engineio_options *o = &session->server->options;
    buffer_append_format(
        out, "0{\"sid\":\"%s\",\"upgrades\":[%s],\"pingInterval\":%u,\"pingTimeout\":%u,\"maxPayload\":%zu}",
        session->id, polling ? "\"websocket\"" : "", (unsigned)o->ping_interval, (unsigned)o->ping_timeout,
        o->max_payload);
}

static void session_announce_end(engineio_session *session, engineio_reason reason)
{
    if (!session->draining && session->server->handlers.closed)
        session->server->handlers.closed(session->server->handlers.context, session, reason);
}

void session_end(engineio_session *session, engineio_reason reason, const char *farewell, uint16_t code)
{
    engineio_server *server = session->server;
    if (session->dead)
        return;
    engineio_cork(server);
    session->dead = true;
    table_remove(&server->sessions, &session->node);
    timer_stop(&session->heartbeat);
    timer_stop(&session->noop);
    if (session->poll) {
        engineio_response response;
        respond_payload(session, farewell, &response);
        void *poll = session->poll;
        session->poll = NULL;
        server->transport.poll_answer(server->transport.context, poll, &response);
    }
    if (session->ws)
        ws_finish(session->ws, code);
    if (session->probe)
        ws_finish(session->probe, code);
    session->ws = session->probe = NULL;
    session_announce_end(session, reason);
    packet_queue_done(&session->queue);
    session->next_dead = server->dead;
    server->dead = session;
    engineio_uncork(server);
}

static void session_drain(engineio_session *session, const char *farewell)
{
    session->draining = true;
    session->farewell = farewell;
    if (session->probe)
        ws_finish(session->probe, 1000);
}

void engineio_close(engineio_session *session)
{
    if (session->dead || session->draining)
        return;
    if (session->ws || session->poll || !session->queue.first) {
        session_end(session, ENGINEIO_CLOSED_BY_SERVER, "1", 1000);
        return;
    }
    /* Polling, with no poll waiting and something yet to say: the next poll, or the heartbeat, brings the end. */
    session_announce_end(session, ENGINEIO_CLOSED_BY_SERVER);
    session_drain(session, "1");
}

/** The client's close packet. Its last poll may still be on another connection on its way here. */
static void session_close_by_client(engineio_session *session, uint64_t now)
{
    if (session->ws || session->poll) {
        session_end(session, ENGINEIO_CLOSED_BY_CLIENT, "6", 1000);
        return;
    }
    session_announce_end(session, ENGINEIO_CLOSED_BY_CLIENT);
    session_drain(session, "6");
    packet_queue_done(&session->queue);
    timer_start(&session->server->farewells, &session->heartbeat, now);
}

void session_receive(engineio_session *session, const engineio_packet *p, uint64_t now)
{
    engineio_server *server = session->server;
    switch (p->type) {
    case '1':
        session_close_by_client(session, now);
        break;
    case '3':
        if (session->heartbeat.queue != &server->farewells)
            timer_start(&server->pings, &session->heartbeat, now);
        break;
    case '4':
    case 'b':
        if (!session->draining && server->handlers.message)
            server->handlers.message(server->handlers.context, session, p->bytes, p->length, p->type == 'b', now);
        break;
    case '5':
    case '6':
        break; /* an upgrade is a probe's word, and a noop says nothing */
    default:
        session_end(session, ENGINEIO_BAD_PACKET, "1", 1002); /* "open" and "ping" are the server's to send */
    }
}

void session_flush(engineio_session *session)
{
    if (session->dead || !session->poll || !session->queue.first)
        return;
    engineio_server *server = session->server;
    engineio_response response;
    respond_payload(session, NULL, &response);
    void *poll = session->poll;
    session->poll = NULL;
    server->transport.poll_answer(server->transport.context, poll, &response);
}

static mien_status session_queue(engineio_session *session, char type, const void *bytes, size_t length, bool binary)
{
    engineio_server *server = session->server;
    if (session->ws && binary && session->base64) { /* a client without binary frames takes payload form here too */
        buffer text;
        buffer_init(&text, 0);
        base64_encode(bytes, length, &text);
        mien_status status = text.failed;
        if (!status)
            status =
                packet_queue_push(&session->ws->queue, server->options.max_queue, 'b', text.data, text.length, false);
        buffer_done(&text);
        return status;
    }
    packet_queue *queue = session->ws ? &session->ws->queue : &session->queue;
    return packet_queue_push(queue, server->options.max_queue, type, bytes, length, binary);
}

static mien_status session_send(engineio_session *session, char type, const void *bytes, size_t length, bool binary)
{
    engineio_server *server = session->server;
    mien_status status = session_queue(session, type, bytes, length, binary);
    if (status) {
        session_end(session, ENGINEIO_TOO_SLOW, "1", 1008);
        return status;
    }
    if (session->ws) {
        ws_wake(session->ws);
    } else if (!server->corked) {
        session_flush(session);
    } else if (!session->flushing) {
        session->flushing = true;
        session->next_flush = server->flush;
        server->flush = session;
    }
    return MIEN_OK;
}

mien_status engineio_send(engineio_session *session, const void *bytes, size_t length, bool binary)
{
    if (session->dead || session->draining)
        return MIEN_ECANCELLED;
    return session_send(session, '4', bytes, length, binary);
}

void engineio_cork(engineio_server *server)
{
    server->corked++;
}

void engineio_uncork(engineio_server *server)
{
    if (server->corked > 1) {
        server->corked--;
        return;
    }
    for (engineio_session *session; (session = server->flush);) {
        server->flush = session->next_flush;
        session->flushing = false;
        session_flush(session);
    }
    server->corked = 0;
    for (engineio_session *session; (session = server->dead);) {
        server->dead = session->next_dead;
        peer_give(server, session->peer);
        memory_free(session);
    }
}

static void tick_heartbeats(engineio_server *server, uint64_t now)
{
    for (timer_node *node; (node = timer_expired(&server->pongs, now));)
        session_end(ENGINEIO_OWNER(node, engineio_session, heartbeat), ENGINEIO_PING_TIMEOUT, "1", 1000);
    for (timer_node *node; (node = timer_expired(&server->pings, now));) {
        engineio_session *session = ENGINEIO_OWNER(node, engineio_session, heartbeat);
        uint64_t due = node->deadline;
        if (!session_send(session, '2', NULL, 0, false))
            timer_start(&server->pongs, node, due);
    }
    /* A call that comes late must not grant a silent client more time. */
    for (timer_node *node; (node = timer_expired(&server->pongs, now));)
        session_end(ENGINEIO_OWNER(node, engineio_session, heartbeat), ENGINEIO_PING_TIMEOUT, "1", 1000);
}

static void tick_others(engineio_server *server, uint64_t now)
{
    for (timer_node *node; (node = timer_expired(&server->upgrades, now));)
        ws_finish(ENGINEIO_OWNER(node, engineio_ws, upgrade), 1000);
    for (timer_node *node; (node = timer_expired(&server->farewells, now));)
        session_end(ENGINEIO_OWNER(node, engineio_session, heartbeat), ENGINEIO_CLOSED_BY_CLIENT, NULL, 1000);
    for (timer_node *node; (node = timer_expired(&server->noops, now));) {
        engineio_session *session = ENGINEIO_OWNER(node, engineio_session, noop);
        if (session->poll && session->probe)
            session_send(session, '6', NULL, 0, false);
    }
}

uint64_t engineio_tick(engineio_server *server, uint64_t now)
{
    engineio_cork(server);
    tick_heartbeats(server, now);
    tick_others(server, now);
    if (server->handlers.tick)
        server->handlers.tick(server->handlers.context, now);
    engineio_uncork(server);
    return engineio_deadline(server);
}

uint64_t engineio_deadline(const engineio_server *server)
{
    const timer_queue *const queues[] = {&server->pings, &server->pongs, &server->upgrades, &server->farewells,
                                         &server->noops};
    uint64_t first = UINT64_MAX;
    if (server->handlers.deadline)
        first = server->handlers.deadline(server->handlers.context);
    for (size_t i = 0; i < 5; i++) {
        uint64_t other = timer_deadline(queues[i]);
        first = other < first ? other : first;
    }
    return first;
}

const char *engineio_session_id(const engineio_session *session)
{
    return session->id;
}

const char *engineio_session_peer(const engineio_session *session)
{
    return session->peer->name;
}

bool engineio_session_polling(const engineio_session *session)
{
    return !session->ws;
}

void engineio_session_set_user(engineio_session *session, void *user)
{
    session->user = user;
}

void *engineio_session_user(const engineio_session *session)
{
    return session->user;
}
