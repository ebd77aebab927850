/* Text and binary messages go back as they came. A client that does not read is cut off rather than remembered. */
#include "server/echo_channel.h"

enum { MOST_QUEUED = 32 << 20 };

static void *opened(void *context, channel *channel, const http_request *request)
{
    (void)context;
    (void)request;
    return channel;
}

static void message(void *state, bool binary, const uint8_t *bytes, size_t length)
{
    if (channel_queued(state) > MOST_QUEUED)
        channel_close(state, WEBSOCKET_TOO_BIG, "too much is waiting to be read");
    else
        channel_send(state, binary, bytes, length);
}

const channel_handlers echo_channel_handlers = {.opened = opened, .message = message};
