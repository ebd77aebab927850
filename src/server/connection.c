/* HTTP/1.1 on a connection: requests one after another, pipelined ones waiting in `in` until the one before has been
 * answered. Every wait has a deadline. An answer that ends the connection is followed by a shutdown and a short wait
 * for the peer, so that unread input (a body over the limit) does not make the kernel throw the answer away. */
#include "server/connection.h"

#include "base/clock.h"
#include "base/memory.h"
#include "server/channel.h"
#include "server/server_internal.h"

#include <libwebsockets.h>
#include <string.h>
#include <sys/socket.h>

enum {
    WRITE_BYTES = 65536,     /* most in one write */
    HIGH_WATER = 256 * 1024, /* unread or unsent bytes at which pipelining pauses */
};
static const double linger = 2, stalled = 30;

static const http_limits limits = {.head = 32768, .uri = 8192};

static const settings *settings_of(const connection *c)
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

static void end_exchange(connection *c)
{
    exchange *e = c->exchange;
    c->exchange = NULL;
    if (e) {
        e->gone = NULL;
        exchange_release(e);
    }
}

/* Status line and header lines. `length` < 0: the answer comes in chunks. */
static void write_head(connection *c, exchange *e, bool keep, bool framed, size_t length)
{
    const http_response *response = &e->response;
    buffer_append_format(&c->out, "HTTP/1.1 %d %s\r\n", response->status, http_reason(response->status));
    response_fields(e, &c->out);
    bool bodiless = response->status == 204 || response->status == 304 || response->status < 200;
    if (framed && !bodiless)
        buffer_append_format(&c->out, "content-length: %zu\r\n", length);
    else if (!framed && e->request.minor_version)
        buffer_append_text(&c->out, "transfer-encoding: chunked\r\n");
    if (!keep)
        buffer_append_text(&c->out, "connection: close\r\n\r\n");
    else
        buffer_append_text(&c->out, e->request.minor_version ? "\r\n" : "connection: keep-alive\r\n\r\n");
}

/* The request is answered: on to the next one, or the end. */
static void finish(connection *c, bool keep)
{
    end_exchange(c);
    if (!keep) {
        connection_close(c);
        return;
    }
    c->state = CONNECTION_HEAD;
    connection_set_deadline(c, settings_of(c)->keep_alive);
    lws_callback_on_writable(c->wsi); /* whose turn also takes up input that waits */
}

static void answer(void *carrier, exchange *e)
{
    connection *c = carrier;
    const http_response *response = &e->response;
    bool keep = e->head.keep_alive && !response->close && !atomic_load(&e->request.service->stopping);
    if (e->stream_begun) {
        e->head.keep_alive = keep && e->request.minor_version;
        c->state = CONNECTION_STREAMING;
        write_head(c, e, e->head.keep_alive, false, 0);
        lws_callback_on_writable(c->wsi);
        return;
    }
    const uint8_t *body = response->fixed ? response->fixed : response->body.data;
    size_t length = response->fixed ? response->fixed_length : response->body.length;
    write_head(c, e, keep, true, length);
    if (e->request.method != HTTP_HEAD && response->status != 204 && response->status != 304 && length)
        buffer_append(&c->out, body, length);
    if (c->out.failed)
        keep = false;
    finish(c, keep);
}

static void part(void *carrier, exchange *e, const void *bytes, size_t length, bool last)
{
    connection *c = carrier;
    bool chunked = e->request.minor_version;
    if (length && e->request.method != HTTP_HEAD) {
        if (chunked)
            buffer_append_format(&c->out, "%zx\r\n", length);
        buffer_append(&c->out, bytes, length);
        if (chunked)
            buffer_append_text(&c->out, "\r\n");
    }
    connection_set_deadline(c, settings_of(c)->request_timeout);
    lws_callback_on_writable(c->wsi);
    if (last && chunked && e->request.method != HTTP_HEAD)
        buffer_append_text(&c->out, "0\r\n\r\n");
    if (last || c->out.failed)
        finish(c, last && e->head.keep_alive && !c->out.failed);
}

static const exchange_carrier carrier = {answer, part};

/* Refuse before the body has been read: the connection ends with the answer. */
static void refuse(connection *c, int status)
{
    c->exchange->response.close = true;
    c->exchange->head.keep_alive = false;
    exchange_refuse(c->exchange, status);
}

/* NULL when memory is short. */
static exchange *begin_exchange(connection *c)
{
    exchange *e = exchange_create(c->server, c->peer, c->secure);
    if (e) {
        e->carrier = c;
        e->carrier_functions = &carrier;
        c->exchange = e;
    }
    return e;
}

/* All is known but the body. @return false to close. */
static bool begin_body(connection *c)
{
    exchange *e = c->exchange;
    int status = exchange_begin(e);
    if (!status && e->head.upgrades && http_request_field_has(&e->request, "upgrade", "websocket")) {
        status = channel_open(c, e);
        if (!status) {
            end_exchange(c);
            return true;
        }
        /* a refused handshake leaves an ordinary connection */
        e->response.status = status;
        exchange_refuse(e, status);
        return true;
    }
    if (status) {
        bool whole = e->head.framing == HTTP_NO_BODY && status == 429;
        if (whole)
            exchange_refuse(e, status);
        else
            refuse(c, status);
        return true;
    }
    if (e->head.framing == HTTP_NO_BODY) {
        c->state = CONNECTION_WAITING;
        connection_set_deadline(c, settings_of(c)->request_timeout);
        exchange_run(e);
        return true;
    }
    if (e->head.framing == HTTP_LENGTH)
        buffer_reserve(&e->body, (size_t)e->head.content_length);
    http_body_begin(&e->decoder, &e->head);
    c->state = CONNECTION_BODY;
    c->body_begin_ns = clock_monotonic_ns();
    c->body_received = 0;
    connection_set_deadline(c, 1);
    if (e->head.expects_continue && !c->in.length)
        connection_send(c, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

/* @return false when there is not yet a whole head (or the connection must close: then the state says so). */
static bool take_head(connection *c)
{
    while (c->in.length && !c->scanned && (c->in.data[0] == '\r' || c->in.data[0] == '\n'))
        buffer_consume(&c->in, 1); /* RFC 9112, 2.2: empty lines before a request */
    if (!c->in.length)
        return false;
    if (!c->scanned)
        connection_set_deadline(c, settings_of(c)->header_timeout);
    size_t length = 0;
    int status = 400;
    http_progress progress = http_head_find(c->in.data, c->in.length, &limits, &c->scanned, &length, &status);
    if (progress == HTTP_MORE)
        return false;
    exchange *e = begin_exchange(c);
    if (!e) {
        c->state = CONNECTION_CLOSING;
        return false;
    }
    c->scanned = 0;
    if (progress == HTTP_READY) {
        e->head_text = memory_text_span((const char *)c->in.data, length);
        buffer_consume(&c->in, length);
        progress = e->head_text
                       ? http_head_parse(e->head_text, length, &limits, &e->path, &e->request, &e->head, &status)
                       : HTTP_REFUSED;
    }
    if (progress == HTTP_REFUSED)
        refuse(c, status);
    else if (!begin_body(c))
        c->state = CONNECTION_CLOSING;
    return true;
}

/* Feed the body. @return how many bytes were taken. */
static size_t take_body(connection *c, const uint8_t *bytes, size_t length)
{
    exchange *e = c->exchange;
    if (!e)
        return length;
    size_t used = 0, before = e->body.length;
    int status = 400;
    http_progress progress = http_body_feed(&e->decoder, bytes, length, &e->body, &used, &status);
    c->body_received += used;
    if (e->head.framing == HTTP_CHUNKED) {
        size_t more = e->body.length - before;
        if (!server_count_body(c->server, (long)more)) {
            refuse(c, 503);
            return length;
        }
        e->counted += more;
    }
    if (progress == HTTP_REFUSED) {
        refuse(c, status);
        return length;
    }
    if (progress == HTTP_READY) {
        c->state = CONNECTION_WAITING;
        connection_set_deadline(c, settings_of(c)->request_timeout);
        exchange_run(e);
    }
    return used;
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
            more = connection_pending(c) < HIGH_WATER && take_head(c);
        } else if (c->state == CONNECTION_BODY && c->in.length) {
            buffer in = c->in; /* taken out, for an answer may come from within */
            size_t used = take_body(c, in.data, in.length);
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
        size_t used = take_body(c, bytes, length);
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

/* Too slow for the whole, or below the least rate after the first seconds. */
static bool body_too_slow(const connection *c, uint64_t now_ns)
{
    const settings *settings = settings_of(c);
    double seconds = (double)(now_ns - c->body_begin_ns) / 1e9;
    return seconds > settings->body_timeout ||
           (seconds > 5 && (double)c->body_received < seconds * (double)settings->min_rate);
}

/* The worker keeps the late exchange; another one carries the refusal. */
static bool answer_late(connection *c)
{
    exchange *late = c->exchange, *e = late ? begin_exchange(c) : NULL;
    if (!e)
        return false;
    const char *origin = http_request_field(&late->request, "origin");
    e->route = late->route;
    e->allowed = late->allowed;
    e->begin_ns = late->begin_ns;
    e->head = late->head;
    e->request.method = late->request.method;
    e->request.minor_version = late->request.minor_version;
    if (origin && !buffer_append_text(&e->path, origin))
        e->request.fields[e->request.field_count++] = (http_field){"origin", buffer_text(&e->path)};
    exchange_release(late);
    exchange_refuse(e, 504);
    return flush(c);
}

/* Looks at the streams once a second while there are any, else waits for the idle connection's end. */
static bool h2_expired(connection *c, uint64_t now_ns)
{
    bool idle = !h2_session_streams(c->h2);
    if (idle && c->idle)
        return false;
    h2_session_expire(c->h2, now_ns);
    c->idle = idle;
    connection_set_deadline(c, idle ? settings_of(c)->keep_alive : 0.5);
    return flush(c);
}

bool connection_expired(connection *c, uint64_t now_ns)
{
    switch (c->state) {
    case CONNECTION_HEAD:
        if (!c->in.length || has_output(c) || !begin_exchange(c))
            return false;
        refuse(c, 408);
        return flush(c);
    case CONNECTION_BODY: {
        if (body_too_slow(c, now_ns)) {
            refuse(c, 408);
            return flush(c);
        }
        double left = settings_of(c)->body_timeout - (double)(now_ns - c->body_begin_ns) / 1e9;
        connection_set_deadline(c, left < 1 ? left + 0.01 : 1);
        return true;
    }
    case CONNECTION_WAITING:
        if (c->exchange && c->exchange->mount) {
            c->deadline_ns = 0; /* its mount has deadlines of its own */
            return true;
        }
        return answer_late(c);
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
        c->idle = true;
        connection_set_deadline(c, 0.1);
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
