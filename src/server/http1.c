/* HTTP/1.1 on a connection: requests one after another, pipelined ones waiting in `in` until the one before has been
 * answered. Every wait has a deadline. */
#include "server/http1.h"

#include "base/clock.h"
#include "base/memory.h"
#include "server/channel.h"
#include "server/server_internal.h"

#include <libwebsockets.h>

static const http_limits limits = {.head = 32768, .uri = 8192};

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
    connection_set_deadline(c, connection_settings(c)->keep_alive);
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
    connection_set_deadline(c, connection_settings(c)->request_timeout);
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
    bool bodiless = e->head.framing == HTTP_NO_BODY; /* else its bytes would pass for frames */
    if (!status && bodiless && e->head.upgrades && http_request_field_has(&e->request, "upgrade", "websocket")) {
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
        if (bodiless && status == 429)
            exchange_refuse(e, status);
        else
            refuse(c, status);
        return true;
    }
    if (bodiless) {
        c->state = CONNECTION_WAITING;
        connection_set_deadline(c, connection_settings(c)->request_timeout);
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

/* RFC 9112, 2.2: empty lines before a request. */
static void skip_empty_lines(buffer *in)
{
    size_t at = 0;
    while (at < in->length) {
        if (in->data[at] == '\n')
            at++;
        else if (in->data[at] == '\r' && at + 1 < in->length && in->data[at + 1] == '\n')
            at += 2;
        else
            break;
    }
    if (at)
        buffer_consume(in, at);
}

bool http1_take_head(connection *c)
{
    if (!c->scanned)
        skip_empty_lines(&c->in);
    if (!c->in.length || (c->in.length == 1 && c->in.data[0] == '\r'))
        return false;
    if (!c->scanned)
        connection_set_deadline(c, connection_settings(c)->header_timeout);
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

size_t http1_take_body(connection *c, const uint8_t *bytes, size_t length)
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
        connection_set_deadline(c, connection_settings(c)->request_timeout);
        exchange_run(e);
    }
    return used;
}

/* Too slow for the whole, or below the least rate after the first seconds. */
static bool body_too_slow(const connection *c, uint64_t now_ns)
{
    const settings *settings = connection_settings(c);
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
    return true;
}

bool http1_expired(connection *c, uint64_t now_ns)
{
    switch (c->state) {
    case CONNECTION_HEAD:
        if (!c->in.length || connection_pending(c) || !begin_exchange(c))
            return false;
        refuse(c, 408);
        return true;
    case CONNECTION_BODY: {
        double left = connection_settings(c)->body_timeout - (double)(now_ns - c->body_begin_ns) / 1e9;
        if (body_too_slow(c, now_ns))
            refuse(c, 408);
        else
            connection_set_deadline(c, left < 1 ? left + 0.01 : 1);
        return true;
    }
    default:
        if (!c->exchange || !c->exchange->mount)
            return answer_late(c);
        c->deadline_ns = 0; /* its mount has deadlines of its own */
        return true;
    }
}
