/* A WebSocket connection as its user sees it: whole messages in, messages out. On the loop's thread only. */
#ifndef SERVER_CHANNEL_H
#define SERVER_CHANNEL_H

#include "server/connection.h"

typedef struct channel_handlers {
    size_t max_message; /* bytes; 0 = MAX_BODY_SIZE */
    /** Refuse the handshake with an HTTP status, or 0 to go on. May be NULL. */
    int (*check)(void *context, const http_request *request);
    /** @return the user's state; NULL closes the connection again. */
    void *(*opened)(void *context, channel *channel, const http_request *request);
    void (*message)(void *state, bool binary, const uint8_t *bytes, size_t length);
    /** The output has room again. May be NULL. */
    void (*writable)(void *state);
    void (*closed)(void *state);
} channel_handlers;

/** Answer the handshake of `e` (whose mount names the handlers) and make the connection a WebSocket.
 *  @return 0 or the HTTP status to refuse with. */
int channel_open(connection *c, exchange *e);
/** @return false to close the connection. */
bool channel_receive(connection *c, const uint8_t *bytes, size_t length);
/** The deadline passed: ping, or give up on a silent peer. */
bool channel_expired(connection *c);
void channel_drained(connection *c);
/** The connection ends: tell the user. */
void channel_done(connection *c);

void channel_send(channel *channel, bool binary, const void *bytes, size_t length);
/** Begin the closing handshake. */
void channel_close(channel *channel, int code, const char *reason);
/** Bytes that wait to be sent. */
size_t channel_queued(const channel *channel);

#endif
