/* HTTP/2 with nghttp2, which is itself bytes in and bytes out: frames, header compression, flow control and the
 * defences that come with them are its; here its events become the same exchanges as those of HTTP/1.1. */
#include "server/h2_session.h"

#include "base/clock.h"
#include "base/memory.h"
#include "server/server_internal.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_STREAMS = 100, MOST_HEAD_BYTES = 32768, WINDOW_BYTES = 1 << 20, MOST_LINES = 40 };
static const http_limits limits = {.head = MOST_HEAD_BYTES, .uri = 8192};

typedef struct h2_stream {
    h2_session *session;
    struct h2_stream *next, *previous;
    int32_t id;
    exchange *exchange;
    buffer text; /* names and values, each with a NUL; the request points into it once the head is whole */
    size_t at[HTTP_MAX_FIELDS][2];
    size_t fields;
    size_t method, target, authority; /* where these are in `text`; 0 = not yet */
    bool refused;                     /* too large a head */
    bool running;                     /* answered, or handed on: no more of the body is taken */
    bool submitted;
    buffer out; /* the body that waits to be sent */
    size_t sent;
    bool whole; /* nothing will be added to `out` */
} h2_stream;

struct h2_session {
    nghttp2_session *nghttp2;
    connection *connection;
    h2_stream *streams;
    size_t count;
};

static ssize_t read_body_piece(h2_stream *s, uint8_t *piece, size_t length, uint32_t *flags)
{
    size_t left = s->out.length - s->sent, part = left < length ? left : length;
    if (!part && !s->whole)
        return NGHTTP2_ERR_DEFERRED;
    if (part)
        memcpy(piece, s->out.data + s->sent, part);
    s->sent += part;
    if (s->sent == s->out.length) {
        buffer_clear(&s->out);
        s->sent = 0;
        if (s->whole)
            *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)part;
}

static ssize_t read_body(nghttp2_session *nghttp2, int32_t id, uint8_t *piece, size_t length, uint32_t *flags,
                         nghttp2_data_source *source, void *context)
{
    (void)nghttp2;
    (void)id;
    (void)context;
    return read_body_piece(source->ptr, piece, length, flags);
}

/* Cut "name: value" lines up into what nghttp2 takes. @return how many. */
static size_t cut_lines(char *lines, nghttp2_nv list[MOST_LINES], size_t count)
{
    for (char *rest = NULL, *line = strtok_r(lines, "\r\n", &rest); line && count < MOST_LINES;
         line = strtok_r(NULL, "\r\n", &rest)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        for (char *c = line; c < colon; c++)
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        char *value = colon + 1 + strspn(colon + 1, " ");
        list[count++] = (nghttp2_nv){(uint8_t *)line, (uint8_t *)value, (size_t)(colon - line), strlen(value), 0};
    }
    return count;
}

static void submit(h2_stream *s, exchange *e)
{
    const http_response *response = &e->response;
    char status[8];
    buffer lines = {0};
    nghttp2_nv list[MOST_LINES];
    snprintf(status, sizeof status, "%d", response->status);
    list[0] = (nghttp2_nv){(uint8_t *)":status", (uint8_t *)status, 7, strlen(status), 0};
    bool bodiless = e->request.method == HTTP_HEAD || response->status == 204 || response->status == 304;
    response_fields(e, &lines);
    if (s->whole && response->status != 204 && response->status != 304)
        buffer_append_format(&lines, "content-length: %zu\r\n",
                             response->fixed ? response->fixed_length : response->body.length);
    size_t count = lines.failed ? 1 : cut_lines((char *)lines.data, list, 1);
    nghttp2_data_provider provider = {.source.ptr = s, .read_callback = read_body};
    if (s->whole && !bodiless)
        buffer_append(&s->out, response->fixed ? response->fixed : response->body.data,
                      response->fixed ? response->fixed_length : response->body.length);
    bool empty = bodiless || (s->whole && !s->out.length);
    s->submitted = true;
    if (nghttp2_submit_response(s->session->nghttp2, s->id, list, count, empty ? NULL : &provider))
        nghttp2_submit_rst_stream(s->session->nghttp2, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_INTERNAL_ERROR);
    buffer_done(&lines);
}

static void answer(void *carrier, exchange *e)
{
    h2_stream *s = carrier;
    s->whole = !e->stream_begun;
    s->running = true;
    submit(s, e);
    connection_send(s->session->connection, NULL, 0);
}

static void part(void *carrier, exchange *e, const void *bytes, size_t length, bool last)
{
    (void)e;
    h2_stream *s = carrier;
    if (length)
        buffer_append(&s->out, bytes, length);
    s->whole |= last;
    nghttp2_session_resume_data(s->session->nghttp2, s->id);
    connection_send(s->session->connection, NULL, 0);
}

static const exchange_carrier carrier = {answer, part};

static exchange *new_exchange(h2_stream *s)
{
    connection *c = s->session->connection;
    exchange *e = exchange_create(c->server, c->peer, true);
    if (e) {
        e->carrier = s;
        e->carrier_functions = &carrier;
        e->request.minor_version = 2;
    }
    return e;
}

static void end_stream(h2_stream *s)
{
    h2_session *session = s->session;
    *(s->previous ? &s->previous->next : &session->streams) = s->next;
    if (s->next)
        s->next->previous = s->previous;
    session->count--;
    if (s->exchange)
        exchange_release(s->exchange);
    buffer_done(&s->text);
    buffer_done(&s->out);
    memory_free(s);
}

static int on_begin_headers(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    h2_session *session = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    h2_stream *s = memory_zeroed(1, sizeof *s);
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    s->session = session;
    s->id = frame->hd.stream_id;
    buffer_init(&s->text, MOST_HEAD_BYTES);
    buffer_append_byte(&s->text, 0); /* so that no offset is 0 */
    s->next = session->streams;
    if (s->next)
        s->next->previous = s;
    session->streams = s;
    session->count++;
    s->exchange = new_exchange(s);
    nghttp2_session_set_stream_user_data(nghttp2, s->id, s);
    return s->exchange ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static size_t keep_text(h2_stream *s, const uint8_t *text, size_t length)
{
    size_t at = s->text.length;
    if (buffer_append(&s->text, text, length) || buffer_append_byte(&s->text, 0))
        s->refused = true;
    return at;
}

static int on_header(nghttp2_session *nghttp2, const nghttp2_frame *frame, const uint8_t *name, size_t name_length,
                     const uint8_t *value, size_t value_length, uint8_t flags, void *context)
{
    (void)flags;
    (void)context;
    h2_stream *s = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
    if (!s || s->running || s->exchange->request.path[0])
        return 0; /* trailers */
    if (memchr(value, 0, value_length))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (name_length && name[0] == ':') {
        size_t at = keep_text(s, value, value_length);
        if (name_length == 7 && !memcmp(name, ":method", 7))
            s->method = at;
        else if (name_length == 5 && !memcmp(name, ":path", 5))
            s->target = at;
        else if (name_length == 10 && !memcmp(name, ":authority", 10))
            s->authority = at;
        return 0;
    }
    if (s->fields == HTTP_MAX_FIELDS - 1) {
        s->refused = true;
        return 0;
    }
    s->at[s->fields][0] = keep_text(s, name, name_length);
    s->at[s->fields++][1] = keep_text(s, value, value_length);
    return 0;
}

/* The head is whole: make the request of it. @return 0 or the status to refuse with. */
static int read_request(h2_stream *s)
{
    exchange *e = s->exchange;
    int status = 0;
    if (s->refused)
        return 431;
    if (!s->method || !s->target)
        return 400;
    char *text = (char *)s->text.data;
    e->request.method = http_method_from_name(text + s->method, strlen(text + s->method));
    for (size_t i = 0; i < s->fields; i++)
        e->request.fields[i] = (http_field){text + s->at[i][0], text + s->at[i][1]};
    e->request.field_count = s->fields;
    const char *host = http_request_field(&e->request, "host"), *expect = http_request_field(&e->request, "expect");
    if (s->authority && !host)
        e->request.fields[e->request.field_count++] = (http_field){"host", text + s->authority};
    if (s->authority && host && strcasecmp(host, text + s->authority) != 0)
        return 400; /* RFC 9113, 8.3.1 */
    if (expect && strcasecmp(expect, "100-continue") != 0)
        return 417;
    e->head.expects_continue = expect;
    if (http_target_parse(text + s->target, &limits, &e->path, &e->request, &status) != HTTP_READY)
        return status;
    const char *length = http_request_field(&e->request, "content-length");
    e->head.framing = length ? HTTP_LENGTH : HTTP_NO_BODY; /* nghttp2 has checked that it is a number and kept to */
    e->head.content_length = length ? strtoull(length, NULL, 10) : 0;
    return exchange_begin(e);
}

static void say_continue(h2_stream *s)
{
    nghttp2_nv status = {(uint8_t *)":status", (uint8_t *)"100", 7, 3, 0};
    if (!s->running && s->exchange->head.expects_continue)
        nghttp2_submit_headers(s->session->nghttp2, NGHTTP2_FLAG_NONE, s->id, NULL, &status, 1, NULL);
}

static void run(h2_stream *s)
{
    if (s->running)
        return;
    s->running = true;
    exchange_run(s->exchange);
}

static int on_frame(nghttp2_session *nghttp2, const nghttp2_frame *frame, void *context)
{
    (void)context;
    bool head = frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    if (!head && frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    h2_stream *s = nghttp2_session_get_stream_user_data(nghttp2, frame->hd.stream_id);
    if (!s)
        return 0;
    int status = head ? read_request(s) : 0;
    if (status) {
        s->running = true;
        exchange_refuse(s->exchange, status);
    } else if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
        run(s);
    } else if (head) {
        say_continue(s);
    }
    return 0;
}

static int on_data(nghttp2_session *nghttp2, uint8_t flags, int32_t id, const uint8_t *bytes, size_t length,
                   void *context)
{
    (void)flags;
    (void)context;
    h2_stream *s = nghttp2_session_get_stream_user_data(nghttp2, id);
    if (!s || s->running)
        return 0; /* dropped: it has been refused */
    exchange *e = s->exchange;
    size_t needed = e->body.length + length;
    bool counted = e->counted >= needed || server_count_body(e->server, (long)(needed - e->counted));
    if (counted && e->counted < needed)
        e->counted = needed;
    if (counted && !buffer_append(&e->body, bytes, length))
        return 0;
    s->running = true;
    exchange_refuse(e, counted && e->body.failed == MIEN_ELIMIT ? 413 : 503);
    return 0;
}

static int on_stream_close(nghttp2_session *nghttp2, int32_t id, uint32_t code, void *context)
{
    (void)code;
    (void)context;
    h2_stream *s = nghttp2_session_get_stream_user_data(nghttp2, id);
    if (s)
        end_stream(s);
    return 0;
}

static bool make_nghttp2(h2_session *session)
{
    nghttp2_session_callbacks *callbacks = NULL;
    if (nghttp2_session_callbacks_new(&callbacks))
        return false;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    int failed = nghttp2_session_server_new(&session->nghttp2, callbacks, session);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, MOST_STREAMS},
                                         {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
                                         {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, MOST_HEAD_BYTES}};
    return !failed && !nghttp2_submit_settings(session->nghttp2, NGHTTP2_FLAG_NONE, settings, 3) &&
           !nghttp2_session_set_local_window_size(session->nghttp2, NGHTTP2_FLAG_NONE, 0, 4 * WINDOW_BYTES);
}

h2_session *h2_session_create(connection *c)
{
    h2_session *session = memory_zeroed(1, sizeof *session);
    if (!session)
        return NULL;
    session->connection = c;
    if (!make_nghttp2(session))
        h2_session_destroy(&session);
    return session;
}

void h2_session_destroy(h2_session **session)
{
    if (!*session)
        return;
    while ((*session)->streams)
        end_stream((*session)->streams);
    nghttp2_session_del((*session)->nghttp2);
    memory_free(*session);
    *session = NULL;
}

bool h2_session_receive(h2_session *session, const uint8_t *bytes, size_t length)
{
    return nghttp2_session_mem_recv(session->nghttp2, bytes, length) == (ssize_t)length;
}

bool h2_session_output(h2_session *session, buffer *out, size_t most)
{
    while (out->length < most) {
        const uint8_t *bytes;
        ssize_t length = nghttp2_session_mem_send(session->nghttp2, &bytes);
        if (length < 0 || (length && buffer_append(out, bytes, (size_t)length)))
            return false;
        if (!length)
            break;
    }
    return nghttp2_session_want_read(session->nghttp2) || nghttp2_session_want_write(session->nghttp2);
}

/* The worker keeps the late exchange; another one carries the refusal. */
static void answer_late(h2_stream *s, int status)
{
    exchange *late = s->exchange, *e = new_exchange(s);
    if (!e)
        return;
    e->route = late->route;
    e->allowed = late->allowed;
    e->begin_ns = late->begin_ns;
    e->request.method = late->request.method;
    e->request.path = "/";
    s->exchange = e;
    s->running = true;
    exchange_release(late);
    exchange_refuse(e, status);
}

void h2_session_expire(h2_session *session, uint64_t now_ns)
{
    const settings *settings = server_service(session->connection->server)->settings;
    for (h2_stream *s = session->streams, *next; s; s = next) {
        next = s->next;
        double seconds = (double)(now_ns - s->exchange->begin_ns) / 1e9;
        if (s->submitted || s->exchange->mount)
            continue;
        if (!s->running && seconds > settings->body_timeout)
            answer_late(s, 408);
        else if (s->running && seconds > settings->request_timeout + settings->body_timeout)
            answer_late(s, 504);
        else if (s->running && s->exchange->running && seconds > settings->request_timeout)
            answer_late(s, 504);
    }
}

void h2_session_stop(h2_session *session)
{
    nghttp2_submit_goaway(session->nghttp2, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session->nghttp2), NGHTTP2_NO_ERROR, NULL, 0);
}

size_t h2_session_streams(const h2_session *session)
{
    return session->count;
}
