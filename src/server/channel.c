/* WebSockets on top of connections: handshake, messages, pings, the closing handshake. A peer that stays silent through
 * a ping's wait is dropped, so dead connections do not pile up. */
#include "server/channel.h"

#include "base/memory.h"
#include "server/server_internal.h"

#include <string.h>

static const double ping_after = 30, closing_wait = 3;

struct channel {
    connection *connection;
    const channel_handlers *handlers;
    void *state;
    websocket_reader reader;
    bool closing; /* our close frame has been sent */
    bool pinged;  /* nothing has come since our ping */
};

int channel_open(connection *c, exchange *e)
{
    const channel_handlers *handlers = e->mount ? e->mount->channel : NULL;
    if (!handlers)
        return e->route || e->mount ? 400 : 404;
    buffer accept = {0};
    int refusal = websocket_handshake(&e->request, &accept);
    if (!refusal && !cors_allows_socket(e->request.service->settings, &e->request))
        refusal = 403;
    if (!refusal && handlers->check)
        refusal = handlers->check(e->mount->context, &e->request);
    channel *opened = refusal ? NULL : memory_zeroed(1, sizeof *opened);
    if (!opened) {
        buffer_done(&accept);
        return refusal ? refusal : 503;
    }
    size_t most = handlers->max_message ? handlers->max_message : (size_t)e->request.service->settings->max_body;
    websocket_reader_init(&opened->reader, most);
    opened->connection = c;
    opened->handlers = handlers;
    c->channel = opened;
    c->state = CONNECTION_WEBSOCKET;
    e->response.status = 101;
    exchange_note(e);
    buffer_append_format(&c->out,
                         "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
                         "sec-websocket-accept: %s\r\nx-request-id: %s\r\n\r\n",
                         buffer_text(&accept), e->id);
    buffer_done(&accept);
    atomic_fetch_add(&e->request.service->sockets, 1);
    connection_set_deadline(c, ping_after);
    connection_send(c, NULL, 0);
    opened->state = handlers->opened(e->mount->context, opened, &e->request);
    if (!opened->state)
        channel_close(opened, WEBSOCKET_INTERNAL, "");
    return 0;
}

static void fail(channel *channel, int code)
{
    channel_close(channel, code, "");
    connection_close(channel->connection);
}

/* @return false once the connection is closing. */
static bool handle(channel *channel, const websocket_event *event)
{
    connection *c = channel->connection;
    switch (event->opcode) {
    case WEBSOCKET_TEXT:
    case WEBSOCKET_BINARY:
        if (!channel->closing && channel->state)
            channel->handlers->message(channel->state, event->opcode == WEBSOCKET_BINARY, event->data, event->length);
        break;
    case WEBSOCKET_PING:
        if (!channel->closing && !websocket_write(&c->out, WEBSOCKET_PONG, event->data, event->length))
            connection_send(c, NULL, 0);
        break;
    case WEBSOCKET_CLOSE:
        channel_close(channel, event->code == 1005 ? WEBSOCKET_NORMAL : event->code, "");
        connection_close(c);
        return false;
    default:
        break;
    }
    return c->state == CONNECTION_WEBSOCKET;
}

bool channel_receive(connection *c, const uint8_t *bytes, size_t length)
{
    channel *channel = c->channel;
    channel->pinged = false;
    while (length) {
        websocket_event event;
        size_t used;
        int code = websocket_read(&channel->reader, bytes, length, &used, &event);
        if (code) {
            fail(channel, code);
            return true;
        }
        bytes += used;
        length -= used;
        if (!handle(channel, &event))
            return true;
    }
    if (!channel->closing)
        connection_set_deadline(c, ping_after);
    if (!channel->reader.in_message && channel->reader.message.capacity > 65536)
        buffer_done(&channel->reader.message);
    return true;
}

bool channel_expired(connection *c)
{
    channel *channel = c->channel;
    if (channel->closing || channel->pinged)
        return false;
    channel->pinged = true;
    if (websocket_write(&c->out, WEBSOCKET_PING, "", 0))
        return false;
    connection_send(c, NULL, 0);
    connection_set_deadline(c, ping_after);
    return true;
}

void channel_drained(connection *c)
{
    channel *channel = c->channel;
    if (channel->handlers->writable && channel->state && !channel->closing)
        channel->handlers->writable(channel->state);
}

void channel_done(connection *c)
{
    channel *channel = c->channel;
    if (!channel)
        return;
    c->channel = NULL;
    if (channel->state && channel->handlers->closed)
        channel->handlers->closed(channel->state);
    atomic_fetch_sub(&server_service(c->server)->sockets, 1);
    websocket_reader_done(&channel->reader);
    memory_free(channel);
}

void channel_send(channel *channel, bool binary, const void *bytes, size_t length)
{
    connection *c = channel->connection;
    if (channel->closing)
        return;
    if (websocket_write(&c->out, binary ? WEBSOCKET_BINARY : WEBSOCKET_TEXT, bytes, length))
        connection_close(c);
    else
        connection_send(c, NULL, 0);
}

void channel_close(channel *channel, int code, const char *reason)
{
    connection *c = channel->connection;
    if (channel->closing)
        return;
    channel->closing = true;
    if (websocket_write_close(&c->out, code, reason))
        connection_close(c);
    connection_send(c, NULL, 0);
    connection_set_deadline(c, closing_wait);
}

size_t channel_queued(const channel *channel)
{
    return connection_pending(channel->connection);
}
