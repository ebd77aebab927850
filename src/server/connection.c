/* Bytes of a connection, in and out: TLS around them, which protocol they are, how much may wait, and deadlines. What
 * is said in HTTP/1.1 is http1.c's, in HTTP/2 h2_session.c's, on a WebSocket channel.c's. An answer that ends the
 * connection is followed by a shutdown and a short wait for the peer, so that unread input (a body over the limit) does
 * not make the kernel throw the answer away. */
#include "server/connection.h"

#include "base/clock.h"
#include "server/channel.h"
#include "server/http1.h"
#include "server/server_internal.h"

#include <libwebsockets.h>
#include <string.h>
#include <sys/socket.h>

enum {
    WRITE_BYTES = 65536,     /* most in one write */
    HIGH_WATER = 256 * 1024, /* unread or unsent bytes at which pipelining pauses */
};
static const double linger = 2, stalled = 30;

const settings *connection_settings(const connection *c)
{
    return server_service(c->server)->settings;
}

void connection_set_deadline(connection *c, double seconds)
{
    c->deadline_ns = clock_monotonic_ns() + (uint64_t)(seconds * 1e9);
    server_sweep_by(c->server, c->deadline_ns);
}

void connection_send(connection *c, const void *bytes, size_t length)
{
    if (length && buffer_append(&c->out, bytes, length))
        c->state = CONNECTION_CLOSING;
    lws_callback_on_writable(c->wsi);
}

void connection_close(connection *c)
{
    c->state = CONNECTION_CLOSING;
    connection_set_deadline(c, linger);
    lws_callback_on_writable(c->wsi);
}

size_t connection_pending(const connection *c)
{
    return c->tls ? c->out.length + c->wire.length - c->sent : c->out.length - c->sent;
}

static bool has_output(const connection *c)
{
    return connection_pending(c) > 0;
}

static void empty(buffer *b)
{
    if (b->capacity > WRITE_BYTES)
        buffer_done(b);
    else
        buffer_clear(b);
}

/* Encrypt what is to be said, and HTTP/2's frames before that. @return false when the connection must end. */
static bool prepare(connection *c)
{
    bool room = connection_pending(c) < HIGH_WATER; /* a peer that does not read makes nothing pile up here */
    bool alive = !c->h2 || !room || h2_session_output(c->h2, &c->out, HIGH_WATER);
    if (!alive && c->state == CONNECTION_HTTP2)
        connection_close(c);
    if (!c->tls || !c->out.length)
        return true;
    if (!tls_session_send(c->tls, c->out.data, c->out.length, &c->wire))
        return false;
    empty(&c->out);
    return true;
}

/* Write what the socket takes. @return false when it is broken. */
static bool flush(connection *c)
{
    if (!prepare(c))
        return false;
    buffer *wire = c->tls ? &c->wire : &c->out;
    while (c->sent < wire->length && !lws_send_pipe_choked(c->wsi)) {
        size_t length = wire->length - c->sent < WRITE_BYTES ? wire->length - c->sent : WRITE_BYTES;
        if (lws_write(c->wsi, wire->data + c->sent, length, LWS_WRITE_RAW) < (int)length)
            return false;
        c->sent += length;
    }
    if (has_output(c)) {
        if (c->state == CONNECTION_HEAD || c->state == CONNECTION_CLOSING)
            connection_set_deadline(c, stalled);
        lws_callback_on_writable(c->wsi);
        return true;
    }
    c->sent = 0;
    empty(wire);
    return true;
}

static void pause_reading(connection *c, bool pause)
{
    if (c->paused != pause) {
        c->paused = pause;
        lws_rx_flow_control(c->wsi, !pause);
    }
}

/* Go on with what has been received. @return false to close at once. */
static bool process(connection *c)
{
    bool more = true;
    while (more) {
        if (c->state == CONNECTION_HEAD) {
            more = connection_pending(c) < HIGH_WATER && http1_take_head(c);
        } else if (c->state == CONNECTION_BODY && c->in.length) {
            buffer in = c->in; /* taken out, for an answer may come from within */
            size_t used = http1_take_body(c, in.data, in.length);
            buffer_consume(&c->in, used < c->in.length ? used : c->in.length);
        } else if (c->state == CONNECTION_WEBSOCKET && c->in.length) {
            buffer in = c->in;
            c->in = (buffer){0};
            bool open = channel_receive(c, in.data, in.length);
            buffer_done(&in);
            if (!open)
                return false;
        } else {
            more = false;
        }
    }
    pause_reading(c, c->in.length > HIGH_WATER);
    if (!c->in.length && c->in.capacity)
        buffer_done(&c->in);
    return flush(c);
}

static bool take_plain(connection *c, const uint8_t *bytes, size_t length)
{
    if (c->state == CONNECTION_CLOSING)
        return true; /* dropped */
    if (c->state == CONNECTION_HTTP2) {
        if (!h2_session_receive(c->h2, bytes, length))
            connection_close(c); /* after saying why */
        else
            c->idle = false;
        connection_set_deadline(c, c->state == CONNECTION_CLOSING ? linger : 0.5);
        return flush(c);
    }
    if (c->state == CONNECTION_WEBSOCKET && !c->in.length)
        return channel_receive(c, bytes, length) && flush(c);
    if (c->state == CONNECTION_BODY && !c->in.length) {
        size_t used = http1_take_body(c, bytes, length);
        bytes += used;
        length -= used;
    }
    if (length && c->state != CONNECTION_CLOSING && buffer_append(&c->in, bytes, length))
        return false;
    return process(c);
}

/* Which protocol has been agreed on, once that is known. */
static bool choose_protocol(connection *c)
{
    if (c->state != CONNECTION_HEAD || c->in.length || c->h2 || !tls_session_is_h2(c->tls))
        return true;
    c->h2 = h2_session_create(c);
    c->state = CONNECTION_HTTP2;
    return c->h2 != NULL;
}

bool connection_receive(connection *c, const uint8_t *bytes, size_t length)
{
    if (!c->tls)
        return take_plain(c, bytes, length);
    buffer plain = {0};
    bool fine = tls_session_receive(c->tls, bytes, length, &plain, &c->wire);
    bool open = !tls_session_established(c->tls) || choose_protocol(c);
    if (open && plain.length)
        open = take_plain(c, plain.data, plain.length);
    buffer_done(&plain);
    if (open && !fine)
        connection_close(c);
    return open && flush(c);
}

bool connection_writable(connection *c)
{
    if (!flush(c))
        return false;
    if (has_output(c))
        return true;
    if (c->state == CONNECTION_CLOSING) {
        if (!c->shut && c->tls)
            tls_session_finish(c->tls, &c->wire);
        c->shut = true;
        if (has_output(c))
            return flush(c);
        shutdown(lws_get_socket_fd(c->wsi), SHUT_WR);
        return true;
    }
    if (c->state == CONNECTION_HTTP2)
        return true;
    if (c->state == CONNECTION_WEBSOCKET)
        channel_drained(c);
    return process(c);
}

/* Looks at the streams once a second while there are any, else waits for the idle connection's end. */
static bool h2_expired(connection *c, uint64_t now_ns)
{
    bool idle = !h2_session_streams(c->h2);
    if (idle && c->idle)
        return false;
    h2_session_expire(c->h2, now_ns);
    c->idle = idle;
    connection_set_deadline(c, idle ? connection_settings(c)->keep_alive : 0.5);
    return flush(c);
}

bool connection_expired(connection *c, uint64_t now_ns)
{
    switch (c->state) {
    case CONNECTION_HEAD:
    case CONNECTION_BODY:
    case CONNECTION_WAITING:
        return http1_expired(c, now_ns) && flush(c);
    case CONNECTION_WEBSOCKET:
        return channel_expired(c);
    case CONNECTION_HTTP2:
        return h2_expired(c, now_ns);
    default:
        return false;
    }
}

bool connection_stopping(connection *c)
{
    if (c->state == CONNECTION_HTTP2) {
        h2_session_stop(c->h2);
        connection_send(c, NULL, 0);
        if (!h2_session_streams(c->h2))
            connection_close(c);
    }
    if (c->state == CONNECTION_WEBSOCKET)
        channel_close(c->channel, WEBSOCKET_GOING_AWAY, "the server is stopping");
    return c->state != CONNECTION_HEAD || c->in.length || has_output(c);
}

void connection_done(connection *c)
{
    if (c->exchange) {
        exchange *e = c->exchange;
        c->exchange = NULL;
        exchange_release(e);
    }
    channel_done(c);
    h2_session_destroy(&c->h2);
    tls_session_destroy(&c->tls);
    buffer_done(&c->in);
    buffer_done(&c->out);
    buffer_done(&c->wire);
}
